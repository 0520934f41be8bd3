//! FAT12, FAT16 and FAT32 with long names (Microsoft's FAT specification 1.03), as EFI system partitions have it.

use std::sync::Arc;

use crate::files::{Files, NAMES_MAX, Unreadable, is_dots};
use crate::read_at::{ReadAt, array, le16, le32};

/// Whether `volume` holds such a file system.
pub(crate) fn is(volume: &dyn ReadAt) -> bool {
    array(volume, 0).is_ok_and(|sector| Layout::of(&sector).is_some())
}

/// Opens the file system in `volume`.
///
/// # Errors
/// It cannot be read.
pub(crate) fn open(volume: Arc<dyn ReadAt>) -> Result<impl Files, Unreadable> {
    let sector = array(&*volume, 0)?;
    let layout =
        Layout::of(&sector).ok_or_else(|| Unreadable::Damaged("its first sector makes no sense".to_owned()))?;
    Ok(Fat { volume, layout })
}

struct Fat {
    volume: Arc<dyn ReadAt>,
    layout: Layout,
}

/// Where things lie, in bytes.
#[derive(Clone, Copy, Debug)]
struct Layout {
    width: Width,
    cluster_size: u64,
    clusters: u64,
    table: u64,
    /// Of FAT12 and FAT16, which have the root folder in a place of its own.
    root: u64,
    root_size: u64,
    data: u64,
    /// Of FAT32, whose root folder is a file like others.
    root_cluster: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Width {
    Fat12,
    Fat16,
    Fat32,
}

/// One entry of a folder.
#[derive(Clone, Debug)]
struct Entry {
    name: String,
    is_folder: bool,
    cluster: u32,
    size: u32,
}

impl Layout {
    /// §3.1 to §3.5 of the specification.
    fn of(sector: &[u8; 512]) -> Option<Self> {
        let bytes = u64::from(le16(sector, 11));
        let per_cluster = u64::from(sector[13]);
        let (reserved, tables) = (u64::from(le16(sector, 14)), u64::from(sector[16]));
        let sane = sector[510..] == [0x55, 0xaa]
            && matches!(sector[0], 0xeb | 0xe9)
            && (512..=4096).contains(&bytes)
            && bytes.is_power_of_two()
            && per_cluster.is_power_of_two()
            && reserved > 0
            && (1..=2).contains(&tables);
        if !sane {
            return None;
        }
        let short = |small: u16, large: u32| if small == 0 { u64::from(large) } else { u64::from(small) };
        let sectors = short(le16(sector, 19), le32(sector, 32));
        let table_sectors = short(le16(sector, 22), le32(sector, 36));
        let root_size = u64::from(le16(sector, 17)) * 32;
        let root = reserved + tables * table_sectors;
        let data = root + root_size.div_ceil(bytes);
        let clusters = sectors.checked_sub(data)? / per_cluster;
        let width = match clusters {
            ..4085 => Width::Fat12,
            4085..65525 => Width::Fat16,
            65525.. => Width::Fat32,
        };
        // mkfs.fat and mformat make FAT32 of fewer clusters when asked to; what such a file system has no root folder for is that.
        let width = if root_size == 0 { Width::Fat32 } else { width };
        Some(Self {
            width,
            cluster_size: per_cluster * bytes,
            clusters,
            table: reserved * bytes,
            root: root * bytes,
            root_size,
            data: data * bytes,
            root_cluster: le32(sector, 44),
        })
    }
}

impl Fat {
    /// The cluster after this one; `None` at the end of a file.
    fn next(&self, cluster: u32) -> Result<Option<u32>, Unreadable> {
        let (table, number) = (self.layout.table, u64::from(cluster));
        let (next, end) = match self.layout.width {
            Width::Fat12 => {
                let pair = le16(&array::<2>(&*self.volume, table + number + number / 2)?, 0);
                (u32::from(if number % 2 == 0 { pair & 0xfff } else { pair >> 4 }), 0xff8)
            }
            Width::Fat16 => (u32::from(le16(&array::<2>(&*self.volume, table + number * 2)?, 0)), 0xfff8),
            Width::Fat32 => (le32(&array::<4>(&*self.volume, table + number * 4)?, 0) & 0x0fff_ffff, 0x0fff_fff8),
        };
        Ok((next < end).then_some(next))
    }

