//! The TFTP service: sockets and tasks around the decisions of `pxe_proto::tftp`.
//!
//! One task owns the listening socket and the table of transfers; each transfer is a task with a socket of its own,
//! connected to its client. Files come as [`Bytes`], shared, never copied, from the [`House`] that the service is for; what
//! happened goes there too. The listening task alone calls it.
//!
//! Deliberately not here: which files there are, and what a report means for a machine's boot.

mod carrier;
mod listener;
mod outbox;
mod ports;
mod sockets;
#[cfg(test)]
mod tests;

use std::io;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use pxe_proto::tftp::{Limits, Outcome, Progress, Refusal};
use tokio::net::UdpSocket;
use tokio_util::sync::CancellationToken;

use self::listener::Listener;
pub(crate) use self::ports::Ports;
use crate::pulse::Pulse;

/// What the service is bound to, and what it allows.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// Where requests come in. Transfers leave from the same address, so on a machine with several networks this is not the
    /// unspecified address.
    pub(crate) address: SocketAddr,
    /// The ports that transfers leave from.
    pub(crate) ports: Ports,
    /// The interface that all sockets are bound to, where the kernel allows it.
    pub(crate) device: Option<String>,
    /// What clients may take up.
    pub(crate) bounds: Bounds,
}

/// What clients may take up: by default, what lets a rack boot at once and a few machines share an address behind a translator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// On what clients may negotiate; of a block, what the route to the client carries in one piece is one as well.
    pub(crate) limits: Limits,
    /// How many transfers there may be at a time.
    pub(crate) transfers: usize,
    /// How many of them one client address may have.
    pub(crate) transfers_per_client: usize,
}

impl Config {
    /// The port that clients expect (RFC 1350 §4), on any interface.
    pub(crate) fn new(address: IpAddr) -> Self {
        let address = SocketAddr::new(address, 69);
        Self { address, ports: Ports::Any, device: None, bounds: Bounds::default() }
    }
}

impl Default for Bounds {
    fn default() -> Self {
        Self { limits: Limits::default(), transfers: 256, transfers_per_client: 16 }
    }
}

/// What happened, for logs and boot events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Report {
    /// A transfer came to its end.
    Ended {
        /// The client's address and port.
        client: SocketAddr,
        /// The file's name, as it was looked up.
        file: String,
        /// How it ended.
        outcome: Outcome,
        /// How much was sent, in what time and on what terms.
        progress: Progress,
    },
    /// A request was answered by an error.
    Refused {
        /// The client's address and port.
        client: SocketAddr,
        /// Why.
        refusal: Refusal,
    },
}

/// Whose files are served.
pub(crate) trait House {
    /// The file of a clean name (printable, no leading separators) for this client; nothing where there is none.
    fn file(&mut self, name: &str, client: IpAddr) -> Option<Bytes>;

    /// What this client may negotiate, where others may have `limits`.
    fn limits(&mut self, client: IpAddr, limits: Limits) -> Limits;

    /// Hears what happened.
    fn report(&mut self, report: Report);

    /// What clients may take up from now on, where that is something else than before.
    fn other_bounds(&mut self) -> Option<Bounds>;
}

/// A bound service that does not answer yet.
#[derive(Debug)]
pub(crate) struct Server {
    config: Config,
    socket: UdpSocket,
}

impl Server {
    /// Binds the listening socket; to be called on a runtime.
    ///
    /// # Errors
    /// The address is in use or not ours, the port needs a capability, or there is no such device.
    pub(crate) fn bind(mut config: Config) -> io::Result<Self> {
        let socket = sockets::listening(&mut config)?;
        Ok(Self { config, socket })
    }

    /// The address that requests come in on, with the port that the kernel chose.
    #[cfg(test)]
    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Serves until the token is cancelled; then ends all transfers, reports them and returns.
    ///
    /// The functions are called by the task that takes all requests, so they must not block. Dropping the future stops everything
    /// unreported.
    pub(crate) async fn run(self, house: impl House, pulse: Pulse, shutdown: CancellationToken) {
        Listener::new(self.config, self.socket, house, shutdown).run(pulse).await;
    }
}
