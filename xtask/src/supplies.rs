//! What a lab needs before it can start: packages, the server as it is released, and images.

use anyhow::Result;
use lab_model::{Arch, ImageName};
use lab_tests::Supplies;

use crate::{
    boot_files,
    cache::Cache,
    image,
    packages::{self, Consent, Package},
    replace::replace,
    toolchain::{Profile, Toolchain},
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
    // Not where cargo builds it: a lab that runs keeps the server that it started with.
    let server = workspace().join("target/lab/pxe-server");
    let built = Toolchain::find(native(), &cache)?.build("pxe-server", Profile::Release)?;
    replace(&server, &built, 0o755)?;
    for arch in archs {
        image::require(&cache, IMAGE, *arch, consent)?;
    }
    Ok(Supplies { server, images: cache.folder("images") })
}

/// The name of the image that labs install.
pub(crate) fn image() -> ImageName {
    IMAGE.to_string().parse().expect("an image that is built here has an image's name")
}

const IMAGE: image::Name = image::Name::Debian12;

/// The architecture that this program runs on, and so the server that it starts.
fn native() -> Arch {
    if cfg!(target_arch = "aarch64") { Arch::Aarch64 } else { Arch::X86_64 }
}
