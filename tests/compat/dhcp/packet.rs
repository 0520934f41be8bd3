//! What clients send, field by field, and what servers answer.

use std::net::Ipv4Addr;

pub(crate) const DISCOVER: u8 = 1;
pub(crate) const REQUEST: u8 = 3;
pub(crate) const DECLINE: u8 = 4;
pub(crate) const RELEASE: u8 = 7;
pub(crate) const INFORM: u8 = 8;

/// An Ethernet address.
pub(crate) type Mac = [u8; 6];

/// The client with this number.
pub(crate) const fn mac(number: u8) -> Mac {
    [0x52, 0x54, 0, 0, 0, number]
}

/// A client's message (RFC 2131 §2).
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    bytes: Vec<u8>,
    /// Where it is sent from; nowhere while the client has no address.
    pub(crate) from: (Ipv4Addr, u16),
    /// Whom it is sent to.
    pub(crate) to: Ipv4Addr,
}

impl Packet {
    /// A broadcast of a client without an address that asks for what clients ask for.
    pub(crate) fn new(kind: u8, mac: Mac) -> Self {
        Self::bare(mac).option(53, &[kind]).option(55, &[1, 3, 6, 15, 51])
    }

    /// The fixed fields and the cookie alone.
    pub(crate) fn bare(mac: Mac) -> Self {
        let mut bytes = vec![0; 240];
        bytes[..4].copy_from_slice(&[1, 1, 6, 0]);
        bytes[28..34].copy_from_slice(&mac);
        bytes[236..].copy_from_slice(&[0x63, 0x82, 0x53, 0x63]);
        Self { bytes, from: (Ipv4Addr::UNSPECIFIED, 68), to: Ipv4Addr::BROADCAST }
    }

    /// Takes up an offer (RFC 2131 §4.3.2, SELECTING).
    pub(crate) fn select(mac: Mac, address: Ipv4Addr, server: Ipv4Addr) -> Self {
        Self::new(REQUEST, mac).option(50, &address.octets()).option(54, &server.octets())
    }

    /// Asks for a remembered address (INIT-REBOOT).
    pub(crate) fn reboot(mac: Mac, address: Ipv4Addr) -> Self {
        Self::new(REQUEST, mac).option(50, &address.octets())
    }

    /// Asks anybody to go on using an address (REBINDING).
    pub(crate) fn rebind(mac: Mac, address: Ipv4Addr) -> Self {
        Self::new(REQUEST, mac).held(address)
    }

    /// The client has this address.
    pub(crate) fn held(mut self, address: Ipv4Addr) -> Self {
        self.bytes[12..16].copy_from_slice(&address.octets());
        self.from = (address, 68);
        self
    }

    /// It is sent to this server alone.
    pub(crate) fn to(self, server: Ipv4Addr) -> Self {
        Self { to: server, ..self }
    }

    /// It comes by this relay agent.
    pub(crate) fn relayed(mut self, relay: Ipv4Addr, server: Ipv4Addr) -> Self {
        self.bytes[3] = 1;
        self.bytes[24..28].copy_from_slice(&relay.octets());
        Self { from: (relay, 67), to: server, ..self }
    }

    /// The client asks for replies by broadcast (RFC 2131 §4.1).
    pub(crate) fn broadcast(mut self) -> Self {
        self.bytes[10] = 0x80;
        self
    }

    /// With the option, in the place of one of the same code.
    pub(crate) fn option(mut self, code: u8, data: &[u8]) -> Self {
        let mut at = 240;
        while at < self.bytes.len() && self.bytes[at] != code {
            at += 2 + usize::from(self.bytes[at + 1]);
        }
        if at < self.bytes.len() {
            let end = at + 2 + usize::from(self.bytes[at + 1]);
            self.bytes.drain(at..end);
        }
        self.bytes.extend([code, data.len() as u8]);
        self.bytes.extend(data);
        self
    }

    /// As it is sent, under this transaction number.
    pub(crate) fn message(&self, transaction: u32) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        bytes[4..8].copy_from_slice(&transaction.to_be_bytes());
        bytes.push(255);
        bytes.resize(bytes.len().max(300), 0);
        bytes
    }
}

/// A server's answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    message: Vec<u8>,
    options: Vec<(u8, Vec<u8>)>,
    /// The address that it was sent to.
    pub(crate) destination: Ipv4Addr,
    /// And the port.
    pub(crate) port: u16,
}

impl Answer {
    /// Reads it; `None` for what is no answer.
    pub(crate) fn read(message: &[u8], destination: Ipv4Addr, port: u16) -> Option<Self> {
        let mut rest = message.get(240..).filter(|_| message[0] == 2)?;
        let mut options = Vec::new();
        while let [code, after @ ..] = rest {
            match code {
                0 => rest = after,
                255 => break,
                code => {
                    let (length, after) = after.split_first()?;
                    let (data, after) = after.split_at_checked(usize::from(*length))?;
                    options.push((*code, data.to_vec()));
                    rest = after;
                }
            }
        }
        Some(Self { message: message.to_vec(), options, destination, port })
    }

    pub(crate) fn transaction(&self) -> u32 {
        u32::from_be_bytes(self.field(4))
    }

    /// `OFFER`, `ACK`, `NAK`.
    pub(crate) fn kind(&self) -> &'static str {
        match self.option(53) {
            Some([2]) => "OFFER",
            Some([5]) => "ACK",
            Some([6]) => "NAK",
            _ => "no DHCP",
        }
    }

    /// The address that the client is given.
    pub(crate) fn yours(&self) -> Ipv4Addr {
        self.field(16).into()
    }

    /// The server that the client boots from next.
    pub(crate) fn next_server(&self) -> Ipv4Addr {
        self.field(20).into()
    }

    /// The field `file`, up to its end.
    pub(crate) fn file(&self) -> String {
        text(&self.message[108..236])
    }

    pub(crate) fn has_broadcast_flag(&self) -> bool {
        self.message[10] & 0x80 != 0
    }

    pub(crate) fn option(&self, code: u8) -> Option<&[u8]> {
        self.options.iter().find(|(other, _)| *other == code).map(|(_, data)| &data[..])
    }

    /// An option as text.
    pub(crate) fn text(&self, code: u8) -> Option<String> {
        self.option(code).map(text)
    }

    /// The options' codes, in the order in which they are sent.
    pub(crate) fn codes(&self) -> Vec<u8> {
        self.options.iter().map(|(code, _)| *code).collect()
    }

    pub(crate) fn length(&self) -> usize {
        self.message.len()
    }

    fn field<const N: usize>(&self, at: usize) -> [u8; N] {
        *self.message[at..].first_chunk().expect("a message has all fixed fields")
    }
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}
