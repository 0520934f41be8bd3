//! A provisioner's way out: QEMU's user networking, and a port of the host's that leads to its SSH.
//!
//! It needs no privilege, and works wherever the host itself has a network: the guest is 10.0.2.15, the host 10.0.2.2.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::Context as _;

use crate::error::Result;

/// A way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Uplink {
    /// The port of the host's 127.0.0.1 that leads to the machine's port 22.
    pub(crate) ssh_port: u16,
}

impl Uplink {
    /// A way out by the port that the machine had before, or by a free one where it is taken by now.
    ///
    /// Nobody holds the port until QEMU does, so another program may be faster; QEMU then says so and does not start.
    ///
    /// # Errors
    /// No port is free.
    pub(crate) fn by(before: Option<u16>) -> Result<Self> {
        let is_free = |port: &u16| *port != 0 && TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
        if let Some(ssh_port) = before.filter(is_free) {
            return Ok(Self { ssh_port });
        }
        let any = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
        Ok(Self { ssh_port: any.context("no port of 127.0.0.1 is free")?.port() })
    }

    /// QEMU's option.
    pub(crate) fn netdev(self) -> String {
        format!("user,id={ID},hostfwd=tcp:127.0.0.1:{}-:22", self.ssh_port)
    }
}

/// What QEMU calls it.
pub(crate) const ID: &str = "uplink";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_free_is_kept() {
        let free = Uplink::by(None).expect("a port");

        assert_eq!(Uplink::by(Some(free.ssh_port)).expect("the same"), free);
    }

    #[test]
    fn a_port_in_use_is_given_up() {
        let holder = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let held = holder.local_addr().expect("bound").port();

        assert_ne!(Uplink::by(Some(held)).expect("another").ssh_port, held);
    }
}
