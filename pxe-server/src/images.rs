//! The images that machines boot and are installed with, as their folder has them now.
//!
//! An image is a folder `<name>/<arch>/` with a `manifest.json` and the files it names. Nothing else in the folder can be
//! served. The folder is looked at every second, and a catalogue that differs is published whole: a lab has a few images, so
//! reading their manifests again costs less than remembering what they looked like. A file is compared with its manifest by
//! its length: reading gigabytes would tell what the installer finds out anyway, because it verifies what it writes.
//! [`Image::verify`] reads them, for `pxe-server check`.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use lab_model::{Arch, FetchedFile, FileName, ImageManifest, ImageName, ImagePart, MANIFEST_FILE, Sha256};
use nix::fcntl::OFlag;
use sha2::Digest as _;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::entries::entries;

/// Every image that can be used, and what is wrong with the others. It is built whole, never changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Catalogue {
    images: BTreeMap<(ImageName, Arch), Arc<Image>>,
    problems: Vec<String>,
}

/// An image whose files are all there, as long as its manifest says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Image {
    /// What it consists of.
    pub(crate) manifest: ImageManifest,
    folder: PathBuf,
}

/// A file of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ImageFile {
    /// What a machine needs it for.
    pub(crate) kind: FetchedFile,
    /// Length in bytes.
    pub(crate) size: u64,
    /// What it hashes to, by the manifest.
    pub(crate) sha256: Sha256,
    path: PathBuf,
}

/// Publishes a new catalogue when the folder changed; [`Reader::run`] is its task.
pub(crate) struct Reader {
    folder: PathBuf,
    published: watch::Sender<Arc<Catalogue>>,
    readable: bool,
}

/// Why an image is not what its folder has now.
struct Unusable {
    problem: String,
    /// Whether the file system refused: then nothing is known, and what was known before holds.
    refused: bool,
}

/// How often the folder is looked at.
const POLL: Duration = Duration::from_secs(1);

/// More is no manifest.
const MAX_MANIFEST_BYTES: u64 = 16 << 20;

/// Reads the folder of images for the first time. One that is not there is an empty one, until it is there.
pub(crate) fn open(folder: &Path) -> (Reader, watch::Receiver<Arc<Catalogue>>) {
    let (published, catalogue) = watch::channel(Arc::default());
    let mut reader = Reader { folder: folder.to_owned(), published, readable: true };
    if !folder.exists() {
        info!(folder = %folder.display(), "there is no folder of images yet");
    }
    reader.take_up(Catalogue::read(folder, &Catalogue::default()));
    (reader, catalogue)
}

impl Reader {
    /// Reads on until nobody wants the catalogue any more.
    pub(crate) async fn run(mut self) {
        loop {
            tokio::select! {
                () = self.published.closed() => return,
                () = tokio::time::sleep(POLL) => {}
            }
            // Looking is short, but a network file system can hold it up for as long as it likes.
            let (folder, before) = (self.folder.clone(), self.published.borrow().clone());
            let Ok(read) = tokio::task::spawn_blocking(move || Catalogue::read(&folder, &before)).await else { return };
            self.take_up(read);
        }
    }

    /// Publishes what was read, if it is new. Says once that the folder cannot be read, and once that it can again.
    fn take_up(&mut self, read: io::Result<Catalogue>) {
        let folder = self.folder.display();
        match &read {
            Err(error) if self.readable => warn!(%folder, %error, "images cannot be read: the last ones stay"),
            Ok(_) if !self.readable => info!(%folder, "images can be read again"),
            Ok(_) | Err(_) => {}
        }
        self.readable = read.is_ok();
        let Ok(catalogue) = read else { return };
        self.published.send_if_modified(|published| {
            let differs = **published != catalogue;
            if differs {
                log_changes(published, &catalogue);
                *published = Arc::new(catalogue);
            }
            differs
        });
    }
}

impl Catalogue {
    /// Reads the folder of images; one that is not there is an empty one. Where the file system refuses to say what has
    /// become of an image, it stays what it was `before`.
    ///
    /// # Errors
    /// The folder itself cannot be read.
    pub(crate) fn read(folder: &Path, before: &Self) -> io::Result<Self> {
        let mut catalogue = Self::default();
        for (name, folder) in entries::<ImageName>(folder)? {
            match entries::<Arch>(&folder) {
                Ok(arches) => arches.into_iter().for_each(|(arch, folder)| catalogue.add(&name, arch, folder, before)),
                Err(error) => {
                    Arch::ALL.into_iter().for_each(|arch| catalogue.keep(&name, arch, before));
                    catalogue.problems.push(format!("{name}: {error}"));
                }
            }
        }
        catalogue.problems.sort();
        Ok(catalogue)
    }

