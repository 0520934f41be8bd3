//! Debian's own installer as an image without a disk, and beside it what Debian's archive signs and lists for it.
//!
//! The kernel and the initial RAM file system are those of the netboot packages. The installer believes a mirror that has the archive's
//! signed `Release`, so a test can have one without a package in it: `archive/` in the image's folder.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use lab_model::{Arch, ImageName};
use serde::Serialize;

use super::{Name, debian_name};
use crate::{
    cache::Cache,
    debian::Suite,
    packages::{self, Consent},
    progress::Step,
};

/// The folder of the image `name` for `arch`; fetched when it is not there.
///
/// # Errors
/// The package or a list cannot be had.
pub(super) fn require(cache: &Cache, name: Name, arch: Arch, consent: Consent) -> Result<PathBuf> {
    let recipe = Recipe::debian_12(arch);
    let text = serde_json::to_string_pretty(&recipe)?;
    cache.entry(&format!("images/{name}/{arch}"), &text, |folder| {
        packages::require(&[packages::KEYRING], consent)?;
        recipe.build(&name.to_string().parse()?, arch, folder)
    })
}

/// All that determines the entry but the versions that Debian has today.
#[derive(Serialize)]
struct Recipe {
    suite: &'static str,
    package: String,
    /// Where the package has the installer.
    folder: String,
    /// Below `dists/<suite>/`, beside the signed list of all.
    lists: [String; 2],
}

impl Recipe {
    fn debian_12(arch: Arch) -> Self {
        let debian = debian_name(arch);
        Self {
            suite: "bookworm",
            package: format!("debian-installer-12-netboot-{debian}"),
            folder: format!("usr/lib/debian-installer/images/12/{debian}/text/debian-installer/{debian}"),
            lists: [
                // By this the installer sees whether a mirror has its architecture, and what it can load from there.
                format!("main/binary-{debian}/Release"),
                format!("main/debian-installer/binary-{debian}/Packages.xz"),
            ],
        }
    }

    fn build(&self, name: &ImageName, arch: Arch, folder: &Path) -> Result<()> {
        let step = Step::start(format!("fetching {}", self.package));
        let suite = Suite::open(self.suite)?;
        let version = suite.versions(&self.package)?.into_iter().next();
        let version = version.with_context(|| format!("Debian {} has no {}", self.suite, self.package))?;
        let unpacked = tempfile::tempdir()?;
        suite.unpack(&self.package, &version, unpacked.path())?;
        let installer = unpacked.path().join(&self.folder);
        pvmlab_cli::assemble_image(folder, name, arch, &installer.join("linux"), &installer.join("initrd.gz"))?;
        let lists = folder.join(format!("archive/debian/dists/{}", self.suite));
        fs::create_dir_all(&lists)?;
        suite.fetch_lists(&self.lists, &lists)?;
        step.finish();
        Ok(())
    }
}
