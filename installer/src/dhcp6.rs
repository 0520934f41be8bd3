//! The DHCPv6 client's messages (RFC 8415), and what is read out of the answers: one address, and how long it may be used.
//!
//! Deliberately not here: Release, because the installed system takes the same address over.

use std::net::Ipv6Addr;
use std::time::Duration;

use lab_model::{MacAddr, VENDOR_CLASS};

use crate::dhcp::Lifetime;

/// The client's port.
pub const CLIENT_PORT: u16 = 546;

/// The server's port.
pub const SERVER_PORT: u16 = 547;

/// All servers and relay agents of the link (RFC 8415 §7.1).
pub const SERVERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);

/// Who asks, and in which exchange.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    /// The interface's hardware address.
    pub mac: MacAddr,
    /// The number that ties answers to this exchange.
    pub transaction: [u8; 3],
    /// How long it has been asking (RFC 8415 §21.9).
    pub elapsed: Duration,
}

/// What a server gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The address.
    pub address: Ipv6Addr,
    /// The DUID of who gave it.
    pub server: Vec<u8>,
    /// How long it may be used; `None`: for ever.
    pub lifetime: Option<Lifetime>,
}

/// A server's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It would give this (Advertise).
    Offer(Lease),
    /// It gives this (Reply).
    Given(Lease),
    /// It gives nothing, with its own words.
    Refusal(String),
}

impl Client {
    /// Solicit, for whoever answers first.
    pub fn solicit(self) -> Vec<u8> {
        self.message(SOLICIT, None, &[(RAPID_COMMIT, &[])])
    }

    /// Request, for the server whose offer it is.
    pub fn request(self, offer: &Lease) -> Vec<u8> {
        self.message(REQUEST, Some(offer.address), &[(SERVER_ID, &offer.server)])
    }

    /// Renew, for the server that gave the lease.
    pub fn renew(self, lease: &Lease) -> Vec<u8> {
        self.message(RENEW, Some(lease.address), &[(SERVER_ID, &lease.server)])
    }

    /// Rebind, for any server.
    pub fn rebind(self, lease: &Lease) -> Vec<u8> {
        self.message(REBIND, Some(lease.address), &[])
    }

    /// RFC 8415 §11.4: DUID-LL, which is the same for every program on the machine that makes one.
    fn duid(self) -> [u8; 10] {
        let [a, b, c, d, e, f] = self.mac.bytes();
        [0, 3, 0, 1, a, b, c, d, e, f]
    }

    /// The name of the claim to an address: the machine has one.
    fn association(self) -> [u8; 4] {
        let [_, _, association @ ..] = self.mac.bytes();
        association
    }

    fn message(self, kind: u8, address: Option<Ipv6Addr>, options: &[(u16, &[u8])]) -> Vec<u8> {
        let [a, b, c] = self.transaction;
        let mut message = vec![kind, a, b, c];
        option(&mut message, CLIENT_ID, &self.duid());
        for (code, value) in options {
            option(&mut message, *code, value);
        }
        // RFC 8415 §21.4: the server chooses the times.
        let mut association = [&self.association()[..], &[0; 8]].concat();
        if let Some(address) = address {
            option(&mut association, IA_ADDRESS, &[&address.octets()[..], &[0; 8]].concat());
        }
        option(&mut message, IA_NA, &association);
        let hundredths = u16::try_from(self.elapsed.as_millis() / 10).unwrap_or(u16::MAX);
        option(&mut message, ELAPSED_TIME, &hundredths.to_be_bytes());
        let class = VENDOR_CLASS.as_bytes();
        option(&mut message, VENDOR_CLASS_OPTION, &[&ENTERPRISE.to_be_bytes(), &length(class)[..], class].concat());
        // RFC 8415 §18.2.1: a client asks at least for this.
        option(&mut message, REQUESTED_OPTIONS, &SOL_MAX_RT.to_be_bytes());
        message
    }

    /// Reads an answer; `None` for whatever is not meant for this exchange, or is no answer at all.
    pub fn read(self, packet: &[u8]) -> Option<Answer> {
        let (&[kind, ref transaction @ ..], options) = packet.split_first_chunk::<4>()?;
        let options = Options(options);
        if *transaction != self.transaction || options.find(CLIENT_ID)? != self.duid() {
            return None;
        }
        let server = options.find(SERVER_ID)?.to_vec();
        let lease = match self.lease(options, server) {
            Ok(lease) => lease?,
            Err(reason) => return Some(Answer::Refusal(reason)),
        };
        match kind {
            ADVERTISE => Some(Answer::Offer(lease)),
            REPLY => Some(Answer::Given(lease)),
            _ => None,
        }
    }

