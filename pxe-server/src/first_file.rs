//! The first file of a boot, as TFTP serves it: found by name, and told to the journal.

use std::net::IpAddr;

use bytes::Bytes;
use lab_model::{MacAddr, TransferTerms, What};
use pxe_proto::boot;
use pxe_proto::tftp::{Limits, Outcome, Progress, Refusal};
use tracing::warn;

use crate::boot_files::BootFile;
use crate::firmwares::Firmwares;
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
    firmwares: Firmwares,
    /// Which machine has an address.
    holder: H,
}

impl<H: FnMut(IpAddr) -> Option<MacAddr>> FirstFile<H> {
    /// For clients that ask by this family.
    pub(crate) fn new(family: Family, plans: Plans, identity: Option<tls::Watch>, journal: Journal, holder: H) -> Self {
        let firmwares = Firmwares::new(plans.clone(), journal.clone());
        Self { family, plans, identity, journal, firmwares, holder }
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

    fn limits(&mut self, client: IpAddr, limits: Limits) -> Limits {
        (self.holder)(client).map_or(limits, |mac| self.firmwares.treatment(mac).limits(limits))
    }

    fn report(&mut self, report: Report) {
        let (client, what) = match report {
            Report::Ended { client, file, outcome, progress } => match outcome {
                Outcome::Finished => {
                    let milliseconds = progress.duration.as_millis().try_into().unwrap_or(u64::MAX);
                    (client, What::Transfer { file, bytes: progress.bytes, milliseconds })
                }
                Outcome::Aborted { .. } | Outcome::TimedOut | Outcome::Unreachable => {
                    let Progress { block_size: block_bytes, window: window_blocks, .. } = progress;
                    let terms = Some(TransferTerms { block_bytes, window_blocks });
                    (client, What::TransferFailed { file, reason: outcome.to_string(), terms })
                }
                Outcome::Probed | Outcome::Replaced | Outcome::Stopped | Outcome::GaveWay => return,
            },
            Report::Refused { client, refusal } => match &refusal {
                Refusal::NotFound(file) | Refusal::Write(file) => {
                    (client, What::TransferFailed { file: file.clone(), reason: refusal.to_string(), terms: None })
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
    use std::net::{Ipv4Addr, SocketAddr};

    use pxe_proto::tftp::Packet;
    use tempfile::TempDir;
    use tokio::net::UdpSocket;
    use tokio::sync::watch;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::pulse::Pulses;
    use crate::{journal, plan, tftp};

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

    #[tokio::test]
    async fn a_client_that_fails_is_served_more_gently_each_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let (journal, writer) = opened(&folder);
        let _writer = tokio::spawn(writer.run());
        let mut events = journal.follow();
        let mut config = tftp::Config::new(Ipv4Addr::LOCALHOST.into());
        config.address.set_port(0);
        let server = tftp::Server::bind(config).expect("a free port");
        let listening = server.local_addr().expect("an address");
        let house = FirstFile::new(Family::Ipv4, plans(), None, journal, |_| Some(MAC));
        let _server = tokio::spawn(server.run(house, Pulses::default().of("tftp"), CancellationToken::new()));

        let mut steps = Vec::new();
        for expected in ["blksize=1468 windowsize=4", "blksize=1468", "blksize=1024"] {
            assert_eq!(fail(listening).await, expected);
            loop {
                let event = events.recv().await.expect("an event");
                if let What::StepDown { to, reason } = &event.what {
                    assert_eq!(reason, "autoexec.ipxe: aborted by the client: no (error 0)");
                    break steps.push(to.clone());
                }
            }
        }

        assert_eq!(steps, ["no-window", "blocks-of-1024", "blocks-of-512"]);
        assert_eq!(fail(listening).await, "", "as RFC 1350 has it");
    }

    /// Asks for large blocks in a window, and breaks off what comes. Returns what was granted.
    async fn fail(server: SocketAddr) -> String {
        let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a socket");
        let request = format!("\0\x01{AUTOEXEC}\0octet\0blksize\x001468\0windowsize\x004\0");
        client.send_to(request.as_bytes(), server).await.expect("sent");
        let mut buffer = [0; 2048];
        let (length, transfer) = client.recv_from(&mut buffer).await.expect("an answer");
        client.send_to(b"\0\x05\0\0no\0", transfer).await.expect("sent");
        match Packet::parse(&buffer[..length]) {
            Ok(Packet::OptionAck(options)) => {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                let all = options.iter().map(|(name, value)| format!("{}={}", text(name), text(value)));
                all.collect::<Vec<_>>().join(" ")
            }
            Ok(Packet::Data { block: 1, .. }) => String::new(),
            other => panic!("{other:?}"),
        }
    }

    const MAC: MacAddr = MacAddr::new([0x52, 0x54, 0, 0, 0, 1]);

    fn file(name: &str) -> Option<Bytes> {
        let folder = tempfile::tempdir().expect("a folder");
        let client = IpAddr::from([10, 77, 0, 10]);
        FirstFile::new(Family::Ipv4, plans(), None, opened(&folder).0, |_| None).file(name, client)
    }

    fn opened(folder: &TempDir) -> (Journal, journal::Writer) {
        let inventory = watch::channel(Default::default()).1;
        journal::open(&folder.path().join("events.jsonl"), inventory).expect("a journal")
    }

    fn plans() -> Plans {
        plan::tests::published("[lab]\naddress = '10.77.0.1/24'\n[http]\nport = 8080\n")
    }
}
