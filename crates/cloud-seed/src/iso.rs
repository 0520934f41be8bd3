//! The ISO 9660 image that carries a seed: one folder, some files, nothing that depends on when it was made.
//!
//! Names are there three times: as ISO 9660 level 2 has them, as Rock Ridge has them (what Linux prefers, under the exact
//! names that NoCloud looks for) and as Joliet has them (what everything else reads).

use crate::Seed;

/// An image of some files, without a copy of what is in them.
///
/// It can be written raw to a partition or be attached as a drive: cloud-init finds it by its volume label, `cidata`.
#[derive(Debug)]
pub struct Iso<'a> {
    /// Everything before the first file: descriptors, path tables, folders.
    head: Vec<u8>,
    /// What the files hold, in the order in which they lie.
    contents: Vec<&'a [u8]>,
}

/// A file that an image cannot hold; the message names it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotInIso {
    /// Its name has no form in one of the three.
    #[error(
        "`{0}` cannot be the name of a file in a seed: expected 1 to 28 of `a-z`, `0-9` and `._@-`, with one dot at most"
    )]
    Name(String),
    /// Another file has this name, or one that differs only in what ISO 9660 cannot tell apart.
    #[error("a seed has two files named `{0}`")]
    Twice(String),
    /// Its length has no form, or the whole image's.
    #[error("`{0}` is too large for a seed: expected less than 4 GiB in all")]
    Size(String),
}

impl<'a> Iso<'a> {
    /// Lays the files out; equal files give equal bytes.
    ///
    /// # Errors
    /// A file has a name or a size that the image cannot express.
    pub fn new(files: &[(&'a str, &'a [u8])]) -> Result<Self, NotInIso> {
        let mut named = Vec::with_capacity(files.len());
        for (name, contents) in files {
            named.push((identifier(name)?, *name, *contents));
        }
        // ECMA-119 §9.3: a folder is in the order of its identifiers.
        named.sort();
        if let Some([_, (_, name, _)]) = named.array_windows().find(|[(a, ..), (b, ..)]| a == b) {
            return Err(NotInIso::Twice((*name).to_owned()));
        }
        let files = lay_out(&named)?;
        Ok(Self { head: head(&files), contents: named.into_iter().map(|(_, _, contents)| contents).collect() })
    }

    /// The image, piece by piece; in all a multiple of 2048 bytes.
    pub fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let files = self.contents.iter().flat_map(|contents| [*contents, padding(contents.len())]);
        std::iter::once(&self.head[..]).chain(files)
    }
}

/// Writes the image of a seed; equal seeds give equal bytes.
pub fn iso(seed: &Seed) -> Vec<u8> {
    let files = seed.files().map(|(name, text)| (name, text.as_bytes()));
    let iso = Iso::new(&files).expect("the four names are good ones, and the documents are made in memory");
    iso.pieces().collect::<Vec<_>>().concat()
}

/// Gives each file its sectors. All but the place of the first is independent of how many sectors the folders take.
fn lay_out<'a>(named: &[(String, &'a str, &[u8])]) -> Result<Vec<File<'a>>, NotInIso> {
    let mut files = Vec::with_capacity(named.len());
    for (identifier, name, contents) in named {
        let bytes = u32::try_from(contents.len()).map_err(|_| NotInIso::Size((*name).to_owned()))?;
        files.push(File { identifier: identifier.clone(), name, extent: Extent { sector: 0, bytes } });
    }
    let mut next =
        FIRST_FOLDER + Names::BOTH.map(|names| sectors(folder(names, 0, 0, &files).len())).iter().sum::<u32>();
    for file in &mut files {
        file.extent.sector = next;
        let end = next.checked_add(file.extent.sectors()).filter(|end| *end < u32::MAX / SECTOR as u32);
        next = end.ok_or_else(|| NotInIso::Size(file.name.to_owned()))?;
    }
    Ok(files)
}

