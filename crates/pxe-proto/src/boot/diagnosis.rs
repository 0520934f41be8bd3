//! Why a machine did not boot, and what to do about it.
//!
//! Most failures of a network boot are silence: a packet that a firewall dropped, a console that nobody watches. What was
//! heard last says where to look.

use jiff::{SignedDuration, Timestamp};
use lab_model::{Arch, Firmware, ImageManifest, ImageName, Machine, Stage, What};

use super::{Asker, Attempt, Boot, Profiles, Timeline, decide};

/// What is known of a machine beside its events.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// Its definition.
    pub machine: Option<&'a Machine>,
    /// The profiles, one of which may be its own.
    pub profiles: &'a Profiles,
    /// The manifest of the image that it boots; `None` where the server does not have it, or it boots none.
    pub manifest: Option<&'a ImageManifest>,
    /// The number of the latest [`lab_model::Once`] that it has had.
    pub once: Option<u64>,
}

/// Why a boot got no further.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnosis {
    /// What went wrong, in one sentence; `None` while nothing did.
    pub failure: Option<String>,
    /// What to do, where there is something to do.
    pub hint: Option<String>,
}

/// Says why a machine's latest boot got no further, as far as can be told at `now`.
///
/// A boot that is on its way gets no diagnosis: only what was said, or a silence that is too long for its stage.
pub fn diagnose(timeline: Option<&Timeline>, circumstances: Circumstances<'_>, now: Timestamp) -> Diagnosis {
    let Some((timeline, attempt)) = timeline.and_then(|timeline| Some((timeline, timeline.latest()?))) else {
        return circumstances.unbootable(&circumstances.boot(None)).unwrap_or_default();
    };
    if let Some(said) = refused(attempt, circumstances) {
        return said;
    }
    if let Some(failure) = &attempt.failure {
        let hint = after_failure(attempt).or_else(|| next_try(timeline, attempt, now));
        return Diagnosis { failure: Some(failure.clone()), hint };
    }
    let silence = now.duration_since(attempt.latest);
    match attempt.stage() {
        Some(stage) if silence > patience(stage) => silent(stage, attempt, circumstances, silence),
        Some(_) | None => Diagnosis::default(),
    }
}

/// What the server itself answered, whatever the machine did with it.
fn refused(attempt: &Attempt, circumstances: Circumstances<'_>) -> Option<Diagnosis> {
    if attempt.stage() > Some(Stage::Script) {
        return None;
    }
    let found = attempt.firmware.and_then(|firmware| firmware.arch());
    let helpless = attempt.firmware == Some(Firmware::Unsupported) && attempt.stage() < Some(Stage::Script);
    let boot = circumstances.boot(found);
    match &boot {
        Boot::Unknown if attempt.firmware.is_some() || attempt.boot.is_some() => {
            Some(says("nobody has defined this machine", "put a definition with its MAC address beside the others"))
        }
        Boot::Install { .. } | Boot::Memory { .. } | Boot::Profile { .. } | Boot::Menu { .. } if helpless => {
            Some(says(
                "there is no boot program for this type of firmware",
                "BIOS, x86-64 UEFI and 64-bit Arm UEFI can boot from here; an iPXE of its own can too",
            ))
        }
        boot => circumstances.unbootable(boot),
    }
}

impl Circumstances<'_> {
    /// What the machine is to boot; `found` is the processor that asked.
    fn boot(&self, found: Option<Arch>) -> Boot {
        decide(self.machine, self.profiles, &Asker { found, once: self.once, chosen: None }).with(self.manifest)
    }

    /// What keeps this from being booted, which is known before anybody asks for it.
    fn unbootable(&self, boot: &Boot) -> Option<Diagnosis> {
        if let Boot::Refuse(refusal) = boot {
            return Some(Diagnosis { failure: Some(refusal.to_string()), hint: None });
        }
        boot.image().filter(|_| self.manifest.is_none()).map(|(image, arch)| no_image(image, arch))
    }
}

fn no_image(image: &ImageName, arch: Arch) -> Diagnosis {
    Diagnosis {
        failure: Some(format!("the image {image} for {arch} is not on the server")),
        hint: Some(format!("put it into images/{image}/{arch}/ with its manifest.json")),
    }
}

fn after_failure(attempt: &Attempt) -> Option<String> {
    let hint = match attempt.stage()? {
        Stage::Offer | Stage::Address | Stage::BootProgram | Stage::Script | Stage::Kernel | Stage::Initrd => {
            return None;
        }
        Stage::Installer | Stage::Write | Stage::Verify => "its serial console has the installer's whole output",
        Stage::Installed | Stage::System | Stage::Up => return None,
    };
    Some(hint.to_owned())
}