    fn add(&mut self, name: &ImageName, arch: Arch, folder: PathBuf, before: &Self) {
        match Image::read(folder, name, arch) {
            Ok(Some(image)) => {
                self.images.insert((name.clone(), arch), Arc::new(image));
            }
            Ok(None) => {}
            Err(Unusable { problem, refused }) => {
                self.problems.push(format!("{name}/{arch}: {problem}"));
                if refused {
                    self.keep(name, arch, before);
                }
            }
        }
    }

    fn keep(&mut self, name: &ImageName, arch: Arch, before: &Self) {
        if let Some(image) = before.image(name, arch) {
            self.images.insert((name.clone(), arch), image.clone());
        }
    }

    /// The image of this name for this architecture.
    pub(crate) fn image(&self, name: &ImageName, arch: Arch) -> Option<&Arc<Image>> {
        self.images.get(&(name.clone(), arch))
    }

    /// Every image that can be used, by name and architecture.
    pub(crate) fn images(&self) -> impl Iterator<Item = &Arc<Image>> {
        self.images.values()
    }

    /// What keeps other images from being used, one sentence each, starting with the folder's name.
    pub(crate) fn problems(&self) -> &[String] {
        &self.problems
    }
}

impl Image {
    /// Reads an image's manifest and looks at its files; without a manifest there is no image.
    fn read(folder: PathBuf, name: &ImageName, arch: Arch) -> Result<Option<Self>, Unusable> {
        let mut text = String::new();
        let read = File::open(folder.join(MANIFEST_FILE))
            .and_then(|file| file.take(MAX_MANIFEST_BYTES).read_to_string(&mut text));
        match read {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Unusable::of(MANIFEST_FILE, &error)),
        }
        let manifest =
            ImageManifest::from_json(&text).map_err(|error| Unusable::wrong(format!("{MANIFEST_FILE}: {error}")))?;
        if (&manifest.name, manifest.arch) != (name, arch) {
            let (name, arch) = (&manifest.name, manifest.arch);
            let problem = format!("{MANIFEST_FILE}: describes {name} for {arch}: expected the folder's own name");
            return Err(Unusable::wrong(problem));
        }
        let image = Self { manifest, folder };
        for file in image.files() {
            file.look().map_err(|error| Unusable::of(&file.name(), &error))?;
        }
        Ok(Some(image))
    }

    /// The file of this name, if the manifest has it.
    pub(crate) fn file(&self, name: &FileName) -> Option<ImageFile> {
        self.manifest.parts().find(|part| part.file == name).map(|part| self.located(part))
    }

    /// Reads every file and compares it with the manifest; that takes as long as reading the whole image.
    ///
    /// # Errors
    /// The first file that is not what the manifest says, in one sentence.
    pub(crate) fn verify(&self) -> Result<(), String> {
        for file in self.files() {
            let verified = file.open().and_then(|opened| digest(opened, file.size));
            match verified {
                Ok(found) if found == file.sha256 => {}
                Ok(found) => return Err(format!("{}: hashes to {found}, not {}", file.name(), file.sha256)),
                Err(error) => return Err(format!("{}: {error}", file.name())),
            }
        }
        Ok(())
    }

    fn files(&self) -> impl Iterator<Item = ImageFile> {
        self.manifest.parts().map(|part| self.located(part))
    }

    fn located(&self, part: ImagePart<'_>) -> ImageFile {
        let ImagePart { kind, file, size, sha256 } = part;
        ImageFile { kind, size, sha256, path: self.folder.join(file.as_str()) }
    }
}

impl Unusable {
    fn wrong(problem: String) -> Self {
        Self { problem, refused: false }
    }

    /// What our own checks find is wrong; what the system says, other than that there is no such file, is a refusal.
    fn of(file: &str, error: &io::Error) -> Self {
        let refused = error.raw_os_error().is_some() && error.kind() != io::ErrorKind::NotFound;
        Self { problem: format!("{file}: {error}"), refused }
    }
}

impl ImageFile {
    /// Opens the file, which may take as long as a network file system likes.
    ///
    /// # Errors
    /// It is no plain file (a link could lead out of the images), or not as long as the manifest says.
    pub(crate) fn open(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        // Without O_NONBLOCK a pipe would wait for somebody to write.
        let opened =
            options.read(true).custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits()).open(&self.path)?;
        self.compare(&opened.metadata()?)?;
        Ok(opened)
    }

    fn look(&self) -> io::Result<()> {
        self.compare(&fs::symlink_metadata(&self.path)?)
    }

    fn compare(&self, found: &Metadata) -> io::Result<()> {
        if !found.is_file() {
            return Err(io::Error::other("is no plain file"));
        }
        match found.len() {
            length if length == self.size => Ok(()),
            length => {
                let expected = self.size;
                Err(io::Error::other(format!(
                    "is {length} bytes long, {MANIFEST_FILE} says {expected}: is it complete?"
                )))
            }
        }
    }

    fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

