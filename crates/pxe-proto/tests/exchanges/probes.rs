//! Addresses that the link is asked about before they are offered (RFC 2131 §3.1, step 2).

use std::net::Ipv4Addr;

use lab_model::{MacAddr, What};
use pxe_proto::dhcp::{Action, Config, Ignored, LeaseState, ReplyKind, Verdict};

use crate::answer::Answer;
use crate::lan::{DECLINE_HOLD, LEASE, Lan, OFFER_HOLD, config, host, machines};
use crate::packet::{DISCOVER, Packet, mac};
use crate::relays::NORTH;

#[test]
fn an_address_is_offered_when_nobody_says_that_it_is_theirs() {
    let mut lan = probing();

    let address = lan.probe(1);

    let offer = lan.answered(address, Verdict::Free);
    assert_eq!((offer.kind(), offer.yours, offer.reply.mac), (ReplyKind::Offer, address, mac(1)));
    assert!(matches!(offer.reply.event, Some((_, What::Offer { .. }))));
    assert_eq!(lan.select(1, address), ReplyKind::Ack);
    assert_eq!(lan.engine.handle_probe(address, Verdict::Taken(OTHER), lan.now), [], "a second verdict does nothing");
}

#[test]
fn what_somebody_has_is_on_probation_and_the_next_address_is_asked_for() {
    let mut lan = probing();
    let taken = lan.probe(1);

    let actions = lan.hear(taken, Verdict::Taken(OTHER));

    let [Action::Record(change), Action::Probe(next)] = &actions[..] else { panic!("{actions:?}") };
    assert_eq!((change.lease.address, change.lease.state), (taken, LeaseState::Declined));
    assert_eq!(change.event, Some((mac(1), What::Decline { address: taken.into(), holder: Some(OTHER) })));
    assert_ne!(*next, taken);
    assert_eq!(lan.answered(*next, Verdict::Free).yours, *next);
    // Nobody is asked about it again before the probation ends, whoever wants it.
    lan.wait(DECLINE_HOLD);
    let wish = |number| Packet::new(DISCOVER, mac(number)).option(50, &taken.octets()).bytes();
    assert!(matches!(lan.send(&wish(2)), Action::Probe(address) if address != taken));
    lan.wait(OFFER_HOLD);
    assert_eq!(lan.send(&wish(3)), Action::Probe(taken));
}

#[test]
fn a_pool_that_others_have_whole_is_exhausted() {
    let mut lan = probing();
    let mut address = lan.probe(1);

    for _ in 0..3 {
        let actions = lan.hear(address, Verdict::Taken(OTHER));
        let [Action::Record(_), Action::Probe(next)] = &actions[..] else { panic!("{actions:?}") };
        address = *next;
    }

    let last = lan.hear(address, Verdict::Taken(OTHER));
    assert_eq!(last[1..], [Action::Ignore(Ignored::PoolExhausted(mac(1)))]);
    assert_eq!(lan.journal.len(), 4);
}

#[test]
fn a_host_that_says_of_every_address_that_it_is_its_own_is_believed_about_eight() {
    let mut config = config();
    config.lab.pool = vec![host(100)..=host(120)];
    let mut lan = Lan::new(Config { probe: true, ..config }, machines(&[]));
    let mut address = lan.probe(1);

    for _ in 0..8 {
        let actions = lan.hear(address, Verdict::Taken(OTHER));
        let [Action::Record(_), Action::Probe(next)] = &actions[..] else { panic!("{actions:?}") };
        address = *next;
    }

    let doubted = lan.hear(address, Verdict::Taken(OTHER));
    let [Action::Doubt(OTHER), Action::Reply(offer)] = &doubted[..] else { panic!("{doubted:?}") };
    assert_eq!((offer.kind, offer.address), (ReplyKind::Offer, address));
    assert_eq!(lan.engine.doubted().collect::<Vec<_>>(), [OTHER]);
    let next = lan.probe(2);
    assert!(matches!(lan.hear(next, Verdict::Taken(OTHER))[..], [Action::Reply(_)]), "it is told once");
    let another = lan.probe(3);
    assert!(matches!(lan.hear(another, Verdict::Taken(mac(9)))[..], [Action::Record(_), Action::Probe(_)]));
}

#[test]
fn a_client_that_asks_again_is_answered_once_by_what_it_said_last() {
    let mut lan = probing();
    let address = lan.probe(1);

    for transaction in 1..=3 {
        let again = Packet::new(DISCOVER, mac(1)).set(4, &[0, 0, 0, transaction]);
        assert_eq!(lan.ignored(&again), Ignored::Probing(address));
    }

    assert_eq!(lan.answered(address, Verdict::Free).reply.message[4..8], [0, 0, 0, 3]);
    assert_eq!(lan.offer(1), address, "what is on offer is not asked about again");
}

#[test]
fn nobody_waits_for_anothers_probe() {
    let mut lan = probing();
    let addresses = [1, 2, 3, 4].map(|number| lan.probe(number));

    let answered = [3, 0, 2, 1].map(|at| lan.answered(addresses[at], Verdict::Free).reply.mac);

    assert_eq!(answered, [4, 1, 3, 2].map(mac));
}

