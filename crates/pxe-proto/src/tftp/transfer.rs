//! One file on its way to one client.
//!
//! The sender's half of RFC 1350 with the windows of RFC 7440. Packets are counted from zero: packet 0 is the option
//! acknowledgement, packet n is block n, and block numbers on the wire are these counts modulo 65,536. Without options
//! packet 0 counts as acknowledged from the start, and everything else is the same.
//!
//! What an acknowledgement does not move, it does not send either: only progress and the timer make packets, so that a
//! duplicated datagram cannot double the traffic for the rest of the file (RFC 1123 §4.2.3.1, the Sorcerer's Apprentice).

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use super::timer::Timer;
use super::{Agreed, ErrorCode, Limits, Malformed, Packet, ReadRequest, printable};

/// A read in progress.
///
/// Whoever holds it sends what [`next_packets`](Self::next_packets) writes until there is no more, then waits for a
/// datagram or for [`poll_timeout`](Self::poll_timeout), whichever is first, and so on until an [`Action::End`].
#[derive(Debug)]
pub struct Transfer<F> {
    file: F,
    request: ReadRequest,
    agreed: Agreed,
    /// How many packets the client is to acknowledge, packet 0 included.
    packets: u64,
    /// The client has every packet below this one.
    acknowledged: u64,
    /// The packet to send next: between `acknowledged` and `reached`.
    next: u64,
    /// Every packet below this one was sent at least once.
    reached: u64,
    /// Whether the client has answered, which a forged address cannot.
    confirmed: bool,
    timer: Timer,
    /// A burst of packets that were never sent before: when it was sent, and the packet after its last.
    timed: Option<(Instant, u64)>,
    started: Instant,
    progressed: Instant,
    deadline: Instant,
    retransmitted: u64,
    end: Option<Outcome>,
}

impl<F: AsRef<[u8]>> Transfer<F> {
    /// Starts to send a file. The first packet is ready.
    pub fn start(request: ReadRequest, file: F, limits: Limits, now: Instant) -> Self {
        let length = file.as_ref().len() as u64;
        let agreed = Agreed::grant(&request.options, limits, length);
        let timer = Timer::new(agreed.timeout());
        let first = u64::from(agreed.is_plain());
        let mut transfer = Self {
            file,
            request,
            agreed,
            // A file that fills its last block is followed by an empty one (RFC 1350 §6).
            packets: 1 + length / u64::from(agreed.block_size()) + 1,
            acknowledged: first,
            next: first,
            reached: first,
            confirmed: false,
            timer,
            timed: None,
            started: now,
            progressed: now,
            deadline: now,
            retransmitted: 0,
            end: None,
        };
        transfer.send_window(now);
        transfer
    }

    /// Takes a datagram that the client sent to this transfer's port.
    pub fn handle(&mut self, datagram: &[u8], now: Instant) -> Action {
        self.unless_ended(|transfer| match Packet::parse(datagram) {
            Ok(Packet::Ack { block }) => transfer.acknowledge(block, now),
            Ok(Packet::Error { code, message }) => ControlFlow::Break(transfer.aborted(code, message)),
            Ok(Packet::ReadRequest(_) | Packet::WriteRequest(_) | Packet::Data { .. } | Packet::OptionAck(_)) => {
                ControlFlow::Continue(Action::Ignore(Stray::Unexpected))
            }
            Err(malformed) => ControlFlow::Continue(Action::Ignore(Stray::Malformed(malformed))),
        })
    }

    /// Takes a request that came to the listening port from this transfer's client, address and port.
    ///
    /// The same request again means that our first packet was lost or is late: it is sent again from this port, since
    /// the client may already have heard of it. Soon after an acknowledgement it is a late copy. Anything else means
    /// that the client began anew, perhaps after a reset: this transfer ends and the request is to be admitted.
    pub fn handle_request(&mut self, request: &ReadRequest, now: Instant) -> Action {
        self.unless_ended(|transfer| {
            let same = *request == transfer.request;
            if same && !transfer.confirmed {
                transfer.send_window(now);
                ControlFlow::Continue(Action::Send)
            } else if same && now.saturating_duration_since(transfer.progressed) < LATE_COPY {
                ControlFlow::Continue(Action::Ignore(Stray::LateCopy))
            } else {
                ControlFlow::Break(Outcome::Replaced)
            }
        })
    }

    /// Sends again what the client has not acknowledged in time, or gives up.
    pub fn handle_timeout(&mut self, now: Instant) -> Action {
        self.unless_ended(|transfer| {
            if now < transfer.deadline {
                return ControlFlow::Continue(Action::Ignore(Stray::Early));
            }
            if now >= transfer.progressed + transfer.patience() {
                return ControlFlow::Break(Outcome::TimedOut);
            }
            transfer.timer.back_off();
            transfer.send_window(now);
            ControlFlow::Continue(Action::Send)
        })
    }

