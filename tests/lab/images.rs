//! The images that tests install.

use lab_model::{Arch, DiskImage, ImageManifest, ImageName, MANIFEST_FILE};
use lab_tests::Supplies;

/// What `cargo xtask test` made for these tests.
pub(crate) fn supplies() -> Supplies {
    Supplies::from_environment().unwrap()
}

/// The image that is installed.
pub(crate) fn name() -> ImageName {
    "debian-12".parse().expect("a name")
}

/// The disk of the image for `arch`.
pub(crate) fn disk(arch: Arch) -> DiskImage {
    let file = supplies().images.join(name().as_str()).join(arch.as_str()).join(MANIFEST_FILE);
    let text = std::fs::read_to_string(&file)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}: run `cargo xtask image debian-12`", file.display()));
    ImageManifest::from_json(&text).expect("a manifest").disk.expect("an image with a disk")
}
