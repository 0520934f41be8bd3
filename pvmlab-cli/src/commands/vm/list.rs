use std::net::{Ipv4Addr, Ipv6Addr};

use lab_model::{Arch, ImageName, MacAddr, MachineName, Role};
use serde::Serialize;

use crate::error::Result;
use crate::home::Home;
use crate::qemu::power;
use crate::store::{BadDefinition, Store, Stored};
use crate::table::table;
use crate::ui::Ui;

/// Lists the machines of the lab.
///
/// As JSON: `machines`, each with `name`, `role` (provisioner or target), `arch`, `boot` (disk, or pxe: installed over the
/// network), `ip`, `ipv6`, `mac`, `distro` (null where there is none) and `status` (running or stopped); and `bad`, the
/// definitions that are not in force, each with `file` and `problem`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  pvmlab vm list\n  pvmlab vm list --json")]
pub(crate) struct List {}

impl List {
    pub(crate) fn run(self, home: &Home, ui: Ui) -> Result<()> {
        let store = Store::read(home)?;
        store.warn(ui);
        if store.machines().is_empty() && !ui.json {
            ui.say("there are no machines yet: make one with `pvmlab provisioner create`");
            return Ok(());
        }
        let machines = store.machines().iter().map(|stored| Row::of(home, stored)).collect::<Result<_>>()?;
        ui.data(&Listing { machines, bad: store.bad().to_vec() }, |listing| {
            let headings = ["NAME", "ARCH", "BOOT", "IPV4", "IPV6", "MAC", "DISTRO", "STATUS"];
            table(headings, &listing.machines.iter().map(Row::cells).collect::<Vec<_>>())
        })
    }
}

#[derive(Serialize)]
struct Listing {
    machines: Vec<Row>,
    bad: Vec<BadDefinition>,
}

#[derive(Serialize)]
struct Row {
    name: MachineName,
    role: Role,
    arch: Arch,
    boot: Boot,
    ip: Option<Ipv4Addr>,
    ipv6: Option<Ipv6Addr>,
    mac: MacAddr,
    distro: Option<ImageName>,
    status: Status,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
enum Boot {
    Disk,
    Pxe,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Running,
    Stopped,
}

impl Row {
    fn of(home: &Home, Stored { definition, machine, .. }: &Stored) -> Result<Self> {
        let running = power::running(home, &machine.name)?.is_some();
        Ok(Self {
            name: machine.name.clone(),
            role: machine.role,
            arch: machine.arch,
            boot: if definition.pxeboot { Boot::Pxe } else { Boot::Disk },
            ip: machine.address,
            ipv6: machine.ipv6,
            mac: machine.mac,
            distro: definition.distro.clone(),
            status: if running { Status::Running } else { Status::Stopped },
        })
    }

    fn cells(&self) -> [String; 8] {
        let text = |value: Option<String>| value.unwrap_or_default();
        let boot = match self.boot {
            Boot::Disk => "disk",
            Boot::Pxe => "pxe",
        };
        let status = match self.status {
            Status::Running => "running",
            Status::Stopped => "stopped",
        };
        [
            self.name.to_string(),
            self.arch.to_string(),
            boot.to_owned(),
            text(self.ip.map(|ip| ip.to_string())),
            text(self.ipv6.map(|ipv6| ipv6.to_string())),
            self.mac.to_string(),
            text(self.distro.as_ref().map(ToString::to_string)),
            status.to_owned(),
        ]
    }
}