/// What the server does about firmware that failed.
fn next_try(timeline: &Timeline, attempt: &Attempt, now: Timestamp) -> Option<String> {
    let step =
        timeline.step_down().step(attempt.firmware, now).filter(|_| attempt.stage() < Some(Stage::BootProgram))?;
    Some(format!("start it again: its firmware gets {step} from now on"))
}

/// How long a boot may be silent at a stage; emulated machines are ten times slower than real ones.
fn patience(stage: Stage) -> SignedDuration {
    SignedDuration::from_secs(match stage {
        Stage::Offer => 15,
        Stage::Address | Stage::BootProgram | Stage::Script | Stage::Kernel => 60,
        Stage::Initrd | Stage::Installer | Stage::Write | Stage::Verify => 180,
        Stage::Installed | Stage::System => 600,
        Stage::Up => i64::MAX,
    })
}

/// What a silence at a stage says.
fn silent(stage: Stage, attempt: &Attempt, circumstances: Circumstances<'_>, silence: SignedDuration) -> Diagnosis {
    match circumstances.boot(None) {
        Boot::Install { .. } | Boot::Memory { .. } => {}
        // What a profile starts reports only if somebody wrote that into it. A script of somebody's own fetches from anywhere, and
        // a menu waits for a person.
        Boot::Profile { profile, .. } if profile.kind.has_kernel() && stage < Stage::Initrd => {}
        Boot::Profile { .. } | Boot::Menu { .. } if stage < Stage::Script => {}
        // A machine that gets nothing from here goes on to its disk, where nobody reports to us.
        Boot::Profile { .. } | Boot::Menu { .. } | Boot::Local | Boot::Unknown | Boot::Refuse(_) => {
            return Diagnosis::default();
        }
    }
    let over_http = matches!(attempt.firmware, Some(Firmware::HttpX64 | Firmware::HttpArm64));
    match stage {
        Stage::Offer if is_directed(attempt) => says(
            "the firmware was told what to boot, and took no address",
            "another server gives the addresses here: does it give this machine one?",
        ),
        Stage::Offer => says(
            "the firmware was offered an address and did not take it",
            "does another DHCP server answer on this network?",
        ),
        Stage::Address if over_http => says(
            "the firmware got its address but never fetched its boot program",
            "does a firewall keep it from this server's HTTP port?",
        ),
        Stage::Address => says(
            "the firmware got its address but never fetched its boot program",
            "does a firewall keep it from TFTP, UDP port 69?",
        ),
        Stage::BootProgram => says(
            "the boot program was loaded but never asked for its script",
            "its console says what it tried; does a firewall keep it from this server's HTTP port?",
        ),
        Stage::Script => {
            says("the boot program has its script but not the kernel", "its console says what it could not fetch")
        }
        Stage::Kernel => says(
            "the boot program has the kernel but not the initial RAM file system",
            "its console says what it could not fetch; has it enough memory?",
        ),
        Stage::Initrd => says(
            "kernel and installer were loaded, but the installer never reported",
            "its serial console says how far the kernel came; has the machine at least 512 MB of memory?",
        ),
        Stage::Installer | Stage::Write | Stage::Verify => Diagnosis {
            failure: Some(match attempt.percent {
                Some(percent) if stage == Stage::Write => {
                    format!("the installer is silent for {} s, with {percent} % written", silence.as_secs())
                }
                _ => format!("the installer is silent for {} s", silence.as_secs()),
            }),
            hint: Some("its serial console has the installer's whole output; is the machine still on?".to_owned()),
        },
        Stage::Installed => says(
            "the machine was installed, but its system never asked for an address",
            "its console says whether the firmware found the disk; is the disk before the network in the boot order?",
        ),
        // An installed system reports once, after its installation, not at every start.
        Stage::System if !attempt.reached.contains_key(&Stage::Installed) => Diagnosis::default(),
        Stage::System => says(
            "the installed system has its address, but never said that it is up",
            "log in and ask `cloud-init status --long`",
        ),
        Stage::Up => Diagnosis::default(),
    }
}

/// Whether another server gives the machine its address.
fn is_directed(attempt: &Attempt) -> bool {
    attempt.events.iter().any(|event| matches!(event.what, What::Directed { .. }))
}

