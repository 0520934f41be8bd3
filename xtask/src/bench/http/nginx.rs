//! nginx as one would set it up for this: two workers, sendfile, connections kept, nothing logged.

use std::{fs, net::Ipv4Addr, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use lab_tests::process::{Process, bound, run, until};
use tempfile::TempDir;

use crate::bench::processor::family;

/// A running nginx.
pub(crate) struct Nginx {
    process: Process,
    _folder: TempDir,
}

impl Nginx {
    /// Serves the images, and for `/ipxe` this script, at port 80 of `address`.
    ///
    /// # Errors
    /// It does not start.
    pub(crate) fn start(address: Ipv4Addr, images: &Path, script: &[u8]) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("pvmlab-nginx-").tempdir()?;
        fs::write(folder.path().join("script"), script)?;
        let configuration = folder.path().join("nginx.conf");
        fs::write(&configuration, text(address, images, folder.path()))?;
        // Workers would outlive a master that is killed, if they were not in a process namespace that ends with it.
        let mut command = bound("unshare");
        command.args(["--pid", "--fork", "--kill-child", "nginx", "-p"]).arg(folder.path());
        command.arg("-c").arg(&configuration).arg("-e").arg(folder.path().join("error.log"));
        let mut process = Process::start("nginx", &mut command)?;
        let listens = until(START_LIMIT, || {
            ensure!(process.ended()?.is_none(), "nginx ended instead of serving");
            let sockets = run("ss", &["--no-header", "--listening", "--numeric", "--tcp"])?;
            Ok(sockets.contains(&format!("{address}:80 ")).then_some(()))
        })?;
        listens.with_context(|| format!("nginx does not listen after {START_LIMIT:?}"))?;
        Ok(Self { process, _folder: folder })
    }

    /// The process that started nginx.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// nginx's own first process.
    ///
    /// # Errors
    /// It has ended.
    pub(crate) fn master(&self) -> Result<u32> {
        family(self.process.id()).get(1).copied().context("nginx has ended")
    }
}

const START_LIMIT: Duration = Duration::from_secs(20);

fn text(address: Ipv4Addr, images: &Path, folder: &Path) -> String {
    let (images, folder) = (images.display(), folder.display());
    format!(
        "daemon off;
user root;
pid {folder}/nginx.pid;
worker_processes 2;
events {{ }}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000;
  default_type application/octet-stream;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen {address}:80;
    location /images/ {{ alias {images}/; }}
    location = /ipxe {{ default_type text/plain; alias {folder}/script; }}
  }}
}}
"
    )
}
