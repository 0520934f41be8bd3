//! Another release of `pxe-server` on a provisioner that runs.
//!
//! The provisioner itself puts it to work, as a unit of its own: a login that breaks in the middle changes nothing. What does
//! not serve is taken back there, too.

use std::io::Write;
use std::process::Stdio;

use anyhow::Context as _;

use super::release::Release;
use crate::error::{Failure, Kind, Result};
use crate::ssh::{Login, not_installed, shell_quoted};

/// Puts a release to work and returns what the provisioner said of it, a sentence a line.
///
/// # Errors
/// The provisioner cannot be reached, or the release does not serve there; then the one before does, and the message says so.
pub(crate) fn deploy(login: &Login, release: &Release) -> Result<String> {
    let script = format!("sudo bash -c {} deploy {}", shell_quoted(SCRIPT), release.id());
    let output = send(login, &script, |archive| {
        release.files().iter().try_for_each(|(name, contents)| append(archive, name, contents))
    })?;
    Ok(output)
}

/// Runs `script` with an archive on its standard input.
///
/// # Errors
/// The provisioner cannot be reached, or the script fails; the message is its last sentence.
pub(super) fn send(
    login: &Login,
    script: &str,
    write: impl FnOnce(&mut tar::Builder<&mut dyn Write>) -> std::io::Result<()>,
) -> Result<String> {
    let mut command = login.shell(Some(script));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(not_installed)?;
    let mut stdin = child.stdin.take().expect("it was asked for");
    let mut archive = tar::Builder::new(&mut stdin as &mut dyn Write);
    let written = write(&mut archive).and_then(|()| archive.into_inner()?.flush());
    drop(stdin);
    let output = child.wait_with_output().context("cannot wait for ssh")?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    let (said, complained) = (text(&output.stdout), text(&output.stderr));
    match output.status.code() {
        Some(0) => {
            // A script that succeeds has read everything: what failed then is reading on this side.
            written.context("cannot send the archive")?;
            Ok(said)
        }
        Some(255) => Err(login.unreachable(&complained)),
        _ => Err(refusal(login, &said, &complained)),
    }
}

/// Adds a file to an archive, as nobody's in particular.
pub(super) fn append(archive: &mut tar::Builder<&mut dyn Write>, name: &str, contents: &[u8]) -> std::io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(contents.len() as u64);
    header.set_mode(0o644);
    archive.append_data(&mut header, name, contents)
}

/// In the provisioner: takes the release that comes in, and waits for the unit that puts it to work.
const SCRIPT: &str = r#"set -euo pipefail
folder=$(mktemp -d /var/tmp/pvmlab-XXXXXX)
trap 'rm -rf "$folder"' EXIT
tar -x --no-same-owner -C "$folder"
id=$(bash "$folder/provision" receive "$folder")
[[ $id == "$1" ]] || { echo "error: the release did not arrive whole" >&2; exit 1; }
status=0
systemctl start "pxe-server-deploy@$id.service" 2>/dev/null || status=$?
cat "${PVMLAB_ROOT-}/run/pvmlab/deploy.log"
exit "$status"
"#;

/// The last sentence is what happened; those before are how.
fn refusal(login: &Login, said: &str, complained: &str) -> Failure {
    let lines: Vec<_> = said.lines().chain(complained.lines()).collect();
    let Some((last, before)) = lines.split_last() else {
        return Failure::new(Kind::Failed, format!("{} said nothing", login.machine()));
    };
    let failure = Failure::new(Kind::Failed, format!("{}: {}", login.machine(), last.trim_start_matches("error: ")));
    before.iter().fold(failure, |failure, line| failure.hinted(*line))
}
