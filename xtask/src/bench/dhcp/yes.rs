//! A DHCP server that gives every client the address of its number, and remembers nothing: what the clients could do if a server
//! cost nothing.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Result, anyhow};
use lab_tests::{BRIDGE, SERVER};

use super::{
    frame::{SERVER_PORT, Sender},
    link::Link,
};
use crate::bench::processor;

/// The server, until this is dropped.
pub(super) struct Yes {
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<Duration>>>,
}

impl Yes {
    /// Answers where the lab's bridge is.
    pub(super) fn start() -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let end = ended.clone();
        let (opened, ready) = mpsc::channel();
        let thread = thread::spawn(move || {
            let mut link = Link::open(BRIDGE, SERVER_PORT)?;
            let _ = opened.send(());
            while !end.load(Ordering::Relaxed) {
                answer(&mut link)?;
            }
            processor::this_thread()
        });
        // Where it could not be opened, that is what the thread ended with.
        let _ = ready.recv();
        Self { ended, thread: Some(thread) }
    }

    /// Ends it, and returns what it took of a processor.
    ///
    /// # Errors
    /// It could not open, receive or send.
    pub(super) fn stop(mut self) -> Result<Duration> {
        self.end().unwrap_or_else(|| Err(anyhow!("it has ended")))
    }

    fn end(&mut self) -> Option<Result<Duration>> {
        self.ended.store(true, Ordering::Relaxed);
        let thread = self.thread.take()?;
        Some(thread.join().unwrap_or_else(|_| Err(anyhow!("it panicked"))))
    }
}

impl Drop for Yes {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

const LOOK: Duration = Duration::from_millis(50);

/// Answers the questions that are there, or waits for some.
fn answer(link: &mut Link) -> Result<()> {
    let questions = link.receive()?.filter_map(Question::read).collect::<Vec<_>>();
    if questions.is_empty() {
        link.wait(LOOK)?;
    }
    for question in questions {
        link.send(&YES, |octets| question.answer(octets))?;
    }
    link.flush()
}

/// Its hardware address is none that a client has.
pub(super) const YES: Sender = Sender { mac: [2, 0, 0, 0, 0, 67], address: SERVER, port: SERVER_PORT };

/// A client's message up to its options (RFC 2131 §2, figure 1), and the type of the answer.
pub(super) struct Question {
    pub(super) header: [u8; 240],
    pub(super) answer: u8,
}

impl Question {
    pub(super) fn read(message: &[u8]) -> Option<Self> {
        let (header, options) = message.split_first_chunk()?;
        // The clients here write the message type first.
        let answer = match options {
            [53, 1, 1, ..] => 2,
            [53, 1, 3, ..] => 5,
            _ => return None,
        };
        Some(Self { header: *header, answer })
    }

    /// The client's own message, with what makes an answer of it.
    pub(super) fn answer(mut self, octets: &mut Vec<u8>) {
        let start = octets.len();
        self.header[0] = 2;
        // The number is the end of the hardware address, and there are fewer clients than two octets can tell apart.
        self.header.copy_within(32..34, 18);
        self.header[16..18].copy_from_slice(&NETWORK);
        octets.extend(self.header);
        octets.extend([53, 1, self.answer, 54, 4]);
        octets.extend(SERVER.octets());
        octets.push(255);
        octets.resize(start + 300, 0);
    }
}

/// How every address begins.
const NETWORK: [u8; 2] = [10, 77];