fn says(failure: &str, hint: &str) -> Diagnosis {
    Diagnosis { failure: Some(failure.to_owned()), hint: Some(hint.to_owned()) }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use lab_model::{Definition, Event, FetchedFile, Format, InstallerReport, MacAddr, Phase, TransferTerms, What};

    use super::*;
    use crate::boot::Timelines;
    use crate::boot::script::tests::manifest;

    #[test]
    fn each_silence_says_where_to_look() {
        let install = || What::Script { boot: "install".into() };
        let fetch = |file| What::Fetch { file, bytes: 1 };
        let boots = [
            ("offer", vec![offer(Firmware::UefiArm64)]),
            ("offer, address from elsewhere", vec![What::Directed { firmware: Firmware::UefiArm64 }]),
            ("address", vec![ack(Firmware::UefiArm64)]),
            ("address, HTTP Boot", vec![ack(Firmware::HttpArm64)]),
            ("boot program", vec![transfer()]),
            ("script", vec![install()]),
            ("kernel", vec![install(), fetch(FetchedFile::Kernel)]),
            ("initrd", vec![install(), fetch(FetchedFile::Initrd)]),
            ("installer", vec![install(), report(Phase::Disk, None)]),
            ("write", vec![install(), report(Phase::Write, Some(40))]),
            ("installed", vec![install(), report(Phase::Boot, None)]),
            ("system", vec![install(), report(Phase::Boot, None), ack(Firmware::Os)]),
            ("up", vec![install(), What::Up]),
        ];

        let lines = boots.into_iter().map(|(name, events)| {
            let Diagnosis { failure, hint } = at(&events, 3600, Some(&web()), true);
            format!("{name}: {}\n  hint: {}\n", failure.unwrap_or_default(), hint.unwrap_or_default())
        });

        insta::assert_snapshot!(lines.collect::<String>());
    }

    #[test]
    fn a_boot_on_its_way_has_no_diagnosis() {
        for events in [vec![offer(Firmware::UefiArm64)], vec![report(Phase::Write, Some(40))], vec![What::Up]] {
            assert_eq!(at(&events, 10, Some(&web()), true), Diagnosis::default());
        }
        assert_eq!(at(&[], 10, Some(&web()), true), Diagnosis::default());
    }

    #[test]
    fn what_a_machine_said_counts_more_than_silence() {
        let failed = What::Installer(InstallerReport {
            phase: Phase::Disk,
            percent: None,
            failure: Some("there is no disk".to_owned()),
            detail: None,
        });

        let diagnosis = at(&[report(Phase::Start, None), failed], 3600, Some(&web()), true);

        assert_eq!(diagnosis.failure.as_deref(), Some("there is no disk"));
    }

    #[test]
    fn a_transfer_that_failed_is_served_more_gently_the_next_time() {
        let terms = Some(TransferTerms { block_bytes: 1468, window_blocks: 4 });
        let failed = |terms| {
            let reason = "the client stopped answering".to_owned();
            What::TransferFailed { file: "ipxe-arm64.efi".to_owned(), reason, terms }
        };
        let hint = |what| at(&[ack(Firmware::UefiArm64), what], 10, Some(&web()), true).hint;

        let next = "start it again: its firmware gets TFTP without windows from now on";
        assert_eq!(hint(failed(terms)).as_deref(), Some(next));
        assert_eq!(hint(failed(None)), None, "it asked for what is not here");
    }

    #[test]
    fn what_the_server_refuses_is_said_at_once() {
        let failure = |firmware, machine: Option<&Machine>, available| {
            at(&[ack(firmware)], 0, machine, available).failure.expect("refused")
        };

        assert_eq!(
            failure(Firmware::UefiX64, Some(&web()), true),
            "web is defined as aarch64, but this machine is x86_64: correct `arch` in its definition"
        );
        assert_eq!(
            failure(Firmware::UefiArm64, Some(&web()), false),
            "the image debian-12 for aarch64 is not on the server"
        );
        assert_eq!(failure(Firmware::UefiArm64, None, true), "nobody has defined this machine");
        assert_eq!(
            failure(Firmware::Unsupported, Some(&web()), true),
            "there is no boot program for this type of firmware"
        );
    }

    #[test]
    fn an_image_without_a_disk_is_refused_before_the_machine_asks_and_after() {
        let bare = ImageManifest { disk: None, ..manifest(&[]) };
        let failure = |timelines: &Timelines, more: &str| {
            let machine = machine(&format!("pxeboot = true\ndistro = 'debian-12'\n{more}"));
            let circumstances =
                Circumstances { machine: Some(&machine), profiles: &profiles(), manifest: Some(&bare), once: None };
            diagnose(timelines.of(machine.mac).map(|timeline| &**timeline), circumstances, Timestamp::UNIX_EPOCH)
                .failure
        };
        let mut asked = Timelines::default();
        let script = What::Script { boot: "refuse".into() };
        asked.record(&Event { at: Timestamp::UNIX_EPOCH, mac: MAC, machine: None, what: script });

        for timelines in [Timelines::default(), asked] {
            assert_eq!(
                failure(&timelines, "").as_deref(),
                Some(
                    "web cannot be installed with the image debian-12, which has no disk: name a profile of kind \
                     `installer` or `live` as `profile` in its definition, or an image with a disk as `distro`"
                )
            );
            assert_eq!(failure(&timelines, "profile = 'live'"), None);
        }
    }

    #[test]
    fn an_operating_system_that_nobody_defined_is_nobodys_failure() {
        assert_eq!(at(&[ack(Firmware::Os)], 3600, None, true).failure, None);
    }

    #[test]
    fn a_machine_that_boots_from_its_disk_owes_no_report() {
        let plain = machine("");

        assert_eq!(at(&[ack(Firmware::UefiArm64)], 3600, Some(&plain), true), Diagnosis::default());
        assert_eq!(at(&[ack(Firmware::Os)], 3600, Some(&web()), true), Diagnosis::default());
    }

    #[test]
    fn a_profile_owes_what_it_has_from_us_and_no_more() {
        let script = || What::Script { boot: "x".into() };
        let kernel = || What::Fetch { file: FetchedFile::Kernel, bytes: 1 };
        let initrd = || What::Fetch { file: FetchedFile::Initrd, bytes: 1 };
        let failure = |profile: &str, events: &[What]| {
            let machine = machine(&format!("pxeboot = true\ndistro = 'debian-12'\nprofile = '{profile}'"));
            by(&profiles(), events, 3600, Some(&machine), true).failure.is_some()
        };

        assert!(failure("live", &[script()]) && failure("live", &[script(), kernel()]));
        assert!(!failure("live", &[script(), kernel(), initrd()]), "what runs then is not ours");
        for profile in ["own", "menu"] {
            assert!(failure(profile, &[transfer()]));
            assert!(!failure(profile, &[script()]), "{profile}: what comes then is not ours, or waits for a person");
        }
        assert!(!failure("disk", &[ack(Firmware::UefiArm64)]));
    }

    fn profiles() -> Profiles {
        let files =
            |files: &[(&str, &str)]| files.iter().map(|(name, text)| ((*name).into(), (*text).into())).collect();
        let folders = [
            ("live", files(&[("profile.toml", "kind = 'live'\narguments = 'quiet'")])),
            ("own", files(&[("profile.toml", "kind = 'script'\nscript = 'a'"), ("a", "#!ipxe\n")])),
            ("menu", files(&[("profile.toml", "kind = 'menu'\nitems = ['own']")])),
            ("disk", files(&[("profile.toml", "kind = 'local'")])),
        ];
        let folders = folders.into_iter().map(|(name, files)| (name.parse().expect("a name"), files));
        Profiles::build(folders.collect(), &Profiles::default())
    }

    /// The diagnosis `silence` seconds after the last of these events, which are a second apart.
    fn at(events: &[What], silence: i64, machine: Option<&Machine>, image_available: bool) -> Diagnosis {
        by(&Profiles::default(), events, silence, machine, image_available)
    }

    fn by(
        profiles: &Profiles,
        events: &[What],
        silence: i64,
        machine: Option<&Machine>,
        image_available: bool,
    ) -> Diagnosis {
        let second = |second| Timestamp::from_second(second).expect("a time in 1970");
        let mut timelines = Timelines::default();
        for (number, what) in (0..).zip(events) {
            timelines.record(&Event { at: second(number), mac: MAC, machine: None, what: what.clone() });
        }
        let now = second(events.len() as i64 - 1 + silence);
        let manifest = image_available.then(|| manifest(&[]));
        let circumstances = Circumstances { machine, profiles, manifest: manifest.as_ref(), once: None };
        diagnose(timelines.of(MAC).map(|timeline| &**timeline), circumstances, now)
    }

    const MAC: MacAddr = MacAddr::new([0x52, 0x54, 0, 0, 0, 1]);

    fn offer(firmware: Firmware) -> What {
        What::Offer { address: IpAddr::from([10, 77, 0, 10]), firmware }
    }

    fn ack(firmware: Firmware) -> What {
        What::Ack { address: IpAddr::from([10, 77, 0, 10]), firmware }
    }

    fn transfer() -> What {
        What::Transfer { file: "ipxe-arm64.efi".into(), bytes: 1, milliseconds: 1 }
    }

    fn report(phase: Phase, percent: Option<u8>) -> What {
        What::Installer(InstallerReport { phase, percent, failure: None, detail: None })
    }

    fn web() -> Machine {
        machine("pxeboot = true\ndistro = 'debian-12'")
    }

    fn machine(more: &str) -> Machine {
        let text = format!("name = 'web'\narch = 'aarch64'\nmac = '52:54:00:00:00:01'\n{more}");
        let definition = Definition::parse(&text, Format::Toml).expect("a definition");
        Machine::new(&definition, "10.77.0.1/24".parse::<lab_model::Ipv4Net>().expect("a network")).expect("a machine")
    }
}
