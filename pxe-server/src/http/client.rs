//! Who asks: which machine a request belongs to, and whether it may have what is a machine's own.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};

use axum::extract::FromRequestParts;
use http::request::Parts;
use lab_model::{MacAddr, Machine};

use super::State;
use super::refusal::Refusal;

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
    pub(super) fn machine(self, named: Option<MacAddr>, state: &State) -> Option<MacAddr> {
        named.or_else(|| {
            let IpAddr::V4(address) = self.0.ip() else { return None };
            let leased = state.clients.as_ref().and_then(|clients| clients.borrow().holder(address));
            leased.or_else(|| state.inventory.borrow().by_address(address).map(|machine| machine.mac))
        })
    }

    /// Admits the client to what is the machine's own: its configuration, its seed.
    ///
    /// Where machines have their addresses from us, only the machine itself may, and whoever sits at the server. Where they
    /// do not, their addresses say nothing.
    ///
    /// # Errors
    /// The client has another address.
    pub(super) fn admit(self, machine: &Machine, state: &State) -> Result<(), Refusal> {
        let Some(clients) = &state.clients else { return Ok(()) };
        let own = match self.0.ip() {
            IpAddr::V4(address) => {
                address.is_loopback()
                    || address == state.base.address()
                    || match clients.borrow().holder(address) {
                        // Who has the address counts, even where it is reserved for another.
                        Some(holder) => holder == machine.mac,
                        None => machine.address == Some(address),
                    }
            }
            IpAddr::V6(address) => address.is_loopback(),
        };
        let refused = || format!("this is for {} alone, and {} is not its address", machine.name, self.0.ip());
        if own { Ok(()) } else { Err(Refusal::forbidden(refused())) }
    }
}
