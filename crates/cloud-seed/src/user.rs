//! The name of the user who may log in.

use std::fmt;

/// A login name that every distribution takes: 1 to 32 bytes of `[a-z0-9_-]`, starting with a letter or `_`; not `root`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserName(String);

impl UserName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for UserName {
    fn default() -> Self {
        Self("lab".to_owned())
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl std::str::FromStr for UserName {
    type Err = NotUserName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain =
            text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte));
        let first = text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase() || byte == b'_');
        if plain && first && text.len() <= 32 && text != "root" {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotUserName(text.to_owned()))
        }
    }
}

impl<'de> serde::Deserialize<'de> for UserName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The text is no login name that is used here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a user name: expected 1 to 32 of `a-z`, `0-9`, `_` and `-`, starting with a letter or `_`, not `root`"
)]
pub struct NotUserName(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_name_is_one_that_every_distribution_takes() {
        for good in ["lab", "ubuntu", "_svc", "a-1"] {
            assert!(good.parse::<UserName>().is_ok(), "{good}");
        }
        for bad in ["", "root", "Lab", "1a", "-a", "a b", "a:b", "a\n", &"x".repeat(33)] {
            assert!(bad.parse::<UserName>().is_err(), "{bad}");
        }
    }
}
