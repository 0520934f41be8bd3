//! Embeds the files that a network boot begins with: `src/boot_files.rs` says which and why.
//!
//! They come from the folder in `PVMLAB_BOOT_FILES`, or from the workspace's `target/boot-files/`, which
//! `cargo xtask boot-files` fills. A program built without them works and says so when one is asked for.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// File name, and the static that holds its contents; `src/boot_files.rs` uses each of them.
const FILES: [(&str, &str); 5] = [
    ("ipxe-arm64.efi", "IPXE_ARM64_EFI"),
    ("ipxe-x86_64.efi", "IPXE_X86_64_EFI"),
    ("undionly.kpxe", "UNDIONLY_KPXE"),
    ("installer-aarch64", "INSTALLER_AARCH64"),
    ("installer-x86_64", "INSTALLER_X86_64"),
];

fn main() -> io::Result<()> {
    let folder = folder()?;
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR for build scripts"));
    let (source, missing) = statics(&folder)?;
    fs::write(out.join("boot_files.rs"), source)?;
    println!("cargo:rerun-if-env-changed=PVMLAB_BOOT_FILES");
    // The folder, not its files: cargo takes the newest time inside it, and a path that does not exist would run this
    // script, and compile the crate, on every build.
    println!("cargo:rerun-if-changed={}", folder.display());
    if !missing.is_empty() {
        println!(
            "cargo:warning=built without {}: run `cargo xtask boot-files` to embed what {} lacks",
            missing.join(", "),
            folder.display()
        );
    }
    Ok(())
}

/// The folder with the files, absolute. The default one is made, because an empty folder can be watched.
fn folder() -> io::Result<PathBuf> {
    match env::var_os("PVMLAB_BOOT_FILES") {
        Some(folder) => std::path::absolute(folder),
        None => {
            let package = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR"));
            let workspace = package.parent().expect("the package is a folder of the workspace");
            let folder = workspace.join("target/boot-files");
            fs::create_dir_all(&folder)?;
            Ok(folder)
        }
    }
}

/// One static for each file, and the names of the files that are not there.
///
/// Of a constant, each place that uses it may get a copy of its own.
fn statics(folder: &Path) -> io::Result<(String, Vec<&'static str>)> {
    let mut source = String::new();
    let mut missing = Vec::new();
    for (name, symbol) in FILES {
        let path = folder.join(name);
        let contents = if path.try_exists()? {
            format!("Some(include_bytes!({path:?}))")
        } else {
            missing.push(name);
            "None".to_owned()
        };
        writeln!(source, "static {symbol}: Option<&[u8]> = {contents};").expect("a String takes all that is written");
    }
    Ok((source, missing))
}
