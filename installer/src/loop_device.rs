//! A file as a block device with partitions (loop(4)); no crate wraps it.
#![allow(unsafe_code)]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;

/// Attaches `file` to a free device, and has the kernel read its partition table.
///
/// # Errors
/// The kernel has no such devices, or does not take the file.
pub fn attach(file: &File) -> io::Result<()> {
    let control = OpenOptions::new().read(true).write(true).open("/dev/loop-control")?;
    // SAFETY: the descriptor is open for the call, which takes no argument.
    let number = unsafe { free_device(control.as_raw_fd()) }?;
    let device = OpenOptions::new().read(true).write(true).open(format!("/dev/loop{number}"))?;
    let configuration = Configuration {
        file: u32::try_from(file.as_raw_fd()).map_err(io::Error::other)?,
        sector: 512,
        info: Info { flags: READ_PARTITIONS, ..Info::default() },
        reserved: [0; 8],
    };
    // SAFETY: both descriptors are open for the call, and the structure is laid out as the kernel's `loop_config`, which only reads it.
    unsafe { configure(device.as_raw_fd(), &configuration) }?;
    Ok(())
}

nix::ioctl_none_bad! {
    /// `LOOP_CTL_GET_FREE`: the number of a device that nobody uses.
    free_device, 0x4c82
}

nix::ioctl_write_ptr_bad! {
    /// `LOOP_CONFIGURE`: a device becomes a file's.
    configure, 0x4c0a, Configuration
}

/// `LO_FLAGS_PARTSCAN` of linux/loop.h.
const READ_PARTITIONS: u32 = 8;

/// `struct loop_config` of linux/loop.h.
#[repr(C)]
struct Configuration {
    file: u32,
    sector: u32,
    info: Info,
    reserved: [u64; 8],
}

/// `struct loop_info64` of linux/loop.h.
#[repr(C)]
struct Info {
    places: [u64; 5],
    number: u32,
    encryption: [u32; 2],
    flags: u32,
    names: [[u8; 64]; 2],
    key: [u8; 32],
    init: [u64; 2],
}

impl Default for Info {
    fn default() -> Self {
        Self {
            places: [0; 5],
            number: 0,
            encryption: [0; 2],
            flags: 0,
            names: [[0; 64]; 2],
            key: [0; 32],
            init: [0; 2],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_structures_are_as_long_as_the_kernels() {
        assert_eq!((size_of::<Info>(), size_of::<Configuration>()), (232, 304));
    }
}
