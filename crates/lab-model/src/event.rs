//! Boot events: what happened to a machine, one fact at a time, and how far that brought it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Arch, Firmware, MacAddr, MachineName};

/// One thing that happened to one machine; one JSON line in the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Event {
    /// When the server saw it, in UTC.
    pub at: Timestamp,
    /// Whom it happened to.
    pub mac: MacAddr,
    /// The machine's name, where it was defined at that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<MachineName>,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// What can happen to a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum What {
    /// It was offered an address (RFC 2131 §3.1, DHCPOFFER; RFC 8415 §16.3, Advertise).
    Offer {
        /// The address offered.
        address: IpAddr,
        /// What asked.
        firmware: Firmware,
    },
    /// It was given an address (DHCPACK; Reply).
    Ack {
        /// The address given.
        address: IpAddr,
        /// What asked.
        firmware: Firmware,
    },
    /// It was told what to boot, and no address: another server gives those (PXE 2.1, ProxyDHCP).
    Directed {
        /// What asked.
        firmware: Firmware,
    },
    /// It has, or takes, an address of another server's.
    Elsewhere {
        /// The address.
        address: IpAddr,
        /// What takes it.
        firmware: Firmware,
        /// Whose address it is, where the machine says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        server: Option<Ipv4Addr>,
    },
    /// It is of a class that says what it boots, unless its definition does.
    Class {
        /// What the configuration calls the class.
        name: String,
        /// What its processor executes, where it says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        arch: Option<Arch>,
    },
    /// It was refused an address (DHCPNAK; NoAddrsAvail).
    Nak {
        /// The address it asked for.
        address: IpAddr,
        /// Why, in words.
        reason: String,
    },
    /// Its address was found in use by somebody else: by itself (DHCPDECLINE), or by the server that was about to offer it.
    Decline {
        /// The address in use.
        address: IpAddr,
        /// Who has it, where the server found that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        holder: Option<MacAddr>,
    },
    /// It fetched a file by TFTP to the end.
    Transfer {
        /// The file's name as asked for.
        file: String,
        /// Length in bytes.
        bytes: u64,
        /// From request to last acknowledgement.
        milliseconds: u64,
    },
    /// A TFTP transfer did not reach its end.
    TransferFailed {
        /// The file's name as asked for.
        file: String,
        /// Why, in words.
        reason: String,
        /// What was negotiated, where a transfer had begun.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        terms: Option<TransferTerms>,
    },
    /// It was told a URL to boot from, by UEFI HTTP Boot.
    Url,
    /// Its firmware has a fault that is known, and is answered accordingly.
    Quirk {
        /// What the fault is called.
        name: String,
    },
    /// Its firmware failed, and is served more gently from now on.
    StepDown {
        /// How: `no-window`, `blocks-of-1024`, `blocks-of-512`, `no-http-boot`.
        to: String,
        /// What failed, in words.
        reason: String,
    },
    /// It got its boot script.
    Script {
        /// What the script tells it to do: `install`, `local`, `unknown`, `refuse`.
        boot: String,
    },
    /// Its script was what its definition has for one time alone.
    Once {
        /// Which time.
        number: u64,
    },
    /// It fetched a file over HTTP to the end: the last byte has left the server's hands.
    Fetch {
        /// Which file.
        file: FetchedFile,
        /// How many bytes were sent.
        bytes: u64,
    },
    /// It broke off while it fetched a file over HTTP. What comes next says whether it tried again.
    FetchAborted {
        /// Which file.
        file: FetchedFile,
        /// How many bytes it can have at most.
        bytes: u64,
    },
    /// It asked for a file over HTTP that it does not get.
    FetchRefused {
        /// Which file.
        file: FetchedFile,
        /// Why, in words.
        reason: String,
    },
    /// Its installer said how far it is.
    Installer(InstallerReport),
    /// Its installed system said that it is up.
    Up,
}

