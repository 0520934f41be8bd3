//! A machine's parts: what outlives switching it off and on again.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use lab_model::{Arch, MacAddr};
use tempfile::TempDir;

use crate::{
    firmware::{Rom, Uefi},
    process::{own_without_privilege, run},
};

/// A machine that can be switched on. Its disks and firmware variables are in a folder that goes with it.
#[derive(Debug)]
pub struct Hardware {
    /// What its processor executes.
    pub arch: Arch,
    /// What runs first.
    pub rom: Rom,
    /// What its UEFI boots from the network by.
    pub network_boot: NetworkBoot,
    /// Of its one network interface.
    pub mac: MacAddr,
    /// How much memory it has, in MiB.
    pub memory: u32,
    /// Where its network interface leads.
    pub link: Link,
    record: Option<PathBuf>,
    second_card: Option<(MacAddr, PathBuf)>,
    disks: Vec<Disk>,
    usb_stick: Option<PathBuf>,
    folder: TempDir,
}

#[derive(Debug)]
struct Disk {
    file: PathBuf,
    /// QEMU's name of it.
    format: &'static str,
    read_only: bool,
}

/// How UEFI boots from the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkBoot {
    /// As it does by default: PXE first, then HTTP Boot.
    Pxe,
    /// HTTP Boot alone (UEFI 2.10 §24.7).
    Http,
    /// As by default, but PXE over IPv6 alone.
    PxeIpv6,
}

/// Where a network interface leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// To a tap device of this name, on the bridge of the lab.
    Tap(String),
    /// To the emulator's own network; then the emulator runs without any privilege: 10.0.2.0/24, where 10.0.2.2 is the host.
    User {
        /// The port of the host's 127.0.0.1 that leads to the machine's port 22.
        ssh_port: u16,
        /// What the emulator's DHCP server hands out as boot file.
        boot_file: String,
    },
}

