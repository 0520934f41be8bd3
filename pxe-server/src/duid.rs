//! The server's own DHCPv6 identifier, made at the first start and kept for ever (RFC 8415 §11.5, DUID-UUID).

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, bail};

/// The kernel's source of random UUIDs (random(4)).
const RANDOM: &str = "/proc/sys/kernel/random/uuid";

/// RFC 8415 §11.5.
const KIND: [u8; 2] = [0, 4];

/// Reads the identifier from its file, which holds a UUID; makes both where there is none.
///
/// # Errors
/// The file cannot be read or written, or holds something else.
pub(crate) fn read_or_make(path: &Path) -> anyhow::Result<Vec<u8>> {
    let shown = path.display();
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make(path).with_context(|| format!("cannot write {shown}"))?
        }
        Err(error) => return Err(error).with_context(|| format!("cannot read {shown}")),
    };
    let Some(uuid) = parse(text.trim()) else {
        bail!("{shown}: not the identifier of a server: expected a UUID; remove the file to have a new one made")
    };
    Ok([&KIND[..], &uuid].concat())
}

/// Writes a new one, whole or not at all.
fn make(path: &Path) -> io::Result<String> {
    let text = fs::read_to_string(RANDOM)?;
    let new = path.with_extension("new");
    let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_data()?;
    fs::rename(&new, path)?;
    if let Some(folder) = path.parent() {
        fs::File::open(folder)?.sync_all()?;
    }
    Ok(text)
}

fn parse(uuid: &str) -> Option<[u8; 16]> {
    let digits: String = uuid.split('-').collect();
    let plain = digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    u128::from_str_radix(&digits, 16).ok().filter(|_| plain).map(u128::to_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_same_at_every_start() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("duid");

        let first = read_or_make(&path).expect("room");

        assert_eq!((first.len(), &first[..2]), (18, &KIND[..]));
        assert_eq!(read_or_make(&path).expect("the file"), first);
    }

    #[test]
    fn what_is_no_identifier_is_told_with_what_to_do() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("duid");
        for text in ["", "\n", "+0000000-0000-0000-0000-000000000000", "é".repeat(16).as_str()] {
            fs::write(&path, text).expect("room");

            let error = read_or_make(&path).expect_err("no UUID").to_string();

            assert!(error.contains("expected a UUID; remove the file"), "{error}");
        }
    }
}
