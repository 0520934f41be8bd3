use clap_complete::ArgValueCompleter;
use lab_model::{Arch, ImageName, Sha256};
use serde::Serialize;

use crate::commands::completion;
use crate::distros::{Catalogue, DEFAULT, Fetcher, Order, Pulled, Record};
use crate::error::{Kind, Result};
use crate::home::Home;
use crate::interrupt::Interrupt;
use crate::new_machine::host_arch;
use crate::ui::Ui;

/// Downloads vendors' cloud images, and makes images of them; ubuntu-24.04 where none is named.
///
/// What comes is compared with the vendor's own list of checksums. A download that broke off goes on where it stopped if
/// upstream is still the same. What is here and current is not downloaded again. Where upstream has a newer one, the image
/// becomes that: machines that are made or installed from now on get it, and disks that are laid over the older one keep it.
///
/// As JSON: a list, each with `name`, `arch`, `state` (pulled or up-to-date), `url`, `bytes`, `sha256` (both of the
/// vendor's file) and `verified` (whether that was compared with anything).
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  pvmlab distro pull
  pvmlab distro pull debian-12 fedora-44 --arch aarch64
  PVMLAB_MIRROR=https://cloud-images.ubuntu.com/=http://mirror.lan/ubuntu/ pvmlab distro pull ubuntu-24.04")]
pub(crate) struct Pull {
    /// Which distributions; `pvmlab distro ls` shows what there is.
    #[arg(value_name = "NAME", add = ArgValueCompleter::new(completion::distros))]
    names: Vec<ImageName>,
    /// For which architecture; for that of this host otherwise.
    #[arg(long)]
    arch: Option<Arch>,
}

impl Pull {
    pub(crate) fn run(mut self, home: &Home, ui: Ui) -> Result<()> {
        home.require()?;
        let arch = self.arch.map_or_else(host_arch, Ok)?;
        if self.names.is_empty() {
            self.names.push(DEFAULT.parse().map_err(anyhow::Error::from)?);
        }
        self.names.sort();
        self.names.dedup();
        let catalogue = Catalogue::read(home, ui);
        let orders = self.names.iter().map(|name| order(home, &catalogue, name, arch));
        pull(home, &orders.collect::<Result<Vec<_>>>()?, ui)
    }
}

/// Where an image comes from: as the catalogue has it, or as it came once.
pub(super) fn order(home: &Home, catalogue: &Catalogue, name: &ImageName, arch: Arch) -> Result<Order> {
    let source = catalogue
        .find(name, arch)
        .or_else(|failure| Record::read(home, name, arch).map(|record| record.source).ok_or(failure))?;
    Ok(Order { name: name.clone(), arch, source })
}

/// Pulls them all, and says of each what became of it.
///
/// # Errors
/// The first that failed; the others came nevertheless.
pub(super) fn pull(home: &Home, orders: &[Order], ui: Ui) -> Result<()> {
    let interrupt = Interrupt::hold();
    let (mut done, mut failures) = (Vec::new(), Vec::new());
    Fetcher::new(home, &interrupt, ui)?.pull(orders, |order, pulled| match pulled {
        Ok(pulled) => done.push(Row::new(order, &pulled)),
        Err(failure) => failures.push((order, failure)),
    });
    done.sort_by(|a, b| (&a.name, a.arch).cmp(&(&b.name, b.arch)));
    failures.sort_by(|(a, _), (b, _)| (&a.name, a.arch).cmp(&(&b.name, b.arch)));
    for row in &done {
        ui.say(row);
    }
    if ui.json {
        ui.data(&done, |_| String::new())?;
    }
    let mut failures = failures.into_iter();
    let Some((_, first)) = failures.next() else { return Ok(()) };
    let others: Vec<_> = failures.filter(|(_, failure)| failure.kind() != Kind::Interrupted).collect();
    for (order, failure) in others {
        ui.say(format_args!("{} for {} failed too: {failure}", order.name, order.arch));
    }
    Err(first)
}

#[derive(Serialize)]
struct Row {
    name: ImageName,
    arch: Arch,
    state: State,
    url: String,
    bytes: u64,
    sha256: Sha256,
    verified: bool,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    Pulled,
    UpToDate,
}

impl Row {
    fn new(order: &Order, pulled: &Pulled) -> Self {
        let record = pulled.record();
        let state = match pulled {
            Pulled::New(_) => State::Pulled,
            Pulled::UpToDate(_) => State::UpToDate,
        };
        Self {
            name: order.name.clone(),
            arch: order.arch,
            state,
            url: record.source.url.to_string(),
            bytes: record.size,
            sha256: record.sha256,
            verified: record.digest.is_some(),
        }
    }
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, arch, .. } = self;
        match self.state {
            State::UpToDate => write!(f, "image `{name}` for {arch} is up to date"),
            State::Pulled => {
                let mib = self.bytes.div_ceil(1 << 20);
                let how = if self.verified { "verified with its vendor's checksum" } else { "not verified" };
                write!(f, "pulled image `{name}` for {arch}: {mib} MiB, {how}")
            }
        }
    }
}
