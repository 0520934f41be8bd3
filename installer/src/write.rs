//! Writes the image to the disk in an order that never leaves anything bootable before its time.
//!
//! First the disk's old tables are destroyed at both ends, so that what is on it can no longer boot. Then everything but the
//! first megabyte is written. That megabyte, with the boot code, the protective MBR and the primary table, waits in memory
//! until [`commit`], which the caller calls when all has been verified.

use std::ops::Range;

use anyhow::{Context, Result};
use lab_model::{RemoteDisk, Sha256};

use crate::partition::{Fit, HEAD, Layout};
use crate::{Block, Device, Download, stream};

/// Streams the image to the disk, all but what makes it bootable; returns where everything is, and the compressed file's digest.
///
/// `progress` is called with the bytes that are done, 1 MiB at a time.
///
/// # Errors
/// The image does not fit, cannot be fetched or decompressed, or the disk does not take it.
pub fn image(
    device: &mut Device,
    image: &RemoteDisk,
    download: Download<'_>,
    seed: &[u8],
    mut progress: impl FnMut(u64),
) -> Result<(Layout, Sha256)> {
    let mut writing: Option<(Layout, Body)> = None;
    let digest = stream::run(download, image.raw_size, |block| {
        let at = match &mut writing {
            None => {
                let fit = Fit { head: block, image_size: image.raw_size, disk_size: device.size(), seed };
                let layout = Layout::plan(fit)?;
                destroy(device, &layout)?;
                let body = Body { at: HEAD as u64, end: layout.image_end, zeros: 0..0 };
                writing = Some((layout, body));
                HEAD as u64
            }
            Some((_, body)) => {
                body.write(device, block)?;
                body.at
            }
        };
        progress(at);
        Ok(())
    })?;
    let (layout, mut body) = writing.context("the image is empty")?;
    body.flush_zeros(device)?;
    device.flush()?;
    Ok((layout, digest))
}

/// Makes the disk bootable: the backup table first, then the first megabyte.
///
/// # Errors
/// The disk does not take it.
pub fn commit(device: &mut Device, layout: &Layout) -> Result<()> {
    device.write(&Block::of(&layout.tail), layout.tail_at)?;
    device.flush()?;
    device.write(&Block::of(&layout.head), 0)?;
    device.flush()
}

/// Removes every partition table and boot sector that the disk had, and the signatures that arrays and pools keep at its end.
fn destroy(device: &mut Device, layout: &Layout) -> Result<()> {
    device.zero(0..HEAD as u64)?;
    let end = device.size() - device.size() % 512;
    device.zero(layout.seed.start..end)?;
    device.flush()
}

/// The image behind its first megabyte.
struct Body {
    /// How far the image is taken in.
    at: u64,
    /// Where its last partition ends: what follows is its own backup table, which has no place on this disk.
    end: u64,
    /// Zeros that are not written yet; they end where the next bytes go.
    zeros: Range<u64>,
}

impl Body {
    fn write(&mut self, device: &mut Device, block: &mut Block) -> Result<()> {
        let inside = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX).min(block.len());
        block[inside..].fill(0);
        let mut from = 0;
        while from < block.len() {
            let zero = is_zero(piece(block, from));
            let mut to = from + piece(block, from).len();
            while to < block.len() && is_zero(piece(block, to)) == zero {
                to += piece(block, to).len();
            }
            let (start, end) = (self.at + from as u64, self.at + to as u64);
            if zero {
                self.add_zeros(device, start..end)?;
            } else {
                self.flush_zeros(device)?;
                device.write(&block[from..to], start)?;
            }
            from = to;
        }
        self.at += block.len() as u64;
        Ok(())
    }

    fn add_zeros(&mut self, device: &mut Device, range: Range<u64>) -> Result<()> {
        if self.zeros.is_empty() {
            self.zeros = range;
        } else {
            self.zeros.end = range.end;
        }
        if self.zeros.end - self.zeros.start >= ZEROS_WAITING { self.flush_zeros(device) } else { Ok(()) }
    }

    fn flush_zeros(&mut self, device: &mut Device) -> Result<()> {
        device.zero(std::mem::take(&mut self.zeros))
    }
}

fn piece(block: &[u8], from: usize) -> &[u8] {
    &block[from..block.len().min(from + PIECE)]
}

/// Whether all bytes are zero; by words, because a block of two gigabytes of holes comes through here.
fn is_zero(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<64>();
    words.iter().all(|word| word.iter().fold(0, |all, byte| all | byte) == 0) && rest.iter().all(|byte| *byte == 0)
}

/// What is looked at for zeros at once: smaller holes are written as they are, because a call to the disk costs more.
const PIECE: usize = 64 * 1024;

/// Zeros are collected up to here before the disk is asked for them.
const ZEROS_WAITING: u64 = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bit_makes_a_piece_worth_writing() {
        let mut bytes = vec![0; 1000];
        assert!(is_zero(&bytes));

        for at in [0, 63, 64, 500, 999] {
            bytes[at] = 0x80;
            assert!(!is_zero(&bytes), "byte {at}");
            bytes[at] = 0;
        }
    }
}