impl Hardware {
    /// A machine without disks, with 1 GiB of memory and EDK2.
    ///
    /// # Errors
    /// No folder for it can be made.
    pub fn new(arch: Arch, mac: MacAddr, link: Link) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("pvmlab-guest-").tempdir()?;
        own_without_privilege(folder.path())?;
        Ok(Self {
            arch,
            rom: Rom::Uefi,
            network_boot: NetworkBoot::Pxe,
            mac,
            memory: 1024,
            link,
            record: None,
            second_card: None,
            disks: Vec::new(),
            usb_stick: None,
            folder,
        })
    }

    /// The same machine with SeaBIOS and the network card's own iPXE.
    pub fn with_bios(mut self) -> Self {
        self.rom = Rom::Bios;
        self
    }

    /// The same machine, whose UEFI boots from the network by HTTP alone.
    pub fn with_http_boot(mut self) -> Self {
        self.network_boot = NetworkBoot::Http;
        self
    }

    /// The same machine, whose UEFI does PXE over IPv6 alone.
    pub fn with_ipv6_pxe(mut self) -> Self {
        self.network_boot = NetworkBoot::PxeIpv6;
        self
    }

    /// The same machine with one more disk, which holds `gib` GiB of zeros.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn with_blank_disk(mut self, gib: u64) -> Result<Self> {
        let path = self.folder.path().join(format!("disk{}.raw", self.disks.len()));
        File::create(&path).and_then(|file| file.set_len(gib << 30)).context("cannot make a disk")?;
        own_without_privilege(&path)?;
        self.disks.push(Disk { file: path, format: "raw", read_only: false });
        Ok(self)
    }

    /// The same machine with as many MiB of memory.
    pub fn with_memory(mut self, mib: u32) -> Self {
        self.memory = mib;
        self
    }

    /// The file of the machine's first disk; raw, where that began blank.
    pub fn first_disk(&self) -> Option<&Path> {
        self.disks.first().map(|disk| disk.file.as_path())
    }

    /// The same machine with one more disk of `gib` GiB, which begins as the raw disk in the file `origin`; that stays as it is,
    /// and has to be readable to everybody.
    ///
    /// # Errors
    /// `qemu-img` is not installed.
    pub fn with_disk_of(mut self, origin: &Path, gib: u64) -> Result<Self> {
        let path = self.folder.path().join(format!("disk{}.qcow2", self.disks.len()));
        let (origin, file) = (origin.display().to_string(), path.display().to_string());
        run("qemu-img", &["create", "-q", "-f", "qcow2", "-F", "raw", "-b", &origin, &file, &format!("{gib}G")])?;
        own_without_privilege(&path)?;
        self.disks.push(Disk { file: path, format: "qcow2", read_only: false });
        Ok(self)
    }

    /// The same machine with one more disk, which holds what is in `file` and cannot be written.
    pub fn with_read_only_disk(mut self, file: &Path) -> Self {
        self.disks.push(Disk { file: file.to_owned(), format: "raw", read_only: true });
        self
    }

    /// The same machine with a second network interface, whose frames go to whoever listens at `socket` when it is switched on.
    pub fn with_second_card(mut self, mac: MacAddr, socket: &Path) -> Self {
        self.second_card = Some((mac, socket.to_owned()));
        self
    }

    /// The same machine with a USB stick, read-only, that holds what is in `folder`; it is tried after the disks.
    pub fn with_usb_stick(mut self, folder: &Path) -> Self {
        self.usb_stick = Some(folder.to_owned());
        self
    }

    /// The same machine, whose emulator writes every frame on its first network interface to `file` (pcap).
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn with_record(mut self, file: &Path) -> Result<Self> {
        File::create(file).with_context(|| format!("cannot create {}", file.display()))?;
        own_without_privilege(file)?;
        self.record = Some(file.to_owned());
        Ok(self)
    }

    /// Where the emulator's control socket and the console's log are.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The emulator's program and arguments; makes the variable store where there is none yet.
    ///
    /// # Errors
    /// The firmware is not installed.
    pub(crate) fn command_line(&self) -> Result<(&'static str, Vec<String>)> {
        let emulator = match self.arch {
            Arch::Aarch64 => "qemu-system-aarch64",
            Arch::X86_64 => "qemu-system-x86_64",
        };
        let mut words = Words::default();
        words.add("-nodefaults -no-user-config -display none -monitor none -serial stdio");
        let accelerator = std::env::var("PVMLAB_QEMU_ACCEL").unwrap_or_else(|_| EMULATION.to_owned());
        let native = !accelerator.starts_with("tcg");
        words.option("-accel", accelerator);
        words.add(match (self.arch, self.rom) {
            (Arch::Aarch64, _) => "-machine virt,gic-version=3",
            (Arch::X86_64, Rom::Uefi) => "-machine q35",
            // Without graphics SeaBIOS, and iPXE on top of it, speak on the serial port.
            (Arch::X86_64, Rom::Bios) => "-machine pc,graphics=off",
        });
        words.add(match self.arch {
            _ if native => "-cpu host",
            // The processor that EDK2 boots fastest on: `max` spends its time on pointer authentication.
            Arch::Aarch64 => "-cpu cortex-a72",
            Arch::X86_64 => "-cpu max",
        });
        words.add(&format!("-smp 2 -m {} -uuid {}", self.memory, self.uuid()));
        words.option("-qmp", format!("unix:{},server=on,wait=off", self.folder.path().join(QMP_SOCKET).display()));
        // Newer EDK2 refuses to boot from the network without a source of randomness.
        words.add("-device virtio-rng-pci");
        self.add_firmware(&mut words)?;
        self.add_drives(&mut words);
        self.add_network(&mut words);
        Ok((emulator, words.0))
    }

    fn add_firmware(&self, words: &mut Words) -> Result<()> {
        if self.rom == Rom::Bios {
            return Ok(());
        }
        let uefi = Uefi::find(self.arch)?;
        let variables = self.folder.path().join("variables.fd");
        if !variables.exists() {
            fs::copy(uefi.variables, &variables).context("cannot copy the firmware's variable store")?;
            own_without_privilege(&variables)?;
        }
        // What EDK2 asks the emulator before it offers PXE.
        let without: &[_] = match self.network_boot {
            NetworkBoot::Pxe => &[],
            NetworkBoot::Http => &["IPv4PXESupport", "IPv6PXESupport"],
            NetworkBoot::PxeIpv6 => &["IPv4PXESupport"],
        };
        for name in without {
            words.option("-fw_cfg", format!("name=opt/org.tianocore/{name},string=n"));
        }
        words.option("-drive", format!("if=pflash,unit=0,format=raw,readonly=on,file={}", uefi.code.display()));
        words.option("-drive", format!("if=pflash,unit=1,format=raw,file={}", variables.display()));
        Ok(())
    }

    fn add_drives(&self, words: &mut Words) {
        for (at, Disk { file, format, read_only }) in self.disks.iter().enumerate() {
            let (file, mode) = (file.display(), if *read_only { ",readonly=on" } else { "" });
            // What the guest flushes need not survive the host.
            let options = format!("format={format},cache=unsafe,discard=unmap{mode}");
            words.option("-drive", format!("if=none,id=disk{at},{options},file={file}"));
            words.option("-device", format!("virtio-blk-pci,drive=disk{at},bootindex={}", at + 1));
        }
        if let Some(folder) = &self.usb_stick {
            words.option("-drive", format!("if=none,id=stick,format=raw,readonly=on,file=fat:{}", folder.display()));
            words.option("-device", "qemu-xhci".to_owned());
            words.option("-device", format!("usb-storage,drive=stick,bootindex={}", self.disks.len() + 1));
        }
    }

    fn add_network(&self, words: &mut Words) {
        let boot = self.disks.len() + 2;
        words.option(
            "-netdev",
            match &self.link {
                Link::Tap(name) => format!("tap,id=lab,ifname={name},script=no,downscript=no"),
                Link::User { ssh_port, boot_file } => {
                    format!("user,id=lab,hostfwd=tcp:127.0.0.1:{ssh_port}-:22,bootfile={boot_file}")
                }
            },
        );
        // QEMU's option ROM for UEFI holds iPXE, which would take the place of EDK2's own PXE.
        let rom = if self.rom == Rom::Uefi { ",romfile=" } else { "" };
        words.option("-device", format!("virtio-net-pci,netdev=lab,mac={},bootindex={boot}{rom}", self.mac));
        if let Some(file) = &self.record {
            words.option("-object", format!("filter-dump,id=record,netdev=lab,file={}", file.display()));
        }
        if let Some((mac, socket)) = &self.second_card {
            let socket = socket.display();
            words.option("-netdev", format!("stream,id=second,server=off,addr.type=unix,addr.path={socket}"));
            words.option("-device", format!("virtio-net-pci,netdev=second,mac={mac},romfile="));
        }
    }

    /// SMBIOS UUID, which PXE clients send as option 97 (RFC 4578 §2.3); the last bytes are the hardware address.
    fn uuid(&self) -> String {
        let digits: String = self.mac.bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("70766d6c-6162-4000-8000-{digits}")
    }
}

