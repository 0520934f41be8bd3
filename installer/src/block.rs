//! A piece of disk in memory.

use std::ops::{Deref, DerefMut};

/// A buffer for direct I/O: bytes whose start is aligned to a page.
#[derive(Debug)]
pub struct Block {
    /// Longer than the block, so that an aligned start is somewhere inside.
    memory: Vec<u8>,
    start: usize,
    length: usize,
}

impl Block {
    /// A block of `length` zeros.
    pub fn zeroed(length: usize) -> Self {
        let memory = vec![0; length + ALIGNMENT];
        let start = memory.as_ptr().align_offset(ALIGNMENT);
        Self { memory, start, length }
    }

    /// A block with a copy of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let mut block = Self::zeroed(bytes.len());
        block.copy_from_slice(bytes);
        block
    }

    /// Makes it `length` bytes long, at most as long as it was made; what is beyond its earlier length is undetermined.
    pub fn resize(&mut self, length: usize) {
        assert!(self.start + length <= self.memory.len(), "a block does not grow");
        self.length = length;
    }
}

impl Deref for Block {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.memory[self.start..self.start + self.length]
    }
}

impl DerefMut for Block {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..self.start + self.length]
    }
}

/// What `O_DIRECT` wants of memory on every device that Linux drives.
const ALIGNMENT: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_starts_on_a_page() {
        let blocks: Vec<_> = (0..8).map(|_| Block::zeroed(512)).collect();

        assert!(blocks.iter().all(|block| block.as_ptr().align_offset(ALIGNMENT) == 0 && block.len() == 512));
    }
}
