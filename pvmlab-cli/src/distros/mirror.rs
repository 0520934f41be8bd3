//! Nearer places that have what vendors publish.

use super::location::Location;
use crate::error::{Failure, Kind, Result};

/// Which beginnings of URLs are replaced by which; the first that fits counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mirrors(Vec<(String, String)>);

impl Mirrors {
    /// What the environment says in `PVMLAB_MIRROR`: `FROM=TO`, and more of them after spaces.
    ///
    /// # Errors
    /// It says something else.
    pub(crate) fn from_environment() -> Result<Self> {
        let text = std::env::var(VARIABLE).unwrap_or_default();
        Self::parse(&text).map_err(|word| {
            Failure::new(
                Kind::Usage,
                format!("{VARIABLE} says `{word}`: expected the beginning of a URL, `=`, another"),
            )
            .hinted(format!("for instance {VARIABLE}=https://cloud-images.ubuntu.com/=http://mirror.lan/ubuntu/"))
        })
    }

    fn parse(text: &str) -> Result<Self, String> {
        let rules = text.split_whitespace().map(|word| {
            let (from, to) = word.split_once('=').ok_or_else(|| word.to_owned())?;
            if Location::is_meant(from) && Location::is_meant(to) {
                Ok((from.to_owned(), to.to_owned()))
            } else {
                Err(word.to_owned())
            }
        });
        rules.collect::<Result<_, _>>().map(Self)
    }

    /// Where the file is fetched from.
    pub(crate) fn nearest(&self, location: &Location) -> Location {
        let moved = self.0.iter().find_map(|(from, to)| location.moved(from, to)?.ok());
        moved.unwrap_or_else(|| location.clone())
    }
}

/// The environment variable.
const VARIABLE: &str = "PVMLAB_MIRROR";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_beginning_that_fits_is_replaced() {
        let mirrors = Mirrors::parse("https://a.org/x/=file:///srv/ https://a.org/=http://m:80/a/").expect("rules");
        let nearest = |url: &str| mirrors.nearest(&url.parse().expect("a location")).to_string();

        assert_eq!(nearest("https://a.org/x/i.img"), "file:///srv/i.img");
        assert_eq!(nearest("https://a.org/y/i.img"), "http://m:80/a/y/i.img");
        assert_eq!(nearest("https://b.org/i.img"), "https://b.org/i.img");
    }

    #[test]
    fn nonsense_is_named() {
        assert_eq!(Mirrors::parse("  "), Ok(Mirrors::default()));
        assert_eq!(Mirrors::parse("http://m/"), Err("http://m/".to_owned()));
        assert_eq!(Mirrors::parse("a=b"), Err("a=b".to_owned()));
    }
}
