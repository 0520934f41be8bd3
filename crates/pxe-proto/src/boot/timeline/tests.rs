use lab_model::{InstallerReport, Phase};
use proptest::prelude::*;

use super::*;

#[test]
fn a_boot_goes_from_the_firmwares_first_packet_to_the_running_system() {
    let mut timelines = Timelines::default();
    let boot = [
        offer(Firmware::UefiArm64),
        ack(Firmware::UefiArm64),
        What::Transfer { file: "ipxe-arm64.efi".into(), bytes: 1, milliseconds: 1 },
        What::Transfer { file: "autoexec.ipxe".into(), bytes: 1, milliseconds: 1 },
        What::Script { boot: "install".into() },
        fetch(FetchedFile::Kernel),
        fetch(FetchedFile::Initrd),
        ack(Firmware::Installer),
        report(Phase::Write, Some(0)),
        report(Phase::Write, Some(90)),
        report(Phase::Verify, None),
        report(Phase::Boot, None),
        ack(Firmware::Os),
        What::Up,
    ];

    play(&mut timelines, boot);

    let timeline = timelines.of(MAC).expect("seen");
    let attempt = only(timeline);
    assert_eq!(attempt.stage(), Some(Stage::Up));
    assert_eq!(attempt.since(), Some(at(13)));
    assert_eq!((attempt.began, attempt.firmware, attempt.percent), (at(0), Some(Firmware::UefiArm64), Some(90)));
    assert_eq!(attempt.reached.get(&Stage::Script), Some(&at(4)));
    assert_eq!(attempt.reached.get(&Stage::Write), Some(&at(8)));
    assert_eq!(attempt.events.len(), 14);
}

#[test]
fn a_firmware_that_asks_again_begins_another_boot() {
    let mut timelines = Timelines::default();

    play(&mut timelines, [offer(Firmware::UefiX64), ack(Firmware::UefiX64), offer(Firmware::UefiX64)]);

    let stages: Vec<_> = timelines.of(MAC).expect("seen").attempts().map(Attempt::stage).collect();
    assert_eq!(stages, [Some(Stage::Address), Some(Stage::Offer)]);
}

#[test]
fn a_quirk_counts_for_the_boot_that_it_was_found_in() {
    let quirk = || What::Quirk { name: "old".into() };
    let mut timelines = Timelines::default();
    let mut after = |what| {
        play(&mut timelines, [what]);
        timelines.of(MAC).and_then(|timeline| timeline.quirk()).map(str::to_owned)
    };

    assert_eq!(after(quirk()).as_deref(), Some("old"), "it may come before the offer");
    for what in [offer(Firmware::Bios), ack(Firmware::Bios), ack(Firmware::Ipxe)] {
        assert_eq!(after(what).as_deref(), Some("old"));
    }
    assert_eq!(after(offer(Firmware::UefiX64)), None, "another boot");
}

#[test]
fn a_transfer_that_fails_says_what_follows_from_it_once() {
    let terms = Some(lab_model::TransferTerms { block_bytes: 1468, window_blocks: 4 });
    let failed = What::TransferFailed { file: "ipxe.efi".into(), reason: "silence".into(), terms };
    let mut timelines = Timelines::default();
    let mut record = |what| timelines.record(&Event { at: at(0), mac: MAC, machine: None, what });

    assert_eq!(record(ack(Firmware::UefiX64)), None);
    let follows = What::StepDown { to: "no-window".into(), reason: "ipxe.efi: silence".into() };
    assert_eq!(record(failed.clone()), Some(follows.clone()));
    assert_eq!((record(follows), record(failed)), (None, None));
}

#[test]
fn a_firmware_that_repeats_its_question_is_still_in_the_same_boot() {
    let mut timelines = Timelines::default();

    play(&mut timelines, [offer(Firmware::UefiX64), offer(Firmware::UefiX64), ack(Firmware::UefiX64)]);

    assert_eq!(only(timelines.of(MAC).expect("seen")).stage(), Some(Stage::Address));
}

#[test]
fn ipxe_that_asks_for_its_own_address_continues_the_firmwares_boot() {
    let mut timelines = Timelines::default();
    let transfer = What::Transfer { file: "undionly.kpxe".into(), bytes: 1, milliseconds: 1 };
    let script = What::Script { boot: "install".into() };

    play(
        &mut timelines,
        [
            ack(Firmware::Bios),
            transfer,
            offer(Firmware::Ipxe),
            ack(Firmware::Ipxe),
            script.clone(),
            ack(Firmware::Ipxe),
            script,
        ],
    );

    let stages: Vec<_> = timelines.of(MAC).expect("seen").attempts().map(Attempt::stage).collect();
    assert_eq!(stages, [Some(Stage::Script), Some(Stage::Script)]);
}

