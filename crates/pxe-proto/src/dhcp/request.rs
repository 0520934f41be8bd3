//! A client's message, as far as the answer depends on it.

use std::net::Ipv4Addr;

use dhcproto::v4::borrowed::DhcpOptionIterator;
use lab_model::{Firmware, MacAddr};

use super::client::Classes;
use super::options::code;
use super::relay_agent::RelayAgent;
use super::{Client, Ignored, guard};

/// A DHCP client's message (RFC 2131 §2) that was found well formed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub(super) kind: RequestKind,
    pub(super) client: Client,
    pub(super) transaction: [u8; 4],
    pub(super) flags: u16,
    pub(super) client_address: Ipv4Addr,
    pub(super) relay: Ipv4Addr,
    pub(super) requested: Option<Ipv4Addr>,
    pub(super) server: Option<Ipv4Addr>,
    pub(super) max_size: Option<u16>,
    pub(super) subnet: Option<Ipv4Addr>,
    pub(super) relay_agent: RelayAgent,
}

/// What a client's message is (RFC 2131 §3.1, table 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RequestKind {
    /// DHCPDISCOVER: who is there, and what have you to offer?
    Discover,
    /// DHCPREQUEST: I want this address.
    Request,
    /// DHCPDECLINE: somebody uses this address already.
    Decline,
    /// DHCPRELEASE: I no longer need this address.
    Release,
    /// DHCPINFORM: I have an address, tell me the rest.
    Inform,
}

/// RFC 1700, ARP section: Ethernet.
const ETHERNET: u8 = 1;

/// RFC 2131 §2, figure 2: the client cannot receive unicast before it is configured.
const BROADCAST: u16 = 0x8000;

impl Request {
    /// Reads a datagram that arrived at the server's port.
    ///
    /// # Errors
    /// Why it is no message of a client on Ethernet.
    pub fn parse(bytes: &[u8]) -> Result<Self, Ignored> {
        let message = guard::admit(bytes)?;
        let hardware_type = u8::from(message.htype());
        let Ok(mac) = <[u8; 6]>::try_from(message.chaddr()) else {
            return Err(Ignored::NotEthernet { hardware_type, length: message.hlen() });
        };
        let mac = MacAddr::new(mac);
        if hardware_type != ETHERNET {
            return Err(Ignored::NotEthernet { hardware_type, length: message.hlen() });
        }
        if !mac.is_unicast() {
            return Err(Ignored::NotOneInterface(mac));
        }

        let options = Collected::of(bytes);
        let kind = match options.message_type.as_deref() {
            Some([1]) => RequestKind::Discover,
            Some([3]) => RequestKind::Request,
            Some([4]) => RequestKind::Decline,
            Some([7]) => RequestKind::Release,
            Some([8]) => RequestKind::Inform,
            Some(_) | None => return Err(Ignored::NoMessageType),
        };
        let firmware = Classes {
            vendor: options.vendor_class.as_deref(),
            user: options.user_class.as_deref(),
            architecture: options.architecture.as_deref(),
        }
        .firmware();
        Ok(Self {
            kind,
            client: Client { mac, firmware, identifier: options.client_id.filter(|id| !id.is_empty()) },
            transaction: message.xid().to_be_bytes(),
            flags: message.flags().into(),
            client_address: message.ciaddr(),
            relay: message.giaddr(),
            requested: address(code::REQUESTED_ADDRESS, options.requested)?.filter(|address| !address.is_unspecified()),
            server: address(code::SERVER, options.server)?,
            max_size: options.max_size.and_then(|data| Some(u16::from_be_bytes(data.try_into().ok()?))),
            subnet: address(code::SUBNET_SELECTION, options.subnet)?.filter(|address| !address.is_unspecified()),
            relay_agent: RelayAgent::parse(options.relay_agent.unwrap_or_default()),
        })
    }

    /// What the client wants.
    pub fn kind(&self) -> RequestKind {
        self.kind
    }

    /// The client's hardware address.
    pub fn mac(&self) -> MacAddr {
        self.client.mac
    }

