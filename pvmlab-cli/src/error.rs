//! What went wrong, what to do about it, and the exit code that says of which kind it was.

use std::fmt;
use std::process::ExitCode;

/// What a command returns.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

/// Why a command did not do what it was asked; printed once, at the edge.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: Kind,
    message: String,
    hints: Vec<String>,
}

/// What kind of failure it is; each has an exit code of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Something on this machine or in the lab failed.
    Failed,
    /// The command was not understood, or an argument makes no sense.
    Usage,
    /// A machine, image or file that was named does not exist.
    NotFound,
    /// What is asked contradicts what is there: a second provisioner, a duplicate address, a machine that already runs.
    Conflict,
    /// The host lacks something: a program, firmware, permission, space.
    Missing,
    /// Something did not happen in time.
    TimedOut,
    /// A person or the system asked this command to end.
    Interrupted,
}

impl Kind {
    /// The exit code; 2 is also what the command line parser uses.
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::Conflict => 4,
            Self::Missing => 5,
            Self::TimedOut => 6,
            // What shells report of a program that Ctrl-C ended: 128 and the signal's number.
            Self::Interrupted => 130,
        }
    }
}

impl Failure {
    /// A failure of this kind; `message` is one sentence without a full stop, lower case.
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hints: Vec::new() }
    }

    /// The same with a sentence that says what to do next.
    pub(crate) fn hinted(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// What a person can do about it, most useful first.
    pub(crate) fn hints(&self) -> &[String] {
        &self.hints
    }

    /// Which kind it is.
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// What standard error is told: the sentence, then a line for each hint.
    pub(crate) fn print(&self) {
        anstream::eprintln!("{ERROR}error:{ERROR:#} {}", self.message);
        for hint in &self.hints {
            anstream::eprintln!("{HINT}hint:{HINT:#} {hint}");
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// What a library or the system reported; its chain becomes one sentence. A full disk is something that the host lacks.
impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        let full = error.chain().any(|cause| {
            let kind = cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
            matches!(kind, Some(FileTooLarge | QuotaExceeded | StorageFull))
        });
        let message = format!("{error:#}");
        if full { Self::new(Kind::Missing, message).hinted(FREE_SPACE) } else { Self::new(Kind::Failed, message) }
    }
}

impl From<&Failure> for ExitCode {
    fn from(failure: &Failure) -> Self {
        Self::from(failure.kind.exit_code())
    }
}

/// What to do about a full disk.
pub(crate) const FREE_SPACE: &str =
    "free some space, or set PVMLAB_HOME to a folder on a larger disk; `pvmlab doctor` shows how much there is";

const ERROR: anstyle::Style = anstyle::AnsiColor::Red.on_default().bold();
const HINT: anstyle::Style = anstyle::AnsiColor::Cyan.on_default().bold();
