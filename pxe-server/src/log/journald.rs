//! Entries for journald: the line that people read, and beside it every field, so that `journalctl MACHINE=web` finds them.
//!
//! The native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL): one datagram an entry, one `NAME=value` a line. Where its socket
//! is not to be had, a line on stderr still carries its priority as a prefix (sd-daemon(3)).

use std::fmt;
use std::io::{self, Write};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::{Format, Full, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

/// journald's socket.
#[derive(Clone, Debug)]
pub(super) struct Journald {
    socket: Arc<UnixDatagram>,
}

/// How an event becomes an entry.
pub(super) struct Entry {
    line: Format<Full, ()>,
    form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// An entry of the native protocol.
    Whole,
    /// A line on stderr.
    Line,
}

/// Where it listens on every system that has it.
const SOCKET: &str = "/run/systemd/journal/socket";

/// Longer than a busy journald takes, and short enough not to hold a service up for good.
const PATIENCE: Duration = Duration::from_secs(1);

/// A datagram has room for this anywhere; no value of ours comes near.
const MAX_VALUE_BYTES: usize = 16 << 10;

impl Journald {
    /// Finds journald.
    ///
    /// # Errors
    /// It is not there.
    pub(super) fn connect() -> io::Result<Self> {
        Self::at(Path::new(SOCKET))
    }

    fn at(path: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(path)?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { socket: Arc::new(socket) })
    }
}

impl<'a> MakeWriter<'a> for Journald {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

impl Write for &Journald {
    /// Takes one whole entry.
    fn write(&mut self, entry: &[u8]) -> io::Result<usize> {
        // The pipe behind stderr leads to journald too, and outlives a new socket.
        self.socket.send(entry).or_else(|_| io::stderr().write_all(entry).map(|()| entry.len()))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Entry {
    /// An entry with its fields.
    pub(super) fn whole() -> Self {
        Self::new(Form::Whole)
    }

    /// A line with its priority.
    pub(super) fn line() -> Self {
        Self::new(Form::Line)
    }

    fn new(form: Form) -> Self {
        // journald knows the time.
        Self { line: Format::default().without_time().with_ansi(false), form }
    }
}

impl<S, N> FormatEvent<S, N> for Entry
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        // syslog(3)
        let priority = match *event.metadata().level() {
            Level::ERROR => 3,
            Level::WARN => 4,
            Level::INFO => 6,
            Level::DEBUG | Level::TRACE => 7,
        };
        let mut line = String::new();
        self.line.format_event(context, Writer::new(&mut line), event)?;
        match self.form {
            Form::Line => write!(writer, "<{priority}>{line}"),
            Form::Whole => {
                field(&mut writer, "MESSAGE", line.trim())?;
                field(&mut writer, "PRIORITY", &priority.to_string())?;
                field(&mut writer, "SYSLOG_IDENTIFIER", "pxe-server")?;
                let mut fields = Fields { writer, outcome: Ok(()) };
                event.record(&mut fields);
                fields.outcome
            }
        }
    }
}

/// Writes the fields of an event.
struct Fields<'a> {
    writer: Writer<'a>,
    outcome: fmt::Result,
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, name: &Field, value: &str) {
        // `message` is in MESSAGE, the rest is ours: journald's own have other names.
        if name.name() != "message" {
            let written = field(&mut self.writer, &name.name().to_ascii_uppercase(), value);
            self.outcome = self.outcome.and(written);
        }
    }

    fn record_debug(&mut self, name: &Field, value: &dyn fmt::Debug) {
        self.record_str(name, &format!("{value:?}"));
    }

    fn record_error(&mut self, name: &Field, value: &(dyn std::error::Error + 'static)) {
        self.record_str(name, &value.to_string());
    }
}

/// Writes one field. A line break would end it: what comes from the network must not make up fields.
fn field(writer: &mut Writer<'_>, name: &str, value: &str) -> fmt::Result {
    let end = value.floor_char_boundary(MAX_VALUE_BYTES.min(value.len()));
    write!(writer, "{name}=")?;
    value[..end].chars().try_for_each(|letter| writer.write_char(if letter == '\n' { ' ' } else { letter }))?;
    writer.write_char('\n')
}

#[cfg(test)]
mod tests {
    use tracing::{info, warn};
    use tracing_subscriber::fmt::Layer;
    use tracing_subscriber::prelude::*;

    use super::*;

    #[test]
    fn an_entry_has_the_line_and_every_field() {
        let name = Some("web".to_owned());

        let entries = entries(|| {
            info!(machine = name, address = %"10.77.0.50", stage = "offer", bytes = 7, "sent");
            warn!(machine = None::<String>, "nobody");
        });

        assert_eq!(
            entries,
            [
                "MESSAGE=INFO pxe_server::log::journald::tests: sent machine=\"web\" address=10.77.0.50 stage=\"offer\" bytes=7\n\
                 PRIORITY=6\nSYSLOG_IDENTIFIER=pxe-server\nMACHINE=web\nADDRESS=10.77.0.50\nSTAGE=offer\nBYTES=7\n",
                "MESSAGE=WARN pxe_server::log::journald::tests: nobody\nPRIORITY=4\nSYSLOG_IDENTIFIER=pxe-server\n",
            ]
        );
    }

    #[test]
    fn a_value_from_the_network_makes_up_no_field() {
        let entries = entries(|| info!(file = %"a\nMACHINE=web", "asked for"));

        assert_eq!(
            entries,
            ["MESSAGE=INFO pxe_server::log::journald::tests: asked for file=a MACHINE=web\n\
              PRIORITY=6\nSYSLOG_IDENTIFIER=pxe-server\nFILE=a MACHINE=web\n"]
        );
    }

    /// What arrives at a socket as journald's while `work` logs.
    fn entries(work: impl FnOnce()) -> Vec<String> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("socket");
        let journald = UnixDatagram::bind(&path).expect("a socket");
        journald.set_nonblocking(true).expect("a socket can");
        let layer = Layer::default().event_format(Entry::whole()).with_writer(Journald::at(&path).expect("it listens"));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), work);
        let mut datagram = vec![0; 1 << 16];
        let receive =
            || journald.recv(&mut datagram).ok().map(|length| String::from_utf8_lossy(&datagram[..length]).into());
        std::iter::from_fn(receive).collect()
    }
}
