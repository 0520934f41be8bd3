//! What machines were told and are to forget.
//!
//! What an advertisement does not mention stays with a machine until its lifetime ends: name servers for half an hour, addresses for a day. So
//! it is mentioned a few times more, with a lifetime of zero.

use std::net::Ipv6Addr;

use lab_model::Ipv6Net;

use super::Config;
use super::advertisement::{AUTONOMOUS, name_servers, prefix_information, search_list};

/// What is withdrawn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Withdrawal {
    dns: Vec<Ipv6Addr>,
    domain: Option<String>,
    /// The prefix of which machines made themselves addresses.
    prefix: Option<Ipv6Net>,
}

impl Withdrawal {
    /// What `before` has and `after` has not, and what was being withdrawn already.
    pub(super) fn after(self, before: &Config, after: &Config) -> Self {
        let dns = before.dns.iter().copied().chain(self.dns).filter(|server| !after.dns.contains(server));
        let domain = before.domain.clone().or(self.domain).filter(|domain| Some(domain) != after.domain.as_ref());
        let prefix = before.makes_addresses().then_some(before.prefix).or(self.prefix);
        Self { dns: dns.collect(), domain, prefix: prefix.filter(|_| !after.makes_addresses()) }
    }

    /// Adds its options to an advertisement.
    pub(super) fn write(&self, message: &mut Vec<u8>) {
        if let Some(prefix) = self.prefix {
            // RFC 4862 §5.5.3 e: addresses are used for nothing new from now on, and go after two hours. Whether the prefix is on the link,
            // an option without that flag does not say (RFC 4861 §4.6.2).
            prefix_information(message, prefix, AUTONOMOUS, [0, 0]);
        }
        // RFC 8106 §5.1 and §5.2: it is not to be used any more.
        name_servers(message, &self.dns, 0);
        search_list(message, self.domain.as_deref(), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::radv::advertisement::tests::config;

    #[test]
    fn what_is_gone_is_told_with_a_lifetime_of_zero() {
        let other: Ipv6Addr = "fd00:77::2".parse().expect("an address");
        let before = Config { dns: vec![config().dns[0], other], ..config() };
        let after = Config { dns: vec![other], domain: Some("lab".to_owned()), autonomous: false, ..config() };
        let mut message = Vec::new();

        Withdrawal::default().after(&before, &after).write(&mut message);

        let expected = [
            &[3, 4, 64, 0x40, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0][..],
            &[0xfd, 0, 0, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            &[25, 3, 0, 0, 0, 0, 0, 0, 0xfd, 0, 0, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
            &[31, 3, 0, 0, 0, 0, 0, 0],
            b"\x06pvmlab\x05local\0\0\0",
        ];
        assert_eq!(message, expected.concat());
    }

    #[test]
    fn what_comes_back_is_withdrawn_no_more() {
        let without = Config { dns: Vec::new(), domain: None, autonomous: false, ..config() };

        let gone = Withdrawal::default().after(&config(), &without);

        assert_ne!(gone, Withdrawal::default());
        assert_eq!(gone.clone().after(&without, &without), gone, "another change meanwhile");
        assert_eq!(gone.after(&without, &config()), Withdrawal::default());
    }
}
