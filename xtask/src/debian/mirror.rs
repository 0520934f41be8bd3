//! From where the packages of an image come.

use std::{fs, path::Path};

use super::KEYRING;

/// The archives of one Debian release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mirror {
    archive: String,
    security: String,
}

impl Mirror {
    /// The mirrors that this machine uses when it runs Debian itself, otherwise Debian's public ones.
    pub(crate) fn of_machine() -> Self {
        let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
        let mut sources = read(Path::new("/etc/apt/sources.list"));
        if let Ok(folder) = fs::read_dir("/etc/apt/sources.list.d") {
            let mut files: Vec<_> = folder.filter_map(|file| Some(file.ok()?.path())).collect();
            files.sort();
            sources.extend(files.iter().flat_map(|file| read(file)));
        }
        Self::among(&release, &sources)
    }

    /// `release` is the text of os-release(5).
    fn among(release: &str, sources: &[Source]) -> Self {
        let value = |key: &str| {
            release.lines().find_map(|line| Some(line.strip_prefix(key)?.strip_prefix('=')?.trim_matches('"')))
        };
        let codename = value("VERSION_CODENAME").filter(|_| value("ID") == Some("debian"));
        let serving = |suite: &str| {
            let suite = format!("{}{suite}", codename?);
            sources.iter().find(|source| source.suite == suite).map(|source| source.uri.clone())
        };
        Self {
            archive: serving("").unwrap_or_else(|| "http://deb.debian.org/debian".to_owned()),
            security: serving("-security").unwrap_or_else(|| "http://deb.debian.org/debian-security".to_owned()),
        }
    }

    /// The line of sources.list(5) for `suite` alone, trusted by Debian's own keys whatever the machine trusts.
    pub(super) fn source(&self, suite: &str) -> String {
        format!("deb [signed-by={KEYRING}] {} {suite} main\n", self.archive)
    }

    /// The lines of sources.list(5) for `suite` with its updates.
    pub(crate) fn sources_list(&self, suite: &str) -> String {
        let Self { archive, security } = self;
        format!(
            "deb {archive} {suite} main\ndeb {archive} {suite}-updates main\ndeb {security} {suite}-security main\n"
        )
    }
}

/// One suite of one archive.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Source {
    uri: String,
    suite: String,
}

fn read(file: &Path) -> Vec<Source> {
    let text = fs::read_to_string(file).unwrap_or_default();
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("list") => text.lines().filter_map(one_line).collect(),
        Some("sources") => text.split("\n\n").flat_map(stanza).collect(),
        _ => Vec::new(),
    }
}

/// `deb [options] uri suite components…`
fn one_line(line: &str) -> Option<Source> {
    let rest = line.trim().strip_prefix("deb ")?.trim_start();
    let rest = match rest.strip_prefix('[') {
        Some(options) => options.split_once(']')?.1,
        None => rest,
    };
    let mut words = rest.split_whitespace();
    Some(Source { uri: words.next()?.to_owned(), suite: words.next()?.to_owned() })
}

/// The deb822 style; a line that starts with a blank continues the one before.
fn stanza(text: &str) -> Vec<Source> {
    let field = |key: &str| -> Vec<&str> {
        let mut lines = text.lines().filter(|line| !line.starts_with('#'));
        let first = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).unwrap_or_default();
        let more = lines.take_while(|line| line.starts_with([' ', '\t']));
        std::iter::once(first).chain(more).flat_map(str::split_whitespace).collect()
    };
    if !field("Types").contains(&"deb") || field("Enabled").contains(&"no") {
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
        let sources = stanza(
            "# the archive\nTypes: deb\nURIs: http://mirror.example/debian\nSuites: trixie\n trixie-security\nComponents: main",
        );

        let mirror = Mirror::among(DEBIAN, &sources);

        assert_eq!(
            mirror.sources_list("bookworm").lines().next(),
            Some("deb http://mirror.example/debian bookworm main")
        );
        assert_eq!(mirror.security, "http://mirror.example/debian");
    }

    #[test]
    fn reads_a_line_with_options() {
        let source = one_line("deb [arch=amd64 signed-by=/k.gpg] https://mirror.example/debian trixie main contrib");

        let expected = Source { uri: "https://mirror.example/debian".to_owned(), suite: "trixie".to_owned() };
        assert_eq!(source, Some(expected));
        assert_eq!(one_line("# deb http://mirror.example/debian trixie main"), None);
    }

    #[test]
    fn a_machine_of_another_distribution_gets_the_public_mirrors() {
        let sources = [Source { uri: "http://mirror.example/ubuntu".to_owned(), suite: "noble".to_owned() }];

        let mirror = Mirror::among("ID=ubuntu\nVERSION_CODENAME=noble\n", &sources);

        assert_eq!(mirror.archive, "http://deb.debian.org/debian");
        assert_eq!(mirror.security, "http://deb.debian.org/debian-security");
    }

    #[test]
    fn a_disabled_stanza_counts_for_nothing() {
        let text = "Types: deb\nURIs: http://mirror.example/debian\nSuites: trixie\nEnabled: no\n";

        assert_eq!(stanza(text), []);
    }
}
