//! A machine that is switched on: an emulator process with a serial console.

use std::{
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, Result};

use crate::{
    console::Console,
    hardware::{Hardware, Link, QMP_SOCKET},
    process::{Process, bound, bound_without_privilege, until},
    qmp::Qmp,
};

/// A running machine, switched off when this is dropped. A test that panics gets the console's last lines on the way.
#[derive(Debug)]
pub struct Guest {
    process: Process,
    console: Console,
    socket: PathBuf,
}

impl Guest {
    /// Switches `hardware` on.
    ///
    /// # Errors
    /// The emulator or its firmware is not installed.
    pub fn power_on(hardware: &Hardware) -> Result<Self> {
        let (emulator, arguments) = hardware.command_line()?;
        let mut command = match hardware.link {
            Link::Tap(_) => bound(emulator),
            Link::User { .. } => bound_without_privilege(emulator),
        };
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = Process::start(emulator, &mut command)?;
        let output = process.child().stdout.take().context("the emulator has no standard output")?;
        let console = Console::follow(output, &hardware.folder().join("serial.log"))?;
        Ok(Self { process, console, socket: hardware.folder().join(QMP_SOCKET) })
    }

    /// Its serial console.
    pub fn console(&self) -> &Console {
        &self.console
    }

    /// Presses the power button (ACPI) and waits until the system has switched the machine off.
    ///
    /// # Errors
    /// The system did not do so within `limit`.
    pub fn power_down(mut self, limit: Duration) -> Result<ExitStatus> {
        self.qmp()?.execute("system_powerdown")?;
        self.process.wait(limit)
    }

    /// Presses the reset button.
    ///
    /// # Errors
    /// The emulator is gone.
    pub fn reset(&self) -> Result<()> {
        self.qmp()?.execute("system_reset").map(drop)
    }

    /// A connection to the emulator, which listens soon after its start.
    fn qmp(&self) -> Result<Qmp> {
        until(CONNECT_LIMIT, || Ok(Qmp::connect(&self.socket).ok()))?
            .with_context(|| format!("{} does not listen at {}", self.process, self.socket.display()))
    }
}

const CONNECT_LIMIT: Duration = Duration::from_secs(10);

impl Drop for Guest {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("\nThe console of {} showed last:\n{}\n", self.process, self.console.tail());
        }
    }
}
