//! The cloud-init seed: an ISO 9660 image that becomes a partition of the disk.
//!
//! cloud-init's NoCloud looks for a file system labelled `cidata` on any partition. The image is written as it is, because
//! the initrd need not have a driver for any file system.

use anyhow::{Result, bail};
use lab_model::RemoteFile;
use ureq::Agent;

use crate::partition::Layout;
use crate::{Block, Device, Patience, fetch};

/// Fetches the seed and checks that it is one.
///
/// # Errors
/// It cannot be fetched, is not what its digest says, or is no ISO 9660 image that cloud-init would find.
pub fn fetch(agent: &Agent, file: &RemoteFile, patience: Patience) -> Result<Vec<u8>> {
    let seed = fetch::file(agent, file, LONGEST, patience)?;
    let descriptor = seed.get(DESCRIPTOR..DESCRIPTOR + 2048).unwrap_or_default();
    let label = descriptor.get(LABEL..LABEL + 32).unwrap_or_default();
    if descriptor.get(1..6) != Some(b"CD001") || !label.trim_ascii_end().eq_ignore_ascii_case(b"cidata") {
        bail!(
            "{}: expected an ISO 9660 image with volume label `cidata`, cloud-init would not find this one",
            file.url
        );
    }
    Ok(seed)
}

/// Writes the seed into its partition, whose rest reads as zeros.
///
/// # Errors
/// The disk does not take it.
pub fn write(device: &mut Device, seed: &[u8], layout: &Layout) -> Result<()> {
    let length = layout.seed.end - layout.seed.start;
    let mut partition = Block::zeroed(length as usize);
    partition[..seed.len()].copy_from_slice(seed);
    device.write(&partition, layout.seed.start)?;
    device.flush()
}

/// Seeds are some hundred KiB; one that is larger than this would not be held in memory beside everything else.
const LONGEST: u64 = 16 << 20;

/// ECMA-119 §6.2.1 and §8.4: the primary volume descriptor is the 16th sector of 2048 bytes.
const DESCRIPTOR: usize = 16 * 2048;

/// ECMA-119 §8.4.7: the volume identifier in its descriptor, 32 bytes filled up with spaces.
const LABEL: usize = 40;
