//! A small archive of Debian's from which its installer loads what it partitions with.
//!
//! The netboot installer has none of that in its initial RAM file system. What it fetches is Debian's, with exceptions, because a mirror
//! may have the packages for installed systems only: libraries, tools and the drivers for the kernel that is booted are from those
//! packages, in one udeb, and for arm64 udebs that hold scripts only are the ones for amd64, with their few
//! programs compiled from the same source.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use lab_model::Arch;
use sha2::{Digest, Sha256};

use super::debian_name;
use crate::{
    debian::{Suite, output},
    replace::replace,
};

/// Puts the archive into `folder`, for an installer whose kernel has this version.
///
/// # Errors
/// The mirror lacks something, or a tool fails.
pub(super) fn build(suite: &Suite, arch: Arch, kernel: &str, folder: &Path) -> Result<()> {
    let pool = folder.join("pool");
    fs::create_dir_all(&pool)?;
    for (path, digest) in UDEBS {
        let name = path.rsplit('/').next().context("a path has a name")?;
        suite.fetch_from_pool(path, digest, &pool.join(name))?;
    }
    if arch == Arch::Aarch64 {
        port(suite, &pool)?;
    }
    tools(suite, arch, kernel, &pool)?;
    list(suite.name(), arch, folder)
}

/// All that determines the archive but the versions that Debian has today.
pub(super) fn recipe() -> serde_json::Value {
    serde_json::json!({ "udebs": UDEBS, "sources": SOURCES, "packages": PACKAGES, "drivers": DRIVERS, "lists": 3 })
}

/// The partitioner's components: its scripts, and three packages of programs.
const UDEBS: &[(&str, &str)] = &[
    (
        "d/debian-installer-utils/di-utils-mapdevfs_1.155_amd64.udeb",
        "9083d65d739842a80b9f664dc46b373c1358a152d4e3b715f89c3630a8e046e1",
    ),
    ("h/hw-detect/disk-detect_1.171_amd64.udeb", "3df7895ffd8c2d8a0e21d7119b029e3aa65faada049bdce231ee9399b641880b"),
    ("p/partman-auto/partman-auto_177_amd64.udeb", "6336439b8349df6b2f0b2ecf3ca19091e12da56d5793df3dab189c36d4a90e1f"),
    ("p/partman-base/partman-base_237_amd64.udeb", "6acb89d2d7650bfb06f5b05c21101e32401881c3c9710ee183480e0d3863282a"),
    ("p/partman-base/partman-utils_237_amd64.udeb", "18e9c54f5f5e494610634afd2d74a1ff63203ffe083b2a023f727961213f4953"),
    (
        "p/partman-basicfilesystems/partman-basicfilesystems_174_amd64.udeb",
        "218e483bf58edcaffa2e15be4c5426ef6349f08c89c398aebd4378a3ce66d940",
    ),
    (
        "p/partman-basicmethods/partman-basicmethods_80_all.udeb",
        "a380d404a0a10f98d55fbd86240d2402118953157c82da6b572097293275be2f",
    ),
    ("p/partman-efi/partman-efi_110_amd64.udeb", "ca596467e15ce55a9ef7351bda33d49d08b384129f7bd2bb60d46c08b6abdc9e"),
    ("p/partman-ext3/partman-ext3_119_all.udeb", "59695d2a9a8f86e59d47487224f091145abe8e241c9917275749707d3abc9da4"),
    (
        "p/partman-partitioning/partman-partitioning_159_amd64.udeb",
        "7ab7558b62c6c4bdc9ba9e77933f2ed38aaf9f63d9eba519e98db08dfcc71342",
    ),
    (
        "p/partman-target/partman-target_133_all.udeb",
        "380af1c516e6bd8dd8bf5d60d5a6e7e55d690efce2e16c8c10007d24c4133a46",
    ),
];

/// Libraries and tools from packages for installed systems.
const PACKAGES: &[&str] = &[
    "dosfstools",
    "e2fsprogs",
    "libcom-err2",
    "libdevmapper1.02.1",
    "libext2fs2t64",
    "libparted-fs-resize0t64",
    "libparted2t64",
    "libss2",
];

/// The disk's driver, and the file system of the shipped profile's root.
const DRIVERS: [&str; 4] = ["drivers/block/virtio_blk", "fs/ext4/ext4", "fs/jbd2/jbd2", "lib/crc16"];

