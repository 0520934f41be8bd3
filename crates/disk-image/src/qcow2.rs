//! A disk in QEMU's copy-on-write format, versions 2 and 3, read-only (QEMU's docs/interop/qcow2.rst).
//!
//! Whatever lies beyond the file's end is an error: of half a download, zeros would be installed otherwise.

mod header;

use std::io::{self, Read as _};
use std::sync::{Arc, Mutex, PoisonError};

use crate::read_at::{ReadAt, be64, check};
pub use header::NotQcow2;
use header::{Compression, Header};

/// An open image.
pub struct Qcow2 {
    file: Arc<dyn ReadAt>,
    header: Header,
    /// Where the second-level tables are, as the file has it.
    tables: Vec<u64>,
    /// The compressed cluster that was read last: file systems ask for a block of a few KiB after the other.
    last: Mutex<Option<(u64, Arc<Vec<u8>>)>>,
}

/// Where a cluster's content is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cluster {
    Zero,
    At(u64),
    /// With subclusters that are zero or unallocated where their bit is 0.
    Parts(u64, u32),
    Compressed {
        at: u64,
        length: u64,
    },
}

impl Qcow2 {
    /// Whether `file` begins as such an image does.
    pub fn is(file: &dyn ReadAt) -> bool {
        header::is(file)
    }

    /// Opens the image in `file`.
    ///
    /// # Errors
    /// It is none, it needs another file or a password, or its tables are broken.
    pub fn open(file: Arc<dyn ReadAt>) -> Result<Self, NotQcow2> {
        let header = Header::read(&*file)?;
        let mut bytes = vec![0; header.tables * 8];
        file.read_at(header.tables_at, &mut bytes).map_err(|_| NotQcow2::Short)?;
        let tables = bytes.chunks_exact(8).map(|entry| be64(entry, 0) & OFFSET).collect();
        Ok(Self { file, header, tables, last: Mutex::new(None) })
    }

    /// Where the clusters from number `first` are; `clusters` is filled as far as one second-level table goes.
    fn find(&self, first: u64, clusters: &mut Vec<Cluster>, most: u64) -> io::Result<()> {
        clusters.clear();
        let (entry, per_table) = (self.header.entry_size(), self.header.clusters_per_table());
        let (table, index) = (first / per_table, first % per_table);
        let count = most.min(per_table - index);
        let table = usize::try_from(table).ok().and_then(|table| self.tables.get(table));
        let table = *table.ok_or_else(|| broken("its first table is too short"))?;
        if table == 0 {
            clusters.extend((0..count).map(|_| Cluster::Zero));
            return Ok(());
        }
        let mut bytes = vec![0; (count * entry) as usize];
        self.file.read_at(table + index * entry, &mut bytes)?;
        clusters.extend(bytes.chunks_exact(entry as usize).map(|entry| self.cluster(entry)));
        Ok(())
    }

    fn cluster(&self, entry: &[u8]) -> Cluster {
        let word = be64(entry, 0);
        if word & COMPRESSED != 0 {
            let shift = 62 - (self.header.cluster_bits - 8);
            let at = word & ((1 << shift) - 1);
            let sectors = (word & !(COMPRESSED | COPIED)) >> shift;
            return Cluster::Compressed { at, length: (sectors + 1) * SECTOR - at % SECTOR };
        }
        let at = word & OFFSET;
        if self.header.extended {
            let bits = be64(entry, 8);
            let (allocated, zero) = (bits as u32, (bits >> 32) as u32);
            return match allocated & !zero {
                _ if at == 0 => Cluster::Zero,
                0 => Cluster::Zero,
                u32::MAX => Cluster::At(at),
                parts => Cluster::Parts(at, parts),
            };
        }
        if at == 0 || word & ZERO != 0 { Cluster::Zero } else { Cluster::At(at) }
    }

    /// Fills `buffer` from place `inside` of a cluster.
    fn read_cluster(&self, cluster: Cluster, inside: u64, buffer: &mut [u8]) -> io::Result<()> {
        match cluster {
            Cluster::Zero => buffer.fill(0),
            Cluster::At(at) => self.file.read_at(at + inside, buffer)?,
            Cluster::Parts(at, parts) => {
                let size = self.header.cluster_size() / 32;
                let mut done = 0;
                while done < buffer.len() {
                    let place = inside + done as u64;
                    let length = ((size - place % size) as usize).min(buffer.len() - done);
                    let piece = &mut buffer[done..done + length];
                    let is_there = parts >> (place / size) & 1 == 1;
                    self.read_cluster(if is_there { Cluster::At(at) } else { Cluster::Zero }, place, piece)?;
                    done += length;
                }
            }
            Cluster::Compressed { at, length } => {
                let inside = inside as usize;
                buffer.copy_from_slice(&self.inflated(at, length)?[inside..inside + buffer.len()]);
            }
        }
        Ok(())
    }

    fn inflated(&self, at: u64, length: u64) -> io::Result<Arc<Vec<u8>>> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, cluster)) = last.filter(|(place, _)| *place == at) {
            return Ok(cluster);
        }
        // The sectors of the last one may be counted beyond the file's end.
        let length = length.min(self.file.size().saturating_sub(at));
        let mut packed = vec![0; length as usize];
        self.file.read_at(at, &mut packed)?;
        let mut cluster = vec![0; self.header.cluster_size() as usize];
        let unpacked = match self.header.compression {
            Compression::Deflate => flate2::read::DeflateDecoder::new(&packed[..]).read_exact(&mut cluster),
            Compression::Zstd => {
                zstd::Decoder::with_buffer(&packed[..]).and_then(|mut decoder| decoder.read_exact(&mut cluster))
            }
        };
        unpacked.map_err(|_| broken("a compressed cluster is damaged, or cut short"))?;
        let cluster = Arc::new(cluster);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((at, cluster.clone()));
        Ok(cluster)
    }
}

impl ReadAt for Qcow2 {
    fn size(&self) -> u64 {
        self.header.size
    }

    fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<()> {
        check(self.header.size, at, buffer.len())?;
        let size = self.header.cluster_size();
        let (mut clusters, mut done) = (Vec::new(), 0);
        while done < buffer.len() {
            let place = at + done as u64;
            let left = buffer.len() - done;
            self.find(place / size, &mut clusters, (place % size + left as u64).div_ceil(size))?;
            for cluster in &clusters {
                let inside = (at + done as u64) % size;
                let length = ((size - inside) as usize).min(buffer.len() - done);
                self.read_cluster(*cluster, inside, &mut buffer[done..done + length])?;
                done += length;
            }
        }
        Ok(())
    }

    fn is_hole(&self, at: u64, length: u64) -> io::Result<bool> {
        let size = self.header.cluster_size();
        let (mut next, end) = (at / size, at.saturating_add(length).min(self.header.size).div_ceil(size));
        let mut clusters = Vec::new();
        while next < end {
            self.find(next, &mut clusters, end - next)?;
            if clusters.iter().any(|cluster| *cluster != Cluster::Zero) {
                return Ok(false);
            }
            next += clusters.len() as u64;
        }
        Ok(true)
    }
}

fn broken(problem: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}

const SECTOR: u64 = 512;
/// Of a table's entry: bits 9 to 55.
const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;
const ZERO: u64 = 1;
const COMPRESSED: u64 = 1 << 62;
const COPIED: u64 = 1 << 63;

#[cfg(test)]
mod tests;
