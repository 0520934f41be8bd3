mod finding;
mod home;
mod host;
mod lab;
mod network;

use std::process::ExitCode;

use lab_model::Arch;

use self::finding::{State, show};
use crate::error::{Kind, Result};
use crate::home::Home;
use crate::host::Host;
use crate::interrupt::Interrupt;
use crate::ui::Ui;

/// Checks the host and the lab, and says what to do about each finding.
///
/// Exits with 5 if something that is needed is missing. As JSON: a list of findings, each with `check`, `state` (ok, warning
/// or missing), `found` and `fix` (null where there is nothing to do).
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  pvmlab doctor\n  pvmlab doctor --json")]
pub(crate) struct Doctor {}

impl Doctor {
    pub(crate) fn run(self, home: &Home, ui: Ui) -> Result<ExitCode> {
        let (host, interrupt) = (Host::here()?, Interrupt::hold());
        let mut findings = host::programs();
        for arch in Arch::ALL {
            findings.extend(host::machines(arch, &host, home, &interrupt)?);
        }
        findings.extend(network::networks(&host, home));
        findings.extend([home::folder(home), home::keys(home), home::space(home)]);
        if home.exists() {
            findings.extend(network::ssh_port(home));
            findings.extend(lab::definitions(home));
            findings.extend(lab::images(home));
            findings.extend(lab::provisioner(home));
        }
        ui.data(&findings, |findings| show(findings))?;
        let is_missing = findings.iter().any(|finding| finding.state == State::Missing);
        Ok(if is_missing { ExitCode::from(Kind::Missing.exit_code()) } else { ExitCode::SUCCESS })
    }
}
