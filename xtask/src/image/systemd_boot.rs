//! systemd-boot, for images whose kernels have entries of their own.

use std::{fs, path::Path};

use anyhow::{Context, Result};

use super::recipe::ImageRecipe;
use crate::{
    debian::{Suite, System},
    progress::Step,
};

/// Puts the boot loader for the image of `recipe` at `file`.
///
/// # Errors
/// The package cannot be had.
pub(super) fn unpack(recipe: &ImageRecipe, file: &Path) -> Result<()> {
    let step = Step::start(format!("fetching {PACKAGE}"));
    let suite = Suite::open_for(recipe.system.suite, &System { architecture: Some(recipe.system.arch), packages: "" })?;
    let unpacked = tempfile::tempdir()?;
    suite.unpack_newest(PACKAGE, unpacked.path())?;
    // UEFI 2.10 §3.5.1.1: the same letters for the processor as in the name that firmware starts.
    let name = recipe.system.boot_loader.file.to_ascii_lowercase().replace("boot", "systemd-boot");
    let from = unpacked.path().join("usr/lib/systemd/boot/efi").join(&name);
    fs::copy(&from, file).with_context(|| format!("the package {PACKAGE} has no {name}"))?;
    step.finish();
    Ok(())
}

const PACKAGE: &str = "systemd-boot-efi";
