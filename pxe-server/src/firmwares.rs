//! How each machine's firmware is answered: by what is known of its kind, and by how its last boots went.
//!
//! Nothing is kept here. DHCP alone sees of which kind a client is, and has it recorded; TFTP, which sees an address, finds it in the journal,
//! beside the steps that follow from its failures.

use jiff::Timestamp;
use lab_model::{MacAddr, What};
use pxe_proto::dhcp::Request;
use pxe_proto::firmware::Treatment;

use crate::journal::Journal;
use crate::plan::Plans;

/// What is known of firmware.
#[derive(Clone, Debug)]
pub(crate) struct Firmwares {
    plans: Plans,
    journal: Journal,
}

impl Firmwares {
    /// By the quirks of the configuration that is at work, and by what happened so far.
    pub(crate) fn new(plans: Plans, journal: Journal) -> Self {
        Self { plans, journal }
    }

    /// Has a client of DHCP answered as its firmware needs it. Returns what is to be recorded, behind the answer's own event, where the
    /// machine's boot is not known to have this quirk.
    pub(crate) fn treat(&self, request: &mut Request) -> Option<What> {
        let plan = self.plans.borrow();
        let limits = plan.config.tftp.bounds().limits;
        let quirk = plan.quirks.of(request).filter(|(_, treatment)| treatment.is_felt(limits));
        if quirk.is_none() && !request.firmware().boots_from_the_network() {
            return None;
        }
        let (is_new, steps) = self.journal.look(request.mac(), |timeline| {
            let known = timeline.and_then(|timeline| timeline.quirk());
            let steps = timeline.map(|timeline| timeline.step_down().treatment(Timestamp::now()));
            (quirk.is_some_and(|(name, _)| known != Some(name)), steps.unwrap_or_default())
        });
        let known = quirk.map(|(_, treatment)| treatment).unwrap_or_default();
        request.treat(known.and(steps));
        quirk.filter(|_| is_new).map(|(name, _)| What::Quirk { name: name.to_owned() })
    }

    /// How the machine with this hardware address is answered by whoever does not see of which kind it is.
    pub(crate) fn treatment(&self, mac: MacAddr) -> Treatment {
        let plan = self.plans.borrow();
        self.journal.look(mac, |timeline| {
            let Some(timeline) = timeline else { return Treatment::default() };
            let quirk = timeline.quirk().and_then(|name| plan.quirks.named(name));
            quirk.unwrap_or_default().and(timeline.step_down().treatment(Timestamp::now()))
        })
    }
}
