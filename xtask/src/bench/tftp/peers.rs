//! The TFTP servers that ours is compared with, as Debian has them.
//!
//! Two of them exclude each other as packages, and as packages they would start by themselves; so they are unpacked in the
//! cache, with the libraries that they need.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use lab_tests::process::{Process, bound, run, until};

use crate::{cache::Cache, debian::Suite};

/// Where the servers and their libraries are.
pub(crate) struct Peers {
    folder: PathBuf,
}

/// A server that runs.
pub(super) struct Peer {
    pub(super) name: &'static str,
    pub(super) address: SocketAddr,
    pub(super) process: Process,
}

impl Peers {
    /// Fetches the servers, once.
    ///
    /// # Errors
    /// Debian's archive cannot be reached.
    pub(crate) fn fetch() -> Result<Self> {
        let recipe = format!("Debian {SUITE}: {}\n", PACKAGES.join(" "));
        let folder = Cache::of_user()?.entry("peers/tftp", &recipe, |folder| {
            let suite = Suite::open(SUITE)?;
            PACKAGES.iter().try_for_each(|package| {
                let versions = suite.versions(package)?;
                let newest = versions.first().with_context(|| format!("Debian {SUITE} has no {package}"))?;
                suite.unpack(package, newest, folder)
            })
        })?;
        Ok(Self { folder })
    }

    /// Starts a server by its name: it serves the files of `folder` at `address`.
    ///
    /// # Errors
    /// It does not start.
    pub(super) fn start(&self, name: &'static str, address: SocketAddr, folder: &Path) -> Result<Peer> {
        let (ip, port, folder) = (address.ip().to_string(), address.port().to_string(), folder.display().to_string());
        let mut command = match name {
            // As many threads as there may be clients, and no log: ours says one line of each transfer.
            "atftpd" => {
                let mut command = bound(self.folder.join("usr/sbin/atftpd"));
                command.args(["--daemon", "--no-fork", "--user", "root", "--group", "root", "--maxthread", "256"]);
                command.args(["--verbose=1", "--bind-address", &ip, "--port", &port, &folder]);
                command
            }
            "tftpd-hpa" => {
                let mut command = bound(self.folder.join("usr/sbin/in.tftpd"));
                command.args(["--listen", "--foreground", "--user", "root", "--address", &format!("{ip}:{port}")]);
                command.args(["--secure", &folder]);
                command
            }
            _ => {
                let mut command = bound("dnsmasq");
                command.args(["--keep-in-foreground", "--conf-file=/dev/null", "--user=root", "--group=", "--port=0"]);
                command.args(["--bind-interfaces", "--enable-tftp", "--tftp-max=256", "--quiet-tftp"]);
                command.args([&format!("--listen-address={ip}"), &format!("--tftp-root={folder}")]);
                command.arg("--log-facility=/dev/null");
                command
            }
        };
        let multiarch = format!("{}-linux-gnu", std::env::consts::ARCH);
        let libraries = ["lib", "usr/lib"].map(|place| self.folder.join(place).join(&multiarch).display().to_string());
        command.env("LD_LIBRARY_PATH", libraries.join(":"));
        let mut process = Process::start(name, &mut command)?;
        let listens = until(START_LIMIT, || {
            ensure!(process.ended()?.is_none(), "{name} ended instead of serving");
            let sockets = run("ss", &["--no-header", "--listening", "--numeric", "--udp"])?;
            Ok(sockets.contains(&format!("{address} ")).then_some(()))
        })?;
        listens.with_context(|| format!("{name} does not listen after {START_LIMIT:?}"))?;
        Ok(Peer { name, address, process })
    }
}

/// What is served: a folder that a server of any user may read.
pub(super) fn folder(file: &str, contents: &[u8]) -> Result<tempfile::TempDir> {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::Builder::new().prefix("pvmlab-tftp-").tempdir()?;
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
    fs::write(folder.path().join(file), contents)?;
    fs::set_permissions(folder.path().join(file), fs::Permissions::from_mode(0o644))?;
    Ok(folder)
}

/// Its programs run on any later system.
const SUITE: &str = "bookworm";

/// The servers, then what they need and not every system has.
const PACKAGES: [&str; 6] = ["atftpd", "tftpd-hpa", "libwrap0", "libnsl2", "libtirpc3", "libpcre2-8-0"];

const START_LIMIT: Duration = Duration::from_secs(20);
