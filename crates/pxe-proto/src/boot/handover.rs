//! Whether a machine may have its seed: once for each boot from the network.
//!
//! A seed may hold secrets. While a machine is being installed, nobody but the installer has its address; once its system runs, every
//! user and every program on it has. So a seed is handed over until the installer says that it is on the disk, and again
//! only when the machine's firmware comes for another boot.

use lab_model::{Phase, What};

use super::Boot;

/// How far a machine's seed is on its way; it follows from the machine's events alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Handover {
    /// Nobody said yet that it arrived.
    #[default]
    Due,
    /// It is on the disk, and the installer runs on: where that fails, it begins again, and needs it again.
    OnDisk,
    /// The installed system was started with it.
    Done,
    /// It was, and the firmware has asked for another boot since.
    DueAgain,
}

/// Why a machine does not get its seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandedOver {
    /// It has it.
    #[error("its installer has put it on the disk already: the next boot from the network gets it again")]
    Already,
    /// It would not be installed.
    #[error("it was installed with it, and boots from its disk now: only a boot that installs gets it again")]
    Installed,
}

impl Handover {
    /// The same after this.
    pub(super) fn after(self, what: &What) -> Self {
        match what {
            // A script is no sign of a boot: whoever is on the machine can ask for it.
            What::Ack { firmware, .. } | What::Elsewhere { firmware, .. } if firmware.boots_from_the_network() => {
                match self {
                    Self::Due | Self::OnDisk => Self::Due,
                    Self::Done | Self::DueAgain => Self::DueAgain,
                }
            }
            // What a running system says of its installation is no reason to give it anything.
            What::Installer(_) if self == Self::Done => Self::Done,
            What::Installer(report) if report.failure.is_some() && self == Self::OnDisk => Self::Due,
            What::Installer(report) if report.failure.is_some() => self,
            What::Installer(report) => match report.phase {
                Phase::Seed | Phase::Finish => Self::OnDisk,
                Phase::Boot => Self::Done,
                Phase::Start | Phase::Network | Phase::Config | Phase::Disk | Phase::Write | Phase::Verify => self,
            },
            What::Offer { .. } | What::Ack { .. } | What::Nak { .. } | What::Decline { .. } => self,
            What::Directed { .. } | What::Elsewhere { .. } | What::Url | What::Quirk { .. } | What::StepDown { .. } => {
                self
            }
            What::Transfer { .. }
            | What::TransferFailed { .. }
            | What::Script { .. }
            | What::Once { .. }
            | What::Class { .. }
            | What::Up => self,
            What::Fetch { .. } | What::FetchAborted { .. } | What::FetchRefused { .. } => self,
        }
    }

    /// Whether a machine that boots `boot` may have its seed.
    ///
    /// # Errors
    /// It has it, and nothing needs it again.
    pub fn check(self, boot: &Boot) -> Result<(), HandedOver> {
        match self {
            Self::Due => Ok(()),
            Self::OnDisk | Self::Done => Err(HandedOver::Already),
            Self::DueAgain if *boot == Boot::Local => Err(HandedOver::Installed),
            Self::DueAgain => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {

    use lab_model::{Arch, FetchedFile, Firmware, InstallerReport};

    use super::*;

    #[test]
    fn a_seed_is_handed_over_until_the_installer_has_it() {
        let on_its_way = [ack(Firmware::UefiX64), script(), ack(Firmware::Installer), report(Phase::Verify)];

        assert_eq!(after(&[]).check(&install()), Ok(()));
        assert_eq!(after(&on_its_way).check(&install()), Ok(()));
        assert_eq!(after(&[report(Phase::Seed)]).check(&install()), Err(HandedOver::Already));
        assert_eq!(after(&[report(Phase::Seed), report(Phase::Boot)]).check(&install()), Err(HandedOver::Already));
    }

    #[test]
    fn an_installer_that_begins_again_gets_it_again() {
        let failed = || What::Installer(InstallerReport { failure: Some("kexec".to_owned()), ..done(Phase::Boot) });

        assert_eq!(after(&[report(Phase::Seed), failed()]).check(&install()), Ok(()));
        assert_eq!(after(&[report(Phase::Write), failed()]).check(&install()), Ok(()));
    }

    #[test]
    fn nothing_that_a_running_system_says_brings_it_back() {
        let failed = What::Installer(InstallerReport { failure: Some("kexec".to_owned()), ..done(Phase::Boot) });
        let fetched = What::Fetch { file: FetchedFile::Seed, bytes: 1 };

        for said in [ack(Firmware::Os), script(), report(Phase::Start), failed, fetched, What::Up] {
            let told = format!("{said:?}");
            assert_eq!(
                after(&[report(Phase::Boot), said]).check(&install()),
                Err(HandedOver::Already),
                "brought back by {told}"
            );
        }
    }

    #[test]
    fn another_boot_from_the_network_gets_it_again_if_it_installs() {
        for firmware in [Firmware::Bios, Firmware::UefiArm64, Firmware::HttpX64, Firmware::Ipxe] {
            let address = [10, 77, 0, 10].into();
            for asks in [ack(firmware), What::Elsewhere { address, firmware, server: None }] {
                let again = after(&[report(Phase::Seed), report(Phase::Boot), asks]);

                assert_eq!(again.check(&install()), Ok(()));
                assert_eq!(again.check(&Boot::Local), Err(HandedOver::Installed));
            }
        }
    }

    #[test]
    fn a_machine_that_was_never_installed_by_us_may_have_it_at_any_time() {
        assert_eq!(after(&[ack(Firmware::Os), What::Up]).check(&Boot::Local), Ok(()));
    }

    fn after(events: &[What]) -> Handover {
        events.iter().fold(Handover::default(), Handover::after)
    }

    fn install() -> Boot {
        let (machine, image) = ("web".parse().expect("a name"), "debian-12".parse().expect("a name"));
        Boot::Install { machine, image, arch: Arch::X86_64, shell: false }
    }

    fn ack(firmware: Firmware) -> What {
        What::Ack { address: [10, 77, 0, 10].into(), firmware }
    }

    fn script() -> What {
        What::Script { boot: "install".to_owned() }
    }

    fn report(phase: Phase) -> What {
        What::Installer(done(phase))
    }

    fn done(phase: Phase) -> InstallerReport {
        InstallerReport { phase, percent: None, failure: None, detail: None }
    }
}