/// On what a transfer by TFTP was agreed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct TransferTerms {
    /// Bytes of file in each packet but the last (RFC 2348).
    pub block_bytes: u16,
    /// Packets in flight (RFC 7440).
    pub window_blocks: u16,
}

/// A file of an image or the installer that a machine fetches over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FetchedFile {
    /// The iPXE binary, by UEFI HTTP Boot.
    BootProgram,
    /// The kernel.
    Kernel,
    /// The image's own initial RAM file system.
    Initrd,
    /// The installer that is laid over it.
    Installer,
    /// The disk image.
    Disk,
    /// A further file of the image, such as a second stage.
    ImageFile,
    /// The cloud-init seed.
    Seed,
}

/// What the installer posts to the server: one for each phase, and one for every ten per cent written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct InstallerReport {
    /// What it is about.
    pub phase: Phase,
    /// How much of this phase is done, 0 to 100, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<u8>,
    /// The reason, where the phase failed: the installation ends or starts again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// A detail for people, such as which disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// The installer's phases, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// It runs, and has loaded the drivers for what it found.
    Start,
    /// Its interface has an address.
    Network,
    /// It knows what to install.
    Config,
    /// It chose the disk.
    Disk,
    /// It fetches, decompresses and writes the image.
    Write,
    /// What was fetched is what the manifest says.
    Verify,
    /// The cloud-init seed is on the disk.
    Seed,
    /// The partition table fits the disk, and makes it bootable.
    Finish,
    /// Everything is on the disk; it starts the installed system.
    Boot,
}

/// How far a boot got; later is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// The firmware asked, and was offered an address.
    Offer,
    /// The firmware has its address.
    Address,
    /// The firmware has its network boot program.
    BootProgram,
    /// The boot program has its script.
    Script,
    /// The boot program has the kernel.
    Kernel,
    /// The boot program has the initial RAM file system.
    Initrd,
    /// The installer runs.
    Installer,
    /// The installer writes the disk.
    Write,
    /// The disk holds what the manifest says.
    Verify,
    /// The installation is complete, the machine starts its own system.
    Installed,
    /// The installed system's kernel has its address.
    System,
    /// The installed system is configured and up.
    Up,
}

impl What {
    /// How far this brings a machine; `None` where it says nothing of progress.
    pub fn stage(&self) -> Option<Stage> {
        match self {
            Self::Offer { firmware: Firmware::Installer | Firmware::Os, .. } => None,
            Self::Offer { .. } | Self::Directed { .. } => Some(Stage::Offer),
            // EDK2 asks for an IPv6 address for itself, before its PXE does, in the words of a system.
            Self::Ack { firmware: Firmware::Os, address: IpAddr::V6(_) } => None,
            Self::Ack { firmware, .. } | Self::Elsewhere { firmware, .. } => Some(match firmware {
                Firmware::Os => Stage::System,
                Firmware::Installer => Stage::Installer,
                Firmware::Bios
                | Firmware::UefiX64
                | Firmware::UefiArm64
                | Firmware::HttpX64
                | Firmware::HttpArm64
                | Firmware::Ipxe
                | Firmware::Unsupported => Stage::Address,
            }),
            Self::Transfer { file, .. } if file.ends_with(".ipxe") => None,
            Self::Transfer { .. } => Some(Stage::BootProgram),
            Self::Script { .. } => Some(Stage::Script),
            Self::Once { .. } | Self::Class { .. } | Self::Url | Self::Quirk { .. } | Self::StepDown { .. } => None,
            Self::Fetch { file: FetchedFile::BootProgram, .. } => Some(Stage::BootProgram),
            Self::Fetch { file: FetchedFile::Kernel, .. } => Some(Stage::Kernel),
            Self::Fetch { file: FetchedFile::Initrd, .. } => Some(Stage::Initrd),
            Self::Fetch { file: FetchedFile::Installer | FetchedFile::Disk, .. } => None,
            Self::Fetch { file: FetchedFile::ImageFile | FetchedFile::Seed, .. } => None,
            Self::Installer(report) if report.failure.is_some() => None,
            Self::Installer(report) => Some(match report.phase {
                Phase::Start | Phase::Network | Phase::Config | Phase::Disk => Stage::Installer,
                Phase::Write => Stage::Write,
                Phase::Verify | Phase::Seed | Phase::Finish => Stage::Verify,
                Phase::Boot => Stage::Installed,
            }),
            Self::Up => Some(Stage::Up),
            Self::Nak { .. } | Self::Decline { .. } | Self::TransferFailed { .. } => None,
            Self::FetchAborted { .. } | Self::FetchRefused { .. } => None,
        }
    }

