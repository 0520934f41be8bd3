//! The machines as their definition files have them now.
//!
//! The folder is read whenever the file system says that something changed in it, and every second because some file
//! systems never say. A new inventory is published whole; a file that is wrong keeps its last good version.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use lab_model::{Inventory, Networks};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::definitions::{Folder, Watch};
use crate::plan::{Plan, Plans};

/// Publishes a new inventory when the definitions changed; [`Reader::run`] is its task.
pub(crate) struct Reader {
    folder: Folder,
    networks: Networks,
    published: watch::Sender<Arc<Inventory>>,
    readable: bool,
    /// Where the networks come from, once they can change.
    plans: Option<Plans>,
}

/// How often the folder is looked at where nothing says that it changed: a change is in force within two seconds then.
pub(crate) const POLL: Duration = Duration::from_secs(1);

/// Reads the definitions for the first time.
///
/// # Errors
/// The folder cannot be made or read. A definition that is wrong is no error but a problem of the inventory.
pub(crate) fn open(
    folder: &Path,
    networks: impl Into<Networks>,
) -> anyhow::Result<(Reader, watch::Receiver<Arc<Inventory>>)> {
    let unreadable = || format!("cannot read the definitions in {}", folder.display());
    std::fs::create_dir_all(folder).with_context(unreadable)?;
    let (published, inventory) = watch::channel(Arc::new(Inventory::default()));
    let mut reader =
        Reader { folder: Folder::new(folder), networks: networks.into(), published, readable: true, plans: None };
    reader.update().with_context(unreadable)?;
    Ok((reader, inventory))
}

impl Reader {
    /// Has definitions read again when the lab's networks are others.
    pub(crate) fn follow(&mut self, plans: Plans) {
        self.plans = Some(plans);
    }

    /// Reads on until nobody wants the inventory any more.
    pub(crate) async fn run(mut self) {
        let mut watch: Option<Watch> = None;
        loop {
            // Looking is short, but a network file system can hold it up for as long as it likes.
            let look = tokio::task::spawn_blocking(move || {
                // Watched first, then read: no change falls between the two.
                let path = self.folder.path();
                let watch = watch.filter(|watch| watch.is_of(path)).or_else(|| Watch::new(path));
                let read = self.update();
                (self, watch, read)
            });
            let Ok((reader, watching, read)) = look.await else { return };
            (self, watch) = (reader, watching);
            self.tell(read);
            let plans = self.plans.as_mut();
            tokio::select! {
                () = self.published.closed() => return,
                Some(plan) = changed(plans) => self.fit(plan.lab.networks()),
                () = tokio::time::sleep(POLL) => {}
                () = Watch::settled(watch.as_ref()) => {}
            }
        }
    }

    /// Reads every definition anew for these networks.
    fn fit(&mut self, networks: Networks) {
        if networks != self.networks {
            self.networks = networks;
            self.folder = Folder::new(self.folder.path());
        }
    }

    fn update(&mut self) -> io::Result<()> {
        let Some(files) = self.folder.read(SystemTime::now())? else { return Ok(()) };
        let before = self.published.borrow().clone();
        let after = Inventory::build(&files, &self.networks, &before);
        if after != *before {
            let changes = changes(&before, &after);
            self.published.send_replace(Arc::new(after));
            // What the log says is in force by then.
            changes.iter().for_each(Change::log);
        }
        Ok(())
    }

    /// Says once that the folder cannot be read, and once that it can again.
    fn tell(&mut self, read: io::Result<()>) {
        let folder = self.folder.path().display();
        match &read {
            Err(error) if self.readable => {
                warn!(%folder, %error, "definitions cannot be read: the last ones stay in force")
            }
            Ok(()) if !self.readable => info!(%folder, "definitions can be read again"),
            _ => {}
        }
        self.readable = read.is_ok();
    }
}

/// The newest plan, as soon as it is another; nothing if there will be none.
async fn changed(plans: Option<&mut Plans>) -> Option<Arc<Plan>> {
    let plans = plans?;
    plans.changed().await.ok()?;
    Some(plans.borrow_and_update().clone())
}

/// One difference between two inventories.
#[derive(Debug, PartialEq, Eq)]
enum Change {
    Added(String),
    Changed(String),
    Removed(String),
    Problem(String),
    Solved(String),
}