#[test]
fn what_a_client_has_or_had_is_not_asked_about() {
    let mut lan = probing();
    let address = lan.probe(1);
    lan.answered(address, Verdict::Free);
    lan.select(1, address);

    assert_eq!(lan.offer(1), address, "as iPXE behind its firmware");
    lan.wait(LEASE + LEASE);
    assert_eq!(lan.offer(1), address, "as a machine that was off for long");
}

#[test]
fn a_client_that_has_the_address_up_itself_is_no_other_host() {
    let mut lan = probing();
    let address = lan.probe(1);

    assert_eq!(lan.answered(address, Verdict::Taken(mac(1))).yours, address);
}

#[test]
fn a_reserved_address_is_offered_at_once_and_taken_back_if_somebody_has_it() {
    let mut lan = Lan::new(Config { probe: true, ..config() }, machines(&[(1, Some(host(10))), (2, Some(host(11)))]));
    let offer = lan.answer(&Packet::new(DISCOVER, mac(1)));
    assert_eq!((offer.yours, offer.reply.probe), (host(10), Some(host(10))));
    let offer = lan.answer(&Packet::new(DISCOVER, mac(2)));
    assert_eq!(offer.reply.probe, Some(host(11)));

    assert_eq!(lan.hear(host(11), Verdict::Free), []);
    let actions = lan.hear(host(10), Verdict::Taken(OTHER));

    let [Action::Record(change)] = &actions[..] else { panic!("{actions:?}") };
    assert_eq!((change.lease.address, change.lease.state), (host(10), LeaseState::Declined));
    assert_eq!(lan.select(1, host(10)), ReplyKind::Nak);
    let instead = lan.probe(1);
    assert_eq!(lan.answered(instead, Verdict::Free).yours, instead, "it boots in any case");
    assert_eq!(lan.select(2, host(11)), ReplyKind::Ack);
    assert_eq!(lan.answer(&Packet::new(DISCOVER, mac(2))).reply.probe, None, "it has had it");
}

#[test]
fn a_verdict_is_nothing_to_a_client_that_went_elsewhere() {
    let mut lan = probing();
    let address = lan.probe(1);

    lan.ignored(&Packet::select(mac(1), host(200), host(2)));

    assert_eq!(lan.hear(address, Verdict::Free), []);
    let address = lan.probe(1);
    lan.engine.set_inventory(machines(&[(1, Some(host(10)))]));
    assert_eq!(lan.offer(1), host(10));
    assert_eq!(lan.hear(address, Verdict::Taken(OTHER)), []);
}

#[test]
fn an_address_that_was_reserved_for_another_meanwhile_is_not_offered() {
    let mut lan = probing();
    let address = lan.probe(1);

    lan.engine.set_inventory(machines(&[(2, Some(address))]));

    let actions = lan.hear(address, Verdict::Free);
    assert!(matches!(actions[..], [Action::Probe(other)] if other != address), "{actions:?}");
}

#[test]
fn behind_a_relay_nobody_can_be_asked() {
    let mut lan = Lan::new(Config { probe: true, ..crate::relays::three() }, machines(&[]));

    assert_eq!(lan.answer(&Packet::new(DISCOVER, mac(1)).relay(NORTH)).kind(), ReplyKind::Offer);
}

/// Whoever makes clients up opens a bounded number of probes, and those after that are answered all the same.
#[test]
fn a_flood_of_clients_has_a_bound() {
    let mut config = Config { probe: true, ..config() };
    config.lab.network = "10.77.0.1/16".parse().expect("a network");
    config.lab.pool = vec![host(100)..=Ipv4Addr::new(10, 77, 200, 0)];
    let mut lan = Lan::new(config, machines(&[]));
    let mut discover = |number: u32| {
        let [_, a, b, c] = number.to_be_bytes();
        lan.send(&Packet::new(DISCOVER, MacAddr::new([2, 0, 0, a, b, c])).bytes())
    };

    let probes = (0..10_000).filter(|number| matches!(discover(*number), Action::Probe(_))).count();

    assert_eq!(probes, 512);
}

const OTHER: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 99]);

fn probing() -> Lan {
    Lan::new(Config { probe: true, ..config() }, machines(&[]))
}

impl Lan {
    /// The address that the link is asked about for this machine.
    fn probe(&mut self, number: u8) -> Ipv4Addr {
        match self.send(&Packet::new(DISCOVER, mac(number)).bytes()) {
            Action::Probe(address) => address,
            other => panic!("{other:?}"),
        }
    }

    /// The answer that a verdict brings.
    fn answered(&mut self, address: Ipv4Addr, verdict: Verdict) -> Answer {
        let mut actions = self.hear(address, verdict);
        match (actions.pop(), actions.is_empty()) {
            (Some(Action::Reply(reply)), true) => Answer::of(*reply),
            (other, _) => panic!("{other:?} after {actions:?}"),
        }
    }
}
