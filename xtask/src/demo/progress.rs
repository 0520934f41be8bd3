//! A boot as it happens: a line for each stage, a bar while the disk is written.

use std::{
    io::{self, IsTerminal as _},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use lab_model::{Event, Stage};

/// What has been shown so far.
pub(super) struct Progress {
    started: Instant,
    latest: Instant,
    seen: usize,
    stage: Option<Stage>,
    percent: u8,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Begins to count.
    pub(super) fn start() -> Self {
        let now = Instant::now();
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(100);
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        let mut progress = Self { started: now, latest: now, seen: 0, stage: None, percent: 0, bar };
        progress.style();
        progress
    }

    /// Shows what is new: `events` are all that happened so far, `percent` is how much of the image is written.
    pub(super) fn show(&mut self, events: &[Event], percent: Option<u8>) {
        for event in events.iter().skip(self.seen) {
            self.latest = Instant::now();
            if let Some(failure) = event.what.failure() {
                self.line(failure);
            }
            if let Some(stage) = event.what.stage().filter(|stage| Some(*stage) > self.stage) {
                self.stage = Some(stage);
                self.line(words(stage));
                self.style();
            }
        }
        self.seen = events.len();
        if let Some(percent) = percent.filter(|percent| *percent != self.percent) {
            self.percent = percent;
            match &self.bar {
                Some(bar) => bar.set_position(percent.into()),
                None if percent < 100 => self.line(&format!("  {percent} %")),
                None => {}
            }
        }
    }

    /// How long nothing has happened.
    pub(super) fn since_the_latest(&self) -> Duration {
        self.latest.elapsed()
    }

    fn line(&self, text: &str) {
        let line = format!("{:>7.1} s  {text}", self.started.elapsed().as_secs_f64());
        match &self.bar {
            Some(bar) => bar.suspend(|| println!("{line}")),
            None => println!("{line}"),
        }
    }

    fn style(&mut self) {
        let Some(bar) = &self.bar else { return };
        let template = if self.stage == Some(Stage::Write) {
            "  {elapsed:>8} {bar:40} {percent} %"
        } else {
            "  {elapsed:>8} {spinner}"
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn words(stage: Stage) -> &'static str {
    match stage {
        Stage::Offer => "the firmware is offered an address",
        Stage::Address => "the firmware has its address",
        Stage::BootProgram => "the firmware has fetched iPXE",
        Stage::Script => "iPXE has its script",
        Stage::Kernel => "iPXE has fetched the kernel",
        Stage::Initrd => "iPXE has fetched the initial RAM file system",
        Stage::Installer => "the installer runs",
        Stage::Write => "the installer writes the disk",
        Stage::Verify => "the disk holds what the image's manifest says",
        Stage::Installed => "the installation is complete; the machine restarts",
        Stage::System => "the installed system has its address",
        Stage::Up => "the installed system is configured and up",
    }
}
