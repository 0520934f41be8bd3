//! Others' names.

use std::net::Ipv4Addr;
use std::time::Duration;

use domain::base::Message;
use domain::base::iana::{Rcode, Rtype};

use super::bench::{FIRST, Lab, Question, SECOND, answer_to, asks, replies, socket, text};
use crate::dns::{Action, Transport};

#[test]
fn a_name_elsewhere_is_asked_for_once_and_kept() {
    let mut lab = Lab::asking(&[FIRST]);
    let asked = lab.forwarded(example());
    let answer = answer_to(&asked[0], Rcode::NOERROR, 60, &[ADDRESS]);

    let first = lab.answered(&asked[0], &answer);

    assert_eq!(asked[0].upstream, socket(FIRST));
    let [Action::Reply(1, message)] = &first[..] else { panic!("{first:?}") };
    insta::assert_snapshot!(text(message), @"
    NOERROR QR RD RA
    example.com. IN A
    example.com. 60 IN A 198.51.100.7
    ");
    lab.now += Duration::from_secs(20);
    insta::assert_snapshot!(lab.answer(Question { name: "EXAMPLE.com", edns: Some(1400), ..example() }), @"
    NOERROR QR RD RA
    EXAMPLE.com. IN A
    EXAMPLE.com. 40 IN A 198.51.100.7
    EDNS 1232
    ");
    lab.now += Duration::from_secs(40);
    assert_eq!(lab.forwarded(example()).len(), 1);
    let counts = lab.engine.counts();
    assert_eq!((counts.queries, counts.forwarded, counts.cached, counts.failed), (3, 2, 1, 0));
}

#[test]
fn what_is_not_to_be_kept_is_not() {
    for (rcode, ttl, addresses) in
        [(Rcode::NOERROR, 0, &[ADDRESS][..]), (Rcode::NOERROR, 60, &[]), (Rcode::NXDOMAIN, 60, &[])]
    {
        let mut lab = Lab::asking(&[FIRST]);
        let asked = lab.forwarded(example());

        lab.answered(&asked[0], &answer_to(&asked[0], rcode, ttl, addresses));

        assert_eq!(lab.forwarded(example()).len(), 1, "{rcode} {ttl}");
    }
}

#[test]
fn that_there_is_nothing_is_kept_as_long_as_the_zone_says() {
    let mut lab = Lab::asking(&[FIRST]);
    let asked = lab.forwarded(example());
    let mut answer = answer_to(&asked[0], Rcode::NXDOMAIN, 0, &[]);
    // The authority section goes before the OPT record, which is the last eleven bytes.
    let opt = answer.split_off(answer.len() - 11);
    answer[9] = 1;
    answer.extend(b"\xc0\x0c\0\x06\0\x01\0\0\x0e\x10\0\x16\0\0");
    answer.extend([1, 2, 3, 4, 900].map(u32::to_be_bytes).as_flattened());
    answer.extend(opt);

    let replied = replies(&lab.answered(&asked[0], &answer));

    assert_eq!(replied, [(1, Rcode::NXDOMAIN)]);
    lab.now += Duration::from_secs(899);
    let kept = lab.answer(example());
    assert!(kept.starts_with("NXDOMAIN QR RD RA\n") && kept.contains("authority example.com. 2701 IN SOA"), "{kept}");
    lab.now += Duration::from_secs(1);
    assert_eq!(lab.forwarded(example()).len(), 1);
}

#[test]
fn the_same_question_is_on_its_way_once() {
    let mut lab = Lab::asking(&[FIRST]);
    let asked = lab.forwarded(example());

    assert_eq!(lab.send(Question { name: "Example.COM", ..example() }), []);
    let answered = lab.answered(&asked[0], &answer_to(&asked[0], Rcode::NOERROR, 60, &[ADDRESS]));

    assert_eq!(replies(&answered), [(1, Rcode::NOERROR), (2, Rcode::NOERROR)]);
    let [_, Action::Reply(_, second)] = &answered[..] else { panic!("{answered:?}") };
    assert!(text(second).ends_with("Example.COM. 60 IN A 198.51.100.7"), "{}", text(second));
}

#[test]
fn where_nobody_is_to_be_asked_there_is_no_answer() {
    let mut lab = Lab::asking(&[]);

    assert_eq!(lab.answer(example()), "SERVFAIL QR RD RA\nexample.com. IN A");
}

#[test]
fn after_a_second_the_next_one_is_asked_and_a_late_answer_is_as_good() {
    let mut lab = Lab::asking(&[FIRST, SECOND]);
    let first = lab.forwarded(example());

    let (waited, actions) = lab.wait();

    let second = asks(actions);
    assert_eq!((waited, second[0].upstream), (Duration::from_secs(1), socket(SECOND)));
    let late = lab.answered(&first[0], &answer_to(&first[0], Rcode::NOERROR, 60, &[ADDRESS]));
    assert_eq!(replies(&late), [(1, Rcode::NOERROR)]);
    // Whoever comes last says nothing new.
    assert_eq!(lab.answered(&second[0], &answer_to(&second[0], Rcode::NOERROR, 60, &[ADDRESS])), []);
}

#[test]
fn a_server_that_is_silent_twice_is_left_alone_until_it_is_tried_again() {
    let mut lab = Lab::asking(&[FIRST, SECOND]);
    for name in ["a.example", "b.example"] {
        lab.forwarded(Question::new(name, Rtype::A));
        let second = asks(lab.wait().1);
        lab.answered(&second[0], &answer_to(&second[0], Rcode::NOERROR, 60, &[ADDRESS]));
    }

    assert_eq!(who(&lab.forwarded(Question::new("c.example", Rtype::A))), [SECOND]);
    assert_eq!(lab.engine.upstreams().collect::<Vec<_>>(), [(socket(FIRST), false), (socket(SECOND), true)]);
    lab.now += Duration::from_secs(10);
    let both = lab.forwarded(Question::new("d.example", Rtype::A));
    assert_eq!(who(&both), [FIRST, SECOND]);
    assert_eq!(who(&lab.forwarded(Question::new("e.example", Rtype::A))), [SECOND]);
    lab.answered(&both[0], &answer_to(&both[0], Rcode::NOERROR, 60, &[ADDRESS]));
    assert_eq!(who(&lab.forwarded(Question::new("f.example", Rtype::A))), [FIRST]);
}

#[test]
fn one_that_is_not_there_costs_nothing() {
    let mut lab = Lab::asking(&[FIRST, SECOND]);
    let first = lab.forwarded(example());

    let second = asks(lab.engine.unreachable(&first[0], lab.now));

    assert_eq!(who(&second), [SECOND]);
    assert_eq!(who(&lab.forwarded(Question::new("b.example", Rtype::A))), [SECOND]);
    let failed = lab.engine.unreachable(&second[0], lab.now);
    assert_eq!(replies(&failed), [(1, Rcode::SERVFAIL)]);
}

#[test]
fn a_client_is_told_in_time_that_nobody_answers_and_sooner_once_that_is_known() {
    let mut lab = Lab::asking(&[FIRST]);
    assert_eq!(lab.forwarded(example()).len(), 1);
    assert_eq!(who(&asks(lab.wait().1)), [FIRST]);
    assert_eq!(who(&asks(lab.wait().1)), [FIRST]);

    let (_, failed) = lab.wait();

    assert_eq!(replies(&failed), [(1, Rcode::SERVFAIL)]);
    assert_eq!(lab.answer(example()), "SERVFAIL QR RD RA\nexample.com. IN A");
    lab.now += Duration::from_secs(1);
    assert_eq!(who(&lab.forwarded(example())), [FIRST]);
    let (waited, failed) = lab.wait();
    assert_eq!((waited, replies(&failed)), (Duration::from_secs(1), vec![(3, Rcode::SERVFAIL)]));
    assert_eq!(lab.engine.poll_timeout(), None);
}

#[test]
fn dead_servers_are_asked_all_at_once() {
    let mut lab = Lab::asking(&[FIRST, SECOND]);
    for asked in lab.forwarded(example()) {
        let next = asks(lab.engine.unreachable(&asked, lab.now));
        lab.engine.unreachable(&next[0], lab.now);
    }

    let asked = lab.forwarded(Question::new("b.example", Rtype::A));

    assert_eq!(who(&asked), [FIRST, SECOND]);
    let answered = lab.answered(&asked[1], &answer_to(&asked[1], Rcode::NOERROR, 60, &[ADDRESS]));
    assert_eq!(replies(&answered), [(2, Rcode::NOERROR)]);
}

#[test]
fn one_that_fails_is_not_asked_again_and_not_given_up() {
    let mut lab = Lab::asking(&[FIRST, SECOND]);
    let first = lab.forwarded(example());

    let second = asks(lab.answered(&first[0], &answer_to(&first[0], Rcode::SERVFAIL, 0, &[])));
    let failed = lab.answered(&second[0], &answer_to(&second[0], Rcode::REFUSED, 0, &[]));

    assert_eq!((who(&second), replies(&failed)), (vec![SECOND], vec![(1, Rcode::SERVFAIL)]));
    assert_eq!(who(&lab.forwarded(Question::new("b.example", Rtype::A))), [FIRST]);
}

#[test]
fn what_a_datagram_does_not_hold_comes_by_tcp_and_goes_on_by_tcp() {
    let mut lab = Lab::asking(&[FIRST]);
    let asked = lab.forwarded(Question { edns: Some(4096), ..example() });
    let mut cut = answer_to(&asked[0], Rcode::NOERROR, 60, &[]);
    cut[2] |= 0x02;

    let again = asks(lab.answered(&asked[0], &cut));

    assert_eq!((again[0].transport, again[0].upstream), (Transport::Tcp, socket(FIRST)));
    let many: Vec<_> = (0..200).map(|last| Ipv4Addr::new(198, 51, 100, last)).collect();
    let answered = lab.answered(&again[0], &answer_to(&again[0], Rcode::NOERROR, 60, &many));
    let [Action::Reply(1, message)] = &answered[..] else { panic!("{answered:?}") };
    assert_eq!(text(message), "NOERROR QR TC RD RA\nexample.com. IN A\nEDNS 1232");
    let whole = lab.answer(Question { transport: Transport::Tcp, ..example() });
    assert_eq!(whole.lines().count(), 202);
}

#[test]
fn a_server_that_does_not_know_edns_is_asked_without() {
    let mut lab = Lab::asking(&[FIRST]);
    let asked = lab.forwarded(example());
    let mut malformed = answer_to(&asked[0], Rcode::FORMERR, 0, &[]);
    malformed.truncate(12);
    malformed[4..12].fill(0);

    let again = asks(lab.answered(&asked[0], &malformed));

    let edns = |message: Vec<u8>| Message::from_octets(message).expect("a message").opt().is_some();
    assert_eq!((edns(asked[0].message(7)), edns(again[0].message(7))), (true, false));
}

#[test]
fn signatures_are_asked_for_and_kept_apart() {
    let mut lab = Lab::asking(&[FIRST]);
    let signed = Question { edns: Some(1232), dnssec_ok: true, ..example() };
    let asked = lab.forwarded(signed);

    lab.answered(&asked[0], &answer_to(&asked[0], Rcode::NOERROR, 60, &[ADDRESS]));

    let said = Message::from_octets(asked[0].message(7)).expect("a message").opt().map(|opt| opt.dnssec_ok());
    assert_eq!(said, Some(true));
    assert!(lab.answer(signed).ends_with("\nEDNS 1232 DO"));
    assert_eq!(lab.forwarded(example()).len(), 1);
}

#[test]
fn only_the_answer_to_what_was_asked_is_one() {
    let mut lab = Lab::asking(&[FIRST]);
    let asked = &lab.forwarded(example())[0];
    let other = &lab.forwarded(Question::new("other.example", Rtype::A))[0];
    let good = answer_to(asked, Rcode::NOERROR, 60, &[ADDRESS]);

    assert!(asked.is_answered_by(&good, 7));
    assert!(!asked.is_answered_by(&good, 8));
    assert!(!asked.is_answered_by(&asked.message(7), 7));
    assert!(!asked.is_answered_by(&answer_to(other, Rcode::NOERROR, 60, &[ADDRESS]), 7));
}

#[test]
fn one_client_cannot_have_all_places() {
    let mut lab = Lab::asking(&[FIRST]);
    let ask = |lab: &mut Lab, from| {
        let names = (0..100).map(|number| format!("n{number}.{from}.example").leak() as &'static str);
        let from = Ipv4Addr::new(10, 77, 0, from);
        let sent: Vec<_> = names.map(|name| lab.send(Question { from, ..Question::new(name, Rtype::A) })).collect();
        sent.iter().filter(|actions| matches!(actions[..], [Action::Ask(_)])).count()
    };

    let places: Vec<_> = (20..26).map(|client| ask(&mut lab, client)).collect();

    assert_eq!(places, [64, 64, 64, 64, 0, 0]);
}

#[test]
fn other_servers_may_say_something_else() {
    let mut lab = Lab::asking(&[FIRST]);
    let asked = lab.forwarded(example());
    lab.answered(&asked[0], &answer_to(&asked[0], Rcode::NOERROR, 60, &[ADDRESS]));

    lab.engine.set_upstreams(&[socket(SECOND)]);

    assert_eq!(who(&lab.forwarded(example())), [SECOND]);
}

#[test]
fn who_wants_nobody_asked_is_refused() {
    let mut lab = Lab::asking(&[FIRST]);
    let mut message = example().message();
    message[2] = 0;
    let client = crate::dns::Client { address: example().from.into(), transport: Transport::Udp };

    let actions = lab.engine.handle(&message, client, 1, lab.now);

    assert_eq!(replies(&actions), [(1, Rcode::REFUSED)]);
}

fn example() -> Question {
    Question::new("example.com", Rtype::A)
}

const ADDRESS: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);

fn who(asks: &[crate::dns::Ask]) -> Vec<Ipv4Addr> {
    let addresses = asks.iter().map(|ask| match ask.upstream.ip() {
        std::net::IpAddr::V4(address) => address,
        std::net::IpAddr::V6(address) => panic!("{address}"),
    });
    addresses.collect()
}
