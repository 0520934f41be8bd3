//! Ctrl-C as a question that is asked between two steps, so that everything ends in order.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{SigSet, Signal};

/// Whether somebody wants this to end.
pub(super) struct Interruption {
    asked: Arc<AtomicBool>,
}

impl Interruption {
    /// Holds back SIGINT, SIGTERM and SIGHUP from this thread, and from all threads and programs that it starts later.
    ///
    /// # Errors
    /// The system refuses.
    pub(super) fn watch() -> Result<Self> {
        let signals: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect();
        signals.thread_block().context("cannot hold back signals")?;
        let asked = Arc::new(AtomicBool::new(false));
        let (heard, main) = (asked.clone(), thread::current());
        thread::spawn(move || {
            let _ = signals.wait();
            heard.store(true, Ordering::Relaxed);
            main.unpark();
        });
        Ok(Self { asked })
    }

    /// # Errors
    /// Somebody does.
    pub(super) fn check(&self) -> Result<()> {
        ensure!(!self.asked.load(Ordering::Relaxed), "interrupted");
        Ok(())
    }
}
