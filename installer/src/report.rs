//! Tells the server, and the console, how far the installation is.
//!
//! Reports travel on a thread of their own, in order, and are kept while the server is away: neither a slow nor an absent
//! server holds an installation up, and a report that cannot be delivered is dropped in the end.

use std::collections::VecDeque;
use std::fmt;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use lab_model::{InstallerReport, Phase};
use ureq::Agent;

use crate::console::say;
use crate::{Patience, http};

/// Takes reports, and delivers them once it knows where to.
#[derive(Debug)]
pub struct Reports {
    queue: SyncSender<Message>,
    courier: JoinHandle<VecDeque<InstallerReport>>,
}

impl Reports {
    /// Starts the courier; reports are kept until [`Reports::deliver_to`], and the last ones for as long as `patience` lasts.
    pub fn start(patience: Patience) -> Self {
        let agent = http::agent(patience.silence);
        let (queue, messages) = sync_channel(QUEUE);
        let courier =
            thread::spawn(move || Courier { agent, patience, url: None, waiting: VecDeque::new() }.run(&messages));
        Self { queue, courier }
    }

    /// Says where reports are posted.
    pub fn deliver_to(&self, url: &str) {
        self.send(Message::Url(url.to_owned()));
    }

    /// Reports that a phase is reached.
    pub fn reached(&self, phase: Phase, detail: impl fmt::Display) {
        say(format_args!("{}: {detail}", name(phase)));
        self.report(InstallerReport { phase, percent: None, failure: None, detail: Some(detail.to_string()) });
    }

    /// Reports how much of a phase is done.
    pub fn progress(&self, phase: Phase, percent: u8, detail: impl fmt::Display) {
        say(format_args!("{}: {percent:3} % {detail}", name(phase)));
        let detail = Some(detail.to_string());
        self.report(InstallerReport { phase, percent: Some(percent), failure: None, detail });
    }

    /// Reports why a phase failed.
    pub fn failed(&self, phase: Phase, reason: &str) {
        say(format_args!("FAILED in phase {}: {reason}", name(phase)));
        let failure = Some(reason.to_owned());
        self.report(InstallerReport { phase, percent: None, failure, detail: None });
    }

    /// Adds what an earlier attempt could not deliver.
    pub fn again(&self, report: InstallerReport) {
        self.report(report);
    }

    /// Delivers what is waiting, and stops; returns what could not be delivered.
    pub fn finish(self) -> Vec<InstallerReport> {
        drop(self.queue);
        self.courier.join().map(Vec::from).unwrap_or_default()
    }

    fn report(&self, report: InstallerReport) {
        self.send(Message::Report(report));
    }

    fn send(&self, message: Message) {
        // A full queue means that the server is away for long: the installation is worth more than its reports.
        let _ = self.queue.try_send(message);
    }
}

/// A phase's name, as reports have it.
fn name(phase: Phase) -> &'static str {
    match phase {
        Phase::Start => "start",
        Phase::Network => "network",
        Phase::Config => "config",
        Phase::Disk => "disk",
        Phase::Write => "write",
        Phase::Verify => "verify",
        Phase::Seed => "seed",
        Phase::Finish => "finish",
        Phase::Boot => "boot",
    }
}

#[derive(Debug)]
enum Message {
    Url(String),
    Report(InstallerReport),
}

/// The thread that posts.
struct Courier {
    agent: Agent,
    patience: Patience,
    url: Option<String>,
    waiting: VecDeque<InstallerReport>,
}

impl Courier {
    fn run(mut self, messages: &Receiver<Message>) -> VecDeque<InstallerReport> {
        let mut failures = 0;
        loop {
            let next = match failures {
                _ if self.url.is_none() || self.waiting.is_empty() => {
                    messages.recv().map_err(|_| RecvTimeoutError::Disconnected)
                }
                0 => messages.recv_timeout(Duration::ZERO),
                _ => messages.recv_timeout(self.patience.delay(failures).unwrap_or(self.patience.longest)),
            };
            match next {
                Ok(Message::Url(url)) => self.url = Some(url),
                Ok(Message::Report(report)) => {
                    self.waiting.push_back(report);
                    if self.waiting.len() > QUEUE {
                        self.waiting.pop_front();
                    }
                    continue;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    self.say_farewell();
                    return self.waiting;
                }
            }
            failures = if self.post_all() { 0 } else { failures + 1 };
        }
    }

    fn say_farewell(&mut self) {
        let mut failures = 0;
        while !self.post_all() {
            failures += 1;
            let Some(delay) = self.patience.delay(failures) else { return };
            thread::sleep(delay);
        }
    }

    /// Posts in order until one cannot be delivered; whether none is left.
    fn post_all(&mut self) -> bool {
        let Some(url) = &self.url else { return true };
        while let Some(report) = self.waiting.front() {
            if !post(&self.agent, url, report) {
                return false;
            }
            self.waiting.pop_front();
        }
        true
    }
}

/// Whether the server has the report, or has refused it for good.
fn post(agent: &Agent, url: &str, report: &InstallerReport) -> bool {
    let Ok(body) = serde_json::to_vec(report) else { return true };
    let request = agent.post(url).content_type("application/json");
    match request.send(&body[..]) {
        Ok(response) => !response.status().is_server_error(),
        Err(ureq::Error::BadUri(reason)) => {
            say(format_args!("reports cannot be delivered: {reason}"));
            true
        }
        Err(_) => false,
    }
}

/// More reports than an installation makes.
const QUEUE: usize = 64;
