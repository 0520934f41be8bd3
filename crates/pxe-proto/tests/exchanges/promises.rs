//! What holds whatever clients do: nobody has an address that somebody else has, or that is reserved for another.
//!
//! The model is the clients' side: what each was promised, and until when. It knows nothing of how the engine keeps that.

use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lab_model::{Inventory, MacAddr};
use proptest::prelude::*;
use pxe_proto::dhcp::{Action, Config, LeaseState, ReplyKind, Subnet, Verdict};

use crate::answer::Answer;
use crate::lan::{Lan, config, host, inventory, machines};
use crate::packet::{DECLINE, DISCOVER, Packet, RELEASE, mac};
use crate::relays::{NORTH, far, three};

/// The first of these are machines on the lab's own link; from [`RELAYED`] on the same machines behind a relay.
const CLIENTS: std::ops::RangeInclusive<u8> = 1..=14;
const RELAYED: u8 = 10;

/// One step of a lab's life; for the addresses see [`at`].
#[derive(Clone, Debug)]
enum Step {
    Discover {
        client: u8,
        wish: Option<u8>,
    },
    /// Takes up the last offer that it got, or asks for this address as if it had been offered.
    Select {
        client: u8,
        instead: Option<u8>,
    },
    SelectElsewhere {
        client: u8,
    },
    /// Asks to keep the last address that it had, or this one.
    Renew {
        client: u8,
        instead: Option<u8>,
    },
    Reboot {
        client: u8,
        instead: Option<u8>,
    },
    Decline {
        client: u8,
    },
    Release {
        client: u8,
    },
    Define {
        which: usize,
    },
    Wait {
        milliseconds: u64,
    },
    SetClockBack {
        milliseconds: u64,
    },
    Crash,
    /// Somebody has the address that the link was asked about first, or nobody.
    Hear {
        is_taken: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let client = || CLIENTS;
    let address = || prop::option::weighted(0.2, prop_oneof![3 => 98_u8..108, 1 => 49_u8..53]);
    prop_oneof![
        6 => (client(), address()).prop_map(|(client, wish)| Step::Discover { client, wish }),
        6 => (client(), address()).prop_map(|(client, instead)| Step::Select { client, instead }),
        1 => client().prop_map(|client| Step::SelectElsewhere { client }),
        3 => (client(), address()).prop_map(|(client, instead)| Step::Renew { client, instead }),
        3 => (client(), address()).prop_map(|(client, instead)| Step::Reboot { client, instead }),
        1 => client().prop_map(|client| Step::Decline { client }),
        1 => client().prop_map(|client| Step::Release { client }),
        1 => (0_usize..5).prop_map(|which| Step::Define { which }),
        4 => (0_u64..4000).prop_map(|milliseconds| Step::Wait { milliseconds }),
        1 => (0_u64..30_000).prop_map(|milliseconds| Step::SetClockBack { milliseconds }),
        1 => Just(Step::Crash),
        4 => prop::bool::weighted(0.2).prop_map(|is_taken| Step::Hear { is_taken }),
    ]
}

/// Inventories that give the same addresses, in the pool and outside of it, to different machines.
fn inventories() -> [Arc<Inventory>; 5] {
    [
        machines(&[]),
        machines(&[(1, Some(host(101))), (2, Some(host(106))), (3, None)]),
        machines(&[(1, Some(host(106))), (2, Some(host(101))), (4, Some(host(100)))]),
        machines(&[(5, Some(host(101))), (6, Some(host(102))), (7, Some(host(107)))]),
        relayed(&[
            (2, Some(at(RELAYED, 101))),
            (3, Some(at(RELAYED, 51))),
            (4, Some(at(RELAYED, 106))),
            (5, Some(host(100))),
        ]),
    ]
}

fn relayed(reservations: &[(u8, Option<Ipv4Addr>)]) -> Arc<Inventory> {
    inventory(reservations.iter().map(|(number, address)| (mac(*number), *address)), "aarch64", &three())
}

/// What the clients believe, and the time that really passes.
struct World {
    lan: Lan,
    inventories: [Arc<Inventory>; 5],
    which: usize,
    real: SystemTime,
    leases: BTreeMap<Ipv4Addr, (MacAddr, SystemTime)>,
    offers: BTreeMap<Ipv4Addr, (MacAddr, SystemTime)>,
    probation: BTreeMap<Ipv4Addr, SystemTime>,
    /// What the link was asked about.
    probes: VecDeque<Ipv4Addr>,
    last_offer: BTreeMap<u8, Ipv4Addr>,
    last_lease: BTreeMap<u8, Ipv4Addr>,
}

impl World {
    fn new(config: Config) -> Self {
        let inventories = inventories();
        let lan = Lan::new(config, inventories[0].clone());
        Self {
            real: lan.now,
            lan,
            inventories,
            which: 0,
            leases: BTreeMap::new(),
            offers: BTreeMap::new(),
            probation: BTreeMap::new(),
            probes: VecDeque::new(),
            last_offer: BTreeMap::new(),
            last_lease: BTreeMap::new(),
        }
    }

