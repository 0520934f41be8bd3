use std::os::fd::AsFd as _;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use anyhow::Context as _;
use nix::sys::stat::{Mode, umask};

use crate::error::Result;
use crate::home::Home;
use crate::interrupt::Interrupt;
use crate::network::switch::NAME;
use crate::network::switch::forward::{Pause, Switch};

/// Carries frames between the machines of the lab; `pvmlab` starts it by itself.
///
/// It ends when it is asked to, and soon after its last machine is gone.
#[derive(Debug, clap::Args)]
pub(crate) struct NetworkSwitch {
    /// Where machines connect.
    #[arg(long, value_name = "PATH")]
    socket: PathBuf,
}

impl NetworkSwitch {
    pub(crate) fn run(self, home: &Home) -> Result<()> {
        let interrupt = Interrupt::hold();
        let end = interrupt.readable()?;
        // Connecting takes the right to write: nobody else's machines are let in.
        umask(Mode::from_bits_truncate(0o077));
        let listener = UnixListener::bind(&self.socket);
        let listener = listener.with_context(|| format!("cannot listen at {}", self.socket.display()))?;
        let mut switch = Switch::new(listener).context("cannot listen")?;
        loop {
            match switch.run(end.as_fd()).context("cannot wait for frames")? {
                Pause::Asked => break,
                Pause::Deserted => {}
            }
            // Who has the lab may be about to plug a machine in. Otherwise nobody does until this process is gone.
            if let Some(_lock) = home.try_lock()? {
                self.remove(home);
                return Ok(());
            }
            eprintln!("nobody is plugged in; somebody has the lab, so the next machine is waited for");
        }
        self.remove(home);
        Ok(())
    }

    fn remove(&self, home: &Home) {
        let _ = std::fs::remove_file(&self.socket);
        let _ = std::fs::remove_file(home.pid_file(NAME));
    }
}
