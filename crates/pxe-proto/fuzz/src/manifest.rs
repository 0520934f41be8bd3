//! Manifests of images.

use lab_model::ImageManifest;

/// The input is a manifest's text.
pub fn run(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    match ImageManifest::from_json(text) {
        Ok(manifest) => manifest.parts().for_each(drop),
        Err(invalid) => drop(invalid.to_string()),
    }
}
