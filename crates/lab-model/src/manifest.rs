//! An operating system image as the server offers it: which files it has, how long they are, and what they hash to.
//!
//! An image is a folder `images/<name>/<arch>/` with a `manifest.json` beside its files. The server serves what the
//! manifest names and nothing else; the installer verifies what it fetched against it. Nothing here knows which
//! distribution an image holds.
//!
//! An image with a disk can be installed. One without is a kernel and what belongs to it, for profiles to start.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Arch, Chunk, FetchedFile, ImageName, InvalidChunks, validate_chunks};

/// The name under which a manifest lies in its image's folder.
pub const FILE_NAME: &str = "manifest.json";

/// The files of one image for one architecture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ImageManifest {
    /// The image's name, as definitions write it in `distro`.
    pub name: ImageName,
    /// What its kernel runs on.
    pub arch: Arch,
    /// The kernel that starts the installer: an EFI stub or a bzImage, uncompressed as iPXE needs it.
    pub kernel: ImageFile,
    /// The initial RAM file system that has the modules for this kernel's network and disks.
    pub initrd: ImageFile,
    /// The whole disk, as it is to be written; absent where a profile starts the kernel for something else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<DiskImage>,
    /// What the kernel fetches besides, such as a second stage or an ISO image.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<ImageFile>,
    /// Words that the kernel's command line needs on every boot of this image, such as its consoles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kernel_arguments: Vec<String>,
    /// The kernel command line of the installed system, for `kexec` after an installation; absent where unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installed_arguments: Option<String>,
}

/// One file beside the manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ImageFile {
    /// A plain file name without a folder.
    pub file: FileName,
    /// Length in bytes.
    pub size: u64,
    /// Of the file as it lies there.
    pub sha256: Sha256,
}

/// One of all the files that an image consists of, whatever it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImagePart<'a> {
    /// What a machine needs it for.
    pub kind: FetchedFile,
    /// Its name in the image's folder.
    pub file: &'a FileName,
    /// Length in bytes.
    pub size: u64,
    /// Of the file as it lies there.
    pub sha256: Sha256,
}

/// A GPT disk image, compressed as one stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DiskImage {
    /// A plain file name without a folder.
    pub file: FileName,
    /// Length of the compressed file in bytes.
    pub size: u64,
    /// Of the compressed file.
    pub sha256: Sha256,
    /// How the file is compressed.
    pub compression: Compression,
    /// Length of the disk in bytes, a multiple of 512.
    pub raw_size: u64,
    /// Of the disk, uncompressed: for whoever wants to compare what is on one. The installer goes by `sha256`, which vouches for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw_sha256: Option<Sha256>,
    /// How much of the disk is in each chunk, in bytes.
    pub chunk_size: u32,
    /// The compressed file in frames, in the order of the disk.
    pub chunks: Vec<Chunk>,
}

/// How a disk image is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compression {
    /// RFC 8878, a window of at most 8 MiB.
    Zstd,
}

/// A SHA-256 digest, written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256(pub [u8; 32]);

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sha256({self})")
    }
}

impl std::str::FromStr for Sha256 {
    type Err = NotSha256;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut digest = [0; 32];
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(NotSha256);
        }
        for (byte, at) in digest.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| NotSha256)?;
        }
        Ok(Self(digest))
    }
}

/// The text is no SHA-256 digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a SHA-256 digest of 64 hexadecimal digits")]
pub struct NotSha256;

text_serde!(Sha256);

/// The name of a file in an image's folder: no separator, no leading dot, 1 to 255 bytes of `[A-Za-z0-9._+-]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileName(String);

impl FileName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for FileName {
    type Err = NotFileName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._+-".contains(&byte));
        if plain && (1..=255).contains(&text.len()) && !text.starts_with('.') {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotFileName(text.to_owned()))
        }
    }
}

/// The text is no plain file name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a plain file name: expected letters, digits and `._+-`, not starting with a dot")]
pub struct NotFileName(String);

text_serde!(FileName);

/// A manifest that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidManifest {
    /// It is not JSON of the right shape; the message names line and key.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// The disk cannot be written in whole sectors.
    #[error("disk.raw-size is {0}: expected a multiple of 512 above zero")]
    RawSize(u64),
    /// The chunks are not those of the disk.
    #[error("disk: {0}")]
    Chunks(#[from] InvalidChunks),
    /// A key that speaks of the installed system, where nothing is installed.
    #[error("{0}: an image without `disk` is not installed, so this has no effect: remove it")]
    NeedsDisk(&'static str),
    /// Two files cannot lie in one folder under one name.
    #[error("two files are called `{0}`: expected a name of its own for each")]
    NameTwice(FileName),
    /// The manifest itself lies there under this name.
    #[error("`{FILE_NAME}` is the manifest's own name: expected another for a file of the image")]
    NameOfManifest,
}

impl ImageManifest {
    /// Reads a manifest from the text of its file.
    ///
    /// # Errors
    /// The text is not JSON, misses a key, has one too many, or describes a disk that cannot be.
    pub fn from_json(text: &str) -> Result<Self, InvalidManifest> {
        let manifest: Self = serde_json::from_str(text)?;
        manifest.check()?;
        Ok(manifest)
    }

    /// Checks what its shape alone does not say.
    ///
    /// # Errors
    /// It describes a disk that cannot be, names a file twice, or says of an installed system what nothing installs.
    pub fn check(&self) -> Result<(), InvalidManifest> {
        match &self.disk {
            Some(disk) => disk.check()?,
            None => self.check_diskless()?,
        }
        let mut names = BTreeSet::new();
        for ImagePart { file, .. } in self.parts() {
            if file.as_str() == FILE_NAME {
                return Err(InvalidManifest::NameOfManifest);
            }
            if !names.insert(file) {
                return Err(InvalidManifest::NameTwice(file.clone()));
            }
        }
        Ok(())
    }

    /// Every file, kernel and initial RAM file system first.
    pub fn parts(&self) -> impl Iterator<Item = ImagePart<'_>> {
        let boot = [self.kernel.part(FetchedFile::Kernel), self.initrd.part(FetchedFile::Initrd)];
        let disk = self.disk.as_ref().map(DiskImage::part);
        boot.into_iter().chain(disk).chain(self.files.iter().map(|file| file.part(FetchedFile::ImageFile)))
    }

    fn check_diskless(&self) -> Result<(), InvalidManifest> {
        if !self.kernel_arguments.is_empty() {
            return Err(InvalidManifest::NeedsDisk("kernel-arguments"));
        }
        if self.installed_arguments.is_some() {
            return Err(InvalidManifest::NeedsDisk("installed-arguments"));
        }
        Ok(())
    }
}

