//! The network interfaces of this machine, as the kernel has them (rtnetlink).

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::Context;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use lab_model::{Ipv4Net, Ipv6Net};
use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use rtnetlink::packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage};
use rtnetlink::packet_route::link::LinkAttribute;
use rtnetlink::{Handle, MulticastGroup, new_connection, new_multicast_connection};
use tokio::time::interval;
use tokio_util::task::AbortOnDropHandle;
use tracing::error;

use crate::config::Config;
use crate::lab::Unfit;

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Interface {
    /// Its name, as `ip link` shows it.
    pub(crate) name: String,
    /// The kernel's number for it.
    pub(crate) index: u32,
    /// Its IPv4 addresses, primary ones first.
    pub(crate) addresses: Vec<Ipv4Net>,
    /// Its IPv6 addresses that are known beyond its own link.
    pub(crate) ipv6: Vec<Ipv6Net>,
    /// The first of them that somebody gave it for good, and that is not from a router's advertisement.
    pub(crate) lasting_ipv6: Option<Ipv6Net>,
}

/// A connection to the kernel's routing tables. It is served by a task of its own, which ends with the last clone.
#[derive(Clone, Debug)]
pub(crate) struct Netlink {
    handle: Handle,
}

/// What the kernel says when interfaces or their IPv4 addresses change.
pub(crate) struct Changes {
    messages: BoxStream<'static, ()>,
    _connection: AbortOnDropHandle<()>,
}

/// How often it is looked whether an interface is still the same.
const PRESENCE: Duration = Duration::from_secs(3);

impl Netlink {
    /// Opens the connection; needs a runtime.
    ///
    /// # Errors
    /// The kernel refuses the socket.
    pub(crate) fn open() -> anyhow::Result<Self> {
        let (connection, handle, _) = new_connection().context("cannot open a netlink socket")?;
        tokio::spawn(connection);
        Ok(Self { handle })
    }

    /// Every interface with its addresses.
    ///
    /// # Errors
    /// The kernel refuses, or ends the connection.
    pub(crate) async fn interfaces(&self) -> anyhow::Result<Vec<Interface>> {
        let links: Vec<_> = self.handle.link().get().execute().try_collect().await.context("cannot list interfaces")?;
        let mut interfaces = Vec::new();
        for link in links {
            let name = link.attributes.iter().find_map(|attribute| match attribute {
                LinkAttribute::IfName(name) => Some(name.clone()),
                _ => None,
            });
            if let Some(name) = name {
                interfaces.push(Interface::new(name, link.header.index));
            }
        }
        let addresses: Vec<_> =
            self.handle.address().get().execute().try_collect().await.context("cannot list addresses")?;
        for message in addresses {
            // On a point-to-point link `Address` is the other end; `Local` is ours wherever it is given.
            let mut own = None;
            let mut ipv6 = None;
            for attribute in &message.attributes {
                match attribute {
                    AddressAttribute::Local(IpAddr::V4(address)) => own = Some(*address),
                    AddressAttribute::Address(IpAddr::V4(address)) => own = own.or(Some(*address)),
                    AddressAttribute::Local(IpAddr::V6(address)) => ipv6 = Some(*address),
                    AddressAttribute::Address(IpAddr::V6(address)) => ipv6 = ipv6.or(Some(*address)),
                    _ => {}
                }
            }
            let network = own.and_then(|address| Ipv4Net::new(address, message.header.prefix_len));
            let ipv6 = ipv6.filter(|address| !address.is_unicast_link_local());
            let network6 = ipv6.and_then(|address| Ipv6Net::new(address, message.header.prefix_len));
            let interface = interfaces.iter_mut().find(|interface| interface.index == message.header.index);
            let Some(interface) = interface else { continue };
            interface.addresses.extend(network);
            interface.ipv6.extend(network6);
            interface.lasting_ipv6 = interface.lasting_ipv6.or(network6.filter(|_| is_lasting(&message)));
        }
        Ok(interfaces)
    }
}

impl Changes {
    /// Has the kernel say them from now on; needs a runtime.
    ///
    /// # Errors
    /// The kernel refuses the socket.
    pub(crate) fn watch() -> anyhow::Result<Self> {
        let groups = [MulticastGroup::Link, MulticastGroup::Ipv4Ifaddr];
        let (connection, _, messages) = new_multicast_connection(&groups).context("cannot open a netlink socket")?;
        let _connection = AbortOnDropHandle::new(tokio::spawn(connection));
        Ok(Self { messages: messages.map(drop).boxed(), _connection })
    }

    /// Waits for the next one.
    ///
    /// # Errors
    /// The kernel has ended the connection.
    pub(crate) async fn next(&mut self) -> anyhow::Result<()> {
        self.messages.next().await.context("the kernel no longer says what becomes of interfaces")
    }
}

/// Whether an address is for good: what a router's advertisement or DHCP gives has an end.
fn is_lasting(message: &AddressMessage) -> bool {
    message.header.flags.contains(AddressHeaderFlags::Permanent)
}

impl Interface {
    /// An interface without addresses.
    pub(crate) fn new(name: String, index: u32) -> Self {
        Self { name, index, addresses: Vec::new(), ipv6: Vec::new(), lasting_ipv6: None }
    }

    /// The interface that the configuration names.
    ///
    /// # Errors
    /// It names none, or this machine has no such yet; the message says which ones it has.
    pub(crate) fn of(config: &Config, interfaces: &[Self]) -> Result<Self, Unfit> {
        let others = || {
            let others = interfaces.iter().filter(|interface| interface.name != "lo").map(Self::to_string);
            others.collect::<Vec<_>>().join(", ")
        };
        let Some(name) = &config.lab.interface else {
            let expected = "missing: expected the interface that machines boot on";
            return Err(config.missing("lab.interface", format!("{expected}; this machine has {}", others())).into());
        };
        interfaces.iter().find(|interface| interface.name == *name.get_ref()).cloned().ok_or_else(|| {
            let problem = format!("`{}` is no interface of this machine, which has {}", name.get_ref(), others());
            Unfit::Absent(config.invalid("lab.interface", name, problem))
        })
    }
}

impl Interface {
    /// Waits until the kernel has this interface no more, and says so. What is bound to it hears nothing from then on, not
    /// even from another one of the same name.
    pub(crate) async fn gone(&self) {
        let Self { name, index, .. } = self;
        let mut ticks = interval(PRESENCE);
        loop {
            ticks.tick().await;
            match if_nametoindex(name.as_str()) {
                Ok(now) if now == *index => {}
                Ok(now) => {
                    return error!(
                        interface = name,
                        index, now, "the interface was made anew: this program must start again"
                    );
                }
                Err(Errno::ENODEV | Errno::ENXIO) => {
                    return error!(interface = name, index, "the interface is gone: this program must start again");
                }
                // The kernel did not say.
                Err(_) => {}
            }
        }
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match self.addresses.as_slice() {
            [] => f.write_str(" (no IPv4 address)"),
            addresses => write!(f, " ({})", addresses.iter().map(Ipv4Net::to_string).collect::<Vec<_>>().join(", ")),
        }
    }
}
