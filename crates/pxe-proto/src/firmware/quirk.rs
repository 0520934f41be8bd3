//! Faults that are known, and who has them.

use lab_model::{Firmware, MacAddr};

use super::Treatment;
use crate::dhcp::{Request, Selector};
use crate::glob;

/// A fault that somebody has documented.
#[derive(Clone, Copy, Debug)]
pub struct KnownQuirk {
    /// What it is called in events and logs.
    pub name: &'static str,
    /// The vendor class (option 60) is one of these patterns, in which `*` stands for anything.
    pub vendor_class: &'static [&'static str],
    /// The hardware address begins with one of these; any where there is none.
    pub mac: &'static [[u8; 3]],
    /// What is done about it.
    pub treatment: Treatment,
    /// What the fault is, and what is done, as a sentence for people.
    pub fault: &'static str,
    /// Where it is documented.
    pub source: &'static str,
}

/// Every one that the server knows by itself; of several that fit the first counts.
pub const KNOWN_QUIRKS: &[KnownQuirk] = &[
    KnownQuirk {
        name: "raspberry-pi",
        vendor_class: &["PXEClient:Arch:00000:UNDI:002001"],
        mac: &[[0xb8, 0x27, 0xeb], [0xdc, 0xa6, 0x32], [0xe4, 0x5f, 0x01], [0xd8, 0x3a, 0xdd], [0x2c, 0xcf, 0x67]],
        treatment: Treatment { vendor_options: Some(&RASPBERRY_PI_BOOT), ..NOTHING },
        fault: "The boot ROM says that it is a BIOS and takes no offer without the words \"Raspberry Pi Boot\" in option 43; that of models \
                before the 3B+ counts three bytes too many. It is told them, with three spaces behind. It fetches its own files, whatever \
                the boot file is, so it needs a class with `next-server` where these are.",
        source: "https://github.com/raspberrypi/documentation/blob/master/documentation/asciidoc/computers/raspberry-pi/boot-net.adoc",
    },
    KnownQuirk {
        name: "pxe-rom",
        vendor_class: &["PXEClient:Arch:00000:*"],
        mac: &[],
        treatment: Treatment { block_size: Some(ETHERNET_BLOCK), ..NOTHING },
        fault: "Some ROMs ask for blocks that come in fragments, and cannot put fragments together. A block is never longer than one \
                Ethernet frame carries, whatever the configuration allows others.",
        source: "https://lists.thekelleys.org.uk/pipermail/dnsmasq-discuss/2009q3/003232.html",
    },
    KnownQuirk {
        name: "uefi",
        vendor_class: &["PXEClient:Arch:00007:*", "PXEClient:Arch:00009:*", "PXEClient:Arch:00011:*"],
        mac: &[],
        treatment: Treatment { block_size: Some(ETHERNET_BLOCK), ..NOTHING },
        fault: "EDK2 does not always finish a transfer whose blocks come in fragments. A block is never longer than one Ethernet frame \
                carries, whatever the configuration allows others.",
        source: "https://github.com/tianocore/edk2/issues/7632",
    },
    KnownQuirk {
        name: "u-boot",
        vendor_class: &["U-Boot*", "U-boot*"],
        mac: &[],
        treatment: Treatment { block_size: Some(ETHERNET_BLOCK), ..NOTHING },
        fault: "Boards that are built for blocks of 4096 bytes, which come in fragments, acknowledge the wrong ones. A block is never longer \
                than one Ethernet frame carries, whatever the configuration allows others.",
        source: "https://lists.denx.de/pipermail/u-boot/2015-February/205433.html",
    },
];

const NOTHING: Treatment = Treatment { block_size: None, window: None, no_http_boot: false, vendor_options: None };

/// 1500 bytes without the headers of IPv4, UDP and TFTP.
const ETHERNET_BLOCK: u16 = 1468;