impl ImageFile {
    fn part(&self, kind: FetchedFile) -> ImagePart<'_> {
        ImagePart { kind, file: &self.file, size: self.size, sha256: self.sha256 }
    }
}

impl DiskImage {
    /// The disk as a file.
    pub fn part(&self) -> ImagePart<'_> {
        ImagePart { kind: FetchedFile::Disk, file: &self.file, size: self.size, sha256: self.sha256 }
    }

    fn check(&self) -> Result<(), InvalidManifest> {
        let Self { raw_size, chunk_size, chunks, size, .. } = self;
        if *raw_size == 0 || raw_size % 512 != 0 {
            return Err(InvalidManifest::RawSize(*raw_size));
        }
        Ok(validate_chunks(chunks, *chunk_size, *size, *raw_size)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_a_file_name_that_leaves_its_folder() {
        for name in ["../etc/passwd", "/etc/passwd", "a/b", ".hidden", "", "a\\b", "nul\0"] {
            assert!(name.parse::<FileName>().is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_digest_survives_text() {
        let digest = Sha256(std::array::from_fn(|at| at as u8 * 7));
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert_eq!("é".repeat(32).parse::<Sha256>(), Err(NotSha256));
    }

    #[test]
    fn the_documented_examples_are_manifests_with_every_key() {
        let installed = include_str!("../../../docs/examples/images/manifest.json");
        let started = include_str!("../../../docs/examples/images/without-disk.json");

        let [installed, started] = [installed, started].map(|text| {
            let manifest = ImageManifest::from_json(text).expect("an example");
            // A key with a default that the example leaves out would come back, one that nothing reads would not.
            let written: serde_json::Value = serde_json::from_str(text).expect("JSON");
            assert_eq!(serde_json::to_value(&manifest).expect("a manifest has a JSON form"), written);
            manifest
        });

        assert!(installed.disk.is_some_and(|disk| disk.raw_sha256.is_some()));
        assert!(installed.installed_arguments.is_some() && !installed.kernel_arguments.is_empty());
        let parts: Vec<_> = started.parts().map(|part| (part.kind, part.file.as_str())).collect();
        assert_eq!(
            parts,
            [
                (FetchedFile::Kernel, "vmlinuz-virt"),
                (FetchedFile::Initrd, "initramfs-virt"),
                (FetchedFile::ImageFile, "modloop-virt"),
            ]
        );
    }

    #[test]
    fn what_is_wrong_is_named_with_what_was_expected() {
        let disk = format!(
            r#""disk":{{"file":"d","size":1,"sha256":"{DIGEST}","compression":"zstd","raw-size":700,
                      "chunk-size":4096,"chunks":[{{"size":1,"sha256":"{DIGEST}"}}]}}"#
        );
        let wrong = [
            disk,
            format!(r#""chunk-size":4096,"chunks":[{{"size":1,"sha256":"{DIGEST}"}}]"#),
            r#""kernel-arguments":["console=ttyS0"]"#.to_owned(),
            r#""installed-arguments":"root=/dev/vda1""#.to_owned(),
            format!(r#""files":[{}]"#, file("linux")),
            format!(r#""files":[{},{}]"#, file("modloop"), file("modloop")),
            format!(r#""files":[{}]"#, file("manifest.json")),
            format!(r#""files":[{}]"#, file("../modloop")),
            format!(r#""files":[{}]"#, file("iso/modloop")),
            r#""files":[{"file":"modloop"}]"#.to_owned(),
        ];

        let said = wrong.map(|more| ImageManifest::from_json(&manifest(&more)).expect_err("wrong").to_string());

        insta::assert_snapshot!(said.join("\n"));
    }

    const DIGEST: &str = "0000000000000000000000000000000000000000000000000000000000000000";

    fn file(name: &str) -> String {
        format!(r#"{{"file":"{name}","size":1,"sha256":"{DIGEST}"}}"#)
    }

    /// A manifest that is good without `more`.
    fn manifest(more: &str) -> String {
        let (kernel, initrd) = (file("linux"), file("initrd.gz"));
        format!(r#"{{"name":"netboot","arch":"aarch64","kernel":{kernel},"initrd":{initrd},{more}}}"#)
    }
}
