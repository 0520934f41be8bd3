//! The name servers that others' names are asked of: those that the configuration lists, or this machine's own, followed as
//! they change.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior, interval};

/// Where to ask.
pub(super) struct Upstreams {
    source: Source,
    last: Vec<SocketAddr>,
    ticks: Interval,
}

enum Source {
    /// What the configuration lists.
    Listed(Vec<SocketAddr>),
    /// This machine's own, but not the server itself, whose addresses these are, by whatever way it comes to be among them.
    System(Vec<IpAddr>),
}

/// resolv.conf(5), and what systemd-resolved writes for those who want to ask past it (systemd-resolved.service(8)).
pub(super) const FILES: [&str; 2] = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"];

/// How systemd-resolved is reached: it would bring the lab's names to other networks, and theirs to the lab.
const STUBS: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::new(127, 0, 0, 53)), IpAddr::V4(Ipv4Addr::new(127, 0, 0, 54))];

/// The port of name servers (RFC 1035 §4.2).
const DNS: u16 = 53;

/// How often the files are looked at: they are small, and change as rarely as networks do.
const POLL: Duration = Duration::from_secs(2);

impl Upstreams {
    /// These, whatever this machine has.
    pub(super) fn listed(addresses: Vec<SocketAddr>) -> Self {
        Self::new(Source::Listed(addresses))
    }

    /// Those of this machine; `own` are the server's addresses.
    pub(super) fn of_this_machine(own: Vec<IpAddr>) -> Self {
        Self::new(Source::System(own))
    }

    fn new(source: Source) -> Self {
        let mut ticks = interval(POLL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { source, last: Vec::new(), ticks }
    }

    /// Those to ask now, the first one first.
    pub(super) fn now(&mut self) -> Vec<SocketAddr> {
        self.last = self.source.read();
        self.last.clone()
    }

    /// Waits until they are others.
    pub(super) async fn changed(&mut self) {
        loop {
            match self.source {
                Source::Listed(_) => std::future::pending().await,
                Source::System(_) => self.ticks.tick().await,
            };
            if self.source.read() != self.last {
                return;
            }
        }
    }
}

impl Source {
    fn read(&self) -> Vec<SocketAddr> {
        match self {
            Self::Listed(addresses) => addresses.clone(),
            Self::System(own) => {
                let [usual, beyond_the_stub] = FILES.map(|file| fs::read_to_string(file).unwrap_or_default());
                servers(&usual, &beyond_the_stub, own)
            }
        }
    }
}

fn servers(usual: &str, beyond_the_stub: &str, own: &[IpAddr]) -> Vec<SocketAddr> {
    let usual = listed(usual);
    let is_stub = !usual.is_empty() && usual.iter().all(|address| STUBS.contains(address));
    let addresses = if is_stub { listed(beyond_the_stub) } else { usual };
    let others = addresses.into_iter().filter(|address| !own.contains(address) && !STUBS.contains(address));
    others.map(|address| SocketAddr::new(address, DNS)).collect()
}

/// The lines that begin with `nameserver`. An address with a zone (`fe80::1%eth0`) is left out: whose link it is on is known
/// only to those who wrote it.
fn listed(text: &str) -> Vec<IpAddr> {
    let server = |line: &str| {
        let mut words = line.split_whitespace();
        (words.next()? == "nameserver").then(|| words.next()?.parse().ok())?
    };
    text.lines().filter_map(server).collect()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    const OWN: [IpAddr; 2] =
        [IpAddr::V4(Ipv4Addr::new(10, 77, 0, 1)), IpAddr::V6(Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 1))];

    #[test]
    fn the_machines_own_are_read_in_their_order() {
        let text = "# made by hand\nsearch example\nnameserver 192.0.2.1\n  nameserver\t2001:db8::1 # two\noptions rotate\n\
            nameserver fe80::1%eth0\nnameserver nonsense\nnameserver\n";

        assert_eq!(asked(text, ""), ["192.0.2.1:53", "[2001:db8::1]:53"]);
    }

    #[test]
    fn behind_a_stub_are_the_real_ones() {
        let stub = "nameserver 127.0.0.53\noptions edns0 trust-ad\n";

        assert_eq!(asked(stub, "nameserver 10.0.2.3\n"), ["10.0.2.3:53"]);
        assert_eq!(asked(stub, ""), [""; 0]);
        assert_eq!(asked("nameserver 127.0.0.1\nnameserver 127.0.0.53\n", "nameserver 10.0.2.3\n"), ["127.0.0.1:53"]);
    }

    #[test]
    fn the_server_does_not_ask_itself() {
        assert_eq!(asked("nameserver 10.77.0.1\nnameserver fd77::1\nnameserver 192.0.2.1\n", ""), ["192.0.2.1:53"]);
    }

    fn asked(usual: &str, beyond_the_stub: &str) -> Vec<String> {
        servers(usual, beyond_the_stub, &OWN).iter().map(ToString::to_string).collect()
    }
}
