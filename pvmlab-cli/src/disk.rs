//! A machine's disk: a qcow2 file, blank or laid over an image's disk.

use std::ffi::OsString;
use std::fmt;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::FileExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::{Failure, Kind, Result};

/// What a new disk holds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Content<'a> {
    /// Nothing: the machine is installed over the network.
    Blank,
    /// What this raw disk holds; only what differs is kept in the file. The path is relative to the new disk's folder, so
    /// that a home can be moved.
    Over(&'a Path),
}

/// Makes a disk at `path`, where there is none.
///
/// # Errors
/// `qemu-img` is missing or failed, for instance because the disk is full; then `path` does not exist.
pub(crate) fn create(path: &Path, content: Content<'_>, size: Size) -> Result<()> {
    let mut qemu_img = Command::new("qemu-img");
    qemu_img.args(["create", "-q", "-f", "qcow2"]);
    if let Content::Over(base) = content {
        qemu_img.args(["-F", "raw", "-b"]).arg(base);
    }
    qemu_img.arg(path).arg(size.bytes().to_string());
    run(&mut qemu_img).inspect_err(|_| {
        let _ = std::fs::remove_file(path);
    })?;
    // Of a machine that loses power, the definition must not be there without the disk.
    std::fs::File::open(path)
        .and_then(|disk| disk.sync_all())
        .map_err(|error| anyhow::Error::from(error).context(format!("cannot write {}", path.display())).into())
}

/// How large the disk is that this file holds, for the machine that it belongs to.
///
/// # Errors
/// It is missing, or no qcow2 file.
pub(crate) fn size(path: &Path) -> Result<Size> {
    let cannot = |problem: String| {
        Failure::new(Kind::Failed, format!("cannot tell the size of {}: {problem}", path.display()))
            .hinted("see what the file is with `qemu-img info`, or make the machine anew")
    };
    let mut header = [0; 32];
    std::fs::File::open(path)
        .and_then(|mut disk| disk.read_exact(&mut header))
        .map_err(|error| cannot(error.to_string()))?;
    // QEMU's docs/interop/qcow2: the header begins with a magic number; bytes 24 to 31 are the virtual size, big-endian.
    match header.split_last_chunk() {
        Some((rest, size)) if rest.starts_with(b"QFI\xfb") => Ok(Size(u64::from_be_bytes(*size))),
        Some(_) | None => Err(cannot("it is no qcow2 file".to_owned())),
    }
}

/// The disk that this one is laid over, as it is written in it; `None` where it is laid over none.
///
/// # Errors
/// It is missing, or no qcow2 file.
pub(crate) fn base(path: &Path) -> Result<Option<PathBuf>> {
    let read = || -> io::Result<Option<PathBuf>> {
        let mut disk = std::fs::File::open(path)?;
        let mut header = [0; 20];
        disk.read_exact(&mut header)?;
        // QEMU's docs/interop/qcow2: bytes 8 to 15 say where the name of the other file is, 16 to 19 how long, at most 1023.
        let Some((offset, length)) = header[8..].split_first_chunk::<8>() else { return Ok(None) };
        let (offset, length) =
            (u64::from_be_bytes(*offset), length.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte)));
        if !header.starts_with(b"QFI\xfb") || length > 1023 {
            return Err(io::Error::other("it is no qcow2 file"));
        }
        if offset == 0 {
            return Ok(None);
        }
        let mut name = vec![0; length as usize];
        disk.read_exact_at(&mut name, offset)?;
        Ok(Some(OsString::from_vec(name).into()))
    };
    read().map_err(|error| {
        anyhow::Error::from(error).context(format!("cannot tell what {} is laid over", path.display())).into()
    })
}

/// Makes a disk larger; a machine that runs must not have it.
///
/// # Errors
/// `qemu-img` is missing or failed; then the disk is as it was.
pub(crate) fn grow(path: &Path, size: Size) -> Result<()> {
    run(Command::new("qemu-img").args(["resize", "-q", "-f", "qcow2"]).arg(path).arg(size.bytes().to_string()))
}

/// What is done with a snapshot inside of a disk.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Snapshot<'a> {
    /// The disk as it is now gets this name.
    Take(&'a str),
    /// The disk becomes what it was then.
    Restore(&'a str),
    /// Nobody wants it any more.
    Remove(&'a str),
}

/// Does it to its end: Ctrl-C does not reach the program that writes to the disk.
///
/// # Errors
/// `qemu-img` is missing or failed; then the disk is as it was.
pub(crate) fn snapshot(path: &Path, what: Snapshot<'_>) -> Result<()> {
    let (option, name) = match what {
        Snapshot::Take(name) => ("-c", name),
        Snapshot::Restore(name) => ("-a", name),
        Snapshot::Remove(name) => ("-d", name),
    };
    run(Command::new("qemu-img").args(["snapshot", "-q", option, name]).arg(path).process_group(0))
}

/// The names of a disk's snapshots, and when each was taken, in seconds since 1970. A disk that is being written may be asked.
///
/// # Errors
/// `qemu-img` is missing or failed.
pub(crate) fn snapshots(path: &Path) -> Result<Vec<(String, i64)>> {
    #[derive(serde::Deserialize)]
    struct Info {
        #[serde(default)]
        snapshots: Vec<Known>,
    }
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "kebab-case")]
    struct Known {
        name: String,
        date_sec: i64,
    }
    let said =
        output(Command::new("qemu-img").args(["info", "--force-share", "-f", "qcow2", "--output=json"]).arg(path))?;
    let info: Info = serde_json::from_slice(&said)
        .map_err(|error| anyhow::anyhow!("qemu-img says of {} what is not understood: {error}", path.display()))?;
    Ok(info.snapshots.into_iter().map(|known| (known.name, known.date_sec)).collect())
}

