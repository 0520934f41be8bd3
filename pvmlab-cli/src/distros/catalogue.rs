//! What could be had: the distributions that are built in, and those of a person's own `distros.yaml`.
//!
//! The file is the first pvmlab's, read as it is. Its entries go before the built-in ones of the same name, key by key, so an
//! update of this program changes nothing that a person wrote, and a file that lists little hides nothing.

use std::collections::BTreeMap;
use std::fs;
use std::io;

use lab_model::{Arch, ImageName};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::builtin;
use super::checksums::Digest;
use super::location::Location;
use crate::error::{Failure, Kind, Result};
use crate::home::Home;
use crate::ui::Ui;

/// Every distribution that could be had.
#[derive(Debug)]
pub(crate) struct Catalogue(BTreeMap<ImageName, Entry>);

/// Where one architecture's image of a distribution comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Source {
    /// The image's file.
    pub(crate) url: Location,
    /// How it is known to be the vendor's.
    pub(crate) verification: Verification,
    /// The image whose kernel starts the installer; its own where nobody says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) installer_kernel: Option<ImageName>,
}

/// What a downloaded file is compared with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Verification {
    /// The vendor's list of digests.
    List(Location),
    /// What a person says.
    Pinned(Digest),
    /// Nothing: the vendor publishes no digest, or nobody says where.
    None,
}

impl Catalogue {
    /// The built-in distributions and the home's own. A file that is none is told of, and the built-in ones stand.
    pub(crate) fn read(home: &Home, ui: Ui) -> Self {
        let own = own(home).unwrap_or_else(|failure| {
            ui.say(format_args!("warning: {failure}"));
            ui.say("hint: correct it; until then only what is built in is known");
            Vec::new()
        });
        Self::merge(own)
    }

    /// As [`Catalogue::read`], silently.
    pub(crate) fn names(home: &Home) -> Vec<String> {
        Self::merge(own(home).unwrap_or_default()).0.keys().map(ToString::to_string).collect()
    }

    /// Each name and architecture.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&ImageName, Arch)> {
        self.0.iter().flat_map(|(name, entry)| entry.arch.keys().map(move |arch| (name, *arch)))
    }

    /// Where an image comes from.
    ///
    /// # Errors
    /// It is not listed, or not for this architecture, or only as what cannot be pulled.
    pub(crate) fn find(&self, name: &ImageName, arch: Arch) -> Result<Source> {
        let Some(entry) = self.0.get(name) else {
            return Err(Failure::new(Kind::NotFound, format!("no distribution is called `{name}`"))
                .hinted("`pvmlab distro ls` shows those that could be had; `pvmlab distro add URL` takes another"));
        };
        if let Some(source) = entry.source(arch) {
            return Ok(source);
        }
        match entry.arch.get(&arch) {
            Some(_) => Err(Failure::new(Kind::Usage, format!("`{name}` for {arch} has no cloud image"))
                .hinted("add its `url` in distros.yaml: an installer's ISO image cannot be pulled")),
            None => {
                let there: Vec<_> = entry.arch.keys().map(|arch| arch.as_str()).collect();
                Err(Failure::new(Kind::NotFound, format!("`{name}` is not there for {arch}"))
                    .hinted(format!("it is for {}: choose with --arch", there.join(" and "))))
            }
        }
    }

    fn merge(own: Vec<Entry>) -> Self {
        let mut entries: BTreeMap<_, _> =
            builtin::entries().into_iter().map(|entry| (entry.name.clone(), entry)).collect();
        for entry in own {
            match entries.get_mut(&entry.name) {
                Some(there) => there.override_by(entry),
                None => drop(entries.insert(entry.name.clone(), entry)),
            }
        }
        Self(entries)
    }
}

/// One distribution, as a catalogue writes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    pub(super) name: ImageName,
    #[serde(default, rename = "distro_name")]
    _distro_name: Option<IgnoredAny>,
    #[serde(default, rename = "version")]
    _version: Option<IgnoredAny>,
    arch: BTreeMap<Arch, Place>,
}

/// What an entry says of one architecture. The first pvmlab's keys for ISO images are read and not used.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    #[serde(alias = "qcow2_url")]
    url: Option<Location>,
    /// The vendor's list: a URL, or a file beside the image.
    checksums: Option<String>,
    /// The digest itself.
    checksum: Option<Digest>,
    /// The image whose kernel writes the disk, where its own cannot.
    #[serde(default, rename = "installer-kernel")]
    installer_kernel: Option<ImageName>,
    #[serde(default, rename = "iso_url")]
    _iso_url: Option<IgnoredAny>,
    #[serde(default, rename = "iso_name")]
    _iso_name: Option<IgnoredAny>,
    #[serde(default, rename = "kernel_file")]
    _kernel_file: Option<IgnoredAny>,
    #[serde(default, rename = "initrd_file")]
    _initrd_file: Option<IgnoredAny>,
}

impl Entry {
    /// Where its image for `arch` comes from; `None` where nothing is said, or only of an installer's ISO image.
    pub(super) fn source(&self, arch: Arch) -> Option<Source> {
        let Place { url, checksums, checksum, installer_kernel, .. } = self.arch.get(&arch)?;
        let url = url.clone()?;
        let verification = match (checksum, checksums) {
            (Some(digest), _) => Verification::Pinned(*digest),
            (None, Some(list)) => Verification::List(url.join(list).ok()?),
            (None, None) => Verification::None,
        };
        Some(Source { url, verification, installer_kernel: installer_kernel.clone() })
    }

