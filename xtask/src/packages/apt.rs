//! What `apt-get` is told so that packages can be installed.
//!
//! Usually their names. Some machines, though, have a package from a source that they no longer list (a backport that came
//! with the machine's image, say); its siblings of the same version are then not to be had, and `apt-get` gives up with
//! "held broken packages", or removes it. Such a package is replaced by the version that the machine's sources do have.
//! Nothing is ever removed: what is on the machine may be what somebody works with.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::progress::Step;

/// An installation that `apt-get` agreed to when asked to simulate it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    wanted: Vec<String>,
    /// Installed packages that have to make way.
    pub(super) replaced: Vec<Replaced>,
}

/// An installed package whose version no source of this machine has.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Replaced {
    pub(super) name: String,
    pub(super) installed: String,
    pub(super) available: String,
}

impl Plan {
    /// Finds an installation of `packages` that works on this machine, and fetches package lists when they are needed.
    ///
    /// # Errors
    /// There is none; the message is the one of `apt-get`.
    pub(super) fn of(packages: &[&str]) -> Result<Self> {
        let plain = Self { wanted: packages.iter().map(|&name| name.to_owned()).collect(), replaced: Vec::new() };
        if plain.simulate().is_ok() {
            return Ok(plain);
        }
        let mut step = Step::start("refreshing the package lists");
        let refreshed = step.run(&mut super::as_root(&["apt-get".to_owned(), "update".to_owned()])?);
        step.finish();
        // One source out of order is no obstacle when the others have what is needed.
        if let Err(error) = refreshed {
            eprintln!("warning: {error:#}");
        }
        let Err(refusal) = plain.simulate() else {
            return Ok(plain);
        };
        let replacing = Self { replaced: stranded(packages)?, ..plain };
        if replacing.replaced.is_empty() || replacing.simulate().is_err() {
            bail!("apt-get cannot install {}:\n{refusal}", packages.join(" "));
        }
        Ok(replacing)
    }

    /// The words of the command that installs.
    pub(super) fn command_line(&self) -> Vec<String> {
        let mut words: Vec<_> =
            ["apt-get", "install", "-y", "--no-install-recommends", "--no-remove", "-o", "DPkg::Lock::Timeout=600"]
                .map(str::to_owned)
                .to_vec();
        if !self.replaced.is_empty() {
            words.push("--allow-downgrades".to_owned());
        }
        words.extend(self.wanted.iter().cloned());
        words.extend(self.replaced.iter().map(|package| format!("{}={}", package.name, package.available)));
        words
    }

    /// `Err` holds why `apt-get` would refuse.
    fn simulate(&self) -> Result<(), String> {
        let words = self.command_line();
        let output = Command::new(&words[0]).arg("--simulate").args(&words[1..]).output();
        match output {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// Installed packages of the same source as one of `packages`, in versions that no source of this machine has.
fn stranded(packages: &[&str]) -> Result<Vec<Replaced>> {
    let sources = source_packages(packages)?;
    let installed =
        output("dpkg-query", &["-W", "-f", "${source:Package} ${db:Status-Status} ${Package} ${Version}\n"])?;
    let mut stranded = Vec::new();
    for (name, version) in installed_of_sources(&installed, &sources) {
        let versions = available_versions(&output("apt-cache", &["madison", name])?);
        if let Some(newest) = versions.first()
            && !versions.iter().any(|available| available == version)
        {
            stranded.push(Replaced { name: name.to_owned(), installed: version.to_owned(), available: newest.clone() });
        }
    }
    Ok(stranded)
}

/// The source packages of which `packages` are built.
fn source_packages(packages: &[&str]) -> Result<Vec<String>> {
    let mut words = vec!["show", "--no-all-versions"];
    words.extend(packages);
    Ok(sources_of_records(&output("apt-cache", &words)?))
}

/// `Source:` of each record, or its `Package:` where that is the same and so left out (Debian policy §5.6.1).
fn sources_of_records(records: &str) -> Vec<String> {
    let field = |record: &str, key: &str| {
        let line = record.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": "))?;
        Some(line.split_whitespace().next()?.to_owned())
    };
    records.split("\n\n").filter_map(|record| field(record, "Source").or_else(|| field(record, "Package"))).collect()
}

/// Name and version of each installed package of one of `sources`.
fn installed_of_sources<'a>(installed: &'a str, sources: &[String]) -> Vec<(&'a str, &'a str)> {
    let of_line = |line: &'a str| match line.split(' ').collect::<Vec<_>>()[..] {
        [source, "installed", name, version] if sources.iter().any(|wanted| wanted == source) => Some((name, version)),
        _ => None,
    };
    installed.lines().filter_map(of_line).collect()
}

/// The versions in the output of `apt-cache madison`, newest first.
fn available_versions(madison: &str) -> Vec<String> {
    let is_binary = |line: &&str| line.ends_with(" Packages");
    madison.lines().filter(is_binary).filter_map(|line| Some(line.split('|').nth(1)?.trim().to_owned())).collect()
}

fn output(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program).args(arguments).output().with_context(|| format!("cannot run {program}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ordinary_machine_installs_by_name() {
        let plan = Plan { wanted: vec!["mtools".to_owned(), "gdisk".to_owned()], replaced: Vec::new() };

        let line = plan.command_line().join(" ");

        assert_eq!(
            line,
            "apt-get install -y --no-install-recommends --no-remove -o DPkg::Lock::Timeout=600 mtools gdisk"
        );
    }

    #[test]
    fn a_stranded_sibling_is_replaced_by_the_version_that_there_is() {
        let plan = Plan {
            wanted: vec!["qemu-system-arm".to_owned()],
            replaced: vec![Replaced {
                name: "qemu-utils".to_owned(),
                installed: "1:10.0.2+ds-2".to_owned(),
                available: "1:7.2+dfsg-7".to_owned(),
            }],
        };

        let line = plan.command_line().join(" ");

        assert!(line.ends_with("--allow-downgrades qemu-system-arm qemu-utils=1:7.2+dfsg-7"), "{line}");
    }

    #[test]
    fn a_package_without_a_source_field_is_its_own_source() {
        let records = "Package: qemu-system-arm\nSource: qemu (1:7.2)\nVersion: 2\n\nPackage: mtools\nVersion: 4\n";

        assert_eq!(sources_of_records(records), ["qemu", "mtools"]);
    }

    #[test]
    fn only_installed_packages_of_the_source_are_siblings() {
        let installed = "qemu installed qemu-utils 1:10\nqemu config-files qemu-block 1:9\nbash installed bash 5\n";

        assert_eq!(installed_of_sources(installed, &["qemu".to_owned()]), [("qemu-utils", "1:10")]);
    }

    #[test]
    fn reads_versions_from_binary_lines_only() {
        let madison = " qemu-utils | 1:7.2+b3 | http://mirror/debian bookworm/main amd64 Packages\n\
                       \x20     qemu |    1:7.2 | http://mirror/debian bookworm/main Sources\n";

        assert_eq!(available_versions(madison), ["1:7.2+b3"]);
    }
}
