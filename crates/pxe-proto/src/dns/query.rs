//! A client's question, as far as the answer depends on it.

use domain::base::iana::{Class, Opcode, OptRcode, Rcode, Rtype};
use domain::base::name::ToName as _;
use domain::base::opt::OptRecord;
use domain::base::{Header, Message};

use super::{Name, Transport, reply};

/// A question that can be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Query {
    pub(super) id: u16,
    pub(super) recursion_desired: bool,
    /// RFC 4035 §3.2.2.
    pub(super) checking_disabled: bool,
    /// As it was written: the answer repeats its case.
    pub(super) name: Name,
    pub(super) rtype: Rtype,
    /// What the client says of itself by EDNS (RFC 6891); nothing where it does not know that.
    pub(super) edns: Option<Edns>,
    pub(super) transport: Transport,
}

/// A client's EDNS (RFC 6891 §6.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Edns {
    /// How long a datagram it takes.
    pub(super) size: u16,
    /// Whether it wants signatures (RFC 3225).
    pub(super) dnssec_ok: bool,
}

/// What is no question that can be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Rejection {
    /// An answer, or too short for a header: nobody is told.
    Silent,
    /// The client is told by this message that it made no sense.
    Malformed(Vec<u8>),
    /// The client is told by this message that nobody gets that here.
    Refused(Vec<u8>),
}

/// RFC 1035 §4.2.1: what every client takes in a datagram.
const EVERY_CLIENT_TAKES: u16 = 512;

/// What crosses every network in one piece (DNS Flag Day 2020).
pub(super) const UNFRAGMENTED: u16 = 1232;

impl Query {
    /// Reads a message that a client sent.
    pub(super) fn parse(bytes: &[u8], transport: Transport) -> Result<Self, Rejection> {
        let message = Message::from_slice(bytes).map_err(|_| Rejection::Silent)?;
        let header = message.header();
        if header.qr() {
            return Err(Rejection::Silent);
        }
        if header.opcode() != Opcode::QUERY {
            return Err(Rejection::Refused(reply::header_only(header, Rcode::NOTIMP)));
        }
        let malformed = || Rejection::Malformed(reply::header_only(header, Rcode::FORMERR));
        let question = message.sole_question().map_err(|_| malformed())?;
        // A question has nothing before it that it could point to.
        if question.qname().is_compressed() {
            return Err(malformed());
        }
        let opt = one_opt(message).ok_or_else(malformed)?;
        let query = Self {
            id: header.id(),
            recursion_desired: header.rd(),
            checking_disabled: header.cd(),
            name: question.qname().to_vec(),
            rtype: question.qtype(),
            edns: opt.as_ref().map(|opt| Edns { size: opt.udp_payload_size(), dnssec_ok: opt.dnssec_ok() }),
            transport,
        };
        if opt.is_some_and(|opt| opt.version() > 0) {
            return Err(Rejection::Malformed(reply::bad_version(&query)));
        }
        // Other classes are of networks long gone, or ask a server about itself; and nobody copies the whole zone.
        if question.qclass() != Class::IN || is_meta(query.rtype) {
            return Err(Rejection::Refused(reply::empty(&query, Rcode::REFUSED)));
        }
        Ok(query)
    }

    /// How long the answer may be.
    pub(super) fn limit(&self) -> usize {
        match self.transport {
            Transport::Tcp => usize::from(u16::MAX),
            Transport::Udp => {
                let takes = self.edns.map_or(EVERY_CLIENT_TAKES, |edns| edns.size);
                usize::from(takes.clamp(EVERY_CLIENT_TAKES, UNFRAGMENTED))
            }
        }
    }

    /// Whether the client wants signatures.
    pub(super) fn dnssec_ok(&self) -> bool {
        self.edns.is_some_and(|edns| edns.dnssec_ok)
    }
}

/// The OPT record, where there is one; nothing at all where the records cannot be read, or there are several
/// (RFC 6891 §6.1.1).
fn one_opt(message: &Message<[u8]>) -> Option<Option<OptRecord<&[u8]>>> {
    let mut opts = 0;
    for record in message.additional().ok()? {
        opts += u8::from(record.ok()?.rtype() == Rtype::OPT);
    }
    match opts {
        0 => Some(None),
        1 => message.opt().map(Some),
        _ => None,
    }
}

/// Whether it is asked for something that is no record: transfers, what only requests carry, and what nobody has had for
/// decades (RFC 6895 §3.1). ANY is a question like others.
fn is_meta(rtype: Rtype) -> bool {
    (128..=254).contains(&rtype.to_int()) || rtype == Rtype::OPT || rtype.to_int() == 0
}

/// What a header says beyond its numbers, for those who answer it.
pub(super) fn answering(header: Header) -> Header {
    let mut answer = Header::new();
    answer.set_id(header.id());
    answer.set_qr(true);
    answer.set_opcode(header.opcode());
    answer.set_rd(header.rd());
    answer
}

/// RFC 6891 §6.1.3.
pub(super) const BAD_VERSION: OptRcode = OptRcode::BADVERS;
