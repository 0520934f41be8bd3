//! From where Debian's packages come: the archive that this machine itself uses, or one that is named.

use std::{env, fs, path::Path};

use anyhow::{Context, Result};

use super::KEYRING;

/// The archives of one Debian release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mirror {
    archive: String,
    /// `None` where no source has updates for security.
    security: Option<String>,
}

impl Mirror {
    /// The mirror that `PVMLAB_DEBIAN_MIRROR` names, otherwise those that this machine uses when it runs Debian itself.
    ///
    /// # Errors
    /// There is neither; the message says what to set.
    pub(crate) fn of_machine() -> Result<Self> {
        if let Some(archive) = env::var(VARIABLE).ok().filter(|named| !named.is_empty()) {
            return Ok(Self { archive, security: None });
        }
        let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
        let mut sources = read(Path::new("/etc/apt/sources.list"));
        if let Ok(folder) = fs::read_dir("/etc/apt/sources.list.d") {
            let mut files: Vec<_> = folder.filter_map(|file| Some(file.ok()?.path())).collect();
            files.sort();
            sources.extend(files.iter().flat_map(|file| read(file)));
        }
        Self::among(&release, &sources).with_context(|| {
            format!(
                "no source in /etc/apt is an archive of this machine's Debian release, or it runs another distribution: \
                 set {VARIABLE} to the address of a Debian mirror, as it stands behind `deb` in sources.list(5)"
            )
        })
    }

    /// `release` is the text of os-release(5).
    fn among(release: &str, sources: &[Source]) -> Option<Self> {
        let value = |key: &str| {
            release.lines().find_map(|line| Some(line.strip_prefix(key)?.strip_prefix('=')?.trim_matches('"')))
        };
        if value("ID") != Some("debian") {
            return None;
        }
        // Sources may follow a class of releases instead of one; testing and unstable have no codename of their own.
        let names = value("VERSION_CODENAME").into_iter().chain(["stable", "testing", "unstable", "sid"]);
        let serving = |ending: &str| {
            let suites = names.clone().map(|name| format!("{name}{ending}"));
            let mut found = suites.filter_map(|suite| sources.iter().find(|source| source.suite == suite));
            found.next().map(|source| source.uri.clone())
        };
        Some(Self { archive: serving("")?, security: serving("-security") })
    }

    /// The line of sources.list(5) for `suite` alone, trusted by Debian's own keys whatever the machine trusts.
    pub(super) fn source(&self, suite: &str) -> String {
        format!("deb [signed-by={KEYRING}] {} {suite} main\n", self.archive)
    }

    /// Where a file of the component `main` is.
    pub(super) fn pool(&self, path: &str) -> String {
        format!("{}/pool/main/{path}", self.archive.trim_end_matches('/'))
    }

    /// The lines of sources.list(5) for `suite` with its updates.
    pub(crate) fn sources_list(&self, suite: &str) -> String {
        let Self { archive, security } = self;
        let mut lines = format!("deb {archive} {suite} main\ndeb {archive} {suite}-updates main\n");
        if let Some(security) = security {
            lines.push_str(&format!("deb {security} {suite}-security main\n"));
        }
        lines
    }
}

const VARIABLE: &str = "PVMLAB_DEBIAN_MIRROR";

/// One suite of one archive.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Source {
    uri: String,
    suite: String,
}

/// The sources in a file of either format (sources.list(5)); none in a file that is neither, or cannot be read.
fn read(file: &Path) -> Vec<Source> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let mut sources = match file.extension().and_then(|extension| extension.to_str()) {
        Some("list") => text.lines().filter_map(one_line).collect(),
        Some("sources") => stanzas(&text),
        _ => Vec::new(),
    };
    // A disc that has to be put in is no source for a program.
    sources.retain(|source| !source.uri.starts_with("cdrom:"));
    sources
}

/// `deb [options] uri suite components…`
fn one_line(line: &str) -> Option<Source> {
    let line = line.split('#').next()?;
    let rest = line.trim_start().strip_prefix("deb")?.strip_prefix([' ', '\t'])?.trim_start();
    let rest = match rest.strip_prefix('[') {
        Some(options) => options.split_once(']')?.1,
        None => rest,
    };
    let mut words = rest.split_whitespace();
    Some(Source { uri: words.next()?.to_owned(), suite: words.next()?.to_owned() })
}

