//! What a machine boots now.

use std::sync::Arc;

use lab_model::{Arch, Firmware, ImageManifest, ImageName, MacAddr, Machine, MachineName, ProfileName, Role};

use super::profile::{Kind, Menu};
use super::{BaseUrl, BootProgram, Profile, Profiles};
use crate::firmware::Treatment;

/// What a machine is to boot, whatever protocol it asks by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Boot {
    /// The installer, which writes this image to the machine's disk.
    Install {
        /// The machine's name.
        machine: MachineName,
        /// What is installed.
        image: ImageName,
        /// What it is installed for.
        arch: Arch,
        /// Whether the installer starts with a shell.
        shell: bool,
    },
    /// The installer, which has the system of this image run in memory.
    Memory {
        /// The machine's name.
        machine: MachineName,
        /// Whose system.
        image: ImageName,
        /// What it is for.
        arch: Arch,
    },
    /// What its profile says: a kernel, or a script of somebody's own.
    Profile {
        /// The machine's name.
        machine: MachineName,
        /// The profile, which is of kind `installer`, `live` or `script`.
        profile: Arc<Profile>,
        /// The image whose kernel is started; a script may do without.
        image: Option<ImageName>,
        /// What it is for.
        arch: Arch,
    },
    /// A choice on the console between these.
    Menu {
        /// The machine's name.
        machine: MachineName,
        /// What can be chosen.
        menu: Menu,
    },
    /// Whatever is on its disk: nothing comes from us.
    Local,
    /// Nothing, because nobody defined it; a script says so on its console.
    Unknown,
    /// Nothing, for this reason.
    Refuse(Refusal),
}

/// Why a machine gets nothing to boot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Its definition is about another kind of processor.
    #[error("{machine} is defined as {defined}, but this machine is {found}: correct `arch` in its definition")]
    WrongArch {
        /// The machine's name.
        machine: MachineName,
        /// What its definition says.
        defined: Arch,
        /// What its firmware or boot program runs on.
        found: Arch,
    },
    /// Its definition, or its class, names a profile that is not here.
    #[error(
        "{machine} has the profile `{profile}`, but there is none of that name: correct `profile` in its definition, or in \
         the class that it is of"
    )]
    NoProfile {
        /// The machine's name.
        machine: MachineName,
        /// What its definition says.
        profile: ProfileName,
    },
    /// Its profile needs an image, and neither it nor the definition names one.
    #[error("{machine} has the profile `{profile}`, which needs an image: name one as `distro` in its definition")]
    NoImage {
        /// The machine's name.
        machine: MachineName,
        /// Its profile.
        profile: ProfileName,
    },
    /// Its image is a kernel to be started, and it is to be installed with it.
    #[error(
        "{machine} cannot be installed with the image {image}, which has no disk: name a profile of kind `installer` or \
         `live` as `profile` in its definition, or an image with a disk as `distro`"
    )]
    NoDisk {
        /// The machine's name.
        machine: MachineName,
        /// What its definition says.
        image: ImageName,
    },
    /// What was chosen is not on the machine's menu, or is not here.
    #[error("`{profile}` cannot be chosen for {machine}: correct `items` in the profile of its menu")]
    NotOnMenu {
        /// The machine's name.
        machine: MachineName,
        /// What was chosen.
        profile: ProfileName,
    },
}

/// What a boot program says of itself and of what was chosen on its console.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asker {
    /// The processor that it runs on, where it says so.
    pub found: Option<Arch>,
    /// The profile that was chosen from a menu.
    pub chosen: Option<ProfileName>,
    /// The number of the latest [`lab_model::Once`] that the machine has had.
    pub once: Option<u64>,
}

/// Where a DHCP reply sends a machine for the first file of its boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Directions {
    /// Nowhere: no boot file name, no next server. The firmware goes on to its next device.
    Nowhere,
    /// To TFTP: the server's own address as next server (`siaddr`), and this program's name as boot file name
    /// (RFC 2131 §2; RFC 2132 §9.4, §9.5).
    Tftp(BootProgram),
    /// To HTTP: this URL as boot file name, and `HTTPClient` as vendor class identifier (UEFI 2.10 §24.7.3.1).
    Http(String),
    /// To its script: this URL as boot file name, for iPXE.
    Script(String),
}