    fn take(&mut self, step: Step) -> Result<(), TestCaseError> {
        let server = self.lan.config.server;
        let (client, packet) = match step {
            Step::Discover { client, wish } => {
                let packet = Packet::new(DISCOVER, machine(client));
                (client, wish.map(|wish| packet.clone().option(50, &at(client, wish).octets())).unwrap_or(packet))
            }
            Step::Select { client, instead } => {
                let offer = instead.map(|last| at(client, last)).or(self.last_offer.get(&client).copied());
                let Some(address) = offer else { return Ok(()) };
                (client, Packet::select(machine(client), address, server))
            }
            Step::SelectElsewhere { client } => {
                self.leave(client, |world| &mut world.offers);
                (client, Packet::select(machine(client), at(client, 200), host(2)))
            }
            Step::Renew { client, instead } => {
                let Some(address) = instead.map(|last| at(client, last)).or(self.last_lease.get(&client).copied())
                else {
                    return Ok(());
                };
                (client, Packet::renew(machine(client), address))
            }
            Step::Reboot { client, instead } => {
                let Some(address) = instead.map(|last| at(client, last)).or(self.last_lease.get(&client).copied())
                else {
                    return Ok(());
                };
                (client, Packet::reboot(machine(client), address))
            }
            Step::Decline { client } => {
                let Some(address) = self.last_lease.get(&client).copied() else { return Ok(()) };
                (
                    client,
                    Packet::new(DECLINE, machine(client)).option(50, &address.octets()).option(54, &server.octets()),
                )
            }
            Step::Release { client } => {
                let Some(address) = self.last_lease.get(&client).copied() else { return Ok(()) };
                (client, Packet::new(RELEASE, machine(client)).client_address(address).option(54, &server.octets()))
            }
            Step::Define { which } => {
                self.which = which;
                self.lan.engine.set_inventory(self.inventories[which].clone());
                let inventory = &self.inventories[which];
                self.offers.retain(|address, _| inventory.by_address(*address).is_none());
                return Ok(());
            }
            Step::Wait { milliseconds } => {
                self.lan.now += Duration::from_millis(milliseconds);
                self.real += Duration::from_millis(milliseconds);
                return Ok(());
            }
            Step::SetClockBack { milliseconds } => {
                self.lan.now -= Duration::from_millis(milliseconds);
                return Ok(());
            }
            Step::Crash => {
                self.offers.clear();
                self.probes.clear();
                self.lan.restart(self.inventories[self.which].clone());
                return Ok(());
            }
            Step::Hear { is_taken } => {
                let Some(address) = self.probes.pop_front() else { return Ok(()) };
                self.forget_what_ended();
                let verdict = if is_taken { Verdict::Taken(mac(99)) } else { Verdict::Free };
                return self.lan.hear(address, verdict).into_iter().try_for_each(|action| self.see(None, action));
            }
        };
        self.forget_what_ended();
        let packet = if client < RELAYED { packet } else { packet.relay(NORTH) };
        let action = self.lan.send(&packet.bytes());
        self.see(Some(client), action)
    }

    fn forget_what_ended(&mut self) {
        self.leases.retain(|_, (_, until)| *until > self.real);
        self.offers.retain(|_, (_, until)| *until > self.real);
        self.probation.retain(|_, until| *until > self.real);
    }

    /// What is done about a client's packet, or about what the link was asked, which is the lab's own.
    fn see(&mut self, client: Option<u8>, action: Action) -> Result<(), TestCaseError> {
        match action {
            Action::Reply(reply) => {
                self.probes.extend(reply.probe);
                self.hear(client.unwrap_or(reply.mac.bytes()[5]), &Answer::of(*reply))
            }
            Action::Probe(address) => {
                prop_assert!(!self.probes.contains(&address) || !self.offers.contains_key(&address));
                self.probes.push_back(address);
                prop_assert!(self.probes.len() <= 2 * CLIENTS.count());
                // Whoever it is for, it is nobody else's from now on.
                match client {
                    Some(client) => self.promise(client, address),
                    None => Ok(()),
                }
            }
            Action::Record(change) => {
                let lease = change.lease;
                prop_assert!(client.is_none_or(|client| lease.mac == machine(client)));
                self.leases.remove(&lease.address);
                self.offers.remove(&lease.address);
                if lease.state == LeaseState::Declined {
                    self.probation.insert(lease.address, self.real + self.lan.config.decline_hold);
                }
                Ok(())
            }
            Action::Doubt(_) | Action::Ignore(_) => Ok(()),
        }
    }

    fn hear(&mut self, client: u8, answer: &Answer) -> Result<(), TestCaseError> {
        let (mac, address) = (machine(client), answer.yours);
        if answer.kind() == ReplyKind::Nak {
            return Ok(());
        }
        self.promise(client, address)?;
        if answer.kind() == ReplyKind::Offer {
            self.last_offer.insert(client, address);
        } else {
            prop_assert!(answer.reply.commit.is_some());
            self.leave(client, |world| &mut world.offers);
            self.leave(client, |world| &mut world.leases);
            let lease = self.subnet(client, address).expect("it was promised").lease;
            self.leases.insert(address, (mac, self.real + lease));
            self.last_lease.insert(client, address);
        }
        Ok(())
    }

