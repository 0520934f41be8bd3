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
    toolchain::{Program, Target, Toolchain},
    workspace,
};

/// Builds pvmlab, pxe-server and installer for release into folders of target/dist/: for Linux on each architecture, static
/// and stripped, and pvmlab for macOS too.
#[derive(clap::Args)]
#[command(after_help = "Example: cargo xtask dist --arch aarch64")]
pub(crate) struct Arguments {
    /// Builds for Linux on this architecture only.
    #[arg(long)]
    arch: Option<Arch>,
    /// Builds for macOS only.
    #[arg(long, conflicts_with = "arch")]
    macos: bool,
}

/// Runs `cargo xtask dist`.
pub(crate) fn run(arguments: &Arguments, consent: Consent) -> Result<()> {
    packages::require(packages::DIST, consent)?;
    if arguments.with_macos() {
        packages::require(packages::MACOS, consent)?;
    }
    let cache = Cache::of_user()?;
    let boot_files = boot_files::fill(&cache)?;
    let folder = workspace().join("target/dist");
    let server = |toolchain: &Toolchain| {
        let server = toolchain.build(Program::Server)?;
        check_embedded(&server, &boot_files)?;
        anyhow::Ok(server)
    };
    for arch in arguments.archs() {
        let toolchain = Toolchain::find(Target::Linux(arch), &cache)?;
        let programs = [
            (Program::Installer.name(), boot_files::installer(&toolchain)?),
            (Program::HostCommand.name(), toolchain.build(Program::HostCommand)?),
            (Program::Server.name(), server(&toolchain)?),
        ];
        write(&folder.join(arch.as_str()), &programs)?;
    }
    if arguments.with_macos() {
        // All that a Mac needs, the provisioner's server where pvmlab looks for it.
        let provisioner = Toolchain::find(Target::Linux(Arch::Aarch64), &cache)?;
        let programs = [
            (Program::HostCommand.name(), Toolchain::find(Target::MacOs, &cache)?.build(Program::HostCommand)?),
            ("aarch64/pxe-server", server(&provisioner)?),
        ];
        write(&folder.join(Target::MacOs.triple()), &programs)?;
    }
    Ok(())
}

impl Arguments {
    /// The architectures to build for Linux on.
    fn archs(&self) -> impl Iterator<Item = Arch> {
        Arch::ALL.into_iter().filter(|arch| !self.macos && self.arch.is_none_or(|only| only == *arch))
    }

    fn with_macos(&self) -> bool {
        self.arch.is_none()
    }
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
