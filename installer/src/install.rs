//! The installation itself, from the configuration to a disk that boots; the phases in their order.

use std::path::Path;
use std::time::Instant;

use anyhow::{Result, bail};
use lab_model::{Compression, InstallerConfig, MacAddr, Phase, RemoteDisk};
use ureq::Agent;

use crate::occupant::Occupant;
use crate::partition::{Fit, HEAD, Layout};
use crate::record::{Done, Record};
use crate::size::Size;
use crate::transfer::{Fetcher, Source};
use crate::{Block, Device, Patience, Reports, Table, memory, occupant, record, seed, transfer, write};

/// A phase that failed, and why; the reason ends with what to do, where something can be done.
#[derive(Debug)]
pub struct Failure {
    /// What was being done.
    pub phase: Phase,
    /// Why it failed, the whole chain in one line.
    pub reason: String,
}

impl Failure {
    /// Turns errors of `phase` into failures: `.map_err(Failure::of(Phase::Disk))`.
    pub fn of<E: Into<anyhow::Error>>(phase: Phase) -> impl Fn(E) -> Self {
        move |error| Self { phase, reason: format!("{:#}", error.into()) }
    }
}

/// What an installation needs from its surroundings.
#[derive(Debug)]
pub struct Surroundings<'a> {
    /// The HTTP client.
    pub agent: &'a Agent,
    /// How long a server may be away.
    pub patience: Patience,
    /// Whom to tell.
    pub reports: &'a Reports,
}

/// Installs what `config` says on the disk at `disk`.
///
/// When it returns, the disk boots and all is on the medium. When it fails after the disk was touched, the disk has no
/// partition table and no boot code: firmware goes on to the network, nothing boots that did not verify, and the next attempt
/// goes on where this one was.
///
/// # Errors
/// Any phase failed; the failure names it.
pub fn install(config: &InstallerConfig, disk: &Path, around: &Surroundings<'_>) -> Result<(), Failure> {
    let Surroundings { agent, patience, reports } = *around;
    let started = Instant::now();
    let image = &config.disk_image;
    // Another way of compression would not compile here.
    let Compression::Zstd = image.compression;
    let table = Table::new(image).map_err(Failure::of(Phase::Config))?;

    // The seed comes first, although it is written last: what is missing should be missed while the old system is still there.
    let seed = seed::fetch(agent, &config.seed, patience).map_err(Failure::of(Phase::Seed))?;
    let mut device = Device::open(disk).map_err(Failure::of(Phase::Disk))?;
    let earlier = admit(&device, disk, config).map_err(Failure::of(Phase::Disk))?;
    let earlier = earlier.filter(|record| record.image == table.digest).map(|record| record.done);

    let source = Source { image, table: &table, agent, patience };
    let (layout, mut first) = plan(source, &device, &seed, config.mac)?;
    write::destroy(&mut device, &layout).map_err(Failure::of(Phase::Write))?;
    write::image(&mut device, &layout, &mut first.block, 0).map_err(Failure::of(Phase::Write))?;
    drop(first.block);

    let mut done = earlier.unwrap_or_else(|| Done::none(table.chunks.len()));
    let there = table.length(&done);
    done.insert(0);
    let mut tenths = tenth(there, image);
    if there == 0 {
        reports.progress(Phase::Write, 0, format_args!("{} to {}", Size(image.raw_size), disk.display()));
    } else {
        let detail = format_args!("going on, {} of {} were there", Size(there), Size(image.raw_size));
        reports.progress(Phase::Write, tenths * 10, detail);
    }
    let progress = |done: u64| {
        let now = tenth(done, image);
        if now > tenths {
            tenths = now;
            reports.progress(Phase::Write, now * 10, format_args!("{} of {}", Size(done), Size(image.raw_size)));
        }
    };
    let fetched = first.fetched + transfer::run(source, &layout, &mut device, done, progress)?;
    reports.reached(Phase::Verify, format_args!("{} chunks by their SHA-256", table.chunks.len()));

    record::erase(&mut device).map_err(Failure::of(Phase::Seed))?;
    seed::write(&mut device, &seed, &layout).map_err(Failure::of(Phase::Seed))?;
    reports.reached(Phase::Seed, format_args!("{} in a partition named cidata", Size(config.seed.size)));

    write::commit(&mut device, &layout).map_err(Failure::of(Phase::Finish))?;
    let seconds = started.elapsed().as_secs_f32();
    let memory = memory::peak().map(|peak| format!(", with {peak} of memory")).unwrap_or_default();
    let written = Size(image.raw_size - there);
    reports.reached(
        Phase::Finish,
        format_args!("{} fetched and {written} written in {seconds:.1} s{memory}", Size(fetched)),
    );
    Ok(())
}

/// What an unfinished installation left on the disk; an error where the disk is somebody else's.
fn admit(device: &Device, disk: &Path, config: &InstallerConfig) -> Result<Option<Record>> {
    match occupant::look(device, config.mac)? {
        Occupant::Nobody | Occupant::Own => Ok(None),
        Occupant::Unfinished(record) => Ok(record),
        Occupant::Stranger(_) if config.wipe => Ok(None),
        Occupant::Stranger(what) => bail!(
            "{} is not {}'s own, it has {what}: write `wipe = true` into the machine's definition if all of it may be lost, or name \
             another disk there, as `disk`; nothing was written",
            disk.display(),
            config.machine
        ),
    }
}

/// The image's first chunk.
struct First {
    block: Block,
    fetched: u64,
}

/// Fits the image to the disk, by its first chunk, before the disk is touched.
fn plan(source: Source<'_>, device: &Device, seed: &[u8], mac: MacAddr) -> Result<(Layout, First), Failure> {
    let RemoteDisk { raw_size, chunk_size, .. } = *source.image;
    let mut fetcher = Fetcher::new(source).map_err(Failure::of(Phase::Write))?;
    let mut block = Block::zeroed(chunk_size as usize);
    if let Some(chunk) = source.table.chunks.first() {
        fetcher.chunk(chunk, &mut block)?;
    }
    let head = &block[..block.len().min(HEAD)];
    let fit = Fit { head, image_size: raw_size, disk_size: device.size(), seed, mac };
    let layout = Layout::plan(fit).map_err(Failure::of(Phase::Write))?;
    Ok((layout, First { block, fetched: fetcher.fetched }))
}

/// How many tenths of the image these bytes are.
fn tenth(bytes: u64, image: &RemoteDisk) -> u8 {
    u8::try_from(bytes.saturating_mul(10) / image.raw_size).unwrap_or(10).min(10)
}
