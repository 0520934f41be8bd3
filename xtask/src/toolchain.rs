//! Static programs for either architecture, whichever this machine has.
//!
//! What the pinned toolchain lacks for the other architecture is its standard library. It is taken from where it can be
//! had: installed already, from rustup, or built from the source that Debian has of the same version.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use lab_model::Arch;

use crate::{cache::Cache, elf, progress::Step, workspace};

mod source;

/// Builds static programs for one architecture.
#[derive(Debug)]
pub(crate) struct Toolchain {
    arch: Arch,
    standard_library: StandardLibrary,
}

/// Where the standard library for the architecture comes from.
#[derive(Debug)]
enum StandardLibrary {
    Installed,
    /// The folder `library` of the compiler's source.
    Source(PathBuf),
}

/// A profile of the workspace's `Cargo.toml`.
#[derive(Clone, Copy, Debug)]
enum Profile {
    Release,
    Installer,
}

/// A program of this workspace that is released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    Server,
    Installer,
    HostCommand,
}

impl Program {
    /// The name of its file.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Server => "pxe-server",
            Self::Installer => "installer",
            Self::HostCommand => "pvmlab",
        }
    }

    fn package(self) -> &'static str {
        match self {
            Self::Server | Self::Installer => self.name(),
            Self::HostCommand => "pvmlab-cli",
        }
    }

    fn profile(self) -> Profile {
        match self {
            Self::Server | Self::HostCommand => Profile::Release,
            Self::Installer => Profile::Installer,
        }
    }
}

impl Toolchain {
    /// Finds, or fetches, what is needed to build for `arch`.
    ///
    /// # Errors
    /// There is no way to get the standard library, or no linker; the message says what to install.
    pub(crate) fn find(arch: Arch, cache: &Cache) -> Result<Self> {
        check_linker(arch)?;
        let standard_library = if is_installed(arch)? || add_target(arch)? {
            StandardLibrary::Installed
        } else {
            let source = source::library(cache).with_context(|| {
                let triple = triple(arch);
                format!(
                    "no standard library for {triple}: rustup cannot add the target, and its source is not to be had"
                )
            })?;
            StandardLibrary::Source(source)
        };
        Ok(Self { arch, standard_library })
    }

    /// Builds a program, static and stripped, and returns what its file holds.
    ///
    /// # Errors
    /// It does not compile, or what comes out is not static.
    pub(crate) fn build(&self, program: Program) -> Result<Vec<u8>> {
        let arch = self.arch;
        let mut step = Step::start(format!("building {} for {arch}", program.name()));
        let file = self.target_folder().join(triple(arch)).join(program.profile().name()).join(program.name());
        step.run(&mut self.cargo(program)?)?;
        let contents = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        elf::check_released(&contents, arch).with_context(|| format!("{} is not what it is to be", file.display()))?;
        step.finish();
        Ok(contents)
    }

    fn cargo(&self, program: Program) -> Result<Command> {
        let profile = program.profile();
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(workspace());
        cargo.args(["build", "--locked", "--package", program.package(), "--bin", program.name()]);
        cargo.args(["--profile", profile.name()]);
        cargo.args(["--target", triple(self.arch)]).arg("--target-dir").arg(self.target_folder());
        cargo.env("CARGO_ENCODED_RUSTFLAGS", self.flags(profile)?).env_remove("RUSTFLAGS");
        // All of them each time: build scripts and macros are linked too, and are built anew when their linker is another.
        cargo.envs(Arch::ALL.map(|arch| (linker_variable(arch), compiler(arch))));
        if let StandardLibrary::Source(source) = &self.standard_library {
            cargo.arg("-Zbuild-std=std,panic_abort");
            // Stable cargo does this only when asked in this way; the version of the source is the compiler's own.
            cargo.env("RUSTC_BOOTSTRAP", "1").env("__CARGO_TESTS_ONLY_SRC_ROOT", source);
        }
        Ok(cargo)
    }