/// Everything before the first file.
fn head(files: &[File<'_>]) -> Vec<u8> {
    let folder_bytes = |names| folder(names, 0, 0, files).len();
    let rock_ridge = Extent { sector: FIRST_FOLDER, bytes: folder_bytes(Names::RockRidge) as u32 };
    let joliet = Extent { sector: FIRST_FOLDER + rock_ridge.sectors(), bytes: folder_bytes(Names::Joliet) as u32 };
    let first_file = joliet.sector + joliet.sectors();
    let end = files.last().map_or(first_file, |last| last.extent.sector + last.extent.sectors());

    let mut head = vec![0; first_file as usize * SECTOR];
    write(&mut head, PRIMARY_DESCRIPTOR, &descriptor(Names::RockRidge, rock_ridge, end));
    write(&mut head, JOLIET_DESCRIPTOR, &descriptor(Names::Joliet, joliet, end));
    write(&mut head, TERMINATOR, b"\xffCD001\x01");
    for (names, place) in [(Names::RockRidge, rock_ridge), (Names::Joliet, joliet)] {
        let [little, big] = names.path_tables();
        write(&mut head, little, &path_table(place.sector.to_le_bytes(), 1_u16.to_le_bytes()));
        write(&mut head, big, &path_table(place.sector.to_be_bytes(), 1_u16.to_be_bytes()));
        write(&mut head, place.sector, &folder(names, place.sector, place.bytes, files));
    }
    head
}

/// The name as ISO 9660 level 2 has it, with its version; ECMA-119 §7.5.1 allows 30 characters of `A-Z0-9_` and a dot.
fn identifier(name: &str) -> Result<String, NotInIso> {
    let plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._@-".contains(&byte));
    let dots = name.bytes().filter(|byte| *byte == b'.').count();
    if !plain || dots > 1 || name.starts_with('.') || !(1..=28).contains(&name.len()) {
        return Err(NotInIso::Name(name.to_owned()));
    }
    let dot = if dots == 0 { "." } else { "" };
    Ok(format!("{}{dot};1", name.to_uppercase().replace(['-', '@'], "_")))
}

/// What fills a file's last sector.
fn padding(bytes: usize) -> &'static [u8] {
    &[0; SECTOR][..bytes.next_multiple_of(SECTOR) - bytes]
}

fn sectors(bytes: usize) -> u32 {
    bytes.div_ceil(SECTOR) as u32
}

/// By this label cloud-init knows the image.
const LABEL: &str = "cidata";

/// ECMA-119 §6.1.2: the size of a logical sector, and of a logical block here.
const SECTOR: usize = 2048;

/// ECMA-119 §6.2.1: volume descriptors begin after a system area of sixteen sectors.
const PRIMARY_DESCRIPTOR: u32 = 16;
const JOLIET_DESCRIPTOR: u32 = 17;
const TERMINATOR: u32 = 18;
const FIRST_FOLDER: u32 = 23;

/// ECMA-119 §6.9.1: a root folder's path table holds one record of ten bytes.
const PATH_TABLE_BYTES: u32 = 10;

/// ECMA-119 §9.1.5: when everything was recorded, as far as anyone is told: 1980-01-01 00:00 UTC.
const RECORDED: [u8; 7] = [80, 1, 1, 0, 0, 0, 0];

/// ECMA-119 §8.4.26.1: a date and time that is not specified.
const NO_DATE: &[u8; 17] = b"0000000000000000\0";

struct File<'a> {
    identifier: String,
    name: &'a str,
    extent: Extent,
}

#[derive(Clone, Copy)]
struct Extent {
    sector: u32,
    bytes: u32,
}

impl Extent {
    fn sectors(self) -> u32 {
        sectors(self.bytes as usize)
    }
}

/// Which of the two folder hierarchies: each has a descriptor, path tables and a root folder of its own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Names {
    RockRidge,
    Joliet,
}

impl Names {
    const BOTH: [Self; 2] = [Self::RockRidge, Self::Joliet];

    /// The path table in both byte orders, little-endian first.
    fn path_tables(self) -> [u32; 2] {
        match self {
            Self::RockRidge => [19, 20],
            Self::Joliet => [21, 22],
        }
    }

    /// A text field of a volume descriptor, filled up with spaces.
    fn text(self, text: &str, bytes: usize) -> Vec<u8> {
        let padded = text.chars().chain(std::iter::repeat(' '));
        match self {
            Self::RockRidge => padded.map(|c| c as u8).take(bytes).collect(),
            // An odd last byte stays zero.
            Self::Joliet => {
                let mut field: Vec<u8> = padded.take(bytes / 2).flat_map(|c| (c as u16).to_be_bytes()).collect();
                field.resize(bytes, 0);
                field
            }
        }
    }

    fn file_identifier(self, file: &File<'_>) -> Vec<u8> {
        match self {
            Self::RockRidge => file.identifier.clone().into_bytes(),
            Self::Joliet => format!("{};1", file.name).encode_utf16().flat_map(u16::to_be_bytes).collect(),
        }
    }
}

