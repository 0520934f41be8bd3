//! Other DHCP servers on the lab's link: seen, told to the owner, and never answered.
//!
//! Machines get addresses and boot files from whichever server is first, so one that nobody knows of breaks boots now and then.
//! It shows itself by what it broadcasts to clients, and by the clients that choose it.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use pxe_proto::dhcp::server_of;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::socket::DhcpSocket;
use crate::interface::Interface;
use crate::pulse::Pulse;

/// The other servers that were seen; whoever sees one says so here.
#[derive(Clone, Debug)]
pub(crate) struct Rivals {
    own: Ipv4Addr,
    standing: Standing,
    seen: watch::Sender<BTreeMap<Ipv4Addr, Sighting>>,
}

/// Whether there should be other servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// They break boots: machines get addresses and boot files from whichever server is first.
    Unwanted,
    /// They give the addresses, and we do not.
    Expected,
}

/// When a server was seen last, and when that was last said aloud.
#[derive(Clone, Copy, Debug)]
struct Sighting {
    seen: Instant,
    said: Instant,
}

/// Hears what servers say to clients.
pub(crate) struct Watch {
    rivals: Rivals,
    socket: DhcpSocket,
}

/// How long a server counts after it was seen: machines that are up renew their leases within it.
const MEMORY: Duration = Duration::from_secs(3600);
/// A server is told of once in this time.
const REMINDER: Duration = Duration::from_secs(600);
/// More are no servers but somebody's invention.
const MOST: usize = 16;
/// Longer than what any Ethernet frame carries.
const DATAGRAM: usize = 2048;
/// How long the watch rests after the kernel refused to receive, so that it cannot spin.
const REST: Duration = Duration::from_secs(1);

impl Rivals {
    /// None yet; `own` is this server.
    pub(crate) fn new(own: Ipv4Addr, standing: Standing) -> Self {
        Self { own, standing, seen: watch::Sender::default() }
    }

    /// Those that were seen lately.
    fn known(&self) -> Vec<Ipv4Addr> {
        let seen = self.seen.borrow();
        seen.iter().filter(|(_, sighting)| sighting.seen.elapsed() < MEMORY).map(|(server, _)| *server).collect()
    }

    /// Those that were seen lately and should not be there.
    pub(crate) fn unwanted(&self) -> Vec<Ipv4Addr> {
        if self.standing == Standing::Unwanted { self.known() } else { Vec::new() }
    }

    /// Those that were seen lately and give the addresses; `None` where we do.
    pub(crate) fn expected(&self) -> Option<Vec<Ipv4Addr>> {
        (self.standing == Standing::Expected).then(|| self.known())
    }

    /// Takes note of a server, which may be this one.
    pub(super) fn note(&self, server: Ipv4Addr) {
        if server == self.own {
            return;
        }
        let now = Instant::now();
        self.seen.send_modify(|all| {
            all.retain(|_, sighting| now - sighting.seen < MEMORY);
            let has_room = all.len() < MOST;
            match all.get_mut(&server) {
                Some(sighting) => {
                    sighting.seen = now;
                    if now - sighting.said < REMINDER {
                        return;
                    }
                    sighting.said = now;
                }
                None if has_room => drop(all.insert(server, Sighting { seen: now, said: now })),
                None => return,
            }
            match self.standing {
                Standing::Unwanted => warn!(
                    %server,
                    "another DHCP server answers machines here: stop it, or set `authoritative = false` in [dhcp] if it belongs there"
                ),
                Standing::Expected => info!(%server, "machines take addresses of this DHCP server"),
            }
        });
    }
}

impl Watch {
    /// Listens on the clients' port; `None` where a client on this machine has it.
    pub(crate) fn bind(rivals: &Rivals, interface: &Interface) -> Option<Self> {
        match DhcpSocket::bind_client(interface, rivals.own) {
            Ok(socket) => Some(Self { rivals: rivals.clone(), socket }),
            Err(error) => {
                info!("other DHCP servers are known only by the machines that choose them: {error:#}");
                None
            }
        }
    }

    /// Listens until the token is cancelled.
    pub(crate) async fn run(self, mut pulse: Pulse, shutdown: CancellationToken) {
        let mut buffer = [0; DATAGRAM];
        loop {
            let received = tokio::select! {
                () = shutdown.cancelled() => return,
                () = pulse.answer() => continue,
                received = self.socket.receive(&mut buffer) => received,
            };
            match received {
                Ok((length, _)) => {
                    if let Some(server) = server_of(&buffer[..length]) {
                        self.rivals.note(server);
                    }
                }
                Err(error) => {
                    warn!(%error, "receiving what DHCP servers say");
                    sleep(REST).await;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_server_counts_for_an_hour_after_it_was_seen() {
        let rivals = Rivals::new(host(1), Standing::Unwanted);

        rivals.note(host(1));
        rivals.note(host(66));
        tokio::time::advance(MEMORY / 2).await;
        rivals.note(host(67));
        assert_eq!(rivals.known(), [host(66), host(67)]);
        tokio::time::advance(MEMORY / 2).await;

        assert_eq!(rivals.known(), [host(67)]);
    }

    #[tokio::test]
    async fn whoever_makes_servers_up_takes_no_memory() {
        let rivals = Rivals::new(host(1), Standing::Unwanted);

        (2..=200).for_each(|last| rivals.note(host(last)));

        assert_eq!(rivals.known().len(), MOST);
    }

    fn host(last: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, 0, last)
    }
}