    /// The lease in an answer, or the words in which a server says that there is none.
    fn lease(self, options: Options<'_>, server: Vec<u8>) -> Result<Option<Lease>, String> {
        options.check()?;
        let Some((header, inside)) = options.find(IA_NA).and_then(|data| data.split_first_chunk::<12>()) else {
            return Err("it gives no address".to_owned());
        };
        if header[..4] != self.association() {
            return Ok(None);
        }
        let inside = Options(inside);
        inside.check()?;
        let Some((data, within)) = inside.find(IA_ADDRESS).and_then(|data| data.split_first_chunk::<24>()) else {
            return Err("it gives no address".to_owned());
        };
        Options(within).check()?;
        let [renew, rebind] = [4, 8].map(|at| seconds(&header[at..]));
        let [preferred, valid] = [16, 20].map(|at| seconds(&data[at..]));
        let address = Ipv6Addr::from(*data.first_chunk::<16>().expect("24 bytes begin with 16"));
        if valid == 0 || address.is_unspecified() || address.is_multicast() {
            return Err(format!("{address} is no address to use"));
        }
        // RFC 8415 §21.4: zero leaves a time to the client.
        let or = |time: u32, share: u64| {
            if time == 0 { u64::from(preferred) * share / 10 } else { u64::from(time) }
        };
        let lifetime = (valid != u32::MAX).then(|| Lifetime::new(or(renew, 5), or(rebind, 8), valid.into()));
        Ok(Some(Lease { address, server, lifetime }))
    }
}

fn option(message: &mut Vec<u8>, code: u16, value: &[u8]) {
    message.extend_from_slice(&code.to_be_bytes());
    message.extend_from_slice(&length(value));
    message.extend_from_slice(value);
}

/// Every value here is a constant, an address, or a DUID, which a server's datagram of 1500 bytes has brought.
fn length(value: &[u8]) -> [u8; 2] {
    (value.len() as u16).to_be_bytes()
}

fn seconds(bytes: &[u8]) -> u32 {
    bytes.first_chunk::<4>().map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

/// Options one after the other: those of a message, or those inside of one.
#[derive(Clone, Copy)]
struct Options<'a>(&'a [u8]);

impl<'a> Options<'a> {
    fn find(self, wanted: u16) -> Option<&'a [u8]> {
        let mut rest = self.0;
        while let Some((&[a, b, c, d], behind)) = rest.split_first_chunk::<4>() {
            let (value, after) = behind.split_at_checked(u16::from_be_bytes([c, d]).into())?;
            if u16::from_be_bytes([a, b]) == wanted {
                return Some(value);
            }
            rest = after;
        }
        None
    }

    /// RFC 8415 §21.13: a status that is not there is success.
    fn check(self) -> Result<(), String> {
        match self.find(STATUS).and_then(|data| data.split_first_chunk::<2>()) {
            None | Some(([0, 0], _)) => Ok(()),
            Some((code, [])) => Err(format!("status {}", u16::from_be_bytes(*code))),
            Some((_, words)) => Err(String::from_utf8_lossy(words).into_owned()),
        }
    }
}

/// RFC 5612 §2: the number for examples, since nobody has given this program's maker one.
const ENTERPRISE: u32 = 32473;

// RFC 8415 §7.3.
const SOLICIT: u8 = 1;
const ADVERTISE: u8 = 2;
const REQUEST: u8 = 3;
const RENEW: u8 = 5;
const REBIND: u8 = 6;
const REPLY: u8 = 7;