/// Says what the machine boots: `machine` is what the inventory has of it.
pub fn decide(machine: Option<&Machine>, profiles: &Profiles, asker: &Asker) -> Boot {
    let Some(machine) = machine else { return Boot::Unknown };
    if machine.role != Role::Target {
        return Boot::Local;
    }
    match &machine.once {
        None if !machine.network_boot => return Boot::Local,
        // Not what is defined otherwise: a machine that was only to be looked at would be installed. A choice from a menu is the
        // rest of the same boot.
        Some(once) if asker.once == Some(once.number) && asker.chosen.is_none() => return Boot::Local,
        None | Some(_) => {}
    }
    let name = machine.name.clone();
    if let Some(found) = asker.found.filter(|found| *found != machine.arch) {
        return Boot::Refuse(Refusal::WrongArch { machine: name, defined: machine.arch, found });
    }
    match profile(machine, profiles, asker.chosen.as_ref()) {
        Err(refusal) => Boot::Refuse(refusal),
        Ok(None) => install(machine),
        Ok(Some(profile)) => by_profile(machine, profile),
    }
}

/// The profile that counts: the machine's, or what was chosen from the menu that the machine's is.
fn profile<'a>(
    machine: &Machine,
    profiles: &'a Profiles,
    chosen: Option<&ProfileName>,
) -> Result<Option<&'a Arc<Profile>>, Refusal> {
    let name = &machine.name;
    let own = profiles.of(machine).map_err(|profile| Refusal::NoProfile { machine: name.clone(), profile })?;
    let Some(chosen) = chosen else { return Ok(own) };
    match profiles.possible(machine).find(|profile| profile.name == *chosen) {
        Some(profile) => Ok(Some(profile)),
        None => Err(Refusal::NotOnMenu { machine: name.clone(), profile: chosen.clone() }),
    }
}

fn by_profile(machine: &Machine, profile: &Arc<Profile>) -> Boot {
    let name = machine.name.clone();
    let image = profile.image(machine);
    match (&profile.kind, image) {
        (Kind::Local, _) => Boot::Local,
        (Kind::Menu(menu), _) => Boot::Menu { machine: name, menu: menu.clone() },
        (Kind::Image | Kind::Memory | Kind::Installer(_) | Kind::Live(_), None) => {
            Boot::Refuse(Refusal::NoImage { machine: name, profile: profile.name.clone() })
        }
        (Kind::Image, Some(_)) => install(machine),
        (Kind::Memory, Some(image)) => Boot::Memory { machine: name, image: image.clone(), arch: machine.arch },
        (Kind::Installer(_) | Kind::Live(_) | Kind::Script(_), _) => {
            Boot::Profile { machine: name, profile: profile.clone(), image: image.cloned(), arch: machine.arch }
        }
    }
}

/// A machine without an image has nothing to install.
fn install(machine: &Machine) -> Boot {
    let Some(image) = machine.image.clone() else { return Boot::Local };
    Boot::Install { machine: machine.name.clone(), image, arch: machine.arch, shell: machine.installer_shell }
}

/// What iPXE was built for, as it says in `${buildarch}`; `None` for a processor that no image is for.
///
/// The BIOS build is one for 32 bits on any x86 processor, and starts 64-bit kernels.
pub fn built_for(buildarch: &str) -> Option<Arch> {
    match buildarch {
        "arm64" => Some(Arch::Aarch64),
        "x86_64" | "i386" => Some(Arch::X86_64),
        _ => None,
    }
}

