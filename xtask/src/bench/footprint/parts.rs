//! What single parts of our server cost in memory: it is started without any of them, then with each by itself.
//!
//! Deliberately not here: a limit. What is limited is the whole.

use std::{
    fs::{self, File},
    time::Duration,
};

use anyhow::{Context as _, Result};
use lab_tests::{
    BRIDGE, SERVER, SERVER6, Supplies, certificates,
    process::{Process, bound, run},
};

use super::{
    super::{dhcp::clients, site::Site},
    proportional_set_size,
};

/// What may be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Nothing but DHCP, TFTP and HTTP.
    None,
    /// Names.
    Dns,
    /// Router advertisements and DHCPv6.
    Ipv6,
    /// HTTP by TLS, beside plain HTTP.
    Tls,
}

impl Part {
    pub(super) const ALL: [Self; 4] = [Self::None, Self::Dns, Self::Ipv6, Self::Tls];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::None => "idle, DHCP, TFTP and HTTP alone",
            Self::Dns => "idle, those and DNS",
            Self::Ipv6 => "idle, those, RA and DHCPv6",
            Self::Tls => "idle, those and TLS",
        }
    }

    fn configuration(self) -> String {
        let (dns, ipv6) = (self == Self::Dns, self == Self::Ipv6);
        let tls = if self == Self::Tls { TLS } else { "" };
        format!(
            "state = 'state'\n[lab]\ninterface = '{BRIDGE}'\n[dns]\nenabled = {dns}\n[ra]\nadvertise = {ipv6}\n\
             [dhcp6]\nserve = {ipv6}\n{tls}"
        )
    }

    /// Starts the server with this part, and returns its memory in MiB once it has made an offer.
    ///
    /// # Errors
    /// It makes none; the message is its log.
    pub(super) fn measure(self, supplies: &Supplies, site: &Site) -> Result<f64> {
        let folder = tempfile::tempdir()?;
        fs::create_dir_all(folder.path().join("state/vms"))?;
        let (config, log) = (folder.path().join("config.toml"), folder.path().join("log"));
        fs::write(&config, self.configuration())?;
        if self == Self::Tls {
            certificates::make(folder.path(), SERVER.into())?;
        }
        let mut command = bound(&supplies.server);
        command.args(["serve", "--config"]).arg(config).stderr(File::create(&log)?);

        let _address = (self == Self::Ipv6).then(Address::add).transpose()?;
        let server = Process::start("pxe-server", &mut command)?;
        let offered = site.run(|| clients::wait_for_offer(LIMIT))?;
        offered.with_context(|| fs::read_to_string(&log).unwrap_or_default())?;
        proportional_set_size(server.id())
    }
}

/// The server's IPv6 address on the bridge, until this is dropped: without one there is nothing of IPv6.
struct Address;

impl Address {
    fn add() -> Result<Self> {
        run("ip", &["address", "add", &format!("{SERVER6}/64"), "dev", BRIDGE, "nodad"])?;
        Ok(Self)
    }
}

impl Drop for Address {
    fn drop(&mut self) {
        let _ = run("ip", &["address", "delete", &format!("{SERVER6}/64"), "dev", BRIDGE]);
    }
}

const TLS: &str = "[http.tls]\ncertificate = 'server.crt'\nkey = 'server.key'\nauthority = 'ca.crt'\n";

const LIMIT: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_the_only_one_that_is_there() {
        assert!(!Part::None.configuration().contains("true"));
        for (part, key) in [(Part::Dns, "enabled = true"), (Part::Ipv6, "advertise = true"), (Part::Tls, TLS)] {
            let with = Part::ALL.into_iter().filter(|part| part.configuration().contains(key));
            assert_eq!(with.collect::<Vec<_>>(), [part]);
        }
    }
}
