//! What a machine's boot events add up to.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;
use lab_model::{Event, FetchedFile, Firmware, MacAddr, Stage, What};

/// Every machine that was seen lately, and how its boots went. Its memory is bounded, whatever the network sends.
///
/// A clone is a snapshot: it costs one pointer for each machine.
#[derive(Clone, Debug, Default)]
pub struct Timelines {
    by_mac: BTreeMap<MacAddr, Arc<Timeline>>,
}

/// The latest boots of one machine, oldest first; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeline {
    attempts: VecDeque<Attempt>,
}

/// One boot, from the firmware's first packet on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// When each stage was reached first.
    pub reached: BTreeMap<Stage, Timestamp>,
    /// What happened, oldest first; of many events the first ones and the latest.
    pub events: VecDeque<Event>,
    /// Why it got no further; `None` again when it did get further.
    pub failure: Option<String>,
    /// How much of the disk image is written, 0 to 100.
    pub percent: Option<u8>,
    /// When the machine was last heard of.
    pub latest: Timestamp,
}

/// How many machines are remembered; beyond that the one not heard of for longest is forgotten.
const MACHINES: usize = 4096;
/// How many boots of a machine are remembered.
const ATTEMPTS: usize = 4;
/// How many events of a boot are remembered.
const EVENTS: usize = 64;

impl Timelines {
    /// Adds what happened.
    pub fn record(&mut self, event: &Event) {
        if !self.by_mac.contains_key(&event.mac) && self.by_mac.len() >= MACHINES {
            self.forget_the_stalest();
        }
        let timeline = self.by_mac.entry(event.mac).or_insert_with(|| Arc::new(Timeline { attempts: VecDeque::new() }));
        Arc::make_mut(timeline).record(event);
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
        let heard = |timeline: &Timeline| timeline.latest().map(|attempt| attempt.latest);
        let stalest = self.by_mac.iter().min_by_key(|(_, timeline)| heard(timeline)).map(|(mac, _)| *mac);
        if let Some(mac) = stalest {
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

    fn record(&mut self, event: &Event) {
        if self.latest().is_none_or(|attempt| attempt.ends_before(&event.what)) {
            if self.attempts.len() == ATTEMPTS {
                self.attempts.pop_front();
            }
            self.attempts.push_back(Attempt {
                reached: BTreeMap::new(),
                events: VecDeque::new(),
                failure: None,
                percent: None,
                latest: event.at,
            });
        }
        if let Some(attempt) = self.attempts.back_mut() {
            attempt.record(event);
        }
    }
}

impl Attempt {
    /// How far it got.
    pub fn stage(&self) -> Option<Stage> {
        self.reached.last_key_value().map(|(stage, _)| *stage)
    }

    /// When it got there.
    pub fn since(&self) -> Option<Timestamp> {
        self.reached.last_key_value().map(|(_, at)| *at)
    }

    /// Whether `what` is the beginning of another boot.
    fn ends_before(&self, what: &What) -> bool {
        let stage = self.stage();
        match what {
            What::Offer { firmware, .. } | What::Ack { firmware, .. } => match firmware {
                Firmware::Installer | Firmware::Os => false,
                // iPXE asks for an address after the firmware did, or as the firmware: it begins a boot unless one waits for it.
                Firmware::Ipxe => stage >= Some(Stage::Script),
                Firmware::Bios
                | Firmware::UefiX64
                | Firmware::UefiArm64
                | Firmware::HttpX64
                | Firmware::HttpArm64
                | Firmware::Unsupported => match what {
                    What::Offer { .. } => stage > Some(Stage::Offer),
                    _ => stage > Some(Stage::Address),
                },
            },
            // Without our DHCP, the script is the first that we hear of a boot.
            What::Script { .. } => stage > Some(Stage::Script),
            What::Fetch { file: FetchedFile::BootProgram, .. } => stage > Some(Stage::BootProgram),
            What::Transfer { .. } | What::TransferFailed { .. } | What::Nak { .. } | What::Decline { .. } => false,
            What::Fetch { .. } | What::Installer(_) | What::Up => false,
        }
    }

    fn record(&mut self, event: &Event) {
        let known = self.events.back().is_some_and(|last| last.what == event.what);
        self.latest = event.at;
        if let Some(stage) = event.what.stage() {
            if self.stage().is_none_or(|reached| reached < stage) {
                self.failure = None;
            }
            self.reached.entry(stage).or_insert(event.at);
        }
        if let Some(failure) = event.what.failure() {
            self.failure = Some(failure.to_owned());
        }
        if let What::Installer(report) = &event.what {
            self.percent = report.percent.or(self.percent);
        }
        if known {
            return;
        }
        if self.events.len() == EVENTS {
            self.events.remove(EVENTS / 2);
        }
        self.events.push_back(event.clone());
    }
}