/// A primary (ECMA-119 §8.4) or supplementary (§8.5) volume descriptor.
fn descriptor(names: Names, folder: Extent, sectors: u32) -> Vec<u8> {
    let [little, big] = names.path_tables();
    let mut field = Vec::with_capacity(SECTOR);
    field.extend(match names {
        Names::RockRidge => b"\x01CD001\x01\0",
        Names::Joliet => b"\x02CD001\x01\0",
    });
    field.extend(names.text("", 32));
    field.extend(names.text(LABEL, 32));
    field.extend([0; 8]);
    field.extend(both_32(sectors));
    let mut escapes = [0; 32];
    if names == Names::Joliet {
        // Joliet level 3: UCS-2, big-endian.
        escapes[..3].copy_from_slice(b"%/E");
    }
    field.extend(escapes);
    field.extend(both_16(1));
    field.extend(both_16(1));
    field.extend(both_16(SECTOR as u16));
    field.extend(both_32(PATH_TABLE_BYTES));
    field.extend(little.to_le_bytes());
    field.extend([0; 4]);
    field.extend(big.to_be_bytes());
    field.extend([0; 4]);
    field.extend(root_record(folder, &[0], &[]));
    for bytes in [128, 128, 128, 128, 37, 37, 37] {
        field.extend(names.text("", bytes));
    }
    for _ in ["created", "modified", "expires", "effective"] {
        field.extend(NO_DATE);
    }
    field.push(1);
    field
}

/// ECMA-119 §9.4: the root folder's record, which is its own parent.
fn path_table(folder: [u8; 4], parent: [u8; 2]) -> Vec<u8> {
    let mut record = vec![1, 0];
    record.extend(folder);
    record.extend(parent);
    record.extend([0, 0]);
    record
}

