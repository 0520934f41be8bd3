//! What `pvmlab up` has to do so that what is declared is there: decided here, done elsewhere.
//!
//! Deliberately careful: nothing that would lose a disk is ever a step. A machine that the file no longer names is
//! reported, and one that could only become what the file says by being made anew is refused with the commands for it.

use std::collections::BTreeMap;
use std::fmt;

use cloud_seed::Purpose;
use lab_model::{Arch, CloudInit, Document, ImageName, MacAddr, MachineName, ProfileName};

use crate::cloud_init::Told;

/// A machine as somebody wants it; `None`: as it is, or by default where it is yet to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) arch: Option<Arch>,
    pub(crate) mac: Option<MacAddr>,
    /// Without the length of the prefix.
    pub(crate) ip: Option<String>,
    pub(crate) ipv6: Option<String>,
    pub(crate) pxeboot: Option<bool>,
    pub(crate) distro: Option<ImageName>,
    pub(crate) profile: Option<ProfileName>,
    pub(crate) disk_bytes: Option<u64>,
    pub(crate) memory_mib: Option<u32>,
    pub(crate) cpus: Option<u32>,
    pub(crate) cloud_init: CloudInit,
    /// Beside the lab's own.
    pub(crate) ssh_keys: Option<Vec<String>>,
}

/// A machine as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Present {
    pub(crate) arch: Arch,
    pub(crate) mac: MacAddr,
    pub(crate) ip: String,
    pub(crate) ipv6: String,
    pub(crate) pxeboot: bool,
    pub(crate) distro: Option<ImageName>,
    pub(crate) profile: Option<ProfileName>,
    pub(crate) disk_bytes: u64,
    pub(crate) memory_mib: u32,
    pub(crate) cpus: u32,
    pub(crate) told: Told,
    pub(crate) running: bool,
}

/// One thing to do, in the order of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Create(MachineName),
    Change(MachineName, Vec<Change>),
    Start(MachineName),
}

/// What becomes another without the machine being made anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Ip(String),
    Ipv6(String),
    Pxeboot(bool),
    Distro(ImageName),
    Profile(ProfileName),
    /// Only ever larger.
    Disk(u64),
    Memory(u32),
    Cpus(u32),
    CloudInit(Purpose, Document),
    SshKeys(Vec<String>),
}

/// Why something that is declared is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It is part of what the machine is.
    Fixed { name: MachineName, key: &'static str, is: String, wanted: String },
    /// A file system on the disk would lose its end.
    Shrinks { name: MachineName, is: u64, wanted: u64 },
    /// A disk grows only while nothing writes to it.
    Runs { name: MachineName },
}

/// All that `up` does, says and refuses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The provisioner's first.
    pub(crate) steps: Vec<Step>,
    pub(crate) refusals: Vec<Refusal>,
    /// Machines that run with other hardware than they have from their next start on.
    pub(crate) restart: Vec<MachineName>,
    /// Machines that are there though the file does not name them.
    pub(crate) undeclared: Vec<MachineName>,
}

/// Compares what is declared, the provisioner first, with what is there.
pub(crate) fn plan(declared: &[(MachineName, Wanted)], present: &BTreeMap<MachineName, Present>) -> Plan {
    let mut plan = Plan::default();
    for (name, wanted) in declared {
        match present.get(name) {
            None => plan.steps.extend([Step::Create(name.clone()), Step::Start(name.clone())]),
            Some(present) => plan.bring(name, wanted, present),
        }
    }
    let named = |name: &MachineName| declared.iter().any(|(declared, _)| declared == name);
    plan.undeclared = present.keys().filter(|name| !named(name)).cloned().collect();
    plan
}

