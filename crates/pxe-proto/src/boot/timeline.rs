//! What a machine's boot events add up to.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use jiff::Timestamp;
use lab_model::{Arch, Event, FetchedFile, Firmware, MacAddr, Stage, What};

use super::Handover;
use crate::firmware::StepDown;

/// Every machine that was seen lately, and how its boots went. Its memory is bounded, whatever the network sends.
///
/// A clone is a snapshot: it costs a few words for each machine.
#[derive(Clone, Debug, Default)]
pub struct Timelines {
    by_mac: BTreeMap<MacAddr, Arc<Timeline>>,
    /// The same machines, the one that is forgotten next first.
    by_staleness: BTreeSet<Staleness>,
}

/// Whether a machine is defined, when it was last heard of, and which it is.
type Staleness = (bool, Option<Timestamp>, MacAddr);

/// The latest boots of one machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timeline {
    attempts: VecDeque<Attempt>,
    address: Option<Ipv4Addr>,
    address_from: Option<Ipv4Addr>,
    handover: Handover,
    once: Option<u64>,
    class: Option<Membership>,
    quirk: Option<String>,
    step_down: StepDown,
    ipv6: Option<Ipv6Addr>,
    defined: bool,
}

/// The class that says what a machine boots, as DHCP found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// What the configuration called the class.
    pub class: String,
    /// What the machine's processor executes, where it said so.
    pub arch: Option<Arch>,
}

/// One boot, from the firmware's first packet on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// When the machine was first heard of in this boot.
    pub began: Timestamp,
    /// When it was last heard of.
    pub latest: Timestamp,
    /// What asked for an address first, if it was not an operating system.
    pub firmware: Option<Firmware>,
    /// What its latest script told it to do, as [`What::Script`] has it.
    pub boot: Option<String>,
    /// When each stage was reached first.
    pub reached: BTreeMap<Stage, Timestamp>,
    /// Why it got no further; `None` again when it did get further.
    pub failure: Option<String>,
    /// How much of the disk image is written, 0 to 100.
    pub percent: Option<u8>,
    /// What happened, oldest first; of many events the first and the latest.
    pub events: VecDeque<Event>,
}

/// How many machines are remembered: beyond that the one not heard of for longest is forgotten, strangers first.
const MACHINES: usize = 4096;

/// What is remembered of one machine.
struct Memory {
    /// How many boots.
    attempts: usize,
    /// How many events of each boot.
    events: usize,
}

/// An installation has about thirty events.
const OF_A_DEFINED_MACHINE: Memory = Memory { attempts: 4, events: 64 };

/// Anybody can pretend to be any number of machines that nobody defined.
const OF_A_STRANGER: Memory = Memory { attempts: 1, events: 16 };

impl Timelines {
    /// Adds what happened. Returns what follows from it for the machine, if anything does: that is an event too, and was not added.
    pub fn record(&mut self, event: &Event) -> Option<What> {
        let mac = event.mac;
        match self.by_mac.get(&mac) {
            Some(known) => drop(self.by_staleness.remove(&known.staleness(mac))),
            None if self.by_mac.len() >= MACHINES => self.forget_the_stalest(),
            None => {}
        }
        let timeline = Arc::make_mut(self.by_mac.entry(mac).or_default());
        let follows = timeline.record(event);
        self.by_staleness.insert(timeline.staleness(mac));
        follows
    }

    /// The machine with this hardware address, if it was seen.
    pub fn of(&self, mac: MacAddr) -> Option<&Arc<Timeline>> {
        self.by_mac.get(&mac)
    }

    /// Every machine that was seen, by hardware address.
    pub fn iter(&self) -> impl Iterator<Item = (MacAddr, &Arc<Timeline>)> {
        self.by_mac.iter().map(|(mac, timeline)| (*mac, timeline))
    }

    fn forget_the_stalest(&mut self) {
        if let Some((_, _, mac)) = self.by_staleness.pop_first() {
            self.by_mac.remove(&mac);
        }
    }
}

impl Timeline {
    /// The boot that is under way, or was the last.
    pub fn latest(&self) -> Option<&Attempt> {
        self.attempts.back()
    }

