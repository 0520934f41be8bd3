//! `cargo xtask boot-files`: the files that `pxe-server` embeds when it is built.

use std::{env, fs, path::PathBuf};

use anyhow::{Context, Result, ensure};
use lab_model::Arch;

use crate::{
    cache::Cache,
    ipxe,
    packages::{self, Consent},
    replace::replace,
    toolchain::{Program, Target, Toolchain},
    workspace,
};

/// Fetches and builds the files that pxe-server embeds.
///
/// iPXE for each firmware comes from a Debian package, the installer for each architecture from this workspace.
/// They are put into target/boot-files/, or where PVMLAB_BOOT_FILES says.
#[derive(clap::Args)]
#[command(after_help = "Example: cargo xtask boot-files")]
pub(crate) struct Arguments {}

/// Runs `cargo xtask boot-files`.
pub(crate) fn run(_: &Arguments, consent: Consent) -> Result<()> {
    packages::require(packages::DIST, consent)?;
    let folder = fill(&Cache::of_user()?)?;
    println!("{}", folder.display());
    Ok(())
}

/// Sees to it that the folder of boot files has all of them, as they are now, and returns it.
///
/// # Errors
/// A file cannot be fetched or built.
pub(crate) fn fill(cache: &Cache) -> Result<PathBuf> {
    let folder = folder()?;
    let (binaries, names) = ipxe::binaries(cache)?;
    for name in names {
        let contents = fs::read(binaries.join(&name)).with_context(|| format!("cannot read {name} in the cache"))?;
        replace(&folder.join(name), &contents, 0o644)?;
    }
    for arch in Arch::ALL {
        let installer = installer(&Toolchain::find(Target::Linux(arch), cache)?)?;
        replace(&folder.join(format!("installer-{arch}")), &installer, 0o755)?;
    }
    Ok(folder)
}

/// Builds the installer.
///
/// # Errors
/// It does not compile, or it is too large to travel to every machine.
pub(crate) fn installer(toolchain: &Toolchain) -> Result<Vec<u8>> {
    let contents = toolchain.build(Program::Installer)?;
    let size = contents.len();
    ensure!(size <= INSTALLER_LIMIT, "the installer has {size} bytes: {INSTALLER_LIMIT} are allowed");
    Ok(contents)
}

/// Every machine fetches the installer on every installation, into a RAM file system.
const INSTALLER_LIMIT: usize = 2_000_000;

/// Where `pxe-server/build.rs` looks.
fn folder() -> Result<PathBuf> {
    match env::var_os("PVMLAB_BOOT_FILES") {
        Some(folder) => Ok(std::path::absolute(folder)?),
        None => Ok(workspace().join("target/boot-files")),
    }
}
