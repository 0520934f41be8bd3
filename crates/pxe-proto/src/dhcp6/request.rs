//! A client's message, as far as the answer depends on it.

use std::borrow::Cow;
use std::net::Ipv6Addr;

use lab_model::{Firmware, Inventory, MacAddr, MachineName};

use super::Ignored;
use super::client::{self, Client, LONGEST_DUID};
use super::options::{self, code};
use super::relay::{self, Relay};
use crate::dhcp::client::Classes;
use crate::dhcp::hostname;
use crate::firmware::Treatment;

/// A DHCPv6 client's message (RFC 8415 §8) that was found well formed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub(super) kind: RequestKind,
    pub(super) client: Client,
    pub(super) duid: Vec<u8>,
    pub(super) transaction: [u8; 3],
    pub(super) server: Option<Vec<u8>>,
    pub(super) associations: Vec<Association>,
    pub(super) rapid_commit: bool,
    pub(super) wants_name: bool,
    /// What the client says of its name.
    pub(super) name: Option<ClientName>,
    /// Whose vendor class the client has: it wants an answer of the same (UEFI 2.10 §24.7.3.1).
    pub(super) enterprise: [u8; 4],
    pub(super) relays: Vec<Relay>,
    /// How its firmware is to be answered.
    pub(super) treatment: Treatment,
}

/// What a client calls its claim to an address (IA_NA, RFC 8415 §21.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Association {
    pub(super) id: [u8; 4],
    /// The addresses that it names.
    pub(super) addresses: Vec<Ipv6Addr>,
}

/// What a client's message is (RFC 8415 §7.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RequestKind {
    /// Who is there, and what have you to offer?
    Solicit,
    /// I want this address.
    Request,
    /// Am I on the link that my addresses are of?
    Confirm,
    /// I want to keep the address that I have from you.
    Renew,
    /// I want to keep the address that I have from anybody.
    Rebind,
    /// I no longer need this address.
    Release,
    /// Somebody uses this address already.
    Decline,
    /// I need no address: tell me the rest.
    Information,
}

/// More than a client's message has, wrapped by relays: Ethernet carries 1500.
const LONGEST: usize = 4096;

/// RFC 8415 §8: type and transaction.
const HEADER: usize = 4;

/// Machines have one, and some a second one for another program.
const MOST_ASSOCIATIONS: usize = 8;

/// Intel's enterprise number, which UEFI uses for its own (UEFI 2.10 §24.7.3.1 names none).
const UEFI: [u8; 4] = 343_u32.to_be_bytes();

/// The user class by which iPXE says that it needs a script.
const IPXE: &[u8] = b"iPXE";

impl Request {
    /// Reads a datagram that arrived at the server's port from `sender`.
    ///
    /// # Errors
    /// Why it is no message of a client.
    pub fn parse(datagram: &[u8], sender: Ipv6Addr) -> Result<Self, Ignored> {
        if datagram.len() > LONGEST {
            return Err(Ignored::TooLong(datagram.len()));
        }
        let (relays, message) = relay::unwrap(datagram)?;
        let sender = relays.last().map_or(sender, |relay| relay.peer);
        let (header, rest) = message.split_at_checked(HEADER).ok_or(Ignored::TooShort(message.len()))?;
        let kind = RequestKind::of(header[0])?;
        let collected = Collected::of(&options::read(rest)?)?;
        kind.check(&collected)?;

        let duid = collected.duid.unwrap_or_default();
        let (mac, shows_hardware) = client::identify(duid, sender, relays.last().and_then(|relay| relay.hardware));
        let firmware = collected.firmware();
        Ok(Self {
            kind,
            client: Client { mac, shows_hardware, firmware },
            duid: duid.to_vec(),
            transaction: [header[1], header[2], header[3]],
            server: collected.server.map(<[u8]>::to_vec),
            rapid_commit: collected.rapid_commit && kind == RequestKind::Solicit,
            wants_name: collected.wants_name,
            name: collected.name,
            enterprise: collected.vendor_class.and_then(|class| class.first_chunk().copied()).unwrap_or(UEFI),
            associations: collected.associations,
            relays,
            treatment: Treatment::default(),
        })
    }

    /// Has the client's firmware answered in this way.
    pub fn treat(&mut self, treatment: Treatment) {
        self.treatment = treatment;
    }

    /// What the client wants.
    pub fn kind(&self) -> RequestKind {
        self.kind
    }

    /// The client's hardware address, or what stands in for it.
    pub fn mac(&self) -> MacAddr {
        self.client.mac
    }

    /// What asks.
    pub fn firmware(&self) -> Firmware {
        self.client.firmware
    }

    /// Whether the message came through relay agents: then the answer goes to the nearest one's port.
    pub fn is_relayed(&self) -> bool {
        !self.relays.is_empty()
    }

    /// The request of a machine that the inventory knows by what the client says of itself.
    pub(super) fn known_to(&self, inventory: &Inventory) -> Cow<'_, Self> {
        match self.client.known_to(inventory, &self.duid) {
            Some(client) => Cow::Owned(Self { client, ..self.clone() }),
            None => Cow::Borrowed(self),
        }
    }

    /// What the client calls itself, where it wants to be found by that.
    pub(super) fn own_name(&self) -> Option<&MachineName> {
        self.name.as_ref().filter(|name| !name.asks_nobody)?.name.as_ref()
    }

    /// The link that the client is on, as the relay nearest to it has it; `None` where no relay says (RFC 8415 §13.1).
    pub(super) fn link(&self) -> Option<Ipv6Addr> {
        self.relays.iter().rev().map(|relay| relay.link).find(|link| !link.is_unspecified())
    }

    /// Every address that it names.
    pub(super) fn addresses(&self) -> impl Iterator<Item = Ipv6Addr> {
        self.associations.iter().flat_map(|association| association.addresses.iter().copied())
    }
}

