//! TFTP for network boot: a read-only server's decisions (RFC 1350, 2347, 2348, 2349, 7440).
//!
//! [`admit`] judges what comes in on the listening port. What it admits becomes a [`Transfer`], which lives on a port of
//! its own: datagrams and timeouts go in, an [`Action`] comes out, and [`Transfer::next_packets`] writes what is to be
//! sent. [`Packet`] is the wire format, both ways, so that clients of tests and probes speak it too.
//!
//! Deliberately not here: sockets and clocks, which files there are, and writing: a boot server has nothing to receive.

mod name;
mod options;
mod packet;
mod request;
mod timer;
mod transfer;

pub use name::printable;
pub use options::{Agreed, Asked, Limits};
pub use packet::{ErrorCode, Malformed, Options, Packet, Request};
pub use request::{Admission, Ignored, ReadRequest, Refusal, admit};
pub use transfer::{Action, Burst, Outcome, Progress, Stray, Transfer};
