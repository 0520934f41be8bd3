//! The lab network on the host: what machines' interfaces are plugged into.
//!
//! One file for each kind: [`switch`] (Linux, no privilege), [`bridge`] (Linux, root), [`socket_vmnet`] (macOS). A
//! provisioner's way out, [`uplink`], is the same everywhere.
//!
//! Not here: addresses. The provisioner hands them out, and the host has none on the lab network.

pub(crate) mod bridge;
pub(crate) mod socket_vmnet;
pub(crate) mod switch;
pub(crate) mod uplink;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use lab_model::MacAddr;
use serde::{Deserialize, Serialize};

use crate::error::{Failure, Kind, Result};
use crate::home::{Home, Lock};
use crate::host::{Host, Os};
use crate::interrupt::Interrupt;
use bridge::BridgeName;

/// What the lab network is made of; as text `switch`, `bridge:NAME` or `socket-vmnet`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(crate) enum Network {
    /// A process of the lab's that carries frames between its machines.
    Switch,
    /// A bridge of the kernel's, which may have real interfaces as well.
    Bridge(BridgeName),
    /// Apple's vmnet, by way of socket_vmnet's service.
    SocketVmnet,
}

/// One end of a cable: what QEMU needs to plug an interface into the lab network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Lan {
    /// QEMU connects to a socket, and each frame follows its length (4 bytes, big-endian).
    Stream { socket: PathBuf },
    /// QEMU is started by a program that connects to such a socket and hands the connection on as descriptor 3.
    Client { program: PathBuf, socket: PathBuf },
    /// QEMU makes a tap device, which is then plugged into the bridge.
    Tap { device: String, bridge: BridgeName },
}

impl Network {
    /// What is usual on such a host.
    pub(crate) fn usual(os: Os) -> Self {
        match os {
            Os::Linux => Self::Switch,
            Os::Macos => Self::SocketVmnet,
        }
    }

    /// Has the network up, and says how an interface with this address is plugged in.
    ///
    /// The lab stays locked until the machine runs: a switch without machines ends only if nobody has the lab.
    ///
    /// # Errors
    /// It does not come up, or there is none of the kind on such a host.
    pub(crate) fn attach(
        &self,
        mac: MacAddr,
        home: &Home,
        host: &Host,
        lock: &Lock,
        interrupt: &Interrupt,
    ) -> Result<Lan> {
        match (self, host.os) {
            (Self::Switch, _) => Ok(Lan::Stream { socket: switch::ensure(home, lock, interrupt)? }),
            (Self::Bridge(name), Os::Linux) => {
                bridge::ensure(name)?;
                Ok(Lan::Tap { device: bridge::tap_name(mac), bridge: name.clone() })
            }
            (Self::SocketVmnet, Os::Macos) => socket_vmnet::Service::from_environment().attach(),
            (Self::Bridge(_), Os::Macos) | (Self::SocketVmnet, Os::Linux) => {
                let usual = Self::usual(host.os);
                Err(Failure::new(Kind::Usage, format!("there is no network of the kind `{self}` on {}", host.os))
                    .hinted(format!("use `{usual}`, which is usual there")))
            }
        }
    }

    /// What is to be done once the machine runs.
    ///
    /// # Errors
    /// The kernel refuses.
    pub(crate) fn plug(lan: &Lan) -> Result<()> {
        match lan {
            Lan::Stream { .. } | Lan::Client { .. } => Ok(()),
            Lan::Tap { device, bridge } => bridge::plug(device, bridge),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Switch => f.write_str("switch"),
            Self::Bridge(name) => write!(f, "bridge:{name}"),
            Self::SocketVmnet => f.write_str("socket-vmnet"),
        }
    }
}

impl FromStr for Network {
    type Err = NotNetwork;

    fn from_str(text: &str) -> Result<Self, NotNetwork> {
        let not = || NotNetwork(text.to_owned());
        match text.split_once(':') {
            None if text == "switch" => Ok(Self::Switch),
            None if text == "socket-vmnet" => Ok(Self::SocketVmnet),
            None if text == "bridge" => Ok(Self::Bridge(BridgeName::default())),
            Some(("bridge", name)) => BridgeName::new(name).map(Self::Bridge).ok_or_else(not),
            None | Some(_) => Err(not()),
        }
    }
}

impl TryFrom<String> for Network {
    type Error = NotNetwork;

    fn try_from(text: String) -> Result<Self, NotNetwork> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

/// The text names no network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotNetwork(String);

impl fmt::Display for NotNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not a network: expected `switch`, `bridge`, `bridge:NAME` or `socket-vmnet`", self.0)
    }
}

impl std::error::Error for NotNetwork {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_written_as_it_is_read() {
        for text in ["switch", "bridge:br0", "socket-vmnet"] {
            assert_eq!(text.parse::<Network>().map(String::from), Ok(text.to_owned()));
        }
        assert_eq!("bridge".parse::<Network>().map(String::from), Ok("bridge:pvmlab".to_owned()));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in ["", "vde", "bridge:", "bridge:a/b", "bridge:a-name-that-is-too-long", "switch:x"] {
            assert_eq!(text.parse::<Network>(), Err(NotNetwork(text.to_owned())));
        }
    }
}
