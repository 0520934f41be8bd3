//! `cargo xtask bench storm`: a hundred machines that are switched on at once, beside Kea, atftpd and nginx, and beside dnsmasq and
//! nginx.
//!
//! Every machine gets an address, a boot program, a boot script and 60 MiB of image. All take each step together, as machines of a
//! kind do, and what counts is when the last of them has everything. The stacks take turns, and are started anew each time.

mod strangers;

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use lab_model::{Arch, Definition, MacAddr};
use lab_tests::{BRIDGE, Lab, SERVER, Service, Supplies, TftpPeers, process::run};

use self::strangers::Strangers;
use super::{
    dhcp::{
        self,
        clients::{self, Pace},
        servers::{Leases, Lot, Server},
    },
    http::{
        Nginx,
        image::{self, Image},
        visitors::{self, Visit},
    },
    processor::Watched,
    site::Site,
    table::{self, Limit, Table},
    tftp::readers,
    unpacked,
};
use crate::progress::Step;

/// Has each stack boot all machines, `runs` times in turn.
///
/// # Errors
/// This process may not make a network, or a machine does not get what it asks for.
pub(crate) fn measure(runs: u8, supplies: &Supplies) -> Result<Table> {
    let load = table::load();
    let image = Image::new(IMAGE_BYTES)?;
    let supplies = Supplies { images: image.folder().to_owned(), ..supplies.clone() };
    let lab = Lab::start(Service::Network, &supplies)?;
    lab.define_all(&(0..MACHINES).map(|machine| definition(&lab, machine)).collect::<Result<Vec<_>>>()?)?;
    let (program, script) = (lab.fetch(&format!("/boot/{PROGRAM}"))?, lab.fetch(&script_path(0))?);
    let site = Site::new(
        lab.namespace().context("the lab has no network of its own")?,
        &(0..MACHINES).map(address).collect::<Vec<_>>(),
    )?;
    introduce_without_arp(&site)?;
    let peers = Peers {
        dhcp: dhcp::Peers::fetch()?,
        tftp: TftpPeers::new(unpacked::tftp()?),
        files: TftpPeers::folder(PROGRAM, &program)?,
        images: image.folder(),
        script: &script,
        supplies: &supplies,
        site: &site,
    };
    let storm = Storm { site: &site, program_bytes: program.len() as u64, image: image.path() };

    let mut measured = [Vec::new(), Vec::new(), Vec::new()];
    let (described, mut strangers) = (definition(&lab, 0)?, Vec::new());
    for run in 1..=runs {
        let mut step = Step::start(format!("run {run} of {runs}"));
        step.note(OURS);
        lab.restart_server()?;
        let server = Watched::new(lab.server_id().context("the server ended")?);
        measured[0].push(storm.measure(&[server]).context(OURS)?);
        lab.stop_server();
        step.note("strangers");
        strangers.push(Strangers::measure(&described, &supplies, &site).context("strangers")?);
        step.note(KEA);
        measured[1].push(peers.with_kea(&storm).context(KEA)?);
        step.note(DNSMASQ);
        measured[2].push(peers.with_dnsmasq(&storm).context(DNSMASQ)?);
        step.finish();
    }
    Ok(report(&measured, &strangers, load))
}

const OURS: &str = "pxe-server";
const KEA: &str = "Kea+atftpd+nginx";
const DNSMASQ: &str = "dnsmasq+nginx";

const MACHINES: usize = 100;
const IMAGE_BYTES: usize = 60 << 20;

/// A boot program of a MiB.
const PROGRAM: &str = "ipxe-arm64.efi";

/// What EDK2 asks for.
const WINDOW: u16 = 4;

/// Tells the servers' host and the machines' who has which address, which nobody says on the network then: addresses that the machines
/// have before they get them would be in use for a server that asks.
fn introduce_without_arp(site: &Site) -> Result<()> {
    let servers = hardware_address(BRIDGE)?;
    let machines = site.run(move || -> Result<String> {
        // ip-sysctl.rst: 8 answers for no address.
        fs::write("/proc/sys/net/ipv4/conf/eth0/arp_ignore", "8")?;
        introduce(SERVER, &servers, "eth0")?;
        hardware_address("eth0")
    })??;
    (0..MACHINES).try_for_each(|machine| introduce(address(machine), &machines, BRIDGE))
}

fn introduce(address: Ipv4Addr, hardware: &str, device: &str) -> Result<()> {
    let address = address.to_string();
    run("ip", &["neighbour", "replace", &address, "lladdr", hardware, "dev", device, "nud", "permanent"]).map(drop)
}

fn hardware_address(device: &str) -> Result<String> {
    let link = run("ip", &["-brief", "link", "show", "dev", device])?;
    link.split_whitespace().nth(2).map(str::to_owned).with_context(|| format!("{device} has no hardware address"))
}

/// The programs that ours is compared with, and what they serve.
struct Peers<'a> {
    dhcp: dhcp::Peers,
    tftp: TftpPeers,
    files: tempfile::TempDir,
    images: &'a Path,
    script: &'a [u8],
    supplies: &'a Supplies,
    site: &'a Site,
}

