//! `cargo xtask dist`: the programs as they are released.

use std::{fmt::Write as _, path::Path};

use anyhow::Result;
use lab_model::{Arch, Sha256};
use sha2::Digest as _;

use crate::{
    boot_files,
    cache::Cache,
    packages::{self, Consent},
    replace::replace,
    toolchain::{Profile, Toolchain},
    workspace,
};

/// Builds pxe-server and installer for release, static and stripped, into a folder of target/dist/ for each architecture.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Builds for this architecture only; by default for each.
    #[arg(long)]
    arch: Option<Arch>,
}

/// Runs `cargo xtask dist`.
pub(crate) fn run(arguments: &Arguments, consent: Consent) -> Result<()> {
    packages::require(packages::DIST, consent)?;
    let cache = Cache::of_user()?;
    boot_files::fill(&cache)?;
    for arch in Arch::ALL.into_iter().filter(|arch| arguments.arch.is_none_or(|only| only == *arch)) {
        let toolchain = Toolchain::find(arch, &cache)?;
        let programs = [
            ("installer", boot_files::installer(&toolchain)?),
            ("pxe-server", toolchain.build("pxe-server", Profile::Release)?),
        ];
        write(&workspace().join("target/dist").join(arch.as_str()), &programs)?;
    }
    Ok(())
}

/// Writes the programs and their `SHA256SUMS`, as sha256sum(1) checks it, and says how large they are.
fn write(folder: &Path, programs: &[(&str, Vec<u8>)]) -> Result<()> {
    let mut sums = String::new();
    for (name, contents) in programs {
        let path = folder.join(name);
        replace(&path, contents, 0o755)?;
        let digest = Sha256(sha2::Sha256::digest(contents).into());
        writeln!(sums, "{digest}  {name}").expect("a String takes all that is written");
        println!("{:>10}  {}", contents.len(), path.strip_prefix(workspace()).unwrap_or(&path).display());
    }
    replace(&folder.join("SHA256SUMS"), sums.as_bytes(), 0o644)
}
