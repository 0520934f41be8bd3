//! A server in a folder of its own.

use std::fs::{self, File};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use lab_tests::process::{Process, bound, bound_with_capabilities, bound_without_privilege, run, until};
use tempfile::TempDir;

/// How long anything may take before a test gives up: far longer than it takes on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// The configuration of a server on a namespace's bridge.
pub(crate) const ON_THE_BRIDGE: &str = "state = 'state'\n[lab]\ninterface = 'lab'\n";

/// The configuration of a server without privileges.
pub(crate) const HTTP_ONLY: &str =
    "state = 'state'\n[lab]\naddress = '10.0.2.2/24'\n[http]\nlisten = '127.0.0.1'\nport = 0\n";

/// A configuration with its folder, and perhaps a process that serves it.
pub(crate) struct Server {
    folder: TempDir,
    process: Option<Process>,
}

impl Server {
    /// A server that does not run yet.
    pub(crate) fn configured(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("state/vms")).unwrap();
        fs::write(folder.path().join("config.toml"), config).unwrap();
        Self { folder, process: None }
    }

    /// A server that serves everything on the namespace's bridge.
    pub(crate) fn started() -> Self {
        let mut server = Self::configured(ON_THE_BRIDGE);
        server.start();
        server
    }

    /// Starts the process and waits until it is ready.
    pub(crate) fn start(&mut self) {
        self.start_early();
        self.wait_for_log("ready");
    }

    /// Starts the process, which may not get ready yet.
    pub(crate) fn start_early(&mut self) {
        self.spawn(self.serve(bound(PROGRAM)));
    }

    /// Starts the process as a service manager does that wants to hear from it this often, and returns what it hears.
    pub(crate) fn start_supervised(&mut self, watchdog: Duration) -> UnixDatagram {
        let path = self.path("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        manager.set_read_timeout(Some(LIMIT)).unwrap();
        let mut command = self.serve(bound(PROGRAM));
        command.env("NOTIFY_SOCKET", path).env("WATCHDOG_USEC", watchdog.as_micros().to_string());
        self.spawn(command);
        manager
    }

    /// Starts the process with this capability alone, and waits until it is ready.
    pub(crate) fn start_with(&mut self, capability: &str) {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--inh-caps=-all"]);
        command.arg(format!("--bounding-set=-all,+{capability}")).arg("--").arg(PROGRAM);
        self.spawn(self.serve(command));
        self.wait_for_log("ready");
    }

    /// Starts the process as its unit does, as another user with three capabilities, and waits until it is ready.
    pub(crate) fn start_as_a_service(&mut self) {
        self.open_to_all();
        self.spawn(self.serve(bound_with_capabilities(&["+net_admin", "+net_bind_service", "+net_raw"], PROGRAM)));
        self.wait_for_log("ready");
    }

    /// Starts the process after a shell has changed the file systems that it sees.
    pub(crate) fn spawn_where(&mut self, script: &str, environment: &[(&str, &str)]) {
        let mut command = bound("unshare");
        let set = environment.iter().map(|(name, value)| format!("{name}='{value}'")).collect::<Vec<_>>().join(" ");
        command.args(["--mount", "sh", "-ec"]).arg(format!("{script}\n{set} exec \"$@\"")).args(["sh", PROGRAM]);
        self.spawn(self.serve(command));
    }

    /// Starts the process under the eyes of strace(1), which writes these system calls to the file `trace`, and waits until it is ready.
    pub(crate) fn start_traced(&mut self, calls: &str) {
        let mut command = bound("strace");
        // The process is the server itself: it ends with the test, and strace with it.
        command.args(["-D", "-f", "-qq", "-s", "64", "-e", &format!("trace={calls}"), "-o"]).arg(self.path("trace"));
        command.arg(PROGRAM);
        self.spawn(self.serve(command));
        self.wait_for_log("ready");
    }

    /// Waits until a process that cannot get ready has ended, and returns how.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.process.as_mut().unwrap().wait(LIMIT).unwrap()
    }

    /// Starts a process that cannot get ready with this capability alone, and returns how it ended.
    pub(crate) fn fail_with(&mut self, capability: &str) -> ExitStatus {
        self.open_to_all();
        self.spawn(self.serve(bound_with_capabilities(&[capability], PROGRAM)));
        self.wait()
    }

    /// Writes another configuration.
    pub(crate) fn configure(&self, config: &str) {
        fs::write(self.path("config.toml"), config).unwrap();
    }

    /// Has the process read its configuration again, as `systemctl reload` does.
    pub(crate) fn reload(&self) {
        run("kill", &["-HUP".to_owned(), self.process.as_ref().unwrap().id().to_string()]).unwrap();
    }

    /// Starts a process that cannot get ready, and returns how it ended.
    pub(crate) fn fail(&mut self) -> ExitStatus {
        self.spawn(self.serve(bound(PROGRAM)));
        self.process.as_mut().unwrap().wait(LIMIT).unwrap()
    }

    /// As [`Server::fail`], without any privilege.
    pub(crate) fn fail_without_privilege(&mut self) -> ExitStatus {
        self.open_to_all();
        self.spawn(self.serve(bound_without_privilege(PROGRAM)));
        self.process.as_mut().unwrap().wait(LIMIT).unwrap()
    }

    /// Starts the process with HTTP alone, without any privilege, and waits until it is ready.
    pub(crate) fn start_http_only(&mut self) {
        self.open_to_all();
        let mut command = self.serve(bound_without_privilege(PROGRAM));
        command.arg("--http-only");
        self.spawn(command);
        self.wait_for_log("ready");
    }

    /// Asks the process to end, and returns how it did.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        self.process.take().unwrap().stop(LIMIT).unwrap()
    }

    /// Waits until the process ends by itself, and returns how it did.
    pub(crate) fn end(&mut self) -> ExitStatus {
        self.process.as_mut().unwrap().wait(LIMIT).unwrap()
    }

    /// Starts a process with HTTP alone that cannot get ready, without any privilege, and returns how it ended.
    pub(crate) fn fail_http_only(&mut self) -> ExitStatus {
        self.open_to_all();
        let mut command = self.serve(bound_without_privilege(PROGRAM));
        command.arg("--http-only");
        self.spawn(command);
        self.end()
    }

    /// Ends the process as a crash would.
    pub(crate) fn kill(&mut self) {
        self.process = None;
    }

    /// What `pxe-server check` prints, to stdout and stderr, and how it ends.
    pub(crate) fn check(&self) -> (String, String, ExitStatus) {
        self.check_with(&[])
    }

    fn check_with(&self, options: &[&str]) -> (String, String, ExitStatus) {
        let output = Command::new(PROGRAM).arg("check").args(options).arg(self.path("config.toml")).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap().replace(self.folder.path().to_str().unwrap(), "FOLDER");
        (text(output.stdout), text(output.stderr), output.status)
    }

    /// As [`Server::check`], without reading images.
    pub(crate) fn check_quickly(&self) -> (String, String, ExitStatus) {
        self.check_with(&["--quick"])
    }

    /// The most memory that the process has had so far, in KiB: its own and its program's (`VmHWM` of proc_pid_status(5)).
    pub(crate) fn peak_memory_kib(&self) -> u64 {
        let process = self.process.as_ref().unwrap().id();
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// As [`Server::check`], beside another configuration, of which no image is read.
    pub(crate) fn check_against(&self, other: &str) -> (String, String, ExitStatus) {
        fs::write(self.path("other.toml"), other).unwrap();
        self.check_with(&["--quick", "--against", self.path("other.toml").to_str().unwrap()])
    }

    /// What `pxe-server leases` prints with these arguments, to stdout and stderr, and how it ends.
    pub(crate) fn leases(&self, arguments: &[&str]) -> (String, String, ExitStatus) {
        let mut command = Command::new(PROGRAM);
        command.current_dir(self.folder.path()).arg("leases").args(arguments).args(["--config", "config.toml"]);
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap().replace(self.folder.path().to_str().unwrap(), "FOLDER");
        (text(output.stdout), text(output.stderr), output.status)
    }

    /// The number of the process.
    pub(crate) fn id(&self) -> u32 {
        self.process.as_ref().unwrap().id()
    }

    /// Writes a definition file.
    pub(crate) fn define(&self, file: &str, text: &str) {
        fs::write(self.path("state/vms").join(file), text).unwrap();
    }

    /// Where a file of the server is.
    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    /// What the process has logged so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path(LOG)).unwrap_or_default()
    }

    /// Waits for a line of the log in which `text` stands, and returns it.
    pub(crate) fn wait_for_log(&self, text: &str) -> String {
        self.wait_for(LOG, text)
    }

    /// Waits for a line of one of the server's files in which `text` stands, and returns it.
    pub(crate) fn wait_for(&self, file: &str, text: &str) -> String {
        let read = || fs::read_to_string(self.path(file)).unwrap_or_default();
        let line = || Ok(read().lines().find(|line| line.contains(text)).map(str::to_owned));
        let line = until(LIMIT, line).unwrap();
        line.unwrap_or_else(|| panic!("`{text}` is not in {file}:\n{}\nThe log:\n{}", read(), self.log()))
    }

    /// The port on which a server with HTTP alone answers.
    pub(crate) fn http_port(&self) -> u16 {
        let ready = self.wait_for_log("ready");
        let url = ready.split_whitespace().find_map(|field| field.strip_prefix("url=http://10.0.2.2:"));
        url.unwrap().parse().unwrap()
    }

    /// Lets whoever runs programs without privilege work in the folder.
    fn open_to_all(&self) {
        run("chmod", &["-R".as_ref(), "a+rwX".as_ref(), self.folder.path().as_os_str()]).unwrap();
    }

    fn serve(&self, mut command: Command) -> Command {
        command.args(["serve", "--config"]).arg(self.path("config.toml"));
        command
    }

    fn spawn(&mut self, mut command: Command) {
        let log = File::create(self.path(LOG)).unwrap();
        command.stdin(Stdio::null()).stderr(log);
        self.process = Some(Process::start("pxe-server", &mut command).unwrap());
    }
}

/// Adds the interface `other` to the namespace, perhaps with an address.
pub(crate) fn add_interface(address: Option<&str>) {
    run("ip", &["link", "add", "other", "type", "bridge"]).unwrap();
    if let Some(address) = address {
        run("ip", &["address", "add", address, "dev", "other"]).unwrap();
    }
}

/// A definition in TOML.
pub(crate) fn definition(name: &str, mac: u8, ip: &str) -> String {
    format!("name = '{name}'\narch = 'aarch64'\nmac = '52:54:00:00:00:{mac:02x}'\nip = '{ip}'\n")
}

const PROGRAM: &str = env!("CARGO_BIN_EXE_pxe-server");
const LOG: &str = "server.log";
