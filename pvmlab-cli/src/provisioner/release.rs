//! A release of `pxe-server`: the program for one architecture, with the unit that it runs under.
//!
//! Its id is the SHA-256 of the two, one after the other; the provisioner keeps it in a folder of that name.

use std::fs;
use std::path::{Path, PathBuf};

use lab_model::{Arch, Sha256};
use sha2::Digest as _;

use crate::error::{Failure, Kind, Result};

/// A release, whole in memory.
#[derive(Clone, Debug)]
pub(crate) struct Release {
    program: Vec<u8>,
}

impl Release {
    /// Finds the program: `named` by the caller, else by `PVMLAB_PXE_SERVER`, else in `<arch>/` beside this executable, where a
    /// distribution of pvmlab has it.
    ///
    /// # Errors
    /// It is nowhere, or not a program for `arch`.
    pub(crate) fn find(named: Option<&Path>, arch: Arch) -> Result<Self> {
        let variable = std::env::var_os("PVMLAB_PXE_SERVER").filter(|path| !path.is_empty()).map(PathBuf::from);
        let Some(path) = named.map(Path::to_owned).or(variable).or_else(|| beside(arch)) else {
            return Err(Failure::new(Kind::Missing, format!("there is no pxe-server for {arch} beside this program"))
                .hinted("name one with --binary, or in the environment as PVMLAB_PXE_SERVER")
                .hinted("`cargo xtask dist` builds one into target/dist"));
        };
        Self::read(&path, arch)
    }

    fn read(path: &Path, arch: Arch) -> Result<Self> {
        let program = fs::read(path).map_err(|error| {
            let kind = if error.kind() == std::io::ErrorKind::NotFound { Kind::NotFound } else { Kind::Failed };
            Failure::new(kind, format!("cannot read {}: {error}", path.display())).hinted(BUILD)
        })?;
        match machine(&program) {
            Some(machine) if machine == elf_machine(arch) => Ok(Self { program }),
            Some(_) => Err(Failure::new(Kind::Usage, format!("{} is not for {arch}", path.display()))
                .hinted(format!("the provisioner is {arch}: name the pxe-server that was built for it"))),
            None => Err(Failure::new(Kind::Usage, format!("{} is no Linux program", path.display())).hinted(BUILD)),
        }
    }

    /// What the provisioner keeps it under.
    pub(crate) fn id(&self) -> Sha256 {
        let mut hash = sha2::Sha256::new();
        hash.update(&self.program);
        hash.update(UNIT);
        Sha256(hash.finalize().into())
    }

    /// The files that bring it onto a provisioner, by which the script in there knows them.
    pub(crate) fn files(&self) -> [(&'static str, &[u8]); 4] {
        [
            ("provision", include_bytes!("../../../cloud-init/provisioner/provision")),
            ("pxe-server", &self.program),
            ("pxe-server-deploy@.service", include_bytes!("../../../systemd/pxe-server-deploy@.service")),
            ("pxe-server.service", UNIT),
        ]
    }
}

const UNIT: &[u8] = include_bytes!("../../../systemd/pxe-server.service");

fn beside(arch: Arch) -> Option<PathBuf> {
    // What a link points at: the command may be in the path as one.
    let executable = std::env::current_exe().ok()?.canonicalize().ok()?;
    let folder = executable.parent()?;
    // Beside the command for all architectures, or in a tree that has a folder for each.
    let places = [Some(folder), folder.parent()].into_iter().flatten();
    places.map(|place| place.join(arch.as_str()).join("pxe-server")).find(|path| path.is_file())
}

/// For which processor a 64-bit little-endian ELF file is: its header's field `e_machine`.
fn machine(program: &[u8]) -> Option<u16> {
    if !program.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    Some(u16::from_le_bytes(*program.get(0x12..)?.first_chunk()?))
}

fn elf_machine(arch: Arch) -> u16 {
    match arch {
        Arch::Aarch64 => 183,
        Arch::X86_64 => 62,
    }
}

/// How people who build from source get one.
const BUILD: &str = "name a pxe-server for the provisioner's processor; `cargo xtask dist` builds it";

#[cfg(test)]
impl Release {
    /// What is a release to everybody but a processor.
    pub(crate) fn of(program: &str) -> Self {
        Self { program: program.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_for_another_architecture_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pxe-server");
        let mut program = vec![0; 64];
        program[..6].copy_from_slice(b"\x7fELF\x02\x01");
        program[0x12] = 183;
        fs::write(&path, &program).expect("written");

        let release = Release::read(&path, Arch::Aarch64).expect("a release");
        let wrong = Release::read(&path, Arch::X86_64).expect_err("another architecture").to_string();
        fs::write(&path, "#!/bin/sh\n").expect("written");
        let no_program = Release::read(&path, Arch::X86_64).expect_err("no program").to_string();

        assert_eq!(release.program, program);
        assert_eq!(wrong, format!("{} is not for x86_64", path.display()));
        assert_eq!(no_program, format!("{} is no Linux program", path.display()));
    }
}
