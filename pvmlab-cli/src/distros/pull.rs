//! Images that are asked for: fetched, several at once, and made into images one after another.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use lab_model::{Arch, FileName, ImageName};

use super::catalogue::{Source, Verification};
use super::checksums::{self, Digest};
use super::download::Download;
use super::http::{Http, Trouble};
use super::location::Location;
use super::mirror::Mirrors;
use super::place::Place;
use super::record::Record;
use crate::error::{Failure, Kind, Result};
use crate::home::{Home, Lock};
use crate::images::{self, Image, Wanted};
use crate::interrupt::Interrupt;
use crate::progress::Bars;
use crate::removal;
use crate::ui::Ui;

/// One image that is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) name: ImageName,
    pub(crate) arch: Arch,
    pub(crate) source: Source,
}

/// What pulling did.
#[derive(Clone, Debug)]
pub(crate) enum Pulled {
    /// It came, new or anew.
    New(Record),
    /// What is here is what upstream has.
    UpToDate(Record),
}

/// What fetches for the images of a home.
pub(crate) struct Fetcher<'a> {
    home: &'a Home,
    http: Http,
    mirrors: Mirrors,
    interrupt: &'a Interrupt,
    ui: Ui,
}

impl<'a> Fetcher<'a> {
    /// With the proxies and mirrors of the environment.
    ///
    /// # Errors
    /// The environment says nonsense.
    pub(crate) fn new(home: &'a Home, interrupt: &'a Interrupt, ui: Ui) -> Result<Self> {
        Ok(Self { home, http: Http::from_environment()?, mirrors: Mirrors::from_environment()?, interrupt, ui })
    }

    /// Pulls all of them; `each` is told of one after another, as they come.
    pub(crate) fn pull<'o>(&self, orders: &'o [Order], mut each: impl FnMut(&'o Order, Result<Pulled>)) {
        let bars = Bars::new(self.ui);
        self.at_once(
            orders,
            |order| self.fetch(order, &bars),
            |order, fetched| {
                each(order, fetched.and_then(|fetched| self.prepare(order, fetched, &bars)));
            },
        );
    }

    /// The paths of all these files in their order; those from elsewhere come into `folder`, where what can be gone on with stays.
    ///
    /// # Errors
    /// The first that does not come, or is not what it has to be.
    pub(crate) fn fetch_places(&self, places: &[&Place], folder: &Path) -> Result<Vec<PathBuf>> {
        let bars = Bars::new(self.ui);
        let numbered: Vec<_> = (0..).zip(places.iter().copied()).collect();
        let mut paths = BTreeMap::new();
        let fetch = |(number, place): &(u32, &Place)| match place {
            Place::Here(path) => Ok(path.clone()),
            Place::Elsewhere { url, digest } => self.fetch_part(url, *digest, &folder.join(number.to_string()), &bars),
        };
        let mut first = Ok(());
        self.at_once(&numbered, fetch, |(number, _), fetched| match fetched {
            Ok(path) => drop(paths.insert(*number, path)),
            Err(failure) if first.is_ok() => first = Err(failure),
            Err(_) => {}
        });
        first.map(|()| paths.into_values().collect())
    }

    fn fetch_part(&self, url: &Location, digest: Option<Digest>, folder: &Path, bars: &Bars) -> Result<PathBuf> {
        match digest {
            None if url.is_guarded() => self.trust(url, bars)?,
            None => {
                let message = format!("{url} is not guarded by TLS, and nobody says what it has to be");
                return Err(
                    Failure::new(Kind::Usage, message).hinted(format!("write its digest behind it: `{url}#sha256:…`"))
                );
            }
            Some(_) => {}
        }
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let progress = bars.start(url.file_name(), self.interrupt);
        let download = Download {
            home: self.home,
            from: &self.mirrors.nearest(url),
            digest,
            folder,
            http: &self.http,
            progress: &progress,
            interrupt: self.interrupt,
        };
        download.run()?;
        Ok(download.part())
    }

