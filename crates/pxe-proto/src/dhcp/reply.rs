//! A reply: its message byte by byte, and what goes with it.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use lab_model::{Firmware, MacAddr, What};

use super::boot_file::BootFile;
use super::layout::{Layout, Spare};
use super::options::{Options, code};
use super::{Destination, LeaseRecord, Refusal, Request, Settings, Subnet, guard};

/// A message to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// What it says.
    pub kind: ReplyKind,
    /// Whom it is for.
    pub mac: MacAddr,
    /// What asked.
    pub firmware: Firmware,
    /// The address that it is about: given, confirmed or refused.
    pub address: Ipv4Addr,
    /// The UDP payload, at least 300 bytes.
    pub message: Vec<u8>,
    /// Where it goes.
    pub destination: Destination,
    /// What must be on disk before the message is sent, so that a crash cannot give the address away twice.
    pub commit: Option<LeaseRecord>,
    /// What it means for the machine's boot. A lease that is only prolonged means nothing.
    pub event: Option<(MacAddr, What)>,
    /// What comes after that event: the class that says what the machine boots, where one does.
    pub class: Option<What>,
    /// The address that the link is to be asked about meanwhile, as for [`super::Action::Probe`]: it is the client's by reservation,
    /// so it is offered at once.
    pub probe: Option<Ipv4Addr>,
}

impl Reply {
    /// Whether it offers a URL to UEFI HTTP Boot, which takes one from nobody who does not call himself `HTTPClient` too.
    pub fn offers_url(&self) -> bool {
        let by_url = matches!(self.firmware, Firmware::HttpX64 | Firmware::HttpArm64);
        by_url
            && self.kind == ReplyKind::Offer
            && self.message.windows(HTTP_CLIENT.len()).any(|part| part == HTTP_CLIENT)
    }
}

/// Option 60 (UEFI 2.10 §24.7.3.1), with its length.
const HTTP_CLIENT: &[u8] = b"\x3c\x0aHTTPClient";

/// What a server's message says (RFC 2131 §3.1, table 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReplyKind {
    /// DHCPOFFER: this address is yours if you ask for it.
    Offer,
    /// DHCPACK: it is yours, or here are the parameters that you asked for.
    Ack,
    /// DHCPNAK: you cannot have it.
    Nak,
}

/// RFC 951 §3: a server's message.
const BOOT_REPLY: u8 = 2;

/// RFC 951 §3: some clients and relays drop messages shorter than BOOTP's.
const MIN_SIZE: usize = 300;

/// RFC 2131 §2: the IP datagram that every client must accept.
const EVERY_CLIENT_ACCEPTS: u16 = 576;

/// What an Ethernet frame carries. EDK2 says in its DHCPREQUEST that it accepts 65280, the bytes of its 255 swapped.
const ETHERNET_MTU: u16 = 1500;

/// An IPv4 header without options, and a UDP header: RFC 2132 §9.10 counts them.
const IP_AND_UDP: usize = 28;

/// What a client gets whether or not it asks for it: what RFC 2131 §4.3.1, table 3, has every message say, what comes back
/// as it was sent, and what a boot depends on.
const NEEDED: [u8; 13] = [
    code::MESSAGE_TYPE,
    code::SERVER,
    code::LEASE_TIME,
    code::RENEWAL_TIME,
    code::REBINDING_TIME,
    code::SUBNET_MASK,
    code::CLIENT_ID,
    code::SUBNET_SELECTION,
    code::VENDOR_CLASS,
    code::BOOT_FILE,
    code::IPXE,
    code::ROUTER,
    code::TFTP_SERVER,
];

/// What a reply tells a client that has, or gets, an address.
pub(super) struct Parameters<'a> {
    /// The server's own address.
    pub(super) server: Ipv4Addr,
    pub(super) subnet: &'a Subnet,
    /// The address in `yiaddr`, with the length of its lease in seconds; `None` in the answer to a DHCPINFORM.
    pub(super) lease: Option<(Ipv4Addr, u32)>,
    pub(super) hostname: Option<&'a str>,
    pub(super) boot: BootFile,
    /// What is said in place of what the server would say by itself; the first that sets an option counts.
    pub(super) settings: Vec<&'a Settings>,
}

