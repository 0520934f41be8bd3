//! `GET /events`: what happens to machines, one JSON line each, as it happens.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State as Extract};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::header;
use jiff::Timestamp;
use lab_model::{Event, MacAddr, MachineName};
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, broadcast};
use tokio::time::{Instant, timeout_at};

use super::State;
use super::refusal::Refusal;

/// Which events somebody wants.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    machine: Option<String>,
    since: Option<Timestamp>,
}

/// How long nothing is said: then an empty line tells both sides that the other is still there.
const SILENCE: Duration = Duration::from_secs(30);

/// When somebody who found no place may try again.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// Until the client goes, the server ends, or the client falls so far behind that it would miss events: it may come again,
/// and say since when.
pub(super) async fn follow(
    Extract(state): Extract<Arc<State>>,
    query: Result<Query<Wanted>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(Wanted { machine, since }) = query?;
    let subject = machine.as_deref().map(|text| Subject::parse(text, &state)).transpose()?;
    let Ok(place) = state.limits.followers.clone().try_acquire_owned() else {
        return Err(Refusal::crowded("too many follow the events already: try again later", RETRY_AFTER));
    };
    // Followed first, then looked back: what happens between the two is in both, and told once.
    let live = state.journal.follow();
    let past = since.map(|since| past(&state, since)).unwrap_or_default();
    let known = past.clone();
    let following = Following { state, subject, past: past.into(), known, live, _place: place };
    let lines = stream::unfold(following, async |mut following| {
        let line = following.next().await?;
        Some((Ok::<_, Infallible>(line), following))
    });
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response())
}

/// What the server remembers since then, oldest first.
fn past(state: &State, since: Timestamp) -> Vec<Event> {
    let timelines = state.journal.snapshot();
    let attempts = timelines.iter().flat_map(|(_, timeline)| timeline.attempts());
    let mut events: Vec<_> =
        attempts.flat_map(|attempt| &attempt.events).filter(|event| event.at >= since).cloned().collect();
    events.sort_by_key(|event| event.at);
    events
}

/// Whose events somebody wants.
enum Subject {
    /// The machine of this name, whichever it is at the time.
    Named(MachineName),
    /// The machine with this hardware address, defined or not.
    At(MacAddr),
}

impl Subject {
    fn parse(text: &str, state: &State) -> Result<Self, Refusal> {
        match (text.parse::<MachineName>(), text.parse::<MacAddr>()) {
            // Twelve hexadecimal digits can be both.
            (Ok(name), Ok(_)) if state.inventory.borrow().by_name(&name).is_some() => Ok(Self::Named(name)),
            (_, Ok(mac)) => Ok(Self::At(mac)),
            (Ok(name), Err(_)) => Ok(Self::Named(name)),
            (Err(error), Err(_)) => Err(Refusal::malformed(format!("machine: {error}; a MAC address would do too"))),
        }
    }

    fn is_of(&self, event: &Event, state: &State) -> bool {
        match self {
            Self::At(mac) => *mac == event.mac,
            // Its events from before it was defined are of its hardware address alone.
            Self::Named(name) => {
                let inventory = state.inventory.borrow();
                event.machine.as_ref() == Some(name) || inventory.by_name(name).is_some_and(|now| now.mac == event.mac)
            }
        }
    }
}

/// Somebody who follows.
struct Following {
    state: Arc<State>,
    subject: Option<Subject>,
    past: VecDeque<Event>,
    /// What must not be told again, while it still may come.
    known: Vec<Event>,
    live: broadcast::Receiver<Arc<Event>>,
    _place: OwnedSemaphorePermit,
}

impl Following {
    /// The next line; nothing where there will be none.
    async fn next(&mut self) -> Option<Bytes> {
        while let Some(event) = self.past.pop_front() {
            if self.wants(&event) {
                return Some(line(&event));
            }
        }
        let silent = Instant::now() + SILENCE;
        loop {
            let event = tokio::select! {
                () = self.state.stopping.cancelled() => return None,
                heard = timeout_at(silent, self.live.recv()) => match heard {
                    Err(_) => return Some(Bytes::from_static(b"\n")),
                    Ok(event) => event.ok()?,
                },
            };
            if self.known.last().is_some_and(|newest| newest.at < event.at) {
                self.known.clear();
            }
            if !self.known.contains(&event) && self.wants(&event) {
                return Some(line(&event));
            }
        }
    }

    fn wants(&self, event: &Event) -> bool {
        self.subject.as_ref().is_none_or(|subject| subject.is_of(event, &self.state))
    }
}

fn line(event: &Event) -> Bytes {
    let mut line = serde_json::to_vec(event).expect("an event has a JSON form");
    line.push(b'\n');
    line.into()
}
