//! Network interfaces: which there are, and giving one an address (rtnetlink(7)).

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use lab_model::{Ipv4Net, MacAddr};
use netlink_packet_core::{
    Emitable, ErrorBuffer, NLM_F_ACK, NLM_F_CREATE, NLM_F_REPLACE, NLM_F_REQUEST, NLMSG_ERROR, NetlinkBuffer,
    NetlinkHeader,
};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage};
use netlink_packet_route::link::{LinkFlags, LinkHeader};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteHeader, RouteMessage};
use netlink_packet_route::route::{RouteProtocol, RouteScope, RouteType};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use nix::ifaddrs::getifaddrs;
use nix::libc::{EADDRNOTAVAIL, IFA_F_DADFAILED, IFA_F_TENTATIVE, RTM_DELADDR, RTM_NEWADDR, RTM_NEWLINK, RTM_NEWROUTE};
use nix::sys::socket::SockaddrStorage;

/// A network interface with hardware behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The kernel's name, such as `eth0`.
    pub name: String,
    /// The kernel's number.
    pub index: u32,
    /// Its hardware address.
    pub mac: MacAddr,
}

/// Lists Ethernet interfaces under `sys`, by name; no bridges, tunnels or loopback.
pub fn list(sys: &Path) -> Vec<Link> {
    let mut links = Vec::new();
    for entry in fs::read_dir(sys.join("class/net")).into_iter().flatten().flatten() {
        let folder = entry.path();
        let read = |file: &str| fs::read_to_string(folder.join(file)).unwrap_or_default().trim().to_owned();
        // if_arp.h: 1 is Ethernet; only what has a bus behind it has `device`.
        if read("type") != "1" || !folder.join("device").exists() {
            continue;
        }
        let (Ok(name), Ok(index), Ok(mac)) =
            (entry.file_name().into_string(), read("ifindex").parse(), read("address").parse())
        else {
            continue;
        };
        links.push(Link { name, index, mac });
    }
    links.sort_by(|one, other| one.name.cmp(&other.name));
    links
}

/// Whether a cable is in and the other side is there.
pub fn has_carrier(link: &Link) -> bool {
    let carrier = Path::new("/sys/class/net").join(&link.name).join("carrier");
    fs::read_to_string(carrier).is_ok_and(|carrier| carrier.trim() == "1")
}

/// Switches an interface on.
///
/// # Errors
/// The kernel refuses.
pub fn switch_on(link: &Link) -> io::Result<()> {
    let header =
        LinkHeader { index: link.index, flags: LinkFlags::Up, change_mask: LinkFlags::Up, ..LinkHeader::default() };
    request(RTM_NEWLINK, &header, 0)
}

/// Gives an interface an address, with the route to its network; it may have it already.
///
/// # Errors
/// The kernel refuses.
pub fn add_address(link: &Link, address: Ipv4Net) -> io::Result<()> {
    let mut message = about(link, address.address().into(), address.prefix());
    message.attributes.push(AddressAttribute::Broadcast(address.broadcast()));
    request(RTM_NEWADDR, &message, NLM_F_CREATE | NLM_F_REPLACE)
}

