//! An IPv4 address by DHCP (RFC 2131).

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, setsockopt, socket, sockopt};

use super::exchange::{OFFER_WAITS, REQUEST_WAITS, exchange, transaction};
use super::renewal::keep;
use crate::console::say;
use crate::dhcp::{Answer, CLIENT_PORT, Client, Lease, Lifetime, SERVER_PORT};
use crate::link::{self, Link};

/// Gives an interface an address by DHCP, its only one, and keeps the lease renewed while the process lives.
///
/// # Errors
/// No DHCP server gives an address.
pub fn configure(link: &Link) -> Result<Lease> {
    // The address of an earlier attempt may be somebody else's by now, and RFC 2131 §4.1 wants 0.0.0.0 as the source until there is one.
    if let Err(error) = link::remove_addresses(link) {
        say(format_args!("cannot remove old addresses from {}: {error}", link.name));
    }
    let (lease, since) = ask(link)?;
    link::add_address(link, lease.address).with_context(|| format!("cannot set {} on {}", lease.address, link.name))?;
    if let Some(router) = lease.router
        && let Err(error) = link::add_default_route(link, router)
    {
        // The server is most likely in the same network, and needs no router.
        say(format_args!("cannot use the router {router}: {error}"));
    }
    let (renewed_on, mut held) = (link.clone(), lease.clone());
    keep(lease.address, (lease.lifetime, since), move |lifetime, since| {
        let Some((renewed, asked)) = renew(&renewed_on, &held, lifetime, since)? else { return Ok(None) };
        held = renewed;
        Ok(Some((held.lifetime, asked)))
    });
    Ok(lease)
}

/// Gets a lease, and says from when its times count.
fn ask(link: &Link) -> Result<(Lease, Instant)> {
    let socket = open(link).with_context(|| format!("cannot ask for an address on {}", link.name))?;
    let client = Client { mac: link.mac, transaction: transaction() };
    let mut last_refusal = None;
    for wait in OFFER_WAITS {
        let Some(offer) = offer(&socket, client, Duration::from_secs(wait))? else { continue };
        for wait in REQUEST_WAITS {
            let (since, wait) = (Instant::now(), Duration::from_secs(wait));
            match exchange(&socket, &client.request(&offer), at(Ipv4Addr::BROADCAST), wait, |packet| {
                client.read(packet).filter(|answer| !matches!(answer, Answer::Offer(_)))
            })? {
                Some(Answer::Ack(lease)) => return Ok((lease, since)),
                Some(Answer::Nak(reason)) => {
                    last_refusal = Some(format!("{} refused: {reason}", offer.server));
                    break;
                }
                Some(Answer::Offer(_)) | None => {}
            }
        }
    }
    match last_refusal {
        Some(refusal) => bail!("no address for {} ({}): {refusal}", link.name, link.mac),
        None => bail!(
            "no DHCP server answered on {} ({}); check that pxe-server runs on this network and the cable is in",
            link.name,
            link.mac
        ),
    }
}

fn offer(socket: &UdpSocket, client: Client, wait: Duration) -> io::Result<Option<Lease>> {
    exchange(socket, &client.discover(), at(Ipv4Addr::BROADCAST), wait, |packet| match client.read(packet)? {
        Answer::Offer(lease) => Some(lease),
        Answer::Ack(_) | Answer::Nak(_) => None,
    })
}

/// Asks the lease's server, and from the rebinding time on any server, until the lease ends.
fn renew(link: &Link, lease: &Lease, lifetime: Lifetime, since: Instant) -> Result<Option<(Lease, Instant)>> {
    let socket = open(link)?;
    let client = Client { mac: link.mac, transaction: transaction() };
    loop {
        let now = Instant::now();
        let age = now - since;
        if age >= lifetime.end {
            return Ok(None);
        }
        let (to, until) =
            if age < lifetime.rebind { (lease.server, lifetime.rebind) } else { (Ipv4Addr::BROADCAST, lifetime.end) };
        // RFC 2131 §4.4.5: half of what is left, but a minute; short leases are asked for more often than that.
        let wait = ((until - age) / 2).clamp(Duration::from_secs(1), Duration::from_secs(60));
        match exchange(&socket, &client.renew(lease), at(to), wait, |packet| client.read(packet))? {
            Some(Answer::Ack(renewed)) => return Ok(Some((renewed, now))),
            Some(Answer::Nak(reason)) => bail!("{} refused: {reason}", lease.server),
            Some(Answer::Offer(_)) | None => {}
        }
    }
}

/// A socket on the client's port of one interface; it works before that has an address.
fn open(link: &Link) -> Result<UdpSocket> {
    let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    setsockopt(&socket, sockopt::ReuseAddr, &true)?;
    setsockopt(&socket, sockopt::Broadcast, &true)?;
    setsockopt(&socket, sockopt::BindToDevice, &link.name.clone().into())?;
    let any = SockaddrIn::from(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, CLIENT_PORT));
    bind(socket.as_raw_fd(), &any)?;
    Ok(socket.into())
}

fn at(server: Ipv4Addr) -> SocketAddr {
    (server, SERVER_PORT).into()
}