    /// Takes the news that nobody listens on the client's port any more (ICMP port unreachable).
    pub fn handle_unreachable(&mut self) -> Action {
        self.unless_ended(|_| ControlFlow::Break(Outcome::Unreachable))
    }

    /// Ends the transfer because the server does.
    pub fn stop(&mut self) -> Action {
        self.unless_ended(|_| ControlFlow::Break(Outcome::Stopped))
    }

    /// Ends the transfer, because another client needs its place.
    pub fn give_way(&mut self) -> Action {
        self.unless_ended(|_| ControlFlow::Break(Outcome::GaveWay))
    }

    /// Whether the client has acknowledged anything yet: before, anybody may have asked in its name.
    pub fn is_confirmed(&self) -> bool {
        self.confirmed
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) if nothing comes in before.
    pub fn poll_timeout(&self) -> Instant {
        self.deadline
    }

    /// Replaces the buffer's contents by the next packet to send. Returns false when there is none: until the next
    /// [`Action::Send`] there is nothing to do but wait.
    pub fn next_packet(&mut self, buffer: &mut Vec<u8>) -> bool {
        self.next_packets(Burst { packets: 1, octets: 0 }, buffer).is_some()
    }

    /// As [`next_packet`](Self::next_packet), for as many packets as may go out together, one directly behind the other.
    ///
    /// Returns how long each of them is; the last may be shorter.
    pub fn next_packets(&mut self, burst: Burst, buffer: &mut Vec<u8>) -> Option<usize> {
        buffer.clear();
        if self.end.is_some() || self.next >= self.window_end() {
            return None;
        }
        let (first, each) = match self.next {
            0 => {
                self.agreed.write_option_ack(buffer);
                self.next = 1;
                (0, buffer.len())
            }
            first => {
                let each = Packet::data_length(self.agreed.block_size());
                let most = burst.packets.min(burst.octets / each).max(1) as u64;
                self.next = self.window_end().min(first + most);
                (first..self.next).for_each(|packet| self.append_block(packet - 1, buffer));
                (first, each.min(buffer.len()))
            }
        };
        self.retransmitted += self.next.min(self.reached) - first.min(self.reached);
        self.reached = self.reached.max(self.next);
        Some(each)
    }

    /// How far the transfer is, and on what terms.
    pub fn progress(&self, now: Instant) -> Progress {
        let length = self.file.as_ref().len() as u64;
        let blocks = self.acknowledged.saturating_sub(1);
        Progress {
            bytes: length.min(blocks * u64::from(self.agreed.block_size())),
            duration: now.saturating_duration_since(self.started),
            block_size: self.agreed.block_size(),
            window: self.agreed.window(),
            retransmitted: self.retransmitted,
        }
    }

    /// The request that this transfer answers.
    pub fn request(&self) -> &ReadRequest {
        &self.request
    }

    fn unless_ended(&mut self, step: impl FnOnce(&mut Self) -> ControlFlow<Outcome, Action>) -> Action {
        let outcome = match self.end.clone() {
            Some(outcome) => outcome,
            None => match step(self) {
                ControlFlow::Continue(action) => return action,
                ControlFlow::Break(outcome) => outcome,
            },
        };
        self.end = Some(outcome.clone());
        Action::End(outcome)
    }

    fn acknowledge(&mut self, block: u16, now: Instant) -> ControlFlow<Outcome, Action> {
        // Truncation is the wire's arithmetic. Acknowledging block n acknowledges n + 1 packets, the first being 0.
        let step = block.wrapping_add(1).wrapping_sub(self.acknowledged as u16);
        if step == 0 {
            return ControlFlow::Continue(Action::Ignore(Stray::Duplicate));
        }
        if u64::from(step) > self.reached - self.acknowledged {
            return ControlFlow::Continue(Action::Ignore(Stray::OutsideWindow));
        }

        self.acknowledged += u64::from(step);
        self.confirmed = true;
        self.progressed = now;
        if let Some((sent, _)) = self.timed.filter(|&(_, end)| self.acknowledged >= end) {
            self.timer.measure(now.saturating_duration_since(sent));
        }
        if self.acknowledged == self.packets {
            return ControlFlow::Break(Outcome::Finished);
        }
        self.send_window(now);
        ControlFlow::Continue(Action::Send)
    }

    fn aborted(&self, code: ErrorCode, message: &[u8]) -> Outcome {
        // EDK2 says 8, other ROMs say 0: what they have in common is that they asked for the size and then stop.
        if self.acknowledged == 0 && self.request.options.transfer_size {
            Outcome::Probed
        } else {
            Outcome::Aborted { code, message: printable(message) }
        }
    }

