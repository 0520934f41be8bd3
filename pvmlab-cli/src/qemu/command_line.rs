//! What QEMU is started with: the whole argv, as a function of a guest and a platform.

use std::fmt;
use std::path::{Path, PathBuf};

use lab_model::{Arch, Definition, MacAddr, MachineName, Role};

use super::accelerator::Acceleration;
use super::emulator::{Emulator, Version};
use super::firmware::{Firmware, Flash};
use super::socket;
use crate::hardware::{BootOrder, Hardware, uplink_mac, uuid};
use crate::home::Home;
use crate::network::Lan;
use crate::network::uplink::{self, Uplink};

/// A program and its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CommandLine {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
}

/// What a guest runs on: QEMU, firmware and accelerator as this host has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Platform {
    pub(crate) emulator: Emulator,
    pub(crate) firmware: Firmware,
    pub(crate) acceleration: Acceleration,
}

/// A machine, as it is switched on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Guest {
    pub(crate) name: MachineName,
    pub(crate) arch: Arch,
    /// Of its interface on the lab network.
    pub(crate) mac: MacAddr,
    pub(crate) memory_mib: u32,
    pub(crate) cpus: u32,
    pub(crate) boot: BootOrder,
    /// Whether the network is tried where the disk does not boot.
    pub(crate) network_boot: bool,
    pub(crate) on_reboot: OnReboot,
    /// In the format qcow2.
    pub(crate) disk: PathBuf,
    /// The image with its cloud-init documents.
    pub(crate) seed: Option<PathBuf>,
    /// Its UEFI variable store.
    pub(crate) variables: PathBuf,
    pub(crate) monitor: PathBuf,
    pub(crate) console: PathBuf,
    pub(crate) console_log: PathBuf,
    pub(crate) lan: Lan,
    pub(crate) uplink: Option<Uplink>,
    pub(crate) shares: Vec<Share>,
}

/// What becomes of a machine that reboots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum OnReboot {
    /// It does.
    #[default]
    Restart,
    /// It is switched off, as somebody who looks into an installer wants it.
    PowerOff,
}

/// A folder of the host's that the machine reads over 9p.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Share {
    /// By which name the machine mounts it.
    pub(crate) tag: &'static str,
    pub(crate) folder: PathBuf,
}

impl Guest {
    /// The machine of this definition; a provisioner has an uplink and the lab's folders.
    pub(crate) fn new(
        definition: &Definition,
        hardware: &Hardware,
        lan: Lan,
        uplink: Option<Uplink>,
        home: &Home,
    ) -> Self {
        let name = &definition.name;
        let shares = match definition.role {
            Role::Provisioner => vec![
                Share { tag: "host_share_vms", folder: home.vms() },
                Share { tag: "host_share_images", folder: home.images() },
                Share { tag: "host_share_profiles", folder: home.profiles() },
            ],
            Role::Target => Vec::new(),
        };
        Self {
            name: name.clone(),
            arch: definition.arch,
            mac: definition.mac,
            memory_mib: hardware.memory_mib,
            cpus: hardware.cpus,
            boot: hardware.boot,
            network_boot: definition.pxeboot,
            on_reboot: OnReboot::Restart,
            disk: home.disk(name),
            seed: Some(home.seed_image(name)).filter(|image| image.exists()),
            variables: home.firmware_variables(name),
            monitor: socket::monitor(home, name),
            console: socket::console(home, name),
            console_log: home.console_log(name),
            lan,
            uplink,
            shares,
        }
    }
}

/// QEMU's program and arguments.
pub(crate) fn command_line(guest: &Guest, platform: &Platform) -> CommandLine {
    let mut words = Words::default();
    words.option("-name", escaped(guest.name.as_str()));
    words.flags("-nodefaults -no-user-config -display none");
    words.option("-machine", machine(guest.arch, &platform.acceleration).to_owned());
    words.option("-accel", platform.acceleration.argument.clone());
    words.option("-cpu", processor(guest.arch, &platform.acceleration).to_owned());
    words.option("-smp", guest.cpus.to_string());
    words.option("-m", guest.memory_mib.to_string());
    words.option("-uuid", uuid(guest.mac));
    if guest.on_reboot == OnReboot::PowerOff {
        words.flags("-no-reboot");
    }
    add_control(guest, &mut words);
    // Newer EDK2 refuses to boot from the network without a source of randomness.
    words.option("-device", "virtio-rng-pci".to_owned());
    add_firmware(guest, &platform.firmware, &mut words);
    add_disks(guest, &mut words);
    add_network(guest, platform.emulator.version, &mut words);
    for share in &guest.shares {
        let (tag, folder) = (share.tag, path(&share.folder));
        words.option("-virtfs", format!("local,path={folder},mount_tag={tag},security_model=none,readonly=on"));
    }
    wrapped(&guest.lan, CommandLine { program: platform.emulator.program.clone(), arguments: words.0 })
}

