use clap_complete::ArgValueCompleter;
use lab_model::MachineName;

use crate::commands::completion;
use crate::error::Result;
use crate::home::Home;
use crate::profiles::{self, Rendered};
use crate::store::Store;
use crate::ui::Ui;

/// Prints exactly what a machine gets from the network: its boot script, and each document of its profile.
///
/// As JSON: `script`, and `documents` by name.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  pvmlab profile render web\n  pvmlab profile render web --json | jq -r .script")]
pub(crate) struct Render {
    /// Which machine.
    #[arg(add = ArgValueCompleter::new(completion::machines))]
    machine: MachineName,
}

impl Render {
    pub(crate) fn run(self, home: &Home, ui: Ui) -> Result<()> {
        let store = Store::read(home)?;
        let (machine, server) = (&store.find(&self.machine)?.machine, store.require_network()?.ipv4);
        let rendered = profiles::render(machine, &profiles::read(home)?, server, home);
        ui.data(&rendered, |Rendered { script, documents }| {
            let documents = documents.iter().map(|(name, text)| format!("--- {name}\n{text}"));
            format!("--- boot script\n{script}{}", documents.collect::<String>())
        })
    }
}
