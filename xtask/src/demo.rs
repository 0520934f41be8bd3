//! `cargo xtask demo`: one machine, from a blank disk to its answer over SSH.
//!
//! As root the machine is on a network of its own, with DHCP and TFTP from our server as in a real lab. For an ordinary
//! user it is on the emulator's network and starts from a USB stick, and our server speaks HTTP alone.

mod interruption;
mod progress;

use std::{thread, time::Duration};

use anyhow::{Context, Result, ensure};
use lab_model::{Arch, MacAddr, Stage};
use lab_tests::{Guest, Hardware, Lab, Link, Login, Service, timeline};

use crate::{packages::Consent, supplies};
use interruption::Interruption;
use progress::Progress;

/// Shows one machine from power-on to its answer over SSH.
#[derive(clap::Args)]
#[command(after_help = "Example: cargo xtask demo --arch x86_64")]
pub(crate) struct Arguments {
    /// The machine's processor.
    #[arg(long, default_value = "aarch64")]
    arch: Arch,
}

/// Runs `cargo xtask demo`.
pub(crate) fn run(arguments: &Arguments, consent: Consent) -> Result<()> {
    let supplies = supplies::gather(&[arguments.arch], consent)?;
    let interruption = Interruption::watch()?;

    let service = if nix::unistd::geteuid().is_root() { Service::Network } else { Service::http_only()? };
    let lab = Lab::start(service, &supplies)?;
    let definition = lab.target("demo".parse()?, arguments.arch, MAC, supplies::image());
    lab.define(&definition)?;
    println!("{}", introduction(service, arguments.arch));

    let link = lab.link(MAC)?;
    let mut hardware = Hardware::new(arguments.arch, MAC, link.clone())?.with_blank_disk(DISK_GIB)?;
    let stick = matches!(link, Link::User { .. }).then(|| lab.usb_stick(arguments.arch)).transpose()?;
    if let Some(stick) = &stick {
        hardware = hardware.with_usb_stick(stick.path());
    }
    let guest = Guest::power_on(&hardware)?;
    if let Err(error) = follow(&lab, &interruption) {
        interruption.check()?;
        return Err(error.context(format!("The console showed last:\n{}", guest.console().tail())));
    }

    let machine = lab.machine(MAC)?.context("the server has forgotten its machine")?;
    let login = lab.login(&machine, &link)?;
    let host_name = ask_its_name(&login)?;
    println!("\nWhat happened:\n{}", timeline::table(&lab.events()?));
    ensure!(host_name == definition.name.as_str(), "it calls itself {host_name}");
    Ok(())
}

const MAC: MacAddr = MacAddr::new([0x52, 0x54, 0, 0x77, 0, 0x01]);

/// More than twice what the image has: its root file system grows.
const DISK_GIB: u64 = 4;

fn introduction(service: Service, arch: Arch) -> String {
    let network = match service {
        Service::Network => "DHCP, TFTP and HTTP come from pxe-server",
        Service::HttpOnly(_) => "it starts iPXE from a USB stick, all else comes from pxe-server over HTTP",
    };
    format!("A blank {arch} machine is switched on; {network}.\n")
}

/// Shows how far the machine is until it is up.
fn follow(lab: &Lab, interruption: &Interruption) -> Result<()> {
    let mut progress = Progress::start();
    loop {
        interruption.check()?;
        let machine = lab.machine(MAC)?;
        progress.show(&lab.events()?, machine.as_ref().and_then(|machine| machine.percent));
        if let Some(machine) = machine {
            if machine.stage == Some(Stage::Up) {
                return Ok(());
            }
            let silence = progress.since_the_latest();
            let patience = if machine.stage < Some(Stage::Installer) { FIRMWARE_PATIENCE } else { SYSTEM_PATIENCE };
            ensure!(silence < patience, "nothing happened for {} s: {machine:?}", silence.as_secs());
        }
        thread::park_timeout(POLL_INTERVAL);
    }
}

const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Firmware that gave up says nothing more.
const FIRMWARE_PATIENCE: Duration = Duration::from_secs(120);

/// The longest silence is that of a kernel and cloud-init under emulation.
const SYSTEM_PATIENCE: Duration = Duration::from_secs(600);

fn ask_its_name(login: &Login<'_>) -> Result<String> {
    let port = if login.port == 22 { String::new() } else { format!("-p {} ", login.port) };
    println!("\n$ ssh {port}{}@{} hostname", login.user, login.address);
    let answer = login.run("hostname")?;
    print!("{answer}");
    Ok(answer.trim_end().to_owned())
}
