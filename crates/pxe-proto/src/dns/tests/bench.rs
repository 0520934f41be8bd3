//! A lab with an engine, clients that ask it, and name servers elsewhere that answer as they are told.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use domain::base::iana::{Rcode, Rtype};
use domain::base::message_builder::StaticCompressor;
use domain::base::{Message, MessageBuilder};
use domain::rdata::{A, AllRecordData};
use lab_model::{DefinitionFile, Inventory, MacAddr, MachineName};

use crate::dhcp::UnixSeconds;
use crate::dns::{Action, Ask, Client, Config, Engine, Lease, Name, Origin, Sources, Transport, Zone};

/// The lab's engine, and its clock.
pub(super) struct Lab {
    pub(super) engine: Engine<u32>,
    pub(super) now: Instant,
    next: u32,
}

/// A question as a client asks it.
#[derive(Clone, Copy)]
pub(super) struct Question {
    pub(super) name: &'static str,
    pub(super) rtype: Rtype,
    pub(super) edns: Option<u16>,
    pub(super) dnssec_ok: bool,
    pub(super) transport: Transport,
    pub(super) from: Ipv4Addr,
}

pub(super) const WEB: MacAddr = MacAddr::new([0x52, 0x54, 0, 0, 0, 1]);
pub(super) const FIRST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
pub(super) const SECOND: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

/// When every test begins.
#[expect(clippy::disallowed_methods, reason = "an instant comes from nowhere else; the tests only count from it")]
pub(crate) fn epoch() -> Instant {
    Instant::now()
}

impl Lab {
    /// The lab `pvmlab.local` at 10.77.0.1/24 with two machines, that asks these elsewhere.
    pub(super) fn asking(upstreams: &[Ipv4Addr]) -> Self {
        let config = Config { networks: vec![network()], ipv6: None, queries_per_second: 500 };
        let mut engine = Engine::new(&config, zone("pvmlab.local", &[], None));
        engine.set_upstreams(&upstreams.iter().map(|upstream| socket(*upstream)).collect::<Vec<_>>());
        Self { engine, now: epoch(), next: 0 }
    }

    /// Sends a question, and returns what is to be done about it.
    pub(super) fn send(&mut self, question: Question) -> Vec<Action<u32>> {
        let client = Client { address: question.from.into(), transport: question.transport };
        self.next += 1;
        self.engine.handle(&question.message(), client, self.next, self.now)
    }

    /// Asks, and returns the answer, which must be there at once.
    pub(super) fn answer(&mut self, question: Question) -> String {
        let actions = self.send(question);
        match &actions[..] {
            [Action::Reply(_, message)] => text(message),
            other => panic!("{}: {other:?}", question.name),
        }
    }

    /// Asks what somebody else must be asked, and returns who that is.
    pub(super) fn forwarded(&mut self, question: Question) -> Vec<Ask> {
        asks(self.send(question))
    }

    /// The answer of whoever was asked.
    pub(super) fn answered(&mut self, ask: &Ask, message: &[u8]) -> Vec<Action<u32>> {
        assert!(ask.is_answered_by(message, 7), "{message:?}");
        self.engine.answered(ask, message, self.now)
    }

    /// Lets time pass until something is due, and says how much and what.
    pub(super) fn wait(&mut self) -> (Duration, Vec<Action<u32>>) {
        let due = self.engine.poll_timeout().expect("somebody is waited for");
        let waited = due.saturating_duration_since(self.now);
        self.now = due;
        (waited, self.engine.handle_timeout(due))
    }
}

impl Question {
    pub(super) fn new(name: &'static str, rtype: Rtype) -> Self {
        let from = Ipv4Addr::new(10, 77, 0, 50);
        Self { name, rtype, edns: None, dnssec_ok: false, transport: Transport::Udp, from }
    }

    pub(super) fn message(self) -> Vec<u8> {
        let mut message = MessageBuilder::new_vec();
        message.header_mut().set_id(0xbeef);
        message.header_mut().set_rd(true);
        let mut message = message.question();
        message.push((name(self.name), self.rtype)).expect("a question");
        let mut message = message.additional();
        if let Some(size) = self.edns {
            let said = message.opt(|opt| {
                opt.set_udp_payload_size(size);
                opt.set_dnssec_ok(self.dnssec_ok);
                Ok(())
            });
            said.expect("an option");
        }
        message.finish()
    }
}

