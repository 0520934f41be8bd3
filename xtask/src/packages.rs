//! The Debian packages that the commands need, and their installation.
//!
//! A package counts as there when the file that it is needed for is there, so a machine that has its tools from elsewhere
//! is left alone. What is missing is installed with `apt-get`, as root or by `sudo`, after saying so.

use std::{
    io::{self, IsTerminal, Write},
    path::Path,
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};

use crate::progress::Step;

mod apt;

/// Everything that some command needs.
///
/// # Errors
/// Those of [`require`].
pub(crate) fn require_all(consent: Consent) -> Result<()> {
    let all: Vec<Package> =
        [IMAGE, ROOTLESS_IMAGE, FOREIGN_IMAGE, QEMU, NETWORK, NAMES, TRACING, VENDORS, PEERS, DIST, MACOS].concat();
    require(&all, consent)
}

/// Whether packages may be installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Consent {
    /// The person was told with `--yes`, or there is nobody to ask.
    Given,
    /// A question is asked on the terminal.
    Ask,
}

impl Consent {
    /// Consent by the `--yes` flag, or because standard input is no terminal.
    pub(crate) fn from_flag(yes: bool) -> Self {
        if yes || !io::stdin().is_terminal() { Self::Given } else { Self::Ask }
    }
}

/// A Debian package and the file that it is needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Package {
    /// Its name.
    pub(crate) name: &'static str,
    /// An absolute path, or the name of a program.
    pub(crate) file: &'static str,
}

/// For the image of this machine's own architecture.
pub(crate) const IMAGE: &[Package] = &[
    package("mmdebstrap", "mmdebstrap"),
    KEYRING,
    package("gdisk", "sgdisk"),
    package("mtools", "mcopy"),
    package("e2fsprogs", "mke2fs"),
];

/// For an image that is built without root, beside [`IMAGE`].
pub(crate) const ROOTLESS_IMAGE: &[Package] = &[package("uidmap", "newuidmap")];

/// For the image of the other architecture, beside [`IMAGE`].
pub(crate) const FOREIGN_IMAGE: &[Package] = &[package(
    "qemu-user-static",
    if cfg!(target_arch = "aarch64") { "/usr/bin/qemu-x86_64-static" } else { "/usr/bin/qemu-aarch64-static" },
)];

/// For booting machines of both architectures with real firmware.
pub(crate) const QEMU: &[Package] = &[
    package("qemu-system-arm", "qemu-system-aarch64"),
    package("qemu-system-x86", "qemu-system-x86_64"),
    package("qemu-utils", "qemu-img"),
    package("qemu-efi-aarch64", "/usr/share/AAVMF/AAVMF_CODE.fd"),
    package("ovmf", "/usr/share/OVMF/OVMF_CODE_4M.fd"),
    package("ipxe-qemu", "/usr/lib/ipxe/qemu/efi-virtio.rom"),
    package("openssh-client", "ssh"),
];

/// For a laboratory network in namespaces.
pub(crate) const NETWORK: &[Package] =
    &[package("iproute2", "ip"), package("nftables", "nft"), package("util-linux", "unshare")];

/// For the tests' disks of vendors, beside [`IMAGE`].
pub(crate) const VENDORS: &[Package] = &[package("xz-utils", "xz"), package("zstd", "zstd")];

/// For the tests of names: who asks, and who is asked.
pub(crate) const NAMES: &[Package] = &[package("bind9-dnsutils", "dig"), package("dnsmasq-base", "dnsmasq")];

/// For tests that look at what a program asks of the kernel.
pub(crate) const TRACING: &[Package] = &[package("strace", "strace")];

/// The programs that ours is compared with, and works together with.
pub(crate) const PEERS: &[Package] = &[
    package("dnsmasq-base", "dnsmasq"),
    package("nginx-light", "nginx"),
    package("udhcpc", "udhcpc"),
    package("isc-dhcp-client", "/usr/sbin/dhclient"),
    package("isc-dhcp-relay", "/usr/sbin/dhcrelay"),
    package("dhcpcd-base", "/usr/sbin/dhcpcd"),
    package("atftp", "atftp"),
    package("tftp-hpa", "/usr/bin/tftp"),
    package("busybox", "busybox"),
    package("curl", "curl"),
    package("openssl", "openssl"),
    // Installed, these serve nobody: without a configuration of the owner's neither has an interface.
    package("isc-dhcp-server", "/usr/sbin/dhcpd"),
    package("kea-dhcp4-server", "/usr/sbin/kea-dhcp4"),
];

