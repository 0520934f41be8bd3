//! The first file of a boot, as TFTP serves it: found by name, and told to the journal.

use std::net::IpAddr;

use bytes::Bytes;
use lab_model::{MacAddr, What};
use pxe_proto::boot;
use pxe_proto::tftp::{Outcome, Refusal};
use tracing::warn;

use crate::boot_files::BootFile;
use crate::journal::Journal;
use crate::plan::{Family, Plans};
use crate::tftp::{Bounds, House, Report};
use crate::tls;

/// What iPXE's EFI builds ask for before they do anything by themselves.
const AUTOEXEC: &str = "autoexec.ipxe";

/// The boot of machines that have their addresses from us. Clients that have none of ours are nobody's boot.
pub(crate) struct FirstFile<H> {
    family: Family,
    plans: Plans,
    identity: Option<tls::Watch>,
    journal: Journal,
    /// Which machine has an address.
    holder: H,
}

impl<H: FnMut(IpAddr) -> Option<MacAddr>> FirstFile<H> {
    /// For clients that ask by this family.
    pub(crate) fn new(family: Family, plans: Plans, identity: Option<tls::Watch>, journal: Journal, holder: H) -> Self {
        Self { family, plans, identity, journal, holder }
    }
}

impl<H: FnMut(IpAddr) -> Option<MacAddr>> House for FirstFile<H> {
    fn file(&mut self, name: &str, client: IpAddr) -> Option<Bytes> {
        if name == AUTOEXEC {
            return Some(Bytes::from(boot::autoexec(self.plans.borrow().boot_url(self.family))));
        }
        let contents = tls::served(self.identity.as_ref(), BootFile::network_boot_program(name)?);
        if contents.is_none() {
            warn!(file = name, %client, "this program was built without the file: run `cargo xtask boot-files` and build it again");
        }
        contents
    }

    fn report(&mut self, report: Report) {
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
        if let Some(mac) = (self.holder)(client.ip()) {
            self.journal.record(mac, what);
        }
    }

    fn other_bounds(&mut self) -> Option<Bounds> {
        let changed = self.plans.has_changed().unwrap_or(false);
        changed.then(|| self.plans.borrow_and_update().config.tftp.bounds())
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::watch;

    use super::*;
    use crate::{journal, plan};

    #[test]
    fn the_script_leads_to_this_server() {
        let script = file(AUTOEXEC).expect("a script");

        assert!(script.starts_with(b"#!ipxe\n"));
        assert!(String::from_utf8_lossy(&script).contains("http://10.77.0.1:8080/ipxe?mac="));
    }

    #[test]
    fn nothing_else_is_found() {
        for name in ["", "../autoexec.ipxe", "etc/passwd", "installer-aarch64"] {
            assert_eq!(file(name), None, "{name}");
        }
    }

    fn file(name: &str) -> Option<Bytes> {
        let folder = tempfile::tempdir().expect("a folder");
        let inventory = watch::channel(Default::default()).1;
        let (journal, _) = journal::open(&folder.path().join("events.jsonl"), inventory).expect("a journal");
        let plans = plan::tests::published("[lab]\naddress = '10.77.0.1/24'\n[http]\nport = 8080\n");
        let client = IpAddr::from([10, 77, 0, 10]);
        FirstFile::new(Family::Ipv4, plans, None, journal, |_| None).file(name, client)
    }
}
