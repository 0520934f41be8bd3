//! Brings definitions and images to a provisioner that cannot mount the host's folders: only what differs.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::Context as _;
use lab_model::{Format, ImageManifest, ImagePart, MANIFEST_FILE};

use super::deploy::{append, send};
use crate::error::{Failure, Kind, Result};
use crate::home::Home;
use crate::ssh::{Login, not_installed, shell_quoted};
use crate::ui::Ui;

/// Makes the provisioner's definitions those of the home.
///
/// # Errors
/// The home cannot be read, or the provisioner not be reached.
pub(crate) fn definitions(home: &Home, login: &Login) -> Result<()> {
    let folder = home.vms();
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry.with_context(|| format!("cannot read {}", folder.display()))?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if Format::of_file(&name).is_some() && !name.starts_with('.') {
            files.insert(name, fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?);
        }
    }
    send(login, &format!("{PROVISION} take-definitions"), |archive| {
        files.iter().try_for_each(|(name, contents)| append(archive, name, contents))
    })?;
    Ok(())
}

/// Makes the provisioner's profiles those of the home.
///
/// # Errors
/// The home cannot be read, or the provisioner not be reached.
pub(crate) fn profiles(home: &Home, login: &Login) -> Result<()> {
    let folder = home.profiles();
    send(login, &format!("{PROVISION} take-profiles"), |archive| {
        if folder.is_dir() { archive.append_dir_all(".", &folder) } else { Ok(()) }
    })?;
    Ok(())
}

/// Makes the provisioner's images those of the home: a file that it has already is not sent again.
///
/// # Errors
/// The home cannot be read, the provisioner not be reached, or its disk is full.
pub(crate) fn images(home: &Home, login: &Login, ui: Ui) -> Result<()> {
    let (here, there) = (images_of(&home.images())?, images_at(login)?);
    for (folder, image) in &here {
        let known = there.get(folder);
        if known.is_some_and(|known| known.text == image.text) {
            continue;
        }
        let known: Vec<_> = known.iter().flat_map(|known| known.manifest.parts()).collect();
        // What a file is for may have changed, and it is the same file.
        let is_known =
            |part: &ImagePart<'_>| known.iter().any(|known| ImagePart { kind: part.kind, ..*known } == *part);
        let (kept, sent): (Vec<_>, Vec<_>) = image.manifest.parts().partition(is_known);
        let bytes: u64 = sent.iter().map(|part| part.size).sum();
        ui.say(format_args!("sending {folder} to {} ({} MiB) …", login.machine(), bytes >> 20));
        let kept: String = kept.iter().map(|part| format!(" {}", shell_quoted(part.file.as_str()))).collect();
        let source = home.images().join(folder);
        send(login, &format!("{PROVISION} take-image {}{kept}", shell_quoted(folder)), |archive| {
            append(archive, MANIFEST_FILE, &image.text)?;
            sent.iter().try_for_each(|part| append_file(archive, &source.join(part.file.as_str()), *part))
        })?;
    }
    for folder in there.keys().filter(|folder| !here.contains_key(*folder)) {
        login.run(&format!("{PROVISION} drop-image {}", shell_quoted(folder)))?;
    }
    Ok(())
}

const PROVISION: &str = "sudo /usr/local/lib/pxe-server/provision";

/// A manifest as it is written, and what it means.
struct Image {
    text: Vec<u8>,
    manifest: ImageManifest,
}

impl Image {
    fn read(text: Vec<u8>) -> Option<Self> {
        let manifest = ImageManifest::from_json(std::str::from_utf8(&text).ok()?).ok()?;
        Some(Self { text, manifest })
    }
}

/// The images of the home by `<name>/<arch>`; one that cannot be used stays here.
fn images_of(folder: &Path) -> Result<BTreeMap<String, Image>> {
    let mut images = BTreeMap::new();
    for image in subfolders(folder)? {
        for arch in subfolders(&image)? {
            let Ok(text) = fs::read(arch.join(MANIFEST_FILE)) else { continue };
            let place = arch.strip_prefix(folder).expect("it was found in there").to_string_lossy().into_owned();
            images.extend(Image::read(text).map(|image| (place, image)));
        }
    }
    Ok(images)
}

fn subfolders(folder: &Path) -> Result<Vec<PathBuf>> {
    let read = || -> io::Result<Vec<PathBuf>> {
        let paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
        let hidden = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        Ok(paths.into_iter().filter(|path| path.is_dir() && !hidden(path)).collect())
    };
    Ok(read().with_context(|| format!("cannot read {}", folder.display()))?)
}

/// The images that the provisioner has; one whose manifest cannot be read is sent again.
fn images_at(login: &Login) -> Result<BTreeMap<String, Image>> {
    let mut command = login.shell(Some(&format!("{PROVISION} manifests")));
    let output = command.stdin(Stdio::null()).output().map_err(not_installed)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Failure::new(
            Kind::Failed,
            format!("{} does not list its images: {}", login.machine(), said.trim()),
        )
        .hinted("bring it up to date with `pvmlab provisioner deploy`"));
    }
    let mut images = BTreeMap::new();
    let mut archive = tar::Archive::new(&output.stdout[..]);
    for entry in archive.entries().context("cannot read the provisioner's list of images")? {
        let mut entry = entry.context("cannot read the provisioner's list of images")?;
        let path = entry.path().context("an image with a name that is none")?.into_owned();
        let mut text = Vec::new();
        entry.read_to_end(&mut text).context("cannot read the provisioner's list of images")?;
        let folder = path.parent().map(|folder| folder.to_string_lossy().into_owned()).unwrap_or_default();
        images.extend(Image::read(text).map(|image| (folder, image)));
    }
    Ok(images)
}

fn append_file(archive: &mut tar::Builder<&mut dyn io::Write>, path: &Path, part: ImagePart<'_>) -> io::Result<()> {
    let file = File::open(path)?;
    if file.metadata()?.len() != part.size {
        return Err(io::Error::other(format!("{} is not as its manifest says", path.display())));
    }
    let mut header = tar::Header::new_gnu();
    header.set_size(part.size);
    header.set_mode(0o644);
    archive.append_data(&mut header, part.file.as_str(), file)
}
