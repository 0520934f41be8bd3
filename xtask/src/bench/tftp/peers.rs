//! The TFTP servers that ours is compared with, as Debian has them.

use std::{fs, net::SocketAddr, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use lab_tests::process::{Process, bound, run, until};

use crate::bench::unpacked::Unpacked;

/// Where the servers and their libraries are.
pub(crate) struct Peers(Unpacked);

/// A server that runs.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    pub(crate) process: Process,
}

impl Peers {
    /// Fetches the servers, once.
    ///
    /// # Errors
    /// Debian's archive cannot be reached.
    pub(crate) fn fetch() -> Result<Self> {
        Ok(Self(Unpacked::fetch("tftp", &PACKAGES)?))
    }

    /// Starts a server by its name: it serves the files of `folder` at `address`.
    ///
    /// # Errors
    /// It does not start.
    pub(crate) fn start(&self, name: &'static str, address: SocketAddr, folder: &Path) -> Result<Peer> {
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
pub(crate) fn folder(file: &str, contents: &[u8]) -> Result<tempfile::TempDir> {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::Builder::new().prefix("pvmlab-tftp-").tempdir()?;
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
    fs::write(folder.path().join(file), contents)?;
    fs::set_permissions(folder.path().join(file), fs::Permissions::from_mode(0o644))?;
    Ok(folder)
}

/// The servers, then what they need and not every system has.
const PACKAGES: [&str; 6] = ["atftpd", "tftpd-hpa", "libwrap0", "libnsl2", "libtirpc3", "libpcre2-8-0"];

const START_LIMIT: Duration = Duration::from_secs(20);
