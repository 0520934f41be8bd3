use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::time::Duration;

use anyhow::Context as _;
use lab_model::MachineName;

use crate::error::{Failure, Kind, Result};
use crate::home::Home;
use crate::interrupt::Interrupt;
use crate::qemu::power;
use crate::store::Store;
use crate::ui::Ui;

/// Prints what a machine printed on its serial console.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  pvmlab vm logs web\n  pvmlab vm logs web --follow")]
pub(crate) struct Logs {
    /// Which machine.
    name: MachineName,
    /// Goes on with what it prints, until it is switched off or Ctrl-C.
    #[arg(long, short)]
    follow: bool,
}

impl Logs {
    pub(crate) fn run(self, home: &Home, ui: Ui) -> Result<()> {
        Store::read(home)?.find(&self.name)?;
        let path = home.console_log(&self.name);
        let mut log = File::open(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Failure::new(Kind::NotFound, format!("{} has never run", self.name))
                .hinted(format!("start it with `pvmlab vm start {}`", self.name)),
            _ => anyhow::Error::from(error).context(format!("cannot open {}", path.display())).into(),
        })?;
        let interrupt = Interrupt::hold();
        loop {
            let ended = power::running(home, &self.name)?.is_none();
            if !copy(&mut log)? || !self.follow || ended {
                break;
            }
            interrupt.pause(POLL_INTERVAL)?;
        }
        if self.follow {
            ui.say(format_args!("{} is off", self.name));
        }
        Ok(())
    }
}

/// Prints what has come since; whether somebody still reads it.
fn copy(log: &mut File) -> Result<bool> {
    // A machine that was started anew begins its log anew.
    let (position, length) =
        (log.stream_position().context("cannot read the log")?, log.metadata().context("cannot read the log")?.len());
    if length < position {
        log.seek(SeekFrom::Start(0)).context("cannot read the log")?;
    }
    let mut text = Vec::new();
    log.read_to_end(&mut text).context("cannot read the log")?;
    let mut stdout = io::stdout().lock();
    match stdout.write_all(&text).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        written => Ok(written.map(|()| true).context("cannot write to standard output")?),
    }
}

/// A file does not tell when it grows.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
