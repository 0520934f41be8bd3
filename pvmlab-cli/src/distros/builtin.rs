//! The distributions that this program knows by itself: `builtin.yaml`, in the form of a person's own `distros.yaml`.

use super::catalogue::{self, Entry};

/// What `pvmlab distro pull` fetches where nobody says what.
pub(crate) const DEFAULT: &str = "ubuntu-24.04";

/// Every distribution that is built in.
pub(super) fn entries() -> Vec<Entry> {
    catalogue::parse(TEXT).expect("a test reads the built-in catalogue")
}

const TEXT: &str = include_str!("builtin.yaml");

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use lab_model::Arch;

    use super::*;
    use crate::distros::catalogue::Verification;

    #[test]
    fn every_distribution_is_there_for_both_architectures_and_is_verified() {
        let entries = entries();

        for entry in &entries {
            for arch in Arch::ALL {
                let source = entry.source(arch).unwrap_or_else(|| panic!("{} for {arch}", entry.name));
                assert!(source.url.as_str().starts_with("https://"), "{}", source.url);
                assert!(matches!(source.verification, Verification::List(_)), "{} for {arch}", entry.name);
                let own = [arch.as_str(), if arch == Arch::Aarch64 { "arm64" } else { "amd64" }];
                assert!(own.iter().any(|arch| source.url.as_str().contains(arch)), "{}", source.url);
            }
        }
        assert!(entries.iter().any(|entry| entry.name.as_str() == DEFAULT));
        let names: BTreeSet<_> = entries.iter().map(|entry| &entry.name).collect();
        assert_eq!(names.len(), entries.len(), "each is there once");
    }
}
