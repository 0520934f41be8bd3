//! How far something long is, for a person who watches; and whether they still want it.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::error::Result;
use crate::interrupt::Interrupt;
use crate::ui::Ui;

/// A bar on standard error, gone when it is dropped; nothing where standard error is no terminal.
#[derive(Debug)]
pub(crate) struct Progress<'a> {
    bar: ProgressBar,
    interrupt: Option<&'a Interrupt>,
}

impl<'a> Progress<'a> {
    /// Begins something that takes `total` bytes.
    pub(crate) fn start(what: &str, total: u64, interrupt: &'a Interrupt, ui: Ui) -> Self {
        let target = if ui.quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let style = ProgressStyle::with_template("{msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec} {eta}")
            .expect("the template is this program's own");
        let bar = ProgressBar::with_draw_target(Some(total), target).with_style(style.progress_chars("=> "));
        bar.set_message(what.to_owned());
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar, interrupt: Some(interrupt) }
    }

    /// Nobody watches, and nobody can interrupt.
    pub(crate) fn silent() -> Self {
        Self { bar: ProgressBar::hidden(), interrupt: None }
    }

    /// So many bytes more are done.
    ///
    /// # Errors
    /// Somebody wants this to end.
    pub(crate) fn advance(&self, bytes: usize) -> Result<()> {
        self.bar.inc(bytes as u64);
        self.interrupt.map_or(Ok(()), Interrupt::check)
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
