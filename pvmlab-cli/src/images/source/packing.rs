//! A file that is compressed as a whole: it is unpacked first, with holes where there are zeros.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use anyhow::Context as _;

use super::FETCH;
use crate::error::{Failure, Kind, Result};
use crate::progress::Progress;

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Gzip,
    Xz,
    Zstd,
}

impl Packing {
    /// What the file begins as; `None` when it is not compressed in a way that is known.
    pub(super) fn of(file: &File) -> io::Result<Option<Self>> {
        let mut start = [0; 6];
        let length = file.read_at(&mut start, 0)?;
        let magics = [(Self::Gzip, GZIP), (Self::Xz, XZ), (Self::Zstd, ZSTD)];
        Ok(magics.into_iter().find(|(_, magic)| start[..length].starts_with(magic)).map(|(packing, _)| packing))
    }

    pub(super) fn extension(self) -> &'static str {
        match self {
            Self::Gzip => ".gz",
            Self::Xz => ".xz",
            Self::Zstd => ".zst",
        }
    }

    /// Unpacks `file`, which is called `path`, into a file in `folder` that is gone when it is closed.
    pub(super) fn unpack(self, mut file: &File, path: &Path, folder: &Path, progress: &Progress<'_>) -> Result<File> {
        file.seek(SeekFrom::Start(0)).context("cannot read the image")?;
        let source = BufReader::with_capacity(BLOCK, file);
        let mut reader: Box<dyn Read + '_> = match self {
            Self::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(source)),
            Self::Xz => Box::new(lzma_rust2::XzReader::new_mem_limit(source, true, XZ_MEMORY_KIB)),
            Self::Zstd => Box::new(zstd::Decoder::with_buffer(source).context("cannot start zstd")?),
        };
        let cannot = || format!("cannot write into {}", folder.display());
        let unpacked = tempfile::tempfile_in(folder).with_context(cannot)?;
        let (mut block, mut length, mut read) = (Vec::with_capacity(BLOCK), 0, 0);
        loop {
            block.clear();
            let filled =
                reader.by_ref().take(BLOCK as u64).read_to_end(&mut block).map_err(|error| broken(path, &error))?;
            if filled == 0 {
                break;
            }
            for piece in block.chunks(HOLE) {
                if piece.iter().any(|byte| *byte != 0) {
                    unpacked.write_all_at(piece, length).with_context(cannot)?;
                }
                length += piece.len() as u64;
            }
            if length > LENGTH_MAX {
                return Err(broken(path, &format!("it has more than {} TiB", LENGTH_MAX >> 40)));
            }
            let now = file.stream_position().context("cannot read the image")?;
            progress.advance((now - read) as usize)?;
            read = now;
        }
        unpacked.set_len(length).with_context(cannot)?;
        Ok(unpacked)
    }
}

fn broken(path: &Path, problem: &dyn std::fmt::Display) -> Failure {
    Failure::new(Kind::Failed, format!("{} cannot be unpacked: {problem}", path.display())).hinted(FETCH)
}

/// RFC 1952 §2.3.1.
const GZIP: &[u8] = &[0x1f, 0x8b];
/// The .xz File Format §2.1.1.1.
const XZ: &[u8] = b"\xfd7zXZ\0";
/// RFC 8878 §3.1.1.
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
const BLOCK: usize = 1 << 20;
/// The smallest hole: smaller ones save no block of usual file systems.
const HOLE: usize = 64 << 10;
/// `xz -9` has a dictionary of 64 MiB.
const XZ_MEMORY_KIB: u32 = 256 << 10;
/// Of the largest disk that an image may have.
const LENGTH_MAX: u64 = 1 << 40;

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn what_is_packed_comes_out_as_it_was() {
        let content: Vec<u8> = (0..5_000_000_u32).map(|at| if at >> 20 == 2 { 0 } else { (at / 9) as u8 }).collect();
        let folder = tempfile::tempdir().expect("a folder");

        for (program, packing) in [("gzip", Packing::Gzip), ("xz", Packing::Xz), ("zstd", Packing::Zstd)] {
            let file = packed(program, &content);
            assert_eq!(Packing::of(&file).expect("read"), Some(packing));
            let unpacked = packing.unpack(&file, Path::new("a"), folder.path(), &Progress::silent()).expect("unpacked");

            let mut found = vec![0; content.len()];
            unpacked.read_exact_at(&mut found, 0).expect("read");
            assert!(found == content && unpacked.metadata().expect("read").len() == content.len() as u64, "{program}");

            file.set_len(file.metadata().expect("read").len() / 2).expect("cut");
            let failure = packing.unpack(&file, Path::new("a"), folder.path(), &Progress::silent()).expect_err("cut");
            assert!(failure.to_string().starts_with("a cannot be unpacked: "), "{failure}");
        }
        assert_eq!(std::fs::read_dir(folder.path()).expect("read").count(), 0);
    }

    fn packed(program: &str, content: &[u8]) -> File {
        let file = tempfile::tempfile().expect("a file");
        let output = file.try_clone().expect("the same file");
        let mut child = Command::new(program)
            .arg("-c")
            .stdin(Stdio::piped())
            .stdout(output)
            .spawn()
            .expect("it runs: install gzip, xz-utils and zstd");
        child.stdin.take().expect("a pipe").write_all(content).expect("written");
        assert!(child.wait().expect("it ends").success());
        file
    }
}
