//! What a lab needs before it can start: packages, the server as it is released, and images.

use anyhow::{Context as _, Result};
use lab_model::{Arch, ImageName};
use lab_tests::Supplies;

use crate::{
    boot_files,
    cache::Cache,
    image,
    packages::{self, Consent, Package},
    replace::replace,
    toolchain::{Program, Target, Toolchain},
    workspace,
};

/// Installs, fetches and builds what labs of these architectures need; with everything there it takes seconds.
///
/// # Errors
/// Something cannot be had; the message says what.
pub(crate) fn gather(archs: &[Arch], consent: Consent) -> Result<Supplies> {
    let needed: Vec<Package> = [packages::QEMU, packages::NETWORK, packages::DIST].concat();
    packages::require(&needed, consent)?;
    let cache = Cache::of_user()?;
    boot_files::fill(&cache)?;
    // Not where cargo builds them: a lab that runs keeps the programs that it started with.
    let folder = workspace().join("target/lab");
    let server = folder.join(native().as_str()).join(Program::Server.name());
    replace(&server, &Toolchain::find(Target::Linux(native()), &cache)?.build(Program::Server)?, 0o755)?;
    for arch in archs {
        image::require(&cache, IMAGE, *arch, consent)?;
    }
    Ok(Supplies { server, command: folder.join(Program::HostCommand.name()), images: cache.folder("images") })
}

/// As [`gather`], with what a lab of virtual machines needs besides: the host command, and beside it the server for a
/// provisioner of each of these architectures, where the command looks for it.
///
/// # Errors
/// Those of [`gather`].
pub(crate) fn gather_virtual(archs: &[Arch], provisioners: &[Arch], consent: Consent) -> Result<Supplies> {
    let supplies = gather_provisioners(archs, provisioners, consent)?;
    let toolchain = Toolchain::find(Target::Linux(native()), &Cache::of_user()?)?;
    replace(&supplies.command, &toolchain.build(Program::HostCommand)?, 0o755)?;
    Ok(supplies)
}

/// The host command and images alone, which no server is started for.
///
/// # Errors
/// Those of [`gather`].
pub(crate) fn gather_images(archs: &[Arch], consent: Consent) -> Result<Supplies> {
    let cache = Cache::of_user()?;
    let folder = workspace().join("target/lab");
    let command = folder.join(Program::HostCommand.name());
    replace(&command, &Toolchain::find(Target::Linux(native()), &cache)?.build(Program::HostCommand)?, 0o755)?;
    for arch in archs {
        image::require(&cache, IMAGE, *arch, consent)?;
    }
    let server = folder.join(native().as_str()).join(Program::Server.name());
    Ok(Supplies { server, command, images: cache.folder("images") })
}

/// As [`gather_virtual`], without the host command itself.
///
/// # Errors
/// Those of [`gather`].
pub(crate) fn gather_provisioners(archs: &[Arch], provisioners: &[Arch], consent: Consent) -> Result<Supplies> {
    let supplies = gather(archs, consent)?;
    let cache = Cache::of_user()?;
    let folder = supplies.command.parent().context("a program is in a folder")?;
    for arch in provisioners {
        let server = folder.join(arch.as_str()).join(Program::Server.name());
        replace(&server, &Toolchain::find(Target::Linux(*arch), &cache)?.build(Program::Server)?, 0o755)?;
    }
    Ok(supplies)
}

/// The name of the image that labs install.
pub(crate) fn image() -> ImageName {
    IMAGE.to_string().parse().expect("an image that is built here has an image's name")
}

pub(crate) const IMAGE: image::Name = image::Name::Debian12;

/// The architecture that this program runs on, and so the server that it starts.
fn native() -> Arch {
    if cfg!(target_arch = "aarch64") { Arch::Aarch64 } else { Arch::X86_64 }
}
