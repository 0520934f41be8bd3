use std::process::ExitCode;

use clap_complete::ArgValueCompleter;
use lab_model::MachineName;

use crate::commands::completion;
use crate::error::Result;
use crate::home::Home;
use crate::provisioner::Provisioner;

/// Shows what the server on the provisioner logged.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  pvmlab provisioner logs\n  pvmlab provisioner logs --follow\n  pvmlab provisioner logs --machine web"
)]
pub(crate) struct Logs {
    /// Goes on as more is logged.
    #[arg(long, short)]
    follow: bool,
    /// How many of the latest lines are shown.
    #[arg(long, short = 'n', value_name = "COUNT", default_value_t = 100)]
    lines: u32,
    /// Only what is about this machine.
    #[arg(long, value_name = "NAME", add = ArgValueCompleter::new(completion::machines))]
    machine: Option<MachineName>,
}

impl Logs {
    pub(crate) fn run(self, home: &Home) -> Result<ExitCode> {
        let login = Provisioner::find(home)?.login(home)?;
        login.hand_over(login.shell(Some(&self.script())))
    }

    fn script(&self) -> String {
        let follow = if self.follow { " --follow" } else { "" };
        let machine = self.machine.as_ref().map(|name| format!(" MACHINE={name}")).unwrap_or_default();
        format!("sudo journalctl --no-pager --unit pxe-server.service --lines {}{follow}{machine}", self.lines)
    }
}
