//! Everything that determines an image's content, apart from the versions that Debian has today.
//!
//! A recipe is text (JSON): it names a cache entry, and the identifiers of disk and file system are derived from it.

use lab_model::Arch;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::layout::Layout;

/// How the root file system is made.
#[derive(Clone, Debug, Serialize)]
pub(super) struct SystemRecipe {
    pub(super) suite: &'static str,
    /// Debian's name of the architecture.
    pub(super) arch: &'static str,
    pub(super) packages: &'static [&'static str],
    /// Installed after all others.
    pub(super) kernel: String,
    pub(super) boot_loader: BootLoader,
    /// Paths that are not unpacked, in the words of dpkg's configuration.
    pub(super) dpkg_options: &'static [&'static str],
    pub(super) script: &'static str,
}

/// Which of Debian's kernels.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kernel {
    /// For virtual machines, with little else than their drivers.
    Cloud,
    /// For every machine.
    Generic,
}

/// Where an image has its kernel, and so what its boot loader reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Shape {
    /// In a folder of the root, as Debian.
    Root,
    /// On a file system of its own, as Ubuntu and Fedora.
    BootPartition,
    /// On the EFI system partition, with an entry for systemd-boot (the UAPI group's Boot Loader Specification, type 1).
    Entries,
}

impl Shape {
    /// As scripts have it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::BootPartition => "boot-partition",
            Self::Entries => "entries",
        }
    }
}

/// A GRUB that firmware finds without an entry in its variables.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct BootLoader {
    pub(super) package: &'static str,
    pub(super) target: &'static str,
    /// UEFI 2.10 §3.5.1.1: what firmware starts from a disk that no boot option names.
    pub(super) file: &'static str,
    pub(super) modules: &'static [&'static str],
}

/// How a disk is made of a root file system.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ImageRecipe {
    pub(super) system: SystemRecipe,
    pub(super) shape: Shape,
    pub(super) layout: Layout,
    /// Kernel arguments for the consoles, the last of which is `/dev/console`.
    pub(super) consoles: &'static [&'static str],
    pub(super) overlay: Vec<(&'static str, &'static str)>,
    /// Files of the EFI system partition, beside the boot loader.
    pub(super) esp: Vec<(&'static str, &'static str)>,
    pub(super) script: &'static str,
}

impl SystemRecipe {
    /// Debian 12 as a vendor of cloud images would put it together, without what a lab never starts.
    pub(super) fn debian_12(kernel: Kernel, arch: Arch) -> Self {
        let debian = debian_name(arch);
        Self {
            suite: "bookworm",
            arch: debian,
            packages: PACKAGES,
            kernel: match kernel {
                Kernel::Cloud => format!("linux-image-cloud-{debian}"),
                Kernel::Generic => format!("linux-image-{debian}"),
            },
            boot_loader: BootLoader::of(arch),
            dpkg_options: &[
                "path-exclude=/usr/share/doc/*",
                "path-include=/usr/share/doc/*/copyright",
                "path-exclude=/usr/share/man/*",
                "path-exclude=/usr/share/info/*",
                "path-exclude=/usr/share/locale/*",
                "force-unsafe-io",
            ],
            script: include_str!("debian-12/system.sh"),
        }
    }

    pub(super) fn text(&self) -> String {
        text(self)
    }

    /// Every package that is installed with the base system.
    pub(super) fn packages(&self) -> impl Iterator<Item = &'static str> {
        self.packages.iter().copied().chain([self.boot_loader.package])
    }
}