/// The root folder at `sector` with itself, its parent (itself again) and the files: whole sectors, `bytes` long.
fn folder(names: Names, sector: u32, bytes: u32, files: &[File<'_>]) -> Vec<u8> {
    let place = Extent { sector, bytes };
    let (own_fields, parent_fields) = match names {
        Names::RockRidge => ([sharing_protocol(), posix(0o040_555, 2), extension()].concat(), posix(0o040_555, 2)),
        Names::Joliet => (Vec::new(), Vec::new()),
    };
    let mut records = root_record(place, &[0], &own_fields);
    records.extend(root_record(place, &[1], &parent_fields));
    for file in files {
        let fields = match names {
            Names::RockRidge => [posix(0o100_444, 1), alternate_name(file.name)].concat(),
            Names::Joliet => Vec::new(),
        };
        let record = record(&names.file_identifier(file), file.extent, 0, &fields);
        // ECMA-119 §6.8.1.1: no record crosses the end of a sector.
        if sectors(records.len()) < sectors(records.len() + record.len()) {
            records.resize(records.len().next_multiple_of(SECTOR), 0);
        }
        records.extend(record);
    }
    records.resize(records.len().next_multiple_of(SECTOR), 0);
    records
}

fn root_record(place: Extent, identifier: &[u8], system_use: &[u8]) -> Vec<u8> {
    const FOLDER: u8 = 2;
    record(identifier, place, FOLDER, system_use)
}

/// A directory record (ECMA-119 §9.1); both its parts have even length.
fn record(identifier: &[u8], extent: Extent, flags: u8, system_use: &[u8]) -> Vec<u8> {
    let mut record = vec![0, 0];
    record.extend(both_32(extent.sector));
    record.extend(both_32(extent.bytes));
    record.extend(RECORDED);
    record.extend([flags, 0, 0]);
    record.extend(both_16(1));
    record.push(identifier.len() as u8);
    record.extend(identifier);
    record.resize(record.len().next_multiple_of(2), 0);
    record.extend(system_use);
    record.resize(record.len().next_multiple_of(2), 0);
    record[0] = record.len() as u8;
    record
}

/// SUSP (IEEE P1281) §5.3, `SP`: system use fields follow, in every record from its first byte on.
fn sharing_protocol() -> Vec<u8> {
    b"SP\x07\x01\xbe\xef\0".to_vec()
}

/// SUSP §5.5, `ER`: they are Rock Ridge's.
fn extension() -> Vec<u8> {
    b"ER\x12\x01\x0a\0\0\x01RRIP_1991A".to_vec()
}

/// RRIP §4.1.1, `PX`: owned by root.
fn posix(mode: u32, links: u32) -> Vec<u8> {
    let mut field = b"PX\x24\x01".to_vec();
    [mode, links, 0, 0].into_iter().for_each(|value| field.extend(both_32(value)));
    field
}

/// RRIP §4.1.4, `NM`: the name as POSIX systems show it.
fn alternate_name(name: &str) -> Vec<u8> {
    let mut field = b"NM".to_vec();
    field.extend([5 + name.len() as u8, 1, 0]);
    field.extend(name.bytes());
    field
}

/// ECMA-119 §7.2.3: little-endian, then big-endian.
fn both_16(value: u16) -> [u8; 4] {
    let ([a, b], [c, d]) = (value.to_le_bytes(), value.to_be_bytes());
    [a, b, c, d]
}

/// ECMA-119 §7.3.3: little-endian, then big-endian.
fn both_32(value: u32) -> [u8; 8] {
    let ([a, b, c, d], [e, f, g, h]) = (value.to_le_bytes(), value.to_be_bytes());
    [a, b, c, d, e, f, g, h]
}

fn write(image: &mut [u8], sector: u32, bytes: &[u8]) {
    let start = sector as usize * SECTOR;
    image[start..start + bytes.len()].copy_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use hadris_iso::sync::read::{IsoDirEntry, IsoReader};

    use super::*;

    #[test]
    fn another_implementation_reads_each_document_under_each_name() {
        let seed = seed();

        let mut reader = IsoReader::open(Cursor::new(iso(&seed))).expect("an ISO 9660 image");

        let joliet = reader.joliet_root().expect("a Joliet folder");
        for (root, is_joliet) in [(reader.primary_root(), false), (joliet, true)] {
            for (name, text) in seed.files() {
                let name =
                    if is_joliet { name.to_owned() } else { format!("{}.", name.to_uppercase().replace('-', "_")) };
                let entry = reader.find_path_in(root, &name).expect("readable").expect("the document");
                assert_eq!(content(&mut reader, &entry), text);
            }
        }
    }

    #[test]
    fn another_implementation_finds_the_rock_ridge_names() {
        let mut reader = IsoReader::open(Cursor::new(iso(&seed()))).expect("an ISO 9660 image");
        let root = reader.primary_root();
        let mut folder = reader.open_dir(root);
        let mut names = Vec::new();

        while let Some(entry) = folder.next_entry().expect("readable") {
            let mut buffer = [0; 64];
            if let Some(name) = entry.rrip_name_into(&mut buffer) {
                names.push(name.expect("a name").to_owned());
            }
        }

        assert_eq!(names, ["meta-data", "network-config", "user-data", "vendor-data"]);
    }

    #[test]
    fn a_folder_of_many_sectors_has_every_file() {
        let names: Vec<String> = (0..60).map(|number| format!("file-{number}.service")).collect();
        let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), name.as_bytes())).collect();

        let image = Iso::new(&files).expect("good names").pieces().collect::<Vec<_>>().concat();

        let mut reader = IsoReader::open(Cursor::new(image)).expect("an ISO 9660 image");
        let root = reader.primary_root();
        for name in &names {
            let entry = reader.find_path_in(root, &name.to_uppercase().replace('-', "_")).expect("readable");
            assert_eq!(content(&mut reader, &entry.expect("the file")), *name);
        }
    }

    #[test]
    fn a_name_that_some_reader_would_not_see_is_refused() {
        let refused = |names: &[&'static str]| {
            let files: Vec<(&str, &[u8])> = names.iter().map(|name| (*name, &b""[..])).collect();
            Iso::new(&files).expect_err("no image").to_string()
        };

        for name in ["", "Upper", "a/b", ".hidden", "a.b.c", "twenty-nine-characters-are-tm"] {
            assert!(refused(&[name]).starts_with(&format!("`{name}` cannot be the name")));
        }
        assert_eq!(refused(&["user-data", "a", "user_data"]), "a seed has two files named `user_data`");
    }

    #[test]
    fn cloud_init_finds_it_by_its_label() {
        let image = iso(&seed());

        assert_eq!(&image[16 * SECTOR + 40..][..32], b"cidata                          ");
        assert_eq!(image.len() % SECTOR, 0);
    }

    #[test]
    fn equal_seeds_give_equal_bytes() {
        assert_eq!(iso(&seed()), iso(&seed()));
    }

    fn content(reader: &mut IsoReader<Cursor<Vec<u8>>>, entry: &IsoDirEntry) -> String {
        let mut file = reader.open_file(entry).expect("a file");
        let mut buffer = [0; 8192];
        let length = file.read_chunk(&mut buffer).expect("readable");
        String::from_utf8(buffer[..length].to_vec()).expect("UTF-8")
    }

    /// The longest document ends exactly with a sector, and another is one byte longer.
    fn seed() -> Seed {
        Seed {
            meta_data: "instance-id: a\n".to_owned(),
            user_data: "u".repeat(SECTOR),
            network_config: "n".repeat(SECTOR + 1),
            vendor_data: "v".to_owned(),
        }
    }
}
