//! A reply: its message byte by byte, and what goes with it.

use std::net::Ipv6Addr;

use lab_model::{Firmware, MacAddr, What};

use super::options::{self, code};
use super::request::{Association, NO_UPDATE, OVERRIDDEN, SERVER_UPDATES};
use super::{Config, Request, relay};
use crate::boot::Directions;
use crate::dhcp::LeaseRecord;
use crate::domain_name;

/// A message to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// What it is.
    pub kind: ReplyKind,
    /// Whom it is for.
    pub mac: MacAddr,
    /// What asked.
    pub firmware: Firmware,
    /// The address that it gives.
    pub address: Option<Ipv6Addr>,
    /// The UDP payload, for the relay that the request came from or for the client.
    pub message: Vec<u8>,
    /// What must be on disk before the message is sent, so that a crash cannot give the address away twice.
    pub commit: Option<LeaseRecord<Ipv6Addr>>,
    /// What it means for the machine's boot. A lease that is only prolonged means nothing.
    pub event: Option<(MacAddr, What)>,
}

/// What a server's message is (RFC 8415 §7.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReplyKind {
    /// This address is yours if you ask for it.
    Advertise,
    /// It is yours; or the answer to whatever else a client asked.
    Reply,
}

/// How a request ended, where more is to be said than what the options say (RFC 8415 §21.13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Success,
    NoAddresses,
    NoBinding,
    NotOnLink,
}

/// What a reply tells.
pub(super) struct Contents<'a> {
    pub(super) config: &'a Config,
    pub(super) grant: Grant,
    pub(super) status: Option<Status>,
    /// The machine's name, without its domain.
    pub(super) name: Option<&'a str>,
    pub(super) directions: Directions,
}

/// What becomes of the client's associations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grant {
    /// They are not mentioned.
    Nothing,
    /// The first one has this address, and no other.
    Address(Ipv6Addr),
    /// None of them has an address.
    Refused(Status),
}

/// RFC 8415 §21.8: the client need not wait for another server's offer.
const HIGHEST_PREFERENCE: u8 = 255;

/// Writes a message, wrapped for the relays that the request came through.
pub(super) fn message(kind: ReplyKind, request: &Request, contents: &Contents<'_>) -> Vec<u8> {
    let Contents { config, grant, status, name, directions } = contents;
    let mut message = vec![kind.wire()];
    message.extend(request.transaction);
    if !request.duid.is_empty() {
        options::push(&mut message, code::CLIENT_ID, &request.duid);
    }
    options::push(&mut message, code::SERVER_ID, &config.duid);
    // EDK2 reads the URL to the next zero byte: another option must follow, of which the first byte is one.
    let base = config.base;
    match directions {
        Directions::Nowhere => {}
        Directions::Tftp(program) => options::push(&mut message, code::BOOT_FILE_URL, base.tftp(*program).as_bytes()),
        Directions::Http(url) => {
            options::push(&mut message, code::BOOT_FILE_URL, url.as_bytes());
            let class = [&request.enterprise[..], &[0, 10], b"HTTPClient"].concat();
            options::push(&mut message, code::VENDOR_CLASS, &class);
        }
        Directions::Script(url) => options::push(&mut message, code::BOOT_FILE_URL, url.as_bytes()),
    }
    if kind == ReplyKind::Advertise && config.authoritative {
        options::push(&mut message, code::PREFERENCE, &[HIGHEST_PREFERENCE]);
    }
    if kind == ReplyKind::Reply && request.rapid_commit {
        options::push(&mut message, code::RAPID_COMMIT, &[]);
    }
    for (at, association) in request.associations.iter().enumerate() {
        let granted = match grant {
            Grant::Nothing => continue,
            Grant::Address(address) if at == 0 => Ok(*address),
            Grant::Address(_) => Err(Status::NoAddresses),
            Grant::Refused(status) => Err(*status),
        };
        options::push(&mut message, code::IA_NA, &association.answer(granted, config.seconds()));
    }
    if !config.dns.is_empty() {
        options::push(&mut message, code::DNS, &config.dns.iter().flat_map(Ipv6Addr::octets).collect::<Vec<_>>());
    }
    if let Some(domain) = config.domain.as_deref().and_then(domain_name::encode) {
        options::push(&mut message, code::DOMAINS, &domain);
    }
    if let Some(name) = name.filter(|_| request.wants_name).and_then(|name| full_name(name, config)) {
        options::push(&mut message, code::CLIENT_NAME, &[&[name_flags(request, config)][..], &name].concat());
    }
    if let Some(status) = status {
        options::push(&mut message, code::STATUS, &status.wire());
    }
    relay::wrap(&request.relays, message)
}

/// What is done for the name (RFC 4704 §6.1): our DNS has it lead to the address if there is one, whatever the client wished.
fn name_flags(request: &Request, config: &Config) -> u8 {
    let wished = request.name.as_ref().map(|name| name.asks_server);
    let done = if config.names { SERVER_UPDATES } else { NO_UPDATE };
    if wished.is_none_or(|wished| wished == config.names) { done } else { done | OVERRIDDEN }
}

fn full_name(name: &str, config: &Config) -> Option<Vec<u8>> {
    match &config.domain {
        Some(domain) => domain_name::encode(&format!("{name}.{domain}")),
        None => domain_name::encode(name),
    }
}

impl Association {
    /// The association as it is from now on; an address that the client names and cannot have any more ends at once.
    fn answer(&self, granted: Result<Ipv6Addr, Status>, seconds: u32) -> Vec<u8> {
        let mut data = self.id.to_vec();
        // RFC 8415 §21.4: half, and four fifths; after that the client asks anybody.
        let times = if granted.is_ok() { [seconds / 2, seconds / 5 * 4] } else { [0; 2] };
        data.extend(times.iter().flat_map(|seconds| seconds.to_be_bytes()));
        let mut address = |address: Ipv6Addr, seconds: u32| {
            let lifetimes = [seconds.to_be_bytes(); 2].concat();
            options::push(&mut data, code::IA_ADDRESS, &[&address.octets()[..], &lifetimes].concat());
        };
        match granted {
            Ok(own) => {
                address(own, seconds);
                self.addresses.iter().filter(|other| **other != own).for_each(|other| address(*other, 0));
            }
            Err(status) => options::push(&mut data, code::STATUS, &status.wire()),
        }
        data
    }
}

impl Config {
    /// The lease in seconds; the greatest number means for ever (RFC 8415 §7.7).
    fn seconds(&self) -> u32 {
        self.lease.as_secs().min(u64::from(u32::MAX - 1)) as u32
    }
}

impl ReplyKind {
    /// RFC 8415 §7.3.
    const fn wire(self) -> u8 {
        match self {
            Self::Advertise => 2,
            Self::Reply => 7,
        }
    }
}

impl Status {
    /// RFC 8415 §21.13: the code, and words for whoever reads the client's log.
    fn wire(self) -> Vec<u8> {
        let (code, words) = match self {
            Self::Success => (0_u16, ""),
            Self::NoAddresses => (2, "no address is left for this client"),
            Self::NoBinding => (3, "this client has no such address"),
            Self::NotOnLink => (4, "not an address of this network"),
        };
        [&code.to_be_bytes()[..], words.as_bytes()].concat()
    }
}
