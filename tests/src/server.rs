//! The real `pxe-server`, with a folder of its own for configuration, state and log.

use std::{
    fs::{self, File},
    io::ErrorKind,
    net::{Ipv4Addr, TcpListener},
    os::unix::{fs::PermissionsExt as _, net::UnixDatagram},
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use lab_model::Ipv4Net;

use crate::{
    certificates,
    namespace::{BRIDGE, SERVER, network},
    process::{Process, bound, bound_without_privilege, own_without_privilege},
    supplies::Supplies,
};

/// How a lab is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// DHCP, TFTP and HTTP on the bridge of this thread's namespace.
    Network,
    /// The same where another DHCP server gives the addresses.
    Proxy,
    /// The same as the first, by TLS too.
    Tls,
    /// The same on a bridge with an IPv6 address too, where nobody is heard who asks for an IPv4 address.
    Ipv6,
    /// HTTP alone, by a user without privileges, on this port of 127.0.0.1: what machines on the emulator's own network reach
    /// at 10.0.2.2.
    HttpOnly(u16),
}

/// A running server, and what it needs to be started again.
#[derive(Debug)]
pub(crate) struct Server {
    service: Service,
    program: PathBuf,
    folder: PathBuf,
    log: PathBuf,
    process: Option<Process>,
}

impl Service {
    /// HTTP alone, on a port that is free now.
    ///
    /// # Errors
    /// There is no loopback interface.
    pub fn http_only() -> Result<Self> {
        Ok(Self::HttpOnly(free_port()?))
    }

    /// Where machines find it over HTTP.
    pub fn base_url(self) -> String {
        match self {
            Self::Network | Self::Proxy | Self::Tls | Self::Ipv6 => format!("http://{SERVER}"),
            Self::HttpOnly(port) => format!("http://{HOST}:{port}"),
        }
    }

    /// Where this process finds it over HTTP.
    pub(crate) fn local_url(self) -> String {
        match self {
            Self::Network | Self::Proxy | Self::Tls | Self::Ipv6 => format!("http://{SERVER}"),
            Self::HttpOnly(port) => format!("http://127.0.0.1:{port}"),
        }
    }

    /// The server's address on the lab's network.
    pub(crate) fn network(self) -> Ipv4Net {
        match self {
            Self::Network | Self::Proxy | Self::Tls | Self::Ipv6 => network(),
            Self::HttpOnly(_) => Ipv4Net::new(HOST, 24).expect("24 is a prefix length"),
        }
    }

    fn configuration(self, images: &Path) -> String {
        let images = images.display();
        let common = format!("state = 'state'\ndefinitions = 'vms'\nimages = '{images}'\n\n[log]\nlevel = 'debug'\n\n");
        let network = match self {
            Self::Network | Self::Ipv6 => format!("[lab]\ninterface = '{BRIDGE}'\n"),
            Self::Tls => format!(
                "[lab]\ninterface = '{BRIDGE}'\n\n\
                 [http.tls]\ncertificate = 'server.crt'\nkey = 'server.key'\nauthority = 'ca.crt'\n"
            ),
            Self::Proxy => format!("[lab]\ninterface = '{BRIDGE}'\n\n[dhcp]\nmode = 'proxy-known'\n"),
            Self::HttpOnly(port) => {
                let (url, address) = (self.base_url(), self.network());
                format!(
                    "[lab]\naddress = '{address}'\n\n[http]\nlisten = '127.0.0.1'\nport = {port}\nbase-url = '{url}'\n"
                )
            }
        };
        common + &network
    }
}

impl Server {
    /// Starts the server in `folder` and waits until it says that it is ready; its log goes into the folder `logs`.
    ///
    /// # Errors
    /// There is no server program, or it ends instead of getting ready; the message has its log.
    pub(crate) fn start(service: Service, supplies: &Supplies, folder: &Path, logs: &Path) -> Result<Self> {
        for needed in [STATE, DEFINITIONS] {
            fs::create_dir_all(folder.join(needed))?;
        }
        let Supplies { server: mut program, mut images, .. } = supplies.clone();
        if matches!(service, Service::HttpOnly(_)) {
            // Neither a clone nor a cache in somebody's home need be open to others.
            images = share(&images, &folder.join("images"))?;
            program = share(&program, &folder.join("pxe-server"))?;
            for owned in [folder, &folder.join(STATE), &folder.join(DEFINITIONS)] {
                own_without_privilege(owned)?;
            }
        }
        if service == Service::Tls {
            certificates::make(folder, SERVER.into())?;
        }
        fs::write(folder.join(CONFIGURATION), service.configuration(&images))?;
        let (folder, log) = (folder.to_owned(), logs.join("server.log"));
        let mut server = Self { service, program, folder, log, process: None };
        server.restart()?;
        Ok(server)
    }

