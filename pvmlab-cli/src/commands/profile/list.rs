use serde::Serialize;

use crate::error::Result;
use crate::home::Home;
use crate::profiles::{self, Shipped};
use crate::store::Store;
use crate::table::table;
use crate::ui::Ui;

/// Lists the lab's profiles, and those that come with this program.
///
/// As JSON: a list, each with `name`, `kind`, `description`, `machines` (which have it) and `state`: in-force, broken or
/// shipped (to be copied by `pvmlab profile add`).
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  pvmlab profile ls\n  pvmlab profile ls --json")]
pub(crate) struct List {}

#[derive(Serialize)]
struct Row {
    name: String,
    kind: Option<&'static str>,
    description: String,
    machines: Vec<String>,
    state: State,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    InForce,
    Broken,
    Shipped,
}

impl List {
    pub(crate) fn run(self, home: &Home, ui: Ui) -> Result<()> {
        let (profiles, store) = (profiles::read(home)?, Store::read(home)?);
        let mut rows: Vec<_> = profiles
            .all()
            .map(|profile| {
                let machines = store.machines().iter().map(|stored| &stored.machine);
                let machines = machines.filter(|machine| profiles.of(machine) == Ok(Some(profile)));
                Row {
                    name: profile.name.to_string(),
                    kind: Some(profile.kind.word()),
                    description: profile.description.clone(),
                    machines: machines.map(|machine| machine.name.to_string()).collect(),
                    state: State::InForce,
                }
            })
            .collect();
        rows.extend(profiles.problems().iter().map(|problem| Row {
            name: problem.profile.to_string(),
            kind: None,
            description: "broken: `pvmlab profile check` says why".to_owned(),
            machines: Vec::new(),
            state: State::Broken,
        }));
        let shipped = Shipped::ALL.iter().filter(|shipped| !home.profiles().join(shipped.name).exists());
        rows.extend(shipped.map(|shipped| Row {
            name: shipped.name.to_owned(),
            kind: None,
            description: format!("shipped: copy it with `pvmlab profile add {}`", shipped.name),
            machines: Vec::new(),
            state: State::Shipped,
        }));
        rows.sort_by(|a, b| a.name.cmp(&b.name));
        ui.data(&rows, |rows| {
            let cells = |row: &Row| {
                [
                    row.name.clone(),
                    row.kind.unwrap_or_default().to_owned(),
                    row.machines.join(", "),
                    row.description.clone(),
                ]
            };
            table(["NAME", "KIND", "MACHINES", "DESCRIPTION"], &rows.iter().map(cells).collect::<Vec<_>>())
        })
    }
}