impl Peers<'_> {
    fn with_kea(&self, storm: &Storm<'_>) -> Result<Measured> {
        let kea = self.dhcp.start(Server::Kea, &lot(None), self.supplies, self.site)?;
        let atftpd = self.tftp.start("atftpd", SocketAddr::from((SERVER, 69)), self.files.path())?;
        let nginx = Nginx::start(SERVER, self.images, self.script)?;
        storm.measure(&[kea.watched, Watched::new(atftpd.process.id()), Watched::new(nginx.id())])
    }

    fn with_dnsmasq(&self, storm: &Storm<'_>) -> Result<Measured> {
        let dnsmasq = self.dhcp.start(Server::Dnsmasq, &lot(Some(self.files.path())), self.supplies, self.site)?;
        let nginx = Nginx::start(SERVER, self.images, self.script)?;
        storm.measure(&[dnsmasq.watched, Watched::new(nginx.id())])
    }
}

/// A pool with room for all, and leases that are written and no more.
fn lot(files: Option<&Path>) -> Lot<'_> {
    Lot { pool: [address(0), Ipv4Addr::new(10, 77, 0, 240)], leases: Leases::Written, files }
}

/// All machines, at every step of their boot.
struct Storm<'a> {
    site: &'a Site,
    program_bytes: u64,
    image: String,
}

/// How long each step took, in seconds, and what the servers took of the processors for all of them.
struct Measured {
    addresses: f64,
    programs: f64,
    scripts: f64,
    images: f64,
    processor: f64,
}

impl Measured {
    fn all(&self) -> f64 {
        self.addresses + self.programs + self.scripts + self.images
    }
}

impl Storm<'_> {
    fn measure(&self, servers: &[Watched]) -> Result<Measured> {
        let time = || servers.iter().map(Watched::time).sum::<Result<Duration>>();
        let before = time()?;
        let clients = clients::Load {
            clients: MACHINES as u32,
            exchanges: MACHINES as u32,
            pace: Pace::Outstanding(MACHINES),
            limit: LIMIT,
        };
        let served = self.site.run(move || clients::ask(&clients))?.context("addresses")?;
        ensure!(served.latencies.len() == MACHINES, "only {} machines have an address", served.latencies.len());
        let read = readers::Load {
            server: SocketAddr::from((SERVER, 69)),
            file: PROGRAM,
            length: self.program_bytes,
            window: WINDOW,
            clients: (0..MACHINES).map(address).collect(),
            files_each: 1,
            limit: LIMIT,
        };
        let arrived = self.site.run(move || readers::read(&read))?.context("boot programs")?;
        let scripts = self.ask(script_path).context("scripts")?;
        let images = self.ask(|_| self.image.clone()).context("images")?;
        Ok(Measured {
            addresses: served.elapsed.as_secs_f64(),
            programs: arrived.elapsed.as_secs_f64(),
            scripts: scripts.as_secs_f64(),
            images: images.as_secs_f64(),
            processor: time()?.saturating_sub(before).as_secs_f64(),
        })
    }

    /// Has every machine ask for its path.
    fn ask(&self, path: impl Fn(usize) -> String) -> Result<Duration> {
        let visits = (0..MACHINES).map(|machine| Visit { from: address(machine), path: path(machine) });
        let visits = visits.collect::<Vec<_>>();
        let answers = self.site.run(move || visitors::ask(SocketAddr::from((SERVER, 80)), &visits, 1))??;
        Ok(answers.elapsed)
    }
}

const LIMIT: Duration = Duration::from_secs(60);

fn address(machine: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, 100 + u8::try_from(machine).expect("there are a hundred"))
}

/// As the DHCP clients have them.
fn mac(machine: usize) -> MacAddr {
    let [.., low] = machine.to_be_bytes();
    MacAddr::new([0x52, 0x54, 0, 0, 0, low])
}

fn script_path(machine: usize) -> String {
    format!("/ipxe?mac={}&arch=x86_64", mac(machine))
}

fn definition(lab: &Lab, machine: usize) -> Result<Definition> {
    let name = format!("bench-{machine:03}").parse()?;
    let mut definition = lab.target(name, Arch::X86_64, mac(machine), image::NAME.parse()?);
    definition.ip = address(machine).to_string();
    Ok(definition)
}

fn report(measured: &[Vec<Measured>; 3], strangers: &[Strangers], load: f64) -> Table {
    let title = format!("{MACHINES} machines at once: address, boot program, boot script, 60 MiB of image");
    let mut table = Table::new(title, vec![OURS, KEA, DNSMASQ], load);
    let of = |figure: fn(&Measured) -> f64| measured.iter().map(|runs| runs.iter().map(figure).collect()).collect();
    let limits = [(Some(KEA), Limit::AtMost(1.1)), (Some(DNSMASQ), Limit::AtMost(0.6))];
    table.add("everything", "s", of(Measured::all), &limits);
    table.add("addresses", "s", of(|measured| measured.addresses), &[]);
    table.add("boot programs", "s", of(|measured| measured.programs), &[]);
    table.add("boot scripts", "s", of(|measured| measured.scripts), &[]);
    table.add("images", "s", of(|measured| measured.images), &[]);
    table.add("everything", "CPU s", of(|measured| measured.processor), &[]);
    let mut waiting = |name, figure: fn(&Strangers) -> f64, limit| {
        let ours = strangers.iter().map(figure).collect();
        table.add(name, "of one stranger's", vec![ours, vec![], vec![]], &[(None, Limit::AtMost(limit))]);
    };
    waiting("the last of 100 strangers", |strangers| strangers.last, 1.5);
    waiting("a described machine then", |strangers| strangers.described, 0.1);
    table
}
