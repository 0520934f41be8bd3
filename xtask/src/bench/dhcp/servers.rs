//! The DHCP servers that are measured: ours, and those that ours is compared with, as Debian has them.
//!
//! Each says what a firmware needs to go on, logs what it logs when nothing else is said, and never asks whether an address is in
//! use before it offers one.

use std::{
    fs::{self, File},
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result};
use lab_tests::{
    BRIDGE, SERVER, Supplies, Unpacked,
    process::{Process, bound},
};
use tempfile::TempDir;

use super::clients;
use crate::{
    bench::{processor::Watched, site::Site, unpacked},
    workspace,
};

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    Ours,
    Kea,
    Isc,
    Dnsmasq,
}

/// What a server gives, and what becomes of its leases.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lot<'a> {
    /// The first and the last address.
    pub(crate) pool: [Ipv4Addr; 2],
    pub(crate) leases: Leases,
    /// What dnsmasq serves by TFTP as well.
    pub(crate) files: Option<&'a Path>,
}

/// When an address is confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leases {
    /// Once the lease is written. Those who know no other way than to wait for their disk have one of memory.
    Written,
    /// Once the lease is on the disk. Kea never waits for that.
    OnDisk,
}

/// Where the peers' programs are.
pub(crate) struct Peers(Unpacked);

/// A server that answers.
pub(crate) struct Running {
    pub(crate) watched: Watched,
    _process: Process,
    _folder: TempDir,
}

impl Server {
    pub(crate) const ALL: [Self; 4] = [Self::Ours, Self::Kea, Self::Isc, Self::Dnsmasq];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ours => "pxe-server",
            Self::Kea => "Kea",
            Self::Isc => "ISC dhcpd",
            Self::Dnsmasq => "dnsmasq",
        }
    }

    /// Where its leases are: these two sync each of them.
    fn place(self, leases: Leases) -> Result<PathBuf> {
        match (self, leases) {
            (Self::Isc | Self::Dnsmasq, Leases::Written) => Ok("/dev/shm".into()),
            // Not where the system keeps temporary files: that may be memory.
            (Self::Ours | Self::Kea, Leases::Written) | (_, Leases::OnDisk) => {
                let place = workspace().join("target");
                fs::create_dir_all(&place)?;
                Ok(place)
            }
        }
    }
}

impl Peers {
    /// Fetches the servers, once.
    ///
    /// # Errors
    /// Debian's archive cannot be reached.
    pub(crate) fn fetch() -> Result<Self> {
        Ok(Self(unpacked::fetch("dhcp", &PACKAGES)?))
    }

    /// Starts a server that knows of no lease yet, and waits until it makes an offer.
    ///
    /// # Errors
    /// It does not; the message has the end of its log.
    pub(crate) fn start(&self, server: Server, lot: &Lot<'_>, supplies: &Supplies, site: &Site) -> Result<Running> {
        let folder = tempfile::Builder::new().prefix("bench-dhcp-").tempdir_in(server.place(lot.leases)?)?;
        let log = folder.path().join("log");
        let output = File::create(&log)?;
        let mut command = match server {
            Server::Ours => ours(lot, supplies, folder.path())?,
            Server::Kea => self.kea(lot, folder.path())?,
            Server::Isc => self.isc(lot, folder.path())?,
            Server::Dnsmasq => dnsmasq(lot, folder.path()),
        };
        command.stdout(output.try_clone()?).stderr(output);
        let mut process = Process::start(server.name(), &mut command)?;
        let answers = site.run(|| clients::wait_for_offer(START_LIMIT))?;
        if answers.is_err() || process.ended()?.is_some() {
            let log = fs::read_to_string(&log).unwrap_or_default();
            answers.with_context(|| format!("{} does not answer; its log:\n{log}", server.name()))?;
        }
        Ok(Running { watched: Watched::new(process.id()), _process: process, _folder: folder })
    }

