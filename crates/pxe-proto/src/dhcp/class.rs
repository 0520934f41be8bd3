//! Classes of clients: who they are by what they say, and what they get.

use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::time::Duration;

use lab_model::{Firmware, ProfileName, What};
use serde::{Deserialize, Deserializer};

use super::client::user_classes;
use super::options::code;
use super::settings::hex;
use super::{Request, Settings};
use crate::boot::ByClass;
use crate::glob;

/// Clients that are treated alike.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Class {
    /// What people call it.
    pub name: String,
    /// Who they are: all that is given has to hold.
    pub members: Selector,
    /// Addresses for them alone; whoever of them gets none there gets one of the subnet's pool.
    pub pool: Vec<RangeInclusive<Ipv4Addr>>,
    /// How long they may use their address before they have to ask again; the subnet's time where absent.
    pub lease: Option<Duration>,
    /// What their firmware loads, if not what every machine's does.
    pub boot: Option<ClassBoot>,
    /// What they boot whose definition does not say it, and who have none.
    pub profile: Option<ProfileName>,
    /// What they are told.
    pub options: Settings,
}

/// What the clients of a class boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClassBoot {
    /// Nothing from the network.
    Nothing,
    /// This file: a URL, or a name for TFTP.
    File {
        /// Its URL or name.
        name: String,
        /// Where TFTP is served, if not here.
        server: Option<Ipv4Addr>,
    },
}

/// How clients are told apart; what is absent is not looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    /// Option 60 (RFC 2132 §9.13).
    pub vendor_class: Option<Patterns>,
    /// One of the user classes in option 77 (RFC 3004 §4).
    pub user_class: Option<Patterns>,
    /// One of the types in option 93 (RFC 4578 §2.1).
    pub arch: Option<Vec<u16>>,
    /// The machine's UUID in option 97 (RFC 4578 §2.3), as `4c4c4544-0042-…`, in the order of the bytes sent.
    pub uuid: Option<Patterns>,
    /// How the hardware address begins, as `52:54:00`.
    pub mac: Option<Vec<String>>,
    /// Which of its circuits the relay agent has the message from (RFC 3046 §3.1).
    pub circuit_id: Option<Patterns>,
    /// Whom the relay agent has the message from (RFC 3046 §3.2).
    pub remote_id: Option<Patterns>,
}

/// Patterns of which one has to hold, written as a list or as the only one.
///
/// A pattern is text in which `*` stands for anything, or bytes as `0x0102ff`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patterns(Vec<Pattern>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    Glob(String),
    Bytes(Vec<u8>),
}

impl Class {
    /// What the client boots by the word of this class; `None` where the class does not say.
    pub(super) fn boot_of(&self, firmware: Firmware) -> Option<&ClassBoot> {
        match firmware {
            // They have booted already.
            Firmware::Os | Firmware::Installer => None,
            // It has the vendor class of the firmware that started it, and would be started by itself for ever.
            Firmware::Ipxe if self.members.user_class.is_none() => None,
            Firmware::Ipxe
            | Firmware::Bios
            | Firmware::UefiX64
            | Firmware::UefiArm64
            | Firmware::HttpX64
            | Firmware::HttpArm64
            | Firmware::Unsupported => self.boot.as_ref(),
        }
    }
}

/// What the first of the client's classes that has a profile says of it.
pub(super) fn profile<'a>(classes: &[&'a Class], request: &Request) -> Option<ByClass<'a>> {
    let profile = classes.iter().find_map(|class| class.profile.as_ref())?;
    Some(ByClass { profile, arch: request.arch() })
}

/// What is to be known of that for the rest of the boot, in which nobody says it again.
pub(super) fn membership(classes: &[&Class], request: &Request) -> Option<What> {
    let class = classes.iter().find(|class| class.profile.is_some())?;
    let boots = request.firmware().boots_from_the_network();
    boots.then(|| What::Class { name: class.name.clone(), arch: request.arch() })
}

impl Selector {
    /// Whether it looks at anything.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the client is one of them.
    pub(crate) fn selects(&self, request: &Request) -> bool {
        let options = &request.options;
        let text = |patterns: &Option<Patterns>, said: Option<&[u8]>| {
            patterns.as_ref().is_none_or(|patterns| said.is_some_and(|said| patterns.hold(said)))
        };
        let user = options.get(code::USER_CLASS).unwrap_or_default();
        let arch = options.get(code::ARCHITECTURE).unwrap_or_default();
        let mac = request.mac().to_string();
        text(&self.vendor_class, options.get(code::VENDOR_CLASS))
            && self.user_class.as_ref().is_none_or(|patterns| user_classes(user).any(|class| patterns.hold(class)))
            && self.arch.as_ref().is_none_or(|kinds| {
                arch.chunks_exact(2).any(|pair| kinds.contains(&u16::from_be_bytes([pair[0], pair[1]])))
            })
            && text(&self.uuid, options.get(code::UUID).and_then(uuid).as_deref().map(str::as_bytes))
            && self
                .mac
                .as_ref()
                .is_none_or(|starts| starts.iter().any(|start| mac.starts_with(&start.to_ascii_lowercase())))
            && text(&self.circuit_id, request.relay_agent.circuit_id())
            && text(&self.remote_id, request.relay_agent.remote_id())
    }
}

impl Patterns {
    fn hold(&self, said: &[u8]) -> bool {
        self.0.iter().any(|pattern| match pattern {
            Pattern::Glob(pattern) => glob::matches(pattern.as_bytes(), said),
            Pattern::Bytes(bytes) => bytes == said,
        })
    }
}

impl<'de> Deserialize<'de> for Patterns {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "expected a pattern such as `\"PXEClient*\"` or `\"0x0102\"`, or a list of them")]
        enum Written {
            One(String),
            Several(Vec<String>),
        }
        let patterns = match Written::deserialize(deserializer)? {
            Written::One(pattern) => vec![pattern],
            Written::Several(patterns) => patterns,
        };
        let read = |text: String| match text.strip_prefix("0x") {
            None => Ok(Pattern::Glob(text)),
            Some(digits) => hex(digits).map(Pattern::Bytes).ok_or_else(|| {
                serde::de::Error::custom(format!(
                    "`{text}` is no pattern: expected pairs of hexadecimal digits behind 0x"
                ))
            }),
        };
        Ok(Self(patterns.into_iter().map(read).collect::<Result<_, _>>()?))
    }
}

/// RFC 4578 §2.3: a type, of which 0 is the only one, and sixteen bytes.
fn uuid(data: &[u8]) -> Option<String> {
    let bytes = <[u8; 16]>::try_from(data.strip_prefix(&[0])?).ok()?;
    let digits: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let groups = [&digits[..4], &digits[4..6], &digits[6..8], &digits[8..10], &digits[10..]];
    Some(groups.map(<[String]>::concat).join("-"))
}