/// Makes a disk at `to`, in the same folder as `from`, with what is on that one and without its snapshots; laid over the same disk.
///
/// # Errors
/// `qemu-img` is missing or failed, for instance because the disk is full; then `to` is of no use.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    let mut qemu_img = Command::new("qemu-img");
    qemu_img.args(["convert", "-q", "-f", "qcow2", "-O", "qcow2"]);
    if let Some(base) = base(from)? {
        qemu_img.args(["-F", "raw", "-B"]).arg(base);
    }
    run(qemu_img.arg(from).arg(to))?;
    std::fs::File::open(to)
        .and_then(|disk| disk.sync_all())
        .map_err(|error| anyhow::Error::from(error).context(format!("cannot write {}", to.display())).into())
}

fn run(qemu_img: &mut Command) -> Result<()> {
    output(qemu_img).map(drop)
}

/// What it says, where it does not fail.
fn output(qemu_img: &mut Command) -> Result<Vec<u8>> {
    let output = qemu_img.stdin(Stdio::null()).output().map_err(|error| {
        let failure = Failure::new(Kind::Missing, format!("cannot run qemu-img: {error}"));
        match error.kind() {
            io::ErrorKind::NotFound => failure.hinted(INSTALL),
            _ => failure,
        }
    })?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.trim().trim_start_matches("qemu-img: ");
    let message = match (said, output.status) {
        ("", status) => format!("qemu-img failed ({status})"),
        (said, _) => format!("qemu-img failed: {said}"),
    };
    if said.contains("No space left") || said.contains("File too large") {
        return Err(Failure::new(Kind::Missing, message).hinted(crate::error::FREE_SPACE));
    }
    Err(Failure::new(Kind::Failed, message))
}

/// How large a disk is, as `15G`; at least 1 MiB, a multiple of 512 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Size(u64);

impl Size {
    /// Of a machine that nobody gave another.
    pub(crate) const USUAL: Self = Self(15 << 30);

    /// A size in bytes, rounded up to whole sectors.
    pub(crate) fn of_bytes(bytes: u64) -> Self {
        Self(bytes.next_multiple_of(512))
    }

    /// In bytes.
    pub(crate) fn bytes(self) -> u64 {
        self.0
    }
}

impl std::str::FromStr for Size {
    type Err = NotSize;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || NotSize(text.to_owned());
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let shift = match unit.trim_end_matches("iB").trim_end_matches('B') {
            "M" | "m" => 20,
            "G" | "g" => 30,
            "T" | "t" => 40,
            _ => return Err(refused()),
        };
        let number: u64 = number.parse().map_err(|_| refused())?;
        let bytes = number.checked_mul(1 << shift).filter(|bytes| (1..=1 << 46).contains(bytes));
        bytes.map(Self).ok_or_else(refused)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes.is_multiple_of(1 << 30) => write!(f, "{}G", bytes >> 30),
            bytes if bytes.is_multiple_of(1 << 20) => write!(f, "{}M", bytes >> 20),
            bytes => write!(f, "{bytes} bytes"),
        }
    }
}

/// The text is no size of a disk.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a disk's size: expected a number with `M`, `G` or `T`, such as `15G`, up to `64T`")]
pub(crate) struct NotSize(String);

/// How to get `qemu-img`.
pub(crate) const INSTALL: &str =
    "install QEMU's tools: package `qemu-utils` on Debian and Ubuntu, `qemu-img` on Fedora, `qemu` with Homebrew";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_a_unit() {
        let size = |text: &str| text.parse().map(Size::bytes);

        assert_eq!(size("15G").expect("a size"), 15 << 30);
        assert_eq!(size("512M").expect("a size"), 512 << 20);
        assert_eq!(size("1TiB").expect("a size"), 1 << 40);
        for text in ["", "15", "G", "0G", "-1G", "1.5G", "65T", "99999999999999T", "15GG", "15 G"] {
            assert!(size(text).is_err(), "{text}");
        }
        assert_eq!(Size(3 << 29).to_string(), "1536M");
    }

    #[test]
    fn a_disk_tells_its_size_and_grows() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("web.qcow2");

        create(&path, Content::Blank, Size(1 << 30)).expect("made");
        assert_eq!(size(&path).expect("a size"), Size(1 << 30));
        grow(&path, Size(2 << 30)).expect("larger");
        assert_eq!(size(&path).expect("a size"), Size(2 << 30));

        assert_eq!(base(&path).expect("a disk"), None);
        let over = folder.path().join("over.qcow2");
        std::fs::write(folder.path().join("base.raw"), vec![0; 1 << 20]).expect("written");
        create(&over, Content::Over(Path::new("base.raw")), Size(1 << 30)).expect("made");
        assert_eq!(base(&over).expect("a disk"), Some("base.raw".into()));

        std::fs::write(&path, [0; 64]).expect("written");
        assert!(base(&path).is_err());
        assert!(size(&path).expect_err("no disk").to_string().ends_with("it is no qcow2 file"));
    }
}