impl ImageRecipe {
    pub(super) fn debian_12(kernel: Kernel, shape: Shape, arch: Arch) -> Self {
        let mut overlay = vec![
            ("etc/cloud/cloud.cfg.d/90_image.cfg", include_str!("debian-12/overlay/cloud.cfg")),
            ("etc/default/locale", include_str!("debian-12/overlay/locale")),
            ("etc/hosts", include_str!("debian-12/overlay/hosts")),
            ("etc/ssh/sshd_config.d/60-image.conf", include_str!("debian-12/overlay/sshd.conf")),
            ("etc/systemd/networkd.conf.d/10-image.conf", include_str!("debian-12/overlay/networkd.conf")),
        ];
        let root = ("etc/fstab", include_str!("debian-12/overlay/fstab"));
        let (more, esp) = match shape {
            Shape::Root => (
                vec![root, ("boot/grub/grub.cfg", include_str!("debian-12/overlay/grub.cfg"))],
                vec![("EFI/debian/grub.cfg", include_str!("debian-12/esp-grub.cfg"))],
            ),
            Shape::BootPartition => (
                vec![
                    ("etc/fstab", include_str!("debian-12/boot-partition/fstab")),
                    ("boot/grub/grub.cfg", include_str!("debian-12/overlay/grub.cfg")),
                ],
                vec![("EFI/debian/grub.cfg", include_str!("debian-12/boot-partition/esp-grub.cfg"))],
            ),
            Shape::Entries => (
                vec![root],
                vec![
                    ("loader/loader.conf", include_str!("debian-12/entries/loader.conf")),
                    ("loader/entries/debian.conf", include_str!("debian-12/entries/debian.conf")),
                ],
            ),
        };
        overlay.extend(more);
        Self {
            system: SystemRecipe::debian_12(kernel, arch),
            shape,
            layout: match (shape, kernel) {
                (Shape::BootPartition, _) => Layout::BOOT_PARTITION,
                (Shape::Entries, _) => Layout::ENTRIES,
                (Shape::Root, Kernel::Cloud) => Layout::DEBIAN_12,
                (Shape::Root, Kernel::Generic) => Layout::DEBIAN_12_GENERIC,
            },
            consoles: match arch {
                Arch::Aarch64 => &["console=tty0", "console=ttyAMA0,115200"],
                Arch::X86_64 => &["console=tty0", "console=ttyS0,115200"],
            },
            overlay,
            esp,
            script: include_str!("debian-12/disk.sh"),
        }
    }

    pub(super) fn text(&self) -> String {
        text(self)
    }

    /// An identifier for the part of the image called `label`, the same each time that this recipe is followed.
    pub(super) fn identifier(&self, label: &str) -> Identifier {
        let digest = Sha256::new().chain_update(self.text()).chain_update([0]).chain_update(label).finalize();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        bytes[6] = bytes[6] & 0x0f | 0x80;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        Identifier(bytes)
    }

    /// The kernel command line of the installed system, in words.
    pub(super) fn installed_arguments(&self) -> Vec<String> {
        let root = format!("root=UUID={}", self.identifier("root file system"));
        [root, "ro".to_owned()].into_iter().chain(self.consoles.iter().map(|&word| word.to_owned())).collect()
    }

    /// A text of this recipe with its placeholders filled in.
    pub(super) fn filled(&self, template: &str) -> String {
        template
            .replace("{root_uuid}", &self.identifier("root file system").to_string())
            .replace("{boot_uuid}", &self.identifier("boot file system").to_string())
            .replace("{installed_arguments}", &self.installed_arguments().join(" "))
    }
}

impl BootLoader {
    fn of(arch: Arch) -> Self {
        let modules = &[
            "part_gpt",
            "fat",
            "ext2",
            "normal",
            "configfile",
            "search",
            "search_fs_uuid",
            "linux",
            "echo",
            "test",
            "minicmd",
            "reboot",
            "halt",
        ];
        match arch {
            Arch::Aarch64 => Self { package: "grub-efi-arm64-bin", target: "arm64-efi", file: "BOOTAA64.EFI", modules },
            Arch::X86_64 => Self { package: "grub-efi-amd64-bin", target: "x86_64-efi", file: "BOOTX64.EFI", modules },
        }
    }
}

