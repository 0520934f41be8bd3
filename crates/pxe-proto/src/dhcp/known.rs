//! The options that a configuration may call by name: IANA's "BOOTP Vendor Extensions and DHCP Options".

/// An option with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownOption {
    /// As a configuration has it.
    pub name: &'static str,
    /// As the wire has it.
    pub code: u8,
    /// What its value is.
    pub kind: Kind,
    /// Where it is defined.
    pub source: &'static str,
}

/// What the value of an option is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One address.
    Address,
    /// Addresses, at least one.
    Addresses,
    /// Text, at least one character.
    Text,
    /// A boolean.
    Flag,
    /// A number of one byte.
    Byte,
    /// A number of two bytes.
    Short,
    /// A number of four bytes.
    Long,
    /// A number of four bytes, perhaps below zero.
    Signed,
    /// Domain names in the form of DNS (RFC 1035 §3.1), compressed (RFC 3397 §2).
    Names,
    /// Networks with the routers to them (RFC 3442).
    Routes,
    /// Anything, byte by byte.
    Hex,
}

/// Every option with a name, by code.
pub const KNOWN_OPTIONS: &[KnownOption] = &[
    known("time-offset", 2, Kind::Signed, "RFC 2132 §3.4"),
    known("routers", 3, Kind::Addresses, "RFC 2132 §3.5"),
    known("time-servers", 4, Kind::Addresses, "RFC 2132 §3.6"),
    known("name-servers", 5, Kind::Addresses, "RFC 2132 §3.7"),
    known("domain-name-servers", 6, Kind::Addresses, "RFC 2132 §3.8"),
    known("log-servers", 7, Kind::Addresses, "RFC 2132 §3.9"),
    known("cookie-servers", 8, Kind::Addresses, "RFC 2132 §3.10"),
    known("lpr-servers", 9, Kind::Addresses, "RFC 2132 §3.11"),
    known("host-name", 12, Kind::Text, "RFC 2132 §3.14"),
    known("domain-name", 15, Kind::Text, "RFC 2132 §3.17"),
    known("swap-server", 16, Kind::Address, "RFC 2132 §3.18"),
    known("root-path", 17, Kind::Text, "RFC 2132 §3.19"),
    known("extensions-path", 18, Kind::Text, "RFC 2132 §3.20"),
    known("ip-forwarding", 19, Kind::Flag, "RFC 2132 §4.1"),
    known("default-ip-ttl", 23, Kind::Byte, "RFC 2132 §4.5"),
    known("interface-mtu", 26, Kind::Short, "RFC 2132 §5.1"),
    known("all-subnets-local", 27, Kind::Flag, "RFC 2132 §5.2"),
    known("broadcast-address", 28, Kind::Address, "RFC 2132 §5.3"),
    known("router-discovery", 31, Kind::Flag, "RFC 2132 §5.6"),
    known("arp-cache-timeout", 35, Kind::Long, "RFC 2132 §6.2"),
    known("tcp-keepalive-interval", 38, Kind::Long, "RFC 2132 §7.2"),
    known("nis-domain", 40, Kind::Text, "RFC 2132 §8.1"),
    known("nis-servers", 41, Kind::Addresses, "RFC 2132 §8.2"),
    known("ntp-servers", 42, Kind::Addresses, "RFC 2132 §8.3"),
    known("vendor-encapsulated-options", 43, Kind::Hex, "RFC 2132 §8.4"),
    known("netbios-name-servers", 44, Kind::Addresses, "RFC 2132 §8.5"),
    known("netbios-node-type", 46, Kind::Byte, "RFC 2132 §8.7"),
    known("netbios-scope", 47, Kind::Text, "RFC 2132 §8.8"),
    known("font-servers", 48, Kind::Addresses, "RFC 2132 §8.9"),
    known("vendor-class-identifier", 60, Kind::Text, "RFC 2132 §9.13"),
    known("tftp-server-name", 66, Kind::Text, "RFC 2132 §9.4"),
    known("bootfile-name", 67, Kind::Text, "RFC 2132 §9.5"),
    known("smtp-servers", 69, Kind::Addresses, "RFC 2132 §8.13"),
    known("posix-timezone", 100, Kind::Text, "RFC 4833 §2"),
    known("tz-database-timezone", 101, Kind::Text, "RFC 4833 §2"),
    known("ipv6-only-preferred", 108, Kind::Long, "RFC 8925 §3.1"),
    known("captive-portal", 114, Kind::Text, "RFC 8910 §2.1"),
    known("domain-search", 119, Kind::Names, "RFC 3397 §2"),
    known("classless-static-routes", 121, Kind::Routes, "RFC 3442"),
    known("vivso", 125, Kind::Hex, "RFC 3925 §4"),
    known("capwap-controllers", 138, Kind::Addresses, "RFC 5417 §3"),
    known("tftp-server-addresses", 150, Kind::Addresses, "RFC 5859 §2"),
    known("pxelinux-config-file", 209, Kind::Text, "RFC 5071 §5"),
    known("pxelinux-path-prefix", 210, Kind::Text, "RFC 5071 §6"),
    known("pxelinux-reboot-time", 211, Kind::Long, "RFC 5071 §7"),
    known("ms-classless-static-routes", 249, Kind::Routes, "MS-DHCPE §2.2.10"),
    known("wpad-url", 252, Kind::Text, "draft-ietf-wrec-wpad-01 §4.4.1"),
];