/// PXE 2.1's options in option 43: discovery control (6), a prompt (10), and a menu (9) whose only item, for boot servers of type 0,
/// has these words.
const RASPBERRY_PI_BOOT: [u8; 35] = *b"\x06\x01\x03\x0a\x04\x00PXE\x09\x17\x00\x00\x14Raspberry Pi Boot   \xff";

/// A fault that the lab's owner knows of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quirk {
    /// What the owner calls it.
    pub name: String,
    /// Who has it.
    pub members: Selector,
    /// What is done about it.
    pub treatment: Treatment,
}

/// Every fault: the owner's first, then what the server knows by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quirks {
    own: Vec<Quirk>,
}

impl Quirks {
    /// The owner's, most important first.
    pub fn new(own: Vec<Quirk>) -> Self {
        Self { own }
    }

    /// What is done about the client's firmware, and what that is called; of several that fit the first counts. iPXE and our installer
    /// have no faults, though they may repeat what the firmware said.
    pub fn of(&self, request: &Request) -> Option<(&str, Treatment)> {
        if matches!(request.firmware(), Firmware::Ipxe | Firmware::Installer) {
            return None;
        }
        let own = self.own.iter().find(|quirk| quirk.members.selects(request));
        let own = own.map(|quirk| (quirk.name.as_str(), quirk.treatment));
        own.or_else(|| {
            let vendor_class = request.vendor_class()?;
            let known = KNOWN_QUIRKS.iter().find(|quirk| quirk.fits(vendor_class, request.mac()))?;
            Some((known.name, known.treatment))
        })
    }

    /// What is done about the one of this name.
    pub fn named(&self, name: &str) -> Option<Treatment> {
        let own = self.own.iter().find(|quirk| quirk.name == name).map(|quirk| quirk.treatment);
        own.or_else(|| KNOWN_QUIRKS.iter().find(|quirk| quirk.name == name).map(|quirk| quirk.treatment))
    }
}

impl KnownQuirk {
    fn fits(&self, vendor_class: &[u8], mac: MacAddr) -> bool {
        let [a, b, c, ..] = mac.bytes();
        self.vendor_class.iter().any(|pattern| glob::matches(pattern.as_bytes(), vendor_class))
            && (self.mac.is_empty() || self.mac.contains(&[a, b, c]))
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    /// The table as docs/firmware.md has it.
    #[test]
    fn every_one_is_documented_with_its_source() {
        let mut table = String::from(
            "| name | vendor class | hardware address | the fault, and what is done | source |\n| --- | --- | --- | --- | --- |\n",
        );
        for KnownQuirk { name, vendor_class, mac, fault, source, .. } in KNOWN_QUIRKS {
            let classes: Vec<_> = vendor_class.iter().map(|pattern| format!("`{pattern}`")).collect();
            let mac: Vec<_> = mac.iter().map(|[a, b, c]| format!("`{a:02x}:{b:02x}:{c:02x}`")).collect();
            writeln!(table, "| `{name}` | {} | {} | {fault} | <{source}> |", classes.join(", "), mac.join(", "))
                .expect("a String takes all that is written");
        }

        let text = include_str!("../../../../docs/firmware.md");

        assert!(text.contains(&table), "docs/firmware.md has another table than:\n{table}");
    }

    #[test]
    fn the_vendor_options_of_a_raspberry_pi_are_well_formed() {
        let mut rest = &RASPBERRY_PI_BOOT[..];
        let mut tags = Vec::new();
        while let [tag, length, more @ ..] = rest {
            let (data, others) = more.split_at(usize::from(*length));
            tags.push((*tag, data));
            rest = others;
        }

        let [control, prompt, menu] = &tags[..] else { panic!("{tags:?}") };
        assert_eq!(*control, (6, &[3][..]));
        assert_eq!(*prompt, (10, &b"\0PXE"[..]));
        let (9, [0, 0, length, words @ ..]) = menu else { panic!("{menu:?}") };
        assert_eq!((usize::from(*length), words), (words.len(), &b"Raspberry Pi Boot   "[..]));
        assert_eq!(rest, [255]);
    }
}
