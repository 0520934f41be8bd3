//! The first pvmlab's way of installing: a tarball of the root file system, and an installer that makes it boot.
//!
//! The tarball has the packages of the image that ours writes, and GRUB's programs besides. So the comparison is kind to the
//! original, which fetched its boot loader from the Internet in the middle of the installation.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use lab_model::{Arch, ImageManifest, MANIFEST_FILE};
use lab_tests::{SERVER, Supplies, process::run};

use super::ADDRESS;
use crate::{
    bench::original::{Content, Original},
    cache::Cache,
    debian::{Suite, System},
    image, ipxe,
    progress::Step,
    supplies,
};

/// What its installer says when its first drivers are loaded.
pub(super) const STARTED: &str = "original installer: started";

/// What it says before it reboots.
pub(super) const DONE: &str = "original installer: done";

/// All that is served.
pub(super) struct Tarball {
    content: Content,
    boot_program: &'static str,
}

impl Tarball {
    /// Puts tarball and installer together, where that was not done before.
    ///
    /// # Errors
    /// A package cannot be had, or a tool is not installed.
    pub(super) fn require(arch: Arch, supplies: &Supplies) -> Result<Self> {
        let image = supplies.images.join(supplies::image().as_str()).join(arch.as_str());
        let manifest = ImageManifest::from_json(&fs::read_to_string(image.join(MANIFEST_FILE))?)?;
        let cache = Cache::of_user()?;
        let recipe = serde_json::to_string_pretty(&(&manifest, TOOLS, LOADER, INSTALLER, SEED))?;
        let folder = cache.entry(&format!("tarballs/{}/{arch}", manifest.name), &recipe, |folder| {
            let step = Step::start(format!("putting the original's tarball for {arch} together"));
            let work = tempfile::tempdir_in(folder)?;
            make_tarball(&cache, arch, work.path(), &folder.join(ROOT))?;
            make_initrd(arch, &image.join(manifest.initrd.file.as_str()), work.path(), &folder.join(INITRD))?;
            fs::copy(image.join(manifest.kernel.file.as_str()), folder.join(KERNEL))?;
            step.finish();
            Ok(())
        })?;
        let boot_program = match arch {
            Arch::Aarch64 => "ipxe-arm64.efi",
            Arch::X86_64 => "ipxe-x86_64.efi",
        };
        let program = fs::read(ipxe::binaries(&cache)?.0.join(boot_program))?;
        let consoles = manifest.kernel_arguments.join(" ");
        let script = format!(
            "#!ipxe\nkernel http://{SERVER}/{KERNEL} initrd={INITRD} rdinit=/original {consoles}\n\
             initrd --name {INITRD} http://{SERVER}/{INITRD}\nboot\n"
        );
        let content = Content::new((boot_program, &program), script.as_bytes(), |path| {
            Ok(fs::read(folder.join(path.trim_start_matches('/')))?)
        })?;
        content.add(&folder.join(ROOT))?;
        Ok(Self { content, boot_program })
    }

    /// Serves it in a namespace of its own.
    ///
    /// # Errors
    /// The services do not start.
    pub(super) fn serve(&self) -> Result<Original> {
        Original::start(&self.content, self.boot_program)
    }
}

const KERNEL: &str = "vmlinuz";
const INITRD: &str = "initrd.img";
const ROOT: &str = "root.tar.gz";
const SUITE: &str = "bookworm";
const TOOLS: &[&str] = &["busybox-static", "dosfstools", "e2fsprogs", "gdisk"];
const LOADER: &[&str] = &["grub2-common"];
const INSTALLER: &str = include_str!("install.sh");
const SEED: [(&str, &str); 3] = [
    ("meta-data", "instance-id: original\nlocal-hostname: bench\n"),
    ("user-data", "#cloud-config\n{}\n"),
    ("network-config", include_str!("network-config")),
];

