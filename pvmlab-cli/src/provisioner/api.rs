//! What the server in the provisioner says of the machines: HTTP through an SSH tunnel.
//!
//! The server listens on the lab's network alone, which this host is not part of; `ssh -W` connects from inside.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, Write as _};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use lab_model::{Event, Health, LabStatus, MachineName, MachineReport};
use serde::de::DeserializeOwned;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport, time::Duration as Within,
};
use ureq::{Agent, Body, http};

use crate::error::{Failure, Kind, Result};
use crate::ssh::{Login, not_installed};

/// The server of one lab.
#[derive(Debug)]
pub(crate) struct Api {
    agent: Agent,
    server: SocketAddr,
    provisioner: MachineName,
    complaints: File,
}

impl Api {
    /// Nothing is sent yet: each request is a tunnel of its own.
    ///
    /// # Errors
    /// There is no room for temporary files.
    pub(crate) fn new(provisioner: &Login, server: SocketAddr) -> Result<Self> {
        // Where ssh says why it failed; nobody shall read what it says while a provisioner is only waited for.
        let complaints = tempfile::tempfile().context("cannot make a temporary file")?;
        let tunnels = Tunnels {
            login: provisioner.clone(),
            server,
            complaints: complaints.try_clone().context("cannot share a file")?,
        };
        let config = Agent::config_builder().proxy(None).http_status_as_error(false).max_idle_connections(0).build();
        let agent = Agent::with_parts(config, tunnels, Nowhere);
        Ok(Self { agent, server, provisioner: provisioner.machine().clone(), complaints })
    }

    /// Every machine, and how far its latest boot got.
    ///
    /// # Errors
    /// The server cannot be reached, or answers something else.
    pub(crate) fn machines(&self) -> Result<LabStatus> {
        self.read("/machines", "the machines")
    }

    /// One machine with its latest boots.
    ///
    /// # Errors
    /// The server does not know it, cannot be reached, or answers something else.
    pub(crate) fn machine(&self, name: &MachineName) -> Result<MachineReport> {
        self.read(&format!("/machines/{name}"), &format!("the machine {name}"))
    }

    /// Whether the server is well, in its own words.
    ///
    /// # Errors
    /// The server cannot be reached, or is not well.
    pub(crate) fn health(&self) -> Result<Health> {
        self.read("/health", "its health")
    }

    /// A machine's events: those that the server remembers `since` then, and all to come until the server stops or `limit`
    /// has passed.
    ///
    /// # Errors
    /// The server cannot be reached. An item is an error where the connection broke, or of kind [`Kind::TimedOut`].
    pub(crate) fn follow(
        &self,
        machine: &MachineName,
        since: Option<Timestamp>,
        limit: Option<Duration>,
    ) -> Result<impl Iterator<Item = Result<Event>> + use<>> {
        let since = since.map(|since| format!("&since={since}")).unwrap_or_default();
        let body = self.get(&format!("/events?machine={machine}{since}"), "events", limit)?;
        // An empty line only says that the server is still there.
        let lines =
            BufReader::new(body.into_reader()).lines().filter(|line| !matches!(line, Ok(line) if line.is_empty()));
        Ok(lines.map(|line| -> Result<Event> {
            let line = line.map_err(|error| match error.kind() {
                io::ErrorKind::TimedOut => Failure::new(Kind::TimedOut, "no more events were waited for"),
                _ => anyhow::Error::from(error).context("the connection to the server broke").into(),
            })?;
            Ok(serde_json::from_str(&line).with_context(|| format!("the server sent no event: {line}"))?)
        }))
    }

    fn read<T: DeserializeOwned>(&self, path: &str, what: &str) -> Result<T> {
        let mut body = self.get(path, what, Some(PATIENCE))?;
        let text = body.read_to_string().with_context(|| format!("cannot ask the server for {what}"))?;
        Ok(serde_json::from_str(&text).with_context(|| format!("the server's answer for {path} is another one's"))?)
    }

