//! The server killed again and again while clients get their addresses.

use std::collections::BTreeMap;
use std::env;
use std::fs::File;
use std::hint;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::time::{SystemTime, UNIX_EPOCH};

use lab_model::MacAddr;
use lab_tests::process::run;
use lab_tests::{BRIDGE, Namespace};

use crate::load::{Chance, Load};
use crate::server::{LIMIT, ON_THE_BRIDGE, Server};

/// How often the server is killed, where nobody says it: `PVMLAB_CRASHES=1000`, with `PVMLAB_SEED` for what a failed test said.
const CRASHES: u64 = 30;

#[test]
fn no_crash_costs_an_acknowledged_lease_or_gives_an_address_twice() {
    let number = |name| env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let crashes = number("PVMLAB_CRASHES").unwrap_or(CRASHES);
    let by_clock = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    let seed = number("PVMLAB_SEED").unwrap_or_else(by_clock);
    println!("PVMLAB_SEED={seed}");
    let mut chance = Chance(seed);
    let namespace = Namespace::enter().unwrap();
    run("ip", &["address", "flush", "dev", BRIDGE]).unwrap();
    run("ip", &["address", "add", "10.77.0.1/16", "dev", BRIDGE]).unwrap();
    let mut server = Server::configured(&format!(
        "{ON_THE_BRIDGE}[dhcp]\nprobe-milliseconds = 0\npool = '10.77.1.0-10.77.255.254'\n"
    ));
    let (confirmed, heard) = mpsc::channel();
    let end = Arc::new(AtomicBool::new(false));
    let load = Load { chance: Chance(seed ^ 1), confirmed, end: end.clone() };
    let clients = namespace.neighbour(move || load.run()).unwrap();
    let mut acknowledged = Acknowledged { heard, addresses: BTreeMap::new(), holders: BTreeMap::new() };

    for crash in 1..=crashes {
        server.start_early();
        for _ in 0..=chance.below(24) {
            acknowledged.wait(&server);
        }
        // Anywhere in what the server does between two answers.
        (0..chance.below(500_000)).for_each(|_| hint::spin_loop());
        server.kill();
        acknowledged.are_all_kept(&server, crash);
        if chance.below(2) == 0 {
            // What a power failure leaves of a line.
            let mut leases = File::options().append(true).open(server.path("state/leases")).unwrap();
            leases.write_all(&TORN[..1 + chance.below(TORN.len() as u64 - 1) as usize]).unwrap();
        }
    }

    end.store(true, Ordering::Relaxed);
    clients.join().unwrap().unwrap();
    println!("{crashes} crashes, {} machines", acknowledged.addresses.len());
}

const TORN: &[u8] = br#"5d41402a {"mac":"52:54:00:00:00:99","address":"10.77.0.9","state":"bound"#;

/// Every address that a client was told it has.
struct Acknowledged {
    heard: Receiver<(MacAddr, Ipv4Addr)>,
    addresses: BTreeMap<MacAddr, Ipv4Addr>,
    holders: BTreeMap<Ipv4Addr, MacAddr>,
}

impl Acknowledged {
    /// Waits for one more.
    fn wait(&mut self, server: &Server) {
        let Ok((mac, address)) = self.heard.recv_timeout(LIMIT) else { panic!("no answer:\n{}", server.log()) };
        self.note(mac, address);
    }

    fn note(&mut self, mac: MacAddr, address: Ipv4Addr) {
        let before = self.addresses.insert(mac, address).unwrap_or(address);
        assert_eq!(before, address, "{mac} has lost its address");
        let holder = *self.holders.entry(address).or_insert(mac);
        assert_eq!(holder, mac, "{address} was given twice");
    }

    /// Whether the journal of the dead server has them all.
    fn are_all_kept(&mut self, server: &Server, crash: u64) {
        while let Ok((mac, address)) = self.heard.try_recv() {
            self.note(mac, address);
        }
        let (listed, said, status) = server.leases(&["list", "--json"]);
        assert!(status.success(), "{said}");
        let kept: BTreeMap<MacAddr, Ipv4Addr> = listed.lines().map(lease).collect();
        for (mac, address) in &self.addresses {
            assert_eq!(kept.get(mac), Some(address), "{mac} after crash {crash}");
        }
    }
}

fn lease(line: &str) -> (MacAddr, Ipv4Addr) {
    let value: serde_json::Value = serde_json::from_str(line).unwrap();
    let text = |name: &str| value[name].as_str().unwrap();
    (text("mac").parse().unwrap(), text("address").parse().unwrap())
}
