//! What vendors publish beside their images: lists of digests, in the forms that they write them.

use std::fmt;

use lab_model::Sha256;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use sha2::Digest as _;

/// What a file hashes to, by the algorithm that its vendor chose; written `sha256:` or `sha512:` and hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Digest {
    /// FIPS 180-4, 256 bits.
    Sha256([u8; 32]),
    /// FIPS 180-4, 512 bits.
    Sha512([u8; 64]),
}

/// The digest that a list has for a file.
///
/// Lines are GNU's (`<hex>  <name>`, `<hex> *<name>`), BSD's (`SHA256 (<name>) = <hex>`) or a digest alone; all others, such as
/// signatures around them, are passed over. In a list `is_for_it_alone`, one digest counts whatever name it has: openSUSE
/// names the build behind a name that stays.
///
/// # Errors
/// There is none, or two that differ.
pub(crate) fn find(list: &str, file: &str, is_for_it_alone: bool) -> Result<Digest, NoDigest> {
    let lines: Vec<_> = list.lines().filter_map(Line::parse).collect();
    let mut digests: Vec<_> = lines.iter().filter(|line| line.name == Some(file)).map(|line| line.digest).collect();
    if digests.is_empty() && is_for_it_alone {
        digests.extend(lines.iter().map(|line| line.digest));
    }
    // The stronger one, where both are listed.
    let strongest = digests.iter().map(Digest::bits).max().ok_or(NoDigest::NotListed)?;
    digests.retain(|digest| digest.bits() == strongest);
    digests.dedup();
    match digests[..] {
        [digest] => Ok(digest),
        _ => Err(NoDigest::Ambiguous),
    }
}

/// Why a list does not tell what a file hashes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoDigest {
    /// No line is about it.
    #[error("it does not list the file")]
    NotListed,
    /// Lines contradict each other.
    #[error("it lists the file with different digests")]
    Ambiguous,
}

struct Line<'a> {
    name: Option<&'a str>,
    digest: Digest,
}

impl<'a> Line<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let line = line.trim();
        if let Some((name, digest)) = line.rsplit_once(") = ") {
            let (algorithm, name) = name.split_once(" (")?;
            let digest = Digest::of_hex(digest.trim())?;
            return (algorithm == digest.algorithm().to_uppercase()).then_some(Self { name: Some(name), digest });
        }
        match line.split_once([' ', '\t']) {
            None => Some(Self { name: None, digest: Digest::of_hex(line)? }),
            Some((digest, name)) => {
                let name = name.trim_start();
                let name = name.strip_prefix('*').unwrap_or(name);
                let name = name.strip_prefix("./").unwrap_or(name);
                Some(Self { name: Some(name), digest: Digest::of_hex(digest)? })
            }
        }
    }
}

impl Digest {
    /// Of the algorithm's name, as digests are written.
    pub(crate) fn algorithm(&self) -> &'static str {
        match self {
            Self::Sha256(_) => "sha256",
            Self::Sha512(_) => "sha512",
        }
    }

    fn bits(&self) -> u32 {
        match self {
            Self::Sha256(_) => 256,
            Self::Sha512(_) => 512,
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Sha256(bytes) => bytes,
            Self::Sha512(bytes) => bytes,
        }
    }

    /// As `sha256sum` prints it.
    fn of_hex(text: &str) -> Option<Self> {
        match text.len() {
            64 => hex::FromHex::from_hex(text).ok().map(Self::Sha256),
            128 => hex::FromHex::from_hex(text).ok().map(Self::Sha512),
            _ => None,
        }
    }
}

/// Both digests of one file, while it is read.
#[derive(Default)]
pub(crate) struct Hashing {
    sha256: sha2::Sha256,
    sha512: Option<sha2::Sha512>,
}

impl Hashing {
    /// The SHA-256 that we remember, and what is needed to compare with `expected`.
    pub(crate) fn comparing_with(expected: Option<&Digest>) -> Self {
        let sha512 = matches!(expected, Some(Digest::Sha512(_))).then(sha2::Sha512::new);
        Self { sha256: sha2::Sha256::new(), sha512 }
    }