/// Writes a DHCPOFFER or DHCPACK (RFC 2131 §4.3.1, table 3).
pub(super) fn message(kind: ReplyKind, request: &Request, parameters: &Parameters<'_>) -> Vec<u8> {
    let Parameters { server, subnet, lease, hostname, boot, settings } = parameters;
    let mut options = Options::default();
    options.push(code::MESSAGE_TYPE, &[kind.wire()]);
    options.push(code::SERVER, &identifier(*server, request).octets());
    if let Some((_, seconds)) = lease {
        options.push(code::LEASE_TIME, &seconds.to_be_bytes());
        // RFC 2131 §4.4.5: half, and seven eighths.
        options.push(code::RENEWAL_TIME, &(seconds / 2).to_be_bytes());
        options.push(code::REBINDING_TIME, &(seconds - seconds / 8).to_be_bytes());
    }
    options.push(code::SUBNET_MASK, &subnet.network.netmask().octets());
    echo(&mut options, request);
    match boot {
        BootFile::Http { .. } => options.push(code::VENDOR_CLASS, b"HTTPClient"),
        BootFile::Tftp { .. } => {
            if let Some(vendor_options) = request.treatment.vendor_options {
                options.push(code::VENDOR_CLASS, b"PXEClient");
                options.push(code::VENDOR, vendor_options);
            }
        }
        BootFile::None | BootFile::Script { .. } => {}
    }
    boot_file(&mut options, boot);
    if request.firmware() == Firmware::Ipxe {
        // `no-pxedhcp`, setting 176 within option 175: without it iPXE waits three seconds for a ProxyDHCP server.
        options.push(code::IPXE, &[176, 1, 1]);
    }
    if let Some(router) = subnet.router {
        options.push(code::ROUTER, &router.octets());
    }
    tftp_server(&mut options, boot);
    options.push(code::DNS, &subnet.dns.iter().flat_map(Ipv4Addr::octets).collect::<Vec<_>>());
    options.push(code::HOST_NAME, hostname.unwrap_or_default().as_bytes());
    options.push(code::DOMAIN, subnet.domain.as_deref().unwrap_or_default().as_bytes());
    if subnet.network.prefix() < 31 {
        options.push(code::BROADCAST, &subnet.network.broadcast().octets());
    }
    let set: BTreeMap<_, _> =
        settings.iter().rev().flat_map(|settings| settings.iter()).map(|setting| (setting.code, setting)).collect();
    set.values().for_each(|setting| options.set(setting.code, &setting.data));
    if let Some(wanted) = request.wanted() {
        let always = |code| set.get(&code).is_some_and(|setting| setting.is_always_sent);
        options.order(|code| NEEDED.contains(&code) || always(code), wanted);
    }

    let mut header = Header::of(request);
    if kind == ReplyKind::Ack {
        header.put(12, &request.address_in_use().octets());
    }
    if let Some((address, _)) = lease {
        header.put(16, &address.octets());
    }
    header.boot(boot);
    finish(header, &options, request)
}

/// Writes an answer that says what to boot and gives no address: a ProxyDHCP offer, or the acknowledgement of the boot server
/// (PXE 2.1).
///
/// Firmware differs in what it makes of such an offer. A BIOS's PXE, and iPXE, take the boot file from it if it says that
/// nothing else is to be asked for. EDK2 drops or mistakes offers with PXE's own options in some of its versions; without
/// them it asks the same again at port 4011, in all of them.
pub(super) fn directions(kind: ReplyKind, server: Ipv4Addr, request: &Request, boot: &BootFile) -> Vec<u8> {
    let firmware = request.firmware();
    let mut options = Options::default();
    options.push(code::MESSAGE_TYPE, &[kind.wire()]);
    options.push(code::SERVER, &server.octets());
    echo(&mut options, request);
    let class = match boot {
        BootFile::Http { .. } => &b"HTTPClient"[..],
        BootFile::None | BootFile::Tftp { .. } | BootFile::Script { .. } => b"PXEClient",
    };
    options.push(code::VENDOR_CLASS, class);
    // RFC 4578 §2.3 has it in every message of a client; PXE 2.1 wants it back.
    options.push(code::UUID, request.options.get(code::UUID).unwrap_or_default());
    if matches!(firmware, Firmware::Bios | Firmware::Ipxe) {
        options.push(code::VENDOR, request.treatment.vendor_options.unwrap_or(&BOOT_FILE_AS_OFFERED));
    }
    boot_file(&mut options, boot);
    tftp_server(&mut options, boot);
    let mut header = Header::of(request);
    header.put(12, &request.client_address.octets());
    header.boot(boot);
    finish(header, &options, request)
}

/// PXE_DISCOVERY_CONTROL (PXE 2.1, option 43, tag 6) with bit 3 set: the boot file is the one of the offer, without a prompt, a
/// menu, or the discovery of boot servers. The last byte ends PXE's options.
const BOOT_FILE_AS_OFFERED: [u8; 4] = [6, 1, 8, 255];

