//! The clients without a server that costs anything: how fast they are, and what they cost, so that one sees whether they are what is
//! measured.

use std::time::Duration;

use anyhow::Result;

use super::{
    clients::{self, Load},
    yes::Yes,
};
use crate::bench::site::Site;

/// What the clients did.
#[derive(Clone, Copy, Debug)]
pub(super) struct Alone {
    /// Exchanges in a second.
    pub(super) rate: f64,
    /// What an exchange took of a processor: the clients' thread, with the kernel's way from its sends to the server's socket.
    pub(super) cost: Duration,
    /// The same of the server that agrees to everything, whose processor is the other one.
    pub(super) server: Duration,
}

impl Alone {
    /// Has the clients ask a server that agrees to everything.
    ///
    /// # Errors
    /// This process may not have packet sockets.
    pub(super) fn measure(load: Load, site: &Site) -> Result<Self> {
        let yes = Yes::start();
        let served = site.run(move || clients::ask(&load))?;
        let server = yes.stop()?;
        let served = served?;
        let exchanges = served.latencies.len() as u32;
        Ok(Self { rate: served.rate(), cost: served.processor / exchanges, server: server / exchanges })
    }
}

#[cfg(test)]
mod tests {
    use lab_tests::Namespace;

    use super::*;
    use crate::bench::dhcp::BUSY;

    #[test]
    fn a_server_that_agrees_to_everything_serves_all() {
        let namespace = Namespace::enter().unwrap();
        let site = Site::new(&namespace, &[]).unwrap();

        let alone = Alone::measure(Load { clients: 200, exchanges: 500, ..BUSY }, &site).unwrap();

        assert!(alone.rate > 0.0 && alone.cost > Duration::ZERO && alone.server > Duration::ZERO, "{alone:?}");
    }
}