impl RequestKind {
    fn of(message_type: u8) -> Result<Self, Ignored> {
        match message_type {
            1 => Ok(Self::Solicit),
            3 => Ok(Self::Request),
            4 => Ok(Self::Confirm),
            5 => Ok(Self::Renew),
            6 => Ok(Self::Rebind),
            8 => Ok(Self::Release),
            9 => Ok(Self::Decline),
            11 => Ok(Self::Information),
            other => Err(Ignored::NotForServers(other)),
        }
    }

    /// RFC 8415 §16.2 to §16.12: who must be named, and who must not.
    fn check(self, collected: &Collected<'_>) -> Result<(), Ignored> {
        if collected.duid.is_none() && self != Self::Information {
            return Err(Ignored::NoClient);
        }
        match self {
            Self::Solicit | Self::Confirm | Self::Rebind if collected.server.is_some() => Err(Ignored::NeedlessServer),
            Self::Request | Self::Renew | Self::Release | Self::Decline if collected.server.is_none() => {
                Err(Ignored::NoServer)
            }
            _ => Ok(()),
        }
    }
}

/// Option 39 (RFC 4704 §4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ClientName {
    /// What the client calls itself, as far as that can be a machine's name. The domain behind it is not its own to choose.
    pub(super) name: Option<MachineName>,
    /// S: the server is to have the name lead to the address.
    pub(super) asks_server: bool,
    /// N: the server is to do nothing for the name.
    pub(super) asks_nobody: bool,
}

impl ClientName {
    fn read(data: &[u8]) -> Option<Self> {
        let (flags, name) = data.split_first()?;
        Some(Self {
            name: hostname::encoded(name),
            asks_server: flags & SERVER_UPDATES != 0,
            asks_nobody: flags & NO_UPDATE != 0,
        })
    }
}

/// RFC 4704 §4.1, S: the server has the name lead to the address.
pub(super) const SERVER_UPDATES: u8 = 0x01;

/// RFC 4704 §4.1, O: the server does otherwise than the client wished.
pub(super) const OVERRIDDEN: u8 = 0x02;

/// RFC 4704 §4.1, N: the server does nothing for the name.
pub(super) const NO_UPDATE: u8 = 0x04;

/// The options that matter, by what they mean; the first of each code counts.
#[derive(Default)]
struct Collected<'a> {
    duid: Option<&'a [u8]>,
    server: Option<&'a [u8]>,
    associations: Vec<Association>,
    rapid_commit: bool,
    wants_name: bool,
    name: Option<ClientName>,
    user_class: Option<&'a [u8]>,
    vendor_class: Option<&'a [u8]>,
    architecture: Option<&'a [u8]>,
}

impl<'a> Collected<'a> {
    fn of(options: &[(u16, &'a [u8])]) -> Result<Self, Ignored> {
        let mut all = Self::default();
        for &(code, data) in options {
            match code {
                code::CLIENT_ID | code::SERVER_ID => {
                    if data.is_empty() || data.len() > LONGEST_DUID {
                        return Err(Ignored::MalformedOption(code));
                    }
                    let place = if code == code::CLIENT_ID { &mut all.duid } else { &mut all.server };
                    place.get_or_insert(data);
                }
                code::IA_NA if all.associations.len() < MOST_ASSOCIATIONS => {
                    all.associations.push(Association::read(data)?);
                }
                code::RAPID_COMMIT => all.rapid_commit = true,
                code::CLIENT_NAME => {
                    all.wants_name = true;
                    all.name = all.name.take().or_else(|| ClientName::read(data));
                }
                code::REQUESTED => {
                    let name = code::CLIENT_NAME.to_be_bytes();
                    all.wants_name |= data.chunks_exact(2).any(|code| code == name);
                }
                code::USER_CLASS => _ = all.user_class.get_or_insert(data),
                code::VENDOR_CLASS => _ = all.vendor_class.get_or_insert(data),
                code::ARCHITECTURE => _ = all.architecture.get_or_insert(data),
                _ => {}
            }
        }
        Ok(all)
    }

    /// The kind of program that says this of itself, by the same words as in IPv4, which only have another wrapping.
    fn firmware(&self) -> Firmware {
        let user = options::classes(self.user_class.unwrap_or_default());
        // RFC 8415 §21.16: the classes are behind the number of the enterprise that gave them.
        let vendor = options::classes(self.vendor_class.and_then(|class| class.get(4..)).unwrap_or_default());
        Classes {
            vendor: vendor.first().copied(),
            user: user.into_iter().find(|class| *class == IPXE),
            architecture: self.architecture,
        }
        .firmware()
    }
}

impl Association {
    fn read(data: &[u8]) -> Result<Self, Ignored> {
        let malformed = Ignored::MalformedOption(code::IA_NA);
        // RFC 8415 §21.4: its name and two times.
        let (header, rest) = data.split_at_checked(12).ok_or(malformed)?;
        let id = [header[0], header[1], header[2], header[3]];
        let addresses = options::read(rest)?.into_iter().filter(|(code, _)| *code == code::IA_ADDRESS);
        let addresses = addresses.map(|(_, data)| {
            let octets = data.first_chunk::<16>().filter(|_| data.len() >= 24);
            octets.map(|octets| Ipv6Addr::from(*octets)).ok_or(Ignored::MalformedOption(code::IA_ADDRESS))
        });
        Ok(Self { id, addresses: addresses.collect::<Result<_, _>>()? })
    }
}
