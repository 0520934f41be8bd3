//! A client's message, as far as the answer depends on it.

use std::net::Ipv4Addr;

use lab_model::{Arch, Firmware, MacAddr, MachineName};

use super::client::Classes;
use super::options::code;
use super::received::Received;
use super::relay_agent::RelayAgent;
use super::{Client, Ignored, guard, hostname};
use crate::firmware::Treatment;

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
    /// What the client calls itself.
    pub(super) hostname: Option<MachineName>,
    pub(super) options: Received,
    /// How its firmware is to be answered.
    pub(super) treatment: Treatment,
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

        let options = Received::of(bytes);
        let kind = match options.get(code::MESSAGE_TYPE) {
            Some([1]) => RequestKind::Discover,
            Some([3]) => RequestKind::Request,
            Some([4]) => RequestKind::Decline,
            Some([7]) => RequestKind::Release,
            Some([8]) => RequestKind::Inform,
            Some(_) | None => return Err(Ignored::NoMessageType),
        };
        let firmware = classes(&options).firmware();
        let identifier = options.get(code::CLIENT_ID).filter(|id| !id.is_empty()).map(<[u8]>::to_vec);
        Ok(Self {
            kind,
            client: Client { mac, firmware, identifier },
            transaction: message.xid().to_be_bytes(),
            flags: message.flags().into(),
            client_address: message.ciaddr(),
            relay: message.giaddr(),
            requested: address(code::REQUESTED_ADDRESS, &options)?.filter(|address| !address.is_unspecified()),
            server: address(code::SERVER, &options)?,
            max_size: options.get(code::MAX_SIZE).and_then(|data| Some(u16::from_be_bytes(data.try_into().ok()?))),
            subnet: address(code::SUBNET_SELECTION, &options)?.filter(|address| !address.is_unspecified()),
            relay_agent: RelayAgent::parse(options.get(code::RELAY_AGENT).unwrap_or_default()),
            hostname: hostname::read(options.get(code::CLIENT_FQDN), options.get(code::HOST_NAME)),
            options,
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

    /// The client's hardware address.
    pub fn mac(&self) -> MacAddr {
        self.client.mac
    }

    /// What asks.
    pub fn firmware(&self) -> Firmware {
        self.client.firmware
    }

    /// What the machine's processor executes, where it says so.
    pub(super) fn arch(&self) -> Option<Arch> {
        classes(&self.options).arch()
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

    /// What the client calls its kind (RFC 2132 §9.13).
    pub(crate) fn vendor_class(&self) -> Option<&[u8]> {
        self.options.get(code::VENDOR_CLASS)
    }

    /// The options that the client wants, most wanted first (RFC 2132 §9.8); `None` where it does not say.
    pub(super) fn wanted(&self) -> Option<&[u8]> {
        self.options.get(code::PARAMETER_REQUEST_LIST).filter(|codes| !codes.is_empty())
    }

    /// Whether the client cannot receive unicast before it is configured.
    pub(super) fn wants_broadcast(&self) -> bool {
        self.flags & BROADCAST != 0
    }
}

/// What the client says of itself.
fn classes(options: &Received) -> Classes<'_> {
    Classes {
        vendor: options.get(code::VENDOR_CLASS),
        user: options.get(code::USER_CLASS),
        architecture: options.get(code::ARCHITECTURE),
    }
}

/// The address in an option of four bytes. A malformed one must not pass for a missing one: what a DHCPREQUEST means
/// depends on which of the two it has (RFC 2131 §4.3.2).
fn address(code: u8, options: &Received) -> Result<Option<Ipv4Addr>, Ignored> {
    let Some(data) = options.get(code) else { return Ok(None) };
    let bytes = <[u8; 4]>::try_from(data).map_err(|_| Ignored::MalformedOption(code))?;
    Ok(Some(bytes.into()))
}
