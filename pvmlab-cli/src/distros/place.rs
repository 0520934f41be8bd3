//! Where one file of an image is to be had, as a person writes it: `linux`, `https://…/linux`, `https://…/linux#sha256:…`.

use std::path::PathBuf;

use super::checksums::{Digest, NotDigest};
use super::location::{Location, NotLocation};

/// A file of this computer, or one elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// By its path.
    Here(PathBuf),
    /// By its URL.
    Elsewhere {
        url: Location,
        /// What it has to be.
        digest: Option<Digest>,
    },
}

impl Place {
    /// The file's own name, without a folder.
    pub(crate) fn file_name(&self) -> String {
        match self {
            Self::Here(path) => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            Self::Elsewhere { url, .. } => url.file_name().to_owned(),
        }
    }
}

impl std::str::FromStr for Place {
    type Err = NotPlace;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !text.contains("://") {
            return if text.is_empty() { Err(NotPlace::Empty) } else { Ok(Self::Here(text.into())) };
        }
        // What is behind the sign is never asked of a server, so it is free for what the file has to be.
        let (url, digest) = text.split_once('#').map_or((text, None), |(url, digest)| (url, Some(digest)));
        Ok(Self::Elsewhere { url: url.parse()?, digest: digest.map(str::parse).transpose()? })
    }
}

/// The text names no file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotPlace {
    /// There is none.
    #[error("expected a file or a URL")]
    Empty,
    /// A URL of another form.
    #[error(transparent)]
    Location(#[from] NotLocation),
    /// What stands behind it is no digest.
    #[error(transparent)]
    Digest(#[from] NotDigest),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_here_or_elsewhere_with_what_it_has_to_be() {
        let digest = format!("sha256:{}", "0".repeat(64));
        let place = |text: &str| text.parse::<Place>().map_err(|error| error.to_string());

        assert_eq!(place("a#b/linux"), Ok(Place::Here("a#b/linux".into())));
        let url: Location = "https://example.org/linux?x=1".parse().expect("a location");
        assert_eq!(
            place(&format!("https://example.org/linux?x=1#{digest}")),
            Ok(Place::Elsewhere { url: url.clone(), digest: digest.parse().ok() })
        );
        assert_eq!(place("https://example.org/linux?x=1"), Ok(Place::Elsewhere { url, digest: None }));
        for wrong in ["", "ftp://example.org/linux", "https://example.org/linux#md5:00", "https://example.org/"] {
            assert!(place(wrong).is_err(), "{wrong}");
        }
    }
}
