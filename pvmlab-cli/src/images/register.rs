//! Taking an image into a home, and out of it again.

use std::fs::{self, File};
use std::path::Path;

use anyhow::Context as _;
use lab_model::{Arch, ImageManifest, ImageName, MANIFEST_FILE};

use super::{Image, base, copy};
use crate::error::{Failure, Kind, Result};
use crate::home::Home;
use crate::interrupt::Interrupt;
use crate::progress::Progress;
use crate::removal::remove_path;
use crate::ui::Ui;

/// What registering did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Registered {
    /// The image is new.
    New,
    /// It was there, and every file was as it should be.
    Already,
    /// It was there, and files were not as they should be.
    Mended,
}

/// Takes the image in `source` into the home, verified; where it is already, mends what is broken.
///
/// # Errors
/// `source` is no whole image, another one has its name, the disk is full, or somebody wants this to end; then the
/// home is as it was.
pub(crate) fn register(home: &Home, source: &Path, interrupt: &Interrupt, ui: Ui) -> Result<(Image, Registered)> {
    let source = Image::open(source)?;
    let target = home.image(&source.manifest.name, source.manifest.arch);
    let is_there = target.join(MANIFEST_FILE).exists();
    // A folder without a usable manifest is no image: it is moved aside by hand, as nobody knows what it is.
    let there = if is_there { Some(Image::open(&target)?) } else { None };
    let what = format!("registering {} for {}", source.manifest.name, source.manifest.arch);
    let Some(there) = there else {
        let progress = Progress::start(&what, source.size(), interrupt, ui);
        take(&source, &target, &progress)?;
        return Ok((Image { folder: target, ..source }, Registered::New));
    };
    if there.manifest != source.manifest {
        return Err(taken(&source.manifest.name, source.manifest.arch));
    }
    let progress = Progress::start(&what, source.size(), interrupt, ui);
    let done = mend(&source, &there, &progress)?;
    Ok((there, done))
}

/// Takes the image out of the home.
///
/// # Errors
/// Its files belong to somebody else.
pub(crate) fn unregister(image: &Image) -> Result<()> {
    // Without a manifest it is no image any more, whatever happens next.
    let manifest = image.folder.join(MANIFEST_FILE);
    fs::remove_file(&manifest).with_context(|| format!("cannot remove {}", manifest.display()))?;
    fs::remove_dir_all(&image.folder).with_context(|| format!("cannot remove {}", image.folder.display()))?;
    // The folder of the image's name stays while it is there for another architecture.
    let _ = image.folder.parent().map(fs::remove_dir);
    Ok(())
}

/// The name is another image's.
pub(crate) fn taken(name: &ImageName, arch: Arch) -> Failure {
    Failure::new(Kind::Conflict, format!("another image is registered as `{name}` for {arch}"))
        .hinted(format!("remove that one with `pvmlab distro rm {name} --arch {arch}`"))
}

/// Takes every file of `source` over.
fn take(source: &Image, target: &Path, progress: &Progress<'_>) -> Result<()> {
    place(target, |folder| {
        for part in source.manifest.parts() {
            copy::adopt(&source.folder, folder, part, progress)?;
        }
        write_manifest(&source.manifest, folder)
    })
}

/// Makes the image's folder: filled by `fill` beside its place, which it gets at once.
///
/// # Errors
/// Those of `fill`, or the place is taken or full; then nothing is left behind.
pub(super) fn place<T>(target: &Path, fill: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
    let parent = target.parent().context("an image is in a folder")?;
    let is_new = !parent.exists();
    fs::create_dir_all(parent).with_context(|| format!("cannot write {}", target.display()))?;
    let placed = build(target, parent, fill);
    if placed.is_err() && is_new {
        let _ = fs::remove_dir(parent);
    }
    placed
}

