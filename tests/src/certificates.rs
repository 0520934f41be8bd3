//! Certificates for TLS, made as `docs/tls.md` says: a test that uses them tests the page too.

use std::{net::IpAddr, path::Path, process::Command};

use anyhow::{Context, Result};

/// Makes `ca.crt`, `server.crt` and `server.key` in `folder`, for a server at this address.
///
/// # Errors
/// openssl(1) is not installed, or refuses what the page says.
pub fn make(folder: &Path, server: IpAddr) -> Result<()> {
    let commands = PAGE.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next());
    let commands = commands.context("docs/tls.md has no commands")?.replace("10.77.0.1", &server.to_string());
    shell(folder, &commands)
}

/// Runs commands in `folder`.
///
/// # Errors
/// One of them fails; the message has what it said.
pub fn shell(folder: &Path, commands: &str) -> Result<()> {
    let output = Command::new("sh").args(["-ec", commands]).current_dir(folder).output().context("cannot start sh")?;
    anyhow::ensure!(output.status.success(), "{commands}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

const PAGE: &str = include_str!("../../docs/tls.md");
