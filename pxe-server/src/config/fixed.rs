//! What only a restart changes: where the server is, what it is bound to, and what its files promise.

use super::Config;

/// A key, and how a configuration gets back the value that another has.
type Fixed = (&'static str, fn(&mut Config, &Config));

/// Every such key.
const FIXED: &[Fixed] = &[
    ("state", |config, running| config.state.clone_from(&running.state)),
    ("definitions", |config, running| config.definitions.clone_from(&running.definitions)),
    ("images", |config, running| config.images.clone_from(&running.images)),
    ("profiles", |config, running| config.profiles.clone_from(&running.profiles)),
    ("lab.interface", |config, running| config.lab.interface.clone_from(&running.lab.interface)),
    ("lab.address", |config, running| config.lab.address.clone_from(&running.lab.address)),
    ("lab.address6", |config, running| config.lab.address6.clone_from(&running.lab.address6)),
    ("dhcp.mode", |config, running| config.dhcp.mode = running.dhcp.mode),
    ("dhcp.authoritative", |config, running| config.dhcp.authoritative = running.dhcp.authoritative),
    ("dhcp.probe-milliseconds", |config, running| config.dhcp.probe_milliseconds = running.dhcp.probe_milliseconds),
    ("dhcp.durability", |config, running| config.dhcp.durability = running.dhcp.durability),
    ("dhcp6.serve", |config, running| config.dhcp6.serve = running.dhcp6.serve),
    ("ra.advertise", |config, running| config.ra.advertise = running.ra.advertise),
    ("dns.enabled", |config, running| config.dns.enabled = running.dns.enabled),
    ("tftp.transfer-ports", |config, running| config.tftp.transfer_ports.clone_from(&running.tftp.transfer_ports)),
    ("http.listen", |config, running| config.http.listen = running.http.listen),
    ("http.port", |config, running| config.http.port = running.http.port),
    ("http.tls", |config, running| config.http.tls.clone_from(&running.http.tls)),
    ("log.format", |config, running| config.log.format = running.log.format),
];

impl Config {
    /// Keeps what only a restart changes as it is in the configuration that the server was started with.
    pub(crate) fn keep_what_is_fixed(&mut self, running: &Self) {
        FIXED.iter().for_each(|(_, keep)| keep(self, running));
    }
}

/// Whether only a restart changes this key, or all of the section that it is in.
pub(super) fn is_fixed(key: &str) -> bool {
    let is_in = |section| key.strip_prefix(section).is_some_and(|rest: &str| rest.is_empty() || rest.starts_with('.'));
    FIXED.iter().any(|(fixed, _)| is_in(*fixed))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Source;

    #[test]
    fn every_key_that_is_called_fixed_is_kept() {
        for (key, value) in [
            ("state", "'/elsewhere'"),
            ("definitions", "'/elsewhere'"),
            ("images", "'/elsewhere'"),
            ("profiles", "'/elsewhere'"),
            ("lab.interface", "'lab'"),
            ("lab.address", "'10.78.0.1/24'"),
            ("lab.address6", "'fd00:78::1/64'"),
            ("dhcp.mode", "'proxy-known'"),
            ("dhcp.authoritative", "false"),
            ("dhcp.probe-milliseconds", "0"),
            ("dhcp.durability", "'buffered'"),
            ("dhcp6.serve", "false"),
            ("ra.advertise", "false"),
            ("dns.enabled", "false"),
            ("tftp.transfer-ports", "'listening'"),
            ("http.listen", "'10.78.0.1'"),
            ("http.port", "8080"),
            ("http.tls", "{ certificate = 'server.crt', key = 'server.key' }"),
            ("log.format", "'json'"),
        ] {
            let (mut changed, running) = (parse(&format!("{key} = {value}")), parse(""));
            assert_ne!(keys(&changed), keys(&running), "{key} has another value by default");

            changed.keep_what_is_fixed(&running);

            assert_eq!(keys(&changed), keys(&running), "{key}");
            assert!(is_fixed(key), "{key}");
        }
    }

    #[test]
    fn a_section_that_is_fixed_is_so_with_all_of_its_keys() {
        assert!(is_fixed("http.tls.certificate"));
        assert!(!is_fixed("http.tlsx") && !is_fixed("http"));
    }

    #[test]
    fn every_one_is_documented() {
        let text = include_str!("../../../docs/configuration.md");

        for (key, _) in FIXED {
            assert!(text.contains(&format!("`{key}`")), "{key} is not in docs/configuration.md");
        }
    }

    fn parse(text: &str) -> Config {
        Config::parse(Path::new("config.toml"), text.to_owned()).expect("a configuration")
    }

    /// Everything but what it was read from.
    fn keys(config: &Config) -> String {
        format!("{:?}", Config { source: Source::default(), ..config.clone() })
    }
}