impl Plan {
    fn bring(&mut self, name: &MachineName, wanted: &Wanted, present: &Present) {
        self.refuse_another(name, "arch", wanted.arch, present.arch);
        self.refuse_another(name, "mac", wanted.mac, present.mac);
        let mut changes = Vec::new();
        if let Some(ip) = differs(&wanted.ip, &present.ip) {
            changes.push(Change::Ip(ip));
        }
        if let Some(ipv6) = differs(&wanted.ipv6, &present.ipv6) {
            changes.push(Change::Ipv6(ipv6));
        }
        if let Some(pxeboot) = differs(&wanted.pxeboot, &present.pxeboot) {
            changes.push(Change::Pxeboot(pxeboot));
        }
        if let Some(distro) = wanted.distro.clone().filter(|distro| present.distro.as_ref() != Some(distro)) {
            changes.push(Change::Distro(distro));
        }
        if let Some(profile) = wanted.profile.clone().filter(|profile| present.profile.as_ref() != Some(profile)) {
            changes.push(Change::Profile(profile));
        }
        match differs(&wanted.disk_bytes, &present.disk_bytes) {
            Some(bytes) if bytes < present.disk_bytes => {
                self.refusals.push(Refusal::Shrinks { name: name.clone(), is: present.disk_bytes, wanted: bytes });
            }
            Some(_) if present.running => self.refusals.push(Refusal::Runs { name: name.clone() }),
            Some(bytes) => changes.push(Change::Disk(bytes)),
            None => {}
        }
        let (told, documents) = (&present.told.cloud_init, &wanted.cloud_init);
        for (purpose, wanted, is) in [
            (Purpose::UserData, &documents.user_data, &told.user_data),
            (Purpose::VendorData, &documents.vendor_data, &told.vendor_data),
            (Purpose::NetworkConfig, &documents.network_config, &told.network_config),
        ] {
            let differs = wanted.clone().filter(|wanted| is.as_ref() != Some(wanted));
            changes.extend(differs.map(|document| Change::CloudInit(purpose, document)));
        }
        changes.extend(differs(&wanted.ssh_keys, &present.told.ssh_keys).map(Change::SshKeys));
        let hardware = [
            differs(&wanted.memory_mib, &present.memory_mib).map(Change::Memory),
            differs(&wanted.cpus, &present.cpus).map(Change::Cpus),
        ];
        if present.running && hardware.iter().any(Option::is_some) {
            self.restart.push(name.clone());
        }
        changes.extend(hardware.into_iter().flatten());
        if !changes.is_empty() {
            self.steps.push(Step::Change(name.clone(), changes));
        }
        if !present.running {
            self.steps.push(Step::Start(name.clone()));
        }
    }

    fn refuse_another<T: PartialEq + fmt::Display>(
        &mut self,
        name: &MachineName,
        key: &'static str,
        wanted: Option<T>,
        is: T,
    ) {
        if let Some(wanted) = wanted.filter(|wanted| *wanted != is) {
            let (is, wanted) = (is.to_string(), wanted.to_string());
            self.refusals.push(Refusal::Fixed { name: name.clone(), key, is, wanted });
        }
    }
}