/// Writes a DHCPNAK (RFC 2131 §4.3.1, table 3), with the reason in words for whoever reads the client's log.
pub(super) fn refusal(server: Ipv4Addr, request: &Request, reason: Refusal) -> Vec<u8> {
    let mut options = Options::default();
    options.push(code::MESSAGE_TYPE, &[ReplyKind::Nak.wire()]);
    options.push(code::SERVER, &identifier(server, request).octets());
    echo(&mut options, request);
    options.push(code::MESSAGE, reason.to_string().as_bytes());
    let mut header = Header::of(request);
    if !request.relay().is_unspecified() {
        // RFC 2131 §4.3.2: the relay must not try to reach the client at an address that it cannot have.
        header.0[10] |= 0x80;
    }
    finish(header, &options, request)
}

/// What the client is to take for the server's address: RFC 5107 §4 lets a relay agent say that it is its own.
fn identifier(server: Ipv4Addr, request: &Request) -> Ipv4Addr {
    request.relay_agent.server.unwrap_or(server)
}

/// The boot file name, with a byte of padding behind it: EDK2 overwrites that byte with a zero to end the name, and would
/// take the next option's code for padding and its data for codes.
fn boot_file(options: &mut Options, boot: &BootFile) {
    match boot {
        BootFile::None => (),
        BootFile::Tftp { name, .. } => options.push_padded(code::BOOT_FILE, name.as_bytes()),
        BootFile::Http { url, .. } | BootFile::Script { url, .. } => {
            options.push_padded(code::BOOT_FILE, url.as_bytes());
        }
    }
}

/// Where TFTP is served, for firmware that looks there.
fn tftp_server(options: &mut Options, boot: &BootFile) {
    if let BootFile::Tftp { server, .. } = boot {
        options.push(code::TFTP_SERVER, server.to_string().as_bytes());
    }
}

/// What the client gets back as it sent it.
fn echo(options: &mut Options, request: &Request) {
    // RFC 6842 §3.
    options.push(code::CLIENT_ID, request.client.identifier.as_deref().unwrap_or_default());
    if let Some(subnet) = request.subnet {
        // RFC 3011 §2: whoever asks for a subnet drops an answer that does not say it.
        options.push(code::SUBNET_SELECTION, &subnet.octets());
    }
}

/// The fixed fields of a reply, with what they repeat of the request (RFC 2131 §4.3.1, table 3).
struct Header([u8; guard::HEADER]);

impl Header {
    fn of(request: &Request) -> Self {
        let mut header = Self([0; guard::HEADER]);
        header.put(0, &[BOOT_REPLY, 1, 6, 0]);
        header.put(4, &request.transaction);
        header.put(10, &request.flags.to_be_bytes());
        header.put(24, &request.relay().octets());
        header.put(28, &request.mac().bytes());
        header.put(236, &guard::COOKIE);
        header
    }

    /// The next server, and the name of what TFTP serves there.
    fn boot(&mut self, boot: &BootFile) {
        match boot {
            BootFile::None => (),
            BootFile::Tftp { server, name } => {
                self.put(20, &server.octets());
                // With its terminating zero.
                if name.len() < guard::FILE.len() {
                    self.put(guard::FILE.start, name.as_bytes());
                }
            }
            BootFile::Http { server, .. } | BootFile::Script { server, .. } => self.put(20, &server.octets()),
        }
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
    }
}

/// Puts the options into the message: no more than the client accepts, and the relay's own, which never reach it, last.
fn finish(header: Header, options: &Options, request: &Request) -> Vec<u8> {
    let most = usize::from(ETHERNET_MTU) - IP_AND_UDP;
    let accepted = usize::from(request.max_size.unwrap_or_default().clamp(EVERY_CLIENT_ACCEPTS, ETHERNET_MTU));
    let limit = accepted - IP_AND_UDP;
    let spare = Spare { file: header.0[guard::FILE].iter().all(|byte| *byte == 0) };
    let mut message = Vec::with_capacity(MIN_SIZE);
    message.extend_from_slice(&header.0);
    Layout::new(options, limit - guard::HEADER - 1, spare).write(&mut message);
    // RFC 3046 §2.2: echoed unchanged, behind all others; the relay takes it out again.
    let mut relay_agent = Options::default();
    relay_agent.push(code::RELAY_AGENT, &request.relay_agent.bytes);
    if message.len() + relay_agent.len() < most {
        relay_agent.iter().for_each(|option| option.write(&mut message));
    }
    message.push(code::END);
    if message.len() < MIN_SIZE {
        message.resize(MIN_SIZE, code::PAD);
    }
    message
}

impl ReplyKind {
    /// RFC 2132 §9.6.
    const fn wire(self) -> u8 {
        match self {
            Self::Offer => 2,
            Self::Ack => 5,
            Self::Nak => 6,
        }
    }
}
