//! The one system call that no crate wraps.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use nix::libc::{SYS_kexec_file_load, c_long, c_ulong, syscall};

/// Loads a kernel with its initrd and command line, for the next reboot (kexec_file_load(2)).
///
/// # Errors
/// The kernel cannot do it (`ENOSYS`), does not trust the other kernel (`EKEYREJECTED`), or cannot read it (`ENOEXEC`).
pub fn load(kernel: &File, initrd: &File, arguments: &str) -> io::Result<()> {
    let arguments = CString::new(arguments)?;
    let length = arguments.as_bytes_with_nul().len() as c_ulong;
    // SAFETY: both descriptors are open for the whole call, and `length` is the length of the string that the pointer is to,
    // its final zero included; the kernel only reads them, and keeps neither.
    let result = unsafe {
        syscall(
            SYS_kexec_file_load,
            c_long::from(kernel.as_raw_fd()),
            c_long::from(initrd.as_raw_fd()),
            length,
            arguments.as_ptr(),
            NO_FLAGS,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

const NO_FLAGS: c_ulong = 0;