/// For an initial RAM file system.
pub(crate) const CPIO: &[Package] = &[package("cpio", "cpio")];

/// For static programs of both architectures, and what `pxe-server` embeds.
pub(crate) const DIST: &[Package] = if cfg!(target_arch = "aarch64") {
    &[
        KEYRING,
        package("gcc", "cc"),
        package("gcc-x86-64-linux-gnu", "x86_64-linux-gnu-gcc"),
        package("libc6-dev-amd64-cross", "/usr/x86_64-linux-gnu/lib/libc.a"),
    ]
} else {
    &[
        KEYRING,
        package("gcc", "cc"),
        package("gcc-aarch64-linux-gnu", "aarch64-linux-gnu-gcc"),
        package("libc6-dev-arm64-cross", "/usr/aarch64-linux-gnu/lib/libc.a"),
    ]
};

/// For programs for macOS, which are built with what pip fetches.
pub(crate) const MACOS: &[Package] = &[package("gcc", "cc"), package("python3-pip", "pip3")];

/// The keys that Debian's archive is signed with.
pub(crate) const KEYRING: Package = package("debian-archive-keyring", "/usr/share/keyrings/debian-archive-keyring.gpg");

/// Sees to it that `packages` are there.
///
/// # Errors
/// Some are missing, and the person declined, the machine has no `apt-get`, or the installation failed. The message names
/// the packages.
pub(crate) fn require(packages: &[Package], consent: Consent) -> Result<()> {
    let missing = missing(packages);
    if missing.is_empty() {
        return Ok(());
    }
    ensure!(find("apt-get").is_some(), "these Debian packages, or what they hold, are missing: {}", missing.join(" "));

    let plan = apt::Plan::of(&missing)?;
    eprintln!("needed: {}", missing.join(" "));
    for held in &plan.replaced {
        eprintln!(
            "{} {} comes from a source that this machine no longer has; it is replaced by {}",
            held.name, held.installed, held.available
        );
    }
    let mut command = as_root(&plan.command_line())?;
    eprintln!("to run: {}", shown(&command));
    if consent == Consent::Ask && !asked("Install?")? {
        bail!("not installed: {}", missing.join(" "));
    }

    let count = missing.len();
    let mut step = Step::start(format!("installing {count} package{}", if count == 1 { "" } else { "s" }));
    step.run(&mut command).context("cannot install packages")?;
    step.finish();
    let still: Vec<_> = packages.iter().filter(|package| !package.is_there()).map(|package| package.file).collect();
    ensure!(still.is_empty(), "installed, but without {}", still.join(", "));
    Ok(())
}

/// Where `program` is, looked for in `PATH`.
pub(crate) fn find(program: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

const fn package(name: &'static str, file: &'static str) -> Package {
    Package { name, file }
}

impl Package {
    fn is_there(&self) -> bool {
        if self.file.starts_with('/') { Path::new(self.file).exists() } else { find(self.file).is_some() }
    }
}

fn missing(packages: &[Package]) -> Vec<&'static str> {
    let mut names: Vec<_> = packages.iter().filter(|package| !package.is_there()).map(|package| package.name).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The command that runs `words` as root: as they are, or by `sudo`.
fn as_root(words: &[String]) -> Result<Command> {
    let environment = ["env", "DEBIAN_FRONTEND=noninteractive"].map(str::to_owned);
    let mut all: Vec<String> = environment.into_iter().chain(words.iter().cloned()).collect();
    if !nix::unistd::geteuid().is_root() {
        ensure!(find("sudo").is_some(), "needs root and there is no sudo; run as root: {}", words.join(" "));
        all.insert(0, "sudo".to_owned());
    }
    let mut command = Command::new(&all[0]);
    command.args(&all[1..]);
    Ok(command)
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

fn asked(question: &str) -> Result<bool> {
    eprint!("{question} [Y/n] ");
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "" | "y" | "yes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_missing_once_however_many_need_it() {
        let absent = package("absent", "no-such-program");
        let present = package("present", "sh");

        assert_eq!(missing(&[absent, present, absent]), ["absent"]);
    }

    #[test]
    fn asks_nobody_when_told_yes() {
        assert_eq!(Consent::from_flag(true), Consent::Given);
    }
}