/// Under the machine's folder.
pub(crate) const QMP_SOCKET: &str = "qmp";

/// `/dev/kvm` is no proof of KVM: on some virtual machines it exists and guests hang. So it is used when asked for.
const EMULATION: &str = "tcg,thread=multi";

#[derive(Default)]
struct Words(Vec<String>);

impl Words {
    fn add(&mut self, text: &str) {
        self.0.extend(text.split(' ').map(str::to_owned));
    }

    fn option(&mut self, name: &str, value: String) {
        self.0.extend([name.to_owned(), value]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_tried_before_the_network() {
        let link = Link::Tap("tap0".to_owned());
        let hardware = Hardware::new(Arch::X86_64, mac(), link).unwrap().with_bios().with_blank_disk(4).unwrap();

        let (emulator, words) = hardware.command_line().unwrap();

        let line = words.join(" ");
        assert_eq!(emulator, "qemu-system-x86_64");
        assert!(line.contains("-device virtio-blk-pci,drive=disk0,bootindex=1 "), "{line}");
        assert!(line.ends_with("-device virtio-net-pci,netdev=lab,mac=52:54:00:77:00:10,bootindex=3"), "{line}");
    }

    #[test]
    fn a_machine_has_its_uuid_from_its_hardware_address() {
        let link = Link::User { ssh_port: 2222, boot_file: "http://10.0.2.2:8080/".to_owned() };
        let hardware = Hardware::new(Arch::Aarch64, mac(), link).unwrap();

        assert_eq!(hardware.uuid(), "70766d6c-6162-4000-8000-525400770010");
    }

    #[test]
    fn a_second_card_leads_to_a_socket_and_the_first_is_recorded() {
        let folder = tempfile::tempdir().unwrap();
        let record = folder.path().join("frames.pcap");
        let link = Link::User { ssh_port: 2222, boot_file: String::new() };
        let hardware = Hardware::new(Arch::X86_64, mac(), link).unwrap().with_bios().with_record(&record).unwrap();
        let second = MacAddr::new([0x52, 0x54, 0, 0x77, 0, 0x11]);

        let (_, words) = hardware.with_second_card(second, Path::new("/run/lab.sock")).command_line().unwrap();

        let line = words.join(" ");
        let file = record.display();
        let recorded = format!(" -object filter-dump,id=record,netdev=lab,file={file} ");
        assert!(line.contains(&recorded) && record.exists(), "{line}");
        assert!(
            line.contains(" -netdev stream,id=second,server=off,addr.type=unix,addr.path=/run/lab.sock "),
            "{line}"
        );
        assert!(line.ends_with(" -device virtio-net-pci,netdev=second,mac=52:54:00:77:00:11,romfile="), "{line}");
    }

    #[test]
    fn a_disk_begins_as_another_and_grows() {
        let origin = tempfile::NamedTempFile::new().unwrap();
        origin.as_file().set_len(1 << 20).unwrap();
        let link = Link::User { ssh_port: 2222, boot_file: String::new() };
        let hardware = Hardware::new(Arch::Aarch64, mac(), link).unwrap().with_disk_of(origin.path(), 2).unwrap();

        let told = run("qemu-img", &["info", "--output=json", &hardware.disks[0].file.display().to_string()]).unwrap();

        assert_eq!(serde_json::from_str::<serde_json::Value>(&told).unwrap()["virtual-size"], 2_u64 << 30);
    }

    fn mac() -> MacAddr {
        MacAddr::new([0x52, 0x54, 0, 0x77, 0, 0x10])
    }
}
