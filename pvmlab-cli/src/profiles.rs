//! The profiles of the lab: what machines boot beside an image, and what a machine gets by them.
//!
//! What is rendered here is what the server renders, by the same code and from the same files.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use anyhow::Context as _;
use cloud_seed::UserName;
use lab_model::{Ipv4Net, Machine, ProfileName};
use pxe_proto::boot::profile::{Files, PROFILE_FILE, Setting};
use pxe_proto::boot::{self, Asker, BaseUrl, Boot, Profiles, Refusal, Scene};

use crate::error::{Failure, Kind, Result};
use crate::home::Home;
use crate::images::Image;

macro_rules! shipped {
    ($name:literal $(, $file:literal)*) => {
        Shipped {
            name: $name,
            files: &[
                (PROFILE_FILE, include_str!(concat!("../../docs/examples/profiles/", $name, "/profile.toml"))),
                $(($file, include_str!(concat!("../../docs/examples/profiles/", $name, "/", $file)))),*
            ],
        }
    };
}

/// A profile that comes with this program, to be copied and changed.
pub(crate) struct Shipped {
    pub(crate) name: &'static str,
    /// Each file's name and text.
    pub(crate) files: &'static [(&'static str, &'static str)],
}

/// What a machine gets from the network.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Rendered {
    /// Its boot script.
    pub(crate) script: String,
    /// What it can fetch besides, by name.
    pub(crate) documents: BTreeMap<String, String>,
}

/// Reads the profiles of a home.
///
/// # Errors
/// A file cannot be read. A profile that is wrong is no error but a problem of the profiles.
pub(crate) fn read(home: &Home) -> Result<Profiles> {
    let folder = home.profiles();
    let read = || -> io::Result<BTreeMap<ProfileName, Files>> {
        let named = subfolders(&folder)?.into_iter().filter_map(|name| Some((name.parse().ok()?, name)));
        named.map(|(profile, name): (ProfileName, String)| Ok((profile, texts(&folder.join(name))?))).collect()
    };
    let folders = read().with_context(|| format!("cannot read {}", folder.display()))?;
    Ok(Profiles::build(folders, &Profiles::default()))
}

/// Renders what a machine gets that is served at `server`.
pub(crate) fn render(machine: &Machine, profiles: &Profiles, server: Ipv4Net, home: &Home) -> Rendered {
    let (base, user) = (BaseUrl::new(server.address().into(), 80), UserName::default());
    let boot = boot::decide(Some(machine), profiles, &Asker::default());
    let image = boot.image().and_then(|(name, arch)| Image::find(home, name, arch).ok());
    let manifest = image.as_ref().map(|image| &image.manifest);
    let boot = boot.with(manifest);
    let user = user.as_str();
    let scene = Scene { mac: machine.mac, machine: Some(machine), manifest, profiles, server, base, plain: base, user };
    let documents = profiles.possible(machine).flat_map(|profile| {
        let setting = Setting { machine, image: profile.image(machine), server, base, user };
        let document = move |name: &lab_model::FileName| {
            let text =
                profile.document(name.as_str(), &setting)?.unwrap_or_else(|problem| format!("error: {problem}\n"));
            Some((name.to_string(), text))
        };
        profile.documents().filter_map(document).collect::<Vec<_>>()
    });
    Rendered { documents: documents.collect(), script: boot::script(&boot, &scene) }
}

/// Refuses a machine that would be installed with an image that has no disk: its boot would end on its console.
///
/// # Errors
/// It is one, or a profile cannot be read.
pub(crate) fn refuse_unbootable(machine: &Machine, home: &Home) -> Result<()> {
    let boot = boot::decide(Some(machine), &read(home)?, &Asker::default());
    let image = boot.image().and_then(|(name, arch)| Image::find(home, name, arch).ok());
    match boot.with(image.as_ref().map(|image| &image.manifest)) {
        Boot::Refuse(refusal @ Refusal::NoDisk { .. }) => {
            Err(Failure::new(Kind::Usage, refusal.to_string())
                .hinted("`pvmlab profile ls` shows what profiles there are"))
        }
        // Of the rest, what is missing may come later.
        _ => Ok(()),
    }
}

impl Shipped {
    /// Every one of them.
    pub(crate) const ALL: &'static [Self] = &[
        shipped!("alpine", "authorized_keys.j2"),
        shipped!("debian-preseed", "preseed.cfg.j2", "report.j2"),
        shipped!("fedora-kickstart", "ks.cfg.j2"),
        shipped!("menu"),
        shipped!("netboot-xyz", "boot.ipxe"),
        shipped!("rescue"),
        shipped!("shell"),
        shipped!("ubuntu-autoinstall", "user-data.j2", "meta-data.j2", "vendor-data.j2"),
    ];
}

/// The names of the folders in a folder; one that is not there is empty.
fn subfolders(folder: &Path) -> io::Result<Vec<String>> {
    match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        entries => entries?
            .filter(|entry| entry.as_ref().is_ok_and(|entry| entry.path().is_dir()))
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect(),
    }
}

/// The text files of a profile's folder.
fn texts(folder: &Path) -> io::Result<Files> {
    let mut files = Files::new();
    for entry in fs::read_dir(folder)? {
        let (name, path) = entry.map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path()))?;
        if path.is_file() && name.parse::<lab_model::FileName>().is_ok() {
            files.extend(String::from_utf8(fs::read(&path)?).ok().map(|text| (name, text)));
        }
    }
    Ok(files)
}
