//! The iPXE binaries that `ipxe/binaries.toml` names, fetched and verified.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use lab_model::{FileName, Sha256};
use serde::{Deserialize, Serialize};
use sha2::Digest as _;

use crate::{cache::Cache, debian::Suite, progress::Step};

/// The folder with the binaries, and their names in it.
///
/// # Errors
/// The package cannot be had, or a file in it is not the one that `ipxe/binaries.toml` describes.
pub(crate) fn binaries(cache: &Cache) -> Result<(PathBuf, Vec<String>)> {
    let Binaries { package, files } = &Binaries::read()?;
    let recipe = serde_json::to_string_pretty(&(package, files))?;
    let folder = cache.entry(&format!("ipxe/{}", package.version), &recipe, |folder| {
        let step = Step::start(format!("fetching {} {} from Debian {}", package.name, package.version, package.suite));
        let unpacked = tempfile::tempdir()?;
        Suite::open(&package.suite)?.unpack(&package.name, &package.version, unpacked.path())?;
        take(files, unpacked.path(), folder)?;
        step.finish();
        Ok(())
    })?;
    Ok((folder, files.iter().map(|file| file.name.to_string()).collect()))
}

/// Copies each file from the unpacked package to `folder`.
fn take(files: &[Binary], unpacked: &Path, folder: &Path) -> Result<()> {
    let take = |file: &Binary| -> Result<()> {
        let contents =
            fs::read(unpacked.join(&file.from)).with_context(|| format!("the package has no {}", file.from))?;
        file.verify(&contents)?;
        Ok(fs::write(folder.join(file.name.as_str()), contents)?)
    };
    // All of what differs at once: after a new version of the package that is the whole list.
    let failures: Vec<_> = files.iter().filter_map(|file| Some(format!("{:#}", take(file).err()?))).collect();
    ensure!(failures.is_empty(), "{}", failures.join("; "));
    Ok(())
}

/// `ipxe/binaries.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Binaries {
    package: Package,
    #[serde(rename = "file")]
    files: Vec<Binary>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Package {
    suite: String,
    name: String,
    version: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Binary {
    name: FileName,
    from: String,
    size: u64,
    sha256: Sha256,
}

impl Binaries {
    fn read() -> Result<Self> {
        toml::from_str(include_str!("../../ipxe/binaries.toml")).context("cannot read ipxe/binaries.toml")
    }
}

impl Binary {
    fn verify(&self, contents: &[u8]) -> Result<()> {
        let Self { name, size, sha256, .. } = self;
        let found = contents.len() as u64;
        ensure!(found == *size, "{name} has {found} bytes, ipxe/binaries.toml says {size}");
        let found = Sha256(sha2::Sha256::digest(contents).into());
        ensure!(found == *sha256, "{name} has SHA-256 {found}, ipxe/binaries.toml says {sha256}");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_names_what_the_server_embeds() {
        let binaries = Binaries::read().unwrap();

        let names: Vec<_> = binaries.files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(names, ["ipxe-arm64.efi", "ipxe-x86_64.efi", "undionly.kpxe"]);
    }

    #[test]
    fn every_file_that_is_another_is_told() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), "other").unwrap();
        let binary = |name: &str| Binary {
            name: name.parse().unwrap(),
            from: name.to_owned(),
            size: 3,
            sha256: Sha256([0; 32]),
        };

        let error = take(&[binary("a"), binary("b")], folder.path(), folder.path()).unwrap_err().to_string();

        assert!(error.starts_with("a has 5 bytes, ipxe/binaries.toml says 3; the package has no b: "), "{error}");
    }

    #[test]
    fn refuses_a_file_that_is_another_than_listed() {
        let binary = Binary {
            name: "a.efi".parse().unwrap(),
            from: "usr/lib/a.efi".to_owned(),
            size: 3,
            sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad".parse().unwrap(),
        };

        let refused = |contents: &[u8]| binary.verify(contents).map_err(|error| error.to_string());

        assert_eq!(refused(b"abc"), Ok(()));
        assert_eq!(refused(b"abcd"), Err("a.efi has 4 bytes, ipxe/binaries.toml says 3".to_owned()));
        assert_eq!(
            refused(b"abd"),
            Err(format!(
                "a.efi has SHA-256 a52d159f262b2c6ddb724a61840befc36eb30c88877a4030b65cbe86298449c9, \
                 ipxe/binaries.toml says {}",
                binary.sha256
            ))
        );
    }
}
