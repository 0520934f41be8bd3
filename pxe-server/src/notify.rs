//! What the service manager is told (sd_notify(3)); without one, nothing happens.

use std::time::Duration;

use sd_notify::NotifyState;

/// Every service answers.
pub(crate) fn ready(status: &str) {
    send(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// What is shown of the server now, in one line.
pub(crate) fn status(status: &str) {
    send(&[NotifyState::Status(status)]);
}

/// No service answers yet, for this reason.
pub(crate) fn waiting(reason: &str) {
    send(&[NotifyState::Status(&format!("waits: {reason}"))]);
}

/// The configuration is read anew; [`ready`] follows. With the moment, as `Type=notify-reload` wants it.
pub(crate) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(moment) => send(&[NotifyState::Reloading, moment]),
        Err(_) => send(&[NotifyState::Reloading]),
    }
}

/// The services end.
pub(crate) fn stopping() {
    send(&[NotifyState::Stopping]);
}

/// The program still runs.
pub(crate) fn alive() {
    send(&[NotifyState::Watchdog]);
}

/// How often [`alive`] must be said: half of what the manager asks for, or never.
pub(crate) fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 2)
}

fn send(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "the service manager cannot be told");
    }
}
