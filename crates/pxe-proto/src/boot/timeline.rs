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
mod tests;