fn machine(arch: Arch, acceleration: &Acceleration) -> &'static str {
    match arch {
        // KVM can give a guest only the interrupt controller that the host has.
        Arch::Aarch64 if acceleration.is_kvm() => "virt,gic-version=host",
        Arch::Aarch64 => "virt,gic-version=3",
        Arch::X86_64 => "q35",
    }
}

fn processor(arch: Arch, acceleration: &Acceleration) -> &'static str {
    match arch {
        _ if !acceleration.is_emulation() => "host",
        // What EDK2 boots fastest on: emulation of `max` spends its time on pointer authentication.
        Arch::Aarch64 => "cortex-a72",
        Arch::X86_64 => "max",
    }
}

fn add_control(guest: &Guest, words: &mut Words) {
    words.option("-chardev", format!("socket,id=monitor,path={},server=on,wait=off", path(&guest.monitor)));
    words.option("-mon", "chardev=monitor,mode=control".to_owned());
    // The log has everything, whether or not somebody is attached.
    let (console, log) = (path(&guest.console), path(&guest.console_log));
    words.option("-chardev", format!("socket,id=console,path={console},server=on,wait=off,logfile={log}"));
    words.option("-serial", "chardev:console".to_owned());
}

fn add_firmware(guest: &Guest, firmware: &Firmware, words: &mut Words) {
    let Firmware { code: Flash { file, format }, variables } = firmware;
    words.option("-drive", format!("if=pflash,unit=0,format={format},readonly=on,file={}", path(file)));
    let own = path(&guest.variables);
    words.option("-drive", format!("if=pflash,unit=1,format={},file={own}", variables.format));
}

fn add_disks(guest: &Guest, words: &mut Words) {
    let at = match guest.boot {
        BootOrder::Disk => 1,
        BootOrder::Pxe => 2,
    };
    words.option("-drive", format!("if=none,id=disk,format=qcow2,discard=unmap,file={}", path(&guest.disk)));
    words.option("-device", format!("virtio-blk-pci,drive=disk,bootindex={at}"));
    if let Some(seed) = &guest.seed {
        words.option("-drive", format!("if=none,id=seed,format=raw,readonly=on,file={}", path(seed)));
        words.option("-device", "virtio-blk-pci,drive=seed".to_owned());
    }
}

/// The uplink comes first, so that it is the first interface even to a system that does not go by hardware address.
fn add_network(guest: &Guest, version: Version, words: &mut Words) {
    // QEMU's option ROM holds iPXE, which would take the place of EDK2's own PXE.
    let card = |netdev: &str, mac: MacAddr| format!("virtio-net-pci,netdev={netdev},mac={mac},romfile=");
    if let Some(uplink) = guest.uplink {
        words.option("-netdev", uplink.netdev());
        words.option("-device", card(uplink::ID, uplink_mac(guest.mac)));
    }
    words.option("-netdev", lan(&guest.lan, version));
    let boot = match guest.boot {
        BootOrder::Pxe => ",bootindex=1",
        BootOrder::Disk if guest.network_boot => ",bootindex=2",
        BootOrder::Disk => "",
    };
    words.option("-device", card("lab", guest.mac) + boot);
}

fn lan(lan: &Lan, version: Version) -> String {
    match lan {
        Lan::Stream { socket } => {
            // A switch that is made anew is found again; QEMU's releases have three ways to say so.
            let reconnect = match version {
                Version { major: ..8, .. } => "",
                Version { major: 8, .. } | Version { major: 9, minor: ..2 } => ",reconnect=1",
                Version { .. } => ",reconnect-ms=1000",
            };
            format!("stream,id=lab,server=off,addr.type=unix,addr.path={}{reconnect}", path(socket))
        }
        Lan::Client { .. } => "socket,id=lab,fd=3".to_owned(),
        Lan::Tap { device, .. } => format!("tap,id=lab,ifname={device},script=no,downscript=no"),
    }
}

fn wrapped(lan: &Lan, line: CommandLine) -> CommandLine {
    match lan {
        Lan::Stream { .. } | Lan::Tap { .. } => line,
        Lan::Client { program, socket } => {
            let before = [socket.display().to_string(), line.program.display().to_string()];
            CommandLine { program: program.clone(), arguments: before.into_iter().chain(line.arguments).collect() }
        }
    }
}

fn path(path: &Path) -> String {
    escaped(&path.display().to_string())
}

/// A comma ends a value, two are one.
fn escaped(text: &str) -> String {
    text.replace(',', ",,")
}

#[derive(Default)]
struct Words(Vec<String>);

impl Words {
    fn flags(&mut self, text: &str) {
        self.0.extend(text.split(' ').map(str::to_owned));
    }

    fn option(&mut self, name: &str, value: String) {
        self.0.extend([name.to_owned(), value]);
    }
}

/// As a person would type it, but for quotes.
impl fmt::Display for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.program.display())?;
        self.arguments.iter().try_for_each(|argument| write!(f, " {argument}"))
    }
}

#[cfg(test)]
mod tests;
