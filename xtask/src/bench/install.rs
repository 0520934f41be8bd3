//! `cargo xtask bench install`: from a blank disk to a system that answers by SSH.
//!
//! Both sides have the same firmware, emulator, kernel, initial RAM file system and Debian. The original's way is to make file
//! systems, unpack a tarball of the root through gzip, and have GRUB and an initial RAM file system made in there; ours is to write
//! an image. The install phase begins when the installer's first drivers are loaded and ends when it leaves.

mod original;

use std::{
    io::Read as _,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result};
use lab_model::{Arch, Definition, MacAddr};
use lab_tests::{Guest, Hardware, Lab, Link, Service, Supplies, process::until};

use super::report::{Column, Report, Target};
use crate::{progress::Step, supplies};

/// Installs a machine of `arch` from each side, `runs` times in turn.
///
/// # Errors
/// This process may not make a network, a package cannot be had, or a machine is not installed.
pub(crate) fn measure(arch: Arch, runs: u8, supplies: &Supplies) -> Result<Report> {
    let tarball = original::Tarball::require(arch, supplies)?;

    let mut columns = Columns::default();
    for run in 1..=runs {
        let mut step = Step::start(format!("installation {run} of {runs}"));
        step.note("mkfs, tar, GRUB and initramfs");
        let server = tarball.serve()?;
        let link = Link::Tap(server.namespace().tap()?);
        columns.original.add(install(arch, link, original::STARTED, original::DONE)?);
        drop(server);
        step.note("pxe-server and its installer");
        let lab = our_lab(arch, supplies)?;
        columns.ours.add(install(arch, lab.link(MAC)?, "pvmlab-installer: start:", "pvmlab-installer: boot:")?);
        step.finish();
    }
    Ok(columns.report(arch))
}

/// What one side took, each time.
#[derive(Default)]
struct Side {
    phase: Vec<f64>,
    login: Vec<f64>,
}

#[derive(Default)]
struct Columns {
    original: Side,
    ours: Side,
}

/// One installation.
struct Installation {
    /// From the installer's first drivers to the reboot, in seconds.
    phase: f64,
    /// From the power switch to the SSH server, in seconds.
    login: f64,
}

impl Side {
    fn add(&mut self, Installation { phase, login }: Installation) {
        self.phase.push(phase);
        self.login.push(login);
    }
}

impl Columns {
    fn report(self, arch: Arch) -> Report {
        let columns = [
            ("original, installer", self.original.phase),
            ("pvmlab, installer", self.ours.phase),
            ("original, to SSH", self.original.login),
            ("pvmlab, to SSH", self.ours.login),
        ];
        let columns = columns.map(|(name, runs)| Column::new(name, "s", runs));
        let [original, ours, original_login, our_login] = &columns;
        let phase = Target::new("installer's share of the original's", ours.median / original.median, at_most(arch));
        let login = Target::new("share of the original's time to SSH", our_login.median / original_login.median, LOGIN);
        Report {
            title: format!("Debian 12 on a blank disk, {arch} under emulation"),
            targets: vec![phase, login],
            columns: columns.into(),
        }
    }
}

/// Without an initial RAM file system to make, and without sending, decoding or writing holes.
fn at_most(arch: Arch) -> f64 {
    match arch {
        Arch::Aarch64 => 1.0 / 6.0,
        Arch::X86_64 => 0.1,
    }
}

/// Firmware and the system's first boot are the same for both.
const LOGIN: f64 = 0.33;

const MAC: MacAddr = MacAddr::new([0x52, 0x54, 0, 0x77, 0, 0x62]);

/// The machine's address, on either side.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 50);

/// Several times what a busy machine needs under emulation.
const LIMIT: Duration = Duration::from_secs(3600);

fn our_lab(arch: Arch, supplies: &Supplies) -> Result<Lab> {
    let lab = Lab::start(Service::Network, supplies)?;
    let target = lab.target("bench".parse()?, arch, MAC, supplies::image());
    lab.define(&Definition { ip: ADDRESS.to_string(), ..target })?;
    Ok(lab)
}

fn install(arch: Arch, link: Link, started: &str, done: &str) -> Result<Installation> {
    let hardware = Hardware::new(arch, MAC, link)?.with_blank_disk(4)?;
    let power = SystemTime::now();
    let guest = Guest::power_on(&hardware)?;
    let started = guest.console().wait_for(started, LIMIT)?;
    let done = guest.console().wait_for(done, LIMIT)?;
    until(LIMIT, || Ok(answers_by_ssh().then_some(())))?.context("nobody answers by SSH")?;
    Ok(Installation {
        phase: done.duration_since(started).context("it ended before it began")?.as_secs_f64(),
        login: power.elapsed()?.as_secs_f64(),
    })
}

/// Whether an SSH server says its name (RFC 4253 §4.2).
fn answers_by_ssh() -> bool {
    let mut name = [0; 4];
    let address = SocketAddr::from((ADDRESS, 22));
    let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_secs(1)) else { return false };
    let patient = stream.set_read_timeout(Some(Duration::from_secs(30)));
    patient.and_then(|()| stream.read_exact(&mut name)).is_ok() && &name == b"SSH-"
}