#[test]
fn a_boot_with_an_address_from_elsewhere_is_one_boot() {
    let (firmware, address) = (Firmware::UefiX64, IpAddr::from([10, 77, 0, 50]));
    let server = Some(Ipv4Addr::new(10, 77, 0, 66));
    let takes = |firmware, server| What::Elsewhere { address, firmware, server };
    let mut timelines = Timelines::default();

    play(
        &mut timelines,
        [
            What::Directed { firmware },
            takes(firmware, server),
            takes(firmware, None),
            What::Transfer { file: "ipxe-x86_64.efi".into(), bytes: 1, milliseconds: 1 },
            What::Script { boot: "install".into() },
            takes(Firmware::Installer, server),
            report(Phase::Boot, None),
            takes(Firmware::Os, server),
        ],
    );

    let timeline = timelines.of(MAC).expect("seen");
    assert_eq!((only(timeline).stage(), only(timeline).firmware), (Some(Stage::System), Some(firmware)));
    assert_eq!((timeline.address().map(IpAddr::from), timeline.address_from()), (Some(address), server));
}

#[test]
fn without_our_dhcp_a_boot_begins_with_its_script() {
    let mut timelines = Timelines::default();
    let script = || What::Script { boot: "install".into() };

    play(&mut timelines, [script(), script(), fetch(FetchedFile::Kernel), script()]);

    let stages: Vec<_> = timelines.of(MAC).expect("seen").attempts().map(Attempt::stage).collect();
    assert_eq!(stages, [Some(Stage::Kernel), Some(Stage::Script)]);
}

#[test]
fn a_vendors_installer_with_an_address_is_no_installed_system() {
    let stages = |boot: &str| {
        let mut timelines = Timelines::default();
        let events = [
            What::Script { boot: boot.to_owned() },
            fetch(FetchedFile::Initrd),
            ack(Firmware::Os),
            report(Phase::Disk, None),
            report(Phase::Boot, None),
            ack(Firmware::Os),
        ];
        let stages = events.map(|event| {
            play(&mut timelines, [event]);
            only(timelines.of(MAC).expect("seen")).stage()
        });
        stages.map(|stage| stage.map(|stage| stage.to_string()).unwrap_or_default()).join(" ")
    };

    assert_eq!(stages("installer"), "script initrd installer installer installed system");
    assert_eq!(stages("live"), "script initrd system system system system");
}

#[test]
fn a_class_counts_for_the_boot_that_it_was_found_in() {
    let class = |name: &str| What::Class { name: name.to_owned(), arch: Some(Arch::X86_64) };
    let script = What::Script { boot: "live".to_owned() };
    let mut timelines = Timelines::default();
    let mut after = |events: &[What]| {
        play(&mut timelines, events.iter().cloned());
        timelines.of(MAC).and_then(|timeline| timeline.class()).map(|membership| membership.class.clone())
    };

    assert_eq!(after(&[offer(Firmware::UefiX64), class("a"), ack(Firmware::UefiX64)]), Some("a".to_owned()));
    assert_eq!(after(&[offer(Firmware::Ipxe), ack(Firmware::Ipxe), script]), Some("a".to_owned()));
    assert_eq!(after(&[ack(Firmware::Os)]), Some("a".to_owned()), "its installer may ask for its documents");
    assert_eq!(after(&[offer(Firmware::UefiX64)]), None, "another boot, of no class");
    assert_eq!(after(&[class("b")]), Some("b".to_owned()));
}

#[test]
fn a_failure_counts_until_the_machine_gets_further() {
    let mut timelines = Timelines::default();
    let failed = What::Installer(InstallerReport {
        phase: Phase::Verify,
        percent: None,
        failure: Some("checksum".to_owned()),
        detail: None,
    });

    play(&mut timelines, [report(Phase::Write, Some(100)), failed]);
    assert_eq!(only(timelines.of(MAC).expect("seen")).failure.as_deref(), Some("checksum"));

    play(&mut timelines, [report(Phase::Write, Some(10)), report(Phase::Verify, None)]);
    assert_eq!(only(timelines.of(MAC).expect("seen")).failure, None);
}

#[test]
fn renewals_do_not_push_a_boot_out_of_memory() {
    let mut timelines = Timelines::default();

    play(&mut timelines, [offer(Firmware::UefiX64), ack(Firmware::UefiX64)]);
    play(&mut timelines, std::iter::repeat_n(ack(Firmware::Os), 1000));

    assert_eq!(only(timelines.of(MAC).expect("seen")).events.len(), 3);
}

