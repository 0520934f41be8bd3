//! Lines on the machine's console.

use std::fmt;
use std::io::Write;

/// Writes a line on the console, after the installer's name so that it stands out between the kernel's.
///
/// A console that cannot be written to (a serial line that is hung up) is no reason to stop.
pub fn say(line: impl fmt::Display) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "pvmlab-installer: {line}").and_then(|()| out.flush());
}