    /// The address is on offer to the client now, and may be.
    fn promise(&mut self, client: u8, address: Ipv4Addr) -> Result<(), TestCaseError> {
        let mac = machine(client);
        let reserved_for = self.inventories[self.which].by_address(address).map(|machine| machine.mac);
        prop_assert!(reserved_for.is_none_or(|owner| owner == mac), "{address} is reserved for another than {mac}");
        let subnet = self.subnet(client, address);
        prop_assert!(subnet.is_some(), "{address} is of another link");
        let subnet = subnet.expect("asserted");
        let in_pool = subnet.pool.iter().any(|range| range.contains(&address));
        prop_assert!(in_pool || reserved_for.is_some(), "{address} is nobody's to give");
        for promised in [&self.leases, &self.offers] {
            let other = promised.get(&address).filter(|(holder, _)| *holder != mac);
            prop_assert_eq!(other, None, "{} is promised to two, now to {}", address, mac);
        }
        prop_assert_eq!(self.probation.get(&address), None, "{} is on probation", address);

        self.leave(client, |world| &mut world.offers);
        self.offers.insert(address, (mac, self.real + self.lan.config.offer_hold));
        Ok(())
    }

    /// The subnet of the client's link that the address is of.
    fn subnet(&self, client: u8, address: Ipv4Addr) -> Option<&Subnet> {
        let Config { lab, relayed, .. } = &self.lan.config;
        let first = if client < RELAYED { lab } else { &relayed[0] };
        let others = relayed.iter().filter(|subnet| subnet.link == Some(first.network));
        others.chain([first]).find(|subnet| subnet.network.contains(address))
    }

    /// The client has nothing else on its link any more.
    fn leave(&mut self, client: u8, of: impl Fn(&mut Self) -> &mut BTreeMap<Ipv4Addr, (MacAddr, SystemTime)>) {
        let mut promised = std::mem::take(of(self));
        promised.retain(|address, (holder, _)| *holder != machine(client) || self.subnet(client, *address).is_none());
        *of(self) = promised;
    }
}

/// The client's hardware address: a machine may be on both links.
fn machine(client: u8) -> MacAddr {
    mac(client % RELAYED + client / RELAYED)
}

/// The address with this last byte, of the client's network, or, if it is small, of the one that may share its link.
fn at(client: u8, last: u8) -> Ipv4Addr {
    match (client < RELAYED, last < 90) {
        (true, false) => host(last),
        (true, true) => far(81, last),
        (false, false) => far(78, last),
        (false, true) => far(79, last),
    }
}

/// The lab, two links behind relays, and, if links are shared, a second subnet on the lab's own and on the first of those.
fn lab(shared: bool) -> Config {
    let mut config = three();
    config.lab.pool = vec![host(100)..=host(104)];
    config.relayed[0].pool = vec![at(RELAYED, 100)..=at(RELAYED, 101), at(RELAYED, 103)..=at(RELAYED, 104)];
    config.relayed[0].lease = Duration::from_secs(8);
    // Short, so that much ends while the steps are taken, and often within the second in which it is used.
    config.lab.lease = Duration::from_secs(10);
    config.offer_hold = Duration::from_secs(3);
    config.decline_hold = Duration::from_secs(6);
    if shared {
        let second = |client, network: &str, link: &Subnet| Subnet {
            network: network.parse().expect("a network"),
            link: Some(link.network),
            pool: vec![at(client, 50)..=at(client, 51)],
            lease: Duration::from_secs(5),
            ..link.clone()
        };
        config.relayed[1] = second(RELAYED, "10.79.0.0/23", &config.relayed[0]);
        config.relayed.push(second(0, "10.81.0.0/24", &config.lab));
    }
    config
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_address_is_promised_to_one_machine_at_a_time(
        steps in prop::collection::vec(step(), 1..150),
        probe in any::<bool>(),
        shared in any::<bool>(),
    ) {
        let config = Config { probe, ..lab(shared) };
        let mut world = World::new(config);

        for step in steps {
            world.take(step)?;

            // The pools, and the addresses outside of them that any inventory reserves.
            prop_assert!(world.lan.engine.leases().count() <= 5 + 4 + 3 + 2 + 2);
        }
    }
}

/// Hardware addresses are cheap: whoever makes up a million of them gets the pool's addresses, and nobody else's memory.
#[test]
fn what_is_kept_is_bounded_by_the_pool() {
    let mut config = config();
    config.lab.pool = vec![host(2)..=host(254)];
    let mut lan = Lan::new(config, machines(&[]));

    for number in 0..20_000_u32 {
        let [_, a, b, c] = number.to_be_bytes();
        let mac = MacAddr::new([2, 0, 0, a, b, c]);
        if let Action::Reply(reply) = lan.send(&Packet::new(DISCOVER, mac).bytes()) {
            lan.send(&Packet::select(mac, reply.address, host(1)).bytes());
        }
        lan.wait(Duration::from_secs(20));
    }

    assert_eq!(lan.engine.leases().count(), 253);
}
