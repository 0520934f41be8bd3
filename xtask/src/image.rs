//! `cargo xtask image`: builds the operating system images that tests and the demo install, or start.
//!
//! One with a disk stands in for a vendor's cloud image: a GPT disk with cloud-init. What is special about the distribution ends with the
//! raw disk, which is prepared like any vendor's by `pvmlab`: server and installer see a manifest.

mod binfmt;
mod disk;
mod layout;
mod netboot;
mod partman;
mod recipe;
mod system;
mod systemd_boot;
mod unpack;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use lab_model::Arch;

use crate::{
    cache::Cache,
    packages::{self, Consent},
    progress::Step,
};
pub(crate) use recipe::debian_name;
use recipe::{ImageRecipe, Kernel, Shape};
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
    /// Debian 12 with a file system of its own for /boot, as Ubuntu and Fedora have it.
    #[value(name = "debian-12-boot-partition")]
    Debian12BootPartition,
    /// Debian 12 with systemd-boot, and its kernel on the EFI system partition.
    #[value(name = "debian-12-entries")]
    Debian12Entries,
    /// Debian 13's own installer, without a disk.
    #[value(name = "debian-13-netboot")]
    Debian13Netboot,
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
    let Some(recipe) = name.recipe(arch) else { return netboot::require(cache, name, arch, consent) };
    cache.entry(&format!("images/{name}/{arch}"), &recipe.text(), |folder| {
        packages::require(packages::IMAGE, consent)?;
        if !nix::unistd::geteuid().is_root() {
            packages::require(packages::ROOTLESS_IMAGE, consent)?;
        }
        if !binfmt::is_native(arch) {
            packages::require(packages::FOREIGN_IMAGE, consent)?;
            binfmt::require(arch)?;
        }
        let system = cache.entry(&format!("systems/{}/{arch}", name.system()), &recipe.system.text(), |folder| {
            system::build(&recipe.system, folder)
        })?;
        build(&recipe, name, arch, &system, folder)
    })
}

/// The archive of the system that is on the image `name` for `arch`, and the files that go over it, by their paths.
///
/// # Errors
/// Those of [`require`].
pub(crate) fn system(cache: &Cache, name: Name, arch: Arch) -> Result<(PathBuf, Vec<(&'static str, String)>)> {
    let recipe = name.recipe(arch).with_context(|| format!("{name} has no disk"))?;
    let system = cache.entry(&format!("systems/{}/{arch}", name.system()), &recipe.system.text(), |folder| {
        system::build(&recipe.system, folder)
    })?;
    let overlay = recipe.overlay.iter().map(|(path, text)| (*path, recipe.filled(text))).collect();
    Ok((system.join(system::ARCHIVE), overlay))
}

fn build(recipe: &ImageRecipe, name: Name, arch: Arch, system: &Path, folder: &Path) -> Result<()> {
    let work = tempfile::tempdir_in(folder)?;
    let raw = work.path().join("disk.raw");
    disk::build(recipe, system, work.path(), &raw)?;
    let step = Step::start("preparing the image");
    let found = pvmlab_cli::prepare_image(folder, &raw, &name.to_string().parse()?, arch)?;
    step.finish();
    eprintln!("{found}");
    Ok(())
}

impl Name {
    /// The name of the system that is on its disk; one system may be on several.
    fn system(self) -> Self {
        match self {
            Self::Debian12BootPartition | Self::Debian12Entries => Self::Debian12,
            Self::Debian12 | Self::Debian12Generic | Self::Debian13Netboot => self,
        }
    }

    /// How its disk is made; `None` where it has none.
    fn recipe(self, arch: Arch) -> Option<ImageRecipe> {
        let (kernel, shape) = match self {
            Self::Debian12 => (Kernel::Cloud, Shape::Root),
            Self::Debian12Generic => (Kernel::Generic, Shape::Root),
            Self::Debian12BootPartition => (Kernel::Cloud, Shape::BootPartition),
            Self::Debian12Entries => (Kernel::Cloud, Shape::Entries),
            Self::Debian13Netboot => return None,
        };
        Some(ImageRecipe::debian_12(kernel, shape, arch))
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Debian12 => "debian-12",
            Self::Debian12Generic => "debian-12-generic",
            Self::Debian12BootPartition => "debian-12-boot-partition",
            Self::Debian12Entries => "debian-12-entries",
            Self::Debian13Netboot => "debian-13-netboot",
        })
    }
}
