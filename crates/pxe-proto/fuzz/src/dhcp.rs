//! DHCP for IPv4: datagrams on a virtual clock, to an engine with subnets behind relays and with classes.

use std::collections::{BTreeSet, VecDeque};
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pxe_proto::dhcp::{
    Action, Class, ClassBoot, Config, Engine, LeaseRecord, Reply, Request, Selector, Settings, Subnet, Verdict, arp,
    server_of,
};
use serde::Deserialize;

use super::lab::inventory;
use super::steps::{Step, steps};

/// Each step is a datagram; what happens says how much time passes before it, and whether the definitions are gone then, the
/// server starts anew from what it has promised, or the link answers: then the bytes are a frame, with ARP in it if somebody has
/// the address.
pub fn run(input: &[u8]) {
    let Some((first, input)) = input.split_first() else { return };
    let mut lan = Lan::new(config(first & 1 == 1, first & 2 == 2));
    for Step { what, bytes } in steps(input) {
        lan.now += Duration::from_secs((1 << (what & 0x0f)) - 1);
        if what & 0x10 != 0 {
            lan.engine.set_inventory(if what & 0x20 != 0 { Arc::default() } else { inventory() });
        }
        if what & 0x40 != 0 {
            lan.restart();
        }
        let _ = server_of(bytes);
        if what & 0x80 == 0 {
            lan.send(bytes)
        } else {
            lan.say(bytes)
        }
        check_leases(&lan.engine);
    }
}

struct Lan {
    config: Config,
    engine: Engine,
    now: SystemTime,
    /// What a server would have on disk.
    journal: Vec<LeaseRecord>,
    /// What the link is asked about.
    asked: VecDeque<Ipv4Addr>,
}

impl Lan {
    fn new(config: Config) -> Self {
        let engine = Engine::new(config.clone(), inventory());
        let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        Self { config, engine, now, journal: Vec::new(), asked: VecDeque::new() }
    }

    fn restart(&mut self) {
        self.engine = Engine::new(self.config.clone(), inventory());
        self.journal.iter().for_each(|lease| self.engine.restore(lease.clone()));
        self.asked.clear();
    }

    fn send(&mut self, datagram: &[u8]) {
        let Ok(request) = Request::parse(datagram) else { return };
        let action = self.engine.handle(&request, self.now);
        self.act(action);
    }

    fn say(&mut self, frame: &[u8]) {
        let claim = arp::claim(frame);
        let Some(address) = self.asked.pop_front() else { return };
        let verdict = claim.map_or(Verdict::Free, |claim| Verdict::Taken(claim.holder));
        for action in self.engine.handle_probe(address, verdict, self.now) {
            self.act(action);
        }
        assert_eq!(self.engine.handle_probe(address, verdict, self.now), [], "a second verdict does nothing");
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Reply(reply) => {
                check(&reply);
                self.journal.extend(reply.commit);
                self.asked.extend(reply.probe);
            }
            Action::Record(change) => self.journal.push(change.lease),
            Action::Probe(address) => self.asked.push_back(address),
            Action::Doubt(_) => {}
            Action::Ignore(reason) => drop(reason.to_string()),
        }
    }
}

/// What firmware must be able to read: fixed fields, then well-formed options with the message type and the server first.
fn check(reply: &Reply) {
    let message = &reply.message;
    assert!((300..=1472).contains(&message.len()), "{} bytes", message.len());
    assert_eq!(message[236..240], [0x63, 0x82, 0x53, 0x63]);
    let mut options = &message[240..];
    let mut codes = Vec::new();
    while let [code, rest @ ..] = options {
        match code {
            0 => options = rest,
            255 => break,
            code => {
                let (length, rest) = rest.split_first().expect("an option has a length");
                codes.push(*code);
                options = rest.get(usize::from(*length)..).expect("an option lies inside");
            }
        }
    }
    assert_eq!(options.first(), Some(&255), "the options end: {codes:?}");
    let first: Vec<_> = codes.iter().filter(|code| **code != 52).take(2).collect();
    assert_eq!(first, [&53, &54], "{codes:?}");
}

/// Nobody shares an address, nobody has two on one subnet, and there are no more than there can be.
fn check_leases(engine: &Engine) {
    let leases: Vec<_> = engine.leases().collect();
    let addresses: BTreeSet<_> = leases.iter().map(|lease| lease.address).collect();
    assert_eq!(addresses.len(), leases.len(), "{leases:?}");
    assert!(leases.len() <= 3 * 254, "{} leases", leases.len());
}

fn config(authoritative: bool, probe: bool) -> Config {
    static WRITTEN: LazyLock<Config> = LazyLock::new(written_config);
    Config { authoritative, probe, ..WRITTEN.clone() }
}

fn written_config() -> Config {
    let north = subnet("10.78.0.0/24", pool([10, 78, 0, 50], 3));
    let beside = Subnet { link: Some(north.network), ..subnet("10.79.0.0/24", pool([10, 79, 0, 50], 1)) };
    let phones = Class {
        members: Selector { vendor_class: Some(written("value = 'phone*'")), ..Selector::default() },
        pool: vec![pool([10, 77, 0, 102], 1)],
        lease: Some(Duration::from_secs(60)),
        ..Class::default()
    };
    let ports = Class {
        members: Selector { circuit_id: Some(written("value = ['eth*', '0x0001']")), ..Selector::default() },
        boot: Some(ClassBoot::File { name: "x".repeat(130), server: Some(Ipv4Addr::new(10, 77, 0, 9)) }),
        options: written(
            "[value]\ndomain-search = ['a.lab', 'lab']\n43 = { hex = '06 01 08', always = true }\n66 = 'tftp'",
        ),
        ..Class::default()
    };
    Config {
        server: Ipv4Addr::new(10, 77, 0, 1),
        lab: subnet("10.77.0.1/24", pool([10, 77, 0, 100], 3)),
        relayed: vec![north, beside],
        classes: vec![phones, ports],
        offer_hold: Duration::from_secs(60),
        decline_hold: Duration::from_secs(600),
        authoritative: true,
        probe: true,
        base: "http://10.77.0.1".parse().expect("a URL"),
    }
}

fn subnet(network: &str, pool: RangeInclusive<Ipv4Addr>) -> Subnet {
    Subnet {
        network: network.parse().expect("a network"),
        link: None,
        router: Some(*pool.start()),
        pool: vec![pool],
        lease: Duration::from_secs(3600),
        dns: vec![Ipv4Addr::new(10, 77, 0, 1)],
        domain: Some("pvmlab.local".to_owned()),
        options: Settings::default(),
    }
}

fn pool([a, b, c, d]: [u8; 4], more: u8) -> RangeInclusive<Ipv4Addr> {
    Ipv4Addr::new(a, b, c, d)..=Ipv4Addr::new(a, b, c, d + more)
}

/// A value as a configuration has it.
fn written<T: for<'de> Deserialize<'de>>(text: &str) -> T {
    #[derive(Deserialize)]
    struct Section<T> {
        value: T,
    }
    toml::from_str::<Section<T>>(text).expect("a value").value
}
