//! The provisioner: the machine that serves the others, as this host sets it up and speaks with it.
//!
//! - [`release`]: the program that it runs, and where that is found
//! - [`seed`]: what it is told at its first boot, and the program with it
//! - [`deploy`]: another release, on a provisioner that runs
//! - [`share`], [`push`]: how it comes to definitions and images
//! - [`api`]: what its server says of the machines
//!
//! What happens inside of it is one script, `cloud-init/provisioner/provision`.

pub(crate) mod api;
pub(crate) mod deploy;
pub(crate) mod push;
pub(crate) mod release;
pub(crate) mod seed;
pub(crate) mod serving;
pub(crate) mod share;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use lab_model::{Arch, MachineName, Role};

use crate::error::{Failure, Kind, Result};
use crate::home::Home;
use crate::lab_network::LabNetwork;
use crate::qemu::power;
use crate::ssh::Login;
use crate::store::{Store, Stored};

/// The lab's provisioner, as its definition has it.
#[derive(Clone, Debug)]
pub(crate) struct Provisioner {
    stored: Stored,
    network: LabNetwork,
}

impl Provisioner {
    /// Finds the one provisioner of a lab.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn find(home: &Home) -> Result<Self> {
        Self::of(&Store::read(home)?)
    }

    /// The one provisioner of a lab that was read already.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn of(store: &Store) -> Result<Self> {
        Ok(Self { stored: store.require_provisioner()?.clone(), network: store.require_network()? })
    }

    /// Its name.
    pub(crate) fn name(&self) -> &MachineName {
        &self.stored.machine.name
    }

    /// What its processor executes.
    pub(crate) fn arch(&self) -> Arch {
        self.stored.machine.arch
    }

    /// How the host logs in to it: at the port that is forwarded to it.
    ///
    /// # Errors
    /// It is off.
    pub(crate) fn login(&self, home: &Home) -> Result<Login> {
        power::require_running(home, self.name())?;
        let port = self.stored.definition.ssh_port;
        Ok(Login::direct(home, self.name(), SocketAddr::from((Ipv4Addr::LOCALHOST, port))))
    }

    /// Its server, as machines of the lab reach it.
    pub(crate) fn server(&self) -> SocketAddr {
        SocketAddr::from((self.network.ipv4.address(), HTTP_PORT))
    }
}

/// How a machine of the lab is logged in to: the provisioner itself, or another one through it.
///
/// A machine without an address of its own in its definition is asked for at the server.
///
/// # Errors
/// No such machine is defined, it is off, or it has no address yet.
pub(crate) fn login(home: &Home, name: &MachineName) -> Result<Login> {
    let store = Store::read(home)?;
    let machine = &store.find(name)?.machine;
    let provisioner = Provisioner::of(&store)?;
    let jump = provisioner.login(home)?;
    if machine.role == Role::Provisioner {
        return Ok(jump);
    }
    power::require_running(home, name)?;
    if let Some(address) = machine.address {
        return Ok(jump.beyond(name, IpAddr::from(address)));
    }
    let status = api::Api::new(&jump, provisioner.server())?.machine(name)?.machine;
    let address = status.address.ok_or_else(|| {
        Failure::new(Kind::NotFound, format!("{name} has no address yet"))
            .hinted(format!("start it with `pvmlab vm start {name} --wait`"))
    })?;
    Ok(jump.beyond(name, IpAddr::from(address)))
}

/// Where `pxe-server` listens in a lab whose configuration is this command's.
const HTTP_PORT: u16 = 80;