    /// Why the machine got no further, where this event says so.
    pub fn failure(&self) -> Option<&str> {
        match self {
            Self::Nak { reason, .. } | Self::TransferFailed { reason, .. } => Some(reason),
            Self::Installer(report) => report.failure.as_deref(),
            Self::Offer { .. } | Self::Ack { .. } | Self::Directed { .. } | Self::Elsewhere { .. } => None,
            Self::Class { .. } | Self::Url | Self::Quirk { .. } | Self::StepDown { .. } => None,
            Self::Decline { .. } | Self::Transfer { .. } => None,
            Self::Script { .. } | Self::Once { .. } | Self::Fetch { .. } | Self::FetchAborted { .. } => None,
            // Whom it is not for is kept from a file by this, and nobody from booting.
            Self::FetchRefused { .. } | Self::Up => None,
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Offer => "offer",
            Self::Address => "address",
            Self::BootProgram => "boot-program",
            Self::Script => "script",
            Self::Kernel => "kernel",
            Self::Initrd => "initrd",
            Self::Installer => "installer",
            Self::Write => "write",
            Self::Verify => "verify",
            Self::Installed => "installed",
            Self::System => "system",
            Self::Up => "up",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_flat_json_object() {
        let event = Event {
            at: Timestamp::UNIX_EPOCH,
            mac: MacAddr::new([0x52, 0x54, 0, 0, 0, 1]),
            machine: "web".parse().ok(),
            what: What::Installer(InstallerReport {
                phase: Phase::Write,
                percent: Some(40),
                failure: None,
                detail: None,
            }),
        };

        let text = serde_json::to_string(&event).expect("an event has a JSON form");

        assert_eq!(
            text,
            r#"{"at":"1970-01-01T00:00:00Z","mac":"52:54:00:00:00:01","machine":"web","event":"installer","phase":"write","percent":40}"#
        );
        assert_eq!(serde_json::from_str::<Event>(&text).expect("its own form"), event);
    }

    #[test]
    fn a_stage_is_written_as_it_is_serialised() {
        for stage in [Stage::Offer, Stage::BootProgram, Stage::Installed, Stage::Up] {
            assert_eq!(serde_json::to_string(&stage).expect("a stage has a JSON form"), format!("\"{stage}\""));
        }
    }

    #[test]
    fn who_has_an_ipv6_address_in_the_words_of_a_system_may_be_firmware() {
        let stage = |address, firmware| What::Ack { address, firmware }.stage();
        let (ipv4, ipv6) = (IpAddr::from([10, 77, 0, 10]), IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, 1]));

        assert_eq!((stage(ipv4, Firmware::Os), stage(ipv6, Firmware::Os)), (Some(Stage::System), None));
        assert_eq!(stage(ipv6, Firmware::UefiX64), Some(Stage::Address));
    }

    #[test]
    fn a_failed_phase_brings_a_machine_no_further() {
        let what = What::Installer(InstallerReport {
            phase: Phase::Verify,
            percent: None,
            failure: Some("checksum".to_owned()),
            detail: None,
        });

        assert_eq!((what.stage(), what.failure()), (None, Some("checksum")));
    }
}
