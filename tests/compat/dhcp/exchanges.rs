//! What a server does in each exchange, in words that do not depend on which of its addresses it picks.

use std::net::Ipv4Addr;

use lab_tests::SERVER;

use super::client::Clients;
use super::packet::{Answer, DECLINE, DISCOVER, INFORM, Mac, Packet, RELEASE, mac};
use crate::Seen;

/// Does everything with the server, each client from the beginning.
pub(crate) fn see_all(clients: &mut Clients) -> Seen {
    let mut seen = Seen::new();
    four_messages(clients, &mut seen);
    remembered(clients, &mut seen);
    kept(clients, &mut seen);
    given_back(clients, &mut seen);
    told(clients, &mut seen);
    identity(clients, &mut seen);
    sizes(clients, &mut seen);
    relayed(clients, &mut seen);
    firmware(clients, &mut seen);
    seen
}

/// DORA (RFC 2131 §3.1).
fn four_messages(clients: &mut Clients, seen: &mut Seen) {
    let offer = clients.ask(&Packet::new(DISCOVER, mac(10)).broadcast());
    seen.insert("discover", kind(offer.as_ref()));
    let offer = offer.expect("an offer");
    seen.insert("discover: lease time", seconds(&offer));
    seen.insert("discover: told", codes(&offer));
    seen.insert("discover: flag is echoed", offer.has_broadcast_flag().to_string());
    seen.insert("discover with the broadcast flag: sent to", destination(&offer));
    let ack = clients.ask(&Packet::select(mac(10), offer.yours(), SERVER).broadcast()).expect("an acknowledgement");
    seen.insert("request", format!("{} {}", ack.kind(), same(ack.yours(), offer.yours())));
    seen.insert("request: told", codes(&ack));

    let offer = clients.ask(&Packet::new(DISCOVER, mac(11))).expect("an offer");
    seen.insert("discover without the broadcast flag: sent to", destination(&offer));
    let other = Packet::select(mac(11), offer.yours(), Ipv4Addr::new(10, 77, 0, 66)).broadcast();
    let taken = clients.ask(&other);
    seen.insert("request for another server", given(taken.as_ref(), offer.yours()));
    let wanted = Ipv4Addr::new(10, 77, 0, 149);
    let offer = clients.ask(&Packet::new(DISCOVER, mac(12)).option(50, &wanted.octets()).broadcast());
    seen.insert("discover with a wish", given(offer.as_ref(), wanted));
    let without_type = Packet::bare(mac(13)).broadcast();
    seen.insert("BOOTP", kind(clients.ask(&without_type).as_ref()));
}

/// INIT-REBOOT (RFC 2131 §4.3.2).
fn remembered(clients: &mut Clients, seen: &mut Seen) {
    let address = clients.get_address(mac(20));
    let ack = clients.ask(&Packet::reboot(mac(20), address).broadcast());
    seen.insert("init-reboot", given(ack.as_ref(), address));
    let elsewhere = Packet::reboot(mac(20), Ipv4Addr::new(192, 168, 1, 9)).broadcast();
    let nak = clients.ask(&elsewhere);
    seen.insert("init-reboot on another network", kind(nak.as_ref()));
    if let Some(nak) = nak {
        seen.insert("init-reboot on another network: sent to", destination(&nak));
        seen.insert("init-reboot on another network: told", codes(&nak));
    }
    let others = Packet::reboot(mac(20), Ipv4Addr::new(10, 77, 0, 50)).broadcast();
    seen.insert("init-reboot with another's address", kind(clients.ask(&others).as_ref()));
    let stranger = Packet::reboot(mac(21), Ipv4Addr::new(10, 77, 0, 148)).broadcast();
    seen.insert("init-reboot of an unknown client", kind(clients.ask(&stranger).as_ref()));
}

/// RENEWING and REBINDING (RFC 2131 §4.4.5).
fn kept(clients: &mut Clients, seen: &mut Seen) {
    let address = clients.get_address(mac(30));
    Clients::own(address);
    let renewed = clients.ask(&Packet::rebind(mac(30), address).to(SERVER));
    seen.insert("renew", given(renewed.as_ref(), address));
    let renewed = renewed.expect("an acknowledgement");
    seen.insert(
        "renew: sent to",
        if renewed.destination == address { "the client".into() } else { destination(&renewed) },
    );
    seen.insert("renew: told", codes(&renewed));
    let rebound = clients.ask(&Packet::rebind(mac(30), address)).expect("an acknowledgement");
    seen.insert("rebind", given(Some(&rebound), address));
    seen.insert(
        "rebind: sent to",
        if rebound.destination == address { "the client".into() } else { destination(&rebound) },
    );
    let nobodys = Ipv4Addr::new(10, 77, 0, 147);
    Clients::own(nobodys);
    seen.insert(
        "rebind of an unknown client",
        kind(clients.ask(&Packet::rebind(mac(31), nobodys).broadcast()).as_ref()),
    );
    let elsewhere = Packet::rebind(mac(30), Ipv4Addr::new(192, 168, 1, 9)).broadcast();
    seen.insert("rebind on another network", kind(clients.ask(&elsewhere).as_ref()));
}

