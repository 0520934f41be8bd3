//! Ctrl-C while something is half made: it is noticed instead of obeyed, so that what was made is taken back.

use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context as _;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::low_level::pipe;

use crate::error::{Failure, Kind, Result};

/// Held while something is being made; signals end the program at once again when it is dropped.
///
/// Programs that were started meanwhile get Ctrl-C from the terminal themselves.
#[derive(Debug)]
pub(crate) struct Interrupt {
    signals: &'static Signals,
}

/// Handlers stay for as long as the process lives, so there is one set of them.
#[derive(Debug)]
struct Signals {
    obeyed: Arc<AtomicBool>,
    seen: Arc<AtomicBool>,
}

static SIGNALS: OnceLock<Signals> = OnceLock::new();

impl Interrupt {
    /// From now on a signal is only noticed.
    pub(crate) fn hold() -> Self {
        let signals = SIGNALS.get_or_init(|| {
            let signals = Signals { obeyed: Arc::new(AtomicBool::new(true)), seen: Arc::new(AtomicBool::new(false)) };
            for signal in [SIGHUP, SIGINT, SIGTERM] {
                let handled = flag::register_conditional_default(signal, signals.obeyed.clone())
                    .and_then(|_| flag::register(signal, signals.seen.clone()));
                handled.expect("these signals may be handled");
            }
            signals
        });
        signals.obeyed.store(false, Ordering::SeqCst);
        Self { signals }
    }

    /// Asked between two steps.
    ///
    /// # Errors
    /// Somebody wants this to end.
    pub(crate) fn check(&self) -> Result<()> {
        if self.signals.seen.load(Ordering::SeqCst) {
            return Err(Failure::new(Kind::Interrupted, "interrupted: nothing was changed"));
        }
        Ok(())
    }
}

impl Interrupt {
    /// Lets `time` pass between two questions.
    ///
    /// # Errors
    /// Somebody wants this to end.
    pub(crate) fn pause(&self, time: Duration) -> Result<()> {
        self.check()?;
        std::thread::park_timeout(time);
        self.check()
    }

    /// A socket that is readable once somebody wants this to end, for who waits for other descriptors as well.
    ///
    /// # Errors
    /// No descriptor is left.
    pub(crate) fn readable(&self) -> Result<UnixStream> {
        let (ours, theirs) = UnixStream::pair().context("cannot make a pair of sockets")?;
        for signal in [SIGHUP, SIGINT, SIGTERM] {
            let theirs = theirs.try_clone().context("cannot share a socket")?;
            pipe::register(signal, theirs).context("cannot watch a signal")?;
        }
        // A signal that came before would never be told of.
        if self.check().is_err() {
            (&theirs).write_all(&[0]).context("cannot write to a socket")?;
        }
        Ok(ours)
    }
}

impl Drop for Interrupt {
    fn drop(&mut self) {
        self.signals.obeyed.store(true, Ordering::SeqCst);
    }
}
