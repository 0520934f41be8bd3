//! Logging in to a machine, with `ssh` as a person has it but nothing of that person's configuration.

use std::{
    fs,
    io::Read as _,
    net::{IpAddr, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::process::{bound, finish, run, until};

/// A key pair of the lab's own.
#[derive(Debug)]
pub struct Key {
    folder: TempDir,
    public: String,
}

impl Key {
    /// Makes a new pair.
    ///
    /// # Errors
    /// `ssh-keygen` is not installed.
    pub fn generate() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("pvmlab-key-").tempdir()?;
        let file = folder.path().join("id");
        let file = file.to_str().context("the folder for temporary files has a name that is not UTF-8")?;
        run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", file])?;
        let public = fs::read_to_string(format!("{file}.pub"))?.trim().to_owned();
        Ok(Self { folder, public })
    }

    /// The public half, as a line of `authorized_keys`.
    pub fn public(&self) -> &str {
        &self.public
    }

    /// The file with the private half.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("id")
    }

    fn known_hosts(&self) -> PathBuf {
        self.folder.path().join("known_hosts")
    }
}

/// How one machine is reached.
///
/// The machine's own key is accepted once and expected from then on, so a machine that was installed anew is noticed.
#[derive(Debug)]
pub struct Login<'a> {
    /// Who logs in.
    pub user: &'a str,
    /// Where.
    pub address: IpAddr,
    /// 22, or what is forwarded to it.
    pub port: u16,
    /// With which key.
    pub key: &'a Key,
}

impl Login<'_> {
    /// Runs `script` with the machine's `sh` and returns what it printed.
    ///
    /// # Errors
    /// The login failed, the script did, or it took too long; the message has what `ssh` said.
    pub fn run(&self, script: &str) -> Result<String> {
        let ended = finish("ssh", &mut self.command(&[], script), RUN_LIMIT);
        let Output { status, stdout, stderr } = ended.with_context(|| format!("`{script}` on {}", self.address))?;
        let said = String::from_utf8_lossy(&stderr);
        ensure!(status.success(), "`{script}` on {} failed ({status}): {}", self.address, said.trim());
        Ok(String::from_utf8_lossy(&stdout).into_owned())
    }

    /// Waits until the machine's SSH server answers.
    ///
    /// # Errors
    /// It did not within `limit`.
    pub fn wait_for_server(&self, limit: Duration) -> Result<()> {
        let server = SocketAddr::new(self.address, self.port);
        until(limit, || Ok(greets(server).ok()))?
            .with_context(|| format!("nobody speaks SSH at {server} after {limit:?}"))
    }

    /// Tries to log in with a password, and returns how `ssh` was refused.
    ///
    /// # Errors
    /// It was let in, or there was no answer.
    pub fn refusal_of_password(&self) -> Result<String> {
        let options = ["PubkeyAuthentication=no", "PreferredAuthentications=password,keyboard-interactive"];
        let output = finish("ssh", &mut self.command(&options, "true"), RUN_LIMIT)?;
        ensure!(!output.status.success(), "logged in to {} without a key", self.address);
        Ok(String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// The command that a person would type, with `-F` and the rest.
    fn command(&self, options: &[&str], script: &str) -> Command {
        let mut command = bound("ssh");
        let path = |name: &str, path: &Path| format!("{name}={}", path.display());
        let files = [path("IdentityFile", &self.key.file()), path("UserKnownHostsFile", &self.key.known_hosts())];
        let strict = ["BatchMode=yes", "IdentitiesOnly=yes", "StrictHostKeyChecking=accept-new", "LogLevel=ERROR"];
        // An emulated machine takes seconds for its half of the key exchange.
        let patient = ["ConnectTimeout=30", "ServerAliveInterval=15"];
        command.args(["-F", "none", "-p", &self.port.to_string(), "-l", self.user]);
        for option in options.iter().chain(&strict).chain(&patient).copied().chain(files.iter().map(String::as_str)) {
            command.args(["-o", option]);
        }
        command.arg(self.address.to_string()).arg(script);
        command
    }
}

/// Reads the beginning of an SSH server's greeting (RFC 4253 §4.2). A forwarded port accepts connections before the server does.
fn greets(server: SocketAddr) -> Result<()> {
    let mut stream = TcpStream::connect_timeout(&server, GREETING_LIMIT)?;
    stream.set_read_timeout(Some(GREETING_LIMIT))?;
    let mut greeting = [0; 4];
    stream.read_exact(&mut greeting)?;
    ensure!(greeting == *b"SSH-", "another protocol");
    Ok(())
}

/// A script may wait for a system that is still being configured, under emulation and on a busy machine.
const RUN_LIMIT: Duration = Duration::from_secs(600);

const GREETING_LIMIT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_line_of_authorized_keys() {
        let key = Key::generate().unwrap();

        assert!(key.public().starts_with("ssh-ed25519 AAAA"), "{}", key.public());
        assert!(key.file().is_file());
    }

    #[test]
    fn options_given_first_win() {
        let key = Key::generate().unwrap();
        let login = Login { user: "root", address: IpAddr::from([10, 77, 0, 10]), port: 22, key: &key };

        let command = login.command(&["PubkeyAuthentication=no"], "hostname");

        let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
        let first = words.iter().position(|word| word == "-o").unwrap();
        assert_eq!(words[first + 1], "PubkeyAuthentication=no");
        assert_eq!(words[words.len() - 2..], ["10.77.0.10", "hostname"]);
    }
}
