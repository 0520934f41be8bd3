//! What is known here, as a message.

use std::net::{Ipv4Addr, Ipv6Addr};

use domain::base::iana::Rcode;
use domain::base::message_builder::{AdditionalBuilder, AnswerBuilder, StaticCompressor};
use domain::base::{Header, HeaderCounts, MessageBuilder, Serial, Ttl};
use domain::rdata::{A, Aaaa, Ns, Ptr, Soa};

use super::Name;
use super::query::{BAD_VERSION, Query, UNFRAGMENTED, answering};

/// What there is to say about a name by those who are responsible for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Whether there is such a name. A name may have nothing of the kind that was asked for.
    pub(super) exists: bool,
    /// What it has of that kind.
    pub(super) data: Vec<Data>,
    pub(super) authority: Authority,
}

/// What a name has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Data {
    A(Ipv4Addr),
    Aaaa(Ipv6Addr),
    Ptr(Name),
    /// The authority's server.
    Ns,
    /// The authority itself.
    Soa,
}

/// The zone that a name is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Authority {
    pub(super) apex: Name,
    pub(super) server: Name,
}

/// How long an address is believed: machines get another seldom, and are waited for when they do.
const TTL: Ttl = Ttl::from_secs(30);

/// How long it is believed that there is nothing (RFC 2308 §4): who waits for a new machine asks again and again.
const NEGATIVE_TTL: Ttl = Ttl::from_secs(5);

type Target = StaticCompressor<Vec<u8>>;

/// Writes a verdict as the answer to this question: the zone's SOA where there is nothing (RFC 2308 §3), and whoever is asked
/// is responsible.
pub(super) fn write(query: &Query, verdict: &Verdict) -> Vec<u8> {
    let Verdict { exists, data, authority } = verdict;
    let mut header = header(query, if *exists { Rcode::NOERROR } else { Rcode::NXDOMAIN });
    header.set_aa(true);
    let mut answer = begin(query, header);
    for data in data {
        let owner = &query.name;
        let pushed = match data {
            Data::A(address) => answer.push((owner, TTL, A::new(*address))),
            Data::Aaaa(address) => answer.push((owner, TTL, Aaaa::new(*address))),
            Data::Ptr(name) => answer.push((owner, TTL, Ptr::new(name))),
            Data::Ns => answer.push((owner, TTL, Ns::new(&authority.server))),
            Data::Soa => answer.push((owner, TTL, soa(authority))),
        };
        pushed.expect(ROOM);
    }
    let mut section = answer.authority();
    if data.is_empty() {
        section.push((&authority.apex, NEGATIVE_TTL, soa(authority))).expect(ROOM);
    }
    let message = finish(section.additional(), query);
    if message.len() <= query.limit() {
        return message;
    }
    header.set_tc(true);
    finish(begin(query, header).additional(), query)
}

/// An answer with this code and nothing else.
pub(super) fn empty(query: &Query, rcode: Rcode) -> Vec<u8> {
    finish(begin(query, header(query, rcode)).additional(), query)
}

/// RFC 6891 §6.1.3: the highest version that is known here is 0.
pub(super) fn bad_version(query: &Query) -> Vec<u8> {
    let mut message = begin(query, header(query, Rcode::NOERROR)).additional();
    let said = message.opt(|opt| {
        opt.set_udp_payload_size(UNFRAGMENTED);
        opt.set_rcode(BAD_VERSION);
        Ok(())
    });
    said.expect(ROOM);
    message.finish().into_target()
}

/// An answer to a message whose question cannot be read, or is none.
pub(super) fn header_only(header: Header, rcode: Rcode) -> Vec<u8> {
    let mut answer = answering(header);
    answer.set_rcode(rcode);
    [answer.as_slice(), HeaderCounts::new().as_slice()].concat()
}

/// Why what is written here always fits: into memory, and into a message, whose end is checked afterwards.
const ROOM: &str = "a vector has room for a few records";

fn header(query: &Query, rcode: Rcode) -> Header {
    let mut header = Header::new();
    header.set_id(query.id);
    header.set_qr(true);
    header.set_rd(query.recursion_desired);
    header.set_ra(true);
    header.set_cd(query.checking_disabled);
    header.set_rcode(rcode);
    header
}

fn begin(query: &Query, header: Header) -> AnswerBuilder<Target> {
    let mut message = MessageBuilder::from_target(StaticCompressor::new(Vec::with_capacity(512))).expect(ROOM);
    *message.header_mut() = header;
    let mut message = message.question();
    message.push((&query.name, query.rtype)).expect(ROOM);
    message.answer()
}

/// RFC 6891 §6.1.1: who speaks EDNS is answered with it.
fn finish(mut message: AdditionalBuilder<Target>, query: &Query) -> Vec<u8> {
    if let Some(edns) = query.edns {
        let said = message.opt(|opt| {
            opt.set_udp_payload_size(UNFRAGMENTED);
            opt.set_dnssec_ok(edns.dnssec_ok);
            Ok(())
        });
        said.expect(ROOM);
    }
    message.finish().into_target()
}

/// RFC 6303 §3: nobody reads mail about it, and there is nobody who copies the zone and would look at the other numbers.
fn soa(authority: &Authority) -> Soa<Name> {
    let nobody = Name::vec_from_str("nobody.invalid").expect("a short name");
    let (refresh, retry, expire) = (Ttl::from_secs(3600), Ttl::from_secs(1200), Ttl::from_secs(604_800));
    Soa::new(authority.server.clone(), nobody, Serial(1), refresh, retry, expire, NEGATIVE_TTL)
}
