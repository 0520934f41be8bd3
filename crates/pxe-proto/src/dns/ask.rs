//! A question to another name server.

use std::net::SocketAddr;
use std::time::Duration;

use domain::base::iana::{Opcode, Rcode, Rtype};
use domain::base::name::ToName as _;
use domain::base::{Message, MessageBuilder};

use super::Name;
use super::query::UNFRAGMENTED;

/// What carries a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// RFC 1035 §4.2.1.
    Udp,
    /// RFC 1035 §4.2.2 and RFC 7766: each message behind its length in two bytes.
    Tcp,
}

/// A question that is to be sent to another name server, from a port of its own (RFC 5452 §9.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Whom to ask.
    pub upstream: SocketAddr,
    /// By what.
    pub transport: Transport,
    /// How long to listen for the answer at most; when to lose patience is decided here.
    pub limit: Duration,
    pub(super) pending: u64,
    pub(super) name: Name,
    pub(super) rtype: Rtype,
    pub(super) checking_disabled: bool,
    pub(super) dnssec_ok: bool,
    /// Without it for a server that finds EDNS malformed (RFC 6891 §7).
    pub(super) edns: bool,
}

impl Ask {
    /// The message; `id` is to be nobody's guess (RFC 5452 §9.2).
    pub fn message(&self, id: u16) -> Vec<u8> {
        let mut message = MessageBuilder::new_vec();
        let header = message.header_mut();
        header.set_id(id);
        header.set_rd(true);
        header.set_cd(self.checking_disabled);
        let mut message = message.question();
        message.push((&self.name, self.rtype)).expect("a vector has room for one question");
        let mut message = message.additional();
        if self.edns {
            let said = message.opt(|opt| {
                opt.set_udp_payload_size(UNFRAGMENTED);
                opt.set_dnssec_ok(self.dnssec_ok);
                Ok(())
            });
            said.expect("a vector has room for one record");
        }
        message.finish()
    }

    /// Whether a message answers this question as it was sent under this number (RFC 5452 §9.1); what does not is to be
    /// waited past.
    pub fn is_answered_by(&self, bytes: &[u8], id: u16) -> bool {
        let Ok(message) = Message::from_slice(bytes) else { return false };
        let header = message.header();
        if !header.qr() || header.id() != id || header.opcode() != Opcode::QUERY {
            return false;
        }
        // A server that could not read the question need not repeat it.
        if message.header_counts().qdcount() == 0 {
            return !matches!(header.rcode(), Rcode::NOERROR | Rcode::NXDOMAIN);
        }
        message.sole_question().is_ok_and(|question| {
            question.qname().name_eq(&self.name) && question.qtype() == self.rtype && !question.qname().is_compressed()
        })
    }
}
