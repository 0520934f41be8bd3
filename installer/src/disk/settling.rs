//! When the list of disks is complete: a controller finds its disks after its driver is loaded, and tells nobody that it is done.

use std::fs;
use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use lab_model::DiskName;

use super::{Disk, scan};
use crate::console::say;

/// Waits until the disk to install on can be chosen, and lists all disks.
///
/// The kernel's own name of a disk is enough as soon as it is there. Anything else has to wait until no more disks appear, because the
/// first disk must not be taken for the only one.
///
/// # Errors
/// The kernel's list cannot be read.
pub fn wait(wanted: Option<&DiskName>) -> io::Result<Vec<Disk>> {
    let sys = Path::new("/sys");
    let mut settling = Settling::new(Instant::now());
    let mut said = false;
    loop {
        let pace = Pace::of(sys);
        let disks = scan(sys, &fs::read_to_string("/proc/self/mountinfo").unwrap_or_default())?;
        if settling.is_complete(&disks, wanted, pace, Instant::now()) {
            return Ok(disks);
        }
        if pace == Pace::SCSI && !said {
            say(format_args!("waiting until no more disks appear for {} s", pace.quiet.as_secs()));
            said = true;
        }
        thread::sleep(INTERVAL);
    }
}

/// How quickly the controllers of this machine show what they have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pace {
    /// How long the list has to stay the same.
    quiet: Duration,
    /// How long to wait for a disk at all.
    patience: Duration,
}

impl Pace {
    /// Virtio, NVMe, MMC: the disks are there when the driver is, or an instant later.
    const PROMPT: Self = Self { quiet: Duration::from_millis(300), patience: Duration::from_secs(30) };

    /// Host adapters scan their buses and wake their disks one after the other, in a thread that outlives the driver's loading.
    const SCSI: Self = Self { quiet: Duration::from_secs(10), patience: Duration::from_secs(90) };

    fn of(sys: &Path) -> Self {
        let adapters = fs::read_dir(sys.join("class/scsi_host")).into_iter().flatten().flatten().next();
        if adapters.is_some() { Self::SCSI } else { Self::PROMPT }
    }
}

/// What was seen so far.
#[derive(Debug)]
struct Settling {
    started: Instant,
    changed: Instant,
    seen: Vec<Disk>,
}

impl Settling {
    fn new(now: Instant) -> Self {
        Self { started: now, changed: now, seen: Vec::new() }
    }

    /// Takes the list as it is `now`, and says whether that is enough to choose from.
    fn is_complete(&mut self, disks: &[Disk], wanted: Option<&DiskName>, pace: Pace, now: Instant) -> bool {
        if disks != self.seen {
            self.seen = disks.to_vec();
            self.changed = now;
        }
        let (there, at_once) = match wanted {
            None => (disks.iter().any(|disk| disk.obstacle.is_none()), false),
            Some(wanted) => (disks.iter().any(|disk| disk.is(wanted)), matches!(wanted, DiskName::Kernel(_))),
        };
        let quiet = now - self.changed >= pace.quiet;
        (there && (quiet || at_once)) || now - self.started >= pace.patience
    }
}

const INTERVAL: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_comes_late_is_waited_for() {
        let (start, mut settling) = begin();
        let (one, two) = ([disk("sda")], [disk("sda"), disk("sdb")]);
        let mut complete = |disks: &[_], at| settling.is_complete(disks, None, Pace::SCSI, start + seconds(at));

        assert!(!complete(&[], 0.0));
        assert!(!complete(&one, 3.0));
        assert!(!complete(&one, 12.9));
        assert!(!complete(&two, 12.95));
        assert!(!complete(&two, 22.9));
        assert!(complete(&two, 22.95));
    }

    #[test]
    fn a_disk_without_a_scsi_bus_is_soon_the_only_one() {
        let (start, mut settling) = begin();
        let disks = [disk("vda")];

        assert!(!settling.is_complete(&disks, None, Pace::PROMPT, start));
        assert!(settling.is_complete(&disks, None, Pace::PROMPT, start + seconds(0.3)));
    }

    #[test]
    fn a_named_disk_is_waited_for_and_a_device_file_suffices_at_once() {
        let (start, mut settling) = begin();
        let disks = [disk("sda")];
        let mut complete = |wanted: &str, at| {
            let wanted = wanted.parse().expect("the name of a disk");
            settling.is_complete(&disks, Some(&wanted), Pace::SCSI, start + seconds(at))
        };

        assert!(complete("/dev/sda", 0.0));
        assert!(!complete("serial:sda", 9.9));
        assert!(complete("serial:sda", 10.0));
        assert!(!complete("/dev/sdb", 89.0));
        assert!(complete("/dev/sdb", 90.0));
    }

    #[test]
    fn the_first_host_adapter_slows_it_down() {
        let sys = tempfile::tempdir().expect("a folder");
        assert_eq!(Pace::of(sys.path()), Pace::PROMPT);

        fs::create_dir_all(sys.path().join("class/scsi_host")).expect("a folder");
        assert_eq!(Pace::of(sys.path()), Pace::PROMPT);

        fs::create_dir(sys.path().join("class/scsi_host/host0")).expect("a folder");
        assert_eq!(Pace::of(sys.path()), Pace::SCSI);
    }

    fn begin() -> (Instant, Settling) {
        let start = Instant::now();
        (start, Settling::new(start))
    }

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    /// A disk whose serial number is its name.
    fn disk(name: &str) -> Disk {
        Disk {
            name: name.to_owned(),
            size: 1 << 30,
            model: String::new(),
            serial: name.to_owned(),
            wwid: String::new(),
            sector: 512,
            obstacle: None,
        }
    }
}