    /// Kills the server, where one runs, and starts it again; returns when it was started.
    ///
    /// # Errors
    /// Those of [`Server::start`].
    pub(crate) fn restart(&mut self) -> Result<Instant> {
        self.stop();
        let (socket, ready) = self.notify_socket()?;
        let log = File::options().create(true).append(true).open(&self.log)?;
        let mut command = match self.service {
            Service::Network | Service::Proxy | Service::Tls | Service::Ipv6 => bound(&self.program),
            Service::HttpOnly(_) => bound_without_privilege(&self.program),
        };
        command.args(["serve", "--config"]).arg(self.folder.join(CONFIGURATION));
        if matches!(self.service, Service::HttpOnly(_)) {
            command.arg("--http-only");
        }
        command.env("NOTIFY_SOCKET", socket).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let started = Instant::now();
        let mut process = Process::start("pxe-server", &mut command)?;
        if !says_ready(&ready, &mut process)? {
            bail!("{process} did not get ready; its log:\n{}", self.log_tail());
        }
        self.process = Some(process);
        Ok(started)
    }

    /// Kills the server, as a crash would.
    pub(crate) fn stop(&mut self) {
        self.process = None;
    }

    /// The process's number; `None` while it is stopped.
    pub(crate) fn id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// # Errors
    /// The server ended, which it never should; the message has its log.
    pub(crate) fn check_alive(&mut self) -> Result<()> {
        let ended = self.process.as_mut().map(Process::ended).transpose()?.flatten();
        ensure!(ended.is_none(), "pxe-server ended; its log:\n{}", self.log_tail());
        Ok(())
    }

    /// What it logged last.
    pub(crate) fn log_tail(&self) -> String {
        let text = self.log();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
    }

    /// All that it logged so far, in earlier runs too.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// A socket as systemd has it: the server sends `READY=1` there (sd_notify(3)).
    fn notify_socket(&self) -> Result<(PathBuf, UnixDatagram)> {
        let path = self.folder.join("notify");
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            Ok(()) | Err(_) => {}
        }
        let socket = UnixDatagram::bind(&path).context("cannot listen for the server's readiness")?;
        socket.set_read_timeout(Some(Duration::from_millis(20)))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777))?;
        Ok((path, socket))
    }
}

/// A TCP port of 127.0.0.1 that is free now.
pub(crate) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot find a free port")?;
    Ok(listener.local_addr()?.port())
}

/// What the emulator's own network calls the machine that it runs on.
const HOST: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);

/// Under the lab's folder.
pub(crate) const DEFINITIONS: &str = "vms";
pub(crate) const STATE: &str = "state";
pub(crate) const CONFIGURATION: &str = "config.toml";
const LOG_LINES: usize = 60;

/// A start takes milliseconds; the machine may be busy.
const READY_LIMIT: Duration = Duration::from_secs(30);

fn says_ready(socket: &UnixDatagram, process: &mut Process) -> Result<bool> {
    let mut message = [0; 512];
    let started = Instant::now();
    while started.elapsed() < READY_LIMIT && process.ended()?.is_none() {
        if let Ok(length) = socket.recv(&mut message)
            && message[..length].split(|byte| *byte == b'\n').any(|line| line == b"READY=1")
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The same file or folder where a user without privileges can read it.
pub(crate) fn share(from: &Path, to: &Path) -> Result<PathBuf> {
    let failed = || format!("cannot copy {} to {}", from.display(), to.display());
    if from.is_dir() {
        fs::create_dir_all(to).with_context(failed)?;
        fs::set_permissions(to, fs::Permissions::from_mode(0o755))?;
        for entry in fs::read_dir(from).with_context(failed)? {
            let entry = entry?;
            share(&entry.path(), &to.join(entry.file_name()))?;
        }
    } else if !to.exists() {
        fs::copy(from, to).with_context(failed)?;
        let mode = fs::metadata(from)?.permissions().mode() | 0o444;
        fs::set_permissions(to, fs::Permissions::from_mode(mode))?;
    }
    Ok(to.to_owned())
}
