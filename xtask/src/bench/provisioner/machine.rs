//! The machine that becomes a provisioner, on either side: `pvmlab`'s usual hardware, and a lab's network with one neighbour.

use std::{
    fs::{self, Permissions},
    net::TcpListener,
    os::unix::{
        fs::PermissionsExt as _,
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use lab_model::{Arch, ImageManifest, MacAddr};
use lab_tests::{Guest, Hardware, Link, Supplies, process::until};
use tempfile::TempDir;

use super::{
    neighbour::{Answers, Neighbour},
    uplink,
};
use crate::{image, progress::Step, supplies};

/// What every start begins with.
pub(super) struct Machine {
    arch: Arch,
    manifest: ImageManifest,
    /// Readable to everybody, as emulators run without privilege.
    folder: TempDir,
}

/// One start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start {
    started: Instant,
    answers: Answers,
    /// From outside, until the last answer.
    pub(super) fetched_bytes: u64,
}

impl Machine {
    /// Unpacks the image for `arch`.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn new(arch: Arch, supplies: &Supplies) -> Result<Self> {
        // Not /tmp, which may be memory.
        let folder = tempfile::Builder::new().prefix("pvmlab-bench-").tempdir_in("/var/tmp")?;
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755))?;
        let step = Step::start("unpacking the image");
        let image = supplies.images.join(supplies::image().as_str()).join(arch.as_str());
        let manifest = image::unpack(&image, &folder.path().join(SYSTEM))?;
        step.finish();
        Ok(Self { arch, manifest, folder })
    }

    /// What its processor executes.
    pub(super) fn arch(&self) -> Arch {
        self.arch
    }

    /// The image that it begins as.
    pub(super) fn manifest(&self) -> &ImageManifest {
        &self.manifest
    }

    /// The disk of that image, which no start changes.
    pub(super) fn system(&self) -> PathBuf {
        self.folder.path().join(SYSTEM)
    }

    /// Where a disk for it can lie.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Switches it on with the image and `disks`, and off once it has answered.
    ///
    /// # Errors
    /// It does not answer; the message has the end of its console.
    pub(super) fn start(&self, disks: &[&Path]) -> Result<Start> {
        let (socket, record) = (self.file("lab.sock"), self.file("uplink.pcap"));
        let _ = fs::remove_file(&socket);
        let listener = UnixListener::bind(&socket)?;
        fs::set_permissions(&socket, Permissions::from_mode(0o777))?;
        let link = Link::User { ssh_port: free_port()?, boot_file: String::new() };
        let hardware = Hardware::new(self.arch, UPLINK, link)?.with_disk_of(&self.system(), DISK_GIB)?;
        let hardware = disks.iter().fold(hardware, |hardware, disk| hardware.with_read_only_disk(disk));
        let mut hardware = hardware.with_second_card(PROVISIONER, &socket).with_record(&record)?;
        hardware.memory = MEMORY_MIB;

        let started = Instant::now();
        let guest = Guest::power_on(&hardware)?;
        let answers = Neighbour::plug_in(accept(&listener)?)?.ask(LIMIT);
        let answers = answers.with_context(|| format!("the console showed last:\n{}", guest.console().tail()))?;
        Ok(Start { started, answers, fetched_bytes: uplink::fetched(&record)? })
    }
}

impl Start {
    /// From the network to the last answer.
    pub(super) fn after_network(&self) -> Duration {
        self.answers.service - self.answers.network
    }

    /// From the power switch to the last answer.
    pub(super) fn in_all(&self) -> Duration {
        self.answers.service - self.started
    }
}

/// On the lab's network.
pub(super) const PROVISIONER: MacAddr = MacAddr::new([0x52, 0x54, 0, 0x77, 0, 0x01]);
pub(super) const UPLINK: MacAddr = MacAddr::new([0x52, 0x54, 0, 0x77, 0, 0x81]);

/// What `pvmlab` gives a provisioner.
const DISK_GIB: u64 = 15;
const MEMORY_MIB: u32 = 4096;

/// In the folder.
const SYSTEM: &str = "system.raw";

/// Many times what a start takes under emulation.
const LIMIT: Duration = Duration::from_secs(1800);

/// The emulator plugs in as soon as it runs.
fn accept(listener: &UnixListener) -> Result<UnixStream> {
    listener.set_nonblocking(true)?;
    let stream = until(CONNECT_LIMIT, || Ok(listener.accept().ok()))?;
    let (stream, _) = stream.context("the emulator does not start; it said why on standard error")?;
    stream.set_nonblocking(false)?;
    Ok(stream)
}

const CONNECT_LIMIT: Duration = Duration::from_secs(60);

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no port of 127.0.0.1 is free")?;
    Ok(listener.local_addr()?.port())
}