/// A UUID of version 8 (RFC 9562 §5.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identifier([u8; 16]);

impl Identifier {
    /// A FAT volume's serial number.
    pub(super) fn serial(self) -> u32 {
        let [a, b, c, d, ..] = self.0;
        u32::from_be_bytes([a, b, c, d])
    }
}

impl std::fmt::Display for Identifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = hex::encode(self.0);
        write!(f, "{}-{}-{}-{}-{}", &text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..])
    }
}

/// Beside the essential packages, `apt`, kernel and boot loader.
const PACKAGES: &[&str] = &[
    // The initrd, which a machine is also installed from.
    "initramfs-tools",
    "kmod",
    "zstd",
    // The system.
    "dbus",
    "init",
    "systemd-sysv",
    "udev",
    // The network.
    "iproute2",
    "iputils-ping",
    "netbase",
    "netplan.io",
    "nftables",
    "openssh-server",
    "systemd-resolved",
    // First boot.
    "cloud-guest-utils",
    "cloud-init",
    "e2fsprogs",
    "fdisk",
    "sudo",
    // What a person reaches for.
    "ca-certificates",
    "curl",
    "less",
    "vim-tiny",
];

/// What Debian calls `arch`.
pub(crate) fn debian_name(arch: Arch) -> &'static str {
    match arch {
        Arch::Aarch64 => "arm64",
        Arch::X86_64 => "amd64",
    }
}

fn text(recipe: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(recipe).expect("a recipe has only text keys");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_changes_in_a_recipe_changes_its_text_and_identifiers() {
        let recipe = ImageRecipe::debian_12(Kernel::Cloud, Shape::Root, Arch::Aarch64);
        let mut smaller = recipe.clone();
        smaller.layout.disk_mib -= 1;
        let mut overlaid = recipe.clone();
        overlaid.overlay = vec![("etc/hosts", "")];
        let mut scripted = recipe.clone();
        scripted.system.script = "";

        let boot_partition = ImageRecipe::debian_12(Kernel::Cloud, Shape::BootPartition, Arch::Aarch64);
        let (generic, other_arch) = (
            ImageRecipe::debian_12(Kernel::Generic, Shape::Root, Arch::Aarch64),
            ImageRecipe::debian_12(Kernel::Cloud, Shape::Root, Arch::X86_64),
        );

        for other in [smaller, overlaid, scripted, boot_partition, generic, other_arch] {
            assert_ne!(recipe.text(), other.text());
            assert_ne!(recipe.identifier("disk"), other.identifier("disk"));
        }
        assert_eq!(recipe.text(), ImageRecipe::debian_12(Kernel::Cloud, Shape::Root, Arch::Aarch64).text());
    }

    #[test]
    fn identifiers_of_one_image_differ_by_their_label() {
        let recipe = ImageRecipe::debian_12(Kernel::Cloud, Shape::Root, Arch::X86_64);

        assert_ne!(recipe.identifier("disk"), recipe.identifier("root file system"));
    }

    #[test]
    fn an_identifier_is_a_uuid_of_version_8() {
        let text = ImageRecipe::debian_12(Kernel::Cloud, Shape::Root, Arch::X86_64).identifier("disk").to_string();

        assert_eq!(text.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        assert_eq!(&text[14..15], "8");
    }

    #[test]
    fn the_installed_system_finds_its_root_and_its_consoles() {
        let recipe = ImageRecipe::debian_12(Kernel::Cloud, Shape::Root, Arch::Aarch64);
        let root = recipe.identifier("root file system");

        let line = recipe.installed_arguments().join(" ");

        assert_eq!(line, format!("root=UUID={root} ro console=tty0 console=ttyAMA0,115200"));
        for (path, template) in recipe.overlay.iter().chain(&recipe.esp) {
            assert!(!recipe.filled(template).contains("{root_uuid}"), "{path}");
        }
    }
}