    /// What the chain of clusters that begins with `cluster` holds, at most `most` bytes of it.
    fn chain(&self, cluster: u32, most: u64) -> Result<Vec<u8>, Unreadable> {
        let (mut content, mut cluster) = (Vec::new(), Some(cluster));
        while let Some(number) = cluster.filter(|_| (content.len() as u64) < most) {
            let index = u64::from(number).checked_sub(2).filter(|index| *index < self.layout.clusters);
            let index = index.ok_or_else(|| Unreadable::Damaged("a file leaves it".to_owned()))?;
            let length = self.layout.cluster_size.min(most - content.len() as u64) as usize;
            let start = content.len();
            content.resize(start + length, 0);
            self.volume.read_at(self.layout.data + index * self.layout.cluster_size, &mut content[start..])?;
            cluster = self.next(number)?;
        }
        Ok(content)
    }

    fn root(&self) -> Result<Vec<Entry>, Unreadable> {
        if self.layout.width == Width::Fat32 {
            return Ok(entries(&self.chain(self.layout.root_cluster, FOLDER_MAX)?));
        }
        let mut content = vec![0; self.layout.root_size as usize];
        self.volume.read_at(self.layout.root, &mut content)?;
        Ok(entries(&content))
    }

    /// The folder at `path`; `None` when there is none.
    fn folder(&self, path: &str) -> Result<Option<Vec<Entry>>, Unreadable> {
        let mut folder = self.root()?;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let Some(entry) = find(&folder, name).filter(|entry| entry.is_folder) else {
                return Ok(None);
            };
            folder = entries(&self.chain(entry.cluster, FOLDER_MAX)?);
        }
        Ok(Some(folder))
    }
}

impl Files for Fat {
    fn read(&self, path: &str, most: u64) -> Result<Option<Vec<u8>>, Unreadable> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let Some(folder) = self.folder(folder)? else {
            return Ok(None);
        };
        let Some(Entry { cluster, size, .. }) = find(&folder, name).filter(|entry| !entry.is_folder) else {
            return Ok(None);
        };
        let size = u64::from(*size);
        if size > most {
            return Err(Unreadable::Long { path: path.to_owned(), size, most });
        }
        let content = self.chain(*cluster, size)?;
        if (content.len() as u64) < size {
            return Err(Unreadable::Damaged(format!("{path} ends too early")));
        }
        Ok(Some(content))
    }

    fn list(&self, path: &str) -> Result<Vec<String>, Unreadable> {
        let folder = self.folder(path)?.unwrap_or_default();
        let mut names: Vec<_> =
            folder.into_iter().map(|entry| entry.name).filter(|name| !is_dots(name)).take(NAMES_MAX).collect();
        names.sort();
        Ok(names)
    }
}

fn find<'a>(folder: &'a [Entry], name: &str) -> Option<&'a Entry> {
    folder.iter().find(|entry| entry.name.eq_ignore_ascii_case(name))
}

/// §6 and §7: a long name comes in pieces before the entry that it belongs to, the last piece first.
fn entries(folder: &[u8]) -> Vec<Entry> {
    let (mut entries, mut long) = (Vec::new(), Vec::<u16>::new());
    for entry in folder.chunks_exact(32).take_while(|entry| entry[0] != 0) {
        match (entry[0], entry[11]) {
            (DELETED, _) => long.clear(),
            (_, LONG_NAME) => {
                let units = [1..11, 14..26, 28..32].into_iter().flat_map(|range| entry[range].chunks_exact(2));
                let piece = units.map(|unit| le16(unit, 0)).take_while(|unit| *unit != 0);
                long.splice(..0, piece);
                long.truncate(LONG_NAME_MAX);
            }
            (_, attributes) if attributes & VOLUME_LABEL != 0 => long.clear(),
            (_, attributes) => {
                let name = if long.is_empty() { short_name(entry) } else { String::from_utf16_lossy(&long) };
                long.clear();
                entries.push(Entry {
                    name,
                    is_folder: attributes & FOLDER != 0,
                    cluster: u32::from(le16(entry, 20)) << 16 | u32::from(le16(entry, 26)),
                    size: le32(entry, 28),
                });
            }
        }
    }
    entries
}

