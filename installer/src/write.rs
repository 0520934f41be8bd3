//! Writes the image to the disk in an order that never leaves anything bootable before its time.
//!
//! First the disk's old tables are destroyed at both ends, so that what is on it can no longer boot. Then everything but the
//! first megabyte is written. That megabyte, with the boot code, the protective MBR and the primary table, waits in memory
//! until [`commit`], which the caller calls when all has been verified and written.

use anyhow::Result;

use crate::occupant::is_zero;
use crate::partition::{HEAD, Layout};
use crate::{Block, Device};

/// Removes every partition table and boot sector that the disk had, and the signatures that arrays and pools keep at its end.
///
/// # Errors
/// The disk does not take it.
pub fn destroy(device: &mut Device, layout: &Layout) -> Result<()> {
    device.zero(0..HEAD as u64)?;
    let end = device.size() - device.size() % 512;
    device.zero(layout.seed.start..end)?;
    device.flush()
}

/// Writes what the image has from byte `at` on, all but what makes the disk bootable.
///
/// # Errors
/// The disk does not take it.
pub fn image(device: &mut Device, layout: &Layout, block: &mut [u8], at: u64) -> Result<()> {
    // Where its last partition ends, its own backup table follows, which has no place on this disk; then comes the seed.
    let inside = length_before(layout.image_end, at, block.len());
    block[inside..].fill(0);
    let end = length_before(layout.seed.start, at, block.len());
    let mut from = length_before(HEAD as u64, at, end);
    while from < end {
        let zero = is_zero(piece(block, from, end));
        let mut to = from + piece(block, from, end).len();
        while to < end && is_zero(piece(block, to, end)) == zero {
            to += piece(block, to, end).len();
        }
        if zero {
            device.zero(at + from as u64..at + to as u64)?;
        } else {
            device.write(&block[from..to], at + from as u64)?;
        }
        from = to;
    }
    Ok(())
}

/// Makes `length` bytes from `at` on read as zeros, as far as they are the image's.
///
/// # Errors
/// The disk does not take it.
pub fn zeros(device: &mut Device, layout: &Layout, length: u64, at: u64) -> Result<()> {
    device.zero(at.max(HEAD as u64)..(at + length).min(layout.seed.start))
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

/// How much of `length` bytes from `at` on lies before `limit`.
fn length_before(limit: u64, at: u64, length: usize) -> usize {
    usize::try_from(limit.saturating_sub(at)).unwrap_or(usize::MAX).min(length)
}

fn piece(block: &[u8], from: usize, end: usize) -> &[u8] {
    &block[from..end.min(from + PIECE)]
}

/// What is looked at for zeros at once: smaller holes are written as they are, because a call to the disk costs more.
const PIECE: usize = 64 * 1024;
