//! The folder of definition files: what is in it, and when it changes.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::future;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lab_model::{DefinitionFile, Format};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use tokio::io::unix::AsyncFd;
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, timeout_at};

/// The folder, with what was last read from each file. Only files that look different are read again.
pub(crate) struct Folder {
    path: PathBuf,
    files: BTreeMap<String, Remembered>,
}

/// The kernel's word that something changed in a folder. Some file systems never give it (9p, NFS).
pub(crate) struct Watch {
    identity: Identity,
    events: AsyncFd<OwnedFd>,
}

/// A file as it was last read.
struct Remembered {
    text: Result<Arc<str>, Arc<str>>,
    /// Nothing for a file that must be read again whatever it looks like.
    looks: Option<Looks>,
}

/// What shows that a file was changed, without reading it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Looks {
    inode: u64,
    length: u64,
    modified: SystemTime,
    changed: (i64, i64),
}

/// Which folder a path leads to: another one after a mount or a rename. Device and inode.
type Identity = (u64, u64);

/// Longer than any file system's clock tick: two writes within one tick look like one.
const RACY: Duration = Duration::from_secs(2);
/// How long nothing may change before a folder is read: a file is rarely written in one go.
pub(crate) const QUIET: Duration = Duration::from_millis(50);
/// How long a folder in which something changes all the time is left alone.
const PATIENCE: Duration = Duration::from_millis(400);
/// A change is in force within a second of being told; reading takes the rest.
const _: () = assert!(QUIET.as_millis() + PATIENCE.as_millis() < 500);
/// More is no definition, whatever it is called.
const MAX_FILE_BYTES: u64 = 1 << 20;

impl Folder {
    /// The folder at `path`, of which nothing was read yet.
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), files: BTreeMap::new() }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Every definition file by name, or nothing if none changed since the last time.
    ///
    /// # Errors
    /// The folder cannot be read. A file that cannot is returned with the reason as its text.
    pub(crate) fn read(&mut self, now: SystemTime) -> io::Result<Option<Vec<DefinitionFile>>> {
        let mut files = BTreeMap::new();
        let mut differs = false;
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|name| is_definition(name)) else { continue };
            let before = self.files.remove(name);
            let known = before.as_ref().map(|before| before.text.clone());
            match look(&entry.path(), before, now) {
                Some(file) => {
                    differs |= known.as_ref() != Some(&file.text);
                    files.insert(name.to_owned(), file);
                }
                None => differs |= known.is_some(),
            }
        }
        // What is left was not found again.
        differs |= !self.files.is_empty();
        self.files = files;
        if !differs {
            return Ok(None);
        }
        let file = |(name, file): (&String, &Remembered)| DefinitionFile {
            file: name.clone(),
            text: file.text.as_ref().map(|text| text.to_string()).map_err(|error| error.to_string()),
        };
        Ok(Some(self.files.iter().map(file).collect()))
    }
}

/// Hidden files are what editors and copying programs have not finished.
fn is_definition(name: &str) -> bool {
    !name.starts_with('.') && Format::of_file(name).is_some()
}

/// The file as it is now, or nothing if it is none. It is read only if it looks different than before.
fn look(path: &Path, before: Option<Remembered>, now: SystemTime) -> Option<Remembered> {
    // Follows links: a definition may be one.
    let metadata = match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => metadata,
        Ok(_) => return None,
        // Gone between listing and looking.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => return Some(Remembered { text: Err(error.to_string().into()), looks: None }),
    };
    let looks = Looks::of(&metadata, now);
    match before {
        Some(before) if before.looks.is_some() && before.looks == looks => Some(before),
        _ => Some(Remembered { text: read(path, metadata.len()), looks }),
    }
}

fn read(path: &Path, length: u64) -> Result<Arc<str>, Arc<str>> {
    if length > MAX_FILE_BYTES {
        return Err(format!("{length} bytes: expected a definition of at most {MAX_FILE_BYTES}").into());
    }
    fs::read_to_string(path).map(Arc::from).map_err(|error| error.to_string().into())
}

