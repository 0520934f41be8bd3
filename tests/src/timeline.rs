//! A machine's events as a table for people.

use std::fmt::Write as _;

use jiff::Timestamp;
use lab_model::{Event, FetchedFile, Firmware, Phase, What};

/// One line for each event, with the seconds since the first one and since the one before.
///
/// Progress within a phase is left out.
pub fn table(events: &[Event]) -> String {
    let mut text = String::new();
    let Some(first) = events.first() else {
        return "nothing".to_owned();
    };
    let mut before = first.at;
    for event in events.iter().filter(|event| !is_progress(&event.what)) {
        let who = event.machine.as_ref().map_or_else(|| event.mac.to_string(), ToString::to_string);
        let line = (seconds(first.at, event.at), seconds(before, event.at), describe(&event.what));
        writeln!(text, "{:>8.2} s {:>+8.2} s  {who:<17}  {}", line.0, line.1, line.2)
            .expect("a String takes all that is written");
        before = event.at;
    }
    text.truncate(text.trim_end().len());
    text
}

/// Seconds from `start` to `end`.
pub fn seconds(start: Timestamp, end: Timestamp) -> f64 {
    end.duration_since(start).as_secs_f64()
}

/// What happened, in a few words.
pub fn describe(what: &What) -> String {
    match what {
        What::Offer { address, firmware } => format!("{} is offered {address}", asker(*firmware)),
        What::Ack { address, firmware } => format!("{} has {address}", asker(*firmware)),
        What::Directed { firmware } => format!("{} is told what to boot", asker(*firmware)),
        What::Elsewhere { address, firmware, server } => {
            let server = server.map_or_else(|| "another server".to_owned(), |server| server.to_string());
            format!("{} takes {address} from {server}", asker(*firmware))
        }
        What::Class { name, .. } => format!("is of the class `{name}`"),
        What::Nak { address, reason } => format!("is refused {address}: {reason}"),
        What::Decline { address, holder: Some(holder) } => format!("does not get {address}, which {holder} has"),
        What::Decline { address, holder: None } => format!("found {address} in use"),
        What::Transfer { file, bytes, milliseconds } => format!("fetched {file}: {bytes} bytes in {milliseconds} ms"),
        What::TransferFailed { file, reason, .. } => format!("did not get {file}: {reason}"),
        What::Url => "is told a URL".to_owned(),
        What::Quirk { name } => format!("has firmware with the fault {name}"),
        What::StepDown { to, reason } => format!("is served more gently ({to}): {reason}"),
        What::Script { boot } => format!("iPXE has its script: {boot}"),
        What::Once { .. } => "has what it was to boot once".to_owned(),
        What::Fetch { file, bytes } => format!("fetched {}: {bytes} bytes", fetched(*file)),
        What::FetchAborted { file, bytes } => format!("broke off fetching {} after {bytes} bytes", fetched(*file)),
        What::FetchRefused { file, reason } => format!("was refused {}: {reason}", fetched(*file)),
        What::Installer(report) => {
            let mut text = format!("installer: {}", phase(report.phase));
            if let Some(percent) = report.percent {
                write!(text, " {percent} %").expect("a String takes all that is written");
            }
            for detail in report.detail.iter().chain(&report.failure) {
                write!(text, ": {detail}").expect("a String takes all that is written");
            }
            text
        }
        What::Up => "is up".to_owned(),
    }
}

fn is_progress(what: &What) -> bool {
    matches!(what, What::Installer(report) if report.failure.is_none() && matches!(report.percent, Some(1..=99)))
}

fn asker(firmware: Firmware) -> &'static str {
    match firmware {
        Firmware::Bios => "BIOS",
        Firmware::UefiX64 | Firmware::UefiArm64 => "UEFI",
        Firmware::HttpX64 | Firmware::HttpArm64 => "UEFI HTTP Boot",
        Firmware::Ipxe => "iPXE",
        Firmware::Installer => "the installer",
        Firmware::Os => "an operating system",
        Firmware::Unsupported => "unknown firmware",
    }
}

fn fetched(file: FetchedFile) -> &'static str {
    match file {
        FetchedFile::BootProgram => "iPXE",
        FetchedFile::Kernel => "the kernel",
        FetchedFile::Initrd => "the initial RAM file system",
        FetchedFile::Installer => "the installer",
        FetchedFile::Disk => "the disk image",
        FetchedFile::ImageFile => "a further file of the image",
        FetchedFile::Seed => "the seed",
    }
}

fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Start => "started",
        Phase::Network => "has its address",
        Phase::Config => "knows what to install",
        Phase::Disk => "chose the disk",
        Phase::Write => "writes the image",
        Phase::Verify => "has verified the image",
        Phase::Seed => "wrote the seed",
        Phase::Finish => "made the disk bootable",
        Phase::Boot => "starts the installed system",
    }
}

#[cfg(test)]
mod tests {
    use lab_model::{InstallerReport, MacAddr};

    use super::*;

    #[test]
    fn a_line_has_the_time_since_the_start_and_since_the_line_before() {
        let report =
            |percent| InstallerReport { phase: Phase::Write, percent: Some(percent), failure: None, detail: None };
        let events = [
            event(0, What::Ack { address: [10, 77, 0, 10].into(), firmware: Firmware::UefiArm64 }),
            event(1500, What::Installer(report(50))),
            event(2000, What::Installer(report(100))),
        ];

        let table = table(&events);

        assert_eq!(
            table,
            "    0.00 s    +0.00 s  52:54:00:00:00:01  UEFI has 10.77.0.10\n    \
             2.00 s    +2.00 s  52:54:00:00:00:01  installer: writes the image 100 %"
        );
    }

    fn event(milliseconds: i64, what: What) -> Event {
        let at = Timestamp::from_millisecond(milliseconds).unwrap();
        Event { at, mac: MacAddr::new([0x52, 0x54, 0, 0, 0, 1]), machine: None, what }
    }
}
