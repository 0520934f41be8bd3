use std::net::Ipv4Addr;

use clap_complete::ArgValueCompleter;
use lab_model::{MacAddr, MachineName};

use crate::clone::Clone as NewClone;
use crate::commands::completion;
use crate::error::Result;
use crate::home::Home;
use crate::lab_network::HostAddress;
use crate::provisioner::serving;
use crate::removal;
use crate::ui::Ui;

/// Makes another machine that begins with what is on a machine's disk; that one must be off.
///
/// The clone has addresses, hardware and a definition of its own. At its first boot cloud-init finds that it is another instance: it
/// gets its own host name and new SSH host keys, and what its user-data says is done again. What else is on the disk is the
/// original's: above all /etc/machine-id, and whatever programs keep there. Snapshots are not cloned.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  pvmlab vm clone web web-2
  pvmlab vm clone web web-2 --ip 10.77.0.21
  pvmlab vm shell web-2 -- 'sudo rm /etc/machine-id; sudo systemd-machine-id-setup; sudo reboot'")]
pub(crate) struct Clone {
    /// Which machine.
    #[arg(add = ArgValueCompleter::new(completion::machines))]
    name: MachineName,
    /// The clone's name.
    new: MachineName,
    /// The clone's IPv4 address; the next free one otherwise.
    #[arg(long, value_name = "CIDR")]
    ip: Option<HostAddress<Ipv4Addr>>,
    /// The clone's hardware address; a random one otherwise.
    #[arg(long)]
    mac: Option<MacAddr>,
}

impl Clone {
    pub(crate) fn run(self, home: &Home, ui: Ui) -> Result<()> {
        let lock = home.lock()?;
        removal::sweep(home, &lock)?;
        let clone = NewClone { name: self.new, ip: self.ip, mac: self.mac };
        let machine = clone.create(&self.name, home, &lock)?;
        drop(lock);
        let address = machine.address.map(|address| address.to_string()).unwrap_or_default();
        ui.say(format_args!("cloned `{}` as `{}` with address {address}", self.name, machine.name));
        ui.say("it gets its own name and SSH host keys at its first boot; its /etc/machine-id stays the original's: see --help");
        if machine.cloud_init.network_config.is_some() {
            ui.say("warning: its network-config is the original's too: an address that is written there would be in use twice");
        }
        ui.say(format_args!("start it with `pvmlab vm start {}`", machine.name));
        serving::announce(home, ui);
        Ok(())
    }
}
