//! Zig: a C compiler and linker for macOS that brings along the headers and the stub of the system's library, so that
//! neither a Mac nor Apple's SDK is needed. Its linker signs what it links ad hoc, without which arm64 Macs run nothing.
//!
//! It comes from Python's package index, where it can be had as one archive for each kind of Linux; pip compares it with the
//! SHA-256 given here.

use std::{
    ffi::OsString,
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{cache::Cache, packages, progress::Step};

/// Zig of the pinned version, in the cache.
#[derive(Debug)]
pub(crate) struct Zig {
    folder: PathBuf,
}

/// The oldest macOS that programs are built for: the first on Apple's own processors, and Rust's own limit.
pub(crate) const OLDEST_MACOS: &str = "11.0";

impl Zig {
    /// Finds Zig in the cache, or fetches it.
    ///
    /// # Errors
    /// pip is missing, or Python's package index has not what is asked of it; the message says what to do.
    pub(crate) fn require(cache: &Cache) -> Result<Self> {
        let programs = [("cc", CC), ("ar", AR)].map(|(name, text)| (name, text.replace("OLDEST_MACOS", OLDEST_MACOS)));
        let recipe = serde_json::to_string_pretty(&(requirement(), &programs))?;
        let folder = cache.entry(&format!("tools/zig-{VERSION}"), &recipe, |folder| {
            install(folder).with_context(|| {
                format!(
                    "cannot get ziglang {VERSION}, which builds for macOS and which pip fetches from Python's package index, \
                     or from the mirror that its configuration names"
                )
            })?;
            for (name, text) in &programs {
                let path = folder.join(name);
                fs::write(&path, text)?;
                fs::set_permissions(&path, Permissions::from_mode(0o755))?;
            }
            Ok(())
        })?;
        Ok(Self { folder })
    }

    /// What tells cargo, the compiler and build scripts to use it when they build for macOS.
    pub(super) fn environment(&self) -> [(&'static str, OsString); 5] {
        let file = |name: &str| self.folder.join(name).into_os_string();
        [
            ("CARGO_TARGET_AARCH64_APPLE_DARWIN_LINKER", file("cc")),
            ("CC_aarch64_apple_darwin", file("cc")),
            ("AR_aarch64_apple_darwin", file("ar")),
            // Otherwise they ask xcrun, which only Macs have.
            ("SDKROOT", file("ziglang/lib/libc/darwin")),
            ("MACOSX_DEPLOYMENT_TARGET", OLDEST_MACOS.into()),
        ]
    }
}

const VERSION: &str = "0.17.1";

/// The SHA-256 of the archives for Linux, on x86_64 and on aarch64.
const SHA256: [&str; 2] = [
    "ea6cc5d87b033cf0aedfbc8f9549a908cae6c50ac31f1698188fa48a74524b54",
    "b7c5f02fccd40f89b999ee16a1f5ddced56e6182370f8affe494bcf8a28cf07e",
];

/// Called as a C compiler, by rustc to link and by build scripts to compile, with what is meant for Apple's own.
///
/// Zig names targets in another way, so the one that is asked for is replaced. libc's crate names the library iconv for
/// functions that nobody calls; Zig has a stub of libSystem only. Who does call them is told so by the linker.
const CC: &str = r#"#!/bin/sh
here=$(dirname "$0")
for argument; do
  shift
  case $argument in
    --target=* | -mmacosx-version-min=* | -liconv) ;;
    *) set -- "$@" "$argument" ;;
  esac
done
export ZIG_GLOBAL_CACHE_DIR="$here/cache" ZIG_LOCAL_CACHE_DIR="$here/cache"
exec "$here/ziglang/zig" cc -target aarch64-macos.OLDEST_MACOS "$@"
"#;

/// Archives as Apple's linker reads them: GNU's `ar` knows no symbols of such objects.
const AR: &str = r#"#!/bin/sh
here=$(dirname "$0")
export ZIG_GLOBAL_CACHE_DIR="$here/cache" ZIG_LOCAL_CACHE_DIR="$here/cache"
exec "$here/ziglang/zig" ar "$@"
"#;

/// What pip is to install, as it is written in a file of requirements.
fn requirement() -> String {
    let hashes = SHA256.map(|sha256| format!(" --hash=sha256:{sha256}")).concat();
    format!("ziglang=={VERSION}{hashes}\n")
}

fn install(folder: &Path) -> Result<()> {
    packages::find("pip3").context("there is no pip3: `cargo xtask setup` installs it")?;
    let requirements = folder.join("requirements.txt");
    fs::write(&requirements, requirement())?;
    let mut step = Step::start(format!("fetching Zig {VERSION} (100 MB)"));
    let mut pip = Command::new("pip3");
    pip.args(["install", "--no-deps", "--no-compile", "--only-binary=:all:", "--require-hashes"]);
    pip.args(["--disable-pip-version-check", "--no-cache-dir"]);
    step.run(pip.arg("--target").arg(folder).arg("--requirement").arg(&requirements))?;
    step.finish();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compiler_is_told_what_zig_understands() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
            path
        };
        write("ziglang/zig", "#!/bin/sh\nprintf '%s\\n' \"$@\"\n");
        let cc = write("cc", CC);

        let output = Command::new("sh")
            .arg(cc)
            .args(["-arch", "arm64", "--target=arm64-apple-macosx", "-liconv", "-lSystem"])
            .args(["-mmacosx-version-min=11.0.0", "-o", "with blank", ""])
            .output()
            .unwrap();

        let told = String::from_utf8(output.stdout).unwrap();
        let expected = "cc -target aarch64-macos.OLDEST_MACOS -arch arm64 -lSystem -o";
        assert_eq!(told, format!("{}\nwith blank\n\n", expected.replace(' ', "\n")));
    }

    #[test]
    fn pip_compares_what_it_fetches() {
        let requirement = requirement();

        assert!(requirement.starts_with("ziglang==0.17.1 --hash=sha256:ea6cc5d8"), "{requirement}");
        assert_eq!(requirement.matches("--hash=sha256:").count(), 2);
    }
}