    /// Does something for each of `items`, several at once; `each` is told of one after another, as they are done.
    fn at_once<'o, O: Sync, T: Send>(
        &self,
        items: &'o [O],
        work: impl Fn(&'o O) -> Result<T> + Sync,
        mut each: impl FnMut(&'o O, Result<T>),
    ) {
        let (queue, (tell, told)) = (Mutex::new(items.iter()), mpsc::channel());
        std::thread::scope(|scope| {
            for _ in 0..items.len().min(AT_ONCE) {
                let (queue, work, tell) = (&queue, &work, tell.clone());
                scope.spawn(move || {
                    loop {
                        let Some(item) = queue.lock().ok().and_then(|mut queue| queue.next()) else { return };
                        if tell.send((item, work(item))).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(tell);
            loop {
                match told.recv_timeout(Duration::from_millis(100)) {
                    Ok((item, done)) => each(item, done),
                    // Threads that wait for the network notice nothing else.
                    Err(RecvTimeoutError::Timeout) if self.interrupt.check().is_err() => self.http.end(),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        });
    }

    /// Whether upstream has another file than the one here; remembered in its record.
    ///
    /// # Errors
    /// Nobody can tell.
    pub(crate) fn is_outdated(&self, order: &Order) -> Result<bool> {
        let Order { name, arch, source } = order;
        let _lock = self.home.lock_download(name, *arch, self.interrupt)?;
        let Some(record) = Record::read(self.home, name, *arch) else {
            return Err(Failure::new(Kind::NotFound, format!("`{name}` for {arch} was not pulled"))
                .hinted(format!("pull it with `pvmlab distro pull {name} --arch {arch}`")));
        };
        let digest = self.digest(source)?;
        let outdated = !self.is_current(&record, source, digest.as_ref())?;
        if record.outdated != outdated {
            Record { outdated, ..record }.write(self.home, name, *arch)?;
        }
        Ok(outdated)
    }

    fn fetch(&self, order: &Order, bars: &Bars) -> Result<Fetched> {
        let Order { name, arch, source } = order;
        let lock = self.home.lock_download(name, *arch, self.interrupt)?;
        let before = Record::read(self.home, name, *arch);
        self.refuse_another(name, *arch, before.as_ref())?;
        let digest = self.digest(source)?;
        if let Some(record) = before.clone().filter(|record| self.is_here(record, name, *arch))
            && self.is_current(&record, source, digest.as_ref())?
        {
            return Ok(Fetched { pulled: Pulled::UpToDate(record), lock });
        }
        if digest.is_none() {
            self.trust(&source.url, bars)?;
        }
        let folder = self.home.download(name, *arch);
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let progress = bars.start(&format!("{name} for {arch}"), self.interrupt);
        let from = self.mirrors.nearest(&source.url);
        let download = Download {
            home: self.home,
            from: &from,
            digest,
            folder: &folder,
            http: &self.http,
            progress: &progress,
            interrupt: self.interrupt,
        };
        let downloaded = download.run()?;
        let file = file_name(&source.url);
        self.put(&download.part(), &folder, before.as_ref(), &file)?;
        let record = Record {
            source: source.clone(),
            file,
            size: downloaded.size,
            sha256: downloaded.sha256,
            digest,
            validators: downloaded.validators,
            pulled: Timestamp::now(),
            outdated: false,
            // Until this one is prepared.
            image: before.and_then(|before| before.image),
        };
        record.write(self.home, name, *arch)?;
        Ok(Fetched { pulled: Pulled::New(record), lock })
    }

    /// Makes an image of what came, and keeps the vendor's file no longer: all of it is in the image.
    fn prepare(&self, order: &Order, fetched: Fetched, bars: &Bars) -> Result<Pulled> {
        let Order { name, arch, .. } = order;
        let Fetched { pulled, lock: _lock } = fetched;
        let record = pulled.record();
        if !record.is_kept(self.home, name, *arch) {
            return Ok(pulled);
        }
        let lab = self.home.lock_patiently(self.interrupt)?;
        removal::sweep(self.home, &lab)?;
        let path = self.home.download(name, *arch).join(record.file.as_str());
        let installer_kernel = record.source.installer_kernel.as_ref();
        let wanted = Wanted { name: Some(name), arch: Some(*arch), replaces: true, installer_kernel };
        let (image, found) = images::prepare(self.home, &path, wanted, self.interrupt, self.ui)?;
        bars.say(self.ui, format_args!("`{name}` for {arch} is {found}"));
        let record = Record { image: image.manifest.disk.map(|disk| disk.sha256), ..record.clone() };
        record.write(self.home, name, *arch)?;
        removal::remove_path(&path)?;
        Ok(match pulled {
            Pulled::New(_) => Pulled::New(record),
            Pulled::UpToDate(_) => Pulled::UpToDate(record),
        })
    }

    /// An image that was not pulled is somebody's own: it does not become another by itself.
    fn refuse_another(&self, name: &ImageName, arch: Arch, before: Option<&Record>) -> Result<()> {
        let Ok(image) = Image::find(self.home, name, arch) else { return Ok(()) };
        if before.is_some_and(|before| before.is_of(&image)) {
            return Ok(());
        }
        Err(images::taken(name, arch))
    }

    /// Puts the whole file under its own name, and removes the one that it follows.
    fn put(&self, part: &Path, folder: &Path, before: Option<&Record>, file: &FileName) -> Result<()> {
        let place = folder.join(file.as_str());
        fs::rename(part, &place).with_context(|| format!("cannot write {}", place.display()))?;
        removal::remove_path(&folder.join(super::download::PART_DESCRIPTION))?;
        if let Some(before) = before.filter(|before| &before.file != file) {
            removal::remove_path(&folder.join(before.file.as_str()))?;
        }
        Ok(())
    }

    /// What the file has to hash to, if anybody says.
    fn digest(&self, source: &Source) -> Result<Option<Digest>> {
        let list = match &source.verification {
            Verification::None => return Ok(None),
            Verification::Pinned(digest) => return Ok(Some(*digest)),
            Verification::List(list) => list,
        };
        let near = self.mirrors.nearest(list);
        let text = self.patiently(|| self.http.text(&near))?;
        let file = source.url.file_name();
        let is_for_it_alone = list.file_name().starts_with(file);
        checksums::find(&text, file, is_for_it_alone).map(Some).map_err(|error| {
            Failure::new(Kind::Failed, format!("{near} does not tell what {file} has to be: {error}"))
                .hinted("see what the vendor publishes beside it, and name that as `checksums` in distros.yaml")
        })
    }

    /// Whether the download is still what upstream has.
    fn is_current(&self, record: &Record, source: &Source, digest: Option<&Digest>) -> Result<bool> {
        if let Some(digest) = digest {
            return Ok(record.digest.as_ref() == Some(digest));
        }
        let near = self.mirrors.nearest(&source.url);
        let is_unchanged = self.patiently(|| self.http.is_unchanged(&near, &record.validators))?;
        Ok(record.source.url == source.url && is_unchanged == Some(true))
    }

    /// Whether what was downloaded is here: the file, or the image that was made of it.
    fn is_here(&self, record: &Record, name: &ImageName, arch: Arch) -> bool {
        let is_made = || Image::find(self.home, name, arch).is_ok_and(|image| record.made(&image));
        record.is_kept(self.home, name, arch) || is_made()
    }

    /// Whether a file that nothing is compared with may come.
    fn trust(&self, url: &Location, bars: &Bars) -> Result<()> {
        if url.is_guarded() {
            if url.path().is_none() {
                let warning = format!("warning: nobody says what {url} has to be: it is taken as it comes");
                bars.say(self.ui, warning);
            }
            return Ok(());
        }
        Err(Failure::new(Kind::Usage, format!("{url} is not guarded by TLS, and nobody says what it has to be")).hinted(
            "name the vendor's list as `checksums`, or the digest as `checksum`, in distros.yaml or with `distro add`",
        ))
    }

    /// Asks again where that may help.
    fn patiently<T>(&self, ask: impl Fn() -> Result<T, Trouble>) -> Result<T> {
        let mut pause = Duration::from_millis(500);
        loop {
            match ask() {
                Ok(answer) => return Ok(answer),
                Err(Trouble::Passing(failure) | Trouble::Lasting(failure)) if self.interrupt.check().is_err() => {
                    drop(failure);
                    return Err(Failure::new(Kind::Interrupted, "interrupted"));
                }
                Err(Trouble::Passing(failure)) if pause > LONGEST_PAUSE => return Err(failure),
                Err(Trouble::Passing(_)) => self.interrupt.pause(pause)?,
                Err(Trouble::Lasting(failure)) => return Err(failure),
            }
            pause *= 2;
        }
    }
}

/// A download that nobody else may touch yet.
struct Fetched {
    pulled: Pulled,
    lock: Lock,
}

/// More connections make nothing faster, and vendors' mirrors count them.
const AT_ONCE: usize = 3;

const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The name of the file here: the vendor's own where it is a plain one.
fn file_name(url: &Location) -> FileName {
    let is_ours = |name: &FileName| ["part", "part.json", "source.json"].contains(&name.as_str());
    let own = url.file_name().parse().ok().filter(|name| !is_ours(name));
    own.unwrap_or_else(|| "image".parse().expect("it is a plain name"))
}

impl Pulled {
    /// What there is now.
    pub(crate) fn record(&self) -> &Record {
        match self {
            Self::New(record) | Self::UpToDate(record) => record,
        }
    }
}
