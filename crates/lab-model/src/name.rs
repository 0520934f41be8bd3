//! The names of machines, images and profiles.

use std::fmt;

/// A machine's name: one host name label of RFC 1123 §2.1, lower case, 1 to 63 bytes of `[a-z0-9-]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MachineName(String);

/// An image's name, as `distro` in a definition has it: 1 to 63 bytes of `[a-z0-9._-]`, starting with a letter or digit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageName(String);

/// A profile's name, as `profile` in a definition has it: 1 to 63 bytes of `[a-z0-9._-]`, starting with a letter or digit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProfileName(String);

impl MachineName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ImageName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ProfileName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for MachineName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if plain && (1..=63).contains(&text.len()) && !text.starts_with('-') && !text.ends_with('-') {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidName::Machine(text.to_owned()))
        }
    }
}

impl std::str::FromStr for ImageName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if is_folder(text) { Ok(Self(text.to_owned())) } else { Err(InvalidName::Image(text.to_owned())) }
    }
}

impl std::str::FromStr for ProfileName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if is_folder(text) { Ok(Self(text.to_owned())) } else { Err(InvalidName::Profile(text.to_owned())) }
    }
}

/// Whether this can name a folder that lies where it should.
fn is_folder(text: &str) -> bool {
    let plain = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte));
    plain && text.len() <= 63 && text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric())
}

impl fmt::Display for MachineName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Display for ProfileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The text is no name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// Not a host name label.
    #[error("`{0}` is not a machine name: expected 1 to 63 of `a-z`, `0-9` and `-`, not starting or ending with `-`")]
    Machine(String),
    /// Not an image's name.
    #[error(
        "`{0}` is not an image name: expected 1 to 63 of `a-z`, `0-9`, `.`, `_` and `-`, starting with a letter or digit"
    )]
    Image(String),
    /// Not a profile's name.
    #[error(
        "`{0}` is not a profile name: expected 1 to 63 of `a-z`, `0-9`, `.`, `_` and `-`, starting with a letter or digit"
    )]
    Profile(String),
}

text_serde!(MachineName);
text_serde!(ImageName);
text_serde!(ProfileName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_name_is_a_host_name_label() {
        for good in ["a", "web-1", "0", &"x".repeat(63)] {
            assert!(good.parse::<MachineName>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "Web", "a.b", "a_b", "../a", &"x".repeat(64)] {
            assert!(bad.parse::<MachineName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_image_name_cannot_leave_its_folder() {
        assert!("ubuntu-24.04".parse::<ImageName>().is_ok());
        for bad in ["", ".", "..", "../a", "a/b", "A"] {
            assert!(bad.parse::<ImageName>().is_err(), "{bad}");
        }
    }
}