/// RELEASE and DECLINE (RFC 2131 §4.3.3, §4.3.4).
fn given_back(clients: &mut Clients, seen: &mut Seen) {
    let address = clients.get_address(mac(40));
    let release = bare(RELEASE, mac(40)).held(address).to(SERVER).option(54, &SERVER.octets());
    seen.insert("release", kind(clients.ask(&release).as_ref()));
    let again = clients.ask(&Packet::new(DISCOVER, mac(40)).broadcast());
    seen.insert("discover after release", given(again.as_ref(), address));

    let address = clients.get_address(mac(41));
    let decline = bare(DECLINE, mac(41)).option(50, &address.octets()).option(54, &SERVER.octets());
    seen.insert("decline", kind(clients.ask(&decline).as_ref()));
    let again = clients.ask(&Packet::new(DISCOVER, mac(41)).broadcast());
    seen.insert("discover after decline", given(again.as_ref(), address));
}

/// INFORM (RFC 2131 §4.3.5).
fn told(clients: &mut Clients, seen: &mut Seen) {
    let address = Ipv4Addr::new(10, 77, 0, 60);
    Clients::own(address);
    let ack = clients.ask(&Packet::new(INFORM, mac(50)).held(address));
    seen.insert("inform", kind(ack.as_ref()));
    if let Some(ack) = ack {
        seen.insert("inform: address and lease time", format!("{} {}", ack.yours(), seconds(&ack)));
        seen.insert(
            "inform: sent to",
            if ack.destination == address { "the client".into() } else { destination(&ack) },
        );
    }
    let elsewhere = Packet::new(INFORM, mac(50)).held(Ipv4Addr::new(192, 168, 1, 9)).broadcast();
    seen.insert("inform from another network", kind(clients.ask(&elsewhere).as_ref()));
}

/// Who a client is: RFC 2131 §4.2 and RFC 6842.
fn identity(clients: &mut Clients, seen: &mut Seen) {
    let known_by = |identifier: &[u8]| Packet::new(DISCOVER, mac(60)).option(61, identifier).broadcast();
    let first = clients.ask(&known_by(&[1, 0x52, 0x54, 0, 0, 0, 60])).expect("an offer");
    let take = Packet::select(mac(60), first.yours(), SERVER).option(61, &[1, 0x52, 0x54, 0, 0, 0, 60]).broadcast();
    let ack = clients.ask(&take).expect("an acknowledgement");
    seen.insert("client identifier is echoed", ack.option(61).is_some().to_string());
    let second = clients.ask(&known_by(&[255, 1, 2, 3, 4, 0, 2]));
    seen.insert("discover with another client identifier", given(second.as_ref(), first.yours()));
    let without = clients.ask(&Packet::new(DISCOVER, mac(60)).broadcast());
    seen.insert("discover without the client identifier", given(without.as_ref(), first.yours()));
    let web = clients.ask(&Packet::new(DISCOVER, mac(1)).option(55, &[1, 3, 12]).broadcast()).expect("an offer");
    let name = web.text(12).unwrap_or_default();
    seen.insert("discover of a reservation", format!("{} {name}", given(Some(&web), Ipv4Addr::new(10, 77, 0, 50))));
    let other = Packet::reboot(mac(1), Ipv4Addr::new(10, 77, 0, 146)).broadcast();
    seen.insert("init-reboot of a reservation elsewhere", kind(clients.ask(&other).as_ref()));
}

/// How long answers are, and in which order.
fn sizes(clients: &mut Clients, seen: &mut Seen) {
    let order = |asked: &[u8], answer: &Answer| {
        let sent: Vec<_> = answer.codes().into_iter().filter(|code| asked.contains(code)).collect();
        if sent == asked { "as asked for" } else { "its own" }
    };
    let asked = [15, 6, 3, 1];
    let offer = clients.ask(&Packet::new(DISCOVER, mac(70)).option(55, &asked).broadcast()).expect("an offer");
    seen.insert("order of options", order(&asked, &offer).to_owned());
    seen.insert("an answer has at least 300 bytes", (offer.length() >= 300).to_string());
    let nothing = Packet::bare(mac(71)).option(53, &[DISCOVER]).broadcast();
    seen.insert("discover without a parameter list: told", codes(&clients.ask(&nothing).expect("an offer")));
    for (name, size) in [("message of 576 bytes", 576_u16), ("message of 300 bytes", 300)] {
        let all: Vec<u8> = (1..=76).collect();
        let discover = Packet::new(DISCOVER, mac(72)).option(55, &all).option(57, &size.to_be_bytes()).broadcast();
        let offer = clients.ask(&discover);
        // With the headers of IPv4 and UDP.
        let fits = offer.map(|offer| {
            format!("{} {}", offer.kind(), if offer.length() + 28 <= 576 { "fits" } else { "does not fit" })
        });
        seen.insert(name, fits.unwrap_or_else(|| "silence".to_owned()));
    }
}

