//! Making a machine: everything of it, or nothing.
//!
//! The definition is written last. Until it is there, nobody knows the machine, and what was made for it is taken back if
//! anything fails or somebody presses Ctrl-C.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Context as _;
use cloud_seed::{Seed, Subject, UserName};
use lab_model::{Arch, Definition, ImageName, MacAddr, Machine, MachineName, ProfileName, Role};

use crate::cloud_init::Told;
use crate::disk::{self, Content, Size};
use crate::error::{Failure, Kind, Result};
use crate::hardware::Hardware;
use crate::home::{Home, Lock};
use crate::images::{self, Image};
use crate::interrupt::Interrupt;
use crate::lab_network::{self, HostAddress, LabNetwork};
use crate::network::Network;
use crate::store::Store;
use crate::ui::Ui;
use crate::{file, ssh};

/// A machine as somebody wants it; what is `None` is chosen.
#[derive(Clone, Debug)]
pub(crate) struct NewMachine {
    pub(crate) name: MachineName,
    pub(crate) role: Role,
    /// The host's own otherwise.
    pub(crate) arch: Option<Arch>,
    /// The next free one otherwise; a provisioner needs one, with its prefix.
    pub(crate) ip: Option<HostAddress<Ipv4Addr>>,
    pub(crate) ipv6: Option<HostAddress<Ipv6Addr>>,
    /// A random one otherwise.
    pub(crate) mac: Option<MacAddr>,
    /// The only one for the architecture otherwise.
    pub(crate) distro: Option<ImageName>,
    /// What it boots from the network beside an image.
    pub(crate) profile: Option<ProfileName>,
    pub(crate) disk_size: Size,
    /// Whether its disk is blank, and it is installed over the network.
    pub(crate) pxeboot: bool,
    pub(crate) memory_mib: Option<u32>,
    pub(crate) cpus: Option<u32>,
    /// What is usual on this host otherwise.
    pub(crate) network: Option<Network>,
    /// What its owner tells it.
    pub(crate) told: Told,
}

impl NewMachine {
    /// What can be known before it is made: whether a provisioner's network can be one, and whether its image is here.
    ///
    /// # Errors
    /// What would keep it from being made.
    pub(crate) fn check(&self, home: &Home) -> Result<()> {
        if self.role == Role::Provisioner {
            self.own_network(self.ip)?;
        }
        self.image(home, self.arch.map_or_else(host_arch, Ok)?).map(drop)
    }

    /// Makes it. The lock shows that nobody else makes one meanwhile.
    ///
    /// # Errors
    /// It contradicts the lab or itself, the image is missing or corrupted, the host lacks something, or somebody wants
    /// this to end; then the lab is as it was.
    pub(crate) fn create(&self, home: &Home, _lock: &Lock, ui: Ui) -> Result<Machine> {
        let store = Store::read(home)?;
        let arch = self.arch.map_or_else(host_arch, Ok)?;
        let mut definition = self.define(&store, arch)?;
        definition.ssh_key = ssh::with_lab_key(home, &self.told.ssh_keys)?;
        let image = self.image(home, arch)?;
        definition.distro = image.as_ref().map(|image| image.manifest.name.clone());
        let machine = store.check_new(&definition)?;

        let interrupt = Interrupt::hold();
        self.build(
            home,
            &definition,
            &machine,
            Parts { image: image.as_ref(), network: store.network(), interrupt: &interrupt, ui },
        )?;
        Ok(machine)
    }

    /// What it is made of, or gets installed. A profile brings what it boots, and an image only where somebody names one.
    fn image(&self, home: &Home, arch: Arch) -> Result<Option<Image>> {
        if self.distro.is_none() && self.profile.is_some() {
            return Ok(None);
        }
        let image = Image::choose(home, self.distro.as_ref(), arch)?;
        self.check_size(&image)?;
        Ok(Some(image))
    }

