//! The lab's own switch: one process that carries Ethernet frames between its machines, without any privilege.
//!
//! A machine is plugged in by connecting to a socket in the file system; each frame follows its length (4 bytes,
//! big-endian), which is what QEMU's `-netdev stream` speaks. [`forward`] is the loop, [`table`] knows which hardware address is
//! behind which port, [`port`] holds what one machine has not read yet.
//!
//! The first machine that starts brings it up. It ends by itself soon after its last machine is gone, and then holds the
//! lab's lock: so it never ends between somebody's finding it and plugging in.

pub(crate) mod forward;
mod port;
mod table;

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;

use crate::error::Result;
use crate::home::{Home, Lock};
use crate::interrupt::Interrupt;
use crate::qemu::command_line::CommandLine;
use crate::qemu::process::{self, Patience};
use crate::qemu::socket;

/// The switch's name among processes and logs; no machine can have it.
pub(crate) const NAME: &str = "lab.switch";

/// Where the lab's switch listens.
pub(crate) fn socket(home: &Home) -> PathBuf {
    socket::fitting(home.root().join("network/switch.sock"))
}

/// Has the lab's switch running, and says where it listens.
///
/// # Errors
/// It does not start; the message has what it said.
pub(crate) fn ensure(home: &Home, _lock: &Lock, interrupt: &Interrupt) -> Result<PathBuf> {
    let socket = socket(home);
    let pid_file = home.pid_file(NAME);
    if let Some(running) = process::find(&pid_file)? {
        if UnixStream::connect(&socket).is_ok() {
            return Ok(socket);
        }
        // Somebody removed its socket; machines that are plugged in lose their network either way.
        running.end(STOP_PATIENCE)?;
    }
    socket::prepare(&socket)?;
    let program = std::env::current_exe().context("cannot tell where pvmlab is")?;
    let arguments =
        ["network-switch", "--socket"].map(str::to_owned).into_iter().chain([path_text(&socket)?]).collect();
    let mut starting = process::spawn(&CommandLine { program, arguments }, &pid_file, &home.log(NAME))?;
    starting.until(START_LIMIT, interrupt, || Ok(UnixStream::connect(&socket).ok().map(drop)))?;
    starting.keep();
    Ok(socket)
}

/// Ends the lab's switch, if it runs.
///
/// # Errors
/// It cannot be ended.
pub(crate) fn stop(home: &Home) -> Result<()> {
    if let Some(running) = process::find(&home.pid_file(NAME))? {
        running.end(STOP_PATIENCE)?;
    }
    socket::remove(&socket(home));
    Ok(())
}

fn path_text(path: &Path) -> Result<String> {
    Ok(path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))?.to_owned())
}

/// Generous: it takes milliseconds.
const START_LIMIT: Duration = Duration::from_secs(30);

/// It has nothing to save.
const STOP_PATIENCE: Patience = Patience { after_term: Duration::from_secs(5) };