/// Relay agents (RFC 1542 §4.1, RFC 3046).
fn relayed(clients: &mut Clients, seen: &mut Seen) {
    let agent = [1, 4, b'e', b't', b'h', b'7', 2, 3, b'a', b'b', b'c'];
    let (near, far) = (Ipv4Addr::new(10, 77, 0, 2), Ipv4Addr::new(10, 78, 0, 2));
    let unknown = Ipv4Addr::new(10, 99, 0, 2);
    for relay in [near, far, unknown] {
        Clients::own(relay);
    }
    let discover = |relay| Packet::new(DISCOVER, mac(80)).option(82, &agent).relayed(relay, SERVER);
    let offer = clients.ask(&discover(far)).expect("an offer");
    seen.insert(
        "relayed discover",
        format!("{} on {}.{}", offer.kind(), offer.yours().octets()[1], offer.yours().octets()[2]),
    );
    seen.insert("relayed discover: sent to", format!("{}:{}", offer.destination, offer.port));
    let echoed = match offer.option(82) {
        Some(data) if data == agent => "as it was",
        Some(_) => "changed",
        None => "not",
    };
    let last = if offer.codes().last() == Some(&82) { "last" } else { "not last" };
    seen.insert("relay agent information is echoed", format!("{echoed}, {last}"));
    let ack = clients.ask(&Packet::select(mac(80), offer.yours(), SERVER).option(82, &agent).relayed(far, SERVER));
    seen.insert("relayed request", given(ack.as_ref(), offer.yours()));
    let offer = clients.ask(&discover(near)).expect("an offer");
    seen.insert("relayed discover of the lab: sent to", format!("{}:{}", offer.destination, offer.port));
    seen.insert("relayed discover of an unknown network", kind(clients.ask(&discover(unknown)).as_ref()));
    let moved = Packet::reboot(mac(80), Ipv4Addr::new(10, 77, 0, 145)).relayed(far, SERVER);
    let nak = clients.ask(&moved);
    seen.insert("relayed init-reboot on another network", kind(nak.as_ref()));
    if let Some(nak) = nak {
        let flag = if nak.has_broadcast_flag() { "with" } else { "without" };
        seen.insert("relayed init-reboot on another network: refused", format!("{flag} the broadcast flag"));
    }
}

/// What boot firmware asks and must be told (RFC 4578, PXE 2.1).
fn firmware(clients: &mut Clients, seen: &mut Seen) {
    let asks = [1, 2, 3, 4, 5, 6, 12, 13, 15, 17, 43, 54, 60, 66, 67, 97, 128, 129, 130, 131];
    let uuid = [&[0][..], &[0x11; 16]].concat();
    let discover = Packet::new(DISCOVER, mac(1))
        .option(55, &asks)
        .option(57, &1472_u16.to_be_bytes())
        .option(97, &uuid)
        .option(94, &[1, 3, 0])
        .option(93, &[0, 7])
        .option(60, b"PXEClient:Arch:00007:UNDI:003000")
        .broadcast();
    let offer = clients.ask(&discover).expect("an offer");
    seen.insert("firmware: next server", offer.next_server().to_string());
    seen.insert("firmware: file", offer.file());
    seen.insert("firmware: option 66", offer.text(66).unwrap_or_default());
    seen.insert("firmware: option 67", offer.text(67).unwrap_or_default());
    seen.insert("firmware: option 60", offer.text(60).unwrap_or_default());
    seen.insert("firmware: option 97 is echoed", (offer.option(97) == Some(&uuid)).to_string());
    seen.insert("firmware: option 43", if offer.option(43).is_some() { "sent".into() } else { String::new() });
}

/// A message that asks for nothing.
fn bare(kind: u8, mac: Mac) -> Packet {
    Packet::bare(mac).option(53, &[kind])
}

fn kind(answer: Option<&Answer>) -> String {
    answer.map_or("silence", Answer::kind).to_owned()
}

fn given(answer: Option<&Answer>, expected: Ipv4Addr) -> String {
    match answer {
        Some(answer) if answer.kind() == "NAK" => "NAK".to_owned(),
        Some(answer) => format!("{} {}", answer.kind(), same(answer.yours(), expected)),
        None => "silence".to_owned(),
    }
}

fn same(address: Ipv4Addr, expected: Ipv4Addr) -> &'static str {
    if address == expected { "that address" } else { "another address" }
}

fn destination(answer: &Answer) -> String {
    let whom = match answer.destination {
        Ipv4Addr::BROADCAST => "everybody",
        address if address == answer.yours() => "the address",
        _ => return format!("{}:{}", answer.destination, answer.port),
    };
    format!("{whom}, port {}", answer.port)
}

fn seconds(answer: &Answer) -> String {
    let time = answer.option(51).and_then(|data| <[u8; 4]>::try_from(data).ok());
    time.map_or("none".to_owned(), |time| u32::from_be_bytes(time).to_string())
}

/// The codes of all options, in the order of their numbers.
fn codes(answer: &Answer) -> String {
    let mut codes = answer.codes();
    codes.sort_unstable();
    codes.iter().map(u8::to_string).collect::<Vec<_>>().join(" ")
}
