//! A lab network: the engine, what it is told and asked, and the clock.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lab_model::{DefinitionFile, Inventory, MacAddr, Networks};
use pxe_proto::dhcp::{
    Action, Change, Config, Engine, Ignored, LeaseRecord, ReplyKind, Request, Settings, Subnet, Verdict,
};

use crate::answer::Answer;
use crate::packet::{DISCOVER, Packet, mac};

pub(crate) const LEASE: Duration = Duration::from_secs(3600);
pub(crate) const OFFER_HOLD: Duration = Duration::from_secs(60);
pub(crate) const DECLINE_HOLD: Duration = Duration::from_secs(600);

pub(crate) struct Lan {
    pub(crate) engine: Engine,
    pub(crate) config: Config,
    pub(crate) now: SystemTime,
    /// What a server would have on disk.
    pub(crate) journal: Vec<LeaseRecord>,
}

/// 10.77.0.1/24 with a pool of 10.77.0.100 to 10.77.0.103, and no machine.
pub(crate) fn config() -> Config {
    let lab = Subnet {
        network: "10.77.0.1/24".parse().expect("a network"),
        link: None,
        pool: vec![host(100)..=host(103)],
        lease: LEASE,
        router: Some(host(1)),
        dns: vec![host(1)],
        domain: Some("pvmlab.local".to_owned()),
        options: Settings::default(),
    };
    Config {
        server: host(1),
        lab,
        relayed: Vec::new(),
        classes: Vec::new(),
        offer_hold: OFFER_HOLD,
        decline_hold: DECLINE_HOLD,
        authoritative: true,
        probe: false,
        base: "http://10.77.0.1".parse().expect("a URL"),
    }
}

/// The network's address with this last byte.
pub(crate) fn host(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, last)
}

/// Machines `m1`, `m2` and so on for the numbers of hardware addresses, each with its reservation, if it has one.
pub(crate) fn machines(reservations: &[(u8, Option<Ipv4Addr>)]) -> Arc<Inventory> {
    inventory(reservations.iter().map(|(number, address)| (mac(*number), *address)), "aarch64", &config())
}

pub(crate) fn inventory(
    machines: impl IntoIterator<Item = (MacAddr, Option<Ipv4Addr>)>,
    arch: &str,
    config: &Config,
) -> Arc<Inventory> {
    let definition = |(mac, address): (MacAddr, Option<Ipv4Addr>)| {
        let name = format!("m{:x}", mac.bytes()[5]);
        let ip = address.map(|address| format!("ip = '{address}'")).unwrap_or_default();
        let text =
            format!("name = '{name}'\narch = '{arch}'\nmac = '{mac}'\npxeboot = true\ndistro = 'debian-12'\n{ip}");
        DefinitionFile { file: format!("{name}.toml"), text: Ok(text) }
    };
    let files: Vec<_> = machines.into_iter().map(definition).collect();
    let relayed = config.relayed.iter().map(|subnet| subnet.network).collect();
    let networks = Networks::new(config.lab.network, relayed);
    let inventory = Inventory::build(&files, networks, &Inventory::default());
    assert!(inventory.problems().is_empty(), "{:?}", inventory.problems());
    Arc::new(inventory)
}

impl Lan {
    pub(crate) fn new(config: Config, inventory: Arc<Inventory>) -> Self {
        let engine = Engine::new(config.clone(), inventory);
        Self { engine, config, now: UNIX_EPOCH + Duration::from_secs(1_800_000_000), journal: Vec::new() }
    }

    /// What the engine does about the datagram.
    pub(crate) fn send(&mut self, datagram: &[u8]) -> Action {
        let action = match Request::parse(datagram) {
            Ok(request) => self.engine.handle(&request, self.now),
            Err(ignored) => Action::Ignore(ignored),
        };
        self.record(&action);
        action
    }

    /// What the engine does about what the link was asked.
    pub(crate) fn hear(&mut self, address: Ipv4Addr, verdict: Verdict) -> Vec<Action> {
        let actions = self.engine.handle_probe(address, verdict, self.now);
        actions.iter().for_each(|action| self.record(action));
        actions
    }

    fn record(&mut self, action: &Action) {
        match action {
            Action::Reply(reply) => self.journal.extend(reply.commit.clone()),
            Action::Record(change) => self.journal.push(change.lease.clone()),
            Action::Probe(_) | Action::Doubt(_) | Action::Ignore(_) => (),
        }
    }

    /// The answer to a packet that gets one.
    pub(crate) fn answer(&mut self, packet: &Packet) -> Answer {
        match self.send(&packet.bytes()) {
            Action::Reply(reply) => Answer::of(*reply),
            other => panic!("{packet:?} is not answered: {other:?}"),
        }
    }

    /// The answer to a request that gets one.
    pub(crate) fn answer_to(&mut self, request: &Request) -> Answer {
        match self.engine.handle(request, self.now) {
            Action::Reply(reply) => Answer::of(*reply),
            other => panic!("{request:?} is not answered: {other:?}"),
        }
    }

    /// The reason for which a packet is not answered.
    pub(crate) fn ignored(&mut self, packet: &Packet) -> Ignored {
        match self.send(&packet.bytes()) {
            Action::Ignore(ignored) => ignored,
            other => panic!("{packet:?} is not ignored: {other:?}"),
        }
    }

    /// The change that a packet makes without being answered.
    pub(crate) fn change(&mut self, packet: &Packet) -> Change {
        match self.send(&packet.bytes()) {
            Action::Record(change) => *change,
            other => panic!("{packet:?} changes nothing: {other:?}"),
        }
    }

    /// The address that the machine is offered.
    pub(crate) fn offer(&mut self, number: u8) -> Ipv4Addr {
        let answer = self.answer(&Packet::new(DISCOVER, mac(number)));
        assert_eq!(answer.kind(), ReplyKind::Offer);
        answer.yours
    }

    /// Whether the machine gets the address that it was offered.
    pub(crate) fn select(&mut self, number: u8, address: Ipv4Addr) -> ReplyKind {
        let server = self.config.server;
        self.answer(&Packet::select(mac(number), address, server)).kind()
    }

    /// The address that the machine gets by asking for one.
    pub(crate) fn boot(&mut self, number: u8) -> Ipv4Addr {
        let address = self.offer(number);
        assert_eq!(self.select(number, address), ReplyKind::Ack);
        address
    }

    /// Works by another configuration from now on.
    pub(crate) fn configure(&mut self, change: impl FnOnce(&mut Config)) {
        change(&mut self.config);
        self.engine.set_config(self.config.clone());
    }

    pub(crate) fn wait(&mut self, duration: Duration) {
        self.now += duration;
    }

    /// The server crashes, and starts again from what is on disk.
    pub(crate) fn restart(&mut self, inventory: Arc<Inventory>) {
        self.engine = Engine::new(self.config.clone(), inventory);
        for record in &self.journal {
            self.engine.restore(record.clone());
        }
    }
}
