//! The first file of a boot, as TFTP serves it: found by name, and told to the journal.

use std::net::IpAddr;

use bytes::Bytes;
use lab_model::{MacAddr, What};
use pxe_proto::boot::{self, BaseUrl};
use pxe_proto::tftp::{Outcome, Refusal};
use tracing::warn;

use crate::boot_files::BootFile;
use crate::journal::Journal;
use crate::tftp::Report;

/// What iPXE's EFI builds ask for before they do anything by themselves.
const AUTOEXEC: &str = "autoexec.ipxe";

/// Finds a file by its name: a network boot program, or the script with which it goes on.
pub(crate) fn lookup(base: BaseUrl) -> impl FnMut(&str, IpAddr) -> Option<Bytes> {
    let autoexec = Bytes::from(boot::autoexec(base));
    move |name, client| {
        if name == AUTOEXEC {
            return Some(autoexec.clone());
        }
        let contents = BootFile::network_boot_program(name)?.contents();
        if contents.is_none() {
            warn!(file = name, %client, "this program was built without the file: run `cargo xtask boot-files` and build it again");
        }
        contents.map(Bytes::from_static)
    }
}

/// Records what becomes of transfers; `holder` says which machine has an address. Clients that have none of ours are nobody's boot.
pub(crate) fn record(journal: Journal, holder: impl Fn(IpAddr) -> Option<MacAddr>) -> impl FnMut(Report) {
    move |report| {
        let (client, what) = match report {
            Report::Ended { client, file, outcome, progress } => match outcome {
                Outcome::Finished => {
                    let milliseconds = progress.duration.as_millis().try_into().unwrap_or(u64::MAX);
                    (client, What::Transfer { file, bytes: progress.bytes, milliseconds })
                }
                Outcome::Aborted { .. } | Outcome::TimedOut | Outcome::Unreachable => {
                    (client, What::TransferFailed { file, reason: outcome.to_string() })
                }
                Outcome::Probed | Outcome::Replaced | Outcome::Stopped | Outcome::GaveWay => return,
            },
            Report::Refused { client, refusal } => match &refusal {
                Refusal::NotFound(file) | Refusal::Write(file) => {
                    (client, What::TransferFailed { file: file.clone(), reason: refusal.to_string() })
                }
                Refusal::Mode(_) | Refusal::Busy | Refusal::ClientBusy | Refusal::NoResources => return,
            },
        };
        if let Some(mac) = holder(client.ip()) {
            journal.record(mac, what);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_leads_to_this_server() {
        let base = "http://10.77.0.1:8080".parse().expect("a URL");

        let script = lookup(base)(AUTOEXEC, IpAddr::from([10, 77, 0, 10])).expect("a script");

        assert!(script.starts_with(b"#!ipxe\n"));
        assert!(String::from_utf8_lossy(&script).contains("http://10.77.0.1:8080/ipxe?mac="));
    }

    #[test]
    fn nothing_else_is_found() {
        let base = "http://10.77.0.1".parse().expect("a URL");

        for name in ["", "../autoexec.ipxe", "etc/passwd", "installer-aarch64"] {
            assert_eq!(lookup(base)(name, IpAddr::from([10, 77, 0, 10])), None, "{name}");
        }
    }
}