    /// What asks.
    pub fn firmware(&self) -> Firmware {
        self.client.firmware
    }

    /// The relay agent's address (`giaddr`); 0.0.0.0 where the message came straight from the client.
    pub fn relay(&self) -> Ipv4Addr {
        self.relay
    }

    /// The address at which the client can be reached already; 0.0.0.0 where there is none.
    ///
    /// RFC 2131 §4.4.1, table 5: `ciaddr` means this only when a client renews, rebinds or asks for parameters; some set
    /// it elsewhere too.
    pub(super) fn address_in_use(&self) -> Ipv4Addr {
        let in_use = match self.kind {
            RequestKind::Request => self.server.is_none() && self.requested.is_none(),
            RequestKind::Inform => true,
            RequestKind::Discover | RequestKind::Decline | RequestKind::Release => false,
        };
        if in_use { self.client_address } else { Ipv4Addr::UNSPECIFIED }
    }

    /// The address that the client has, as far as it says so.
    pub(super) fn address_held(&self) -> Option<Ipv4Addr> {
        let held = match self.kind {
            RequestKind::Release => self.client_address,
            RequestKind::Request | RequestKind::Inform | RequestKind::Discover | RequestKind::Decline => {
                self.address_in_use()
            }
        };
        Some(held).filter(|address| !address.is_unspecified())
    }

    /// Whether the client cannot receive unicast before it is configured.
    pub(super) fn wants_broadcast(&self) -> bool {
        self.flags & BROADCAST != 0
    }
}

/// The options that matter, by what they mean; the first of each code counts.
#[derive(Default)]
struct Collected {
    message_type: Option<Vec<u8>>,
    requested: Option<Vec<u8>>,
    server: Option<Vec<u8>>,
    max_size: Option<Vec<u8>>,
    vendor_class: Option<Vec<u8>>,
    client_id: Option<Vec<u8>>,
    user_class: Option<Vec<u8>>,
    architecture: Option<Vec<u8>>,
    subnet: Option<Vec<u8>>,
    relay_agent: Option<Vec<u8>>,
    overload: Option<Vec<u8>>,
}

impl Collected {
    /// Reads the options of a message that the guard admitted, those in `file` and `sname` after the others (RFC 2131 §4.1).
    fn of(message: &[u8]) -> Self {
        let mut all = Self::default();
        all.read(&message[guard::HEADER..]);
        let overload = all.overload.take().unwrap_or_default();
        if matches!(overload[..], [1 | 3]) {
            all.read(&message[108..236]);
        }
        if matches!(overload[..], [2 | 3]) {
            all.read(&message[44..108]);
        }
        all
    }

    fn read(&mut self, area: &[u8]) {
        for option in DhcpOptionIterator::new(area) {
            let place = match u8::from(option.code()) {
                code::MESSAGE_TYPE => &mut self.message_type,
                code::REQUESTED_ADDRESS => &mut self.requested,
                code::SERVER => &mut self.server,
                code::MAX_SIZE => &mut self.max_size,
                code::VENDOR_CLASS => &mut self.vendor_class,
                code::CLIENT_ID => &mut self.client_id,
                code::USER_CLASS => &mut self.user_class,
                code::ARCHITECTURE => &mut self.architecture,
                code::SUBNET_SELECTION => &mut self.subnet,
                code::RELAY_AGENT => &mut self.relay_agent,
                code::OVERLOAD => &mut self.overload,
                _ => continue,
            };
            place.get_or_insert_with(|| option.data().to_vec());
        }
    }
}

/// The address in an option of four bytes. A malformed one must not pass for a missing one: what a DHCPREQUEST means
/// depends on which of the two it has (RFC 2131 §4.3.2).
fn address(code: u8, data: Option<Vec<u8>>) -> Result<Option<Ipv4Addr>, Ignored> {
    let Some(data) = data else { return Ok(None) };
    let bytes = <[u8; 4]>::try_from(data).map_err(|_| Ignored::MalformedOption(code))?;
    Ok(Some(bytes.into()))
}