    /// The definition without what comes from the home.
    fn define(&self, store: &Store, arch: Arch) -> Result<Definition> {
        let (network, address) = match (self.role, self.ip) {
            (Role::Provisioner, ip) => {
                let network = self.own_network(ip)?;
                (network, network.ipv4.address())
            }
            (Role::Target, ip) => {
                let network = store.require_network()?;
                check_prefix(ip, network.ipv4.prefix())?;
                (network, ip.map_or_else(|| store.free_address(), |ip| Ok(ip.address))?)
            }
        };
        let ipv6 = self.ipv6.map(|ipv6| self.check_ipv6(ipv6, network)).transpose()?;
        let mac = self.mac.map_or_else(|| store.free_mac(), Ok)?;
        Ok(Definition {
            role: self.role,
            ip: address.to_string(),
            subnet: network.subnet(),
            ipv6: ipv6.map(|ipv6| ipv6.to_string()).unwrap_or_default(),
            subnetv6: ipv6.and(network.subnet_v6()).unwrap_or_default(),
            pxeboot: self.pxeboot,
            distro: self.distro.clone(),
            profile: self.profile.clone(),
            ..Definition::new(self.name.clone(), arch, mac)
        }
        .with_cloud_init(self.told.cloud_init.clone()))
    }

    fn own_network(&self, ip: Option<HostAddress<Ipv4Addr>>) -> Result<LabNetwork> {
        let prefix_missing = || {
            Failure::new(Kind::Usage, "a provisioner's address says which network the lab has: its prefix is missing")
                .hinted("give it as in `--ip 10.77.0.1/24 --ipv6 fd00:77::1/64`")
        };
        let ip = ip.ok_or_else(prefix_missing)?;
        let ipv4 =
            ip.prefix.and_then(|prefix| lab_model::Ipv4Net::new(ip.address, prefix)).ok_or_else(prefix_missing)?;
        let ipv6 = match self.ipv6 {
            None => None,
            Some(ipv6) => Some(
                ipv6.prefix
                    .and_then(|prefix| lab_model::Ipv6Net::new(ipv6.address, prefix))
                    .ok_or_else(prefix_missing)?,
            ),
        };
        let network = LabNetwork { ipv4, ipv6 };
        lab_network::unfit(network).map_or(Ok(network), |problem| Err(Failure::new(Kind::Usage, problem)))
    }

    fn check_ipv6(&self, ipv6: HostAddress<Ipv6Addr>, network: LabNetwork) -> Result<Ipv6Addr> {
        let lab = network.ipv6.ok_or_else(|| {
            Failure::new(Kind::Usage, "the lab has no IPv6 network: its provisioner has no IPv6 address")
                .hinted("leave --ipv6 out")
        })?;
        check_prefix(Some(ipv6), lab.prefix())?;
        let refused = |problem: String| Err(Failure::new(Kind::Usage, problem));
        match ipv6.address {
            address if !lab.contains(address) => refused(format!(
                "ipv6: {address} is outside the lab network: expected one in {}",
                network.subnet_v6().unwrap_or_default()
            )),
            address if address == lab.network() => {
                refused(format!("ipv6: {address} is the network's own address: choose another"))
            }
            address if self.role == Role::Target && address == lab.address() => {
                refused(format!("ipv6: {address} is the server's own address: choose another"))
            }
            address => Ok(address),
        }
    }

    fn check_size(&self, image: &Image) -> Result<()> {
        let disk = match &image.manifest.disk {
            Some(disk) => disk,
            // Its profile starts something else, and knows how large a disk that takes.
            None if self.pxeboot => return Ok(()),
            None => image.disk()?,
        };
        let least = Size::of_bytes(disk.raw_size);
        if self.disk_size >= least {
            return Ok(());
        }
        let message = format!("a disk of {} is smaller than the image `{}`", self.disk_size, image.manifest.name);
        Err(Failure::new(Kind::Usage, message).hinted(format!("the image needs at least --disk-size {least}")))
    }