/// A name server's answer with these addresses.
pub(super) fn answer_to(ask: &Ask, rcode: Rcode, ttl: u32, addresses: &[Ipv4Addr]) -> Vec<u8> {
    let question = ask.message(7);
    let question = Message::from_octets(question).expect("a message");
    let message = MessageBuilder::from_target(StaticCompressor::new(Vec::new())).expect("a message");
    let mut answer = message.start_answer(&question, rcode).expect("an answer");
    for address in addresses {
        answer.push((&ask.name, ttl, A::new(*address))).expect("a record");
    }
    let mut additional = answer.additional();
    let said = additional.opt(|opt| {
        opt.set_udp_payload_size(4096);
        Ok(())
    });
    said.expect("an option");
    additional.finish().into_target()
}

/// A message as a person reads it: what it is, then a record a line.
pub(super) fn text(message: &[u8]) -> String {
    let message = Message::from_slice(message).expect("a message");
    let header = message.header();
    assert!(header.qr() && header.id() == 0xbeef);
    let mut lines = vec![format!("{} {}", header.rcode(), header.flags())];
    lines.extend(message.question().map(|question| {
        let question = question.expect("a question");
        format!("{}. IN {}", question.qname(), question.qtype())
    }));
    for (mark, section) in [("", message.answer()), ("authority ", message.authority())] {
        for record in section.expect("a section").limit_to::<AllRecordData<_, _>>() {
            lines.push(format!("{mark}{}", record.expect("a record")));
        }
    }
    if let Some(opt) = message.opt() {
        let signed = if opt.dnssec_ok() { " DO" } else { "" };
        lines.push(format!("EDNS {}{signed}", opt.udp_payload_size()));
    }
    lines.join("\n")
}

/// Of actions that ask, whom and what.
pub(super) fn asks(actions: Vec<Action<u32>>) -> Vec<Ask> {
    let asks = actions.into_iter().map(|action| match action {
        Action::Ask(ask) => ask,
        Action::Reply(_, message) => panic!("{}", text(&message)),
    });
    asks.collect()
}

/// Of actions that reply, to whom and what code.
pub(super) fn replies(actions: &[Action<u32>]) -> Vec<(u32, Rcode)> {
    let replies = actions.iter().map(|action| match action {
        Action::Reply(to, message) => (*to, Message::from_slice(message).expect("a message").header().rcode()),
        Action::Ask(ask) => panic!("{ask:?}"),
    });
    replies.collect()
}

/// The names of the lab with this domain, and its two machines.
pub(super) fn zone(domain: &str, leases: &[Lease<'_>], previous: Option<&Zone>) -> Zone {
    let north = ("10.78.0.0/24".parse().expect("a network"), "north.example".parse().expect("a domain"));
    let ipv6 = "fd77::1/64".parse().ok();
    let origin = Origin { domain: domain.parse().expect("a domain"), server: network(), ipv6, relayed: vec![north] };
    let sources = Sources { inventory: &inventory(), leases: leases.iter().copied(), leases6: [].into_iter() };
    Zone::build(&origin, sources, previous, UnixSeconds(100))
}

/// The same without a subnet behind a relay agent, with IPv6 leases.
pub(super) fn dual_stack(leases: &[Lease<'_>], leases6: &[Lease<'_, Ipv6Addr>]) -> Zone {
    let domain = "pvmlab.local".parse().expect("a domain");
    let origin = Origin { domain, server: network(), ipv6: "fd77::1/64".parse().ok(), relayed: Vec::new() };
    let (leases, leases6) = (leases.iter().copied(), leases6.iter().copied());
    Zone::build(&origin, Sources { inventory: &inventory(), leases, leases6 }, None, UnixSeconds(100))
}

pub(super) fn lease(mac: u8, address: u8, hostname: Option<&MachineName>) -> Lease<'_> {
    let mac = MacAddr::new([0x52, 0x54, 0, 0, 0, mac]);
    Lease { mac, address: Ipv4Addr::new(10, 77, 0, address), expires: UnixSeconds(200), hostname }
}

pub(super) fn socket(address: Ipv4Addr) -> SocketAddr {
    SocketAddr::from((address, 53))
}

fn inventory() -> Inventory {
    let file = |name: &str, mac, more: &str| DefinitionFile {
        file: format!("{name}.toml"),
        text: Ok(format!("name = '{name}'\narch = 'aarch64'\nmac = '{mac}'\n{more}")),
    };
    let second = MacAddr::new([0x52, 0x54, 0, 0, 0, 2]);
    let files = [file("web", WEB, "ip = '10.77.0.10'\n"), file("db", second, "ipv6 = 'fd77::20'\n")];
    let inventory = Inventory::build(&files, network(), &Inventory::default());
    assert_eq!(inventory.problems(), []);
    inventory
}

fn network() -> lab_model::Ipv4Net {
    "10.77.0.1/24".parse().expect("a network")
}

fn name(text: &str) -> Name {
    Name::vec_from_str(text).expect("a name")
}
