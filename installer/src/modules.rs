//! Loads the drivers for what the machine has, with the initrd's own `modprobe`.
//!
//! Nobody else does: udev, which does it in a whole system, is not started. Every device says in its `modalias` what would
//! drive it, and a driver brings new devices (virtio_pci brings the interface that virtio_net drives), so the walk is
//! repeated until it finds nothing new.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::console::say;

/// Loads what there is a driver for, and waits until no more devices appear; returns how many kinds of device there are.
pub fn load() -> usize {
    let sys = Path::new("/sys");
    let mut known = BTreeSet::new();
    let started = Instant::now();
    let mut last_news = started;
    while last_news.elapsed() < QUIET && started.elapsed() < LONGEST {
        let new: Vec<_> = aliases(sys).difference(&known).cloned().collect();
        if new.is_empty() {
            thread::sleep(Duration::from_millis(20));
            continue;
        }
        probe(&new);
        known.extend(new);
        last_news = Instant::now();
    }
    known.len()
}

fn probe(aliases: &[String]) {
    for some in aliases.chunks(AT_ONCE) {
        // -a: all of them; -b: not those that the image forbids; -q: most aliases have no module, and need none.
        let mut modprobe = Command::new("modprobe");
        modprobe.args(["-a", "-b", "-q", "--"]).args(some).stdin(Stdio::null());
        match run(&mut modprobe, PATIENCE) {
            Ok(Ending::ByItself) => {}
            Ok(ending) => {
                let whether = if ending == Ending::Ended { "was ended" } else { "cannot be ended" };
                say(format_args!(
                    "modprobe did not end in {} s and {whether}; going on without some of these drivers: {}",
                    PATIENCE.as_secs(),
                    some.join(" ")
                ));
            }
            Err(error) => {
                say(format_args!("cannot run the initrd's modprobe ({error}): only drivers inside of the kernel work"));
                return;
            }
        }
    }
}

/// How a program came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// Whatever its status is.
    ByItself,
    /// It took too long.
    Ended,
    /// It took too long, and goes on: a driver that hangs does not hear signals.
    Never,
}

/// Runs a program, but no longer than `limit`.
fn run(command: &mut Command, limit: Duration) -> io::Result<Ending> {
    let mut child = command.spawn()?;
    if wait(&mut child, limit)? {
        return Ok(Ending::ByItself);
    }
    child.kill()?;
    Ok(if wait(&mut child, LAST_BREATH)? { Ending::Ended } else { Ending::Never })
}

fn wait(child: &mut Child, limit: Duration) -> io::Result<bool> {
    let deadline = Instant::now() + limit;
    loop {
        if child.try_wait()?.is_some() {
            return Ok(true);
        }
        if Instant::now() >= deadline {
            return Ok(false);
        }
        thread::sleep(Duration::from_millis(5));
    }
}

fn aliases(sys: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for device in devices(sys) {
        let alias = fs::read_to_string(device.join("modalias")).unwrap_or_default();
        if !alias.trim().is_empty() {
            found.insert(alias.trim().to_owned());
        }
    }
    found
}

/// `/sys/bus/*/devices/*`.
fn devices(sys: &Path) -> impl Iterator<Item = std::path::PathBuf> {
    let folder = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    folder(&sys.join("bus")).flat_map(move |bus| folder(&bus.join("devices")))
}

/// How long the list of devices has to stay the same.
const QUIET: Duration = Duration::from_millis(200);

/// When waiting ends in any case.
const LONGEST: Duration = Duration::from_secs(60);

/// How long one modprobe may take; under emulation a hundred drivers take some seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a killed program may take to be gone.
const LAST_BREATH: Duration = Duration::from_secs(5);

/// How many aliases go on one command line.
const AT_ONCE: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_does_not_end_is_ended() {
        let mut endless = Command::new("sleep");
        endless.arg("3600");

        assert_eq!(run(&mut endless, Duration::from_millis(50)).expect("sleep(1) starts"), Ending::Ended);
        assert_eq!(run(&mut Command::new("true"), Duration::from_secs(60)).expect("true(1) starts"), Ending::ByItself);
        assert!(run(&mut Command::new("/nowhere"), Duration::ZERO).is_err());
    }

    #[test]
    fn every_alias_counts_once() {
        let sys = tempfile::tempdir().expect("a folder");
        for (device, alias) in
            [("pci/devices/a", "pci:v1\n"), ("pci/devices/b", "pci:v1\n"), ("virtio/devices/c", "\n")]
        {
            let folder = sys.path().join("bus").join(device);
            fs::create_dir_all(&folder).expect("a folder");
            fs::write(folder.join("modalias"), alias).expect("a file");
        }

        assert_eq!(aliases(sys.path()), BTreeSet::from(["pci:v1".to_owned()]));
    }
}
