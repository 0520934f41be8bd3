//! A machine that is switched on: an emulator process with a serial console.

use std::{
    io::Write as _,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, Result};
use serde_json::json;

use crate::{
    console::Console,
    hardware::{Hardware, Link, QMP_SOCKET},
    logs,
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
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Process::start(emulator, &mut command)?;
        let output = process.child().stdout.take().context("the emulator has no standard output")?;
        let logs = logs::folder().unwrap_or_else(|| hardware.folder().to_owned());
        let console = Console::follow(output, &logs.join(format!("serial-{}.log", hardware.mac).replace(':', "-")))?;
        Ok(Self { process, console, socket: hardware.folder().join(QMP_SOCKET) })
    }

    /// Its serial console.
    pub fn console(&self) -> &Console {
        &self.console
    }

    /// The emulator's process number.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Waits until the system has switched the machine off by itself.
    ///
    /// # Errors
    /// It did not do so within `limit`.
    pub fn wait_until_off(mut self, limit: Duration) -> Result<ExitStatus> {
        self.process.wait(limit)
    }

    /// Presses one key on the serial console.
    ///
    /// # Errors
    /// The emulator is gone.
    pub fn press(&mut self, key: char) -> Result<()> {
        let keyboard = self.process.child().stdin.as_mut().context("the emulator has no standard input")?;
        keyboard.write_all(key.encode_utf8(&mut [0; 4]).as_bytes()).context("cannot type on the console")
    }

    /// Types `line` behind a prompt on the serial console, no faster than it is shown there: a UART keeps 16 characters, and
    /// firmware seldom looks.
    ///
    /// # Errors
    /// The emulator is gone, or a character is not shown within `limit`.
    pub fn type_line(&mut self, prompt: &str, line: &str, limit: Duration) -> Result<()> {
        let mut shown = prompt.to_owned();
        self.console.wait_for(&shown, limit)?;
        for key in line.chars() {
            self.press(key)?;
            shown.push(key);
            self.console.wait_for(&shown, limit)?;
        }
        self.press('\n')
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

    /// Pulls the cable out of the machine's card, or puts it in again.
    ///
    /// # Errors
    /// The emulator is gone.
    pub fn cable(&self, is_in: bool) -> Result<()> {
        self.qmp()?.execute_with("set_link", &json!({ "name": CARD, "up": is_in })).map(drop)
    }

    /// A connection to the emulator, which listens soon after its start.
    fn qmp(&self) -> Result<Qmp> {
        until(CONNECT_LIMIT, || Ok(Qmp::connect(&self.socket).ok()))?
            .with_context(|| format!("{} does not listen at {}", self.process, self.socket.display()))
    }
}

/// QEMU's name of the card's other end.
const CARD: &str = "lab";

const CONNECT_LIMIT: Duration = Duration::from_secs(10);

impl Drop for Guest {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let (tail, log) = (self.console.tail(), self.console.log().display());
            eprintln!("\nThe console of {} showed last:\n{tail}\n\nEverything that it showed: {log}\n", self.process);
        }
    }
}
