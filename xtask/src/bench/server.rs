//! `cargo xtask bench server`: memory while idle, and the time from exec to the first answers.
//!
//! A neighbour on the lab's network asks for an address, a name, a file and a page, over and over from before the server is
//! started; the time is that of the last of the four first answers.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpStream, UdpSocket},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, ensure};
use lab_model::{Arch, MacAddr};
use lab_tests::{Lab, NEIGHBOUR, SERVER, Service, Supplies};

use super::report::{Column, Report, Target};
use crate::supplies;

/// Starts the server `runs` times.
///
/// # Errors
/// This process may not make a network, or the server does not answer.
pub(crate) fn measure(runs: u8, supplies: &Supplies) -> Result<Report> {
    let lab = Lab::start(Service::Network, supplies)?;
    let mut definition = lab.target("bench".parse()?, Arch::X86_64, MAC, supplies::image());
    definition.ip = "10.77.0.10".to_owned();
    lab.define(&definition)?;

    let (mut starts, mut memory) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        starts.push(start(&lab)?.as_secs_f64() * 1e3);
        memory.push(proportional_set_size(lab.server_id().context("the server ended")?)?);
    }

    let (starts, memory) = (Column::new("exec to answers", "ms", starts), Column::new("memory, PSS", "MiB", memory));
    Ok(Report {
        title: "pxe-server with one machine: DHCP, DNS, TFTP and HTTP answer; memory after that".to_owned(),
        targets: vec![
            Target::new("exec to answers, ms", starts.median, START_MILLISECONDS),
            Target::new("memory, MiB", memory.median, MEMORY_MIB),
        ],
        columns: vec![starts, memory],
    })
}

const START_MILLISECONDS: f64 = 50.0;
const MEMORY_MIB: f64 = 12.0;

const MAC: MacAddr = MacAddr::new([0x52, 0x54, 0, 0x77, 0, 0x70]);

/// From exec until the server has answered by all four protocols.
fn start(lab: &Lab) -> Result<Duration> {
    lab.stop_server();
    let namespace = lab.namespace().context("the lab has no network of its own")?;
    let client = namespace.neighbour(|| Client::new()?.all_answered())?;
    let started = lab.restart_server()?;
    let answered = client.join().map_err(|_| anyhow!("the client's thread panicked"))???;
    Ok(answered.saturating_duration_since(started))
}

/// Asks until it is answered.
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

    fn all_answered(&self) -> Result<Instant> {
        let (mut dhcp, mut dns, mut tftp, mut http) = (false, false, false, false);
        let begun = Instant::now();
        while !(dhcp && dns && tftp && http) {
            ensure!(begun.elapsed() < LIMIT, "no answer: DHCP {dhcp}, DNS {dns}, TFTP {tftp}, HTTP {http}");
            dhcp = dhcp || self.offers();
            dns = dns || self.knows_a_name();
            tftp = tftp || self.sends_a_file();
            http = http || sends_a_page().unwrap_or(false);
        }
        Ok(Instant::now())
    }

    fn offers(&self) -> bool {
        let mut reply = [0; 1500];
        let sent = self.dhcp.send_to(&discover(), (Ipv4Addr::BROADCAST, 67));
        sent.is_ok() && self.dhcp.recv(&mut reply).is_ok_and(|length| length >= 240 && reply[0] == BOOTREPLY)
    }

    /// Whether the machine's name leads to an address.
    fn knows_a_name(&self) -> bool {
        let mut reply = [0; 512];
        let question = b"pv\x01\0\0\x01\0\0\0\0\0\0\x05bench\x06pvmlab\x05local\0\0\x01\0\x01";
        let sent = self.dns.send_to(question, (SERVER, 53));
        // One answer, and the code for no error (RFC 1035 §4.1.1).
        sent.is_ok() && self.dns.recv(&mut reply).is_ok() && reply[3] & 0x0f == 0 && reply[7] == 1
    }

    fn sends_a_file(&self) -> bool {
        let mut reply = [0; 1500];
        let sent = self.tftp.send_to(b"\0\x01ipxe-x86_64.efi\0octet\0", (SERVER, 69));
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

/// How long an answer may take before the question is asked again.
const PATIENCE: Duration = Duration::from_millis(2);
const LIMIT: Duration = Duration::from_secs(20);
/// RFC 2131 §2, `op`.
const BOOTREPLY: u8 = 2;
/// RFC 1350 §5, opcode 3.
const TFTP_DATA: [u8; 2] = [0, 3];

fn sends_a_page() -> Result<bool> {
    let mut stream = TcpStream::connect_timeout(&(SERVER, 80).into(), PATIENCE)?;
    stream.write_all(b"GET /machines HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n")?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply)?;
    Ok(reply.starts_with("HTTP/1.1 200 "))
}

/// DHCPDISCOVER of [`MAC`] with the broadcast flag (RFC 2131 §2, §4.1), padded to what a BOOTP relay takes.
fn discover() -> Vec<u8> {
    let mut packet = vec![0; 236];
    // BOOTREQUEST, Ethernet, six bytes of hardware address.
    packet[..3].copy_from_slice(&[1, 1, 6]);
    packet[4..8].copy_from_slice(b"pvml");
    packet[10] = 0x80;
    packet[28..34].copy_from_slice(&MAC.bytes());
    packet.extend([0x63, 0x82, 0x53, 0x63, 53, 1, 1, 255]);
    packet.resize(300, 0);
    packet
}

/// What the process costs, shared pages divided by who shares them (proc_pid_smaps(5)), in MiB.
fn proportional_set_size(process: u32) -> Result<f64> {
    let file = format!("/proc/{process}/smaps_rollup");
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {file}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:")).context("no Pss in smaps_rollup")?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse().context("Pss is no number")?;
    Ok(kib / 1024.0)
}
