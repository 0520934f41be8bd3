//! A disk as a whole: what of it is started.

use std::fmt;
use std::sync::Arc;

use lab_model::Arch;

use crate::boot::{Bls, Entry, Environment, Menu, choose_bls, compare_versions, read_grubenv};
use crate::files::{Files, Unreadable};
use crate::kernel::{KERNEL_MAX, Kernel, NotKernel};
use crate::partition::{NoTable, Table, TableKind};
use crate::read_at::{Part, ReadAt};
use crate::volume::Volume;
use crate::{ext4, fat};

/// What an image boots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boot {
    /// How its partitions are written down.
    pub table: TableKind,
    /// The kernel, unwrapped.
    pub kernel: Kernel,
    /// The initial RAM file systems, one after the other.
    pub initrd: Vec<u8>,
    /// Where the kernel lies in its file system.
    pub path: String,
    /// The number of the partition that it lies on.
    pub partition: u32,
    /// What led to it.
    pub by: By,
    /// The command line, where something says it.
    pub arguments: Option<String>,
}

/// What leads to a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// A boot loader entry in a file of its own.
    Entry,
    /// GRUB's menu.
    Grub,
    /// A link to the current kernel.
    Link,
    /// Nothing but its name: it is the newest.
    Version,
}

/// Nothing on the disk can be started.
#[derive(Debug, thiserror::Error)]
pub enum NotBootable {
    /// It has no partitions.
    #[error(transparent)]
    Table(#[from] NoTable),
    /// What could be read holds no kernel, and this could not be read.
    #[error("partition {number} holds {volume}, which cannot be read here")]
    Hidden {
        /// Which.
        number: u32,
        /// What it holds.
        volume: Volume,
    },
    /// A file system with a format that is known cannot be read.
    #[error("cannot read partition {number}")]
    Unreadable {
        /// Which.
        number: u32,
        /// Why.
        source: Unreadable,
    },
    /// The file that is named as the kernel is none.
    #[error("{path} on partition {number} cannot be used as a kernel")]
    Kernel {
        /// Which file.
        path: String,
        /// Of which partition.
        number: u32,
        /// Why.
        source: NotKernel,
    },
    /// There is none.
    #[error("there is no kernel with an initrd on it: its partitions are {0}")]
    NoKernel(String),
}

impl Boot {
    /// Finds what `disk` boots.
    ///
    /// # Errors
    /// It has no partitions, or no kernel with an initrd that can be read.
    pub fn find(disk: Arc<dyn ReadAt>) -> Result<Self, NotBootable> {
        let table = Table::read(&*disk)?;
        let system = System::open(disk, &table)?;
        system.boot(table.kind)
    }

    /// The words of its command line that name consoles.
    pub fn consoles(&self) -> Vec<&str> {
        let words = self.arguments.as_deref().unwrap_or_default().split_ascii_whitespace();
        let mut consoles: Vec<&str> = Vec::new();
        for word in words.filter(|word| word.starts_with("console=") && !word.contains("${")) {
            if !consoles.contains(&word) {
                consoles.push(word);
            }
        }
        consoles
    }

    /// What it runs on.
    pub fn arch(&self) -> Arch {
        self.kernel.arch
    }
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Entry => "its boot loader entry",
            Self::Grub => "its GRUB menu",
            Self::Link => "its link to the current kernel",
            Self::Version => "its version, the newest",
        })
    }
}

/// The file systems of a disk.
struct System {
    mounts: Vec<Mount>,
    volumes: Vec<(u32, Volume)>,
}

struct Mount {
    number: u32,
    files: Box<dyn Files>,
}

/// A file that was looked for, and the number of the partition that it is on.
struct Found {
    number: u32,
    path: String,
    content: Vec<u8>,
}

/// What may be started, and the mount whose configuration says so.
struct Candidate {
    mount: usize,
    entry: Entry,
    by: By,
}

impl System {
    fn open(disk: Arc<dyn ReadAt>, table: &Table) -> Result<Self, NotBootable> {
        let mut system = Self { mounts: Vec::new(), volumes: Vec::new() };
        for partition in &table.partitions {
            let number = partition.number;
            let part: Arc<dyn ReadAt> = Arc::new(Part::new(disk.clone(), partition.start, partition.size));
            let volume = Volume::of(&*part);
            system.volumes.push((number, volume));
            let files: Result<Box<dyn Files>, _> = match volume {
                Volume::Ext4 => ext4::open(part).map(|files| Box::new(files) as _),
                Volume::Fat => fat::open(part).map(|files| Box::new(files) as _),
                Volume::Xfs | Volume::Btrfs | Volume::Squashfs | Volume::Lvm | Volume::Luks | Volume::Unknown => {
                    continue;
                }
            };
            let files = files.map_err(|source| NotBootable::Unreadable { number, source })?;
            system.mounts.push(Mount { number, files });
        }
        Ok(system)
    }