    /// The boots that are remembered, oldest first.
    pub fn attempts(&self) -> impl DoubleEndedIterator<Item = &Attempt> {
        self.attempts.iter()
    }

    /// The IPv4 address that the machine was given last.
    pub fn address(&self) -> Option<Ipv4Addr> {
        self.address
    }

    /// The other DHCP server that has given it, as far as the machine said so.
    pub fn address_from(&self) -> Option<Ipv4Addr> {
        self.address_from
    }

    /// The number of the latest [`lab_model::Once`] that the machine has had.
    pub fn once(&self) -> Option<u64> {
        self.once
    }

    /// The class that says what the machine boots; each boot's firmware is looked at anew.
    pub fn class(&self) -> Option<&Membership> {
        self.class.as_ref()
    }

    /// What the fault of the machine's firmware is called, if it has a known one; each boot's firmware is looked at anew.
    pub fn quirk(&self) -> Option<&str> {
        self.quirk.as_deref()
    }

    /// How gently the machine's firmware is served.
    pub fn step_down(&self) -> &StepDown {
        &self.step_down
    }

    /// How far the machine's seed is on its way to it.
    pub fn handover(&self) -> Handover {
        self.handover
    }

    /// The IPv6 address that the machine was given last.
    pub fn ipv6(&self) -> Option<Ipv6Addr> {
        self.ipv6
    }

    fn staleness(&self, mac: MacAddr) -> Staleness {
        (self.defined, self.latest().map(|attempt| attempt.latest), mac)
    }

    fn record(&mut self, event: &Event) -> Option<What> {
        self.defined = event.machine.is_some();
        let memory = if self.defined { OF_A_DEFINED_MACHINE } else { OF_A_STRANGER };
        match event.what {
            What::Ack { address: IpAddr::V4(address), .. } => {
                (self.address, self.address_from) = (Some(address), None);
            }
            What::Ack { address: IpAddr::V6(address), .. } => self.ipv6 = Some(address),
            What::Elsewhere { address: IpAddr::V4(address), server, .. } => {
                let before = self.address_from.filter(|_| self.address == Some(address));
                (self.address, self.address_from) = (Some(address), server.or(before));
            }
            _ => {}
        }
        if let What::Once { number } = event.what {
            self.once = Some(number);
        }
        self.handover = self.handover.after(&event.what);
        let begins = self.latest().is_none_or(|attempt| attempt.ends_before(&event.what));
        match &event.what {
            What::Class { name, arch } => self.class = Some(Membership { class: name.clone(), arch: *arch }),
            // Of which class it is, if any, comes next. iPXE goes on with what its firmware began, in other words.
            What::Offer { firmware, .. } | What::Directed { firmware }
                if firmware.boots_from_the_network() && (begins || *firmware != Firmware::Ipxe) =>
            {
                self.class = None;
            }
            _ => {}
        }
        if begins {
            while self.attempts.len() >= memory.attempts {
                self.attempts.pop_front();
            }
            self.attempts.push_back(Attempt::new(event.at));
            self.quirk = None;
        }
        if let What::Quirk { name } = &event.what {
            self.quirk = Some(name.clone());
        }
        let attempt = self.attempts.back_mut()?;
        let has_program = attempt.stage() >= Some(Stage::BootProgram);
        attempt.record(event, memory.events);
        let (step, reason) = self.step_down.record(event, has_program)?;
        Some(What::StepDown { to: step.word().to_owned(), reason })
    }
}

impl Attempt {
    fn new(began: Timestamp) -> Self {
        Self {
            began,
            latest: began,
            firmware: None,
            boot: None,
            reached: BTreeMap::new(),
            failure: None,
            percent: None,
            events: VecDeque::new(),
        }
    }

    /// How far it got.
    pub fn stage(&self) -> Option<Stage> {
        self.reached.last_key_value().map(|(stage, _)| *stage)
    }

    /// When it got there.
    pub fn since(&self) -> Option<Timestamp> {
        self.reached.last_key_value().map(|(_, at)| *at)
    }