/// Puts libraries, tools and drivers into one udeb; without what is for people, and the packages' scripts, which want an installed system.
fn tools(suite: &Suite, arch: Arch, kernel: &str, pool: &Path) -> Result<()> {
    let work = tempfile::tempdir()?;
    let (whole, tree) = (work.path().join("kernel"), work.path().join("tools"));
    for package in PACKAGES {
        suite.unpack_newest(package, &tree)?;
    }
    fs::remove_dir_all(tree.join("usr/share"))?;
    suite.unpack_newest(&format!("linux-image-{kernel}"), &whole)?;
    for driver in DRIVERS {
        let file = format!("usr/lib/modules/{kernel}/kernel/{driver}.ko.xz");
        let target = tree.join(&file);
        fs::create_dir_all(target.parent().context("a module is in a folder")?)?;
        fs::copy(whole.join(&file), target).with_context(|| format!("the kernel's package has no {file}"))?;
    }
    let (debian, control) = (debian_name(arch), tree.join("DEBIAN"));
    fs::create_dir(&control)?;
    let text = format!(
        "Package: lab-tools\nVersion: 1\nArchitecture: {debian}\nMaintainer: nobody <nobody@example.org>\nDescription: tools\n"
    );
    fs::write(control.join("control"), text)?;
    replace(&control.join("postinst"), b"#!/bin/sh\ndepmod -a && modprobe virtio_blk\n", 0o755)?;
    pack(&tree, &pool.join(format!("lab-tools_1_{debian}.udeb")))
}

/// Makes the udebs for amd64 in `pool` such for arm64.
fn port(suite: &Suite, pool: &Path) -> Result<()> {
    let work = tempfile::tempdir()?;
    let built = work.path().join("built");
    let recipes = compile(suite, work.path(), &built)?;
    for (path, _) in UDEBS.iter().filter(|(path, _)| path.ends_with("_amd64.udeb")) {
        let name = path.rsplit('/').next().context("a path has a name")?;
        let (old, new) = (pool.join(name), pool.join(name.replace("_amd64", "_arm64")));
        let tree = work.path().join(name);
        output(Command::new("dpkg-deb").arg("--raw-extract").args([&old, &tree]))?;
        let control = tree.join("DEBIAN/control");
        fs::write(
            &control,
            fs::read_to_string(&control)?.replace("\nArchitecture: amd64\n", "\nArchitecture: arm64\n"),
        )?;
        for program in fs::read_dir(tree.join("bin")).into_iter().flatten() {
            let program = program?;
            let compiled = built.join(program.file_name());
            if compiled.exists() {
                fs::copy(compiled, program.path())?;
            }
        }
        if name.starts_with("partman-auto_") {
            let folder = tree.join("lib/partman/recipes-arm64-efi");
            fs::create_dir(&folder)?;
            fs::copy(recipes.join("atomic"), folder.join("30atomic"))?;
        }
        pack(&tree, &new)?;
        fs::remove_file(old)?;
    }
    Ok(())
}

/// What the programs are compiled from, and the scripts' recipes for arm64.
const SOURCES: &[(&str, &str)] = &[
    (
        "d/debian-installer-utils/debian-installer-utils_1.155.tar.xz",
        "342fb32b7bbcaa3fe7491e2ab43a54b9631a7663fecd33c14c131f2197cd82ff",
    ),
    ("p/partman-auto/partman-auto_177.tar.xz", "90ed3c1a1830f2f84fb96a3cb4e2cc88108fc1ced15cbe39d5f854804086839f"),
    ("p/partman-base/partman-base_237.tar.xz", "5f4515a447787fe8cc10265e9d79649ea83ee2ba0ad22885652e14c00eb2e3ae"),
];

const PROGRAMS: [&str; 4] = [
    "debian-installer-utils/mapdevfs",
    "partman-base/parted_devices",
    "partman-base/parted_server",
    "partman-base/partmap",
];

const DEVELOPMENT: [&str; 5] =
    ["libdebian-installer4", "libdebian-installer4-dev", "libparted-dev", "libparted-fs-resize0t64", "libparted2t64"];

/// Compiles the programs for arm64 into the folder `built`; returns where the partitioning recipes are.
fn compile(suite: &Suite, work: &Path, built: &Path) -> Result<PathBuf> {
    let (sources, system) = (work.join("sources"), work.join("system"));
    fs::create_dir_all(built)?;
    fs::create_dir_all(&sources)?;
    for (path, digest) in SOURCES {
        let archive = work.join("source.tar.xz");
        suite.fetch_from_pool(path, digest, &archive)?;
        output(Command::new("tar").arg("--extract").arg("--file").arg(&archive).arg("--directory").arg(&sources))?;
    }
    for package in DEVELOPMENT {
        suite.unpack_newest(package, &system)?;
    }
    // Its version, which is all that would be in there, comes on the command line.
    fs::write(sources.join("partman-base/config.h"), "")?;
    let compiler = if cfg!(target_arch = "aarch64") { "cc" } else { "aarch64-linux-gnu-gcc" };
    let libraries = system.join("usr/lib/aarch64-linux-gnu");
    for program in PROGRAMS {
        let name = program.rsplit('/').next().context("a program has a name")?;
        let mut command = Command::new(compiler);
        command
            .args(["-Os", "-s", "-w", "-D_GNU_SOURCE", "-DPACKAGE_VERSION=\"lab\"", "-I"])
            .arg(system.join("usr/include"));
        command.arg("-o").arg(built.join(name)).arg(sources.join(format!("{program}.c"))).arg("-L").arg(&libraries);
        // The libraries are made for a newer C library than the compiler's, which the installer has.
        command.args(["-Wl,--as-needed", "-Wl,--unresolved-symbols=ignore-in-shared-libs"]);
        command.args(["-l:libparted.so.2", "-l:libparted-fs-resize.so.0", "-l:libdebian-installer.so.4"]);
        output(&mut command)?;
    }
    Ok(sources.join("partman-auto/recipes-arm64-efi"))
}