#[test]
fn a_flood_of_strangers_does_not_push_out_a_defined_machine() {
    let mut timelines = Timelines::default();
    timelines.record(&event(MAC, 0, What::Up));

    for number in 0..MACHINES as u32 + 100 {
        let [a, b, c, d] = number.to_be_bytes();
        let mac = MacAddr::new([2, 0, a, b, c, d]);
        timelines.record(&Event { machine: None, ..event(mac, 1, ack(Firmware::UefiX64)) });
    }

    assert!(timelines.of(MAC).is_some());
    assert_eq!((timelines.by_mac.len(), timelines.by_staleness.len()), (MACHINES, MACHINES));
}

#[test]
fn whoever_is_heard_of_again_is_not_forgotten_first() {
    let mut timelines = Timelines::default();
    let stranger = |number: u32, second| {
        let [a, b, c, d] = number.to_be_bytes();
        Event { machine: None, ..event(MacAddr::new([2, 0, a, b, c, d]), second, ack(Firmware::UefiX64)) }
    };
    let machines = MACHINES as u32;
    for number in 0..machines {
        timelines.record(&stranger(number, number.into()));
    }

    timelines.record(&stranger(0, machines.into()));
    timelines.record(&stranger(machines, machines.into()));

    let remembered = |number| timelines.of(stranger(number, 0).mac).is_some();
    assert_eq!([0, 1, 2, machines].map(remembered), [true, false, true, true]);
}

#[test]
fn of_a_stranger_little_is_remembered_whatever_it_pretends() {
    let mut timelines = Timelines::default();

    for second in 0..1000 {
        let what = if second % 50 == 0 { offer(Firmware::UefiX64) } else { What::Script { boot: second.to_string() } };
        timelines.record(&Event { machine: None, ..event(MAC, second, what) });
    }

    assert!(only(timelines.of(MAC).expect("seen")).events.len() <= OF_A_STRANGER.events);
}

proptest! {
    #[test]
    fn whatever_happens_memory_is_bounded_and_stages_only_grow(events in proptest::collection::vec(any_event(), 0..400)) {
        let mut timelines = Timelines::default();

        play(&mut timelines, events);

        for (_, timeline) in timelines.iter() {
            prop_assert!(timeline.attempts.len() <= OF_A_DEFINED_MACHINE.attempts);
            for attempt in timeline.attempts() {
                prop_assert!(attempt.events.len() <= OF_A_DEFINED_MACHINE.events);
                prop_assert!(attempt.began <= attempt.latest);
                prop_assert!(attempt.reached.values().all(|at| (attempt.began..=attempt.latest).contains(at)));
            }
        }
    }
}

const MAC: MacAddr = MacAddr::new([0x52, 0x54, 0, 0, 0, 1]);
const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 0, 10));

fn any_event() -> impl Strategy<Value = What> {
    let firmware = || {
        prop_oneof![
            Just(Firmware::UefiX64),
            Just(Firmware::Ipxe),
            Just(Firmware::Installer),
            Just(Firmware::Os),
            Just(Firmware::Unsupported)
        ]
    };
    prop_oneof![
        firmware().prop_map(offer),
        firmware().prop_map(ack),
        Just(What::Script { boot: "install".into() }),
        Just(fetch(FetchedFile::BootProgram)),
        Just(fetch(FetchedFile::Initrd)),
        Just(What::FetchAborted { file: FetchedFile::Disk, bytes: 1 }),
        (0..100_u8).prop_map(|percent| report(Phase::Write, Some(percent))),
        Just(What::Nak { address: ADDRESS, reason: "elsewhere".into() }),
        Just(What::Up),
    ]
}

/// One event a second, after those before.
fn play(timelines: &mut Timelines, events: impl IntoIterator<Item = What>) {
    let after =
        timelines.of(MAC).and_then(|timeline| timeline.latest()).map_or(0, |latest| latest.latest.as_second() + 1);
    for (second, what) in (after..).zip(events) {
        timelines.record(&event(MAC, second, what));
    }
}

fn only(timeline: &Timeline) -> &Attempt {
    assert_eq!(timeline.attempts.len(), 1, "{timeline:#?}");
    &timeline.attempts[0]
}

fn event(mac: MacAddr, second: i64, what: What) -> Event {
    Event { at: at(second), mac, machine: "web".parse().ok(), what }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time in 1970")
}

fn offer(firmware: Firmware) -> What {
    What::Offer { address: ADDRESS, firmware }
}

fn ack(firmware: Firmware) -> What {
    What::Ack { address: ADDRESS, firmware }
}

fn fetch(file: FetchedFile) -> What {
    What::Fetch { file, bytes: 1 }
}

fn report(phase: Phase, percent: Option<u8>) -> What {
    What::Installer(InstallerReport { phase, percent, failure: None, detail: None })
}
