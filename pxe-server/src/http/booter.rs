//! Who boots: the machine as it is defined, or by the word of the class that DHCP found it in.

use std::borrow::Cow;
use std::sync::Arc;

use lab_model::{Arch, MacAddr, Machine};
use pxe_proto::boot::{self, ByClass, Membership};

use super::State;

/// What has a hardware address, as it boots.
pub(super) struct Booter {
    /// `None` for a stranger whom no class has anything for.
    pub(super) machine: Option<Arc<Machine>>,
    /// The class whose profile it has.
    pub(super) class: Option<String>,
}

impl Booter {
    /// What is at `mac`; `found` is the processor that its boot program runs on, where that says so.
    ///
    /// The configuration of now counts: a class that is gone has no members, whenever DHCP found some.
    pub(super) fn at(mac: MacAddr, found: Option<Arch>, state: &State) -> Self {
        let defined = state.inventory.borrow().by_mac(mac).cloned();
        let (timelines, plan) = (state.journal.snapshot(), state.plan());
        let membership = timelines.of(mac).and_then(|timeline| timeline.class());
        let by_class = membership.and_then(|Membership { class, arch }| {
            let profile = plan.lab.profile_of_class(class)?;
            Some((class, ByClass { profile, arch: found.or(*arch) }))
        });
        match boot::booting(defined.as_deref(), mac, by_class.map(|(_, class)| class)) {
            Some(Cow::Owned(machine)) => {
                Self { machine: Some(Arc::new(machine)), class: by_class.map(|(class, _)| class.clone()) }
            }
            Some(Cow::Borrowed(_)) | None => Self { machine: defined, class: None },
        }
    }
}