    fn get(&self, path: &str, what: &str, limit: Option<Duration>) -> Result<Body> {
        let url = format!("http://{}{path}", self.server);
        let request = self.agent.get(url).config().timeout_recv_response(Some(PATIENCE)).timeout_recv_body(limit);
        let mut response = request.build().call().map_err(|error| self.unreachable(&error))?;
        match response.status() {
            status if status.is_success() => Ok(response.into_body()),
            http::StatusCode::NOT_FOUND => {
                Err(Failure::new(Kind::NotFound, format!("the server of {} knows nothing of {what}", self.provisioner)))
            }
            status => {
                let said = response.body_mut().read_to_string().unwrap_or_default();
                let server = &self.provisioner;
                Err(Failure::new(Kind::Failed, format!("the server of {server} answers {status}: {}", said.trim())))
            }
        }
    }

    fn unreachable(&self, error: &ureq::Error) -> Failure {
        let reason = self.complaint().unwrap_or_else(|| error.to_string());
        Failure::new(Kind::Failed, format!("cannot ask the server of {}: {reason}", self.provisioner)).hinted(format!(
            "see whether {0} runs (`pvmlab vm list`) and its server does (`pvmlab provisioner status`)",
            self.provisioner
        ))
    }

    /// What ssh said last, if it said anything.
    fn complaint(&self) -> Option<String> {
        let (mut file, mut said) = (&self.complaints, String::new());
        file.rewind().ok()?;
        file.read_to_string(&mut said).ok()?;
        said.lines().last().map(ToOwned::to_owned)
    }
}

/// How long an answer may take: an emulated provisioner takes seconds for a login.
const PATIENCE: Duration = Duration::from_secs(60);

/// Makes a connection by starting `ssh`.
#[derive(Debug)]
struct Tunnels {
    login: Login,
    server: SocketAddr,
    complaints: File,
}

impl Connector for Tunnels {
    type Out = Tunnel;

    fn connect(&self, details: &ConnectionDetails<'_>, _: Option<()>) -> Result<Option<Tunnel>, ureq::Error> {
        let (ours, theirs) = UnixStream::pair()?;
        let theirs = OwnedFd::from(theirs);
        self.complaints.set_len(0)?;
        let mut command = self.login.tunnel(self.server);
        command.stdin(theirs.try_clone()?).stdout(theirs).stderr(Stdio::from(self.complaints.try_clone()?));
        let child = command.spawn().map_err(|error| io::Error::other(not_installed(error).to_string()))?;
        let buffers = LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(Tunnel { stream: ours, buffers, ssh: Mutex::new(child) }))
    }
}

/// One connection; ended with it is the `ssh` that carries it.
#[derive(Debug)]
struct Tunnel {
    stream: UnixStream,
    buffers: LazyBuffers,
    ssh: Mutex<Child>,
}

impl Transport for Tunnel {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.stream.set_write_timeout(within(timeout))?;
        let output = &self.buffers.output()[..amount];
        self.stream.write_all(output).map_err(|error| timed_out(error, timeout))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.stream.set_read_timeout(within(timeout))?;
        let input = self.buffers.input_append_buf();
        let bytes = loop {
            match self.stream.read(input) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read.map_err(|error| timed_out(error, timeout))?,
            }
        };
        self.buffers.input_appended(bytes);
        Ok(bytes > 0)
    }

    fn is_open(&mut self) -> bool {
        // Never used twice.
        false
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        if let Ok(ssh) = self.ssh.get_mut() {
            // It may have ended by itself.
            let _ = ssh.kill();
            let _ = ssh.wait();
        }
    }
}

fn within(timeout: NextTimeout) -> Option<Duration> {
    timeout.not_zero().map(|within: Within| *within)
}

/// A socket with a time limit says that it would block.
fn timed_out(error: io::Error, timeout: NextTimeout) -> ureq::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => ureq::Error::Timeout(timeout.reason),
        _ => error.into(),
    }
}

/// Finds no address: a tunnel knows where it leads.
#[derive(Debug)]
struct Nowhere;

impl Resolver for Nowhere {
    fn resolve(
        &self,
        _: &http::Uri,
        _: &ureq::config::Config,
        _: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        Ok(self.empty())
    }
}
