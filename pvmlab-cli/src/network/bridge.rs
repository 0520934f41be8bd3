//! A bridge of the kernel's, for root on Linux: faster than the switch, and real interfaces may be part of it.
//!
//! QEMU makes each machine's tap device, which so ends with it. A bridge that was not there is made, and stays.

use std::fmt;

use lab_model::MacAddr;

use crate::error::Result;

/// A bridge's name: 1 to 15 bytes, as the kernel's interfaces have (`IFNAMSIZ`), of letters, digits, `-`, `_` and `.`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BridgeName(String);

impl BridgeName {
    /// `None`: no interface can have this name.
    pub(crate) fn new(name: &str) -> Option<Self> {
        let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        let whole = (1..=15).contains(&name.len()) && name != "." && name != "..";
        (plain && whole).then(|| Self(name.to_owned()))
    }
}

impl Default for BridgeName {
    fn default() -> Self {
        Self("pvmlab".to_owned())
    }
}

impl fmt::Display for BridgeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The tap device of the interface with this address: 15 bytes, the most that the kernel takes.
pub(crate) fn tap_name(mac: MacAddr) -> String {
    let digits: String = mac.bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("pvm{digits}")
}

/// Has the bridge up, and makes it where there is none.
///
/// # Errors
/// This user may not, or something else has the name.
pub(crate) fn ensure(name: &BridgeName) -> Result<()> {
    kernel::ensure(name)
}

/// Puts a device on the bridge and switches it on.
///
/// # Errors
/// One of the two is not there, or this user may not.
pub(crate) fn plug(device: &str, bridge: &BridgeName) -> Result<()> {
    kernel::plug(device, bridge)
}

#[cfg(not(target_os = "linux"))]
mod kernel {
    use super::BridgeName;
    use crate::error::{Failure, Kind, Result};

    pub(super) fn ensure(name: &BridgeName) -> Result<()> {
        Err(Failure::new(Kind::Missing, format!("there is no bridge `{name}`: only Linux has them")))
    }

    pub(super) fn plug(_device: &str, bridge: &BridgeName) -> Result<()> {
        ensure(bridge)
    }
}

/// rtnetlink(7).
#[cfg(target_os = "linux")]
mod kernel {
    use std::fs;
    use std::io;
    use std::path::{Path, PathBuf};

    use netlink_packet_core::{
        Emitable as _, ErrorBuffer, NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, NLMSG_ERROR, NetlinkBuffer,
        NetlinkHeader,
    };
    use netlink_packet_route::link::{InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkMessage};
    use netlink_sys::protocols::NETLINK_ROUTE;
    use netlink_sys::{Socket, SocketAddr};
    use nix::libc::RTM_NEWLINK;

    use super::BridgeName;
    use crate::error::{Failure, Kind, Result};

    pub(super) fn ensure(name: &BridgeName) -> Result<()> {
        let folder = folder(&name.0);
        if !folder.exists() {
            let mut message = LinkMessage::default();
            message.attributes = vec![
                LinkAttribute::IfName(name.0.clone()),
                LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Bridge)]),
            ];
            switch_on(&mut message);
            return request(&message, NLM_F_CREATE | NLM_F_EXCL)
                .map_err(|error| refused(format!("cannot make the bridge `{name}`"), &error));
        }
        if !folder.join("bridge").exists() {
            return Err(Failure::new(Kind::Conflict, format!("the interface `{name}` is no bridge"))
                .hinted("name another: `--network bridge:NAME`"));
        }
        // Whoever made it may have it up already, and then no privilege is needed.
        if fs::read_to_string(folder.join("flags")).is_ok_and(|flags| is_up(&flags)) {
            return Ok(());
        }
        let mut message = of(&name.0, "bridge")?;
        switch_on(&mut message);
        request(&message, 0).map_err(|error| refused(format!("cannot switch on the bridge `{name}`"), &error))
    }

    pub(super) fn plug(device: &str, bridge: &BridgeName) -> Result<()> {
        let mut message = of(device, "interface")?;
        message.attributes = vec![LinkAttribute::Controller(index(&bridge.0, "bridge")?)];
        switch_on(&mut message);
        request(&message, 0)
            .map_err(|error| refused(format!("cannot plug `{device}` into the bridge `{bridge}`"), &error))
    }

    fn switch_on(message: &mut LinkMessage) {
        message.header.flags = LinkFlags::Up;
        message.header.change_mask = LinkFlags::Up;
    }

    fn of(name: &str, what: &str) -> Result<LinkMessage> {
        let mut message = LinkMessage::default();
        message.header.index = index(name, what)?;
        Ok(message)
    }

    fn index(name: &str, what: &str) -> Result<u32> {
        let number = fs::read_to_string(folder(name).join("ifindex")).ok().and_then(|text| text.trim().parse().ok());
        number.ok_or_else(|| Failure::new(Kind::Failed, format!("there is no {what} `{name}`")))
    }

    /// Of the network namespace that this thread is in, whichever is mounted at `/sys`.
    fn folder(name: &str) -> PathBuf {
        Path::new("/sys/class/net").join(name)
    }

    /// The file holds a number in hexadecimal; netdevice(7): the lowest bit is IFF_UP.
    fn is_up(flags: &str) -> bool {
        u32::from_str_radix(flags.trim().trim_start_matches("0x"), 16).is_ok_and(|flags| flags & 1 == 1)
    }

    fn refused(what: String, error: &io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::PermissionDenied => Failure::new(Kind::Missing, format!("{what}: only root may"))
                .hinted("run this command as root, or leave out `--network`: the usual network needs no privilege"),
            _ => Failure::new(Kind::Failed, format!("{what}: {error}")),
        }
    }

    /// Sends one request and waits for its acknowledgement.
    fn request(body: &LinkMessage, flags: u16) -> io::Result<()> {
        let mut header = NetlinkHeader::default();
        let length = header.buffer_len() + body.buffer_len();
        header.length = u32::try_from(length).map_err(io::Error::other)?;
        header.message_type = RTM_NEWLINK;
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tap_device_has_its_name_from_the_hardware_address() {
        let name = tap_name(MacAddr::new([0x52, 0x54, 0, 0x77, 0, 0x10]));

        assert_eq!((name.as_str(), name.len()), ("pvm525400770010", 15));
    }
}
