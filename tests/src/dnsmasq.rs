//! Somebody else's DHCP server: dnsmasq, which gives addresses of 10.77.0.50 to 10.77.0.60, and knows nothing of any boot.

use std::{
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use crate::{
    host::Host,
    namespace::{BRIDGE, network},
    process::{Process, bound, run, until},
};

/// A running dnsmasq.
#[derive(Debug)]
pub struct Dnsmasq {
    folder: TempDir,
    _process: Process,
    _host: Option<Host>,
}

impl Dnsmasq {
    /// The address of the host that it is alone on.
    pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 66);

    /// On a host of its own, plugged into the bridge of the namespace that this thread is in.
    ///
    /// # Errors
    /// It is not installed (package dnsmasq-base), or does not start.
    pub fn elsewhere() -> Result<Self> {
        let host = Host::new()?;
        host.plug_into("other")?;
        run("ip", &["link", "set", "other", "master", BRIDGE])?;
        host.ip(&["address", "add", &format!("{}/{}", Self::ADDRESS, network().prefix()), "dev", "eth0"])?;
        let folder = tempfile::tempdir()?;
        let path = folder.path().to_owned();
        let process = host.run(move || start(&path))??;
        Self { folder, _process: process, _host: Some(host) }.ready()
    }

    /// In the namespace that this thread is in, on its bridge.
    ///
    /// # Errors
    /// Those of [`Dnsmasq::elsewhere`].
    pub fn here() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let process = start(folder.path())?;
        Self { folder, _process: process, _host: None }.ready()
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(log(self.folder.path())).unwrap_or_default()
    }

    fn ready(self) -> Result<Self> {
        let ready = until(LIMIT, || Ok(self.log().contains("DHCP, IP range").then_some(())))?;
        ready.with_context(|| format!("dnsmasq does not start: {}", self.log()))?;
        Ok(self)
    }
}

fn start(folder: &Path) -> Result<Process> {
    let mut dnsmasq = bound("dnsmasq");
    dnsmasq.args([
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--pid-file",
        "--port=0",
        "--user=root",
        "--no-ping",
    ]);
    // Only so does it share port 67.
    dnsmasq.args(["--bind-interfaces", "--dhcp-range=10.77.0.50,10.77.0.60,255.255.255.0,1h"]);
    dnsmasq.arg(format!("--log-facility={}", log(folder).display()));
    dnsmasq.arg(format!("--dhcp-leasefile={}", folder.join("leases").display()));
    Process::start("dnsmasq", dnsmasq.stderr(Stdio::null())).context("install the package dnsmasq-base")
}

fn log(folder: &Path) -> PathBuf {
    folder.join("dnsmasq.log")
}

const LIMIT: Duration = Duration::from_secs(60);