/// The deb822 style: stanzas with empty lines between.
fn stanzas(text: &str) -> Vec<Source> {
    let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    lines.split(|line| line.trim().is_empty()).flat_map(stanza).collect()
}

/// A line that starts with a blank continues the one before; in names of fields case does not count.
fn stanza(lines: &[&str]) -> Vec<Source> {
    let field = |wanted: &str| -> Vec<&str> {
        let mut lines = lines.iter();
        let first = lines.find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case(wanted).then_some(value)
        });
        let more = lines.take_while(|line| line.starts_with([' ', '\t'])).copied();
        let more = more.take(if first.is_some() { usize::MAX } else { 0 });
        first.into_iter().chain(more).flat_map(str::split_whitespace).collect()
    };
    let disabled = field("Enabled").iter().any(|word| ["no", "false", "without", "off", "disable"].contains(word));
    if !field("Types").contains(&"deb") || disabled {
        return Vec::new();
    }
    let suites = field("Suites");
    let source = |uri: &str, suite: &str| Source { uri: uri.to_owned(), suite: suite.to_owned() };
    field("URIs").into_iter().flat_map(|uri| suites.iter().map(move |suite| source(uri, suite))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEBIAN: &str = "ID=debian\nVERSION_CODENAME=trixie\n";

    #[test]
    fn follows_a_debian_machine_to_its_mirror_of_another_release() {
        let sources = stanzas(
            "# the archive\nTypes: deb\nURIs: http://mirror.example/debian\nSuites: trixie\n# and\n trixie-security\n\
             Components: main",
        );

        let mirror = Mirror::among(DEBIAN, &sources).unwrap();

        assert_eq!(
            mirror.sources_list("bookworm"),
            "deb http://mirror.example/debian bookworm main\ndeb http://mirror.example/debian bookworm-updates main\n\
             deb http://mirror.example/debian bookworm-security main\n"
        );
    }

    #[test]
    fn a_machine_that_follows_stable_has_a_mirror_too() {
        let mirror = Mirror::among(DEBIAN, &[source("http://mirror.example/debian", "stable")]).unwrap();

        assert_eq!(mirror, Mirror { archive: "http://mirror.example/debian".to_owned(), security: None });
        assert_eq!(mirror.sources_list("bookworm").lines().count(), 2);
    }

    #[test]
    fn reads_a_line_with_options() {
        let found = one_line("deb [arch=amd64 signed-by=/k.gpg] https://mirror.example/debian trixie main # contrib");

        assert_eq!(found, Some(source("https://mirror.example/debian", "trixie")));
        for other in
            ["# deb http://mirror.example/debian trixie main", "deb-src http://mirror.example/debian trixie main"]
        {
            assert_eq!(one_line(other), None);
        }
    }

    #[test]
    fn reads_both_formats_and_no_discs() {
        let folder = tempfile::tempdir().unwrap();
        let found = |name: &str, text: &str| {
            let file = folder.path().join(name);
            fs::write(&file, text).unwrap();
            read(&file)
        };

        let wanted = [source("http://mirror.example/debian", "trixie")];
        let disc = "deb cdrom:[Debian] trixie main\n";
        assert_eq!(found("a.list", &format!("{disc}deb\thttp://mirror.example/debian trixie main\n")), wanted);
        let stanza = "types: deb deb-src\nuris: http://mirror.example/debian\nsuites: trixie\n";
        assert_eq!(found("a.sources", &format!("Types: deb-src\n \n{stanza}")), wanted);
        assert_eq!(found("a.sources.save", stanza), []);
    }

    #[test]
    fn a_machine_of_another_distribution_has_no_debian_mirror() {
        let sources = [source("http://mirror.example/ubuntu", "noble")];

        assert_eq!(Mirror::among("ID=ubuntu\nVERSION_CODENAME=noble\n", &sources), None);
    }

    #[test]
    fn a_disabled_stanza_counts_for_nothing() {
        let text = "Types: deb\nURIs: http://mirror.example/debian\nSuites: trixie\nEnabled: no\n";

        assert_eq!(stanzas(text), []);
    }

    fn source(uri: &str, suite: &str) -> Source {
        Source { uri: uri.to_owned(), suite: suite.to_owned() }
    }
}
