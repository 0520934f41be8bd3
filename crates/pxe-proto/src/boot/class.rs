//! Who boots by the word of its class: a machine whose definition names no profile, and a stranger.
//!
//! Deliberately not here: which class a client is of, which DHCP says ([`crate::dhcp::Class`]).

use std::borrow::Cow;
use std::collections::BTreeMap;

use lab_model::{AfterInstall, Arch, CloudInit, MacAddr, Machine, MachineName, ProfileName, Role};

/// What a class says of one of its members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByClass<'a> {
    /// What members boot.
    pub profile: &'a ProfileName,
    /// What the member's processor executes, where it says so.
    pub arch: Option<Arch>,
}

/// What strangers are called begins with this; their hardware address follows.
const STRANGER: &str = "stranger-";

/// The machine at `mac` as it boots: `defined` is what the inventory has of it.
///
/// A profile that the definition names counts, else that of its class. A stranger of such a class boots as a machine that has nothing but its
/// hardware address, its processor and that profile; `None` where it has no class, or does not say which processor it has.
pub fn booting<'a>(defined: Option<&'a Machine>, mac: MacAddr, class: Option<ByClass<'_>>) -> Option<Cow<'a, Machine>> {
    match (defined, class) {
        (Some(machine), Some(ByClass { profile, .. })) if machine.network_boot && machine.profile.is_none() => {
            Some(Cow::Owned(Machine { profile: Some(profile.clone()), ..machine.clone() }))
        }
        (Some(machine), _) => Some(Cow::Borrowed(machine)),
        (None, Some(ByClass { profile, arch })) => Some(Cow::Owned(stranger(mac, arch?, profile.clone()))),
        (None, None) => None,
    }
}

/// The hardware address of the stranger that is called so.
pub fn stranger_of(name: &MachineName) -> Option<MacAddr> {
    let digits = name.as_str().strip_prefix(STRANGER).filter(|digits| digits.len() == 12)?;
    let bits = u64::from_str_radix(digits, 16).ok()?;
    let [_, _, address @ ..] = bits.to_be_bytes();
    Some(MacAddr::new(address)).filter(|mac| called(*mac) == *name)
}

fn called(mac: MacAddr) -> MachineName {
    let digits: String = mac.bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{STRANGER}{digits}").parse().expect("letters, digits and a hyphen")
}

fn stranger(mac: MacAddr, arch: Arch, profile: ProfileName) -> Machine {
    Machine {
        name: called(mac),
        role: Role::Target,
        arch,
        mac,
        uuid: None,
        address: None,
        ipv6: None,
        network_boot: true,
        image: None,
        profile: Some(profile),
        once: None,
        vars: BTreeMap::new(),
        ssh_keys: Vec::new(),
        disk: None,
        wipe: false,
        after_install: AfterInstall::default(),
        installer_shell: false,
        cloud_init: CloudInit::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::profile::tests::machine;

    #[test]
    fn a_class_counts_where_a_definition_names_no_profile() {
        let of = |more: &str| {
            let (machine, profile) = (machine(more), &rescue());
            booting(Some(&machine), MAC, Some(ByClass { profile, arch: None }))?.profile.clone()
        };

        assert_eq!(of(""), Some(rescue()));
        assert_eq!(of("profile = 'own'"), "own".parse().ok());
        let disk = Machine { network_boot: false, ..machine("") };
        let class = Some(ByClass { profile: &rescue(), arch: None });
        assert_eq!(booting(Some(&disk), MAC, class).and_then(|machine| machine.profile.clone()), None);
    }

    #[test]
    fn a_stranger_boots_by_its_class_as_soon_as_its_processor_is_known() {
        let rescue = rescue();
        let class = |arch| Some(ByClass { profile: &rescue, arch });

        let stranger = booting(None, MAC, class(Some(Arch::Aarch64))).expect("a stranger of a class");

        assert_eq!((stranger.name.as_str(), stranger.arch), ("stranger-5254000000ab", Arch::Aarch64));
        assert_eq!(stranger_of(&stranger.name), Some(MAC));
        assert_eq!(booting(None, MAC, class(None)), None);
        assert_eq!(booting(None, MAC, None), None);
    }

    #[test]
    fn no_other_name_is_a_strangers() {
        for name in ["web", "stranger-5254000000", "stranger-5254000000zz", "stranger-5254000000ab0"] {
            assert_eq!(stranger_of(&name.parse().expect("a name")), None, "{name}");
        }
    }

    const MAC: MacAddr = MacAddr::new([0x52, 0x54, 0, 0, 0, 0xab]);

    fn rescue() -> ProfileName {
        "rescue".parse().expect("a name")
    }
}
