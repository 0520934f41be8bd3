//! Whole exchanges on a virtual clock: what is answered, whom is asked, and what happens when nobody answers.

mod bench;
mod forwarding;
mod hostile;
mod names;

pub(super) use self::bench::epoch;