/// What a file hashes to, as long as it is now.
pub(crate) fn digest_of(file: File) -> io::Result<Sha256> {
    let size = file.metadata()?.len();
    digest(file, size)
}

fn digest(mut file: File, size: u64) -> io::Result<Sha256> {
    let mut hasher = sha2::Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    let mut left = size;
    while left > 0 {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        hasher.update(&buffer[..read]);
        left = left.saturating_sub(read as u64);
    }
    Ok(Sha256(hasher.finalize().into()))
}

fn log_changes(before: &Catalogue, after: &Catalogue) {
    for (key @ (name, arch), image) in &after.images {
        if before.images.get(key) != Some(image) {
            info!(image = %name, %arch, "image can be used");
        }
    }
    for (name, arch) in before.images.keys().filter(|key| !after.images.contains_key(key)) {
        info!(image = %name, %arch, "image is gone");
    }
    for problem in after.problems.iter().filter(|problem| !before.problems.contains(problem)) {
        warn!(problem, "image cannot be used");
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    #[test]
    fn an_image_has_the_files_that_its_manifest_names_and_no_other() {
        let folder = folder();

        let catalogue = read(folder.path());

        assert_eq!(catalogue.problems(), [""; 0]);
        let image = catalogue.image(&name(), Arch::Aarch64).expect("the image");
        let kernel = image.file(&"vmlinuz".parse().expect("a name")).expect("the kernel");
        assert_eq!((kernel.kind, kernel.size), (FetchedFile::Kernel, 6));
        assert!(kernel.open().is_ok());
        for other in ["manifest.json", "recipe.json"] {
            assert_eq!(image.file(&other.parse().expect("a name")), None);
        }
        assert!(catalogue.image(&name(), Arch::X86_64).is_none());
    }

    #[test]
    fn an_image_without_a_disk_has_its_further_files() {
        let folder = tempfile::tempdir().expect("a folder");
        fill_without_disk(folder.path());
        let name = "netboot".parse().expect("a name");

        let catalogue = read(folder.path());

        assert_eq!(catalogue.problems(), [""; 0]);
        let image = catalogue.image(&name, Arch::Aarch64).expect("the image");
        assert_eq!(image.verify(), Ok(()));
        let stage2 = image.file(&"stage2.img".parse().expect("a name")).expect("the further file");
        assert_eq!((stage2.kind, stage2.size), (FetchedFile::ImageFile, 6));
        fs::remove_file(folder.path().join("netboot/aarch64/stage2.img")).expect("a file");
        assert!(read(folder.path()).image(&name, Arch::Aarch64).is_none(), "it is not complete");
    }

    #[test]
    fn a_file_that_is_not_complete_is_a_problem_by_its_name() {
        let folder = folder();
        fs::write(folder.path().join("debian-12/aarch64/disk.zst"), "di").expect("a file");

        let catalogue = read(folder.path());

        let problem = "debian-12/aarch64: disk.zst: is 2 bytes long, manifest.json says 4: is it complete?";
        assert_eq!(catalogue.problems(), [problem]);
        assert!(catalogue.image(&name(), Arch::Aarch64).is_none());
    }

    #[test]
    fn a_link_is_no_file_of_an_image() {
        let folder = folder();
        let kernel = folder.path().join("debian-12/aarch64/vmlinuz");
        let image = read(folder.path()).image(&name(), Arch::Aarch64).cloned().expect("the image");
        fs::remove_file(&kernel).expect("a file");
        std::os::unix::fs::symlink("/etc/shadow", &kernel).expect("a link");

        let catalogue = read(folder.path());

        assert_eq!(catalogue.problems(), ["debian-12/aarch64: vmlinuz: is no plain file"]);
        assert!(image.file(&"vmlinuz".parse().expect("a name")).expect("known before").open().is_err());
    }

    #[test]
    fn a_manifest_describes_the_image_that_it_lies_in() {
        let folder = folder();
        fs::rename(folder.path().join("debian-12"), folder.path().join("other")).expect("a folder");

        let problem = "other/aarch64: manifest.json: describes debian-12 for aarch64: expected the folder's own name";
        assert_eq!(read(folder.path()).problems(), [problem]);
    }

    #[test]
    fn what_cannot_be_read_stays_what_it_was() {
        let folder = folder();
        let before = read(folder.path());
        let image = folder.path().join("debian-12");

        for unreadable in ["aarch64/manifest.json", "aarch64/vmlinuz", "."] {
            let (path, away) = (image.join(unreadable), folder.path().join("AWAY"));
            let path = if unreadable == "." { image.clone() } else { path };
            fs::rename(&path, &away).expect("it was there");
            // A link to itself leads nowhere, for root too.
            std::os::unix::fs::symlink(&path, &path).expect("a link");
            let after = Catalogue::read(folder.path(), &before);
            fs::remove_file(&path).expect("the link");
            fs::rename(&away, &path).expect("it was there");

            let after = after.expect("the folder can be read");
            let kept = after.image(&name(), Arch::Aarch64).is_some();
            // A link is no file of an image, whatever it leads to: that is no refusal.
            assert_eq!((kept, after.problems().len()), (unreadable != "aarch64/vmlinuz", 1), "{unreadable}");
        }
        assert_eq!(read(folder.path()), before);
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_read_leaves_the_catalogue_as_it_was() {
        let folder = folder();
        let (mut reader, catalogue) = open(folder.path());

        reader.take_up(Err(io::ErrorKind::PermissionDenied.into()));

        assert!(catalogue.borrow().image(&name(), Arch::Aarch64).is_some());
        reader.take_up(Ok(Catalogue::default()));
        assert!(catalogue.borrow().image(&name(), Arch::Aarch64).is_none());
    }

    #[test]
    fn verifying_finds_a_file_of_the_right_length_with_other_bytes() {
        let folder = folder();
        let catalogue = read(folder.path());
        let image = catalogue.image(&name(), Arch::Aarch64).expect("the image");
        assert_eq!(image.verify(), Ok(()));

        fs::write(folder.path().join("debian-12/aarch64/initrd.img"), "intird").expect("a file");

        assert!(image.verify().expect_err("other bytes").starts_with("initrd.img: hashes to "));
    }

    #[tokio::test]
    async fn an_image_that_comes_later_is_found() {
        let folder = tempfile::tempdir().expect("a folder");
        let (reader, mut catalogue) = open(&folder.path().join("images"));
        let reader = tokio::spawn(reader.run());
        assert_eq!(**catalogue.borrow(), Catalogue::default());

        fill(&folder.path().join("images"), b"disk");

        let found = catalogue.wait_for(|catalogue| catalogue.image(&name(), Arch::Aarch64).is_some());
        tokio::time::timeout(Duration::from_secs(10), found).await.expect("in time").expect("the reader runs");
        drop(catalogue);
        reader.await.expect("the reader ends with the last one who wants to know");
    }

    /// What a folder of images has, to those who know nothing of it yet.
    pub(crate) fn read(folder: &Path) -> Catalogue {
        Catalogue::read(folder, &Catalogue::default()).expect("a readable folder")
    }

    fn name() -> ImageName {
        "debian-12".parse().expect("a name")
    }

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        fill(folder.path(), b"disk");
        folder
    }

    /// Puts an image `debian-12` for aarch64 into a folder of images; its disk is `disk`.
    pub(crate) fn fill(images: &Path, disk: &[u8]) {
        let folder = images.join("debian-12/aarch64");
        fs::create_dir_all(&folder).expect("a folder");
        let file = |name, content| write(&folder, name, content);
        let manifest = format!(
            r#"{{"name":"debian-12","arch":"aarch64","kernel":{{{}}},"initrd":{{{}}},
               "disk":{{{},"compression":"zstd","raw-size":512,"chunk-size":16777216,"chunks":[{{"size":{},"sha256":"{}"}}]}}}}"#,
            file("vmlinuz", b"kernel"),
            file("initrd.img", b"initrd"),
            file("disk.zst", disk),
            disk.len(),
            Sha256(sha2::Sha256::digest(disk).into())
        );
        fs::write(folder.join("recipe.json"), "{}").expect("a file");
        fs::write(folder.join(MANIFEST_FILE), manifest).expect("a file");
    }

    /// Puts an image `netboot` for aarch64 there, which has no disk but a file of its own.
    pub(crate) fn fill_without_disk(images: &Path) {
        let folder = images.join("netboot/aarch64");
        fs::create_dir_all(&folder).expect("a folder");
        let file = |name, content| write(&folder, name, content);
        let manifest = format!(
            r#"{{"name":"netboot","arch":"aarch64","kernel":{{{}}},"initrd":{{{}}},"files":[{{{}}}]}}"#,
            file("linux", b"kernel"),
            file("initrd.gz", b"initrd"),
            file("stage2.img", b"stage2"),
        );
        fs::write(folder.join(MANIFEST_FILE), manifest).expect("a file");
    }

    /// Writes a file, and what a manifest says of it.
    fn write(folder: &Path, name: &str, content: &[u8]) -> String {
        fs::write(folder.join(name), content).expect("a file");
        let digest = Sha256(sha2::Sha256::digest(content).into());
        format!(r#""file":"{name}","size":{},"sha256":"{digest}""#, content.len())
    }
}
