//! What a long step is doing: a live line on a terminal, a plain line now and then anywhere else.

use std::{
    collections::VecDeque,
    io::{self, BufRead, BufReader, IsTerminal},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};

/// One step of a command, from [`Step::start`] to [`Step::finish`].
pub(crate) struct Step {
    what: String,
    started: Instant,
    shown: Instant,
    bar: Option<ProgressBar>,
}

impl Step {
    /// Shows that `what` has started, such as `installing 12 packages`.
    pub(crate) fn start(what: impl Into<String>) -> Self {
        let what = what.into();
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix} {elapsed:.dim} {wide_msg:.dim}") {
                bar.set_style(style);
            }
            bar.set_prefix(what.clone());
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        if bar.is_none() {
            eprintln!("{what} …");
        }
        let started = Instant::now();
        Self { what, started, shown: started, bar }
    }

    /// Shows `detail` as what the step is at now; lines that follow closely on one another are left out off a terminal.
    pub(crate) fn note(&mut self, detail: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(detail.to_owned()),
            None if self.shown.elapsed() >= PLAIN_INTERVAL => {
                self.shown = Instant::now();
                eprintln!("  {:>4} s  {detail}", self.started.elapsed().as_secs());
            }
            None => {}
        }
    }

    /// Shows how long the step took.
    pub(crate) fn finish(self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        eprintln!("{}: {:.1} s", self.what, self.started.elapsed().as_secs_f64());
    }

    /// Runs `command` without input and notes each line that it writes.
    ///
    /// # Errors
    /// It cannot be started or fails; the message ends with its last lines.
    pub(crate) fn run(&mut self, command: &mut Command) -> Result<()> {
        let program = command.get_program().to_string_lossy().into_owned();
        let (reader, writer) = io::pipe()?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer)
            .spawn()
            .with_context(|| format!("cannot run {program}"))?;
        // The command holds the pipe's writing end too, and with it the end of the output would never come.
        command.stdout(Stdio::null()).stderr(Stdio::null());

        let mut last = VecDeque::with_capacity(LINES_ON_FAILURE);
        for line in BufReader::new(reader).split(b'\n') {
            let line = String::from_utf8_lossy(&line?).trim_end().to_owned();
            if line.is_empty() {
                continue;
            }
            self.note(&line);
            if last.len() == LINES_ON_FAILURE {
                last.pop_front();
            }
            last.push_back(line);
        }
        let status = child.wait()?;
        if !status.success() {
            bail!("{program} failed ({status}):\n{}", Vec::from(last).join("\n"));
        }
        Ok(())
    }
}

/// How far apart plain lines are: often enough to see that it lives, seldom enough for a log that is read later.
const PLAIN_INTERVAL: Duration = Duration::from_secs(10);

const LINES_ON_FAILURE: usize = 25;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_command_is_reported_with_its_last_lines() {
        let mut step = Step::start("testing");

        let error = step.run(Command::new("sh").args(["-c", "echo reading; echo 'no such disk' >&2; exit 3"]));

        let text = error.expect_err("it exits with 3").to_string();
        assert_eq!(text, "sh failed (exit status: 3):\nreading\nno such disk");
    }
}
