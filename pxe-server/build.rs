//! Embeds the files that a network boot begins with: whatever lies in their folder, by its name. Which names count, and
//! what for, only `src/boot_files.rs` says.
//!
//! The folder is the one in `PVMLAB_BOOT_FILES`, or the workspace's `target/boot-files/`, which `cargo xtask boot-files`
//! fills. A program built without a file works, and says so when it starts and when the file is asked for.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

fn main() -> io::Result<()> {
    let folder = folder()?;
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR for build scripts"));
    let files = files(&folder)?;
    fs::write(out.join("boot_files.rs"), table(&files))?;
    println!("cargo:rerun-if-env-changed=PVMLAB_BOOT_FILES");
    // The folder, not its files: cargo takes the newest time inside it, and a path that does not exist would run this
    // script, and compile the crate, on every build.
    println!("cargo:rerun-if-changed={}", folder.display());
    if files.is_empty() {
        println!("cargo:warning=built without boot files: run `cargo xtask boot-files` to fill {}", folder.display());
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

/// The files by name; hidden ones are not finished.
fn files(folder: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).filter(|name| !name.starts_with('.'));
        if let Some(name) = name.filter(|_| path.is_file()) {
            files.push((name.to_owned(), path));
        }
    }
    files.sort();
    Ok(files)
}

/// A static: of a constant, each place that uses it may get a copy of its own.
fn table(files: &[(String, PathBuf)]) -> String {
    let mut source = "static EMBEDDED: &[(&str, &[u8])] = &[\n".to_owned();
    for (name, path) in files {
        writeln!(source, "    ({name:?}, include_bytes!({path:?})),").expect("a String takes all that is written");
    }
    source + "];\n"
}
