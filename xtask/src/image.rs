//! `cargo xtask image`: builds the operating system image that tests and the demo install.
//!
//! It stands in for a vendor's cloud image: a GPT disk with cloud-init, and its kernel and initrd beside it. What is special
//! about the distribution ends here; server and installer see a manifest.

mod binfmt;
mod disk;
mod layout;
mod pack;
mod recipe;
mod system;
mod unpack;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Result;
use lab_model::{Arch, DiskImage, ImageFile, ImageManifest, MANIFEST_FILE};

use crate::{
    cache::Cache,
    packages::{self, Consent},
};
pub(crate) use recipe::debian_name;
use recipe::{ImageRecipe, Kernel};
pub(crate) use unpack::{installed_packages, unpack};

/// Builds an operating system image from packages, or finds the one that was built before.
#[derive(clap::Args)]
#[command(after_help = "Example: cargo xtask image debian-12 --arch x86_64")]
pub(crate) struct Arguments {
    /// Which one.
    name: Name,
    /// What the image's kernel runs on.
    #[arg(long)]
    arch: Arch,
}

/// The images that can be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Name {
    /// Debian 12 with the kernel for virtual machines.
    #[value(name = "debian-12")]
    Debian12,
    /// Debian 12 with the kernel for every machine, which can mount what a host shares over 9p.
    #[value(name = "debian-12-generic")]
    Debian12Generic,
}

/// Runs `cargo xtask image`; the folder of the image goes to standard output.
pub(crate) fn run(arguments: &Arguments, consent: Consent) -> Result<()> {
    let folder = require(&Cache::of_user()?, arguments.name, arguments.arch, consent)?;
    println!("{}", folder.display());
    Ok(())
}

/// The folder of the image `name` for `arch`, with a manifest and the files that it names; built when it is not there.
///
/// # Errors
/// Packages are missing and may not be installed, or a step of the build failed.
pub(crate) fn require(cache: &Cache, name: Name, arch: Arch, consent: Consent) -> Result<PathBuf> {
    let recipe = name.recipe(arch);
    cache.entry(&format!("images/{name}/{arch}"), &recipe.text(), |folder| {
        packages::require(packages::IMAGE, consent)?;
        if !nix::unistd::geteuid().is_root() {
            packages::require(packages::ROOTLESS_IMAGE, consent)?;
        }
        if !binfmt::is_native(arch) {
            packages::require(packages::FOREIGN_IMAGE, consent)?;
            binfmt::require(arch)?;
        }
        let system = cache.entry(&format!("systems/{name}/{arch}"), &recipe.system.text(), |folder| {
            system::build(&recipe.system, folder)
        })?;
        build(&recipe, name, arch, &system, folder)
    })
}

fn build(recipe: &ImageRecipe, name: Name, arch: Arch, system: &Path, folder: &Path) -> Result<()> {
    let work = tempfile::tempdir_in(folder)?;
    let raw = work.path().join("disk.raw");
    disk::build(recipe, system, work.path(), &disk::Built { disk: &raw, folder })?;
    let disk = pack::compress(&raw, folder, "disk.raw.zst", recipe.compression_level)?;
    let (kernel, initrd) = (pack::describe(folder, disk::KERNEL)?, pack::describe(folder, disk::INITRD)?);
    let manifest = manifest(recipe, name, arch, Files { kernel, initrd, disk })?;
    fs::write(folder.join(MANIFEST_FILE), format!("{}\n", serde_json::to_string_pretty(&manifest)?))?;
    Ok(())
}

struct Files {
    kernel: ImageFile,
    initrd: ImageFile,
    disk: DiskImage,
}

fn manifest(recipe: &ImageRecipe, name: Name, arch: Arch, files: Files) -> Result<ImageManifest> {
    let Files { kernel, initrd, disk } = files;
    Ok(ImageManifest {
        name: name.to_string().parse()?,
        arch,
        kernel,
        initrd,
        disk,
        kernel_arguments: recipe.consoles.iter().map(|&word| word.to_owned()).collect(),
        installed_arguments: Some(recipe.installed_arguments().join(" ")),
    })
}

impl Name {
    fn recipe(self, arch: Arch) -> ImageRecipe {
        match self {
            Self::Debian12 => ImageRecipe::debian_12(Kernel::Cloud, arch),
            Self::Debian12Generic => ImageRecipe::debian_12(Kernel::Generic, arch),
        }
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Debian12 => "debian-12",
            Self::Debian12Generic => "debian-12-generic",
        })
    }
}

#[cfg(test)]
mod tests {
    use lab_model::{Compression, Sha256};

    use super::*;

    #[test]
    fn a_manifest_says_what_the_installed_system_is_started_with() {
        let recipe = ImageRecipe::debian_12(Kernel::Cloud, Arch::X86_64);
        let file = |name: &str| ImageFile { file: name.parse().unwrap(), size: 1, sha256: Sha256([0; 32]) };
        let disk = DiskImage {
            file: "disk.raw.zst".parse().unwrap(),
            size: 1,
            sha256: Sha256([1; 32]),
            compression: Compression::Zstd,
            raw_size: 1536 << 20,
            raw_sha256: Some(Sha256([2; 32])),
        };
        let files = Files { kernel: file("vmlinuz"), initrd: file("initrd.img"), disk };

        let manifest = manifest(&recipe, Name::Debian12, Arch::X86_64, files).unwrap();

        assert_eq!(ImageManifest::from_json(&serde_json::to_string(&manifest).unwrap()).unwrap(), manifest);
        assert_eq!(manifest.kernel_arguments, ["console=tty0", "console=ttyS0,115200"]);
        let arguments = manifest.installed_arguments.unwrap();
        assert!(arguments.starts_with("root=UUID=") && arguments.ends_with("ro console=tty0 console=ttyS0,115200"));
    }
}
