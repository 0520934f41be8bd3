//! What a machine boots now.

use lab_model::{Arch, Firmware, ImageName, MacAddr, Machine, MachineName, Role};

use super::BaseUrl;

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
    /// Whatever is on its disk: nothing comes from us.
    Local,
    /// Nothing, because nobody defined it; a script says so on its console.
    Unknown,
    /// Nothing, for this reason.
    Refuse(Refusal),
}

/// A program that firmware loads first, and that fetches everything else over HTTP: iPXE, built for that firmware.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BootProgram {
    /// On top of the PXE ROM's own driver, for BIOS.
    UndionlyKpxe,
    /// With its own drivers, for x86-64 UEFI.
    IpxeX86_64Efi,
    /// With its own drivers, for 64-bit Arm UEFI.
    IpxeArm64Efi,
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

/// Says what the machine boots: `machine` is what the inventory has of it, `found` the processor that asks, where it said so.
pub fn decide(machine: Option<&Machine>, found: Option<Arch>) -> Boot {
    let Some(machine) = machine else { return Boot::Unknown };
    let Some(image) = machine.image.as_ref().filter(|_| machine.role == Role::Target) else { return Boot::Local };
    match found {
        Some(found) if found != machine.arch => {
            Boot::Refuse(Refusal::WrongArch { machine: machine.name.clone(), defined: machine.arch, found })
        }
        Some(_) | None => Boot::Install {
            machine: machine.name.clone(),
            image: image.clone(),
            arch: machine.arch,
            shell: machine.installer_shell,
        },
    }
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
pub fn directions(machine: Option<&Machine>, firmware: Firmware, mac: MacAddr, base: BaseUrl) -> Directions {
    if decide(machine, firmware.arch()) == Boot::Local {
        return Directions::Nowhere;
    }
    let http = |program| Directions::Http(base.boot_program(program));
    match firmware {
        Firmware::Bios => Directions::Tftp(BootProgram::UndionlyKpxe),
        Firmware::UefiX64 => Directions::Tftp(BootProgram::IpxeX86_64Efi),
        Firmware::UefiArm64 => Directions::Tftp(BootProgram::IpxeArm64Efi),
        Firmware::HttpX64 => http(BootProgram::IpxeX86_64Efi),
        Firmware::HttpArm64 => http(BootProgram::IpxeArm64Efi),
        Firmware::Ipxe => Directions::Script(base.script(mac)),
        // The first two have booted already and only want an address; nobody guesses a program for the last.
        Firmware::Installer | Firmware::Os | Firmware::Unsupported => Directions::Nowhere,
    }
}

impl Boot {
    /// The decision in one word, for events and logs.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Install { .. } => "install",
            Self::Local => "local",
            Self::Unknown => "unknown",
            Self::Refuse(_) => "refuse",
        }
    }
}

impl BootProgram {
    /// Every boot program.
    pub const ALL: [Self; 3] = [Self::UndionlyKpxe, Self::IpxeX86_64Efi, Self::IpxeArm64Efi];

    /// The name by which it is asked for, over TFTP and HTTP.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::UndionlyKpxe => "undionly.kpxe",
            Self::IpxeX86_64Efi => "ipxe-x86_64.efi",
            Self::IpxeArm64Efi => "ipxe-arm64.efi",
        }
    }

    /// The program that is asked for by this name; case counts.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|program| program.file_name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(directions(Some(machine), firmware, MAC, BASE), expected);
            assert_eq!(directions(None, firmware, MAC, BASE), expected);
        }
    }

    #[test]
    fn ipxe_installs_the_image_of_the_definition() {
        let web = machine("arch = 'aarch64'\npxeboot = true\ndistro = 'debian-12'");

        let boot = decide(Some(&web), Some(Arch::Aarch64));

        let (name, image) = ("web".parse().expect("a name"), "debian-12".parse().expect("an image"));
        assert_eq!(boot, Boot::Install { machine: name, image, arch: Arch::Aarch64, shell: false });
        assert_eq!(decide(Some(&web), None), boot);
    }

    #[test]
    fn refuses_a_machine_of_another_architecture_and_says_what_to_do() {
        let web = machine("arch = 'aarch64'\npxeboot = true\ndistro = 'debian-12'");

        let Boot::Refuse(refusal) = decide(Some(&web), Some(Arch::X86_64)) else { panic!("refused") };

        assert_eq!(
            refusal.to_string(),
            "web is defined as aarch64, but this machine is x86_64: correct `arch` in its definition"
        );
    }

    #[test]
    fn a_refused_machine_gets_ipxe_to_say_why() {
        let web = machine("arch = 'aarch64'\npxeboot = true\ndistro = 'debian-12'");

        let sent = directions(Some(&web), Firmware::UefiX64, MAC, BASE);

        assert_eq!(sent, Directions::Tftp(BootProgram::IpxeX86_64Efi));
    }

    #[test]
    fn a_machine_without_an_image_boots_its_disk() {
        let plain = machine("arch = 'aarch64'");
        let provisioner = machine("arch = 'aarch64'\nrole = 'provisioner'\npxeboot = true\ndistro = 'debian-12'");

        for machine in [plain, provisioner] {
            for firmware in [Firmware::UefiArm64, Firmware::UefiX64, Firmware::Ipxe, Firmware::Unsupported] {
                assert_eq!(decide(Some(&machine), firmware.arch()), Boot::Local);
                assert_eq!(directions(Some(&machine), firmware, MAC, BASE), Directions::Nowhere);
            }
        }
    }

    #[test]
    fn what_has_booted_already_or_is_of_an_unknown_type_is_sent_nowhere() {
        let web = machine("arch = 'aarch64'\npxeboot = true\ndistro = 'debian-12'");

        for firmware in [Firmware::Os, Firmware::Installer, Firmware::Unsupported] {
            for machine in [None, Some(&web)] {
                assert_eq!(directions(machine, firmware, MAC, BASE), Directions::Nowhere);
            }
        }
    }

    #[test]
    fn a_boot_program_is_found_by_its_exact_name() {
        for program in BootProgram::ALL {
            assert_eq!(BootProgram::named(program.file_name()), Some(program));
        }
        for name in ["", "/ipxe-arm64.efi", "../ipxe-arm64.efi", "IPXE-ARM64.EFI", "ipxe-arm64.efi\0"] {
            assert_eq!(BootProgram::named(name), None, "{name:?}");
        }
    }

    const MAC: MacAddr = MacAddr::new([0x52, 0x54, 0, 0, 0, 1]);
    const BASE: BaseUrl = BaseUrl::new(std::net::Ipv4Addr::new(10, 77, 0, 1), 80);

    fn machine(more: &str) -> Machine {
        let text = format!("name = 'web'\nmac = '52:54:00:00:00:01'\n{more}");
        let definition = lab_model::Definition::parse(&text, lab_model::Format::Toml).expect("a definition");
        Machine::new(&definition, "10.77.0.1/24".parse().expect("a network")).expect("a machine")
    }
}
