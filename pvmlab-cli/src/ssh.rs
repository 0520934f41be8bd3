//! How machines of the lab are logged in to: `ssh` and `scp` as the host has them, and nothing of a person's own configuration.
//!
//! A machine's host key is accepted at the first login and expected from then on, in a file of its own: whoever makes a
//! machine anew [forgets](forget) it. No password is ever asked for.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};

use lab_model::MachineName;

use crate::error::{Failure, Kind, Result};
use crate::home::Home;

/// A machine as `ssh` reaches it.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    home: Home,
    machine: MachineName,
    address: SocketAddr,
    through: Option<Box<Login>>,
}

impl Login {
    /// A machine that the host reaches itself.
    pub(crate) fn direct(home: &Home, machine: &MachineName, address: SocketAddr) -> Self {
        Self { home: home.clone(), machine: machine.clone(), address, through: None }
    }

    /// A machine on the lab's network, reached through this one.
    pub(crate) fn beyond(&self, machine: &MachineName, address: IpAddr) -> Self {
        let address = SocketAddr::new(address, SSH_PORT);
        Self { home: self.home.clone(), machine: machine.clone(), address, through: Some(Box::new(self.clone())) }
    }

    /// Which machine this is.
    pub(crate) fn machine(&self) -> &MachineName {
        &self.machine
    }

    /// `ssh` that runs `script` in the machine's shell; without one it is a person's session.
    pub(crate) fn shell(&self, script: Option<&str>) -> Command {
        let mut command = Command::new("ssh");
        command.args(self.options()).arg(self.machine.as_str()).args(script);
        command
    }

    /// `ssh` whose standard input and output are a TCP connection from the machine to `address`.
    pub(crate) fn tunnel(&self, address: SocketAddr) -> Command {
        let mut command = Command::new("ssh");
        command.args(self.options()).arg("-W").arg(address.to_string()).arg(self.machine.as_str());
        command
    }

    /// `scp`; the machine's side of `from` and `to` is written `NAME:path`.
    pub(crate) fn copy(&self, from: &str, to: &str, recursive: bool) -> Command {
        let mut command = Command::new("scp");
        command.args(self.options()).args(recursive.then_some("-r")).args(["--", from, to]);
        command
    }

    /// Runs `script` and returns what it printed; what it says to standard error is the failure's text.
    ///
    /// # Errors
    /// The machine cannot be reached, or the script failed.
    pub(crate) fn run(&self, script: &str) -> Result<String> {
        let output = self.shell(Some(script)).stdin(Stdio::null()).output().map_err(not_installed)?;
        let said = String::from_utf8_lossy(&output.stderr);
        match output.status.code() {
            Some(0) => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            Some(UNREACHABLE) => Err(self.unreachable(said.trim())),
            _ => Err(Failure::new(Kind::Failed, format!("on {}: {}", self.machine, said.trim()))),
        }
    }

    /// Runs `command`, one of this login's, with this process's own input and output, and hands its exit code on.
    ///
    /// # Errors
    /// The program is not installed, or the machine cannot be reached.
    pub(crate) fn hand_over(&self, mut command: Command) -> Result<ExitCode> {
        let status = command.status().map_err(not_installed)?;
        match status.code() {
            Some(UNREACHABLE) => Err(self.unreachable("")),
            _ => Ok(ExitCode::from(exit_code(status))),
        }
    }

    /// What is said when `ssh` itself failed; `said` is what it said, if that was not seen yet.
    pub(crate) fn unreachable(&self, said: &str) -> Failure {
        let reason = if said.is_empty() { String::new() } else { format!(": {said}") };
        let failure = Failure::new(Kind::Failed, format!("cannot log in to {}{reason}", self.machine));
        if said.contains("HOST IDENTIFICATION HAS CHANGED") || said.contains("Host key verification failed") {
            return failure.hinted(format!(
                "if it was installed anew, remove {} and try again",
                self.home.known_hosts(&self.machine).display()
            ));
        }
        failure.hinted(format!(
            "see whether it runs (`pvmlab vm list`) and how far it got (`pvmlab vm logs {}`)",
            self.machine
        ))
    }

    fn options(&self) -> Vec<OsString> {
        let mut options: Vec<OsString> = vec!["-F".into(), "none".into()];
        let known_hosts = self.home.known_hosts(&self.machine);
        let values = [
            format!("HostName={}", self.address.ip()),
            format!("Port={}", self.address.port()),
            format!("HostKeyAlias={}", self.machine),
            format!("User={USER}"),
            format!("IdentityFile={}", path_value(&key(&self.home))),
            format!("UserKnownHostsFile={}", path_value(&known_hosts)),
        ];
        let proxy =
            self.through.as_ref().map(|jump| format!("ProxyCommand={}", command_value(&jump.tunnel(self.address))));
        let constant = CONSTANT.iter().map(ToString::to_string);
        for option in values.into_iter().chain(constant).chain(proxy) {
            options.extend(["-o".into(), option.into()]);
        }
        options
    }
}

