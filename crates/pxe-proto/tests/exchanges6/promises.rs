//! What holds whatever clients do: nobody has an address that somebody else has, or that is reserved for another.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use pxe_proto::dhcp6::{Action, Config};

use crate::answer::Answer;
use crate::lan::{Lan, config, host, machines};
use crate::packet::{DECLINE, Packet, REBIND, RELEASE, RENEW, REQUEST, SOLICIT};

#[derive(Clone, Debug)]
enum Step {
    Ask { client: u8, kind: u8, address: u16 },
    Define { which: usize },
    Wait { seconds: u64 },
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    let kind = prop::sample::select(vec![SOLICIT, SOLICIT, REQUEST, REQUEST, REQUEST, RENEW, REBIND, RELEASE, DECLINE]);
    prop_oneof![
        12 => (1_u8..8, kind, 0xfe_u16..0x106).prop_map(|(client, kind, address)| Step::Ask { client, kind, address }),
        1 => (0_usize..3).prop_map(|which| Step::Define { which }),
        2 => (0_u64..9).prop_map(|seconds| Step::Wait { seconds }),
        1 => Just(Step::Crash),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_address_is_promised_to_one_machine_at_a_time(steps in prop::collection::vec(step(), 1..150)) {
        let inventories = [
            machines(&[]),
            machines(&[(1, Some(host(0x101))), (2, Some(host(0x105)))]),
            machines(&[(2, Some(host(0x101))), (3, Some(host(0x105))), (4, Some(host(0x100)))]),
        ];
        let config = Config { lease: Duration::from_secs(10), offer_hold: Duration::from_secs(3), ..config() };
        let mut lan = Lan::new(config, inventories[0].clone());
        let mut which = 0;
        let mut leases: BTreeMap<Ipv6Addr, (u8, SystemTime)> = BTreeMap::new();

        for step in steps {
            match step {
                Step::Define { which: next } => {
                    which = next;
                    lan.engine.set_inventory(inventories[which].clone());
                }
                Step::Wait { seconds } => lan.now += Duration::from_secs(seconds),
                Step::Crash => lan.restart(inventories[which].clone()),
                Step::Ask { client, kind, address } => {
                    let packet = Packet::new(kind, client).association(1, &[host(address)]);
                    let packet = if matches!(kind, SOLICIT | REBIND) { packet } else { packet.for_us() };
                    let Action::Reply(reply) = lan.send(&packet) else { continue };
                    if matches!(kind, RELEASE | DECLINE) {
                        leases.retain(|address, _| reply.commit.as_ref().is_none_or(|ended| ended.address != *address));
                        continue;
                    }
                    let Some(given) = reply.address else { continue };
                    let answer = Answer::of(*reply);
                    leases.retain(|_, (_, until)| *until > lan.now);
                    let other = leases.get(&given).filter(|(holder, _)| *holder != client);
                    prop_assert_eq!(other, None, "{} is promised to two, now to {}", given, client);
                    let owner = inventories[which].by_ipv6(given).map(|machine| machine.mac.bytes()[5]);
                    prop_assert!(owner.is_none_or(|owner| owner == client), "{given} is not for {client}");
                    if answer.is_reply() {
                        leases.retain(|_, (holder, _)| *holder != client);
                        leases.insert(given, (client, lan.now + lan.config.lease));
                    }
                }
            }
            prop_assert!(lan.engine.leases().count() <= 4 + 2);
        }
    }
}