    fn kea(&self, lot: &Lot<'_>, folder: &Path) -> Result<Command> {
        let [first, last] = lot.pool;
        let options = [("routers", SERVER), ("domain-name-servers", SERVER)]
            .map(|(name, address)| serde_json::json!({ "name": name, "data": address.to_string() }));
        let configuration = serde_json::json!({ "Dhcp4": {
            "interfaces-config": { "interfaces": [BRIDGE] },
            "lease-database": { "type": "memfile", "persist": true, "name": folder.join("leases.csv") },
            "authoritative": true,
            "valid-lifetime": 3600,
            "subnet4": [{
                "subnet": format!("{}/{PREFIX}", Ipv4Addr::new(10, 77, 0, 0)),
                "pools": [{ "pool": format!("{first} - {last}") }],
                "option-data": options,
                "next-server": SERVER.to_string(),
                "boot-file-name": BOOT_FILE,
            }],
            "loggers": [{
                "name": "kea-dhcp4", "severity": "INFO", "output_options": [{ "output": folder.join("kea.log") }],
            }],
        } });
        let file = folder.join("kea.json");
        fs::write(&file, configuration.to_string())?;
        let mut command = self.0.command("usr/sbin/kea-dhcp4");
        command.env("KEA_PIDFILE_DIR", folder).env("KEA_LOCKFILE_DIR", folder);
        command.arg("-c").arg(file);
        Ok(command)
    }

    fn isc(&self, lot: &Lot<'_>, folder: &Path) -> Result<Command> {
        let [first, last] = lot.pool;
        let configuration = format!(
            "authoritative;
ping-check false;
default-lease-time 3600;
max-lease-time 3600;
subnet 10.77.0.0 netmask {NETMASK} {{
  range {first} {last};
  option routers {SERVER};
  option domain-name-servers {SERVER};
  next-server {SERVER};
  filename \"{BOOT_FILE}\";
}}
"
        );
        let (file, leases) = (folder.join("dhcpd.conf"), folder.join("dhcpd.leases"));
        fs::write(&file, configuration)?;
        fs::write(&leases, "")?;
        let mut command = self.0.command("usr/sbin/dhcpd");
        command.args(["-4", "-d", "-user", "root", "-group", "root"]);
        command.arg("-cf").arg(file).arg("-lf").arg(leases).arg("-pf").arg(folder.join("dhcpd.pid")).arg(BRIDGE);
        Ok(command)
    }
}

/// Whatever else it serves is there too. It asks nobody who has an address, as none of the others does.
fn ours(lot: &Lot<'_>, supplies: &Supplies, folder: &Path) -> Result<Command> {
    let [first, last] = lot.pool;
    let durability = match lot.leases {
        Leases::Written => "buffered",
        Leases::OnDisk => "synced",
    };
    let configuration = format!(
        "state = 'state'\n[lab]\ninterface = '{BRIDGE}'\n[dhcp]\npool = '{first}-{last}'\ndurability = '{durability}'\n\
         probe-milliseconds = 0\n"
    );
    fs::create_dir_all(folder.join("state/vms"))?;
    let file = folder.join("config.toml");
    fs::write(&file, configuration)?;
    let mut command = bound(&supplies.server);
    command.args(["serve", "--config"]).arg(file);
    Ok(command)
}

fn dnsmasq(lot: &Lot<'_>, folder: &Path) -> Command {
    let [first, last] = lot.pool;
    let mut command = bound("dnsmasq");
    command.args(["--keep-in-foreground", "--conf-file=/dev/null", "--user=root", "--group=", "--port=0"]);
    command.args(["--bind-interfaces", &format!("--interface={BRIDGE}"), "--dhcp-authoritative", "--no-ping"]);
    command.args([&format!("--dhcp-range={first},{last},{NETMASK},1h"), "--dhcp-lease-max=40000"]);
    command.arg(format!("--dhcp-boot={BOOT_FILE}"));
    command.arg(format!("--dhcp-leasefile={}", folder.join("leases").display()));
    command.arg(format!("--log-facility={}", folder.join("dnsmasq.log").display()));
    if let Some(files) = lot.files {
        command.args(["--enable-tftp", "--tftp-max=256", &format!("--tftp-root={}", files.display())]);
    }
    command
}

/// Of the lab's network, which has room for every pool.
pub(crate) const PREFIX: u8 = 17;
const NETMASK: Ipv4Addr = Ipv4Addr::new(255, 255, 128, 0);

const BOOT_FILE: &str = "ipxe-x86_64.efi";

/// The servers, then what they need and not every system has.
const PACKAGES: [&str; 7] = [
    "kea-dhcp4-server",
    "kea-common",
    "isc-dhcp-server",
    "liblog4cplus-2.0.5",
    "libmariadb3",
    "libpq5",
    "libldap-2.5-0",
];

const START_LIMIT: Duration = Duration::from_secs(20);
