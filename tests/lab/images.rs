//! The images that tests install.

use std::path::PathBuf;

use lab_model::{Arch, ImageManifest, ImageName, MANIFEST_FILE};

/// The folder of all images.
pub(crate) fn folder() -> PathBuf {
    let folder = std::env::var_os("PVMLAB_IMAGES");
    folder.expect("run `cargo xtask test`, which builds the images and names their folder in PVMLAB_IMAGES").into()
}

/// The image that is installed.
pub(crate) fn name() -> ImageName {
    "debian-12".parse().expect("a name")
}

/// What the image for `arch` consists of.
pub(crate) fn manifest(arch: Arch) -> ImageManifest {
    let file = folder().join(name().as_str()).join(arch.as_str()).join(MANIFEST_FILE);
    let text = std::fs::read_to_string(&file)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}: run `cargo xtask image debian-12`", file.display()));
    ImageManifest::from_json(&text).expect("a manifest")
}