    /// Not the folder of ordinary builds, whose flags are others: each would undo what the other built.
    fn target_folder(&self) -> PathBuf {
        workspace().join("target").join(match self.standard_library {
            StandardLibrary::Installed => "static",
            StandardLibrary::Source(_) => "static-build-std",
        })
    }

    /// Flags for the compiler, each after a 0x1F: paths may hold blanks.
    ///
    /// They are the whole of it, whatever the person's own flags are, so that everybody's programs are the same. No path of
    /// the machine that built a program is to be in it.
    fn flags(&self, profile: Profile) -> Result<OsString> {
        let cargo_home = env::var_os("CARGO_HOME")
            .map(PathBuf::from)
            .or_else(|| env::home_dir().map(|home| home.join(".cargo")))
            .context("neither CARGO_HOME nor HOME is set")?;
        let mut renamed = vec![(workspace().to_owned(), "pvmlab"), (cargo_home, "cargo")];
        if let StandardLibrary::Source(source) = &self.standard_library {
            renamed.push((source.clone(), "library"));
        }
        let mut flags = OsString::from("-Ctarget-feature=+crt-static");
        flags.push(match profile {
            Profile::Release => "",
            // Smaller by a twentieth on x86_64. Whoever could send it hostile bytes could send it a hostile image as well, so
            // addresses that cannot be guessed would protect nothing.
            Profile::Installer => "\x1f-Crelocation-model=static",
        });
        for (path, name) in renamed {
            flags.push("\x1f--remap-path-prefix=");
            flags.push(path);
            flags.push("=");
            flags.push(name);
        }
        Ok(flags)
    }
}

impl Profile {
    fn name(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Installer => "installer",
        }
    }
}

fn triple(arch: Arch) -> &'static str {
    match arch {
        Arch::Aarch64 => "aarch64-unknown-linux-gnu",
        Arch::X86_64 => "x86_64-unknown-linux-gnu",
    }
}

fn is_native(arch: Arch) -> bool {
    cfg!(target_os = "linux") && env::consts::ARCH == arch.as_str()
}

/// The C compiler that links, and that builds the C code of dependencies.
fn compiler(arch: Arch) -> &'static str {
    match arch {
        _ if is_native(arch) => "cc",
        Arch::Aarch64 => "aarch64-linux-gnu-gcc",
        Arch::X86_64 => "x86_64-linux-gnu-gcc",
    }
}

fn linker_variable(arch: Arch) -> &'static str {
    match arch {
        Arch::Aarch64 => "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER",
        Arch::X86_64 => "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER",
    }
}

fn check_linker(arch: Arch) -> Result<()> {
    let compiler = compiler(arch);
    let found = output(compiler, ["-print-file-name=libc.a"])
        .with_context(|| format!("no linker for {arch}: `cargo xtask setup` installs it"))?;
    // A C compiler repeats a name that it knows no path for.
    ensure!(Path::new(&found).is_absolute(), "{compiler} has no static C library: `cargo xtask setup` installs it");
    Ok(())
}

fn is_installed(arch: Arch) -> Result<bool> {
    let library = output("rustc", ["--print", "target-libdir", "--target", triple(arch)])?;
    Ok(Path::new(&library).is_dir())
}

/// Asks rustup for the target, and says whether the compiler has it now: rustup goes by its own records.
fn add_target(arch: Arch) -> Result<bool> {
    let triple = triple(arch);
    let mut step = Step::start(format!("adding the target {triple} to the toolchain"));
    if let Err(error) = step.run(Command::new("rustup").args(["target", "add", triple]).current_dir(workspace())) {
        eprintln!("{error:#}");
    }
    step.finish();
    is_installed(arch)
}

fn output<const N: usize>(program: &str, arguments: [&str; N]) -> Result<String> {
    let output = Command::new(program)
        .args(arguments.map(OsStr::new))
        .current_dir(workspace())
        .output()
        .with_context(|| format!("cannot run {program}"))?;
    ensure!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
