//! Switching machines on and off.

use std::time::Duration;

use lab_model::{Arch, MachineName};

use super::accelerator::Acceleration;
use super::command_line::{Guest, Platform, command_line};
use super::emulator::Emulator;
use super::firmware::Firmware;
use super::process::{self, End, Patience, Running};
use super::qmp::{ANSWER_LIMIT, Qmp};
use super::socket;
use crate::error::{Failure, Kind, Result};
use crate::home::{Home, Lock};
use crate::host::Host;
use crate::interrupt::Interrupt;
use crate::network::Network;

/// How a machine was switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Off {
    /// It was off.
    Already,
    /// Its system shut down when the power button was pressed.
    ShutDown,
    /// Its system did not hear the button: its power was taken away, and QEMU wrote what it held.
    Terminated,
    /// QEMU had to be killed.
    Killed,
}

/// How long a machine may take to go off.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OffPatience {
    /// From the power button to SIGTERM.
    pub(crate) after_button: Duration,
    /// From SIGTERM to SIGKILL.
    pub(crate) after_term: Duration,
}

impl OffPatience {
    /// For a machine whose disk is about to go: it need not shut down.
    pub(crate) const NONE: Self = Self { after_button: Duration::ZERO, after_term: Duration::from_secs(5) };
}

impl Default for OffPatience {
    fn default() -> Self {
        Self { after_button: Duration::from_secs(10), after_term: Duration::from_secs(5) }
    }
}

impl Platform {
    /// What this host runs machines of this architecture on.
    ///
    /// # Errors
    /// QEMU or firmware is not installed.
    pub(crate) fn find(arch: Arch, host: &Host, home: &Home, interrupt: &Interrupt) -> Result<Self> {
        let emulator = Emulator::find(arch, host)?;
        let firmware = Firmware::find(arch, host)?;
        let acceleration = Acceleration::choose(arch, host, &emulator, &firmware, home, interrupt)?;
        Ok(Self { emulator, firmware, acceleration })
    }
}

/// The machine's process, if it is on.
///
/// # Errors
/// Its PID file cannot be read.
pub(crate) fn running(home: &Home, name: &MachineName) -> Result<Option<Running>> {
    process::find(&home.pid_file(name.as_str()))
}

/// Asked before anything that takes a machine that is on.
///
/// # Errors
/// The machine is off.
pub(crate) fn require_running(home: &Home, name: &MachineName) -> Result<()> {
    if running(home, name)?.is_some() {
        return Ok(());
    }
    Err(Failure::new(Kind::Conflict, format!("machine `{name}` is not running"))
        .hinted(format!("start it with `pvmlab vm start {name}`; what it printed is in `pvmlab vm logs {name}`")))
}

/// Asked before anything is prepared for a start.
///
/// # Errors
/// The machine is on already.
pub(crate) fn refuse_running(home: &Home, name: &MachineName) -> Result<()> {
    let Some(running) = running(home, name)? else { return Ok(()) };
    let message = format!("machine `{name}` is running already (process {})", running.pid());
    Err(Failure::new(Kind::Conflict, message)
        .hinted(format!("look at it with `pvmlab vm console {name}`, or stop it with `pvmlab vm stop {name}`")))
}

/// Switches a machine on: it runs when this comes back, or nothing of it is left.
///
/// # Errors
/// It is on already, QEMU refuses (the message has what it said), or an interruption.
pub(crate) fn on(guest: &Guest, platform: &Platform, home: &Home, _lock: &Lock, interrupt: &Interrupt) -> Result<()> {
    refuse_running(home, &guest.name)?;
    interrupt.check()?;
    platform.firmware.copy_variables(&guest.variables)?;
    socket::prepare(&guest.monitor)?;
    socket::prepare(&guest.console)?;
    let line = command_line(guest, platform);
    let pid_file = home.pid_file(guest.name.as_str());
    let log = home.log(&log_name(&guest.name));
    let mut starting = process::spawn(&line, &pid_file, &log)?;
    // Who answers here is past everything that a start can fail by.
    let started = starting.until(START_LIMIT, interrupt, || {
        Ok(Qmp::connect(&guest.monitor, ANSWER_LIMIT).and_then(|mut qmp| qmp.status()).ok())
    });
    let started = started.and_then(|_| Network::plug(&guest.lan)).inspect_err(|_| {
        socket::remove(&guest.monitor);
        socket::remove(&guest.console);
    });
    started.map_err(|failure| failure.hinted(format!("what QEMU printed is in {}", log.display())))?;
    starting.keep();
    Ok(())
}

/// Switches a machine off: by its power button, then by taking its power away.
///
/// # Errors
/// Its process is somebody else's, or cannot be ended.
pub(crate) fn off(home: &Home, name: &MachineName, patience: OffPatience) -> Result<Off> {
    let (monitor, console) = (socket::monitor(home, name), socket::console(home, name));
    let how = match running(home, name)? {
        None => Off::Already,
        Some(running) => {
            // QEMU that does not answer ends as any other process does.
            let pressed = Qmp::connect(&monitor, QUICK_ANSWER).and_then(|mut qmp| qmp.execute("system_powerdown"));
            if pressed.is_ok() && running.wait(patience.after_button) {
                running.forget()?;
                Off::ShutDown
            } else {
                match running.end(Patience { after_term: patience.after_term })? {
                    End::Terminated => Off::Terminated,
                    End::Killed => Off::Killed,
                }
            }
        }
    };
    socket::remove(&monitor);
    socket::remove(&console);
    Ok(how)
}

/// The log of a machine's QEMU; its console's has the machine's own name.
pub(crate) fn log_name(name: &MachineName) -> String {
    format!("{name}.qemu")
}

/// QEMU is there in a second; a busy host may take many.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Of a QEMU that has nothing else to do than to run its guest.
const QUICK_ANSWER: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;
