use std::net::{Ipv4Addr, Ipv6Addr};

use clap_complete::ArgValueCompleter;
use lab_model::{Arch, ImageName, MacAddr, MachineName, Role};

use crate::cloud_init::Told;
use crate::commands::completion;
use crate::disk::Size;
use crate::error::Result;
use crate::home::Home;
use crate::lab_network::HostAddress;
use crate::network::Network;
use crate::new_machine::NewMachine;
use crate::removal;
use crate::ui::Ui;

/// Makes the provisioner, and with it the lab's network.
///
/// There is one in a lab: it gives the others their addresses, boots and installs them, and is their way out.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  pvmlab provisioner create provisioner --ip 10.77.0.1/24
  pvmlab provisioner create provisioner --ip 10.77.0.1/24 --ipv6 fd00:77::1/64 --distro debian-12")]
pub(crate) struct Create {
    /// Its name: 1 to 63 of a-z, 0-9 and -.
    name: MachineName,
    /// Its address on the lab's network, with the length of the network's prefix.
    #[arg(long, value_name = "CIDR")]
    ip: HostAddress<Ipv4Addr>,
    /// The same for IPv6; without it the lab has none.
    #[arg(long, value_name = "CIDR")]
    ipv6: Option<HostAddress<Ipv6Addr>>,
    /// Its hardware address on the lab's network; a random one otherwise.
    #[arg(long)]
    mac: Option<MacAddr>,
    /// How large its disk is.
    #[arg(long, value_name = "SIZE", default_value = "15G")]
    disk_size: Size,
    /// What its processor executes, aarch64 or x86_64; what this host's does otherwise.
    #[arg(long)]
    arch: Option<Arch>,
    /// The image that its disk begins as; the only one for the architecture otherwise.
    #[arg(long, add = ArgValueCompleter::new(completion::images))]
    distro: Option<ImageName>,
    /// How much memory it has; 4096 otherwise.
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(128..=1 << 22))]
    memory: Option<u32>,
    /// How many processors it has; 2 otherwise.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=255))]
    cpus: Option<u32>,
    /// What its interface on the lab's network is plugged into: switch, bridge, bridge:NAME or socket-vmnet; what is usual on
    /// this host otherwise.
    #[arg(long, value_name = "KIND")]
    network: Option<Network>,
}

impl Create {
    pub(crate) fn run(self, home: &Home, ui: Ui) -> Result<()> {
        let lock = home.lock()?;
        removal::sweep(home, &lock)?;
        let new = NewMachine {
            name: self.name,
            role: Role::Provisioner,
            arch: self.arch,
            ip: Some(self.ip),
            ipv6: self.ipv6,
            mac: self.mac,
            distro: self.distro,
            profile: None,
            disk_size: self.disk_size,
            pxeboot: false,
            memory_mib: self.memory,
            cpus: self.cpus,
            network: self.network,
            told: Told::default(),
        };
        let machine = new.create(home, &lock, ui)?;
        ui.say(format_args!("made provisioner `{}`", machine.name));
        ui.say("start it with `pvmlab provisioner start`");
        Ok(())
    }
}
