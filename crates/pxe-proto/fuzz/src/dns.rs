//! DNS: clients' questions, name servers' answers and time, in any order.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use domain::base::Message;
use pxe_proto::dhcp::UnixSeconds;
use pxe_proto::dns::{Action, Ask, Client, Config, Engine, Origin, Sources, Transport, Zone};

use super::lab::{epoch, inventory};
use super::steps::{Step, steps};

/// Each step is a question, an answer to what was asked first or last, a name server that is gone, or time.
pub fn run(input: &[u8]) {
    let mut now = epoch();
    let mut engine = engine();
    let mut asked: Vec<Ask> = Vec::new();
    for Step { what, bytes } in steps(input) {
        let ask = if what & 0x10 == 0 { asked.first() } else { asked.last() }.cloned();
        let actions = match (what & 7, ask) {
            (transport @ 0..=1, _) => {
                let transport = if transport == 0 { Transport::Udp } else { Transport::Tcp };
                let address = Ipv4Addr::new(10, 77, 0, what >> 5).into();
                engine.handle(bytes, Client { address, transport }, transport, now)
            }
            (2, Some(ask)) => answered(&mut engine, &mut asked, &ask, bytes, now),
            (3, Some(ask)) => answered(&mut engine, &mut asked, &ask, &answer(&ask, bytes), now),
            (4, Some(ask)) => {
                asked.retain(|other| *other != ask);
                engine.unreachable(&ask, now)
            }
            (5, _) => {
                now = engine.poll_timeout().unwrap_or(now).max(now);
                let actions = engine.handle_timeout(now);
                assert!(engine.poll_timeout().is_none_or(|next| next > now), "time stands still");
                actions
            }
            _ => {
                now += Duration::from_millis(1 << (what >> 3));
                engine.handle_timeout(now)
            }
        };
        for action in actions {
            match action {
                Action::Reply(transport, message) => check(transport, &message),
                Action::Ask(ask) => asked.push(ask),
            }
        }
    }
}

fn answered(
    engine: &mut Engine<Transport>,
    asked: &mut Vec<Ask>,
    ask: &Ask,
    message: &[u8],
    now: std::time::Instant,
) -> Vec<Action<Transport>> {
    if !ask.is_answered_by(message, ID) {
        return Vec::new();
    }
    asked.retain(|other| other != ask);
    engine.answered(ask, message, now)
}

/// A message that begins as an answer to this question must: five bytes say its flags and how many records it claims.
fn answer(ask: &Ask, bytes: &[u8]) -> Vec<u8> {
    let question = ask.message(ID);
    let name = question[12..].iter().scan(0, |left: &mut u8, byte| {
        let is_end = *left == 0 && *byte == 0;
        *left = if *left == 0 { *byte } else { *left - 1 };
        (!is_end).then_some(())
    });
    let end = 12 + name.count() + 1 + 4;
    let [high, low, answers, authorities, additional] = *bytes.first_chunk().unwrap_or(&[0x81, 0x80, 0, 0, 0]);
    let header = [question[0], question[1], high | 0x80, low, 0, 1, 0, answers, 0, authorities, 0, additional];
    [&header, &question[12..end], bytes.get(5..).unwrap_or_default()].concat()
}

/// RFC 1035 §4.2.1: it can be read, it is an answer, and it fits.
fn check(transport: Transport, message: &[u8]) {
    let header = Message::from_slice(message).expect("a message").header();
    assert!(header.qr());
    assert!(transport == Transport::Tcp || message.len() <= 1232, "{} bytes by UDP", message.len());
}

fn engine() -> Engine<Transport> {
    let origin = Origin {
        domain: "pvmlab.local".parse().expect("a domain"),
        server: "10.77.0.1/24".parse().expect("a network"),
        ipv6: "fd77::1/64".parse().ok(),
        relayed: Vec::new(),
    };
    let config = Config { networks: vec![origin.server], ipv6: origin.ipv6, queries_per_second: 500 };
    let sources = Sources { inventory: &inventory(), leases: [].into_iter(), leases6: [].into_iter() };
    let mut engine = Engine::new(&config, Zone::build(&origin, sources, None, UnixSeconds(100)));
    engine.set_upstreams(&[1, 2].map(|last| SocketAddr::from(([192, 0, 2, last], 53))));
    engine
}

/// The number of every question to another name server.
const ID: u16 = 7;
