use std::collections::BTreeMap;

use lab_model::{Arch, ImageName};
use serde::Serialize;

use crate::error::Result;
use crate::home::Home;
use crate::images::{self, BadImage};
use crate::table::table;
use crate::ui::Ui;

/// Lists the images of the lab, and what distros.yaml lists besides.
///
/// As JSON: `images`, each with `name`, `arch`, `state` (ready; broken, with `problem`; or listed: in distros.yaml, and not
/// here), `bytes` (of all its files) and `disk-bytes` (the least size of a machine's disk), null where unknown; and `bad`,
/// the folders that hold no image, each with `folder` and `problem`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  pvmlab distro ls\n  pvmlab distro ls --json")]
pub(crate) struct List {}

impl List {
    pub(crate) fn run(self, home: &Home, ui: Ui) -> Result<()> {
        home.require()?;
        let (images, bad) = images::all(home)?;
        for BadImage { folder, problem } in &bad {
            ui.say(format_args!("warning: images/{folder} is no image: {problem}"));
        }
        let mut rows: BTreeMap<(ImageName, Arch), Row> = images::catalogue(home)?
            .into_iter()
            .map(|(name, arch)| {
                let row = Row { name, arch, state: State::Listed, problem: None, bytes: None, disk_bytes: None };
                ((row.name.clone(), arch), row)
            })
            .collect();
        rows.extend(images.iter().map(|image| {
            let (name, arch) = (image.manifest.name.clone(), image.manifest.arch);
            let problem = image.glance();
            let state = if problem.is_some() { State::Broken } else { State::Ready };
            let (bytes, disk_bytes) = (Some(image.size()), Some(image.manifest.disk.raw_size));
            ((name.clone(), arch), Row { name, arch, state, problem, bytes, disk_bytes })
        }));
        if rows.is_empty() && !ui.json {
            ui.say("there are no images yet: register one with `pvmlab distro add FOLDER`");
            return Ok(());
        }
        ui.data(&Listing { images: rows.into_values().collect(), bad }, |listing| {
            table(["NAME", "ARCH", "SIZE", "DISK", "STATE"], &listing.images.iter().map(Row::cells).collect::<Vec<_>>())
        })
    }
}

#[derive(Serialize)]
struct Listing {
    images: Vec<Row>,
    bad: Vec<BadImage>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Row {
    name: ImageName,
    arch: Arch,
    state: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    bytes: Option<u64>,
    disk_bytes: Option<u64>,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ready,
    Broken,
    Listed,
}

impl Row {
    fn cells(&self) -> [String; 5] {
        let mib =
            |bytes: Option<u64>| bytes.map(|bytes| format!("{} MiB", bytes.div_ceil(1 << 20))).unwrap_or_default();
        let state = match self.state {
            State::Ready => "ready".to_owned(),
            State::Broken => format!("broken: {}", self.problem.as_deref().unwrap_or_default()),
            State::Listed => "listed in distros.yaml, not here".to_owned(),
        };
        [self.name.to_string(), self.arch.to_string(), mib(self.bytes), mib(self.disk_bytes), state]
    }
}