    /// Makes everything from the first unacknowledged packet on due. After a gap the client has thrown away what came
    /// behind it (RFC 7440 §4), so this is also what a partly acknowledged window needs.
    fn send_window(&mut self, now: Instant) {
        self.next = self.acknowledged;
        self.timed = (self.reached == self.acknowledged).then(|| (now, self.window_end()));
        self.deadline = (now + self.timer.timeout()).min(self.progressed + self.patience());
    }

    fn window_end(&self) -> u64 {
        match self.acknowledged {
            0 => 1,
            first => self.packets.min(first + u64::from(self.agreed.window())),
        }
    }

    fn append_block(&self, index: u64, buffer: &mut Vec<u8>) {
        let size = u64::from(self.agreed.block_size());
        let file = self.file.as_ref();
        let at = |offset: u64| usize::try_from(offset).map_or(file.len(), |offset| offset.min(file.len()));
        let payload = &file[at(index * size)..at((index + 1) * size)];
        // Truncation is the wire's arithmetic: after 65,535 comes 0, as every client with files that long expects.
        Packet::Data { block: (index + 1) as u16, payload }.append(buffer);
    }

    fn patience(&self) -> Duration {
        match (self.confirmed, self.agreed.timeout()) {
            (false, _) => PATIENCE_WITH_STRANGERS,
            (true, None) => PATIENCE,
            (true, Some(seconds)) => PATIENCE.max(Duration::from_secs(seconds.into()) * 3),
        }
    }
}

/// How much may be written at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Burst {
    /// This many packets.
    pub packets: usize,
    /// This many octets; one packet may have more.
    pub octets: usize,
}

/// What to do after something happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send packets until [`Transfer::next_packets`] has none.
    Send,
    /// Nothing changed. Keep waiting.
    Ignore(Stray),
    /// The transfer is over. Every later call says the same.
    End(Outcome),
}

/// Why something that happened to a transfer changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stray {
    /// The datagram is no TFTP packet.
    #[error(transparent)]
    Malformed(Malformed),
    /// A packet that clients do not send to a reading transfer's port.
    #[error("unexpected packet")]
    Unexpected,
    /// The last acknowledgement again.
    #[error("duplicate acknowledgement")]
    Duplicate,
    /// An acknowledgement of what was acknowledged long ago or was never sent.
    #[error("acknowledgement outside the window")]
    OutsideWindow,
    /// A copy of the request, overtaken by the transfer.
    #[error("late copy of the request")]
    LateCopy,
    /// The timeout is not due.
    #[error("timeout not due")]
    Early,
}

/// How a transfer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The client has acknowledged the whole file.
    Finished,
    /// The client wanted to know the file's size and stopped there; firmware then asks again to read.
    Probed,
    /// The client sent an error.
    Aborted {
        /// Its code.
        code: ErrorCode,
        /// Its message, printable.
        message: String,
    },
    /// The client made no progress for too long.
    TimedOut,
    /// The client closed its port without a word.
    Unreachable,
    /// The client asked for something else from the same port, or for the same anew.
    Replaced,
    /// The server stopped.
    Stopped,
    /// It gave its place to another client, because this one had never answered.
    GaveWay,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Finished => f.write_str("finished"),
            Self::Probed => f.write_str("the client asked only for the size"),
            Self::Aborted { code, message } if message.is_empty() => write!(f, "aborted by the client (error {code})"),
            Self::Aborted { code, message } => write!(f, "aborted by the client: {message} (error {code})"),
            Self::TimedOut => f.write_str("the client stopped answering"),
            Self::Unreachable => f.write_str("the client closed its port"),
            Self::Replaced => f.write_str("the client asked anew"),
            Self::Stopped => f.write_str("the server stopped"),
            Self::GaveWay => f.write_str("the client said nothing, and another needed its place"),
        }
    }
}

/// How far a transfer is, and on what terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Octets of the file that the client has acknowledged.
    pub bytes: u64,
    /// Since the request.
    pub duration: Duration,
    /// Octets of file in each DATA packet but the last.
    pub block_size: u16,
    /// DATA packets that may be in flight.
    pub window: u16,
    /// Packets that were sent again.
    pub retransmitted: u64,
}

/// Longer than a local network holds a copy back, shorter than a machine takes to reset and to ask again.
const LATE_COPY: Duration = Duration::from_secs(1);

/// How long a client may make no progress: longer than firmware's own patience, so that it is never we who give up
/// first.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a client may take to answer at all. A forged request costs its victim the first packet and three copies.
const PATIENCE_WITH_STRANGERS: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;
