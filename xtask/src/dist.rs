//! `cargo xtask dist`: the programs as they are released.

use std::{fmt::Write as _, fs, path::Path};

use anyhow::{Result, ensure};
use lab_model::{Arch, Sha256};
use sha2::Digest as _;

use crate::{
    boot_files,
    cache::Cache,
    packages::{self, Consent},
    replace::replace,
    toolchain::{Program, Toolchain},
    workspace,
};

/// Builds pvmlab, pxe-server and installer for release, static and stripped, into a folder of target/dist/ for each architecture.
#[derive(clap::Args)]
#[command(after_help = "Example: cargo xtask dist --arch aarch64")]
pub(crate) struct Arguments {
    /// Builds for this architecture only; by default for each.
    #[arg(long)]
    arch: Option<Arch>,
}

/// Runs `cargo xtask dist`.
pub(crate) fn run(arguments: &Arguments, consent: Consent) -> Result<()> {
    packages::require(packages::DIST, consent)?;
    let cache = Cache::of_user()?;
    let boot_files = boot_files::fill(&cache)?;
    for arch in Arch::ALL.into_iter().filter(|arch| arguments.arch.is_none_or(|only| only == *arch)) {
        let toolchain = Toolchain::find(arch, &cache)?;
        let server = toolchain.build(Program::Server)?;
        check_embedded(&server, &boot_files)?;
        let programs = [
            (Program::Installer.name(), boot_files::installer(&toolchain)?),
            (Program::HostCommand.name(), toolchain.build(Program::HostCommand)?),
            (Program::Server.name(), server),
        ];
        write(&workspace().join("target/dist").join(arch.as_str()), &programs)?;
    }
    Ok(())
}

/// Checks that the server holds each boot file, and only once: they are most of what it weighs.
fn check_embedded(server: &[u8], boot_files: &Path) -> Result<()> {
    for file in fs::read_dir(boot_files)? {
        let path = file?.path();
        let contents = fs::read(&path)?;
        let count = server.windows(contents.len().max(1)).filter(|window| *window == contents).count();
        ensure!(count == 1, "pxe-server holds {} {count} times, not once", path.display());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_has_each_boot_file_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ipxe.efi");
        fs::write(&path, "MZ").unwrap();

        let checked =
            |server: &str| check_embedded(server.as_bytes(), folder.path()).map_err(|error| error.to_string());

        let refused = |count| Err(format!("pxe-server holds {} {count} times, not once", path.display()));
        assert_eq!(checked("..MZ.."), Ok(()));
        assert_eq!(checked("......"), refused(0));
        assert_eq!(checked("MZ..MZ"), refused(2));
    }
}
