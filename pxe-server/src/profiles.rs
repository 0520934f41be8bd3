//! The profiles as their folder has them now.
//!
//! A profile is a folder `<name>/` of small text files. All of them are read every second: they are few, and looking at a file
//! takes as long as reading it. A set that differs is published whole; a profile that is wrong keeps its last good version.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use lab_model::{FileName, ProfileName};
use pxe_proto::boot::Profiles;
use pxe_proto::boot::profile::Files;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::config::{Config, Invalid};
use crate::entries::entries;

/// Publishes new profiles when their folder changed; [`Reader::run`] is its task.
pub(crate) struct Reader {
    folder: PathBuf,
    published: watch::Sender<Arc<Profiles>>,
    readable: bool,
}

/// How often the folder is looked at.
const POLL: Duration = Duration::from_secs(1);

/// More is no template.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// More is no profile.
const MAX_FILES: usize = 100;

/// Reads the folder of profiles for the first time. One that is not there is an empty one, until it is there.
pub(crate) fn open(folder: &Path) -> (Reader, watch::Receiver<Arc<Profiles>>) {
    let (published, profiles) = watch::channel(Arc::default());
    let mut reader = Reader { folder: folder.to_owned(), published, readable: true };
    reader.take_up(read(folder));
    (reader, profiles)
}

/// The files of every profile in the folder.
///
/// # Errors
/// The folder, or one of its files, cannot be read.
pub(crate) fn read(folder: &Path) -> io::Result<BTreeMap<ProfileName, Files>> {
    entries::<ProfileName>(folder)?.into_iter().map(|(name, folder)| Ok((name, files(&folder)?))).collect()
}

/// Checks that the profiles are there that classes of the configuration name. One that goes later is told to whoever boots by it.
///
/// # Errors
/// One is not there.
pub(crate) fn of_classes(config: &Config) -> Result<(), Invalid> {
    let named: Vec<_> = config.dhcp.class.iter().filter_map(|class| class.profile.as_ref()).collect();
    let Some(first) = named.first() else { return Ok(()) };
    let folder = config.profiles();
    let there = entries::<ProfileName>(&folder)
        .map_err(|error| config.invalid("dhcp.class.profile", first, format!("{}: {error}", folder.display())))?;
    let there: BTreeSet<_> = there.into_iter().map(|(name, _)| name).collect();
    let Some(missing) = named.into_iter().find(|name| !there.contains(name.get_ref())) else { return Ok(()) };
    let expected = match there.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>() {
        names if names.is_empty() => "there is none at all".to_owned(),
        names => format!("expected one of {}", names.join(", ")),
    };
    let problem = format!("there is no profile `{}` in {}: {expected}", missing.get_ref(), folder.display());
    Err(config.invalid("dhcp.class.profile", missing, problem))
}

fn files(folder: &Path) -> io::Result<Files> {
    let named = |error: io::Error, path: &Path| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let mut files = Files::new();
    for (name, path) in entries::<FileName>(folder)?.into_iter().take(MAX_FILES) {
        let mut text = Vec::new();
        let file = File::open(&path).map_err(|error| named(error, &path))?;
        if !file.metadata()?.is_file() {
            continue;
        }
        file.take(MAX_FILE_BYTES).read_to_end(&mut text).map_err(|error| named(error, &path))?;
        // A backup in another encoding is nobody's template; one that is named is then missed by name.
        files.extend(String::from_utf8(text).ok().map(|text| (name.as_str().to_owned(), text)));
    }
    Ok(files)
}

impl Reader {
    /// Reads on until nobody wants the profiles any more.
    pub(crate) async fn run(mut self) {
        loop {
            tokio::select! {
                () = self.published.closed() => return,
                () = tokio::time::sleep(POLL) => {}
            }
            // Looking is short, but a network file system can hold it up for as long as it likes.
            let folder = self.folder.clone();
            let Ok(read) = tokio::task::spawn_blocking(move || read(&folder)).await else { return };
            self.take_up(read);
        }
    }

    /// Publishes what was read, if it is new. Says once that the folder cannot be read, and once that it can again.
    fn take_up(&mut self, read: io::Result<BTreeMap<ProfileName, Files>>) {
        let folder = self.folder.display();
        match &read {
            Err(error) if self.readable => warn!(%folder, %error, "profiles cannot be read: the last ones stay"),
            Ok(_) if !self.readable => info!(%folder, "profiles can be read again"),
            Ok(_) | Err(_) => {}
        }
        self.readable = read.is_ok();
        let Ok(folders) = read else { return };
        self.published.send_if_modified(|published| {
            let profiles = Profiles::build(folders, published);
            let differs = **published != profiles;
            if differs {
                log_changes(published, &profiles);
                *published = Arc::new(profiles);
            }
            differs
        });
    }
}

fn log_changes(before: &Profiles, after: &Profiles) {
    for profile in after.all().filter(|profile| before.named(&profile.name) != Some(profile)) {
        info!(profile = %profile.name, kind = profile.kind.word(), "profile in force");
    }
    for profile in before.all().filter(|profile| after.named(&profile.name).is_none()) {
        info!(profile = %profile.name, "profile removed");
    }
    for problem in after.problems().iter().filter(|problem| !before.problems().contains(problem)) {
        warn!(%problem, "profile not in force");
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_examples_are_profiles() {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/examples/profiles"));

        let profiles = Profiles::build(read(folder).expect("readable"), &Profiles::default());

        assert_eq!(profiles.problems(), []);
        let kinds: Vec<_> = profiles.all().map(|profile| (profile.name.as_str(), profile.kind.word())).collect();
        assert_eq!(
            kinds,
            [
                ("alpine", "live"),
                ("debian-preseed", "installer"),
                ("fedora-kickstart", "installer"),
                ("menu", "menu"),
                ("netboot-xyz", "script"),
                ("rescue", "memory"),
                ("shell", "live"),
                ("ubuntu-autoinstall", "installer"),
            ]
        );
    }

    #[tokio::test]
    async fn profiles_are_picked_up_and_a_broken_one_stays_as_it_was() {
        let folder = tempfile::tempdir().expect("a folder");
        let (reader, mut profiles) = open(&folder.path().join("profiles"));
        tokio::spawn(reader.run());
        let profile = folder.path().join("profiles/disk");
        fs::create_dir_all(&profile).expect("a folder");

        fs::write(profile.join("profile.toml"), "kind = 'local'").expect("a file");
        fs::write(profile.join("latin.txt"), [0xe9]).expect("a file");

        let disk = "disk".parse().expect("a name");
        profiles.wait_for(|profiles| profiles.named(&disk).is_some()).await.expect("the reader runs");
        fs::write(profile.join("profile.toml"), "kind = 'loca'").expect("a file");
        let broken = profiles.wait_for(|profiles| !profiles.problems().is_empty()).await.expect("the reader runs");
        assert_eq!(broken.named(&disk).map(|profile| profile.kind.word()), Some("local"));
    }
}