    /// Tries one after the other; the first reason that one was not usable is the one that is told.
    fn boot(&self, table: TableKind) -> Result<Boot, NotBootable> {
        let mut problem = None;
        for source in [Self::configured, Self::linked, Self::named] {
            for candidate in source(self)? {
                match self.load(&candidate, table) {
                    Ok(Some(boot)) => return Ok(boot),
                    Ok(None) => {}
                    Err(error) => problem = problem.or(Some(error)),
                }
            }
        }
        Err(problem.unwrap_or_else(|| self.nothing()))
    }

    fn nothing(&self) -> NotBootable {
        let hidden = |(_, volume): &&(u32, Volume)| match volume {
            Volume::Ext4 | Volume::Fat | Volume::Unknown => false,
            Volume::Xfs | Volume::Btrfs | Volume::Squashfs | Volume::Lvm | Volume::Luks => true,
        };
        match self.volumes.iter().find(hidden) {
            Some(&(number, volume)) => NotBootable::Hidden { number, volume },
            None => {
                let volumes = self.volumes.iter().map(|(number, volume)| format!("{number} ({volume})"));
                NotBootable::NoKernel(volumes.collect::<Vec<_>>().join(", "))
            }
        }
    }

    fn load(&self, candidate: &Candidate, table: TableKind) -> Result<Option<Boot>, NotBootable> {
        let Entry { kernel, initrds, arguments } = &candidate.entry;
        let Some(Found { number, path, content }) = self.find(candidate.mount, kernel, KERNEL_MAX)? else {
            return Ok(None);
        };
        let mut initrd = Vec::new();
        for path in initrds {
            let Some(found) = self.find(candidate.mount, path, INITRD_MAX)? else {
                return Ok(None);
            };
            // Documentation/driver-api/early-userspace/buffer-format.rst: each begins at a multiple of four.
            initrd.resize(initrd.len().next_multiple_of(4), 0);
            initrd.extend(found.content);
        }
        if initrd.is_empty() {
            return Ok(None);
        }
        let kernel =
            Kernel::read(content).map_err(|source| NotBootable::Kernel { path: path.clone(), number, source })?;
        let arguments = arguments.clone();
        Ok(Some(Boot { table, kernel, initrd, path, partition: number, by: candidate.by, arguments }))
    }

    /// The file that a boot loader finds at `path`, where its configuration lies on the mount `first`. A path is counted from
    /// its file system's root or from the system's, whichever the configuration was written for.
    fn find(&self, first: usize, path: &str, most: u64) -> Result<Option<Found>, NotBootable> {
        let inside = path.strip_prefix("/boot").filter(|rest| rest.starts_with('/'));
        let paths = [Some(path.to_owned()), inside.map(str::to_owned), Some(format!("/boot{path}"))];
        let others = (0..self.mounts.len()).filter(|index| *index != first);
        for mount in [first].into_iter().chain(others).filter_map(|index| self.mounts.get(index)) {
            for path in paths.iter().flatten() {
                if let Some(content) = mount.read(path, most)? {
                    return Ok(Some(Found { number: mount.number, path: path.clone(), content }));
                }
            }
        }
        Ok(None)
    }

    /// By what the boot loader reads.
    fn configured(&self) -> Result<Vec<Candidate>, NotBootable> {
        let mut menu = None;
        for (mount, files) in self.mounts.iter().enumerate() {
            for folder in GRUB_FOLDERS {
                let Some(script) = files.text(&format!("{folder}/grub.cfg"))? else {
                    continue;
                };
                let block = files.read(&format!("{folder}/grubenv"), CONFIGURATION_MAX)?.unwrap_or_default();
                let found = Menu::read(&script, read_grubenv(&block));
                let entries: Vec<_> = found.entries();
                if found.has_bls || !entries.is_empty() {
                    menu.get_or_insert((mount, found, entries));
                }
            }
        }
        let of_grub = menu.as_ref().map(|(mount, _, entries)| (*mount, entries.clone()));
        let of_grub = of_grub.into_iter().flat_map(|(mount, entries)| {
            entries.into_iter().map(move |entry| Candidate { mount, entry, by: By::Grub })
        });
        // Entries that a GRUB without `blscfg` does not look at are whoever's.
        if menu.as_ref().is_some_and(|(_, menu, _)| !menu.has_bls) {
            return Ok(of_grub.collect());
        }
        let mut candidates = self.entries(menu.as_ref().map(|(_, menu, _)| menu))?;
        candidates.extend(of_grub);
        Ok(candidates)
    }

