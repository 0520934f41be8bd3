//! Somebody else's TFTP server: atftpd, tftpd-hpa or dnsmasq, as Debian has them.

use std::{fs, net::SocketAddr, path::Path, process::Stdio, time::Duration};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use crate::{
    process::{Process, bound, run, until},
    unpacked::Unpacked,
};

/// Where atftpd and tftpd-hpa are.
#[derive(Debug)]
pub struct TftpPeers(Unpacked);

/// A server that runs.
#[derive(Debug)]
pub struct TftpPeer {
    /// As [`TftpPeers::start`] was told it.
    pub name: &'static str,
    /// Where it listens.
    pub address: SocketAddr,
    /// Ended when this is dropped.
    pub process: Process,
}

impl TftpPeers {
    /// The servers, then what they need and not every system has.
    pub const PACKAGES: [&str; 6] = ["atftpd", "tftpd-hpa", "libwrap0", "libnsl2", "libtirpc3", "libpcre2-8-0"];

    /// With these unpacked.
    pub fn new(unpacked: Unpacked) -> Self {
        Self(unpacked)
    }

    /// Starts `atftpd`, `tftpd-hpa` or, by any other name, dnsmasq: it serves the files of `folder` at `address`.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(&self, name: &'static str, address: SocketAddr, folder: &Path) -> Result<TftpPeer> {
        let (ip, port, folder) = (address.ip().to_string(), address.port().to_string(), folder.display().to_string());
        let mut command = match name {
            // As many threads as there may be clients, and no log: ours says one line of each transfer.
            "atftpd" => {
                let mut command = self.0.command("usr/sbin/atftpd");
                command.args(["--daemon", "--no-fork", "--user", "root", "--group", "root", "--maxthread", "256"]);
                command.args(["--verbose=1", "--bind-address", &ip, "--port", &port, &folder]);
                command
            }
            "tftpd-hpa" => {
                let mut command = self.0.command("usr/sbin/in.tftpd");
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
        // A process of theirs for a single transfer outlives them, and would keep these open.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = Process::start(name, &mut command)?;
        let listens = until(START_LIMIT, || {
            ensure!(process.ended()?.is_none(), "{name} ended instead of serving");
            let sockets = run("ss", &["--no-header", "--listening", "--numeric", "--udp"])?;
            Ok(sockets.contains(&format!("{address} ")).then_some(()))
        })?;
        listens.with_context(|| format!("{name} does not listen after {START_LIMIT:?}"))?;
        Ok(TftpPeer { name, address, process })
    }

    /// What is served: a folder with one file, both of which a server of any user may read.
    ///
    /// # Errors
    /// They cannot be made.
    pub fn folder(file: &str, contents: &[u8]) -> Result<TempDir> {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::Builder::new().prefix("pvmlab-tftp-").tempdir()?;
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        fs::write(folder.path().join(file), contents)?;
        fs::set_permissions(folder.path().join(file), fs::Permissions::from_mode(0o644))?;
        Ok(folder)
    }
}

const START_LIMIT: Duration = Duration::from_secs(20);