// RFC 8415 §21, by section: 2, 3, 4, 6, 7, 9, 13, 14, 16, 24.
const CLIENT_ID: u16 = 1;
const SERVER_ID: u16 = 2;
const IA_NA: u16 = 3;
const IA_ADDRESS: u16 = 5;
const REQUESTED_OPTIONS: u16 = 6;
const ELAPSED_TIME: u16 = 8;
const STATUS: u16 = 13;
const RAPID_COMMIT: u16 = 14;
const VENDOR_CLASS_OPTION: u16 = 16;
const SOL_MAX_RT: u16 = 82;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_names_the_offer_its_server_and_the_installer() {
        let request = CLIENT.request(&lease());

        assert_eq!(request[..4], [REQUEST, 1, 2, 3]);
        let options = Options(&request[4..]);
        assert_eq!(options.find(CLIENT_ID), Some(&[0, 3, 0, 1, 0x52, 0x54, 0, 0x12, 0x34, 0x56][..]));
        assert_eq!(options.find(SERVER_ID), Some(&SERVER[..]));
        let association = options.find(IA_NA).expect("an association");
        assert_eq!(association[..4], [0, 0x12, 0x34, 0x56]);
        let address = Options(&association[12..]).find(IA_ADDRESS).expect("an address");
        assert_eq!(address[..16], lease().address.octets());
        assert_eq!(options.find(ELAPSED_TIME), Some(&[0, 150][..]));
        assert!(options.find(VENDOR_CLASS_OPTION).expect("a class").ends_with(b"\0\x10pvmlab-installer"));
    }

    #[test]
    fn who_solicits_takes_what_is_given_at_once() {
        let solicit = CLIENT.solicit();

        assert_eq!(solicit[0], SOLICIT);
        assert_eq!(Options(&solicit[4..]).find(RAPID_COMMIT), Some(&[][..]));
        assert_eq!(Options(&solicit[4..]).find(SERVER_ID), None);
    }

    #[test]
    fn an_answer_becomes_a_lease() {
        assert_eq!(CLIENT.read(&answer(ADVERTISE, &given(30, 53, 60))), Some(Answer::Offer(lease())));
        assert_eq!(CLIENT.read(&answer(REPLY, &given(30, 53, 60))), Some(Answer::Given(lease())));
    }

    #[test]
    fn times_that_the_server_leaves_open_are_parts_of_its_lifetimes() {
        let times = |renew, rebind, valid| {
            let Some(Answer::Given(lease)) = CLIENT.read(&answer(REPLY, &given(renew, rebind, valid))) else {
                panic!("a lease");
            };
            lease.lifetime.map(|time| [time.renew, time.rebind, time.end].map(|time| time.as_secs()))
        };

        assert_eq!(times(0, 0, 100), Some([50, 80, 100]));
        assert_eq!(times(500, 400, 100), Some([100, 100, 100]));
        assert_eq!(times(0, 0, u32::MAX), None);
    }

    #[test]
    fn a_refusal_keeps_the_servers_words_wherever_they_are() {
        let status = |words: &[u8]| [&[0, 13, 0, words.len() as u8 + 2, 0, 2], words].concat();
        let mut inside = [&CLIENT.association()[..], &[0; 8]].concat();
        inside.extend_from_slice(&status(b"none left"));
        let mut in_association = Vec::new();
        option(&mut in_association, IA_NA, &inside);

        for (options, reason) in [
            (in_association, "none left"),
            (status(b"no \xff"), "no \u{fffd}"),
            (status(b""), "status 2"),
            (vec![], "it gives no address"),
            (given(1, 1, 0), "fd77::50 is no address to use"),
        ] {
            assert_eq!(CLIENT.read(&answer(REPLY, &options)), Some(Answer::Refusal(reason.to_owned())));
        }
    }

    #[test]
    fn answers_to_others_are_not_read() {
        let good = answer(REPLY, &given(30, 53, 60));
        let of_whom = 4 + 4;
        for at in [0, 1, 3, of_whom, of_whom + 9] {
            let mut packet = good.clone();
            packet[at] ^= 1;
            assert!(!matches!(CLIENT.read(&packet), Some(Answer::Given(_))), "byte {at}");
        }
    }

    #[test]
    fn no_length_of_an_answer_is_trusted() {
        let good = answer(REPLY, &given(30, 53, 60));
        for length in 0..good.len() {
            assert!(!matches!(CLIENT.read(&good[..length]), Some(Answer::Given(_))), "{length}");
        }
        for at in 0..good.len() {
            let mut packet = good.clone();
            packet[at] = 255;
            let _ = CLIENT.read(&packet);
        }
    }

    const CLIENT: Client = Client {
        mac: MacAddr::new([0x52, 0x54, 0, 0x12, 0x34, 0x56]),
        transaction: [1, 2, 3],
        elapsed: Duration::from_millis(1500),
    };

    const SERVER: [u8; 4] = [0, 4, 9, 9];

    fn lease() -> Lease {
        Lease {
            address: Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 0x50),
            server: SERVER.to_vec(),
            lifetime: Some(Lifetime::new(30, 53, 60)),
        }
    }

    fn answer(kind: u8, options: &[u8]) -> Vec<u8> {
        let mut packet = vec![kind, 1, 2, 3];
        option(&mut packet, CLIENT_ID, &CLIENT.duid());
        option(&mut packet, SERVER_ID, &SERVER);
        [packet, options.to_vec()].concat()
    }

    fn given(renew: u32, rebind: u32, valid: u32) -> Vec<u8> {
        let times = |times: [u32; 2]| times.map(u32::to_be_bytes).concat();
        let address = [&lease().address.octets()[..], &times([valid, valid])].concat();
        let mut association = [&CLIENT.association()[..], &times([renew, rebind])].concat();
        option(&mut association, IA_ADDRESS, &address);
        let mut options = Vec::new();
        option(&mut options, IA_NA, &association);
        options
    }
}
