//! Programs as they are released: static ones for Linux on either architecture, whichever this machine has, and for macOS.
//!
//! What the pinned toolchain lacks for another machine is its standard library. It is taken from where it can be had:
//! installed already, from rustup, or built from the source that Debian has of the same version.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use lab_model::Arch;

use target::{compiler, linker_variable};

use crate::{cache::Cache, elf, macho, progress::Step, workspace};

mod source;
mod target;
mod zig;

pub(crate) use target::Target;
pub(crate) use zig::Zig;

/// Builds programs for one kind of machine.
#[derive(Debug)]
pub(crate) struct Toolchain {
    target: Target,
    /// The variables that name the compilers and linkers.
    compilers: Vec<(&'static str, OsString)>,
    standard_library: StandardLibrary,
}

/// Where the standard library for the target comes from.
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
    /// Finds, or fetches, what is needed to build for `target`.
    ///
    /// # Errors
    /// There is no way to get the standard library, or no linker; the message says what to install.
    pub(crate) fn find(target: Target, cache: &Cache) -> Result<Self> {
        // All of them each time: build scripts and macros are linked too, and are built anew when their linker is another.
        let mut compilers = Vec::from(Arch::ALL.map(|arch| (linker_variable(arch), compiler(arch).into())));
        match target {
            Target::Linux(arch) => check_linker(arch)?,
            Target::MacOs => compilers.extend(Zig::require(cache)?.environment()),
        }
        let standard_library = if is_installed(target)? || add_target(target)? {
            StandardLibrary::Installed
        } else {
            let source = source::library(cache).with_context(|| {
                let triple = target.triple();
                format!(
                    "no standard library for {triple}: rustup cannot add the target, and its source is not to be had"
                )
            })?;
            StandardLibrary::Source(source)
        };
        Ok(Self { target, compilers, standard_library })
    }

    /// Builds a program, stripped and with nothing that it needs to run, and returns what its file holds.
    ///
    /// # Errors
    /// It does not compile, or what comes out does not run by itself.
    pub(crate) fn build(&self, program: Program) -> Result<Vec<u8>> {
        let target = self.target;
        let mut step = Step::start(format!("building {} for {target}", program.name()));
        let profile = program.profile();
        let file = self.target_folder().join(target.triple()).join(profile.name()).join(program.name());
        let mut cargo = self.cargo("build", program, profile)?;
        step.run(cargo.args(["--bin", program.name(), "--profile", profile.name()]))?;
        let contents = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let checked = match target {
            Target::Linux(arch) => elf::check_released(&contents, arch),
            Target::MacOs => macho::check_released(&contents, zig::OLDEST_MACOS),
        };
        checked.with_context(|| format!("{} is not what it is to be", file.display()))?;
        step.finish();
        Ok(contents)
    }

    /// Checks that a program and its tests compile without a warning; nothing is linked.
    ///
    /// # Errors
    /// They do not; the compiler has said why.
    pub(crate) fn lint(&self, program: Program) -> Result<()> {
        let mut clippy = self.cargo("clippy", program, Profile::Release)?;
        clippy.args(["--all-targets", "--quiet", "--", "-D", "warnings"]);
        let status = clippy.status().context("cannot run cargo")?;
        let (program, target) = (program.name(), self.target);
        ensure!(status.success(), "{program} does not compile for {target} without a warning");
        println!("{program} and its tests compile for {target}");
        Ok(())
    }

    fn cargo(&self, command: &str, program: Program, profile: Profile) -> Result<Command> {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(workspace());
        cargo.args([command, "--locked", "--package", program.package()]);
        cargo.args(["--target", self.target.triple()]).arg("--target-dir").arg(self.target_folder());
        cargo.env("CARGO_ENCODED_RUSTFLAGS", self.flags(profile)?).env_remove("RUSTFLAGS");
        cargo.envs(self.compilers.iter().map(|(name, value)| (name, value)));
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
        let mut flags: Vec<OsString> = Vec::new();
        match self.target {
            Target::Linux(_) => flags.push("-Ctarget-feature=+crt-static".into()),
            Target::MacOs => {}
        }
        match profile {
            // A third of a MiB less that every start reads: where addresses stand in a program that may be anywhere, as a bitmap
            // (SHT_RELR, gABI) instead of 24 bytes for each. Linkers that do not know it yet say so and go on without.
            Profile::Release if self.target != Target::MacOs => {
                flags.push("-Clink-arg=-Wl,-z,pack-relative-relocs".into());
            }
            Profile::Release => {}
            // Smaller by a twentieth on x86_64. Whoever could send it hostile bytes could send it a hostile image as well, so
            // addresses that cannot be guessed would protect nothing.
            Profile::Installer => flags.push("-Crelocation-model=static".into()),
        }
        for (path, name) in renamed {
            let mut flag = OsString::from("--remap-path-prefix=");
            flag.push(path);
            flag.push("=");
            flag.push(name);
            flags.push(flag);
        }
        Ok(flags.join(OsStr::new("\x1f")))
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

fn check_linker(arch: Arch) -> Result<()> {
    let compiler = compiler(arch);
    let found = output(compiler, ["-print-file-name=libc.a"])
        .with_context(|| format!("no linker for {arch}: `cargo xtask setup` installs it"))?;
    // A C compiler repeats a name that it knows no path for.
    ensure!(Path::new(&found).is_absolute(), "{compiler} has no static C library: `cargo xtask setup` installs it");
    Ok(())
}

fn is_installed(target: Target) -> Result<bool> {
    let library = output("rustc", ["--print", "target-libdir", "--target", target.triple()])?;
    Ok(Path::new(&library).is_dir())
}

/// Asks rustup for the target, and says whether the compiler has it now: rustup goes by its own records.
fn add_target(target: Target) -> Result<bool> {
    let triple = target.triple();
    let mut step = Step::start(format!("adding the target {triple} to the toolchain"));
    if let Err(error) = step.run(Command::new("rustup").args(["target", "add", triple]).current_dir(workspace())) {
        eprintln!("{error:#}");
    }
    step.finish();
    is_installed(target)
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
