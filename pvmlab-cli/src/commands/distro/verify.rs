use clap_complete::ArgValueCompleter;
use lab_model::{Arch, ImageName};
use serde::Serialize;

use crate::commands::completion;
use crate::error::{Failure, Kind, Result};
use crate::home::Home;
use crate::images;
use crate::interrupt::Interrupt;
use crate::table::table;
use crate::ui::Ui;

/// Reads images through, and compares every file with what the manifest says.
///
/// Exits with 1 if one is broken. As JSON: a list, each with `name`, `arch` and `problem` (null where there is none).
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  pvmlab distro verify\n  pvmlab distro verify debian-12 --arch aarch64")]
pub(crate) struct Verify {
    /// Which images; all otherwise.
    #[arg(value_name = "NAME", add = ArgValueCompleter::new(completion::images))]
    names: Vec<ImageName>,
    /// For this architecture alone.
    #[arg(long)]
    arch: Option<Arch>,
}

impl Verify {
    pub(crate) fn run(self, home: &Home, ui: Ui) -> Result<()> {
        home.require()?;
        let (images, bad) = images::all(home)?;
        if let Some(name) = self.names.iter().find(|name| images.iter().all(|image| &image.manifest.name != *name)) {
            return Err(Failure::new(Kind::NotFound, format!("there is no image `{name}`"))
                .hinted("`pvmlab distro ls` shows what there is"));
        }
        let interrupt = Interrupt::hold();
        let mut rows = Vec::new();
        for image in images {
            let (name, arch) = (image.manifest.name.clone(), image.manifest.arch);
            let is_asked = self.names.is_empty() || self.names.contains(&name);
            if !is_asked || self.arch.is_some_and(|asked| asked != arch) {
                continue;
            }
            let problem = match image.verify(&interrupt, ui) {
                Ok(()) => None,
                Err(failure) if failure.kind() == Kind::Interrupted => return Err(failure),
                Err(failure) => Some(failure.to_string()),
            };
            rows.push(Row { name, arch, problem });
        }
        if self.names.is_empty() {
            bad.iter()
                .for_each(|bad| ui.say(format_args!("warning: images/{} is no image: {}", bad.folder, bad.problem)));
        }
        if rows.is_empty() && !ui.json {
            ui.say("there are no images");
            return Ok(());
        }
        ui.data(&rows, |rows| table(["NAME", "ARCH", "STATE"], &rows.iter().map(Row::cells).collect::<Vec<_>>()))?;
        match rows.iter().find(|row| row.problem.is_some()) {
            Some(Row { name, arch, .. }) => Err(Failure::new(Kind::Failed, format!("`{name}` for {arch} is broken"))
                .hinted("remove it with `pvmlab distro rm`, and pull or add it again")),
            None => Ok(()),
        }
    }
}

#[derive(Serialize)]
struct Row {
    name: ImageName,
    arch: Arch,
    problem: Option<String>,
}

impl Row {
    fn cells(&self) -> [String; 3] {
        let state = self.problem.as_ref().map_or_else(|| "whole".to_owned(), |problem| format!("broken: {problem}"));
        [self.name.to_string(), self.arch.to_string(), state]
    }
}
