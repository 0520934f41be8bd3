//! The kernel's own links, by rtnetlink(7): those of the network namespace that the calling thread is in.

use std::io;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkMessage};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use nix::libc::ENODEV;

use super::BridgeName;
use crate::error::{Failure, Kind, Result};

pub(super) fn ensure(name: &BridgeName) -> Result<()> {
    let cannot = |what: &str, error: &io::Error| refused(format!("cannot {what} the bridge `{name}`"), error);
    let Some(found) = find(&name.0).map_err(|error| cannot("find", &error))? else {
        let mut message = LinkMessage::default();
        message.attributes = vec![
            LinkAttribute::IfName(name.0.clone()),
            LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Bridge)]),
        ];
        switch_on(&mut message);
        return change(message, NLM_F_CREATE | NLM_F_EXCL).map_err(|error| cannot("make", &error));
    };
    if !is_bridge(&found) {
        return Err(Failure::new(Kind::Conflict, format!("the interface `{name}` is no bridge"))
            .hinted("name another: `--network bridge:NAME`"));
    }
    // Whoever made it may have it up already, and then no privilege is needed.
    if found.header.flags.contains(LinkFlags::Up) {
        return Ok(());
    }
    let mut message = LinkMessage::default();
    message.header.index = found.header.index;
    switch_on(&mut message);
    change(message, 0).map_err(|error| cannot("switch on", &error))
}

pub(super) fn plug(device: &str, bridge: &BridgeName) -> Result<()> {
    let cannot = |error: &io::Error| refused(format!("cannot plug `{device}` into the bridge `{bridge}`"), error);
    let index = |name: &str, what: &str| match find(name) {
        Ok(Some(found)) => Ok(found.header.index),
        Ok(None) => Err(Failure::new(Kind::Failed, format!("there is no {what} `{name}`"))),
        Err(error) => Err(cannot(&error)),
    };
    let mut message = LinkMessage::default();
    message.header.index = index(device, "interface")?;
    message.attributes = vec![LinkAttribute::Controller(index(&bridge.0, "bridge")?)];
    switch_on(&mut message);
    change(message, 0).map_err(|error| cannot(&error))
}

fn switch_on(message: &mut LinkMessage) {
    message.header.flags = LinkFlags::Up;
    message.header.change_mask = LinkFlags::Up;
}

fn is_bridge(link: &LinkMessage) -> bool {
    link.attributes.iter().any(|attribute| match attribute {
        LinkAttribute::LinkInfo(info) => info.contains(&LinkInfo::Kind(InfoKind::Bridge)),
        _ => false,
    })
}

fn refused(what: String, error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::PermissionDenied => Failure::new(Kind::Missing, format!("{what}: only root may"))
            .hinted("run this command as root, or leave out `--network`: the usual network needs no privilege"),
        _ => Failure::new(Kind::Failed, format!("{what}: {error}")),
    }
}

/// The link of this name, if there is one.
fn find(name: &str) -> io::Result<Option<LinkMessage>> {
    let mut message = LinkMessage::default();
    message.attributes = vec![LinkAttribute::IfName(name.to_owned())];
    match ask(RouteNetlinkMessage::GetLink(message), 0) {
        Ok(NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link))) => Ok(Some(link)),
        Ok(_) => Err(io::Error::other("the kernel answered something else than a link")),
        Err(error) if error.raw_os_error() == Some(ENODEV) => Ok(None),
        Err(error) => Err(error),
    }
}

fn change(link: LinkMessage, flags: u16) -> io::Result<()> {
    ask(RouteNetlinkMessage::NewLink(link), NLM_F_ACK | flags).map(drop)
}

/// Sends one request and returns its one answer; an acknowledgement is an error message with code 0 (netlink(7)).
fn ask(request: RouteNetlinkMessage, flags: u16) -> io::Result<NetlinkPayload<RouteNetlinkMessage>> {
    let mut message = NetlinkMessage::new(NetlinkHeader::default(), NetlinkPayload::from(request));
    message.header.flags = NLM_F_REQUEST | flags;
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);

    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    socket.send(&bytes, 0)?;
    let (answer, _) = socket.recv_from_full()?;
    match NetlinkMessage::deserialize(&answer).map_err(io::Error::other)?.payload {
        NetlinkPayload::Error(error) if error.code.is_some() => Err(error.to_io()),
        payload => Ok(payload),
    }
}