impl Looks {
    /// Nothing for a file so young that another write may not change its looks.
    fn of(metadata: &Metadata, now: SystemTime) -> Option<Self> {
        let modified = metadata.modified().ok()?;
        let age = now.duration_since(modified).ok()?;
        (age > RACY).then(|| Self {
            inode: metadata.ino(),
            length: metadata.len(),
            modified,
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

impl Watch {
    /// Watches the folder that `path` leads to now; nothing if the kernel does not watch it.
    pub(crate) fn new(path: &Path) -> Option<Self> {
        let identity = identity(path)?;
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC).ok()?;
        let changes = AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_MODIFY
            | AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_MOVE
            | AddWatchFlags::IN_ATTRIB
            | AddWatchFlags::IN_ONLYDIR;
        inotify.add_watch(path, changes).ok()?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe, and what it asks to be promised an OwnedFd keeps by itself"
        )]
        let events = AsyncFd::new(inotify.into()).ok()?;
        Some(Self { identity, events })
    }

    /// Whether `path` still leads to the folder that is watched.
    pub(crate) fn is_of(&self, path: &Path) -> bool {
        identity(path) == Some(self.identity)
    }

    /// Waits until something changed and then nothing did for a while, or enough time has passed; for ever where nothing tells.
    pub(crate) async fn settled(watch: Option<&Self>) {
        let Some(watch) = watch else { return future::pending().await };
        if watch.changed().await.is_err() {
            return future::pending().await;
        }
        let patience = Instant::now() + PATIENCE;
        while timeout_at(patience.min(Instant::now() + QUIET), watch.changed()).await.is_ok_and(|more| more.is_ok()) {}
    }

    /// Waits until something changes.
    ///
    /// # Errors
    /// The kernel no longer watches.
    async fn changed(&self) -> io::Result<()> {
        // Which file it was is no matter: the folder is read whole.
        let mut events = [0; 4096];
        loop {
            // Where somebody writes without a pause there is always something to read: others have their turns, and limits hold.
            consume_budget().await;
            let mut ready = self.events.readable().await?;
            if let Ok(read) = ready.try_io(|events_of| Ok(nix::unistd::read(events_of.get_ref(), &mut events)?)) {
                return read.map(drop);
            }
        }
    }
}

fn identity(path: &Path) -> Option<Identity> {
    fs::metadata(path).ok().map(|folder| (folder.dev(), folder.ino()))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn an_unchanged_folder_is_nothing_new() {
        let (folder, mut definitions) = folder();
        fs::write(folder.path().join("web.toml"), "one").expect("a file");
        let now = SystemTime::now();

        assert_eq!(texts(definitions.read(now)), Some(vec![("web.toml".to_owned(), Ok("one".to_owned()))]));
        assert_eq!(texts(definitions.read(now)), None);
    }

    #[test]
    fn a_second_write_within_a_clock_tick_is_seen() {
        let (folder, mut definitions) = folder();
        let file = fs::File::create(folder.path().join("web.toml")).expect("a file");
        let written = |text: &str| {
            std::os::unix::fs::FileExt::write_all_at(&file, text.as_bytes(), 0).expect("room");
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(100)).expect("its own file");
        };
        written("one");
        definitions.read(SystemTime::UNIX_EPOCH + Duration::from_secs(100)).expect("readable");

        written("two");

        let read = definitions.read(SystemTime::UNIX_EPOCH + Duration::from_secs(110));
        assert_eq!(texts(read), Some(vec![("web.toml".to_owned(), Ok("two".to_owned()))]));
    }

    #[test]
    fn a_removed_file_is_a_change() {
        let (folder, mut definitions) = folder();
        fs::write(folder.path().join("web.toml"), "one").expect("a file");
        definitions.read(SystemTime::now()).expect("readable");

        fs::remove_file(folder.path().join("web.toml")).expect("it was there");

        assert_eq!(texts(definitions.read(SystemTime::now())), Some(Vec::new()));
    }

    #[test]
    fn only_files_that_can_be_definitions_are_read() {
        let (folder, mut definitions) = folder();
        for name in ["web.qcow2", ".web.json.swp", ".web.toml", "web.toml~"] {
            fs::write(folder.path().join(name), "no definition").expect("a file");
        }
        fs::create_dir(folder.path().join("folder.json")).expect("a folder");

        assert_eq!(texts(definitions.read(SystemTime::now())), None);
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        let (folder, mut definitions) = folder();
        let big = fs::File::create(folder.path().join("big.json")).expect("a file");
        big.set_len(MAX_FILE_BYTES + 1).expect("a sparse file");
        fs::write(folder.path().join("latin.json"), [b'"', 0xe9, b'"']).expect("a file");

        assert_eq!(
            texts(definitions.read(SystemTime::now())),
            Some(vec![
                ("big.json".to_owned(), Err("1048577 bytes: expected a definition of at most 1048576".to_owned())),
                ("latin.json".to_owned(), Err("stream did not contain valid UTF-8".to_owned())),
            ])
        );
    }

    #[tokio::test]
    async fn the_kernel_says_when_a_file_changes() {
        let (folder, _) = folder();
        let watch = Watch::new(folder.path()).expect("a folder that can be watched");

        fs::write(folder.path().join("web.toml"), "one").expect("a file");

        watch.changed().await.expect("watched");
        assert!(watch.is_of(folder.path()));
    }

    #[tokio::test]
    async fn a_folder_that_never_rests_is_looked_at_nevertheless() {
        let (folder, _) = folder();
        let watch = Watch::new(folder.path()).expect("a folder that can be watched");
        let file = folder.path().join("log");
        let rests = Arc::new(AtomicBool::new(false));
        let writer = std::thread::spawn({
            let rests = rests.clone();
            move || while !rests.load(Ordering::Relaxed) && fs::write(&file, "more").is_ok() {}
        });

        Watch::settled(Some(&watch)).await;

        rests.store(true, Ordering::Relaxed);
        writer.join().expect("a writer that ends");
    }

    fn folder() -> (tempfile::TempDir, Folder) {
        let folder = tempfile::tempdir().expect("a folder");
        let definitions = Folder::new(folder.path());
        (folder, definitions)
    }

    fn texts(read: io::Result<Option<Vec<DefinitionFile>>>) -> Option<Vec<(String, Result<String, String>)>> {
        let files = read.expect("a readable folder")?;
        Some(files.into_iter().map(|file| (file.file, file.text)).collect())
    }
}
