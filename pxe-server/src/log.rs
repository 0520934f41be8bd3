//! Where log lines go: to stderr, in the form that whoever reads them there can use best, or to journald with their fields.

mod journald;

use std::io::{self, IsTerminal};
use std::os::unix::fs::MetadataExt;

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::Layered;
use tracing_subscriber::prelude::*;
use tracing_subscriber::{Layer, Registry, fmt, reload};

use self::journald::{Entry, Journald};
use crate::config::{Levels, LogFormat, LogSection};

/// The log of this process.
#[derive(Clone)]
pub(crate) struct Log {
    levels: reload::Handle<Targets, Lines>,
}

/// What the levels stand before.
type Lines = Layered<Box<dyn Layer<Registry> + Send + Sync>, Registry>;

impl Log {
    /// What is said of which part of the program from now on.
    pub(crate) fn set_levels(&self, levels: &Levels) {
        // It fails only where the log is gone.
        let _ = self.levels.reload(levels.0.clone());
    }
}

/// Starts the log of this process; later calls have no effect.
pub(crate) fn start(config: &LogSection) -> Log {
    let lines = fmt::Layer::default().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    let lines = match config.format {
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
        LogFormat::Auto if stderr_is_journal() => match Journald::connect() {
            Ok(journald) => lines.event_format(Entry::whole()).with_writer(journald).boxed(),
            Err(_) => lines.event_format(Entry::line()).boxed(),
        },
        LogFormat::Auto => lines.with_target(false).boxed(),
    };
    // A second start can only come from a test in the same process.
    let (level, levels) = reload::Layer::new(config.level.0.clone());
    let _ = tracing_subscriber::registry().with(lines).with(level).try_init();
    Log { levels }
}

/// journald says in `JOURNAL_STREAM` which file its pipe is, because a child may have its stderr elsewhere.
fn stderr_is_journal() -> bool {
    let stream = std::env::var("JOURNAL_STREAM").unwrap_or_default();
    let stderr = std::fs::metadata("/proc/self/fd/2").map(|file| format!("{}:{}", file.dev(), file.ino()));
    stderr.is_ok_and(|stderr| stderr == stream)
}
