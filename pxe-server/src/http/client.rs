//! Who asks: which machine a request belongs to, and whether it may have what is a machine's own.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};

use axum::extract::FromRequestParts;
use http::request::Parts;
use lab_model::{MacAddr, Machine};

use super::State;
use super::refusal::Refusal;
use crate::dhcp::Holders;

/// The other end of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Client(pub(super) SocketAddr);

impl<S: Sync> FromRequestParts<S> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let client = parts.extensions.get::<Self>();
        Ok(*client.expect("the connection's task puts it into every request"))
    }
}

impl Client {
    /// The machine whose boot this request is part of: the one that it names, else the one that has the client's address.
    ///
    /// Where it is known who has which address, a client speaks for no other machine: it could write whatever it likes
    /// into that one's timeline.
    pub(super) fn machine(self, named: Option<MacAddr>, state: &State) -> Option<MacAddr> {
        let own = self.own(state);
        match (state.clients(), named) {
            (Some(_), Some(named)) => own.filter(|own| *own == named),
            (None, Some(named)) => Some(named),
            (Some(_) | None, None) => own,
        }
    }

    /// Admits the client to what is the machine's own: its configuration, its seed.
    ///
    /// Where it is known who has which address, only the machine itself may, and whoever sits at the server. Where it is not,
    /// addresses say nothing.
    ///
    /// # Errors
    /// The client has another address.
    pub(super) fn admit(self, machine: &Machine, state: &State) -> Result<(), Refusal> {
        if state.clients().is_none() || self.is_here(state) || self.own(state) == Some(machine.mac) {
            return Ok(());
        }
        let reason = format!("this is for {} alone, and {} is not its address", machine.name, self.0.ip());
        Err(Refusal::forbidden(reason))
    }

    /// Whether all that is known of the client is that it has a machine's address: as every program on that machine has.
    pub(super) fn is_whoever_has_its_address(self, state: &State) -> bool {
        state.clients().is_some() && !self.is_here(state)
    }

    /// The machine that has the client's address: who holds it counts, even where it is reserved for another.
    fn own(self, state: &State) -> Option<MacAddr> {
        match self.0.ip() {
            IpAddr::V4(address) => {
                let holder = state.clients().and_then(|holders| holders.holder(address));
                let is_reserved = state.clients().is_none_or(Holders::keep_reservations);
                let reserved = || state.inventory.borrow().by_address(address).map(|machine| machine.mac);
                holder.or_else(|| is_reserved.then(reserved)?)
            }
            IpAddr::V6(address) => {
                let holder = state.clients6.as_ref().and_then(|clients| clients.holder(address));
                holder.or_else(|| state.inventory.borrow().by_ipv6(address).map(|machine| machine.mac))
            }
        }
    }

    /// Whether the client is on the server's own machine.
    fn is_here(self, state: &State) -> bool {
        self.0.ip().is_loopback() || self.0.ip() == state.base().address()
    }
}
