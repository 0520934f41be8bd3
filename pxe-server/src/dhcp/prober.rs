//! Asks the link whether somebody has an address, for any number of addresses at a time.

use std::collections::VecDeque;
use std::future::pending;
use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use pxe_proto::dhcp::Verdict;
use pxe_proto::dhcp::arp::Claim;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{debug, warn};

use super::arp::ArpSocket;
use crate::interface::Interface;

/// What the link was asked, and how long an answer is waited for.
#[derive(Debug)]
pub(crate) struct Prober {
    socket: ArpSocket,
    /// Everyone is asked twice, this long after each other: one frame may get lost.
    half: Duration,
    /// In the order of time, because all wait alike.
    asked: VecDeque<Asked>,
}

/// An address that the link was asked about.
#[derive(Debug)]
struct Asked {
    address: Ipv4Addr,
    due: Instant,
    is_last: bool,
}

/// How long the prober rests after the kernel refused to receive, so that it cannot spin.
const REST: Duration = Duration::from_millis(100);
/// How many frames are taken at a time: those that came before the time was over count, and a flood keeps nobody waiting.
const AT_A_TIME: usize = 256;

impl Prober {
    /// Asks on this interface, and waits for an answer as long as this; needs CAP_NET_RAW and a runtime.
    ///
    /// # Errors
    /// The kernel refuses, or the interface is no Ethernet.
    pub(crate) fn open(interface: &Interface, wait: Duration) -> anyhow::Result<Self> {
        Ok(Self { socket: ArpSocket::open(interface)?, half: wait / 2, asked: VecDeque::new() })
    }

    /// Asks everyone on the link whether they have the address.
    pub(super) fn ask(&mut self, address: Ipv4Addr) {
        self.send(address, false);
    }

    /// Waits for the next verdict; there is one for each address that was asked about.
    pub(super) async fn verdict(&mut self) -> (Ipv4Addr, Verdict) {
        loop {
            let due = self.asked.front().map(|asked| asked.due);
            tokio::select! {
                readable = self.socket.readable() => if let Err(error) = readable {
                    self.rest(&error).await;
                },
                () = async { match due { Some(due) => sleep_until(due).await, None => pending().await } } => {}
            }
            for _ in 0..AT_A_TIME {
                match self.socket.try_receive() {
                    Ok(claim) => {
                        if let Some(verdict) = claim.and_then(|claim| self.taken(claim)) {
                            return verdict;
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => {
                        self.rest(&error).await;
                        break;
                    }
                }
            }
            if let Some(verdict) = self.free() {
                return verdict;
            }
        }
    }

    async fn rest(&self, error: &io::Error) {
        warn!(%error, "receiving ARP");
        sleep(REST).await;
    }

    fn send(&mut self, address: Ipv4Addr, is_last: bool) {
        if let Err(error) = self.socket.ask(address) {
            debug!(%address, %error, "nobody can be asked whether they have it");
        }
        self.asked.push_back(Asked { address, due: Instant::now() + self.half, is_last });
    }

    /// Who has one of the addresses, if this is about one.
    fn taken(&mut self, Claim { address, holder }: Claim) -> Option<(Ipv4Addr, Verdict)> {
        let before = self.asked.len();
        self.asked.retain(|asked| asked.address != address);
        (self.asked.len() < before).then_some((address, Verdict::Taken(holder)))
    }

    /// The next address that nobody has claimed in time.
    fn free(&mut self) -> Option<(Ipv4Addr, Verdict)> {
        let now = Instant::now();
        while let Some(Asked { address, is_last, .. }) = self.asked.pop_front_if(|asked| asked.due <= now) {
            if is_last {
                return Some((address, Verdict::Free));
            }
            self.send(address, true);
        }
        None
    }
}
