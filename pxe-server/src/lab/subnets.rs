//! The subnets of the configuration: each by itself, and beside the others.

use std::net::Ipv4Addr;
use std::time::Duration;

use lab_model::Ipv4Net;
use pxe_proto::dhcp;
use toml::Spanned;

use super::{default_pool, within};
use crate::config::{Config, Invalid, Router, SubnetSection};

/// The subnets behind relay agents, and those that share a link.
///
/// # Errors
/// One is no network, shares addresses with another or with the lab, has a router or pool elsewhere, or shares the link of a network
/// that has none.
pub(super) fn relayed(config: &Config, server: Ipv4Net) -> Result<Vec<dhcp::Subnet>, Invalid> {
    let mut subnets: Vec<dhcp::Subnet> = Vec::new();
    for section in &config.dhcp.subnet {
        let network = network(config, &section.network)?;
        let others = [server].into_iter().chain(subnets.iter().map(|subnet| subnet.network));
        if let Some(other) = others.into_iter().find(|other| overlap(*other, network)) {
            let problem = format!("{network} and {other} have addresses in common: expected a network of its own");
            return Err(config.invalid("dhcp.subnet.network", &section.network, problem));
        }
        subnets.push(subnet(config, section, network, server.address())?);
    }
    for (section, subnet) in config.dhcp.subnet.iter().zip(&subnets) {
        if let (Some(written), Some(link)) = (&section.shares_link_with, subnet.link) {
            is_a_link(link, server, &subnets)
                .map_err(|problem| config.invalid("dhcp.subnet.shares-link-with", written, problem))?;
        }
    }
    Ok(subnets)
}

/// What is wrong with this network as one whose link others share, if anything is.
fn is_a_link(link: Ipv4Net, server: Ipv4Net, subnets: &[dhcp::Subnet]) -> Result<(), String> {
    let same = |network: Ipv4Net| (network.network(), network.prefix()) == (link.network(), link.prefix());
    if same(server) {
        return Ok(());
    }
    match subnets.iter().find(|subnet| same(subnet.network)).map(|subnet| subnet.link) {
        Some(None) => Ok(()),
        Some(Some(other)) if same(other) => Err(format!("{link} is this network itself: expected another one")),
        Some(Some(other)) => Err(format!("{link} is on the link of {other} itself: expected {other}")),
        None => {
            Err(format!("{link} is no network of this configuration: expected the lab's or that of another subnet"))
        }
    }
}

fn network(config: &Config, written: &Spanned<Ipv4Net>) -> Result<Ipv4Net, Invalid> {
    let network = *written.get_ref();
    if network.address() == network.network() {
        return Ok(network);
    }
    let (first, prefix) = (network.network(), network.prefix());
    let problem = format!("{network} is a host's address: expected its network, {first}/{prefix}");
    Err(config.invalid("dhcp.subnet.network", written, problem))
}

fn overlap(one: Ipv4Net, other: Ipv4Net) -> bool {
    one.contains(other.network()) || other.contains(one.network())
}

fn subnet(
    config: &Config,
    section: &SubnetSection,
    network: Ipv4Net,
    server: Ipv4Addr,
) -> Result<dhcp::Subnet, Invalid> {
    let router = match *section.router.get_ref() {
        Router::None => None,
        Router::At(address) => {
            within(network, [address])
                .map_err(|problem| config.invalid("dhcp.subnet.router", &section.router, problem))?;
            Some(address)
        }
    };
    let pool = match &section.pool {
        Some(written) => {
            within(network, written.get_ref().ends())
                .map_err(|problem| config.invalid("dhcp.subnet.pool", written, problem))?;
            written.get_ref().clone()
        }
        None => default_pool(router.and_then(|router| Ipv4Net::new(router, network.prefix())).unwrap_or(network)),
    };
    let lease = section.lease_seconds.unwrap_or(config.dhcp.lease_seconds);
    let domain = section.domain.as_ref().unwrap_or(&config.lab.domain);
    Ok(dhcp::Subnet {
        network,
        link: section.shares_link_with.as_ref().map(|written| *written.get_ref()),
        pool: pool.ranges(),
        lease: Duration::from_secs(lease.0.into()),
        router,
        dns: section.dns.clone().unwrap_or_else(|| config.name_servers(server)),
        domain: Some(domain.clone()).filter(|domain| !domain.is_empty()),
        options: section.options.or(&config.dhcp.options),
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn what_a_subnet_does_not_say_is_as_elsewhere() {
        let subnets = fit("[lab]\ndomain = 'lab'\n[dhcp]\ndns = ['10.77.0.9']\nlease-seconds = 60\n\
             [dhcp.options]\nntp-servers = '10.77.0.9'\ninterface-mtu = 9000\n\
             [[dhcp.subnet]]\nnetwork = '10.78.0.0/24'\nrouter = '10.78.0.254'\n\
             [[dhcp.subnet]]\nnetwork = '10.79.0.0/16'\nrouter = 'none'\nshares-link-with = '10.77.0.0/24'\npool = []\nlease-seconds = 7\ndns = []\n\
             domain = ''\noptions = { interface-mtu = 1500 }\n");

        let address = |text: &str| text.parse().expect("an address");
        let first = dhcp::Subnet {
            network: "10.78.0.0/24".parse().expect("a network"),
            link: None,
            pool: vec![address("10.78.0.128")..=address("10.78.0.253")],
            lease: Duration::from_secs(60),
            router: Some(address("10.78.0.254")),
            dns: vec![address("10.77.0.9")],
            domain: Some("lab".to_owned()),
            options: toml::from_str("ntp-servers = '10.77.0.9'\ninterface-mtu = 9000").expect("options"),
        };
        let second = dhcp::Subnet {
            network: "10.79.0.0/16".parse().expect("a network"),
            link: Some("10.77.0.0/24".parse().expect("a network")),
            pool: Vec::new(),
            lease: Duration::from_secs(7),
            router: None,
            dns: Vec::new(),
            domain: None,
            options: toml::from_str("interface-mtu = 1500\nntp-servers = '10.77.0.9'").expect("options"),
        };
        assert_eq!(subnets, Ok(vec![first, second]));
    }

    #[test]
    fn an_error_names_file_line_key_and_what_was_expected() {
        let with = |more: &str| {
            let text = format!("[[dhcp.subnet]]\nnetwork = '10.78.0.0/24'\nrouter = '10.78.0.1'\n{more}");
            fit(&text).expect_err("no subnet").to_string()
        };
        let another = |network: &str| with(&format!("[[dhcp.subnet]]\nnetwork = '{network}'\nrouter = 'none'\n"));
        let elsewhere = "[[dhcp.subnet]]\nnetwork = '10.79.0.0/24'\nrouter = '10.78.0.1'\n";

        let errors = [
            another("10.79.0.1/24"),
            another("10.78.0.128/25"),
            another("10.0.0.0/8"),
            another("10.77.0.0/25"),
            with(elsewhere),
            with("shares-link-with = '10.80.0.0/24'\n"),
            with("shares-link-with = '10.78.0.0/24'\n"),
            with("pool = '10.78.0.9-10.78.0.255'\n"),
            with("pool = ['10.78.0.9-10.78.0.10', '10.77.0.3-10.77.0.4']\n"),
        ];
        insta::assert_snapshot!(errors.join("\n"));
    }

    fn fit(text: &str) -> Result<Vec<dhcp::Subnet>, Invalid> {
        let config = Config::parse(Path::new("config.toml"), text.to_owned()).expect("a configuration");
        relayed(&config, "10.77.0.1/24".parse().expect("a network"))
    }
}
