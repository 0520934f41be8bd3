//! A lab network: the engine, what it is told and asked, and the clock.

use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lab_model::{DefinitionFile, Inventory, Ipv4Net};
use pxe_proto::dhcp::LeaseRecord;
use pxe_proto::dhcp6::{Action, Config, Engine, Ignored, Request};

use crate::answer::Answer;
use crate::packet::{Packet, REQUEST, SOLICIT, mac};

pub(crate) const LEASE: Duration = Duration::from_secs(3600);

pub(crate) struct Lan {
    pub(crate) engine: Engine,
    pub(crate) config: Config,
    pub(crate) now: SystemTime,
    /// What a server would have on disk.
    pub(crate) journal: Vec<LeaseRecord<Ipv6Addr>>,
}

/// fd00:77::1/64 with a pool of fd00:77::100 to fd00:77::103.
pub(crate) fn config() -> Config {
    Config {
        server: "fd00:77::1/64".parse().expect("a network"),
        duid: vec![0, 4, 0xee, 0xee],
        pool: Some(host(0x100)..=host(0x103)),
        lease: LEASE,
        offer_hold: Duration::from_secs(60),
        decline_hold: Duration::from_secs(600),
        dns: vec![host(1)],
        domain: Some("pvmlab.local".to_owned()),
        names: true,
        authoritative: true,
        base: "http://[fd00:77::1]".parse().expect("a URL"),
    }
}

/// The network's address with this end.
pub(crate) fn host(last: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, 0x77, 0, 0, 0, 0, 0, last)
}

/// Machines `m1`, `m2` and so on for the numbers of hardware addresses, each with its reservation, if it has one.
pub(crate) fn machines(reservations: &[(u8, Option<Ipv6Addr>)]) -> Arc<Inventory> {
    let definition = |(number, address): &(u8, Option<Ipv6Addr>)| {
        let ipv6 = address.map(|address| format!("ipv6 = '{address}'")).unwrap_or_default();
        let mac = mac(*number);
        let text =
            format!("name = 'm{number}'\narch = 'x86_64'\nmac = '{mac}'\npxeboot = true\ndistro = 'debian-12'\n{ipv6}");
        DefinitionFile { file: format!("m{number}.toml"), text: Ok(text) }
    };
    let files: Vec<_> = reservations.iter().map(definition).collect();
    let inventory =
        Inventory::build(&files, "10.77.0.1/24".parse::<Ipv4Net>().expect("a network"), &Inventory::default());
    assert!(inventory.problems().is_empty(), "{:?}", inventory.problems());
    Arc::new(inventory)
}

impl Lan {
    pub(crate) fn new(config: Config, inventory: Arc<Inventory>) -> Self {
        let engine = Engine::new(config.clone(), inventory);
        Self { engine, config, now: UNIX_EPOCH + Duration::from_secs(1_800_000_000), journal: Vec::new() }
    }

    /// What the engine does about the datagram.
    pub(crate) fn send(&mut self, packet: &Packet) -> Action {
        let action = match Request::parse(&packet.bytes, packet.sender) {
            Ok(request) => self.engine.handle(&request, self.now),
            Err(ignored) => Action::Ignore(ignored),
        };
        if let Action::Reply(reply) = &action {
            self.journal.extend(reply.commit.clone());
        }
        action
    }

    /// The answer to a packet that gets one.
    pub(crate) fn answer(&mut self, packet: &Packet) -> Answer {
        match self.send(packet) {
            Action::Reply(reply) => Answer::of(*reply),
            Action::Ignore(reason) => panic!("{packet:?} is not answered: {reason}"),
        }
    }

    /// The reason for which a packet is not answered.
    pub(crate) fn ignored(&mut self, packet: &Packet) -> Ignored {
        match self.send(packet) {
            Action::Ignore(ignored) => ignored,
            Action::Reply(reply) => panic!("{packet:?} is not ignored: {reply:?}"),
        }
    }

    /// The address that the machine is offered.
    pub(crate) fn offer(&mut self, number: u8) -> Ipv6Addr {
        let answer = self.answer(&Packet::new(SOLICIT, number).association(1, &[]));
        assert!(!answer.is_reply());
        answer.addresses()[0].0
    }

    /// The address that the machine gets by asking for one.
    pub(crate) fn boot(&mut self, number: u8) -> Ipv6Addr {
        let offered = self.offer(number);
        let answer = self.answer(&Packet::new(REQUEST, number).for_us().association(1, &[offered]));
        assert_eq!(answer.addresses(), [(offered, 3600)]);
        offered
    }

    /// The server crashes, and starts again from what is on disk.
    pub(crate) fn restart(&mut self, inventory: Arc<Inventory>) {
        self.engine = Engine::new(self.config.clone(), inventory);
        for record in &self.journal {
            self.engine.restore(record.clone());
        }
    }
}
