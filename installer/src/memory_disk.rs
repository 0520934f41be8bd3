//! A disk in memory, for a system that runs without one of the machine's.
//!
//! It is a file with holes, attached as a block device with partitions, on which the image is installed as on any disk. What is
//! left of it when the machine is switched off is nothing.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use lab_model::RemoteDisk;
use nix::mount::{MsFlags, mount};

use crate::loop_device;
use crate::memory;
use crate::size::Size;

/// Makes a file as long as a disk for this image has to be.
///
/// # Errors
/// The machine has not enough memory.
pub fn make(image: &RemoteDisk) -> Result<PathBuf> {
    let total = memory::total().context("the kernel does not say how much memory there is")?;
    let data = image.chunks.iter().filter(|chunk| !chunk.zero).count() as u64 * u64::from(image.chunk_size);
    // The running system needs some too.
    let needed = data + (256 << 20);
    if total.0 < needed {
        bail!("the machine has {total} of memory, and needs {} to run this image without a disk", Size(needed));
    }
    fs::create_dir_all(FOLDER).with_context(|| format!("cannot make {FOLDER}"))?;
    let options = Some("size=95%");
    mount(Some("tmpfs"), FOLDER, Some("tmpfs"), MsFlags::empty(), options)
        .context("cannot mount a file system in memory")?;
    let path = Path::new(FOLDER).join("disk");
    let file = File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
    // Room for the seed, and for the root file system to grow as far as there is memory.
    let size = image.raw_size.next_multiple_of(1 << 20) + SEED + total.0 / 4;
    file.set_len(size - size % (1 << 20)).with_context(|| format!("cannot make {}", path.display()))?;
    Ok(path)
}

/// Makes a block device of it, with its partitions.
///
/// # Errors
/// The initrd has no driver for that.
pub fn attach(path: &Path) -> Result<()> {
    // Where it is no module, it is there.
    let _ = Command::new("modprobe").args(["-q", "loop"]).status();
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    loop_device::attach(&file).context("cannot make a disk of memory, does the image's initrd have the module `loop`?")
}

const FOLDER: &str = "/pvmlab-memory";

/// More than any seed with its partition takes.
const SEED: u64 = 32 << 20;
