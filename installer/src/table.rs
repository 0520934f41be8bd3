//! The image's table of chunks, placed on the disk and in the file.

use lab_model::{InvalidChunks, Placed, RemoteDisk, Sha256, placed_chunks, validate_chunks};
use sha2::Digest;

use crate::record::Done;

/// Every chunk of an image, in the order of the disk.
#[derive(Debug)]
pub struct Table {
    /// The chunks.
    pub chunks: Vec<Placed>,
    /// What tells this disk's content from any other, however it is compressed into the same chunks.
    pub digest: Sha256,
}

impl Table {
    /// Reads the table out of the configuration.
    ///
    /// # Errors
    /// It does not describe a file of this length that holds a disk of that length.
    pub fn new(image: &RemoteDisk) -> Result<Self, InvalidChunks> {
        let RemoteDisk { size, raw_size, chunk_size, chunks, .. } = image;
        validate_chunks(chunks, *chunk_size, *size, *raw_size)?;
        let mut hash = sha2::Sha256::new();
        hash.update(raw_size.to_le_bytes());
        hash.update(chunk_size.to_le_bytes());
        chunks.iter().for_each(|chunk| hash.update(chunk.sha256.0));
        let chunks = placed_chunks(chunks, *chunk_size, *raw_size).collect();
        Ok(Self { chunks, digest: Sha256(hash.finalize().into()) })
    }

    /// How much of the disk these chunks are, in bytes.
    pub fn length(&self, chunks: &Done) -> u64 {
        let inside = self.chunks.iter().enumerate().filter(|(at, _)| chunks.contains(*at));
        inside.map(|(_, chunk)| u64::from(chunk.length)).sum()
    }
}
