//! Brings up the interface that the machine booted from, with an address from DHCP.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use lab_model::MacAddr;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, setsockopt, socket, sockopt};

use crate::console::say;
use crate::controller::{self, Kind};
use crate::dhcp::{Answer, CLIENT_PORT, Client, Lease, Lifetime, SERVER_PORT};
use crate::link::{self, Link};

/// Brings up the interface with this hardware address, or the only one.
///
/// # Errors
/// There is no such interface, or the kernel refuses.
pub fn bring_up(mac: Option<MacAddr>) -> Result<Link> {
    let link = find(mac)?;
    link::switch_on(&link).with_context(|| format!("cannot switch {} on", link.name))?;
    wait_for_carrier(&link);
    Ok(link)
}

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
    if let Some(lifetime) = lease.lifetime {
        let (link, lease) = (link.clone(), lease.clone());
        thread::spawn(move || keep(&link, lease, lifetime, since));
    }
    Ok(lease)
}

fn find(mac: Option<MacAddr>) -> Result<Link> {
    let deadline = Instant::now() + APPEARANCE;
    loop {
        let links = link::list(Path::new("/sys"));
        match choose(&links, mac) {
            Ok(link) => return Ok(link.clone()),
            Err(reason) if Instant::now() > deadline => {
                let undriven = controller::undriven(Path::new("/sys")).into_iter();
                let undriven: Vec<_> =
                    undriven.filter(|one| one.kind == Kind::Network).map(|one| one.to_string()).collect();
                match &undriven[..] {
                    [] => bail!(reason),
                    _ => bail!("{reason}; the image's initrd has no driver for: {}", undriven.join(", ")),
                }
            }
            Err(_) => thread::sleep(Duration::from_millis(100)),
        }
    }
}

/// Chooses the interface, or says in words why none can be chosen.
fn choose(links: &[Link], mac: Option<MacAddr>) -> Result<&Link, String> {
    let seen = || {
        let list: Vec<_> = links.iter().map(|link| format!("{} ({})", link.name, link.mac)).collect();
        if list.is_empty() { "none at all".to_owned() } else { list.join(", ") }
    };
    match (mac, links) {
        (Some(mac), _) => links
            .iter()
            .find(|link| link.mac == mac)
            .ok_or_else(|| format!("there is no network interface with address {mac}; seen: {}", seen())),
        (None, [link]) => Ok(link),
        (None, []) => Err("there is no network interface".to_owned()),
        (None, _) => Err(format!(
            "there are several network interfaces: {}; name one on the kernel's command line, as `pvmlab.mac=`",
            seen()
        )),
    }
}

fn wait_for_carrier(link: &Link) {
    let deadline = Instant::now() + CARRIER;
    while !link::has_carrier(link) && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(50));
    }
    if !link::has_carrier(link) {
        say(format_args!("{} has no link yet; is the cable in?", link.name));
    }
}

/// Gets a lease, and says from when its times count.
fn ask(link: &Link) -> Result<(Lease, Instant)> {
    let socket = open(link).with_context(|| format!("cannot ask for an address on {}", link.name))?;
    let client = Client { mac: link.mac, transaction: transaction() };
    let mut last_refusal = None;
    for wait in DISCOVER_WAITS {
        let Some(offer) = offer(&socket, client, Duration::from_secs(wait))? else { continue };
        for wait in REQUEST_WAITS {
            let (since, wait) = (Instant::now(), Duration::from_secs(wait));
            match exchange(&socket, &client.request(&offer), Ipv4Addr::BROADCAST, wait, |packet| {
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
    exchange(socket, &client.discover(), Ipv4Addr::BROADCAST, wait, |packet| match client.read(packet)? {
        Answer::Offer(lease) => Some(lease),
        Answer::Ack(_) | Answer::Nak(_) => None,
    })
}

/// Sends `message`, and waits for the first packet in which `read` finds what it looks for.
fn exchange<T>(
    socket: &UdpSocket,
    message: &[u8],
    to: Ipv4Addr,
    wait: Duration,
    read: impl Fn(&[u8]) -> Option<T>,
) -> io::Result<Option<T>> {
    if let Err(error) = socket.send_to(message, SocketAddrV4::new(to, SERVER_PORT)) {
        // ENETDOWN and its like pass; a send that fails is a packet that got lost.
        say(format_args!("cannot send to {to}: {error}"));
    }
    let deadline = Instant::now() + wait;
    let mut packet = [0; 1500];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        socket.set_read_timeout(Some(left))?;
        match socket.recv(&mut packet) {
            Ok(length) => {
                if let Some(found) = read(&packet[..length]) {
                    return Ok(Some(found));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // The other side's port is closed: another kind of silence.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
            Err(error) => return Err(error),
        }
    }
}

/// Renews the lease for as long as the process lives: an image may take longer than a lease of one minute.
fn keep(link: &Link, mut lease: Lease, mut lifetime: Lifetime, mut since: Instant) {
    loop {
        thread::sleep((since + lifetime.renew).saturating_duration_since(Instant::now()));
        match renew(link, &lease, lifetime, since) {
            Ok(Some((renewed, asked))) => {
                since = asked;
                let Some(times) = renewed.lifetime else { return };
                (lease, lifetime) = (renewed, times);
            }
            Ok(None) => return say(format_args!("the lease of {} was not renewed in time", lease.address)),
            Err(error) => return say(format_args!("the lease of {} was not renewed: {error:#}", lease.address)),
        }
    }
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
        match exchange(&socket, &client.renew(lease), to, wait, |packet| client.read(packet))? {
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
    bind(std::os::fd::AsRawFd::as_raw_fd(&socket), &any)?;
    Ok(socket.into())
}

/// A number that other machines, which start at the same time, do not have: the standard library's own random seed.
fn transaction() -> u32 {
    RandomState::new().build_hasher().finish() as u32
}

/// How long a driver may take to show its interface.
const APPEARANCE: Duration = Duration::from_secs(15);

/// How long two ends of a cable may take to find each other.
const CARRIER: Duration = Duration::from_secs(10);

/// How long each DISCOVER waits for an offer, in seconds: about a minute in all, which outlasts a switch that first looks for loops.
const DISCOVER_WAITS: [u64; 7] = [1, 2, 4, 8, 16, 16, 16];

/// How long each REQUEST waits for its acknowledgement, in seconds.
const REQUEST_WAITS: [u64; 3] = [2, 4, 8];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interface_that_booted_is_taken() {
        let links = [link("eth0", 1), link("eth1", 2)];

        assert_eq!(choose(&links, Some(links[1].mac)), Ok(&links[1]));
        assert_eq!(choose(&links[..1], None), Ok(&links[0]));
    }

    #[test]
    fn without_the_right_interface_it_says_what_it_saw() {
        let links = [link("eth0", 1), link("eth1", 2)];

        assert_eq!(
            choose(&links, Some(link("x", 3).mac)),
            Err("there is no network interface with address 52:54:00:00:00:03; \
                 seen: eth0 (52:54:00:00:00:01), eth1 (52:54:00:00:00:02)"
                .to_owned())
        );
        assert!(choose(&links, None).is_err_and(|reason| reason.contains("as `pvmlab.mac=`")));
        assert_eq!(choose(&[], None), Err("there is no network interface".to_owned()));
    }

    fn link(name: &str, number: u8) -> Link {
        Link { name: name.to_owned(), index: u32::from(number), mac: MacAddr::new([0x52, 0x54, 0, 0, 0, number]) }
    }
}
