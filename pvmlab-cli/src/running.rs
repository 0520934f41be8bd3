//! Which machines run: a number in a file is believed only if that process is this machine's emulator.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::error::{Failure, Kind, Result};
use crate::home::Home;

/// Whether the machine's emulator runs.
pub(crate) fn is_running(home: &Home, name: &str) -> bool {
    process(home, name).is_some()
}

/// Ends the machine's emulator, if it runs: TERM, which it obeys at once, then KILL. Whether it ran.
///
/// # Errors
/// It does not end, or belongs to somebody else.
pub(crate) fn end(home: &Home, name: &str) -> Result<bool> {
    let Some(pid) = process(home, name) else {
        return crate::removal::remove_path(&home.pid_file(name));
    };
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        if kill(pid, signal).is_err() || ended(home, name) {
            break;
        }
    }
    if is_running(home, name) {
        return Err(Failure::new(Kind::Failed, format!("process {pid} of `{name}` does not end"))
            .hinted(format!("end it with `kill -9 {pid}`, then try again")));
    }
    crate::removal::remove_path(&home.pid_file(name))?;
    Ok(true)
}

/// How long a process may take to obey a signal.
const PATIENCE: Duration = Duration::from_secs(5);

fn ended(home: &Home, name: &str) -> bool {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        if !is_running(home, name) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    false
}

/// The process whose command line names this home and this name.
fn process(home: &Home, name: &str) -> Option<Pid> {
    let text = fs::read_to_string(home.pid_file(name)).ok()?;
    let pid: i32 = match serde_json::from_str::<serde_json::Value>(&text).ok()? {
        serde_json::Value::Number(pid) => pid.as_i64()?,
        record => record.get("pid")?.as_i64()?,
    }
    .try_into()
    .ok()?;
    let ps =
        Command::new("ps").args(["-ww", "-o", "stat=,args=", "-p", &pid.to_string()]).stderr(Stdio::null()).output();
    let said = String::from_utf8(ps.ok()?.stdout).ok()?;
    let (state, arguments) = said.trim_start().split_once(' ')?;
    let ours = arguments.contains(&*home.root().to_string_lossy()) && arguments.contains(name);
    (ours && !state.starts_with('Z') && pid > 1).then(|| Pid::from_raw(pid))
}
