//! An IPv6 address by DHCPv6 (RFC 8415); the kernel itself learns the network's prefix and its routers from advertisements.

use std::fmt;
use std::fs;
use std::io;
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::os::fd::AsRawFd;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn6, bind, setsockopt, socket, sockopt};

use super::exchange::{OFFER_WAITS, REQUEST_WAITS, exchange, transaction};
use super::renewal::keep;
use crate::console::say;
use crate::dhcp::Lifetime;
use crate::dhcp6::{Answer, CLIENT_PORT, Client, Lease, SERVER_PORT, SERVERS};
use crate::link::{self, Link};

/// The address that an interface has, and how it came to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// From a DHCPv6 server.
    Dhcp(Ipv6Addr),
    /// Made by the kernel, of a prefix that a router advertises (RFC 4862).
    Advertised(Ipv6Addr),
}

/// Gives an interface an address by DHCPv6, its only one beyond the link, and keeps the lease renewed while the process lives. Where
/// no server gives one, the address stays that the kernel has made itself.
///
/// # Errors
/// No DHCPv6 server gives an address, and no router advertises a prefix to make one of.
pub fn configure(link: &Link) -> Result<Origin> {
    wait_for_link_local(link);
    let (lease, since) = match ask(link) {
        Ok(given) => given,
        Err(reason) => {
            return match link::addresses6(link)?.into_iter().find(|address| !address.is_unicast_link_local()) {
                Some(address) => Ok(Origin::Advertised(address)),
                None => Err(reason),
            };
        }
    };
    // The server knows the machine by the address that it gave: the kernel is not to send from one that it makes itself.
    if let Err(error) = fs::write(format!("/proc/sys/net/ipv6/conf/{}/autoconf", link.name), "0") {
        say(format_args!("cannot keep {} from making addresses of its own: {error}", link.name));
    }
    let others = link::addresses6(link)?.into_iter().filter(|address| !address.is_unicast_link_local());
    for address in others {
        if let Err(error) = link::remove_address6(link, address) {
            say(format_args!("cannot remove {address} from {}: {error}", link.name));
        }
    }
    link::add_address6(link, lease.address)
        .with_context(|| format!("cannot set {} on {}", lease.address, link.name))?;
    let (address, renewed_on, mut held) = (lease.address, link.clone(), lease);
    keep(address, (held.lifetime, since), move |lifetime, since| {
        let Some((renewed, asked)) = renew(&renewed_on, &held, lifetime, since)? else { return Ok(None) };
        held = renewed;
        Ok(Some((held.lifetime, asked)))
    });
    Ok(Origin::Dhcp(address))
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dhcp(address) => write!(f, "{address} by DHCPv6"),
            Self::Advertised(address) => write!(f, "{address}, of an advertised prefix"),
        }
    }
}

/// Nothing can be sent before the kernel has found out that nobody else has the link-local address (RFC 4862 §5.4).
fn wait_for_link_local(link: &Link) {
    let deadline = Instant::now() + LINK_LOCAL;
    while Instant::now() < deadline {
        if link::addresses6(link).is_ok_and(|all| all.iter().any(Ipv6Addr::is_unicast_link_local)) {
            return;
        }
        thread::sleep(Duration::from_millis(50));
    }
    say(format_args!("{} has no link-local address yet", link.name));
}

/// Gets a lease, and says from when its times count.
fn ask(link: &Link) -> Result<(Lease, Instant)> {
    let socket = open(link).with_context(|| format!("cannot ask for an address on {}", link.name))?;
    let began = Instant::now();
    let client = || client(link, began);
    let mut last_refusal = None;
    for wait in OFFER_WAITS {
        let asker = client();
        let since = Instant::now();
        let answer =
            exchange(&socket, &asker.solicit(), servers(link), Duration::from_secs(wait), |packet| asker.read(packet))?;
        let offer = match answer {
            Some(Answer::Given(lease)) => return Ok((lease, since)),
            Some(Answer::Offer(offer)) => offer,
            Some(Answer::Refusal(reason)) => {
                last_refusal = Some(reason);
                // Others may answer the next question, and this one may have changed its mind by then.
                thread::sleep(Duration::from_secs(wait));
                continue;
            }
            None => continue,
        };
        let asker = client();
        for wait in REQUEST_WAITS {
            let since = Instant::now();
            let wait = Duration::from_secs(wait);
            match exchange(&socket, &asker.request(&offer), servers(link), wait, |packet| {
                asker.read(packet).filter(|answer| !matches!(answer, Answer::Offer(_)))
            })? {
                Some(Answer::Given(lease)) => return Ok((lease, since)),
                Some(Answer::Refusal(reason)) => {
                    last_refusal = Some(reason);
                    break;
                }
                Some(Answer::Offer(_)) | None => {}
            }
        }
    }
    match last_refusal {
        Some(refusal) => bail!("no IPv6 address for {} ({}): {refusal}", link.name, link.mac),
        None => bail!(
            "no DHCPv6 server answered on {} ({}); check that pxe-server runs on this network and the cable is in",
            link.name,
            link.mac
        ),
    }
}

/// Asks the lease's server, and from the rebinding time on any server, until the lease ends.
fn renew(link: &Link, lease: &Lease, lifetime: Lifetime, since: Instant) -> Result<Option<(Lease, Instant)>> {
    let socket = open(link)?;
    let began = Instant::now();
    loop {
        let now = Instant::now();
        let age = now - since;
        if age >= lifetime.end {
            return Ok(None);
        }
        let client = client(link, began);
        let (message, until) = if age < lifetime.rebind {
            (client.renew(lease), lifetime.rebind)
        } else {
            (client.rebind(lease), lifetime.end)
        };
        let wait = ((until - age) / 2).clamp(Duration::from_secs(1), Duration::from_secs(60));
        match exchange(&socket, &message, servers(link), wait, |packet| client.read(packet))? {
            Some(Answer::Given(renewed)) if renewed.address == lease.address => return Ok(Some((renewed, now))),
            Some(Answer::Given(other)) => bail!("the server gives {} instead", other.address),
            Some(Answer::Refusal(reason)) => bail!("refused: {reason}"),
            Some(Answer::Offer(_)) | None => {}
        }
    }
}

fn client(link: &Link, began: Instant) -> Client {
    let [_, transaction @ ..] = transaction().to_be_bytes();
    Client { mac: link.mac, transaction, elapsed: began.elapsed() }
}

fn servers(link: &Link) -> SocketAddr {
    SocketAddrV6::new(SERVERS, SERVER_PORT, 0, link.index).into()
}

/// A socket on the client's port of one interface.
fn open(link: &Link) -> io::Result<UdpSocket> {
    let socket = socket(AddressFamily::Inet6, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    setsockopt(&socket, sockopt::ReuseAddr, &true)?;
    setsockopt(&socket, sockopt::Ipv6V6Only, &true)?;
    setsockopt(&socket, sockopt::BindToDevice, &link.name.clone().into())?;
    let any = SockaddrIn6::from(SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, CLIENT_PORT, 0, 0));
    bind(socket.as_raw_fd(), &any)?;
    Ok(socket.into())
}

/// How long the kernel takes at most to find out whether somebody else has the link-local address.
const LINK_LOCAL: Duration = Duration::from_secs(10);
