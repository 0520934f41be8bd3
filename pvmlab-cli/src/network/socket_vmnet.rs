//! Apple's vmnet, by way of socket_vmnet: a service of root's that machines of ordinary users plug into.
//!
//! vmnet's mode `host` without a gateway has no DHCP server of its own, so the provisioner's is the only one. The
//! service has the first pvmlab's name and socket: who has it set up need not do it again.

use std::path::{Path, PathBuf};

use crate::error::{Failure, Kind, Result};
use crate::network::Lan;
use crate::qemu::command_line::CommandLine;

/// launchd's name of the service.
pub(crate) const LABEL: &str = "io.github.pallotron.pvmlab.socket_vmnet";

/// Where the service listens, and how machines come to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Service {
    /// `PVMLAB_SOCKET_VMNET_PATH`.
    pub(crate) socket: PathBuf,
    /// `PVMLAB_SOCKET_VMNET_CLIENT`: the program that connects in QEMU's stead. QEMU does so itself where it is not set.
    pub(crate) client: Option<PathBuf>,
}

/// One thing that setting up does, as root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Runs a program.
    Run(CommandLine),
    /// Runs a program that may fail, as when there is nothing to undo.
    Try(CommandLine),
    /// Replaces a file.
    Write { path: PathBuf, text: String },
}

impl Service {
    /// The service that the environment names, else the usual one.
    pub(crate) fn from_environment() -> Self {
        let named = |name| std::env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from);
        Self {
            socket: named("PVMLAB_SOCKET_VMNET_PATH").unwrap_or_else(|| PathBuf::from(SOCKET)),
            client: named("PVMLAB_SOCKET_VMNET_CLIENT"),
        }
    }

    /// How a machine is plugged in.
    ///
    /// # Errors
    /// Nobody listens.
    pub(crate) fn attach(self) -> Result<Lan> {
        std::os::unix::net::UnixStream::connect(&self.socket).map_err(|error| {
            Failure::new(Kind::Missing, format!("socket_vmnet does not answer at {}: {error}", self.socket.display()))
                .hinted(
                    "start it with `pvmlab socket_vmnet start`; once for this host: `sudo pvmlab system setup-launchd`",
                )
        })?;
        Ok(match self.client {
            None => Lan::Stream { socket: self.socket },
            Some(program) => Lan::Client { program, socket: self.socket },
        })
    }
}

/// What starts the service, and does nothing where it runs.
pub(crate) fn start() -> Vec<Step> {
    vec![
        Step::Try(command("sudo", &["launchctl", "bootstrap", "system", PLIST])),
        Step::Run(command("sudo", &["launchctl", "kickstart", &format!("system/{LABEL}")])),
    ]
}

/// What stops the service until it is started, or the host is. launchd restarts what is merely killed.
pub(crate) fn stop() -> Vec<Step> {
    vec![Step::Run(command("sudo", &["launchctl", "bootout", &format!("system/{LABEL}")]))]
}

/// What asks launchd for the service; anybody may.
pub(crate) fn status() -> CommandLine {
    command("launchctl", &["print", &format!("system/{LABEL}")])
}

/// The service's process, by what launchd printed for [`status`]; `None`: it does not run.
pub(crate) fn pid(printed: &str) -> Option<u32> {
    printed.lines().find_map(|line| line.trim().strip_prefix("pid = ")?.parse().ok())
}

/// What sets the service up; `program` is socket_vmnet as Homebrew installed it.
///
/// launchd runs a copy that only root can change: Homebrew's folder belongs to an ordinary user.
pub(crate) fn setup(program: &Path) -> Vec<Step> {
    let owned = ["-o", "root", "-g", "wheel", "-m", "0755"];
    let install = |more: &[&str]| Step::Run(command("install", &[&owned, more].concat()));
    vec![
        install(&["-d", "/opt/socket_vmnet/bin", LOG_FOLDER]),
        install(&[&program.display().to_string(), PROGRAM]),
        Step::Try(command("launchctl", &["bootout", &format!("system/{LABEL}")])),
        Step::Write { path: PathBuf::from(PLIST), text: plist() },
        Step::Run(command("launchctl", &["enable", &format!("system/{LABEL}")])),
        Step::Run(command("launchctl", &["bootstrap", "system", PLIST])),
    ]
}

/// What launchd is told of the service (launchd.plist(5)).
fn plist() -> String {
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
    <key>Label</key>
    <string>{LABEL}</string>
    <key>ProgramArguments</key>
    <array>
        <string>{PROGRAM}</string>
        <string>--vmnet-mode=host</string>
        <string>--vmnet-network-identifier=random</string>
        <string>{SOCKET}</string>
    </array>
    <key>UserName</key>
    <string>root</string>
    <key>RunAtLoad</key>
    <true/>
    <key>KeepAlive</key>
    <true/>
    <key>ProcessType</key>
    <string>Interactive</string>
    <key>StandardOutPath</key>
    <string>{LOG_FOLDER}/stdout</string>
    <key>StandardErrorPath</key>
    <string>{LOG_FOLDER}/stderr</string>
</dict>
</plist>
"#
    )
}

fn command(program: &str, arguments: &[&str]) -> CommandLine {
    CommandLine {
        program: PathBuf::from(program),
        arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
    }
}

/// Where the first pvmlab's service listens.
const SOCKET: &str = "/var/run/vmlab.socket_vmnet";
const PROGRAM: &str = "/opt/socket_vmnet/bin/socket_vmnet";
const PLIST: &str = "/Library/LaunchDaemons/io.github.pallotron.pvmlab.socket_vmnet.plist";
const LOG_FOLDER: &str = "/var/log/vmlab.socket_vmnet";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starting_and_stopping_is_launchds_business() {
        insta::assert_snapshot!("start", text(&start()));
        insta::assert_snapshot!("stop", text(&stop()));
        assert_eq!(status().to_string(), format!("launchctl print system/{LABEL}"));
    }

    #[test]
    fn what_launchd_runs_is_roots() {
        insta::assert_snapshot!("setup", text(&setup(Path::new("/opt/homebrew/opt/socket_vmnet/bin/socket_vmnet"))));
    }

    #[test]
    fn a_service_that_runs_has_a_process() {
        let running = format!("system/{LABEL} = {{\n\tactive count = 1\n\tstate = running\n\n\tpid = 4711\n}}\n");

        assert_eq!(pid(&running), Some(4711));
        assert_eq!(pid(&format!("system/{LABEL} = {{\n\tstate = not running\n}}\n")), None);
    }

    #[test]
    fn a_service_that_does_not_answer_is_told_how_to_start() {
        let service = Service { socket: PathBuf::from("/nonexistent/socket_vmnet"), client: None };

        let failure = service.attach().expect_err("nobody listens");

        assert_eq!(failure.kind(), Kind::Missing);
    }

    fn text(steps: &[Step]) -> String {
        let lines = steps.iter().map(|step| match step {
            Step::Run(command) => format!("run {command}\n"),
            Step::Try(command) => format!("try {command}\n"),
            Step::Write { path, text } => format!("write {}\n{text}", path.display()),
        });
        lines.collect()
    }
}
