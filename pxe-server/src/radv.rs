//! Router advertisements: a socket and a timer around the decisions of `pxe_proto::radv`.
//!
//! Deliberately not here: when an advertisement is due, and what it says.

mod socket;

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::{Duration, Instant};

use pxe_proto::radv::{Config, Ignored, Router};
use tokio::time::{sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use self::socket::{Heard, Socket};
use crate::capability::{Capability, REMEDY};
use crate::interface::Interface;
use crate::plan::Plans;
use crate::pulse::Pulse;

/// A bound service that says nothing yet.
#[derive(Debug)]
pub(crate) struct Server {
    socket: Socket,
}

/// How long the service rests after the kernel refused to receive, so that it cannot spin.
const REST: Duration = Duration::from_millis(100);

impl Server {
    /// Opens the socket on the lab's interface; `None`, and a word of it in the log, where this process may not.
    ///
    /// # Errors
    /// The kernel refuses for another reason, such as that it has no IPv6.
    pub(crate) fn bind(interface: &Interface) -> anyhow::Result<Option<Self>> {
        if !Capability::NetRaw.is_held() {
            warn!(
                "this process lacks {}: machines hear nothing of the IPv6 network; to change that, {REMEDY}",
                Capability::NetRaw
            );
            return Ok(None);
        }
        Ok(Some(Self { socket: Socket::open(interface)? }))
    }

    /// Advertises until the token is cancelled; then the machines know that this is no way out any more.
    pub(crate) async fn run(self, mut plans: Plans, mut pulse: Pulse, shutdown: CancellationToken) {
        let Self { socket } = self;
        let Some(mut config) = advertised(&mut plans) else { return shutdown.cancelled().await };
        info!(prefix = %config.prefix, lifetime = ?config.router_lifetime, "router advertisements are on");
        let seed = RandomState::new().build_hasher().finish();
        let mut router = Router::new(config.clone(), seed, Instant::now());
        loop {
            let heard = tokio::select! {
                () = shutdown.cancelled() => break,
                () = pulse.answer() => continue,
                Ok(()) = plans.changed() => {
                    if let Some(other) = advertised(&mut plans).filter(|other| *other != config) {
                        config = other;
                        router.set_config(config.clone(), Instant::now());
                    }
                    continue;
                }
                () = sleep_until(router.poll_timeout().into()) => {
                    if let Some(advertisement) = router.handle_timeout(Instant::now()) {
                        say(&socket, &advertisement);
                    }
                    continue;
                }
                heard = socket.receive() => heard,
            };
            match heard {
                Ok(Heard { packet, sender, hop_limit }) => {
                    match router.handle(&packet, sender, hop_limit, Instant::now()) {
                        Ok(()) => debug!(%sender, "router solicitation"),
                        // Whatever else of ICMPv6 there is comes here too.
                        Err(Ignored::NotASolicitation(_)) => {}
                        Err(reason) => debug!(%sender, %reason, "ignored"),
                    }
                }
                Err(error) => {
                    warn!(%error, "receiving router solicitations");
                    sleep(REST).await;
                }
            }
        }
        say(&socket, &router.farewell());
    }
}

/// What the newest plan has advertised.
fn advertised(plans: &mut Plans) -> Option<Config> {
    plans.borrow_and_update().ipv6.as_ref()?.advertised.clone()
}

/// Sends an advertisement, or loses it: the next one is due soon enough.
fn say(socket: &Socket, advertisement: &[u8]) {
    match socket.send(advertisement) {
        Ok(()) => debug!(bytes = advertisement.len(), "router advertisement"),
        // The interface has no link-local address yet, or no carrier.
        Err(error) => debug!(%error, "a router advertisement cannot be sent"),
    }
}