const fn known(name: &'static str, code: u8, kind: Kind, source: &'static str) -> KnownOption {
    KnownOption { name, code, kind, source }
}

impl KnownOption {
    /// The option of this name.
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        KNOWN_OPTIONS.iter().find(|known| known.name == name)
    }

    /// The option of this code.
    pub(super) fn coded(code: u8) -> Option<&'static Self> {
        KNOWN_OPTIONS.iter().find(|known| known.code == code)
    }
}

impl Kind {
    /// Every kind.
    pub(super) const ALL: [Self; 11] = [
        Self::Address,
        Self::Addresses,
        Self::Text,
        Self::Flag,
        Self::Byte,
        Self::Short,
        Self::Long,
        Self::Signed,
        Self::Names,
        Self::Routes,
        Self::Hex,
    ];

    /// Its word in a configuration.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Addresses => "addresses",
            Self::Text => "text",
            Self::Flag => "flag",
            Self::Byte => "byte",
            Self::Short => "short",
            Self::Long => "long",
            Self::Signed => "signed",
            Self::Names => "names",
            Self::Routes => "routes",
            Self::Hex => "hex",
        }
    }

    /// What a value of it looks like, for messages.
    pub const fn expected(self) -> &'static str {
        match self {
            Self::Address => "an address such as `\"10.77.0.1\"`",
            Self::Addresses => "a list of addresses such as `[\"10.77.0.1\", \"10.77.0.2\"]`",
            Self::Text => "text such as `\"lab\"`",
            Self::Flag => "`true` or `false`",
            Self::Byte => "a number from 0 to 255",
            Self::Short => "a number from 0 to 65535",
            Self::Long => "a number from 0 to 4294967295",
            Self::Signed => "a number from -2147483648 to 2147483647",
            Self::Names => "a list of domain names such as `[\"lab.example\", \"example\"]`",
            Self::Routes => "a list of routes such as `[{ to = \"10.80.0.0/16\", via = \"10.77.0.254\" }]`",
            Self::Hex => "bytes in hexadecimal such as `\"01 02 ff\"`",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_names_nothing_twice() {
        assert!(KNOWN_OPTIONS.is_sorted_by(|one, other| one.code < other.code));
        let names: std::collections::BTreeSet<_> = KNOWN_OPTIONS.iter().map(|known| known.name).collect();
        assert_eq!(names.len(), KNOWN_OPTIONS.len());
    }

    #[test]
    fn every_option_and_kind_is_in_the_documentation() {
        let text = include_str!("../../../../docs/dhcp.md");

        for KnownOption { name, code, kind, source } in KNOWN_OPTIONS {
            let line = format!("| `{name}` | {code} | `{}` | {source} |\n", kind.word());
            assert!(text.contains(&line), "{line}");
        }
    }
}