    /// Whether `what` cannot happen in this boot any more, and so begins the next.
    fn ends_before(&self, what: &What) -> bool {
        let stage = self.stage();
        match what {
            What::Offer { firmware, .. } | What::Directed { firmware } => asks_anew(*firmware, stage, Stage::Offer),
            What::Ack { firmware, .. } | What::Elsewhere { firmware, .. } => {
                asks_anew(*firmware, stage, Stage::Address)
            }
            What::Fetch { file: FetchedFile::BootProgram, .. } => stage > Some(Stage::BootProgram),
            // Where another server gives addresses, the script is the first that we hear of a boot.
            What::Script { .. } => stage > Some(Stage::Script),
            What::Transfer { .. } | What::TransferFailed { .. } | What::Nak { .. } | What::Decline { .. } => false,
            What::Fetch { .. } | What::FetchAborted { .. } | What::FetchRefused { .. } => false,
            What::Class { .. } | What::Url | What::Quirk { .. } | What::StepDown { .. } => false,
            What::Once { .. } | What::Installer(_) | What::Up => false,
        }
    }

    /// How far this brings the boot.
    fn stage_by(&self, what: &What) -> Option<Stage> {
        let is_installed = self.reached.contains_key(&Stage::Installed);
        match (what, self.boot.as_deref()) {
            // A vendor's installer asks for its address as any operating system does.
            (
                What::Ack { firmware: Firmware::Os, .. } | What::Elsewhere { firmware: Firmware::Os, .. },
                Some("installer"),
            ) if !is_installed => Some(Stage::Installer),
            _ => what.stage(),
        }
    }

    fn record(&mut self, event: &Event, remembered: usize) {
        self.latest = event.at;
        match &event.what {
            What::Offer { firmware, .. }
            | What::Ack { firmware, .. }
            | What::Directed { firmware }
            | What::Elsewhere { firmware, .. }
                if *firmware != Firmware::Os =>
            {
                self.firmware.get_or_insert(*firmware);
            }
            What::Script { boot } => self.boot = Some(boot.clone()),
            What::Installer(report) => self.percent = report.percent.or(self.percent),
            What::Offer { .. } | What::Ack { .. } | What::Nak { .. } | What::Decline { .. } => {}
            What::Directed { .. } | What::Elsewhere { .. } => {}
            What::Class { .. } | What::Url | What::Quirk { .. } | What::StepDown { .. } => {}
            What::Transfer { .. } | What::TransferFailed { .. } | What::Once { .. } | What::Up => {}
            What::Fetch { .. } | What::FetchAborted { .. } | What::FetchRefused { .. } => {}
        }
        if let Some(stage) = self.stage_by(&event.what) {
            if self.stage().is_none_or(|reached| reached < stage) {
                self.failure = None;
            }
            self.reached.entry(stage).or_insert(event.at);
        }
        if let Some(failure) = event.what.failure() {
            self.failure = Some(failure.to_owned());
        }
        // A lease that is renewed every half minute tells nothing new.
        if self.events.back().is_none_or(|last| last.what != event.what) {
            while self.events.len() >= remembered {
                self.events.remove(self.events.len() / 2);
            }
            self.events.push_back(event.clone());
        }
    }
}

/// Whether who asks for an address begins another boot, `stage` being how far the last one got; the answer brings a machine to
/// `next`.
fn asks_anew(firmware: Firmware, stage: Option<Stage>, next: Stage) -> bool {
    match firmware {
        Firmware::Installer | Firmware::Os => false,
        // iPXE asks for an address after the firmware did, or as the firmware: before a script it continues a boot.
        Firmware::Ipxe => stage >= Some(Stage::Script),
        Firmware::Bios
        | Firmware::UefiX64
        | Firmware::UefiArm64
        | Firmware::HttpX64
        | Firmware::HttpArm64
        | Firmware::Unsupported => stage > Some(next),
    }
}

#[cfg(test)]
mod tests {
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
            let what =
                if second % 50 == 0 { offer(Firmware::UefiX64) } else { What::Script { boot: second.to_string() } };
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
}