/// The image's packages, its own files, and GRUB's programs; the rest is made on the machine.
fn make_tarball(cache: &Cache, arch: Arch, work: &Path, tarball: &Path) -> Result<()> {
    let (system, overlay) = image::system(cache, supplies::IMAGE, arch)?;
    let tar = work.join("root.tar");
    fs::copy(system, &tar)?;
    let tree = work.join("tree");
    for (path, text) in overlay {
        write(&tree.join(path), &text)?;
    }
    for (name, text) in SEED {
        let text = text.replace("{address}", &ADDRESS.to_string()).replace("{server}", &SERVER.to_string());
        write(&tree.join("var/lib/cloud/seed/nocloud").join(name), &text)?;
    }
    let status = Command::new("tar").args(["-xOf"]).arg(&tar).arg("./var/lib/dpkg/status").output()?.stdout;
    let status = String::from_utf8(status).context("dpkg's status is no text")?;
    unpack(LOADER, &System { architecture: Some(image::debian_name(arch)), packages: &status }, work, &tree)?;
    let text = |path: &Path| path.to_string_lossy().into_owned();
    run("tar", &["--append", "--owner=0", "--group=0", "-f", &text(&tar), "-C", &text(&tree), "."])?;
    run("gzip", &["-6", &text(&tar)])?;
    fs::rename(work.join("root.tar.gz"), tarball)?;
    Ok(())
}

/// The image's initial RAM file system with the installer and its tools behind it.
fn make_initrd(arch: Arch, image: &Path, work: &Path, initrd: &Path) -> Result<()> {
    let tree = work.join("initrd");
    unpack(TOOLS, &System { architecture: Some(image::debian_name(arch)), packages: "" }, work, &tree.join("tools"))?;
    write(&tree.join("original"), &filled(arch))?;
    let pack = r#"chmod 755 original && find . | cpio --quiet --format=newc --owner=+0:+0 --create | gzip -6"#;
    let packed = Command::new("sh").args(["-c", pack]).current_dir(&tree).output()?;
    anyhow::ensure!(packed.status.success(), "cannot pack: {}", String::from_utf8_lossy(&packed.stderr));
    let mut whole = fs::read(image)?;
    // Documentation/driver-api/early-userspace/buffer-format.rst: each archive begins at a multiple of four.
    whole.resize(whole.len().next_multiple_of(4), 0);
    whole.extend(packed.stdout);
    fs::write(initrd, whole)?;
    Ok(())
}

fn filled(arch: Arch) -> String {
    let grub = match arch {
        Arch::Aarch64 => "arm64-efi",
        Arch::X86_64 => "x86_64-efi",
    };
    let values = [
        ("{address}", ADDRESS.to_string()),
        ("{server}", SERVER.to_string()),
        ("{grub}", grub.to_owned()),
        ("{started}", STARTED.to_owned()),
        ("{done}", DONE.to_owned()),
    ];
    values.iter().fold(INSTALLER.to_owned(), |text, (name, value)| text.replace(name, value))
}

/// Unpacks `packages`, and what they need that `system` does not have, into `tree`.
fn unpack(packages: &[&str], system: &System<'_>, work: &Path, tree: &Path) -> Result<()> {
    let folder: PathBuf = work.join(packages[0]);
    fs::create_dir_all(&folder)?;
    fs::create_dir_all(tree)?;
    Suite::open_for(SUITE, system)?.fetch(packages, &folder)?;
    for package in fs::read_dir(&folder)? {
        let (package, tree) = (package?.path().display().to_string(), tree.display().to_string());
        run("dpkg-deb", &["--extract", &package, &tree])?;
    }
    Ok(())
}

fn write(file: &Path, text: &str) -> Result<()> {
    fs::create_dir_all(file.parent().unwrap_or(file))?;
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_filled_in() {
        let script = filled(Arch::X86_64);

        for value in ["{address}", "{server}", "{grub}", "{started}", "{done}"] {
            assert!(INSTALLER.contains(value) && !script.contains(value), "{value}");
        }
    }
}
