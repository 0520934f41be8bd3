//! Brings up the interface that the machine booted from, with an address from DHCP or DHCPv6.

mod exchange;
pub mod ipv4;
pub mod ipv6;
mod renewal;

use std::net::IpAddr;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use lab_model::MacAddr;

use crate::console::say;
use crate::controller::{self, Kind};
use crate::link::{self, Link};

/// Brings up the interface with this hardware address, or the only one.
///
/// # Errors
/// There is no such interface, or the kernel refuses.
pub fn bring_up(mac: Option<MacAddr>) -> Result<Link> {
    let link = find(mac)?;
    link::switch_on(&link).with_context(|| format!("cannot switch {} on", link.name))?;
    wait_for_carrier(&link);
    Ok(link)
}

/// Gives an interface an address by the family in which `server` is reached, and keeps the lease renewed while the process lives.
/// Returns what it got, and from whom, in words.
///
/// # Errors
/// Nobody gives an address.
pub fn configure(link: &Link, server: IpAddr) -> Result<String> {
    Ok(match server {
        IpAddr::V4(_) => {
            let lease = ipv4::configure(link)?;
            format!("{} from {}", lease.address, lease.server)
        }
        IpAddr::V6(_) => ipv6::configure(link)?.to_string(),
    })
}

fn find(mac: Option<MacAddr>) -> Result<Link> {
    let deadline = Instant::now() + APPEARANCE;
    loop {
        let links = link::list(Path::new("/sys"));
        match choose(&links, mac) {
            Ok(link) => return Ok(link.clone()),
            Err(reason) if Instant::now() > deadline => {
                let undriven = controller::undriven(Path::new("/sys")).into_iter();
                let undriven: Vec<_> =
                    undriven.filter(|one| one.kind == Kind::Network).map(|one| one.to_string()).collect();
                match &undriven[..] {
                    [] => bail!(reason),
                    _ => bail!("{reason}; the image's initrd has no driver for: {}", undriven.join(", ")),
                }
            }
            Err(_) => thread::sleep(Duration::from_millis(100)),
        }
    }
}

/// Chooses the interface, or says in words why none can be chosen.
fn choose(links: &[Link], mac: Option<MacAddr>) -> Result<&Link, String> {
    let seen = || {
        let list: Vec<_> = links.iter().map(|link| format!("{} ({})", link.name, link.mac)).collect();
        if list.is_empty() { "none at all".to_owned() } else { list.join(", ") }
    };
    match (mac, links) {
        (Some(mac), _) => links
            .iter()
            .find(|link| link.mac == mac)
            .ok_or_else(|| format!("there is no network interface with address {mac}; seen: {}", seen())),
        (None, [link]) => Ok(link),
        (None, []) => Err("there is no network interface".to_owned()),
        (None, _) => Err(format!(
            "there are several network interfaces: {}; name one on the kernel's command line, as `pvmlab.mac=`",
            seen()
        )),
    }
}

fn wait_for_carrier(link: &Link) {
    let deadline = Instant::now() + CARRIER;
    while !link::has_carrier(link) && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(50));
    }
    if !link::has_carrier(link) {
        say(format_args!("{} has no link yet; is the cable in?", link.name));
    }
}

/// How long a driver may take to show its interface.
const APPEARANCE: Duration = Duration::from_secs(15);

/// How long two ends of a cable may take to find each other.
const CARRIER: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interface_that_booted_is_taken() {
        let links = [link("eth0", 1), link("eth1", 2)];

        assert_eq!(choose(&links, Some(links[1].mac)), Ok(&links[1]));
        assert_eq!(choose(&links[..1], None), Ok(&links[0]));
    }

    #[test]
    fn without_the_right_interface_it_says_what_it_saw() {
        let links = [link("eth0", 1), link("eth1", 2)];

        assert_eq!(
            choose(&links, Some(link("x", 3).mac)),
            Err("there is no network interface with address 52:54:00:00:00:03; \
                 seen: eth0 (52:54:00:00:00:01), eth1 (52:54:00:00:00:02)"
                .to_owned())
        );
        assert!(choose(&links, None).is_err_and(|reason| reason.contains("as `pvmlab.mac=`")));
        assert_eq!(choose(&[], None), Err("there is no network interface".to_owned()));
    }

    fn link(name: &str, number: u8) -> Link {
        Link { name: name.to_owned(), index: u32::from(number), mac: MacAddr::new([0x52, 0x54, 0, 0, 0, number]) }
    }
}
