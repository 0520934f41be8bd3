//! Where log lines go: to stderr, in the form that whoever reads them there can use best, or to journald with their fields.

mod journald;

use std::io::{self, IsTerminal};
use std::os::unix::fs::MetadataExt;

use tracing_subscriber::fmt::Layer;
use tracing_subscriber::prelude::*;

use self::journald::{Entry, Journald};
use crate::config::{LogFormat, LogSection};

/// Starts the log of this process; later calls have no effect.
pub(crate) fn start(config: &LogSection) {
    let lines = Layer::default().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    let lines = match config.format {
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
        LogFormat::Auto if stderr_is_journal() => match Journald::connect() {
            Ok(journald) => lines.event_format(Entry::whole()).with_writer(journald).boxed(),
            Err(_) => lines.event_format(Entry::line()).boxed(),
        },
        LogFormat::Auto => lines.with_target(false).boxed(),
    };
    // A second start can only come from a test in the same process.
    let _ = tracing_subscriber::registry().with(lines).with(config.level.0.clone()).try_init();
}

/// journald says in `JOURNAL_STREAM` which file its pipe is, because a child may have its stderr elsewhere.
fn stderr_is_journal() -> bool {
    let stream = std::env::var("JOURNAL_STREAM").unwrap_or_default();
    let stderr = std::fs::metadata("/proc/self/fd/2").map(|file| format!("{}:{}", file.dev(), file.ino()));
    stderr.is_ok_and(|stderr| stderr == stream)
}