fn changes(before: &Inventory, after: &Inventory) -> Vec<Change> {
    let removed = before.machines().filter(|machine| after.by_name(&machine.name).is_none());
    let mut changes: Vec<_> = removed.map(|machine| Change::Removed(machine.name.to_string())).collect();
    changes.extend(after.machines().filter_map(|machine| match before.by_name(&machine.name) {
        None => Some(Change::Added(machine.name.to_string())),
        Some(known) if known != machine => Some(Change::Changed(machine.name.to_string())),
        Some(_) => None,
    }));
    let solved = before.problems().iter().filter(|old| after.problems().iter().all(|new| new.file != old.file));
    changes.extend(solved.map(|problem| Change::Solved(problem.file.clone())));
    let new = after.problems().iter().filter(|problem| !before.problems().contains(problem));
    changes.extend(new.map(|problem| Change::Problem(problem.to_string())));
    changes
}

impl Change {
    fn log(&self) {
        match self {
            Self::Added(machine) => info!(machine, "defined"),
            Self::Changed(machine) => info!(machine, "definition changed"),
            Self::Removed(machine) => info!(machine, "definition removed"),
            Self::Problem(problem) => warn!(problem, "definition not in force"),
            Self::Solved(file) => info!(file, "definition no longer wrong"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[tokio::test]
    async fn a_definition_is_picked_up_when_the_file_system_says_so() {
        let folder = tempfile::tempdir().expect("a folder");
        let (reader, mut inventory) = open(folder.path(), server()).expect("readable");
        let reader = tokio::spawn(reader.run());

        fs::write(folder.path().join("web.toml"), definition("web", 1)).expect("a file");

        wait_for(&mut inventory, ["web"]).await;
        drop(inventory);
        reader.await.expect("the reader ends with the last one who wants to know");
    }

    #[tokio::test]
    async fn a_definition_is_picked_up_where_the_file_system_says_nothing() {
        let (folder, elsewhere) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        fs::write(elsewhere.path().join("web"), definition("web", 1)).expect("a file");
        std::os::unix::fs::symlink(elsewhere.path().join("web"), folder.path().join("web.toml")).expect("a link");
        let (reader, mut inventory) = open(folder.path(), server()).expect("readable");
        let _reader = tokio::spawn(reader.run());

        fs::write(elsewhere.path().join("web"), definition("db", 1)).expect("a file");

        wait_for(&mut inventory, ["db"]).await;
    }

    #[tokio::test]
    async fn machines_outlive_the_folder_being_away_for_a_while() {
        let parent = tempfile::tempdir().expect("a folder");
        let (here, away) = (parent.path().join("vms"), parent.path().join("away"));
        let (reader, mut inventory) = open(&here, server()).expect("readable");
        let _reader = tokio::spawn(reader.run());
        fs::write(here.join("web.toml"), definition("web", 1)).expect("a file");
        wait_for(&mut inventory, ["web"]).await;

        fs::rename(&here, &away).expect("its parent is ours");
        fs::write(away.join("db.toml"), definition("db", 2)).expect("a file");
        fs::rename(&away, &here).expect("its parent is ours");

        wait_for(&mut inventory, ["db", "web"]).await;
    }

    #[test]
    fn a_change_is_told_as_a_difference() {
        let build = |files: &[(&str, String)], before: &Inventory| {
            let files = files
                .iter()
                .map(|(file, text)| lab_model::DefinitionFile { file: (*file).to_owned(), text: Ok(text.clone()) });
            Inventory::build(&files.collect::<Vec<_>>(), server(), before)
        };
        let before = build(
            &[("a.toml", definition("a", 1)), ("b.toml", definition("b", 2)), ("x.toml", "name".to_owned())],
            &Inventory::default(),
        );

        let after = build(&[("a.toml", definition("a", 3)), ("c.toml", definition("c", 3))], &before);

        let conflict = "c.toml: mac: 52:54:00:00:00:03 belongs to a.toml already: each machine needs its own";
        assert_eq!(
            changes(&before, &after),
            [
                Change::Removed("b".to_owned()),
                Change::Changed("a".to_owned()),
                Change::Solved("x.toml".to_owned()),
                Change::Problem(conflict.to_owned()),
            ]
        );
    }

    async fn wait_for<const N: usize>(inventory: &mut watch::Receiver<Arc<Inventory>>, names: [&str; N]) {
        let wanted = inventory.wait_for(|now| now.machines().map(|machine| machine.name.as_str()).eq(names));
        let picked_up = tokio::time::timeout(Duration::from_secs(10), wanted).await;
        picked_up.expect("picked up in time").expect("the reader runs");
    }

    fn definition(name: &str, mac: u8) -> String {
        format!("name = '{name}'\narch = 'aarch64'\nmac = '52:54:00:00:00:0{mac}'\n")
    }

    fn server() -> lab_model::Ipv4Net {
        "10.77.0.1/24".parse().expect("a network")
    }
}