    /// What `own` says counts, the rest stays. Digests of another file are worth nothing.
    fn override_by(&mut self, own: Self) {
        for (arch, own) in own.arch {
            let place = self.arch.entry(arch).or_default();
            let is_another = own.url.is_some() && own.url != place.url;
            let says_digest = own.checksums.is_some() || own.checksum.is_some();
            if is_another || says_digest {
                (place.checksums, place.checksum) = (own.checksums, own.checksum);
            }
            place.url = own.url.or_else(|| place.url.take());
            place.installer_kernel = own.installer_kernel.or_else(|| place.installer_kernel.take());
        }
    }
}

/// The entries in the text of a catalogue.
///
/// # Errors
/// It is none; the message says line, key and what was expected.
pub(super) fn parse(text: &str) -> Result<Vec<Entry>, String> {
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(Vec::new());
    }
    let entries: Vec<Entry> =
        serde_saphyr::from_str(text).map_err(|error| error.to_string().trim_start_matches("error: ").to_owned())?;
    for Entry { name, arch, .. } in &entries {
        for (arch, Place { url, checksums, .. }) in arch {
            if let (Some(url), Some(list)) = (url, checksums) {
                url.join(list).map_err(|error| format!("`checksums` of {name} for {arch}: {error}"))?;
            }
        }
    }
    Ok(entries)
}

fn own(home: &Home) -> Result<Vec<Entry>> {
    let path = home.catalogue();
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(anyhow::Error::from(error).context(format!("cannot read {}", path.display())).into()),
    };
    parse(&text).map_err(|problem| Failure::new(Kind::Failed, format!("{}: {problem}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST_PVMLABS: &str = "
# Default distributions for pvmlab.
- name: ubuntu-24.04
  distro_name: ubuntu
  version: \"24.04\"
  arch:
    aarch64:
      iso_url: \"https://cdimage.ubuntu.com/ubuntu-24.04.3-live-server-arm64.iso\"
      iso_name: \"ubuntu-24.04.3-live-server-arm64.iso\"
      qcow2_url: \"https://cloud-images.ubuntu.com/noble/current/noble-server-cloudimg-arm64.img\"
      kernel_file: \"casper/vmlinuz\"
- name: fedora-40
  distro_name: fedora
  version: \"40\"
  arch:
    x86_64:
      qcow2_url: \"https://download.fedoraproject.org/pub/40/f.qcow2\"
      kernel_file: \"images/pxeboot/vmlinuz\"
      initrd_file: \"images/pxeboot/initrd.img\"
    aarch64: {iso_url: \"https://download.fedoraproject.org/pub/40/f.iso\"}
";

    #[test]
    fn the_first_pvmlabs_file_is_read_as_it_is() {
        let catalogue = Catalogue::merge(parse(FIRST_PVMLABS).expect("a catalogue"));

        let ubuntu = catalogue.find(&name("ubuntu-24.04"), Arch::Aarch64).expect("a source");
        assert_eq!(
            ubuntu.verification,
            Verification::List("https://cloud-images.ubuntu.com/noble/current/SHA256SUMS".parse().expect("a location")),
            "it is the built-in image, so the built-in list is its list"
        );
        assert!(catalogue.find(&name("ubuntu-24.04"), Arch::X86_64).is_ok(), "built in");
        let fedora = catalogue.find(&name("fedora-40"), Arch::X86_64).expect("a source");
        assert_eq!(fedora.verification, Verification::None);
        let iso = catalogue.find(&name("fedora-40"), Arch::Aarch64).expect_err("no image");
        assert_eq!(iso.to_string(), "`fedora-40` for aarch64 has no cloud image");
    }

    #[test]
    fn what_a_person_wrote_goes_before_what_is_built_in() {
        let own = "
- name: debian-12
  arch:
    aarch64: {url: 'http://mirror.lan/d.qcow2'}
    x86_64: {checksums: 'https://example.org/SUMS'}
";
        let catalogue = Catalogue::merge(parse(own).expect("a catalogue"));

        let moved = catalogue.find(&name("debian-12"), Arch::Aarch64).expect("a source");
        let listed = catalogue.find(&name("debian-12"), Arch::X86_64).expect("a source");

        assert_eq!(moved.verification, Verification::None, "the built-in list is about another file");
        assert_eq!(listed.verification, Verification::List("https://example.org/SUMS".parse().expect("a location")));
        assert!(listed.url.as_str().starts_with("https://cloud.debian.org/"));
    }

    #[test]
    fn what_is_wrong_is_named_with_line_and_key() {
        let wrong = |text: &str| parse(text).expect_err("wrong").lines().next().expect("a line").to_owned();

        insta::assert_snapshot!(
            [
                wrong("ubuntu: 1\n"),
                wrong("- name: Ubuntu\n  arch: {}\n"),
                wrong("- name: a\n  arch:\n    arm: {}\n"),
                wrong("- name: a\n  arch:\n    aarch64:\n      url: a.img\n"),
                wrong("- name: a\n  arch:\n    aarch64:\n      uri: https://h/a.img\n"),
                wrong("- name: a\n  arch:\n    aarch64: {url: 'https://h/a', checksum: 'sha256:12'}\n"),
                wrong("- name: a\n  arch:\n    aarch64: {url: 'https://h/a', checksums: 'ftp://h/b'}\n"),
            ]
            .join("\n")
        );
    }

    #[test]
    fn an_empty_file_lists_nothing() {
        assert_eq!(parse("# nothing yet\n").map(|entries| entries.len()), Ok(0));
    }

    fn name(text: &str) -> ImageName {
        text.parse().expect("a name")
    }
}
