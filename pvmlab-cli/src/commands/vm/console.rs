use std::fs::File;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;

use anyhow::Context as _;
use lab_model::MachineName;
use nix::fcntl::{Flock, FlockArg};

use crate::error::{Failure, Kind, Result};
use crate::home::Home;
use crate::interrupt::Interrupt;
use crate::qemu::console::{Left, attach};
use crate::qemu::{power, socket};
use crate::store::Store;
use crate::ui::Ui;

/// Attaches this terminal to a running machine's serial console.
///
/// Ctrl-] detaches; the machine runs on, and what it prints is in its log either way. Every other key is the machine's.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  pvmlab vm console web\n  echo reboot | pvmlab vm console web")]
pub(crate) struct Console {
    /// The machine's name.
    name: MachineName,
}

impl Console {
    /// The console of this machine.
    pub(crate) fn of(name: MachineName) -> Self {
        Self { name }
    }

    pub(crate) fn run(self, home: &Home, ui: Ui) -> Result<()> {
        let name = &self.name;
        Store::read(home)?.find(name)?;
        power::require_running(home, name)?;
        let _alone = self.alone(home)?;
        let machine = UnixStream::connect(socket::console(home, name))
            .with_context(|| format!("cannot reach the console of `{name}`"))?;
        let terminal = |descriptor: std::io::Result<_>| descriptor.map(File::from).context("cannot use the terminal");
        let input = terminal(std::io::stdin().as_fd().try_clone_to_owned())?;
        let output = terminal(std::io::stdout().as_fd().try_clone_to_owned())?;
        let interrupt = Interrupt::hold();
        ui.say(format_args!("attached to {name}; Ctrl-] detaches"));
        match attach(&machine, &input, &output, &interrupt.readable()?)? {
            Left::Detached => ui.say(format_args!("\ndetached from {name}, which runs on")),
            Left::Ended => ui.say(format_args!("\n{name} is off")),
            Left::Interrupted => interrupt.check()?,
        }
        Ok(())
    }

    /// QEMU serves one at a time and lets others wait without a word.
    fn alone(&self, home: &Home) -> Result<Flock<File>> {
        let path = home.pid_file(&format!("{}.console", self.name));
        let open = File::options().create(true).truncate(false).write(true).open(&path);
        let file = open.with_context(|| format!("cannot open {}", path.display()))?;
        Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, error)| match error {
            nix::errno::Errno::EWOULDBLOCK => {
                Failure::new(Kind::Conflict, format!("somebody is attached to the console of `{}`", self.name))
                    .hinted(format!("let them detach with Ctrl-], or read along: `pvmlab vm logs {}`", self.name))
            }
            error => anyhow::Error::from(error).context(format!("cannot lock {}", path.display())).into(),
        })
    }
}