/// What is wanted, where it is not so yet.
fn differs<T: PartialEq + Clone>(wanted: &Option<T>, is: &T) -> Option<T> {
    wanted.clone().filter(|wanted| wanted != is)
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip) => write!(f, "ip {ip}"),
            Self::Ipv6(ipv6) => write!(f, "ipv6 {ipv6}"),
            Self::Pxeboot(true) => f.write_str("boots from the network"),
            Self::Pxeboot(false) => f.write_str("does not boot from the network"),
            Self::Distro(distro) => write!(f, "distro {distro}, from its next installation on"),
            Self::Profile(profile) => write!(f, "profile {profile}, from its next boot from the network on"),
            Self::Disk(bytes) => write!(f, "disk of {} MiB", bytes >> 20),
            Self::Memory(mib) => write!(f, "memory of {mib} MiB"),
            Self::Cpus(count) => write!(f, "{count} processors"),
            Self::CloudInit(purpose, _) => write!(f, "{purpose}, from its next installation on"),
            Self::SshKeys(keys) => {
                write!(f, "SSH keys beside the lab's: {}, from its next installation on", keys.len())
            }
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed { name, key, is, wanted } => write!(
                f,
                "{name}: {key} is {is} and cannot become {wanted}: make the machine anew (`pvmlab vm clean {name}`, its disk is \
                 lost) or change the file"
            ),
            Self::Shrinks { name, is, wanted } => write!(
                f,
                "{name}: its disk has {} MiB and cannot shrink to {}: change disk-size in the file",
                is >> 20,
                wanted >> 20
            ),
            Self::Runs { name } => {
                write!(f, "{name}: its disk cannot grow while it runs: `pvmlab vm stop {name}`, then `pvmlab up` again")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_made_and_started_in_order() {
        let declared = [(name("provisioner"), Wanted::default()), (name("web"), Wanted::default())];

        let plan = plan(&declared, &BTreeMap::new());

        let both = |name: MachineName| [Step::Create(name.clone()), Step::Start(name)];
        assert_eq!(plan.steps, [both(name("provisioner")), both(name("web"))].concat());
    }

    #[test]
    fn what_is_as_declared_is_left_alone() {
        let wanted = Wanted {
            arch: Some(Arch::Aarch64),
            ip: Some("10.77.0.10".to_owned()),
            memory_mib: Some(2048),
            disk_bytes: Some(15 << 30),
            ..Wanted::default()
        };

        assert_eq!(plan(&[(name("web"), wanted)], &there("web", present())), Plan::default());
    }

    #[test]
    fn only_what_differs_changes() {
        let wanted = Wanted {
            memory_mib: Some(1024),
            ip: Some("10.77.0.11".to_owned()),
            distro: present().distro,
            profile: "rescue".parse().ok(),
            ..Wanted::default()
        };

        let plan = plan(&[(name("web"), wanted)], &there("web", present()));

        let profile = Change::Profile("rescue".parse().expect("a name"));
        let changes = vec![Change::Ip("10.77.0.11".to_owned()), profile, Change::Memory(1024)];
        assert_eq!(plan.steps, [Step::Change(name("web"), changes)]);
        assert_eq!(plan.restart, [name("web")]);
    }

    #[test]
    fn what_a_machine_is_told_changes_for_its_next_installation() {
        let document = |text: &str| Some(Document::from(text.to_owned()));
        let told = |user_data| CloudInit { user_data: document(user_data), ..CloudInit::default() };
        let present = Present { told: Told { cloud_init: told("#!/bin/sh"), ssh_keys: vec![] }, ..present() };
        let changes = |cloud_init, ssh_keys| {
            let wanted = Wanted { cloud_init, ssh_keys, ..Wanted::default() };
            plan(&[(name("web"), wanted)], &there("web", present.clone())).steps
        };

        assert_eq!(changes(told("#!/bin/sh"), Some(vec![])), []);
        assert_eq!(changes(CloudInit::default(), None), [], "what is left out stays");
        let [Step::Change(_, changes)] = &changes(told("#!/bin/bash"), Some(vec!["ssh-ed25519 AAAA a".to_owned()]))[..]
        else {
            panic!("one step");
        };
        let said: Vec<_> = changes.iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            ["user-data, from its next installation on", "SSH keys beside the lab's: 1, from its next installation on"]
        );
    }

    #[test]
    fn no_step_loses_a_disk() {
        let wanted = Wanted { arch: Some(Arch::X86_64), disk_bytes: Some(1 << 30), ..Wanted::default() };

        let plan = plan(&[(name("web"), wanted)], &there("web", present()));

        assert_eq!(plan.steps, []);
        insta::assert_snapshot!(plan.refusals.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
    }

    #[test]
    fn a_disk_grows_while_its_machine_is_off() {
        let wanted = || [(name("web"), Wanted { disk_bytes: Some(30 << 30), ..Wanted::default() })];

        let running = plan(&wanted(), &there("web", present()));
        let stopped = plan(&wanted(), &there("web", Present { running: false, ..present() }));

        assert_eq!(running.refusals, [Refusal::Runs { name: name("web") }]);
        assert_eq!(stopped.steps, [Step::Change(name("web"), vec![Change::Disk(30 << 30)]), Step::Start(name("web"))]);
    }

    #[test]
    fn who_is_not_declared_is_told_of_and_left_alone() {
        let plan = plan(&[], &there("old", present()));

        assert_eq!((plan.undeclared, plan.steps), (vec![name("old")], vec![]));
    }

    fn name(text: &str) -> MachineName {
        text.parse().expect("a name")
    }

    fn there(of: &str, machine: Present) -> BTreeMap<MachineName, Present> {
        BTreeMap::from([(name(of), machine)])
    }

    fn present() -> Present {
        Present {
            arch: Arch::Aarch64,
            mac: MacAddr::new([0x52, 0x54, 0, 0, 0, 1]),
            ip: "10.77.0.10".to_owned(),
            ipv6: String::new(),
            pxeboot: true,
            distro: "debian-12".parse().ok(),
            profile: None,
            disk_bytes: 15 << 30,
            memory_mib: 2048,
            cpus: 2,
            told: Told::default(),
            running: true,
        }
    }
}