fn pack(tree: &Path, udeb: &Path) -> Result<()> {
    // The installer unpacks no zstd.
    output(Command::new("dpkg-deb").args(["-Zxz", "--root-owner-group", "--build"]).args([tree, udeb]))?;
    Ok(())
}

/// Writes the lists of what is in the pool, as an archive has them. Nobody signs them.
fn list(suite: &str, arch: Arch, folder: &Path) -> Result<()> {
    let debian = debian_name(arch);
    let mut pool: Vec<_> = fs::read_dir(folder.join("pool"))?.collect::<Result<_, _>>()?;
    pool.sort_by_key(fs::DirEntry::file_name);
    let mut packages = String::new();
    for file in pool {
        let name = file.file_name().into_string().ok().context("a package's file has a plain name")?;
        let fields = ["Package", "Version", "Architecture", "Depends", "Provides", "Installer-Menu-Item"];
        let known = output(Command::new("dpkg-deb").arg("--field").arg(file.path()).args(fields))?;
        let content = fs::read(file.path())?;
        // By this priority the installer takes each of them without being asked to.
        packages.push_str(&format!(
            "{known}Priority: standard\nSection: debian-installer\nFilename: pool/{name}\nSize: {}\nSHA256: {}\nDescription: {name}\n\n",
            content.len(),
            hex(&content),
        ));
    }
    let dists = folder.join("dists").join(suite);
    let place = format!("main/debian-installer/binary-{debian}/Packages");
    let write = |path: &str, text: &str| -> Result<()> {
        let path = dists.join(path);
        fs::create_dir_all(path.parent().context("a list is in a folder")?)?;
        Ok(fs::write(path, text)?)
    };
    write(&place, &packages)?;
    // By this the installer sees whether a mirror has its architecture.
    write(&format!("main/binary-{debian}/Release"), &format!("Component: main\nArchitecture: {debian}\n"))?;
    let (digest, length) = (hex(packages.as_bytes()), packages.len());
    let release = format!(
        "Origin: Debian\nSuite: stable\nCodename: {suite}\nArchitectures: all {debian}\nComponents: main\nSHA256:\n {digest} {length} {place}\n"
    );
    write("Release", &release)
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The version of a kernel of Debian's, which stands in its file before whom it is from.
///
/// # Errors
/// It does not stand there.
pub(super) fn kernel_version(kernel: &Path) -> Result<String> {
    let bytes = fs::read(kernel).with_context(|| format!("cannot read {}", kernel.display()))?;
    let end = bytes.windows(FROM.len()).position(|window| window == FROM).context("no kernel of Debian's")?;
    let version: Vec<u8> = bytes[..end].iter().rev().copied().take_while(u8::is_ascii_graphic).collect();
    let version: String = version.into_iter().rev().map(char::from).collect();
    ensure!(
        version.starts_with(|first: char| first.is_ascii_digit()),
        "the kernel says no version before whom it is from"
    );
    Ok(version)
}

const FROM: &[u8] = b" (debian-kernel@";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_says_its_version_before_whom_it_is_from() {
        let file = tempfile::NamedTempFile::new().unwrap();

        fs::write(file.path(), b"\0\x01Linux version 6.12.1+deb13-arm64 (debian-kernel@lists.debian.org)\0").unwrap();
        assert_eq!(kernel_version(file.path()).unwrap(), "6.12.1+deb13-arm64");
        fs::write(file.path(), b"\x006.12.1+deb13-amd64 (debian-kernel@lists.debian.org) #1\0").unwrap();
        assert_eq!(kernel_version(file.path()).unwrap(), "6.12.1+deb13-amd64");
        fs::write(file.path(), b"6.12 (somebody@else)").unwrap();
        assert!(kernel_version(file.path()).is_err());
    }
}
