//! Another name server's answer, ready to be passed on.

use domain::base::iana::{Rcode, Rtype};
use domain::base::{Header, HeaderCounts, Message, ParsedName};
use domain::dep::octseq::Parser;

use super::query::{Query, UNFRAGMENTED, answering};

/// What stands behind the question of an answer, as it came, without OPT.
///
/// Names in it may point back into the question, which has the same length whoever asks it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    rcode: Rcode,
    counts: [u16; 3],
    records: Vec<u8>,
    /// Where in `records` there is a time to live.
    ttls: Vec<u16>,
    /// How many seconds it can be kept; nothing where it is not to be kept.
    pub(super) lifetime: Option<u32>,
}

/// RFC 8767 §4: a TTL of more than some days is a mistake; nobody in a lab misses more than one.
const LONGEST: u32 = 86_400;

/// RFC 2308 §5: that there is nothing is believed for three hours at most.
const LONGEST_NEGATIVE: u32 = 10_800;

/// The header, before the question.
const HEADER: usize = 12;

/// The OPT record that an answer of ours ends with (RFC 6891 §6.1.2).
const OPT: usize = 11;

impl Answer {
    /// Reads the answer to a question of this type; nothing where it cannot be read.
    pub(super) fn read(bytes: &[u8], rtype: Rtype) -> Option<Self> {
        let message = Message::from_slice(bytes).ok()?;
        let (header, counted) = (message.header(), message.header_counts());
        let mut parser = Parser::from_ref(bytes);
        parser.advance(HEADER).ok()?;
        for _ in 0..counted.qdcount() {
            ParsedName::skip(&mut parser).ok()?;
            parser.advance(4).ok()?;
        }
        let begin = parser.pos();

        let mut answer =
            Self { rcode: header.rcode(), counts: [0; 3], records: Vec::new(), ttls: Vec::new(), lifetime: None };
        let (mut positive, mut negative, mut answered) = (LONGEST, None, false);
        let mut end = begin;
        let sections = [counted.ancount(), counted.nscount(), counted.arcount()];
        'sections: for (section, count) in sections.into_iter().enumerate() {
            for _ in 0..count {
                ParsedName::skip(&mut parser).ok()?;
                let kind = Rtype::from_int(parser.parse_u16_be().ok()?);
                // What comes behind OPT is signatures of the whole message, which no longer is what was signed.
                if kind == Rtype::OPT {
                    break 'sections;
                }
                parser.advance(2).ok()?;
                let at = parser.pos() - begin;
                let ttl = parser.parse_u32_be().ok()?;
                let length = usize::from(parser.parse_u16_be().ok()?);
                let data = parser.parse_octets(length).ok()?;
                // RFC 2181 §8: what has the highest bit counts as none.
                let ttl = if ttl > i32::MAX as u32 { 0 } else { ttl };
                if section == 0 {
                    positive = positive.min(ttl);
                    answered |= kind == rtype || rtype == Rtype::ANY;
                }
                if section == 1 && kind == Rtype::SOA {
                    // RFC 2308 §5: the lesser of the record's own time and its last field.
                    let minimum = data.last_chunk().map_or(0, |last| u32::from_be_bytes(*last));
                    negative = Some(ttl.min(minimum).min(LONGEST_NEGATIVE));
                }
                answer.counts[section] += 1;
                answer.ttls.push(u16::try_from(at).ok()?);
                end = parser.pos();
            }
        }
        answer.records = bytes[begin..end].to_vec();
        let denied = negative.map(|negative| negative.min(positive));
        let lifetime = match header.rcode() {
            Rcode::NOERROR if answered => Some(positive),
            Rcode::NOERROR | Rcode::NXDOMAIN => denied,
            _ => None,
        };
        answer.lifetime = lifetime.filter(|seconds| *seconds > 0);
        Some(answer)
    }

    /// How many bytes it takes here.
    pub(super) fn size(&self) -> usize {
        self.records.len() + 2 * self.ttls.len()
    }

    /// Writes it as the answer to this question, `age` seconds after it came. One that is too long for the client says so
    /// and nothing else (RFC 2181 §9).
    pub(super) fn write(&self, query: &Query, age: u32) -> Vec<u8> {
        let question = query.name.as_slice();
        let opt = if query.edns.is_some() { OPT } else { 0 };
        let length = HEADER + question.len() + 4 + self.records.len() + opt;
        let truncated = length > query.limit();

        let mut header = answering(Header::new());
        header.set_id(query.id);
        header.set_rd(query.recursion_desired);
        header.set_ra(true);
        header.set_cd(query.checking_disabled);
        header.set_tc(truncated);
        header.set_rcode(self.rcode);
        let mut counts = HeaderCounts::new();
        counts.set_qdcount(1);
        if !truncated {
            counts.set_ancount(self.counts[0]);
            counts.set_nscount(self.counts[1]);
            counts.set_arcount(self.counts[2]);
        }
        counts.set_arcount(counts.arcount() + u16::from(query.edns.is_some()));

        let mut message = Vec::with_capacity(length.min(query.limit()));
        message.extend_from_slice(header.as_slice());
        message.extend_from_slice(counts.as_slice());
        message.extend_from_slice(question);
        message.extend_from_slice(&query.rtype.to_int().to_be_bytes());
        message.extend_from_slice(&[0, 1]);
        if !truncated {
            let begin = message.len();
            message.extend_from_slice(&self.records);
            for at in &self.ttls {
                let at = begin + usize::from(*at);
                if let Some(place) = message[at..].first_chunk_mut() {
                    *place = u32::from_be_bytes(*place).saturating_sub(age).to_be_bytes();
                }
            }
        }
        if let Some(edns) = query.edns {
            let [high, low] = UNFRAGMENTED.to_be_bytes();
            let flags = if edns.dnssec_ok { 0x80 } else { 0 };
            message.extend_from_slice(&[0, 0, Rtype::OPT.to_int() as u8, high, low, 0, 0, flags, 0, 0, 0]);
        }
        message
    }
}
