//! What the container of the first pvmlab held, on a disk that a machine reads: packages, configurations, a boot handler.
//!
//! So the comparison is kind to it: neither Docker nor an image has to be fetched and started, and no package either. dnsmasq, nginx
//! and supervisord are Debian's; the boot handler does what the original's did.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use lab_model::{Arch, ImageManifest};
use lab_tests::{SERVER, process::run};

use super::CLIENT;
use crate::{
    cache::Cache,
    debian::{Suite, System},
    image, ipxe,
    progress::Step,
};

/// The disk for a machine that starts from the disk `system`, an image for `arch`; made where there is none yet.
///
/// # Errors
/// The packages cannot be fetched, or a tool is not installed.
pub(super) fn disk(arch: Arch, manifest: &ImageManifest, system: &Path) -> Result<PathBuf> {
    let cache = Cache::of_user()?;
    let (boot_files, names) = ipxe::binaries(&cache)?;
    let recipe = serde_json::to_string_pretty(&(manifest, PACKAGES, files(arch), &names))?;
    let folder = cache.entry(&format!("containers/{}/{arch}", manifest.name), &recipe, |folder| {
        let step = Step::start(format!("putting the first pvmlab's services for {arch} together"));
        let work = tempfile::tempdir_in(folder)?;
        let tree = work.path().join("tree");
        for part in ["packages", "tftp", "vms"] {
            fs::create_dir_all(tree.join(part))?;
        }
        let installed = image::installed_packages(system)?;
        let system = System { architecture: Some(image::debian_name(arch)), packages: &installed };
        Suite::open_for(SUITE, &system)?.fetch(PACKAGES, &tree.join("packages"))?;
        for name in &names {
            fs::copy(boot_files.join(name), tree.join("tftp").join(name))?;
        }
        for (name, text) in files(arch) {
            fs::write(tree.join(name), text)?;
        }
        write(&tree, &folder.join(DISK))?;
        step.finish();
        Ok(())
    })?;
    Ok(folder.join(DISK))
}

/// In an entry's folder.
const DISK: &str = "container.img";
/// Of the image.
const SUITE: &str = "bookworm";
const PACKAGES: &[&str] = &["dnsmasq", "nginx", "supervisor", "nftables"];

/// All of it but packages and boot programs.
fn files(arch: Arch) -> [(&'static str, String); 7] {
    let texts = [
        ("install.sh", include_str!("container/install.sh")),
        ("nat.nft", include_str!("container/nat.nft")),
        ("supervisord.conf", include_str!("container/supervisord.conf")),
        ("dnsmasq.conf", include_str!("container/dnsmasq.conf")),
        ("nginx.conf", include_str!("container/nginx.conf")),
        ("boot-handler.py", include_str!("container/boot-handler.py")),
        ("vms/web.json", include_str!("container/web.json")),
    ];
    texts.map(|(name, text)| (name, filled(text, arch)))
}

fn filled(text: &str, arch: Arch) -> String {
    let values = [("{server}", SERVER.to_string()), ("{client_mac}", CLIENT.to_string()), ("{arch}", arch.to_string())];
    values.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
}

/// Writes what is in `tree` as an ext4 file system to `disk`.
fn write(tree: &Path, disk: &Path) -> Result<()> {
    fs::File::create(disk)?.set_len(DISK_BYTES)?;
    let program = crate::packages::find("mke2fs").context("cannot find mke2fs: install the package e2fsprogs")?;
    let mut command = Command::new(program);
    command.args(["-q", "-F", "-t", "ext4", "-O", "^has_journal", "-L", "container", "-d"]).arg(tree).arg(disk);
    let words: Vec<_> = command.get_args().map(std::ffi::OsStr::to_owned).collect();
    run(&command.get_program().to_string_lossy(), &words).map(drop)
}

/// Several times what is on it.
const DISK_BYTES: u64 = 32 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_definition_is_the_clients() {
        let definition = files(Arch::Aarch64).into_iter().find(|(name, _)| *name == "vms/web.json").unwrap().1;

        let definition: serde_json::Value = serde_json::from_str(&definition).unwrap();

        assert_eq!(definition["mac"], CLIENT.to_string());
        assert_eq!(definition["arch"], "aarch64");
    }

    #[test]
    fn every_value_is_filled_in() {
        for (name, text) in files(Arch::X86_64) {
            for value in ["{server}", "{client_mac}", "{arch}"] {
                assert!(!text.contains(value), "{name} has {value}");
            }
        }
    }
}