/// Takes all IPv4 addresses from an interface, and with them the routes that they brought.
///
/// # Errors
/// The kernel refuses.
pub fn remove_addresses(link: &Link) -> io::Result<()> {
    for entry in getifaddrs()?.filter(|entry| entry.interface_name == link.name) {
        let ipv4 = |address: Option<SockaddrStorage>| Some(address?.as_sockaddr_in()?.ip());
        let Some((address, mask)) = ipv4(entry.address).zip(ipv4(entry.netmask)) else { continue };
        let Some(address) = Ipv4Net::new(address, mask.to_bits().leading_ones() as u8) else { continue };
        match request(RTM_DELADDR, &about(link, address.address().into(), address.prefix()), 0) {
            Ok(()) => {}
            // It went with another one of its network.
            Err(error) if error.raw_os_error() == Some(EADDRNOTAVAIL) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The interface's IPv6 addresses that can be used: not those of which the kernel does not know yet whether somebody else has them.
///
/// # Errors
/// There is no `/proc`.
pub fn addresses6(link: &Link) -> io::Result<Vec<Ipv6Addr>> {
    let text = match fs::read_to_string("/proc/thread-self/net/if_inet6") {
        // A kernel without IPv6.
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        text => text?,
    };
    Ok(text.lines().filter_map(|line| usable_address6(line, link.index)).collect())
}

/// The address in a line of `/proc/net/if_inet6`: address, interface, prefix length, scope, flags, the interface's name.
fn usable_address6(line: &str, index: u32) -> Option<Ipv6Addr> {
    let mut words = line.split_ascii_whitespace();
    let address = Ipv6Addr::from_bits(u128::from_str_radix(words.next()?, 16).ok()?);
    let on = u32::from_str_radix(words.next()?, 16).ok()?;
    let flags = u32::from_str_radix(words.nth(2)?, 16).ok()?;
    (on == index && flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED) == 0).then_some(address)
}

/// Gives an interface an IPv6 address, without a route: which others are on the link, a router advertises (RFC 5942 §3).
///
/// # Errors
/// The kernel refuses.
pub fn add_address6(link: &Link, address: Ipv6Addr) -> io::Result<()> {
    let mut message = about(link, address.into(), 128);
    // As in IPv4, it is the server that makes sure that nobody else has it: the firmware had the same address a moment ago.
    message.header.flags = AddressHeaderFlags::Nodad;
    request(RTM_NEWADDR, &message, NLM_F_CREATE | NLM_F_REPLACE)
}

/// Takes an IPv6 address from an interface that has it with a prefix of 64 bits, as the kernel makes them, or of 128, as [`add_address6`] does.
///
/// # Errors
/// The kernel refuses.
pub fn remove_address6(link: &Link, address: Ipv6Addr) -> io::Result<()> {
    let remove = |prefix| request(RTM_DELADDR, &about(link, address.into(), prefix), 0);
    remove(64).or_else(|_| remove(128))
}

fn about(link: &Link, address: IpAddr, prefix: u8) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    message.header.prefix_len = prefix;
    message.header.index = link.index;
    message.attributes = vec![AddressAttribute::Local(address), AddressAttribute::Address(address)];
    message
}

/// Sends everything that has no other route to `router`.
///
/// # Errors
/// The kernel refuses, as when the router is not in the interface's network.
pub fn add_default_route(link: &Link, router: Ipv4Addr) -> io::Result<()> {
    let mut message = RouteMessage::default();
    message.header.address_family = AddressFamily::Inet;
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.protocol = RouteProtocol::Dhcp;
    message.header.scope = RouteScope::Universe;
    message.header.kind = RouteType::Unicast;
    message.attributes = vec![RouteAttribute::Gateway(RouteAddress::Inet(router)), RouteAttribute::Oif(link.index)];
    request(RTM_NEWROUTE, &message, NLM_F_CREATE | NLM_F_REPLACE)
}

/// Sends one request and waits for its acknowledgement.
///
/// The message is put together from its parts, because the crate's type for all messages would bring in all of their code.
fn request(kind: u16, body: &impl Emitable, flags: u16) -> io::Result<()> {
    let mut header = NetlinkHeader::default();
    let length = header.buffer_len() + body.buffer_len();
    header.length = u32::try_from(length).map_err(io::Error::other)?;
    header.message_type = kind;
    header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
    let mut message = vec![0; length];
    header.emit(&mut message);
    body.emit(&mut message[header.buffer_len()..]);

    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    socket.send(&message, 0)?;
    let (answer, _) = socket.recv_from_full()?;
    let answer = NetlinkBuffer::new_checked(&answer[..]).map_err(io::Error::other)?;
    if answer.message_type() != NLMSG_ERROR {
        return Err(io::Error::other("the kernel answered something else than an acknowledgement"));
    }
    // An acknowledgement is an error message with code 0 (netlink(7)).
    match ErrorBuffer::new_checked(answer.payload()).map_err(io::Error::other)?.code() {
        None => Ok(()),
        Some(code) => Err(io::Error::from_raw_os_error(code.get().saturating_abs())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ethernet_hardware_is_listed() {
        let sys = tempfile::tempdir().expect("a folder");
        for (name, index, kind, hardware) in
            [("eth1", 3, "1", true), ("eth0", 2, "1", true), ("lo", 1, "772", false), ("br0", 4, "1", false)]
        {
            let folder = sys.path().join("class/net").join(name);
            fs::create_dir_all(if hardware { folder.join("device") } else { folder.clone() }).expect("a folder");
            for (file, text) in [("type", kind), ("address", "52:54:00:00:00:01"), ("ifindex", &index.to_string())] {
                fs::write(folder.join(file), format!("{text}\n")).expect("a file");
            }
        }

        let names: Vec<_> = list(sys.path()).into_iter().map(|link| (link.name, link.index)).collect();

        assert_eq!(names, [("eth0".to_owned(), 2), ("eth1".to_owned(), 3)]);
    }

    #[test]
    fn an_address_that_may_be_somebody_elses_is_not_used() {
        let line = |index, flags| format!("fd770000000000000000000000000050 {index:02x} 40 00 {flags:02x}     eth0");
        let used = |line: &str| usable_address6(line, 2);

        assert_eq!(used(&line(2, 0x80)), Some("fd77::50".parse().expect("an address")));
        assert_eq!(used(&line(3, 0x80)), None);
        assert_eq!((used(&line(2, 0x40)), used(&line(2, 0x88))), (None, None));
        assert_eq!((used(""), used("fd77 02 40 00")), (None, None));
    }
}