/// Makes the image in `there` another version of itself, filled by `fill`. Whoever reads sees the old one or the new one: new
/// files get names that no old one has, and the manifest changes last. What machines' disks are laid over stays.
///
/// # Errors
/// Those of `fill`, or the disk is full; then the image is as it was.
pub(super) fn replace(
    home: &Home,
    there: &Image,
    fill: impl FnOnce(&Path) -> Result<ImageManifest>,
) -> Result<ImageManifest> {
    let cannot = || format!("cannot write {}", there.folder.display());
    let new = tempfile::Builder::new().prefix(".new-").tempdir_in(&there.folder).with_context(cannot)?;
    let mut manifest = fill(new.path())?;
    let ImageManifest { kernel, initrd, disk, files, .. } = &mut manifest;
    let disk = disk.as_mut().map(|disk| (&mut disk.file, disk.sha256));
    let files = [kernel, initrd].into_iter().chain(files).map(|file| (&mut file.file, file.sha256));
    for (file, sha256) in files.chain(disk) {
        let name = format!("{}-{file}", &sha256.to_string()[..16]).parse().context("it is a plain name")?;
        fs::rename(new.path().join(file.as_str()), there.folder.join(format!("{name}"))).with_context(cannot)?;
        *file = name;
    }
    File::open(&there.folder).and_then(|folder| folder.sync_all()).with_context(cannot)?;
    write_manifest(&manifest, &there.folder)?;
    let image = Image { folder: there.folder.clone(), manifest: manifest.clone() };
    for old in there.manifest.parts() {
        if image.manifest.parts().all(|part| part.file != old.file) {
            remove_path(&there.path(old.file))?;
        }
    }
    base::prune(home, &image)?;
    Ok(manifest)
}

/// Writes the manifest into the image's `folder`, after everything that it names.
pub(super) fn write_manifest(manifest: &ImageManifest, folder: &Path) -> Result<()> {
    let text = serde_json::to_string_pretty(manifest).context("a manifest has a JSON form")? + "\n";
    Ok(crate::file::replace(&folder.join(MANIFEST_FILE), text.as_bytes())?)
}

fn build<T>(target: &Path, parent: &Path, fill: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
    let cannot = || format!("cannot write {}", target.display());
    let folder = tempfile::Builder::new().prefix(".new-").tempdir_in(parent).with_context(cannot)?;
    let filled = fill(folder.path())?;
    // `tempfile` makes folders that only their owner may read, and the server's user is another.
    fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).with_context(cannot)?;
    if target.exists() {
        let message = format!("{} is in the way: it holds no image", target.display());
        return Err(Failure::new(Kind::Conflict, message).hinted("move it away"));
    }
    fs::rename(folder.path(), target).with_context(cannot)?;
    // Its place is another now: there is nothing left to remove.
    let _ = folder.keep();
    File::open(parent).and_then(|parent| parent.sync_all()).with_context(cannot)?;
    Ok(filled)
}

/// Replaces, one by one, the files that are not what the manifest says.
fn mend(source: &Image, there: &Image, progress: &Progress<'_>) -> Result<Registered> {
    let mut done = Registered::Already;
    for part in there.manifest.parts() {
        match there.verify_part(part, progress) {
            Ok(()) => continue,
            Err(failure) if failure.kind() == Kind::Interrupted => return Err(failure),
            Err(_) => {}
        }
        let folder = tempfile::Builder::new().prefix(".new-").tempdir_in(&there.folder).context("cannot mend it")?;
        copy::adopt(&source.folder, folder.path(), part, progress)?;
        let place = there.path(part.file);
        fs::rename(folder.path().join(part.file.as_str()), &place)
            .with_context(|| format!("cannot write {}", place.display()))?;
        done = Registered::Mended;
    }
    let Some(disk) = &there.manifest.disk else { return Ok(done) };
    let base = there.folder.join(base::name(disk));
    let wrong = fs::metadata(&base).is_ok_and(|file| file.len() != disk.raw_size);
    if wrong {
        fs::remove_file(&base).with_context(|| format!("cannot remove {}", base.display()))?;
    }
    Ok(done)
}
