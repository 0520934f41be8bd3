//! How far something long is, for a person who watches; and whether they still want it.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

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

    /// So many of so many bytes are there already, or again; a total that nobody knows is none.
    pub(crate) fn go_on(&self, done: u64, total: Option<u64>) {
        match total {
            Some(total) => self.bar.set_length(total),
            None => self.bar.unset_length(),
        }
        self.bar.set_position(done);
        self.bar.reset_eta();
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

/// Several things at once, a bar for each.
#[derive(Debug)]
pub(crate) struct Bars(MultiProgress);

impl Bars {
    /// None yet.
    pub(crate) fn new(ui: Ui) -> Self {
        let target = if ui.quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        Self(MultiProgress::with_draw_target(target))
    }

    /// Begins one of them; how much it takes is said by [`Progress::go_on`].
    pub(crate) fn start<'a>(&self, what: &str, interrupt: &'a Interrupt) -> Progress<'a> {
        let style = ProgressStyle::with_template("{msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec} {eta}")
            .expect("the template is this program's own");
        let bar = self.0.add(ProgressBar::no_length().with_style(style.progress_chars("=> ")));
        bar.set_message(what.to_owned());
        bar.enable_steady_tick(Duration::from_millis(200));
        Progress { bar, interrupt: Some(interrupt) }
    }

    /// Says something without spoiling the bars.
    pub(crate) fn say(&self, ui: Ui, message: impl std::fmt::Display) {
        self.0.suspend(|| ui.say(message));
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
