//! The services of the first pvmlab: dnsmasq and nginx, set up as they were in its container.
//!
//! DHCP tells firmware by its architecture (option 93) which iPXE to fetch by TFTP; iPXE asks again, is known by its user
//! class, and gets the URL of its script. dnsmasq also advertises an IPv6 router, which spares iPXE a wait.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use lab_tests::{
    BRIDGE, Namespace, SERVER,
    process::{Process, bound, run, until},
};
use tempfile::TempDir;

/// What is served, whoever serves it.
pub(crate) struct Content {
    /// Holds `script`, `boot/` with iPXE and `http/` with what the script names, by path.
    folder: TempDir,
}

/// Both services, in a namespace of their own, until this is dropped.
pub(crate) struct Original {
    _dnsmasq: Process,
    _nginx: Process,
    _folder: TempDir,
    namespace: Namespace,
}

impl Content {
    /// Keeps `boot_program` and `script`, and whatever the script's URLs lead to by `fetch`, which is given a path.
    ///
    /// # Errors
    /// A file cannot be fetched or written.
    pub(crate) fn new(
        boot_program: (&str, &[u8]),
        script: &[u8],
        mut fetch: impl FnMut(&str) -> Result<Vec<u8>>,
    ) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("pvmlab-bench-").tempdir()?;
        let content = Self { folder };
        write(&content.tftp().join(boot_program.0), boot_program.1)?;
        write(&content.http().join("script"), script)?;
        for path in paths(&String::from_utf8_lossy(script)) {
            let file = path.split('?').next().unwrap_or(&path).trim_start_matches('/');
            write(&content.http().join(file), &fetch(&path)?)?;
        }
        Ok(content)
    }

    /// Keeps the file at `path` besides, under its own name.
    ///
    /// # Errors
    /// It cannot be copied.
    pub(crate) fn add(&self, path: &Path) -> Result<()> {
        let name = path.file_name().context("it is a file")?;
        fs::copy(path, self.http().join(name)).with_context(|| format!("cannot copy {}", path.display()))?;
        Ok(())
    }

    fn tftp(&self) -> PathBuf {
        self.folder.path().join("boot")
    }

    fn http(&self) -> PathBuf {
        self.folder.path().join("http")
    }
}

impl Original {
    /// Starts both in a new namespace, which this thread enters, and waits until they answer.
    ///
    /// # Errors
    /// One of them does not start; it says why on standard error.
    pub(crate) fn start(content: &Content, boot_program: &str) -> Result<Self> {
        let namespace = Namespace::enter()?;
        run("ip", &["-6", "address", "add", "fd00:77::1/64", "dev", BRIDGE, "nodad"])?;
        let folder = tempfile::Builder::new().prefix("pvmlab-original-").tempdir()?;
        // Both read their content as a user of their own.
        open_to_all(folder.path())?;
        open_to_all(content.folder.path())?;

        let configuration = folder.path().join("dnsmasq.conf");
        fs::write(
            &configuration,
            dnsmasq_configuration(&content.tftp(), boot_program, &folder.path().join("dnsmasq.log")),
        )?;
        let mut dnsmasq = bound("dnsmasq");
        // As root of a user namespace it could not change its group; so it does not try to.
        dnsmasq.args(["--no-daemon", &format!("--conf-file={}", configuration.display())]);
        let dnsmasq = Process::start("dnsmasq", &mut dnsmasq)?;

        let configuration = folder.path().join("nginx.conf");
        fs::write(&configuration, nginx_configuration(&content.http(), folder.path()))?;
        let mut nginx = bound("nginx");
        nginx.arg("-p").arg(folder.path()).arg("-c").arg(&configuration).arg("-e").arg(folder.path().join("error.log"));
        let nginx = Process::start("nginx", &mut nginx)?;

        let original = Self { _dnsmasq: dnsmasq, _nginx: nginx, _folder: folder, namespace };
        original.wait()?;
        Ok(original)
    }

    /// The namespace, for machines.
    pub(crate) fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// nginx listens on TCP port 80 and dnsmasq on UDP port 69, as the kernel's tables have it.
    fn wait(&self) -> Result<()> {
        let listens = until(START_LIMIT, || {
            let sockets = run("ss", &["--no-header", "--listening", "--numeric", "--tcp", "--udp"])?;
            Ok((sockets.contains(":80 ") && sockets.contains(":69 ") && sockets.contains(":67 ")).then_some(()))
        })?;
        ensure!(listens.is_some(), "dnsmasq and nginx do not listen after {START_LIMIT:?}");
        Ok(())
    }
}

const START_LIMIT: Duration = Duration::from_secs(20);

/// One-minute leases, as in the first pvmlab; the pool is its .100 to .200.
fn dnsmasq_configuration(tftp: &Path, boot_program: &str, log: &Path) -> String {
    let (tftp, log) = (tftp.display(), log.display());
    format!(
        "port=0
interface={BRIDGE}
bind-interfaces
dhcp-authoritative
leasefile-ro
dhcp-range=10.77.0.100,10.77.0.200,255.255.255.0,1m
dhcp-option=option:router,{SERVER}
dhcp-option=option:dns-server,{SERVER}
dhcp-range=fd00:77::100,fd00:77::200,slaac,64,1m
enable-ra
dhcp-match=set:known,option:client-arch,7
dhcp-match=set:known,option:client-arch,9
dhcp-match=set:known,option:client-arch,11
dhcp-userclass=set:ipxe,iPXE
dhcp-boot=tag:known,tag:!ipxe,{boot_program},,{SERVER}
dhcp-boot=tag:ipxe,http://{SERVER}/ipxe?mac=${{net0/mac}}
enable-tftp
tftp-root={tftp}
log-facility={log}
"
    )
}

fn nginx_configuration(http: &Path, folder: &Path) -> String {
    let (http, folder) = (http.display(), folder.display());
    format!(
        "daemon off;
# One process: a worker would outlive a master that is killed.
master_process off;
user root;
pid {folder}/nginx.pid;
worker_processes 1;
events {{ }}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  default_type application/octet-stream;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 80;
    root {http};
    location = /ipxe {{ default_type text/plain; alias {http}/script; }}
  }}
}}
"
    )
}

/// The paths, with queries, of the URLs that a boot script fetches; those on the kernel's command line are for later.
fn paths(script: &str) -> Vec<String> {
    let prefix = format!("http://{SERVER}/");
    let mut paths: Vec<_> = script
        .split_whitespace()
        .filter_map(|word| word.strip_prefix(&prefix))
        .filter(|path| !path.contains("${"))
        .map(|path| format!("/{path}"))
        .collect();
    paths.sort_unstable();
    paths.dedup();
    paths
}

fn write(file: &Path, contents: &[u8]) -> Result<()> {
    fs::create_dir_all(file.parent().unwrap_or(file))?;
    fs::write(file, contents).with_context(|| format!("cannot write {}", file.display()))
}

fn open_to_all(folder: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_a_script_fetches_and_nothing_else() {
        let script = "#!ipxe\nkernel http://10.77.0.1/images/a/vmlinuz?mac=x initrd=a pvmlab.config=http://10.77.0.1/config/x\n\
                      initrd --name a http://10.77.0.1/images/a/initrd.img || goto failed\n\
                      chain http://10.77.0.1/ipxe?mac=${netX/mac}\n";

        assert_eq!(paths(script), ["/images/a/initrd.img", "/images/a/vmlinuz?mac=x"]);
    }
}