/// Puts the decision about a machine into the words of a DHCP reply to `firmware` at `mac`.
///
/// A stranger, and a machine that is refused, get their boot program all the same: only that can say the reason on the
/// console.
pub fn directions(
    machine: Option<&Machine>,
    profiles: &Profiles,
    firmware: Firmware,
    mac: MacAddr,
    treatment: Treatment,
    base: BaseUrl,
) -> Directions {
    // Whether it had its one boot already, its script says: a boot program that goes on to the disk costs little.
    let asker = Asker { found: firmware.arch(), ..Asker::default() };
    if decide(machine, profiles, &asker) == Boot::Local {
        return Directions::Nowhere;
    }
    let http = |program| Directions::Http(base.boot_program(program));
    match firmware {
        Firmware::Bios => Directions::Tftp(BootProgram::UndionlyKpxe),
        Firmware::UefiX64 => Directions::Tftp(BootProgram::IpxeX86_64Efi),
        Firmware::UefiArm64 => Directions::Tftp(BootProgram::IpxeArm64Efi),
        // It goes on to its next way of booting, which is PXE.
        Firmware::HttpX64 | Firmware::HttpArm64 if treatment.no_http_boot => Directions::Nowhere,
        Firmware::HttpX64 => http(BootProgram::IpxeX86_64Efi),
        Firmware::HttpArm64 => http(BootProgram::IpxeArm64Efi),
        Firmware::Ipxe => Directions::Script(base.script(mac)),
        // The first two have booted already and only want an address; nobody guesses a program for the last.
        Firmware::Installer | Firmware::Os | Firmware::Unsupported => Directions::Nowhere,
    }
}

impl Boot {
    /// The decision, once it is known what the image consists of: what has no disk cannot be installed. `None` is an image
    /// that is not here, and changes nothing.
    pub fn with(self, manifest: Option<&ImageManifest>) -> Self {
        match (self, manifest) {
            (
                Self::Install { machine, image, .. } | Self::Memory { machine, image, .. },
                Some(ImageManifest { disk: None, .. }),
            ) => Self::Refuse(Refusal::NoDisk { machine, image }),
            (boot, _) => boot,
        }
    }

