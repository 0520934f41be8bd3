//! Where a file is to be had: an address that this program can fetch from.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

/// An `https:`, `http:` or `file:` URL that names a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Location(String);

impl Location {
    /// The whole of it.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a text begins as a location does.
    pub(super) fn is_meant(text: &str) -> bool {
        SCHEMES.iter().any(|scheme| text.starts_with(scheme))
    }

    /// Whether nobody on the way can change what comes from there.
    pub(crate) fn is_guarded(&self) -> bool {
        !self.0.starts_with("http:")
    }

    /// The path of a file of this computer; `None` for one elsewhere.
    pub(crate) fn path(&self) -> Option<&str> {
        self.0.strip_prefix("file://")
    }

    /// The file's own name, without a folder or query.
    pub(crate) fn file_name(&self) -> &str {
        let path = self.0.split(['?', '#']).next().unwrap_or_default();
        path.rsplit('/').next().unwrap_or_default()
    }

    /// What `other` names: a URL, or a file beside this one.
    ///
    /// # Errors
    /// It is neither.
    pub(crate) fn join(&self, other: &str) -> Result<Self, NotLocation> {
        if Self::is_meant(other) || other.contains("://") {
            return other.parse();
        }
        let path = self.0.split(['?', '#']).next().unwrap_or_default();
        let (folder, _) = path.rsplit_once('/').unwrap_or((path, ""));
        format!("{folder}/{other}").parse()
    }

    /// The same with the scheme, host and folders of `from` replaced by `to`; `None` where it does not begin so.
    pub(super) fn moved(&self, from: &str, to: &str) -> Option<Result<Self, NotLocation>> {
        self.0.strip_prefix(from).map(|rest| format!("{to}{rest}").parse())
    }
}

const SCHEMES: [&str; 3] = ["https://", "http://", "file://"];

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for Location {
    type Err = NotLocation;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || NotLocation(text.to_owned());
        let rest = SCHEMES.iter().find_map(|scheme| text.strip_prefix(scheme)).ok_or_else(refused)?;
        let (host, path) = rest.split_once('/').ok_or_else(refused)?;
        let has_place = if text.starts_with("file:") { host.is_empty() } else { !host.is_empty() };
        let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() || !byte.is_ascii());
        let location = Self(text.to_owned());
        if has_place && is_plain && !path.is_empty() && !matches!(location.file_name(), "" | "." | "..") {
            Ok(location)
        } else {
            Err(refused())
        }
    }
}

impl<'de> Deserialize<'de> for Location {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// The text is no address that a file can be fetched from.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no file's URL: expected https://, http:// or file:/// and a path that ends with a file's name")]
pub(crate) struct NotLocation(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_names_a_file() {
        for good in ["https://example.org/a.img", "http://127.0.0.1:80/x/a.img?sig=1", "file:///srv/a b.img".trim()] {
            assert_eq!(good.parse::<Location>().is_ok(), !good.contains(' '), "{good}");
        }
        for bad in [
            "",
            "a.img",
            "/srv/a.img",
            "ftp://example.org/a",
            "https:///a",
            "https://example.org",
            "https://h/",
            "file://host/a",
            "https://h/a/..",
            "https://h/a\nb",
        ] {
            assert!(bad.parse::<Location>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_checksum_list_is_beside_the_file_or_anywhere() {
        let image: Location = "https://example.org/noble/current/a.img?x=/y".parse().expect("a location");

        let beside = |other: &str| image.join(other).map(|location| location.to_string());

        assert_eq!(image.file_name(), "a.img");
        assert_eq!(beside("SHA256SUMS"), Ok("https://example.org/noble/current/SHA256SUMS".to_owned()));
        assert_eq!(beside("http://h/SUMS"), Ok("http://h/SUMS".to_owned()));
        assert!(beside("ftp://h/SUMS").is_err());
    }
}
