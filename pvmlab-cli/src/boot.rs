//! Switching one machine of the lab on: its hardware, its cables, its emulator.

use anyhow::Context as _;
use lab_model::{Definition, Role};

use crate::error::{Failure, Kind, Result};
use crate::file;
use crate::hardware::{BootOrder, Hardware};
use crate::home::{Home, Lock};
use crate::host::Host;
use crate::interrupt::Interrupt;
use crate::network::Network;
use crate::network::uplink::Uplink;
use crate::qemu::command_line::{Guest, OnReboot, Platform};
use crate::qemu::power;
use crate::store::{Store, Stored};
use crate::ui::Ui;

/// What is true for this one start.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Start {
    /// What the firmware tries first; what the machine's hardware says otherwise.
    pub(crate) boot: Option<BootOrder>,
    /// Whether it is switched off where it would reboot.
    pub(crate) on_reboot: OnReboot,
}

/// Switches a machine on: it runs when this comes back, or nothing of it is left.
///
/// # Errors
/// It runs already, the host lacks something, or somebody wants this to end.
pub(crate) fn start(stored: &Stored, how: Start, home: &Home, lock: &Lock, interrupt: &Interrupt) -> Result<()> {
    let Stored { definition, machine, .. } = stored;
    power::refuse_running(home, &machine.name)?;
    if !home.disk(&machine.name).exists() {
        let message =
            format!("machine `{}` has no disk: {} is missing", machine.name, home.disk(&machine.name).display());
        return Err(Failure::new(Kind::NotFound, message)
            .hinted(format!("make the machine anew: `pvmlab vm clean {}`, then `pvmlab vm create`", machine.name)));
    }
    // A home of an earlier pvmlab may lack a folder that the provisioner is to share.
    home.create()?;
    let host = Host::here()?;
    let mut hardware = Hardware::read(home, &machine.name, machine.role)?;
    hardware.boot = how.boot.unwrap_or(hardware.boot);
    let platform = Platform::find(machine.arch, &host, home, interrupt)?;
    let network = hardware.network.clone().unwrap_or_else(|| Network::usual(host.os));
    let lan = network.attach(machine.mac, home, &host, lock, interrupt)?;
    let uplink = match machine.role {
        Role::Provisioner => Some(uplink(definition, home)?),
        Role::Target => None,
    };
    let mut guest = Guest::new(definition, &hardware, lan, uplink, home);
    guest.on_reboot = how.on_reboot;
    power::on(&guest, &platform, home, lock, interrupt)
}

/// Tells a person that nobody would answer a machine that boots from the network.
pub(crate) fn warn_without_provisioner(stored: &Stored, store: &Store, home: &Home, ui: Ui) -> Result<()> {
    if stored.machine.role == Role::Provisioner || stored.machine.image.is_none() {
        return Ok(());
    }
    match store.provisioner() {
        Some(provisioner) if power::running(home, &provisioner.machine.name)?.is_some() => {}
        Some(_) => ui.say(
            "warning: the provisioner is not running, so nothing answers a machine that boots from the network: \
             `pvmlab provisioner start`",
        ),
        None => ui.say(
            "warning: the lab has no provisioner, so nothing answers a machine that boots from the network: \
             `pvmlab provisioner create`",
        ),
    }
    Ok(())
}

/// The port that leads to the provisioner's SSH is part of its definition: every command finds it there.
fn uplink(definition: &Definition, home: &Home) -> Result<Uplink> {
    let uplink = Uplink::by(Some(definition.ssh_port).filter(|port| *port != 0))?;
    if uplink.ssh_port != definition.ssh_port {
        let definition = Definition { ssh_port: uplink.ssh_port, ..definition.clone() };
        let mut text = serde_json::to_string_pretty(&definition).context("a definition has a JSON form")?;
        text.push('\n');
        file::replace(&home.definition(&definition.name), text.as_bytes())?;
    }
    Ok(uplink)
}
