//! Debian's own installer as an image without a disk, and beside it an archive that it loads its partitioner from.
//!
//! The kernel and the initial RAM file system are those of the netboot packages. `archive/` in the image's folder is what tests serve as
//! its mirror.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use lab_model::{Arch, ImageName};

use super::{Name, debian_name, partman};
use crate::{
    cache::Cache,
    debian::{Suite, System},
    packages::{self, Consent},
    progress::Step,
};

/// The folder of the image `name` for `arch`; fetched when it is not there.
///
/// # Errors
/// A package cannot be had.
pub(super) fn require(cache: &Cache, name: Name, arch: Arch, consent: Consent) -> Result<PathBuf> {
    let recipe = serde_json::json!({ "suite": SUITE, "archive": partman::recipe() });
    let text = serde_json::to_string_pretty(&recipe)?;
    cache.entry(&format!("images/{name}/{arch}"), &text, |folder| {
        packages::require(packages::DIST, consent)?;
        build(&name.to_string().parse()?, arch, folder)
    })
}

fn build(name: &ImageName, arch: Arch, folder: &Path) -> Result<()> {
    let debian = debian_name(arch);
    let package = format!("debian-installer-13-netboot-{debian}");
    let step = Step::start(format!("fetching {package}"));
    let suite = Suite::open_for(SUITE, &System { architecture: Some(debian), packages: "" })?;
    let unpacked = tempfile::tempdir()?;
    suite.unpack_newest(&package, unpacked.path())?;
    let place = format!("usr/lib/debian-installer/images/13/{debian}/text/debian-installer/{debian}");
    let installer = unpacked.path().join(place);
    let kernel = installer.join("linux");
    pvmlab_cli::assemble_image(folder, name, arch, &kernel, &installer.join("initrd.gz"))?;
    step.finish();
    let step = Step::start("putting its archive together");
    let archive = folder.join("archive/debian");
    partman::build(&suite, arch, &partman::kernel_version(&kernel)?, &archive).context("cannot make the archive")?;
    step.finish();
    Ok(())
}

/// Debian 13: of Debian 12, mirrors that keep no installer's packages have too few of these.
const SUITE: &str = "trixie";