    /// More of the file.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        if let Some(sha512) = &mut self.sha512 {
            sha512.update(bytes);
        }
    }

    /// The SHA-256, and the digest by the algorithm asked for.
    pub(crate) fn finish(self) -> (Sha256, Digest) {
        let sha256: [u8; 32] = self.sha256.finalize().into();
        let compared = match self.sha512 {
            Some(sha512) => Digest::Sha512(sha512.finalize().into()),
            None => Digest::Sha256(sha256),
        };
        (Sha256(sha256), compared)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm(), hex::encode(self.bytes()))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl std::str::FromStr for Digest {
    type Err = NotDigest;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || NotDigest(text.to_owned());
        let (algorithm, digits) = text.split_once(':').ok_or_else(refused)?;
        Self::of_hex(digits).filter(|digest| digest.algorithm() == algorithm).ok_or_else(refused)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// The text is no digest.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no digest: expected `sha256:` and 64 hexadecimal digits, or `sha512:` and 128")]
pub(crate) struct NotDigest(String);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_ubuntu_and_debian_publish() {
        let (a, b) = ("a".repeat(64), "B".repeat(128));
        let ubuntu = format!("{a} *noble-server-cloudimg-arm64.img\n{} *other.img\n", "0".repeat(64));
        let debian = format!("{b}  ./debian-12-generic-arm64.qcow2\n");

        assert_eq!(find(&ubuntu, "noble-server-cloudimg-arm64.img", false), Ok(Digest::Sha256([0xaa; 32])));
        assert_eq!(find(&debian, "debian-12-generic-arm64.qcow2", false), Ok(Digest::Sha512([0xbb; 64])));
        assert_eq!(find(&ubuntu, "server-cloudimg-arm64.img", false), Err(NoDigest::NotListed));
    }

    #[test]
    fn reads_what_fedora_signs() {
        let text = format!(
            "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n# Fedora (44).qcow2: 528154624 bytes\n\
             SHA256 (Fedora (44).qcow2) = {}\n-----BEGIN PGP SIGNATURE-----\n\niQIzBAEBCAAdFiEE\n=abcd\n\
             -----END PGP SIGNATURE-----\n",
            "cd".repeat(32)
        );

        assert_eq!(find(&text, "Fedora (44).qcow2", false), Ok(Digest::Sha256([0xcd; 32])));
    }

    #[test]
    fn a_list_for_one_file_may_name_another_or_none() {
        let digest = "ef".repeat(64);
        let other = format!("{digest}  Leap-16.0-Minimal-VM.x86_64-Cloud-Build16.2.qcow2\n");

        for list in [digest.clone() + "\n", other] {
            assert_eq!(find(&list, "a.qcow2", true), Ok(Digest::Sha512([0xef; 64])));
            assert_eq!(find(&list, "a.qcow2", false), Err(NoDigest::NotListed));
        }
        let two = format!("{digest}\n{}\n", "0".repeat(128));
        assert_eq!(find(&two, "a.qcow2", true), Err(NoDigest::Ambiguous));
    }

    #[test]
    fn of_two_algorithms_the_stronger_counts() {
        let text = format!("SHA256 (a) = {}\nSHA512 (a) = {}\nMD5 (a) = 00\n", "1".repeat(64), "2".repeat(128));

        assert_eq!(find(&text, "a", false), Ok(Digest::Sha512([0x22; 64])));
        assert_eq!(find(&format!("SHA512 (a) = {}", "1".repeat(64)), "a", false), Err(NoDigest::NotListed));
    }

    proptest! {
        #[test]
        fn whatever_is_listed_is_found(
            name in "[A-Za-z0-9][A-Za-z0-9._+-]{0,40}", bytes: [u8; 32], noise in "[^\n]{0,80}", form in 0..4usize,
        ) {
            let digest = hex::encode(bytes);
            let line = [
                format!("{digest}  {name}"),
                format!("{digest} *{name}\r"),
                format!("SHA256 ({name}) = {digest}"),
                format!("{}  ./{name}", digest.to_uppercase()),
            ][form].clone();
            prop_assume!(Line::parse(&noise).is_none());

            prop_assert_eq!(find(&format!("{noise}\n{line}\n{noise}"), &name, false), Ok(Digest::Sha256(bytes)));
            prop_assert_eq!(format!("sha256:{digest}").parse::<Digest>().expect("a digest"), Digest::Sha256(bytes));
        }

        #[test]
        fn any_text_is_a_list(text in ".*", name in ".*", alone: bool) {
            let _ = find(&text, &name, alone);
        }
    }
}
