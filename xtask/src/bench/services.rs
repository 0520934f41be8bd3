//! Whether a server answers by DHCP, DNS, TFTP and HTTP: a machine on the lab's network asks, over and over, until it does.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpStream, UdpSocket},
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use lab_tests::{NEIGHBOUR, SERVER};

use super::dhcp::message::{self, Question};

/// Asks for an address, the name [`NAME`], the file [`FILE`] and `page`; returns when the last of the four first answers came.
///
/// # Errors
/// One of them never comes.
pub(crate) fn all_answered(page: &str) -> Result<Instant> {
    let client = Client::new()?;
    let (mut dhcp, mut dns, mut tftp, mut http) = (false, false, false, false);
    let begun = Instant::now();
    while !(dhcp && dns && tftp && http) {
        ensure!(begun.elapsed() < LIMIT, "no answer: DHCP {dhcp}, DNS {dns}, TFTP {tftp}, HTTP {http}");
        dhcp = dhcp || client.is_offered();
        dns = dns || client.knows_the_name();
        tftp = tftp || client.gets_the_file();
        http = http || gets_page(page).unwrap_or(false);
    }
    Ok(Instant::now())
}

/// The end of its hardware address.
pub(crate) const CLIENT: u8 = 1;

/// A machine's, in the lab's domain.
pub(crate) const NAME: &str = "bench.pvmlab.local";

/// A boot program.
pub(crate) const FILE: &str = "ipxe-x86_64.efi";

struct Client {
    dhcp: UdpSocket,
    dns: UdpSocket,
    tftp: UdpSocket,
}

impl Client {
    fn new() -> Result<Self> {
        let [dhcp, dns, tftp] = [(Ipv4Addr::UNSPECIFIED, 68), (NEIGHBOUR, 0), (NEIGHBOUR, 0)].map(UdpSocket::bind);
        let (dhcp, dns, tftp) = (dhcp?, dns?, tftp?);
        dhcp.set_broadcast(true)?;
        for socket in [&dhcp, &dns, &tftp] {
            socket.set_read_timeout(Some(PATIENCE))?;
        }
        Ok(Self { dhcp, dns, tftp })
    }

    fn is_offered(&self) -> bool {
        let mut reply = [0; 1500];
        let sent = self.dhcp.send_to(&message::write(Question::Discover, CLIENT.into(), 1), (Ipv4Addr::BROADCAST, 67));
        sent.is_ok() && self.dhcp.recv(&mut reply).is_ok_and(|length| message::read(&reply[..length]).is_some())
    }

    fn knows_the_name(&self) -> bool {
        let mut question = b"pv\x01\0\0\x01\0\0\0\0\0\0".to_vec();
        for label in NAME.split('.') {
            question.push(label.len() as u8);
            question.extend(label.as_bytes());
        }
        question.extend(b"\0\0\x01\0\x01");
        let mut reply = [0; 512];
        let sent = self.dns.send_to(&question, (SERVER, 53));
        // One answer, and the code for no error (RFC 1035 §4.1.1).
        sent.is_ok() && self.dns.recv(&mut reply).is_ok() && reply[3] & 0x0f == 0 && reply[7] == 1
    }

    fn gets_the_file(&self) -> bool {
        let mut reply = [0; 1500];
        let sent = self.tftp.send_to(format!("\0\x01{FILE}\0octet\0").as_bytes(), (SERVER, 69));
        match self.tftp.recv_from(&mut reply) {
            Ok((_, server)) if sent.is_ok() && reply[..2] == TFTP_DATA => {
                // RFC 1350 §7: the transfer ends here, so that the server does not send the block again.
                let _ = self.tftp.send_to(b"\0\x05\0\0enough\0", server);
                true
            }
            Ok(_) | Err(_) => false,
        }
    }
}

fn gets_page(page: &str) -> Result<bool> {
    let mut stream = TcpStream::connect_timeout(&(SERVER, 80).into(), PATIENCE)?;
    stream.write_all(format!("GET {page} HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply)?;
    Ok(reply.starts_with("HTTP/1.1 200 "))
}

/// How long an answer may take before the question is asked again.
const PATIENCE: Duration = Duration::from_millis(2);
const LIMIT: Duration = Duration::from_secs(20);
/// RFC 1350 §5, opcode 3.
const TFTP_DATA: [u8; 2] = [0, 3];
