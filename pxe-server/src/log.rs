//! Where log lines go: to stderr, in the form that whoever reads them there can use best.

use std::fmt;
use std::io::{self, IsTerminal};
use std::os::unix::fs::MetadataExt;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::{Format, Full, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, Layer};
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry::LookupSpan;

use crate::config::{LogFormat, LogSection};

/// Starts the log of this process; later calls have no effect.
pub(crate) fn start(config: &LogSection) {
    let lines = Layer::default().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    let lines = match config.format {
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
        LogFormat::Auto if stderr_is_journal() => lines.event_format(Journal(Format::default().without_time())).boxed(),
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

/// Lines for journald: it knows the time, and takes the priority from a prefix (sd-daemon(3)).
struct Journal(Format<Full, ()>);

impl<S, N> FormatEvent<S, N> for Journal
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let priority = match *event.metadata().level() {
            Level::ERROR => 3,
            Level::WARN => 4,
            Level::INFO => 6,
            Level::DEBUG | Level::TRACE => 7,
        };
        write!(writer, "<{priority}>")?;
        self.0.format_event(context, writer, event)
    }
}