    fn build(&self, home: &Home, definition: &Definition, machine: &Machine, parts: Parts<'_>) -> Result<()> {
        let Parts { image, network, interrupt, ui } = parts;
        let name = &machine.name;
        let vms = home.vms();
        let new = tempfile::Builder::new().prefix(".new-").suffix(".qcow2").tempfile_in(&vms);
        let new = new.with_context(|| format!("cannot write to {}", vms.display()))?.into_temp_path();
        let made = match image.filter(|_| !self.pxeboot) {
            None => disk::create(&new, Content::Blank, self.disk_size),
            Some(image) => {
                let base = images::base_disk(image, interrupt, ui)?;
                disk::create(&new, Content::Over(&beside(home, &base)), self.disk_size)
            }
        };
        // Of Ctrl-C, the other program's failure is only a consequence.
        interrupt.check()?;
        made?;

        let mut undo = Undo::default();
        if let (Role::Target, false, Some(network)) = (self.role, self.pxeboot, network) {
            undo.note(home.seed(name));
            undo.note(home.seed_image(name));
            write_seed(home, machine, network)?;
        }
        undo.note(home.hardware(name));
        self.write_hardware(home)?;
        undo.note(home.disk(name));
        new.persist(home.disk(name)).context("cannot put the disk in place")?;
        interrupt.check()?;
        Store::write(home, definition)?;
        undo.forget();
        Ok(())
    }

    /// What nobody asked for is not written: it stays what is usual.
    fn write_hardware(&self, home: &Home) -> Result<()> {
        let usual = Hardware::usual(self.role);
        let hardware = Hardware {
            memory_mib: self.memory_mib.unwrap_or(usual.memory_mib),
            cpus: self.cpus.unwrap_or(usual.cpus),
            network: self.network.clone(),
            ..usual.clone()
        };
        if hardware == usual { Ok(()) } else { hardware.write(home, &self.name) }
    }
}

/// What a machine is built with.
#[derive(Clone, Copy)]
struct Parts<'a> {
    image: Option<&'a Image>,
    network: Option<LabNetwork>,
    interrupt: &'a Interrupt,
    ui: Ui,
}

/// What is removed again unless everything was made.
#[derive(Debug, Default)]
pub(crate) struct Undo(Vec<PathBuf>);

impl Undo {
    pub(crate) fn note(&mut self, path: PathBuf) {
        self.0.push(path);
    }

    pub(crate) fn forget(mut self) {
        self.0.clear();
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        for path in &self.0 {
            let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        }
    }
}

/// What a machine with a disk of its own is told at its first boot; each time it is another instance to cloud-init.
///
/// # Errors
/// The disk is full.
pub(crate) fn write_seed(home: &Home, machine: &Machine, network: LabNetwork) -> Result<()> {
    let began = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).context("the clock is before 1970")?;
    let instance = format!("{}-{}", machine.name, began.as_millis());
    let up_url = format!("http://{}/machines/{}/up", network.ipv4.address(), machine.mac);
    let user = UserName::default();
    let has_ipv6 = network.ipv6.is_some();
    let seed = Seed::new(Subject { machine, instance: &instance, user: &user, up_url: &up_url, has_ipv6 });
    let folder = home.seed(&machine.name);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for (document, text) in seed.files() {
        file::replace_secret(&folder.join(document), text.as_bytes())?;
    }
    Ok(file::replace_secret(&home.seed_image(&machine.name), &cloud_seed::iso(&seed))?)
}

/// A path inside the home as a disk sees it.
fn beside(home: &Home, path: &Path) -> PathBuf {
    path.strip_prefix(home.root()).map_or_else(|_| path.to_owned(), |inside| Path::new("..").join(inside))
}

/// # Errors
/// The address says another network than the lab's.
pub(crate) fn check_prefix<A: Into<IpAddr>>(address: Option<HostAddress<A>>, lab: u8) -> Result<()> {
    let Some(HostAddress { address, prefix: Some(prefix) }) = address else { return Ok(()) };
    if prefix == lab {
        return Ok(());
    }
    let address = address.into();
    Err(Failure::new(Kind::Usage, format!("{address}/{prefix} is another network: the lab's prefix is {lab}"))
        .hinted(format!("write {address}/{lab}, or leave the prefix out")))
}

pub(crate) fn host_arch() -> Result<Arch> {
    std::env::consts::ARCH.parse().map_err(|error| {
        Failure::new(Kind::Usage, format!("this host's machines are neither kind: {error}"))
            .hinted("choose one with --arch")
    })
}