/// Forgets a machine's host key: it is another machine now, or was installed anew.
///
/// # Errors
/// The file is there and cannot be removed.
pub(crate) fn forget(home: &Home, machine: &MachineName) -> Result<()> {
    let path = home.known_hosts(machine);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(anyhow::Error::from(error).context(format!("cannot remove {}", path.display())).into())
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The public key that opens every machine of the lab, as a line of `authorized_keys`.
///
/// # Errors
/// There is none yet.
pub(crate) fn public_key(home: &Home) -> Result<String> {
    let path = key(home).with_extension("pub");
    let key = fs::read_to_string(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            Failure::new(Kind::NotFound, format!("the lab has no SSH key: there is no {}", path.display()))
                .hinted("make one with `pvmlab setup`")
        }
        _ => Failure::new(Kind::Failed, format!("cannot read {}: {error}", path.display())),
    })?;
    Ok(key.trim().to_owned())
}

/// The lines of a definition's `ssh_key`: the lab's own key, then those of others.
///
/// # Errors
/// The lab has no key.
pub(crate) fn with_lab_key(home: &Home, others: &[String]) -> Result<String> {
    let own = public_key(home)?;
    let others = others.iter().filter(|key| **key != own);
    Ok(others.fold(own.clone(), |lines, key| format!("{lines}\n{key}")))
}

/// One word as a shell reads it literally.
pub(crate) fn shell_quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"%+,-./:=@_".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// The exit code of a program: its own, or 128 and the signal that ended it, as shells say it.
pub(crate) fn exit_code(status: ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt as _;
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

/// What a failure to run `ssh` or `scp` means.
pub(crate) fn not_installed(error: io::Error) -> Failure {
    Failure::new(Kind::Missing, format!("cannot run ssh: {error}"))
        .hinted("install OpenSSH's client (package `openssh-client` on Debian and Ubuntu)")
}

/// The account that the lab's key opens on every machine.
const USER: &str = "lab";

/// The lab's key, and what the first pvmlab called its own.
const KEYS: [&str; 2] = ["id_ed25519", "vm_rsa"];

const SSH_PORT: u16 = 22;

/// ssh(1): what it exits with when the failure is its own.
const UNREACHABLE: i32 = 255;

const CONSTANT: [&str; 8] = [
    "BatchMode=yes",
    "IdentitiesOnly=yes",
    "IdentityAgent=none",
    "GlobalKnownHostsFile=/dev/null",
    "StrictHostKeyChecking=accept-new",
    "LogLevel=ERROR",
    // An emulated machine takes seconds for its half of the key exchange.
    "ConnectTimeout=30",
    "ServerAliveInterval=15",
];

fn key(home: &Home) -> PathBuf {
    let [ours, first] = KEYS.map(|name| home.ssh().join(name));
    if !ours.exists() && first.exists() { first } else { ours }
}

/// A path as ssh_config(5) takes it: in quotes because of spaces, and without tokens.
fn path_value(path: &Path) -> String {
    format!("\"{}\"", path.display().to_string().replace('%', "%%"))
}

/// A command as ssh_config(5) takes it for the shell: without tokens.
fn command_value(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let quoted: Vec<_> = words.map(|word| shell_quoted(&word.to_string_lossy())).collect();
    quoted.join(" ").replace('%', "%%")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_provisioner_is_reached_at_its_forwarded_port() {
        insta::assert_snapshot!(words(&provisioner().shell(Some("hostname"))));
    }

    #[test]
    fn a_target_is_reached_through_the_provisioner() {
        insta::assert_snapshot!(words(&target().shell(None)));
    }

    #[test]
    fn files_are_copied_the_same_way() {
        insta::assert_snapshot!(words(&target().copy("web:/etc/hostname", "./a file", true)));
    }

    #[test]
    fn the_server_is_asked_through_the_provisioner() {
        let server = SocketAddr::from(([10, 77, 0, 1], 80));

        let tunnel = words(&provisioner().tunnel(server));

        assert!(tunnel.ends_with("-W\n10.77.0.1:80\nprovisioner"), "{tunnel}");
    }

    #[test]
    fn a_shell_reads_a_quoted_word_literally() {
        for word in ["plain", "", "a b", "it's", "$HOME", "*", "\\", "a\nb", "%h"] {
            let output = Command::new("sh").args(["-c", &format!("printf %s {}", shell_quoted(word))]).output();
            assert_eq!(String::from_utf8(output.expect("sh").stdout).expect("UTF-8"), word);
        }
    }

    #[test]
    fn a_path_survives_both_of_its_readers() {
        let login = Login { home: Home::at(Path::new("/home/an n/50%")), ..target() };

        // `ssh -G` prints the configuration that it would use.
        let output = login.shell(None).arg("-G").output().expect("ssh: install openssh-client");

        let printed = String::from_utf8(output.stdout).expect("UTF-8");
        assert!(printed.contains("userknownhostsfile /home/an n/50%/ssh"), "{printed}");
    }

    fn provisioner() -> Login {
        Login {
            home: Home::at(Path::new("/home/ann/.pvmlab")),
            machine: "provisioner".parse().expect("a name"),
            address: SocketAddr::from(([127, 0, 0, 1], 2222)),
            through: None,
        }
    }

    fn target() -> Login {
        provisioner().beyond(&"web".parse().expect("a name"), IpAddr::from([10, 77, 0, 10]))
    }

    fn words(command: &Command) -> String {
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join("\n")
    }
}