fn short_name(entry: &[u8]) -> String {
    let part = |bytes: &[u8], lower: bool| {
        let text = String::from_utf8_lossy(bytes).trim_end().to_owned();
        if lower { text.to_ascii_lowercase() } else { text }
    };
    // Windows NT and Linux keep in these bits what case the name was written in.
    let (name, extension) = (part(&entry[..8], entry[12] & 8 != 0), part(&entry[8..11], entry[12] & 16 != 0));
    if extension.is_empty() { name } else { format!("{name}.{extension}") }
}

const DELETED: u8 = 0xe5;
const LONG_NAME: u8 = 0x0f;
const VOLUME_LABEL: u8 = 0x08;
const FOLDER: u8 = 0x10;
const LONG_NAME_MAX: usize = 255;
/// §6: a folder holds at most 65,536 entries of 32 bytes.
const FOLDER_MAX: u64 = 2 << 20;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_files_of_every_width() {
        for (arguments, mib) in
            [(&["-t", "80", "-h", "2", "-s", "18"][..], 0), (&["-T", "32768"], 16), (&["-F", "-T", "98304"], 48)]
        {
            let volume = volume(arguments, mib);
            let fat = open(Arc::new(volume)).expect("a file system");

            assert_eq!(fat.list("/loader/entries").expect("read"), ["a long name of an entry.conf"], "{arguments:?}");
            let long = fat.read("/loader/entries/a long name of an entry.conf", 1 << 20).expect("read");
            assert_eq!(long, Some(content()), "{arguments:?}");
            assert_eq!(fat.read("/SHORT.TXT", 10).expect("read").as_deref(), Some(&b"short"[..]));
            assert_eq!(fat.read("/short.txt", 10).expect("read").as_deref(), Some(&b"short"[..]));
            for absent in ["/none", "/loader", "/short.txt/none", "/none/none"] {
                assert_eq!(fat.read(absent, 10).expect("read"), None, "{absent}");
            }
            let error = fat.read("/short.txt", 4).expect_err("longer");
            assert_eq!(error.to_string(), "/short.txt has 5 bytes: expected at most 4");
        }
    }

    #[test]
    fn no_volume_makes_it_panic_or_take_much_memory() {
        let whole = volume(&["-T", "32768"], 16);
        let changes = prop::collection::vec((prop_oneof![0_usize..64, 0_usize..0x20000], any::<u8>()), 0..12);

        proptest!(|(changes in changes, cut in any::<prop::sample::Index>(), cuts in any::<bool>())| {
            let mut volume = whole.clone();
            for (at, byte) in changes {
                volume[at] = byte;
            }
            if cuts {
                volume.truncate(cut.index(0x20000));
            }
            if let Ok(fat) = open(Arc::new(volume)) {
                let _ = fat.list("/loader/entries");
                let _ = fat.read("/loader/entries/a long name of an entry.conf", 1 << 20);
            }
        });
    }

    fn content() -> Vec<u8> {
        (0..20_000_u32).map(|at| (at / 7) as u8).collect()
    }

    #[expect(clippy::disallowed_methods, reason = "a test makes its input with other programs")]
    fn volume(arguments: &[&str], mib: u64) -> Vec<u8> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        let run = |program: &str, arguments: &[&str]| {
            let mut command = Command::new(program);
            command.args(arguments).current_dir(folder.path()).env("MTOOLS_SKIP_CHECK", "1");
            let output = command.output().expect("it runs: install mtools");
            assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        };
        fs::write(path("a long name of an entry.conf"), content()).expect("written");
        fs::write(path("short.txt"), "short").expect("written");
        fs::write(path("volume"), vec![0; (mib as usize) << 20]).expect("written");
        let create = if mib == 0 { &["-C"][..] } else { &[] };
        run("mformat", &[&["-i", "volume"], create, arguments, &["::"]].concat());
        run("mmd", &["-i", "volume", "::/loader", "::/loader/entries"]);
        run("mcopy", &["-i", "volume", "a long name of an entry.conf", "::/loader/entries"]);
        run("mcopy", &["-i", "volume", "short.txt", "::/"]);
        fs::read(path("volume")).expect("read")
    }
}
