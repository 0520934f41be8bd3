//! A lease is renewed for as long as the process lives: an image may take longer than a lease of one minute.

use std::fmt::Display;
use std::thread;
use std::time::Instant;

use anyhow::Result;

use crate::console::say;
use crate::dhcp::Lifetime;

/// A lease's times, `None` for ever, and from when they count.
pub(super) type Times = (Option<Lifetime>, Instant);

/// Has a lease renewed at its times, on a thread of its own. `renew` asks for as long as the lease lasts; it ends with the new times, or
/// with `None` when nobody answered.
pub(super) fn keep(
    address: impl Display + Send + 'static,
    mut times: Times,
    mut renew: impl FnMut(Lifetime, Instant) -> Result<Option<Times>> + Send + 'static,
) {
    thread::spawn(move || {
        while let (Some(lifetime), since) = times {
            thread::sleep((since + lifetime.renew).saturating_duration_since(Instant::now()));
            times = match renew(lifetime, since) {
                Ok(Some(renewed)) => renewed,
                Ok(None) => return say(format_args!("the lease of {address} was not renewed in time")),
                Err(error) => return say(format_args!("the lease of {address} was not renewed: {error:#}")),
            };
        }
    });
}
