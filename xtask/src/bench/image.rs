//! `cargo xtask bench image`: from a vendor's image file to what a target is installed from.
//!
//! Ours is `pvmlab distro add`: kernel, initrd, and the disk in compressed chunks with their hashes. The original's way was a
//! container with guestfish, which reads the image by a small machine of its own, a tarball of the root, and gzip; here it runs
//! in a root of Debian's packages instead of a container, and its machine is made before anything counts. That machine is
//! emulated: a container has no `/dev/kvm` unless it is given one. Both read the same compressed qcow2 file, and take turns.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::{Context, Result};
use lab_model::Arch;
use lab_tests::Supplies;

use super::report::{Column, Report, Target};
use crate::{cache::Cache, debian::Mirror, image, privilege, progress::Step, supplies};

/// Prepares the image for `arch`, `runs` times by each way.
///
/// # Errors
/// guestfish's packages cannot be had, or an image cannot be prepared.
pub(crate) fn measure(arch: Arch, runs: u8, supplies: &Supplies) -> Result<Report> {
    // Not /tmp, which may be memory.
    let work = tempfile::tempdir_in("/var/tmp")?;
    let mut step = Step::start("making a vendor's image");
    let (raw, file) = (work.path().join("raw"), work.path().join("image.qcow2"));
    image::unpack(&supplies.images.join(supplies::image().as_str()).join(arch.as_str()), &raw)?;
    step.run(Command::new("qemu-img").args(["convert", "-q", "-c", "-f", "raw", "-O", "qcow2"]).args([&raw, &file]))?;
    fs::remove_file(&raw)?;
    step.finish();
    let guestfish = Guestfish::prepare(work.path())?;

    let (mut originals, mut ours) = (Vec::new(), Vec::new());
    for run in 1..=runs {
        let mut step = Step::start(format!("run {run} of {runs}"));
        originals.push(seconds(|| step.run(&mut guestfish.command(EXTRACT)))?);
        ours.push(ours_takes(&supplies.command, &file, work.path(), &mut step)?);
        step.finish();
    }

    let (original, ours) = (Column::new("guestfish, tar, gzip", "s", originals), Column::new("pvmlab", "s", ours));
    let ratio = ours.median / original.median;
    Ok(Report {
        title: format!("a compressed qcow2 image of Debian 12 for {arch}, until a target can be installed from it"),
        columns: vec![original, ours],
        targets: vec![Target::new("pvmlab's share of the original's time", ratio, SHARE)],
    })
}

/// At least five times as fast.
const SHARE: f64 = 0.2;

fn ours_takes(pvmlab: &Path, file: &Path, work: &Path, step: &mut Step) -> Result<f64> {
    let home = tempfile::tempdir_in(work)?;
    let command = |arguments: &[&str]| {
        let mut command = Command::new(pvmlab);
        command.args(arguments).env("PVMLAB_HOME", home.path());
        command
    };
    step.run(&mut command(&["setup"]))?;
    seconds(|| step.run(command(&["distro", "add", "--name", "image"]).arg(file)))
}

fn seconds(work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let started = Instant::now();
    work()?;
    Ok(started.elapsed().as_secs_f64())
}

/// A root of Debian's packages with guestfish, in a folder of the bench's own.
struct Guestfish<'a> {
    root: PathBuf,
    work: &'a Path,
}

impl<'a> Guestfish<'a> {
    fn prepare(work: &'a Path) -> Result<Self> {
        let recipe = format!("{}\n", PACKAGES.join("\n"));
        let archive = Cache::of_user()?.entry("peers/guestfish", &recipe, |folder| {
            let sources = folder.join("sources.list");
            fs::write(&sources, Mirror::of_machine()?.sources_list(SUITE))?;
            let mut command = Command::new("mmdebstrap");
            command.arg(if privilege::is_root() { "--mode=root" } else { "--mode=unshare" });
            command.args(["--variant=apt", "--format=tar", "--dpkgopt=force-unsafe-io"]);
            command.arg(format!("--include={}", PACKAGES.join(",")));
            command.arg(SUITE).arg(folder.join(ARCHIVE)).arg(&sources).env("TMPDIR", "/var/tmp");
            let mut step = Step::start("putting guestfish together");
            step.run(&mut command)?;
            step.finish();
            Ok(())
        })?;
        let guestfish = Self { root: work.join("root"), work };
        fs::create_dir(&guestfish.root)?;
        let mut step = Step::start("making guestfish's machine");
        step.run(
            as_root("tar")
                .args(["--numeric-owner", "--exclude=./dev/*", "-xf"])
                .arg(archive.join(ARCHIVE))
                .arg("-C")
                .arg(&guestfish.root),
        )?;
        step.run(&mut guestfish.command(WARM_UP)).context("guestfish does not run here")?;
        step.finish();
        Ok(guestfish)
    }

    /// Runs `script` in the root, where the bench's folder is `/mnt`.
    fn command(&self, script: &str) -> Command {
        let mut command = as_root("unshare");
        command.args(["--mount", "--", "sh", "-euc", include_str!("image/enter.sh")]);
        command.env("ROOT", &self.root).env("WORK", self.work).env("SCRIPT", script);
        command
    }
}

impl Drop for Guestfish<'_> {
    fn drop(&mut self) {
        // Its files belong to others of the user namespace, whom the bench's folder could not be taken from.
        let _ = as_root("rm").arg("-rf").arg(&self.root).status();
    }
}

/// As root, or as root of a user namespace with this user's subordinate identifiers.
fn as_root(program: &str) -> Command {
    if privilege::is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--map-auto", "--", program]);
    command
}

const SUITE: &str = "bookworm";
/// In an entry's folder.
const ARCHIVE: &str = "root.tar";
/// The machine of guestfish's is made from the root's own kernel and programs.
const PACKAGES: &[&str] = &[
    "libguestfs-tools",
    if cfg!(target_arch = "aarch64") { "linux-image-cloud-arm64" } else { "linux-image-cloud-amd64" },
    if cfg!(target_arch = "aarch64") { "qemu-system-arm" } else { "qemu-system-x86" },
    "qemu-utils",
];
const WARM_UP: &str = "guestfish -a /dev/null run";
const EXTRACT: &str = "rm -rf out; mkdir out
guestfish --ro -a image.qcow2 -i copy-out /boot out : tar-out / - | gzip > out/root.tar.gz
test -s out/root.tar.gz";
