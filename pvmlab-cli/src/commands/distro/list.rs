use std::collections::{BTreeMap, BTreeSet};

use lab_model::{Arch, ImageName};
use serde::Serialize;

use crate::distros::{self, Catalogue};
use crate::error::Result;
use crate::home::Home;
use crate::images::{self, BadImage};
use crate::table::table;
use crate::ui::Ui;

/// Lists the images of the lab, and what could be pulled besides.
///
/// As JSON: `images`, each with `name`, `arch`, `state` (available: it could be pulled; pulled: the vendor's file is here;
/// ready: machines can boot it; outdated: that too, and the vendor had a newer one when `distro update` looked; broken,
/// with `problem`), `bytes` (of all its files) and `disk-bytes` (the least size of a machine's disk; null also for an image
/// without a disk, which profiles start), null where unknown; and `bad`, the folders that hold no image, each with `folder` and `problem`.
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
        let catalogue = Catalogue::read(home, ui);
        let mut rows: BTreeMap<(ImageName, Arch), Row> = BTreeMap::new();
        let mut put = |row: Row| rows.insert((row.name.clone(), row.arch), row);
        for (name, arch) in catalogue.all() {
            put(Row::new(name.clone(), arch, State::Available));
        }
        let mut outdated = BTreeSet::new();
        for (name, arch, record) in distros::all(home) {
            if record.outdated {
                outdated.insert((name.clone(), arch));
            }
            let state = if record.is_kept(home, &name, arch) { State::Pulled } else { State::Available };
            put(Row { bytes: (state == State::Pulled).then_some(record.size), ..Row::new(name, arch, state) });
        }
        for image in &images {
            let (name, arch) = (image.manifest.name.clone(), image.manifest.arch);
            let problem = image.glance();
            let state = match &problem {
                Some(_) => State::Broken,
                None if outdated.contains(&(name.clone(), arch)) => State::Outdated,
                None => State::Ready,
            };
            let (bytes, disk_bytes) = (Some(image.size()), image.manifest.disk.as_ref().map(|disk| disk.raw_size));
            put(Row { problem, bytes, disk_bytes, ..Row::new(name, arch, state) });
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

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Available,
    Pulled,
    Ready,
    Outdated,
    Broken,
}

impl Row {
    fn new(name: ImageName, arch: Arch, state: State) -> Self {
        Self { name, arch, state, problem: None, bytes: None, disk_bytes: None }
    }

    fn cells(&self) -> [String; 5] {
        let mib =
            |bytes: Option<u64>| bytes.map(|bytes| format!("{} MiB", bytes.div_ceil(1 << 20))).unwrap_or_default();
        let state = match self.state {
            State::Available => "available".to_owned(),
            State::Pulled => "pulled, not prepared".to_owned(),
            State::Ready => "ready".to_owned(),
            State::Outdated => "ready, outdated".to_owned(),
            State::Broken => format!("broken: {}", self.problem.as_deref().unwrap_or_default()),
        };
        [self.name.to_string(), self.arch.to_string(), mib(self.bytes), mib(self.disk_bytes), state]
    }
}
