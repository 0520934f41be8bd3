//! Debian's archive: from where this machine gets it, and single packages of suites that it is not set up for.
//!
//! For those, apt is run with a configuration of its own, as any user: the machine's suites, package lists, preferences and installed
//! packages are neither read nor changed. Only the mirror is taken from it, and how connections are made.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

mod mirror;

pub(crate) use mirror::Mirror;

/// Where the package debian-archive-keyring has its keys, on every distribution that it is for.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Whom packages are for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct System<'a> {
    /// Debian's name of it; this machine's where there is none.
    pub(crate) architecture: Option<&'a str>,
    /// The packages that it has, in the words of dpkg's file `status`.
    pub(crate) packages: &'a str,
}

/// One suite of Debian, such as `trixie`, with its list of packages.
#[derive(Debug)]
pub(crate) struct Suite {
    name: String,
    mirror: Mirror,
    /// Holds apt's configuration and lists for as long as the suite is in use.
    folder: tempfile::TempDir,
}

impl Suite {
    /// Fetches the suite's list of packages.
    ///
    /// # Errors
    /// The machine has no apt, or the mirror does not have the suite.
    pub(crate) fn open(name: &str) -> Result<Self> {
        Self::open_for(name, &System { architecture: None, packages: "" })
    }

    /// Fetches the suite's list of packages, for a system that is not this machine.
    ///
    /// # Errors
    /// Those of [`Suite::open`].
    pub(crate) fn open_for(name: &str, system: &System<'_>) -> Result<Self> {
        let folder = tempfile::tempdir().context("cannot create a temporary folder")?;
        for needed in ["state/lists/partial", "cache/archives/partial", "fetched", "none"] {
            fs::create_dir_all(folder.path().join(needed))?;
        }
        fs::write(folder.path().join("status"), system.packages)?;
        let mirror = Mirror::of_machine()?;
        fs::write(folder.path().join("sources.list"), mirror.source(name))?;
        fs::write(folder.path().join("apt.conf"), configuration(folder.path(), system.architecture))?;

        let suite = Self { name: name.to_owned(), mirror, folder };
        suite.apt("apt-get", ["update", "--quiet=2"]).with_context(|| format!("cannot read the packages of {name}"))?;
        Ok(suite)
    }

    /// The suite's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The versions of a package that the suite has, newest first; none when it does not have the package.
    ///
    /// # Errors
    /// apt cannot be run.
    pub(crate) fn versions(&self, package: &str) -> Result<Vec<String>> {
        // One line a version: `rust-src | 1.95.0+dfsg1-2 | http://… main amd64 Packages`.
        let table = self.apt("apt-cache", ["madison", package])?;
        Ok(table.lines().filter_map(|line| Some(line.split('|').nth(1)?.trim().to_owned())).collect())
    }

    /// Fetches one version of a package, whose checksum apt verifies, and unpacks its files into `folder`.
    ///
    /// # Errors
    /// The suite does not have that version, or it cannot be fetched or unpacked.
    pub(crate) fn unpack(&self, package: &str, version: &str, folder: &Path) -> Result<()> {
        if !self.versions(package)?.iter().any(|found| found == version) {
            bail!("Debian {} has no {package} {version} (any more)", self.name);
        }
        self.apt("apt-get", ["download", "--quiet=2", &format!("{package}={version}")])?;
        let fetched = fs::read_dir(self.fetched())?.next().context("apt-get wrote no file")??.path();
        output(Command::new("dpkg-deb").arg("--extract").args([&fetched, folder]))?;
        fs::remove_file(fetched)?;
        Ok(())
    }

    /// Fetches the newest version of a package, whose checksum apt verifies, and unpacks its files into `folder`.
    ///
    /// # Errors
    /// The suite does not have the package, or it cannot be fetched or unpacked.
    pub(crate) fn unpack_newest(&self, package: &str, folder: &Path) -> Result<()> {
        let version = self.versions(package)?.into_iter().next();
        let version = version.with_context(|| format!("Debian {} has no {package}", self.name))?;
        self.unpack(package, &version, folder)
    }

    /// Fetches a file by its path below the mirror's `pool/main/`, and verifies its digest (SHA-256 in hexadecimal).
    ///
    /// # Errors
    /// The mirror does not have it, or another one.
    pub(crate) fn fetch_from_pool(&self, path: &str, digest: &str, file: &Path) -> Result<()> {
        let (url, target) = (self.mirror.pool(path), file.display().to_string());
        self.apt(APT_HELPER, ["download-file", &url, &target, &format!("SHA256:{digest}")])?;
        Ok(())
    }

    /// Fetches `packages`, and whatever else they need that the system does not have, into `folder`.
    ///
    /// # Errors
    /// The suite does not have them, or they cannot be fetched.
    pub(crate) fn fetch(&self, packages: &[&str], folder: &Path) -> Result<()> {
        let words = ["install", "--quiet=2", "--yes", "--download-only", "--no-install-recommends"];
        self.apt("apt-get", words.into_iter().chain(packages.iter().copied()))?;
        for entry in fs::read_dir(self.folder.path().join("cache/archives"))? {
            let fetched = entry?.path();
            let Some(name) = fetched.file_name().filter(|_| fetched.extension().is_some_and(|end| end == "deb")) else {
                continue;
            };
            fs::copy(&fetched, folder.join(name)).with_context(|| format!("cannot keep {}", fetched.display()))?;
        }
        Ok(())
    }

    fn apt<'a>(&self, program: &str, arguments: impl IntoIterator<Item = &'a str>) -> Result<String> {
        output(
            Command::new(program)
                .arg("--config-file")
                .arg(self.folder.path().join("apt.conf"))
                .args(arguments)
                // `apt-get download` writes to the working directory.
                .current_dir(self.fetched()),
        )
    }

    fn fetched(&self) -> PathBuf {
        self.folder.path().join("fetched")
    }
}

/// What fetches single files with apt's own means, and whatever proxy it has.
const APT_HELPER: &str = "/usr/lib/apt/apt-helper";

/// apt's configuration for a folder of its own; read after the machine's, so that a proxy set there counts.
fn configuration(folder: &Path, architecture: Option<&str>) -> String {
    let folder = folder.display();
    let architecture =
        architecture.map(|name| format!("APT::Architecture \"{name}\";\nAPT::Architectures {{ \"{name}\"; }};\n"));
    let architecture = architecture.unwrap_or_default();
    format!(
        r#"// What the machine runs after an update is not for lists that it never sees.
#clear APT::Update;
Dir::State "{folder}/state";
Dir::State::Lists "{folder}/state/lists";
Dir::State::Status "{folder}/status";
Dir::Cache "{folder}/cache";
Dir::Etc::SourceList "{folder}/sources.list";
Dir::Etc::SourceParts "{folder}/none";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "{folder}/none";
// The user that apt drops to when root runs it cannot write here.
APT::Sandbox::User "";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
{architecture}"#
    )
}

/// Runs a command to its end and returns what it wrote to its standard output.
///
/// # Errors
/// It cannot be run, or fails; the message has what it said.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.env("LC_ALL", "C").output().with_context(|| format!("cannot run {program}"))?;
    if !output.status.success() {
        bail!("{program} failed ({}): {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