    fn entries(&self, menu: Option<&Menu>) -> Result<Vec<Candidate>, NotBootable> {
        let none = Environment::new();
        let environment = menu.map_or(&none, |menu| &menu.environment);
        let mut candidates = Vec::new();
        for (mount, files) in self.mounts.iter().enumerate() {
            for folder in ["/loader", "/boot/loader"] {
                let mut entries = Vec::new();
                for name in files.list(&format!("{folder}/entries"))?.iter().filter(|name| name.ends_with(".conf")) {
                    let text = files.text(&format!("{folder}/entries/{name}"))?.unwrap_or_default();
                    entries.extend(Bls::read(name, &text, environment));
                }
                let loader = files.text(&format!("{folder}/loader.conf"))?.unwrap_or_default();
                let of_loader = loader.lines().find_map(|line| line.strip_prefix("default")).map(str::trim);
                let saved = menu.and_then(Menu::default_entry).or(of_loader).map(|name| name.trim_end_matches(".conf"));
                let entries = choose_bls(entries, saved).into_iter().map(|bls| bls.entry);
                candidates.extend(entries.map(|entry| Candidate { mount, entry, by: By::Entry }));
            }
        }
        Ok(candidates)
    }

    /// By the links that distributions keep to the newest kernel.
    fn linked(&self) -> Result<Vec<Candidate>, NotBootable> {
        let links = |mount| {
            LINKS.iter().map(move |(kernel, initrd)| Candidate {
                mount,
                entry: Entry { kernel: (*kernel).to_owned(), initrds: vec![(*initrd).to_owned()], arguments: None },
                by: By::Link,
            })
        };
        Ok((0..self.mounts.len()).flat_map(links).collect())
    }

    /// By version, newest first; kernels to rescue a system with come last.
    fn named(&self) -> Result<Vec<Candidate>, NotBootable> {
        let mut found = Vec::new();
        for (mount, files) in self.mounts.iter().enumerate() {
            for folder in ["/boot", ""] {
                let names = files.list(if folder.is_empty() { "/" } else { folder })?;
                let kernels = names.iter().filter_map(|name| {
                    let version = KERNELS.iter().find_map(|prefix| name.strip_prefix(prefix))?;
                    let initrd = INITRDS.iter().map(|(before, after)| format!("{before}{version}{after}"));
                    let initrd = initrd.into_iter().find(|initrd| names.contains(initrd))?;
                    let (kernel, initrds) = (format!("{folder}/{name}"), vec![format!("{folder}/{initrd}")]);
                    let candidate =
                        Candidate { mount, entry: Entry { kernel, initrds, arguments: None }, by: By::Version };
                    Some((version.to_owned(), candidate))
                });
                found.extend(kernels.collect::<Vec<_>>());
            }
        }
        found.sort_by(|(left, _), (right, _)| compare_versions(right, left));
        Ok(found.into_iter().map(|(_, candidate)| candidate).collect())
    }
}

impl Mount {
    fn read(&self, path: &str, most: u64) -> Result<Option<Vec<u8>>, NotBootable> {
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        self.files.read(&path, most).map_err(|source| self.unreadable(source))
    }

    fn text(&self, path: &str) -> Result<Option<String>, NotBootable> {
        let file = self.read(path, CONFIGURATION_MAX)?;
        Ok(file.map(|file| String::from_utf8_lossy(&file).into_owned()))
    }

    fn list(&self, path: &str) -> Result<Vec<String>, NotBootable> {
        self.files.list(path).map_err(|source| self.unreadable(source))
    }

    fn unreadable(&self, source: Unreadable) -> NotBootable {
        NotBootable::Unreadable { number: self.number, source }
    }
}

/// From the root of a system, and from that of a partition for `/boot`. Those of EFI system partitions only lead here.
const GRUB_FOLDERS: [&str; 4] = ["/boot/grub", "/boot/grub2", "/grub", "/grub2"];
const LINKS: [(&str, &str); 4] = [
    ("/vmlinuz", "/initrd.img"),
    ("/boot/vmlinuz", "/boot/initrd.img"),
    ("/boot/vmlinuz", "/boot/initrd"),
    ("/boot/Image", "/boot/initrd"),
];
const KERNELS: [&str; 4] = ["vmlinuz-", "Image-", "kernel-", "vmlinux-"];
const INITRDS: [(&str, &str); 4] = [("initrd.img-", ""), ("initramfs-", ".img"), ("initrd-", ""), ("initramfs-", "")];
/// GRUB's configuration of a machine with many kernels has some hundred KiB.
const CONFIGURATION_MAX: u64 = 4 << 20;
const INITRD_MAX: u64 = 512 << 20;
