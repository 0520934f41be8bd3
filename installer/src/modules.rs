//! Loads the drivers for what the machine has, with the initrd's own `modprobe`.
//!
//! Nobody else does: udev, which does it in a whole system, is not started. Every device says in its `modalias` what would
//! drive it, and a driver brings new devices (virtio_pci brings the interface that virtio_net drives), so the walk is
//! repeated until it finds nothing new.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
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

/// Network and storage controllers that no driver has taken, as `network controller 8086:1533 at 0000:01:00.0`.
pub fn undriven() -> Vec<String> {
    undriven_in(Path::new("/sys"))
}

fn probe(aliases: &[String]) {
    for some in aliases.chunks(AT_ONCE) {
        // -a: all of them; -b: not those that the image forbids; -q: most aliases have no module, and need none.
        let status = Command::new("modprobe").args(["-a", "-b", "-q", "--"]).args(some).stdin(Stdio::null()).status();
        if let Err(error) = status {
            say(format_args!("cannot run the initrd's modprobe ({error}): only drivers inside of the kernel work"));
            return;
        }
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

fn undriven_in(sys: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(sys.join("bus/pci/devices")).into_iter().flatten().flatten() {
        let folder = entry.path();
        let read = |file: &str| fs::read_to_string(folder.join(file)).unwrap_or_default().trim().to_owned();
        // PCI Code and ID Assignment §1: the class is the first byte of three.
        let kind = match read("class").get(..4) {
            Some("0x01") => "storage",
            Some("0x02") => "network",
            _ => continue,
        };
        if !folder.join("driver").exists() {
            let id = |file| read(file).trim_start_matches("0x").to_owned();
            let place = entry.file_name();
            found.push(format!("{kind} controller {}:{} at {}", id("vendor"), id("device"), place.to_string_lossy()));
        }
    }
    found.sort();
    found
}

/// How long the list of devices has to stay the same.
const QUIET: Duration = Duration::from_millis(200);

/// When waiting ends in any case.
const LONGEST: Duration = Duration::from_secs(60);

/// How many aliases go on one command line.
const AT_ONCE: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_controller_without_a_driver_is_named() {
        let sys = tempfile::tempdir().expect("a folder");
        let put = |device: &str, class: &str, driver: bool| {
            let folder = sys.path().join("bus/pci/devices").join(device);
            fs::create_dir_all(if driver { folder.join("driver") } else { folder.clone() }).expect("a folder");
            for (file, text) in [("class", class), ("vendor", "0x8086"), ("device", "0x1533")] {
                fs::write(folder.join(file), format!("{text}\n")).expect("a file");
            }
        };
        put("0000:00:01.0", "0x020000", false);
        put("0000:00:02.0", "0x010802", true);
        put("0000:00:03.0", "0x030000", false);

        assert_eq!(undriven_in(sys.path()), ["network controller 8086:1533 at 0000:00:01.0"]);
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
