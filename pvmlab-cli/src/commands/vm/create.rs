use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;

use clap_complete::ArgValueCompleter;
use lab_model::{Arch, ImageName, MacAddr, MachineName, ProfileName, Role};

use crate::cloud_init::Files;
use crate::commands::completion;
use crate::disk::Size;
use crate::error::Result;
use crate::home::Home;
use crate::lab_network::HostAddress;
use crate::network::Network;
use crate::new_machine::NewMachine;
use crate::provisioner::serving;
use crate::removal;
use crate::ui::Ui;

/// Makes a machine: its disk, its addresses, its definition.
///
/// With --pxeboot its disk is blank, and it is installed over the network when it is started. Otherwise its disk begins as
/// the image's, and cloud-init configures it at its first boot.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  pvmlab vm create web --pxeboot
  pvmlab vm create web --pxeboot --distro debian-12 --arch x86_64
  pvmlab vm create rescue --pxeboot --profile alpine
  pvmlab vm create web --pxeboot --user-data web.yaml --ssh-key ~/.ssh/id_ed25519.pub
  pvmlab vm create db --ip 10.77.0.20 --disk-size 40G --memory 4096")]
pub(crate) struct Create {
    /// Its name: 1 to 63 of a-z, 0-9 and -.
    name: MachineName,
    /// Its IPv4 address; the next free one otherwise.
    #[arg(long, value_name = "CIDR")]
    ip: Option<HostAddress<Ipv4Addr>>,
    /// Its IPv6 address.
    #[arg(long, value_name = "CIDR")]
    ipv6: Option<HostAddress<Ipv6Addr>>,
    /// Its hardware address; a random one otherwise.
    #[arg(long)]
    mac: Option<MacAddr>,
    /// How large its disk is.
    #[arg(long, value_name = "SIZE", default_value = "15G")]
    disk_size: Size,
    /// What its processor executes, aarch64 or x86_64; what this host's does otherwise.
    #[arg(long)]
    arch: Option<Arch>,
    /// Begins with a blank disk, to be installed over the network.
    #[arg(long)]
    pxeboot: bool,
    /// The image; the only one for the architecture otherwise.
    #[arg(long, add = ArgValueCompleter::new(completion::images))]
    distro: Option<ImageName>,
    /// What it boots from the network beside an image: one of `pvmlab profile ls`.
    #[arg(long, requires = "pxeboot", add = ArgValueCompleter::new(completion::profiles))]
    profile: Option<ProfileName>,
    /// How much memory it has; 2048 otherwise.
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(128..=1 << 22))]
    memory: Option<u32>,
    /// How many processors it has; 2 otherwise.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=255))]
    cpus: Option<u32>,
    /// What its interface on the lab's network is plugged into: switch, bridge, bridge:NAME or socket-vmnet; what is usual on
    /// this host otherwise.
    #[arg(long, value_name = "KIND")]
    network: Option<Network>,
    #[command(flatten)]
    told: Files,
}

impl Create {
    pub(crate) fn run(self, home: &Home, ui: Ui) -> Result<()> {
        let told = self.told.read(Path::new(""), ui)?;
        let lock = home.lock()?;
        removal::sweep(home, &lock)?;
        let new = NewMachine {
            name: self.name,
            role: Role::Target,
            arch: self.arch,
            ip: self.ip,
            ipv6: self.ipv6,
            mac: self.mac,
            distro: self.distro,
            profile: self.profile,
            disk_size: self.disk_size,
            pxeboot: self.pxeboot,
            memory_mib: self.memory,
            cpus: self.cpus,
            network: self.network,
            told,
        };
        let machine = new.create(home, &lock, ui)?;
        drop(lock);
        let address = machine.address.map(|address| address.to_string()).unwrap_or_default();
        ui.say(format_args!("made machine `{}` with address {address}", machine.name));
        ui.say(format_args!("start it with `pvmlab vm start {}`", machine.name));
        serving::announce(home, ui);
        Ok(())
    }
}
