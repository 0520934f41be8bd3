//! Boot scripts: a decision in iPXE's words.

use lab_model::{ImageManifest, MacAddr};

use super::{BaseUrl, Boot};

/// The script that the EFI builds of iPXE fetch before anything else, by TFTP or from where they were loaded.
pub fn autoexec(base: BaseUrl) -> String {
    format!("#!ipxe\nchain {base}/ipxe?mac=${{netX/mac}}&arch=${{buildarch}}\n")
}

/// The script that makes iPXE carry out `boot` on the machine at `mac`.
///
/// `image` is the manifest of the image that is to be installed; `None` where the server does not have it.
pub fn script(boot: &Boot, mac: MacAddr, image: Option<&ImageManifest>, base: BaseUrl) -> String {
    let _ = (boot, mac, image, base);
    String::new()
}

/// The script for a request that names no machine: it says `reason` on the console.
pub fn malformed_request(reason: &str) -> String {
    let _ = reason;
    String::new()
}