    /// The decision in one word, for events and logs.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Install { .. } => "install",
            Self::Memory { .. } => "memory",
            Self::Profile { profile, .. } => profile.kind.word(),
            Self::Menu { .. } => "menu",
            Self::Local => "local",
            Self::Unknown => "unknown",
            Self::Refuse(_) => "refuse",
        }
    }

    /// The image that it takes; `None` where it takes none.
    pub fn image(&self) -> Option<(&ImageName, Arch)> {
        match self {
            Self::Install { image, arch, .. } | Self::Memory { image, arch, .. } => Some((image, *arch)),
            Self::Profile { image, arch, .. } => image.as_ref().map(|image| (image, *arch)),
            Self::Menu { .. } | Self::Local | Self::Unknown | Self::Refuse(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::script::tests::manifest;

    #[test]
    fn dhcp_sends_each_firmware_where_it_can_go() {
        let x86 = machine("arch = 'x86_64'\npxeboot = true\ndistro = 'debian-12'");
        let arm = machine("arch = 'aarch64'\npxeboot = true\ndistro = 'debian-12'");
        let script = "http://10.77.0.1/ipxe?mac=52:54:00:00:00:01&arch=${buildarch}";

        for (machine, firmware, expected) in [
            (&x86, Firmware::Bios, Directions::Tftp(BootProgram::UndionlyKpxe)),
            (&x86, Firmware::UefiX64, Directions::Tftp(BootProgram::IpxeX86_64Efi)),
            (&x86, Firmware::HttpX64, Directions::Http("http://10.77.0.1/boot/ipxe-x86_64.efi".to_owned())),
            (&arm, Firmware::UefiArm64, Directions::Tftp(BootProgram::IpxeArm64Efi)),
            (&arm, Firmware::HttpArm64, Directions::Http("http://10.77.0.1/boot/ipxe-arm64.efi".to_owned())),
            (&arm, Firmware::Ipxe, Directions::Script(script.to_owned())),
        ] {
            assert_eq!(to(Some(machine), firmware), expected);
            assert_eq!(to(None, firmware), expected);
        }
    }

    #[test]
    fn http_boot_that_is_taken_from_a_machine_leaves_it_pxe() {
        let x86 = machine("arch = 'x86_64'\npxeboot = true\ndistro = 'debian-12'");
        let treatment = Treatment { no_http_boot: true, ..Treatment::default() };
        let sent = |firmware| directions(Some(&x86), &Profiles::default(), firmware, MAC, treatment, BASE);

        assert_eq!(sent(Firmware::HttpX64), Directions::Nowhere);
        assert_eq!(sent(Firmware::UefiX64), Directions::Tftp(BootProgram::IpxeX86_64Efi));
        assert!(matches!(sent(Firmware::Ipxe), Directions::Script(_)));
    }

    #[test]
    fn ipxe_installs_the_image_of_the_definition() {
        let web = machine("arch = 'aarch64'\npxeboot = true\ndistro = 'debian-12'");

        let boot = boots(&web, Some(Arch::Aarch64));

        let (name, image) = ("web".parse().expect("a name"), "debian-12".parse().expect("an image"));
        assert_eq!(boot, Boot::Install { machine: name, image, arch: Arch::Aarch64, shell: false });
        assert_eq!(boots(&web, None), boot);
    }

    #[test]
    fn refuses_a_machine_of_another_architecture_and_says_what_to_do() {
        let web = machine("arch = 'aarch64'\npxeboot = true\ndistro = 'debian-12'");

        let Boot::Refuse(refusal) = boots(&web, Some(Arch::X86_64)) else { panic!("refused") };

        assert_eq!(
            refusal.to_string(),
            "web is defined as aarch64, but this machine is x86_64: correct `arch` in its definition"
        );
    }

    #[test]
    fn a_refused_machine_gets_ipxe_to_say_why() {
        let web = machine("arch = 'aarch64'\npxeboot = true\ndistro = 'debian-12'");

        let sent = to(Some(&web), Firmware::UefiX64);

        assert_eq!(sent, Directions::Tftp(BootProgram::IpxeX86_64Efi));
    }

    #[test]
    fn a_machine_without_an_image_boots_its_disk() {
        let plain = machine("arch = 'aarch64'");
        let provisioner = machine("arch = 'aarch64'\nrole = 'provisioner'\npxeboot = true\ndistro = 'debian-12'");

        for machine in [plain, provisioner] {
            for firmware in [Firmware::UefiArm64, Firmware::UefiX64, Firmware::Ipxe, Firmware::Unsupported] {
                assert_eq!(boots(&machine, firmware.arch()), Boot::Local);
                assert_eq!(to(Some(&machine), firmware), Directions::Nowhere);
            }
        }
    }

    #[test]
    fn what_has_booted_already_or_is_of_an_unknown_type_is_sent_nowhere() {
        let web = machine("arch = 'aarch64'\npxeboot = true\ndistro = 'debian-12'");

        for firmware in [Firmware::Os, Firmware::Installer, Firmware::Unsupported] {
            for machine in [None, Some(&web)] {
                assert_eq!(to(machine, firmware), Directions::Nowhere);
            }
        }
    }

    #[test]
    fn a_profile_says_what_its_machines_boot() {
        let profiles = profiles(&[
            ("disk", "kind = 'local'"),
            ("menu", "kind = 'menu'\nitems = ['rescue', 'disk', 'gone']"),
            ("rescue", "kind = 'live'\narguments = 'quiet'\nimage = 'rescue-1'"),
            ("plain", "kind = 'image'"),
        ]);
        let machine = |profile: &str| machine(&format!("arch = 'aarch64'\npxeboot = true\nprofile = '{profile}'"));
        let boots = |profile: &str, chosen: Option<&str>| {
            let chosen = chosen.map(|name| name.parse().expect("a name"));
            decide(Some(&machine(profile)), &profiles, &Asker { chosen, ..Asker::default() })
        };
        let image = |boot| match boot {
            Boot::Profile { image, profile, .. } => (profile.kind.word(), image.map(|image| image.to_string())),
            other => panic!("{other:?}"),
        };
        let why = |boot| match boot {
            Boot::Refuse(refusal) => refusal.to_string(),
            other => panic!("{other:?}"),
        };

        assert_eq!(boots("disk", None), Boot::Local);
        assert_eq!(image(boots("rescue", None)), ("live", Some("rescue-1".to_owned())));
        assert!(matches!(boots("menu", None), Boot::Menu { .. }));
        assert_eq!(image(boots("menu", Some("rescue"))), ("live", Some("rescue-1".to_owned())));
        assert_eq!(boots("menu", Some("disk")), Boot::Local);
        let refused = [
            boots("unknown", None),
            boots("plain", None),
            boots("menu", Some("gone")),
            boots("menu", Some("plain")),
            boots("disk", Some("rescue")),
        ];
        insta::assert_snapshot!(refused.map(why).join("\n"));
        assert_eq!(
            directions(Some(&machine("disk")), &profiles, Firmware::UefiArm64, MAC, Treatment::default(), BASE),
            Directions::Nowhere,
            "firmware goes on to the disk at once"
        );
    }

    #[test]
    fn an_image_without_a_disk_is_started_by_a_profile_and_never_installed() {
        let whole = manifest(&[]);
        let bare = ImageManifest { disk: None, ..whole.clone() };
        let profiles = profiles(&[("rescue", "kind = 'live'\narguments = ''"), ("plain", "kind = 'image'")]);
        let boots = |profile: &str, manifest| {
            let machine = machine(&format!("arch = 'aarch64'\npxeboot = true\ndistro = 'debian-12'\n{profile}"));
            decide(Some(&machine), &profiles, &Asker::default()).with(manifest).word()
        };

        for (profile, with_bare) in [("", "refuse"), ("profile = 'plain'", "refuse"), ("profile = 'rescue'", "live")] {
            assert_eq!(boots(profile, Some(&bare)), with_bare, "{profile}");
            assert_eq!(boots(profile, Some(&whole)), boots(profile, None), "{profile}");
        }
    }

    #[test]
    fn what_is_for_one_time_comes_before_all_else_and_then_the_disk() {
        let profiles = profiles(&[
            ("rescue", "kind = 'live'\narguments = 'quiet'"),
            ("menu", "kind = 'menu'\nitems = ['rescue']"),
        ]);
        let once = |profile: &str| {
            format!("arch = 'aarch64'\ndistro = 'debian-12'\nonce = {{ profile = '{profile}', number = 7 }}\n")
        };
        let boots = |more: &str, once, chosen: Option<&str>| {
            let chosen = chosen.map(|name| name.parse().expect("a name"));
            decide(Some(&machine(more)), &profiles, &Asker { once, chosen, found: None }).word()
        };

        for more in [once("rescue"), once("rescue") + "pxeboot = true\n"] {
            assert_eq!(boots(&more, None, None), "live");
            assert_eq!(boots(&more, Some(6), None), "live", "another time");
            assert_eq!(boots(&more, Some(7), None), "local", "nothing is installed, whatever is defined");
            let sent =
                directions(Some(&machine(&more)), &profiles, Firmware::UefiArm64, MAC, Treatment::default(), BASE);
            assert_eq!(sent, Directions::Tftp(BootProgram::IpxeArm64Efi));
        }
        assert_eq!(boots(&once("menu"), None, None), "menu");
        assert_eq!(boots(&once("menu"), Some(7), Some("rescue")), "live", "what is chosen belongs to the same boot");
        assert_eq!(boots(&once("gone"), None, None), "refuse");
    }

    fn boots(machine: &Machine, found: Option<Arch>) -> Boot {
        decide(Some(machine), &Profiles::default(), &Asker { found, ..Asker::default() })
    }

    fn to(machine: Option<&Machine>, firmware: Firmware) -> Directions {
        directions(machine, &Profiles::default(), firmware, MAC, Treatment::default(), BASE)
    }

    fn profiles(texts: &[(&str, &str)]) -> Profiles {
        let files = |text: &str| [("profile.toml".to_owned(), text.to_owned())].into();
        let folders = texts.iter().map(|(name, text)| (name.parse().expect("a name"), files(text)));
        Profiles::build(folders.collect(), &Profiles::default())
    }

    const MAC: MacAddr = MacAddr::new([0x52, 0x54, 0, 0, 0, 1]);
    const BASE: BaseUrl = BaseUrl::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 77, 0, 1)), 80);

    fn machine(more: &str) -> Machine {
        let text = format!("name = 'web'\nmac = '52:54:00:00:00:01'\n{more}");
        let definition = lab_model::Definition::parse(&text, lab_model::Format::Toml).expect("a definition");
        Machine::new(&definition, "10.77.0.1/24".parse::<lab_model::Ipv4Net>().expect("a network")).expect("a machine")
    }
}
