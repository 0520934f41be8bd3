//! Messages that nobody means well with.

use domain::base::iana::{Rcode, Rtype};
use proptest::prelude::*;

use super::bench::{FIRST, Lab, Question, replies};
use crate::dns::{Action, Client, Transport};

#[test]
fn an_answer_is_no_question_and_too_little_is_nothing() {
    let mut lab = Lab::asking(&[FIRST]);
    let mut answer = web();
    answer[2] |= 0x80;

    for message in [&answer[..], &answer[..11], &[]] {
        assert_eq!(handle(&mut lab, message), []);
    }
    assert_eq!(lab.engine.counts().malformed, 3);
}

#[test]
fn what_cannot_be_read_is_told_so() {
    let mut lab = Lab::asking(&[FIRST]);
    let good = web();
    let with = |at: usize, byte: u8| {
        let mut message = good.clone();
        message[at] = byte;
        message
    };
    // No question, two, a record that is not there, a name that points to itself, and half of one.
    let pointing = [&good[..12], b"\xc0\x0c\0\x01\0\x01"].concat();
    for message in [with(5, 0), with(5, 2), with(11, 1), pointing, good[..20].to_vec()] {
        assert_eq!(code(&mut lab, &message), Rcode::FORMERR, "{message:?}");
    }
}

#[test]
fn what_nobody_gets_is_refused() {
    let mut lab = Lab::asking(&[FIRST]);
    let good = web();
    let mut chaos = good.clone();
    *chaos.last_mut().expect("a class") = 3;
    let mut update = good;
    update[2] |= 5 << 3;

    assert_eq!(code(&mut lab, &chaos), Rcode::REFUSED);
    assert_eq!(code(&mut lab, &update), Rcode::NOTIMP);
    assert_eq!(code(&mut lab, &Question::new("pvmlab.local", Rtype::IXFR).message()), Rcode::REFUSED);
}

#[test]
fn a_later_edns_is_told_which_one_is_known() {
    let mut lab = Lab::asking(&[FIRST]);
    let mut message = Question { edns: Some(1232), ..Question::new("web.pvmlab.local", Rtype::A) }.message();
    let version = message.len() - 5;
    message[version] = 1;

    let actions = handle(&mut lab, &message);

    let [Action::Reply(_, message)] = &actions[..] else { panic!("{actions:?}") };
    let message = domain::base::Message::from_slice(message).expect("a message");
    assert_eq!(message.opt_rcode(), domain::base::iana::OptRcode::BADVERS);
}

proptest! {
    #[test]
    fn no_message_of_a_client_ends_anything(message in mangled(web()), tcp: bool) {
        let mut lab = Lab::asking(&[FIRST]);
        let transport = if tcp { Transport::Tcp } else { Transport::Udp };
        let client = Client { address: [10, 77, 0, 9].into(), transport };

        for action in lab.engine.handle(&message, client, 1, lab.now) {
            if let Action::Reply(_, reply) = action {
                prop_assert!(reply.len() >= 12 && reply[..2] == message[..2] && reply[2] & 0x80 != 0);
                prop_assert!(tcp || reply.len() <= 1232);
            }
        }
    }

    #[test]
    fn no_answer_from_elsewhere_ends_anything(
        message in mangled(answer()),
        case in any::<bool>(),
    ) {
        let mut lab = Lab::asking(&[FIRST]);
        let asked = lab.forwarded(Question::new("example.com", Rtype::MX));

        asked[0].is_answered_by(&message, 7);
        lab.engine.answered(&asked[0], &message, lab.now);

        // Nor when it is told again from memory.
        lab.send(Question { edns: case.then_some(512), ..Question::new("EXAMPLE.com", Rtype::MX) });
        lab.now += std::time::Duration::from_secs(5);
        lab.engine.handle_timeout(lab.now);
    }
}

/// A message with some bytes changed and its end cut off, or any bytes at all.
fn mangled(good: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let length = good.len();
    let changes = prop::collection::vec((0..length, any::<u8>()), 0..6);
    let near = (changes, 0..=length).prop_map(move |(changes, end)| {
        let mut message = good.clone();
        changes.iter().for_each(|(at, byte)| message[*at] = *byte);
        message.truncate(end.max(length / 2));
        message
    });
    prop_oneof![near, prop::collection::vec(any::<u8>(), 0..600)]
}

fn web() -> Vec<u8> {
    Question::new("web.pvmlab.local", Rtype::A).message()
}

/// An answer with names that point back, of every section.
fn answer() -> Vec<u8> {
    let mut message = Question::new("example.com", Rtype::MX).message();
    message[2] = 0x84;
    message[7] = 1;
    message[9] = 1;
    message[11] = 2;
    message.extend(b"\xc0\x0c\0\x0f\0\x01\0\0\x0e\x10\0\x07\0\x0a\x02mx\xc0\x0c");
    message.extend(b"\xc0\x0c\0\x06\0\x01\0\0\x0e\x10\0\x16\0\0\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0\0\x04\0\0\0\x05");
    message.extend(b"\xc0\x2b\0\x01\0\x01\0\0\x0e\x10\0\x04\xc6\x33\x64\x07");
    message.extend(b"\0\0\x29\x10\0\0\0\0\0\0\0");
    message
}

fn handle(lab: &mut Lab, message: &[u8]) -> Vec<Action<u32>> {
    let client = Client { address: [10, 77, 0, 9].into(), transport: Transport::Udp };
    lab.engine.handle(message, client, 1, lab.now)
}

fn code(lab: &mut Lab, message: &[u8]) -> Rcode {
    let actions = handle(lab, message);
    let replies = replies(&actions);
    assert_eq!(replies.len(), 1);
    replies[0].1
}
