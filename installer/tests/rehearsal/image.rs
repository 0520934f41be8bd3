//! Disk images and seeds that are made up for a test.

use std::io::Cursor;

use gptman::{GPT, GPTPartitionEntry};
use lab_model::Chunk;

use crate::lab::digest;

pub(crate) const MIB: usize = 1 << 20;

/// An image of 8 MiB: boot code, a small partition, and a larger one with data, holes and a hole that is too small to matter.
pub(crate) fn disk_image() -> Vec<u8> {
    let mut disk = vec![0; 8 * MIB];
    let mut gpt = GPT::new_from(&mut Cursor::new(&mut disk), 512, [7; 16]).expect("room for a table");
    gpt[1] = partition(1, MIB, 2 * MIB);
    gpt[14] = partition(14, 2 * MIB, 7 * MIB + 300 * 512);
    GPT::write_protective_mbr_into(&mut Cursor::new(&mut disk), 512).expect("room for an MBR");
    gpt.write_into(&mut Cursor::new(&mut disk)).expect("room for a table");
    disk[..16].copy_from_slice(b"\xeb\x63boot code here");
    noise(&mut disk[MIB..MIB + 100_000], 1);
    noise(&mut disk[2 * MIB..4 * MIB + 5000], 2);
    noise(&mut disk[4 * MIB + 9000..4 * MIB + 9100], 3);
    noise(&mut disk[7 * MIB..7 * MIB + 300 * 512], 4);
    disk
}

/// The least of an ISO 9660 image that is recognised as a seed.
pub(crate) fn seed() -> Vec<u8> {
    let mut seed = vec![0; 60 * 1024];
    seed[32768..32774].copy_from_slice(b"\x01CD001");
    seed[32808..32840].copy_from_slice(b"cidata                          ");
    noise(&mut seed[40_000..50_000], 5);
    seed
}

/// A disk as a row of frames, one for each MiB, and their table.
pub(crate) fn compress(raw: &[u8]) -> (Vec<u8>, Vec<Chunk>) {
    let frames: Vec<_> = raw.chunks(MIB).map(|part| zstd::encode_all(part, 1).expect("it can be compressed")).collect();
    let table = frames.iter().zip(raw.chunks(MIB)).map(|(frame, part)| Chunk {
        size: frame.len() as u32,
        sha256: digest(frame),
        zero: part.iter().all(|byte| *byte == 0),
    });
    (frames.concat(), table.collect())
}

/// Bytes without a pattern that are the same in every run (xorshift64).
pub(crate) fn noise(bytes: &mut [u8], number: u64) {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for byte in bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        *byte = state as u8;
    }
}

fn partition(number: u8, start: usize, end: usize) -> GPTPartitionEntry {
    GPTPartitionEntry {
        partition_type_guid: [0xaa; 16],
        unique_partition_guid: [number; 16],
        starting_lba: start as u64 / 512,
        ending_lba: end as u64 / 512 - 1,
        attribute_bits: 0,
        partition_name: "part".into(),
    }
}
