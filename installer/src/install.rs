//! The installation itself, from the configuration to a disk that boots; the phases in their order.

use std::path::Path;
use std::time::Instant;

use lab_model::{Compression, InstallerConfig, Phase};
use ureq::Agent;

use crate::size::Size;
use crate::{Device, Download, Patience, Reports, memory, seed, write};

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
/// partition table and no boot code: firmware goes on to the network, and nothing boots that did not verify.
///
/// # Errors
/// Any phase failed; the failure names it.
pub fn install(config: &InstallerConfig, disk: &Path, around: &Surroundings<'_>) -> Result<(), Failure> {
    let Surroundings { agent, patience, reports } = *around;
    let started = Instant::now();
    let image = &config.disk_image;
    // Another way of compression would not compile here.
    let Compression::Zstd = image.compression;

    // The seed comes first, although it is written last: what is missing should be missed while the old system is still there.
    let seed = seed::fetch(agent, &config.seed, patience).map_err(Failure::of(Phase::Seed))?;
    let mut device = Device::open(disk).map_err(Failure::of(Phase::Disk))?;

    reports.progress(Phase::Write, 0, format_args!("{} to {}", Size(image.raw_size), disk.display()));
    let download = Download::new(agent, &image.url, image.size, patience);
    let mut tenths = 0;
    let progress = |done: u64| {
        let now = u8::try_from(done.saturating_mul(10) / image.raw_size).unwrap_or(10).min(10);
        if now > tenths {
            tenths = now;
            reports.progress(Phase::Write, now * 10, format_args!("{} of {}", Size(done), Size(image.raw_size)));
        }
    };
    let (layout, digest) =
        write::image(&mut device, image, download, &seed, progress).map_err(Failure::of(Phase::Write))?;

    // The compressed file's digest vouches for the disk too: decompression has only one result, and a frame's own
    // checksum guards the decompressor. Hashing 10 GiB of zeros once more would double the work.
    if digest != image.sha256 {
        return Err(Failure {
            phase: Phase::Verify,
            reason: format!(
                "{}: expected SHA-256 {}, found {digest}; the disk was left unbootable, because the image on the server is damaged or was replaced: find out by `pxe-server check` there, and put it there anew",
                image.url, image.sha256
            ),
        });
    }
    reports.reached(Phase::Verify, format_args!("SHA-256 {digest}"));

    seed::write(&mut device, &seed, &layout).map_err(Failure::of(Phase::Seed))?;
    reports.reached(Phase::Seed, format_args!("{} in a partition named cidata", Size(config.seed.size)));

    write::commit(&mut device, &layout).map_err(Failure::of(Phase::Finish))?;
    let seconds = started.elapsed().as_secs_f32();
    let memory = memory::peak().map(|peak| format!(", with {peak} of memory")).unwrap_or_default();
    reports.reached(
        Phase::Finish,
        format_args!("{} fetched and {} written in {seconds:.1} s{memory}", Size(image.size), Size(image.raw_size)),
    );
    Ok(())
}
