//! Options as a configuration sets them: by name or number, each with a value of its kind.

use std::fmt;
use std::net::Ipv4Addr;

use lab_model::Ipv4Net;
use serde::de::{DeserializeSeed, Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use toml::{Table, Value};

use super::domain_names;
use super::known::{Kind, KnownOption};
use super::options::code;

/// Options with their values, ready to be sent, by code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    all: Vec<Setting>,
}

/// An option with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) code: u8,
    pub(super) data: Vec<u8>,
    /// Whether clients get it that do not ask for it.
    pub(super) is_always_sent: bool,
}

/// What no message could carry.
const LONGEST: usize = 1024;

/// What the protocol itself has to say.
const OURS: [u8; 16] = [
    code::PAD,
    code::SUBNET_MASK,
    code::REQUESTED_ADDRESS,
    code::LEASE_TIME,
    code::OVERLOAD,
    code::MESSAGE_TYPE,
    code::SERVER,
    code::PARAMETER_REQUEST_LIST,
    code::MESSAGE,
    code::MAX_SIZE,
    code::RENEWAL_TIME,
    code::REBINDING_TIME,
    code::CLIENT_ID,
    code::RELAY_AGENT,
    code::SUBNET_SELECTION,
    code::END,
];

impl Settings {
    /// These, and those of the others that are not among these.
    pub fn or(&self, others: &Self) -> Self {
        let mut all = self.all.clone();
        all.extend(others.all.iter().filter(|other| self.all.iter().all(|own| own.code != other.code)).cloned());
        all.sort_by_key(|setting| setting.code);
        Self { all }
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Setting> {
        self.all.iter()
    }
}

impl<'de> Deserialize<'de> for Settings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(SettingsVisitor)
    }
}

struct SettingsVisitor;

impl<'de> Visitor<'de> for SettingsVisitor {
    type Value = Settings;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("options by name or number")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Settings, A::Error> {
        let mut all: Vec<Setting> = Vec::new();
        while let Some(Code(code)) = map.next_key()? {
            let setting = map.next_value_seed(Written(code))?;
            if all.iter().any(|other| other.code == code) {
                return Err(A::Error::custom(format!("option {code} is set twice, by name and by number")));
            }
            all.push(setting);
        }
        all.sort_by_key(|setting| setting.code);
        Ok(Settings { all })
    }
}

/// An option's code, written as name or number.
struct Code(u8);

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let number = text.parse::<u8>().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
        let code = number.or_else(|| KnownOption::named(&text).map(|known| known.code)).ok_or_else(|| {
            D::Error::custom(format!("`{text}` is no option: expected a name such as `ntp-servers` or a number to 254"))
        })?;
        if OURS.contains(&code) {
            return Err(D::Error::custom(format!("option {code} is part of the protocol, and cannot be set")));
        }
        Ok(Self(code))
    }
}

/// The value of the option with this code.
struct Written(u8);

impl<'de> DeserializeSeed<'de> for Written {
    type Value = Setting;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Setting, D::Error> {
        let value = Value::deserialize(deserializer)?;
        read(self.0, &value).map_err(D::Error::custom)
    }
}

fn read(code: u8, value: &Value) -> Result<Setting, String> {
    let known = KnownOption::coded(code).map(|known| known.kind);
    let (kind, value, is_always_sent) = match value {
        Value::Table(table) => {
            let (kind, value) = typed(code, known, table)?;
            (kind, value, flag(table, "always")?)
        }
        value => (known.ok_or_else(|| untyped(code))?, value, false),
    };
    let data = encode(kind, value).ok_or_else(|| format!("option {code}: expected {}", kind.expected()))?;
    if data.len() > LONGEST {
        return Err(format!("option {code}: {} bytes are more than a message carries: expected {LONGEST}", data.len()));
    }
    Ok(Setting { code, data, is_always_sent })
}

/// The value in `{ addresses = […], always = true }`, or in `{ value = […] }` for an option of a known kind.
fn typed(code: u8, known: Option<Kind>, table: &Table) -> Result<(Kind, &Value), String> {
    let mut found = None;
    for (key, value) in table {
        let kind = Kind::ALL.into_iter().find(|kind| kind.word() == key);
        let kind = match (key.as_str(), kind) {
            ("always", _) => continue,
            ("value", _) => known.ok_or_else(|| untyped(code))?,
            (_, Some(kind)) => kind,
            (_, None) => {
                let kinds = Kind::ALL.map(Kind::word).join("`, `");
                return Err(format!(
                    "option {code}: `{key}` is no kind of value: expected `value`, `always`, `{kinds}`"
                ));
            }
        };
        if found.replace((kind, value)).is_some() {
            return Err(format!("option {code}: expected one value"));
        }
    }
    found.ok_or_else(|| format!("option {code}: expected a value"))
}

fn untyped(code: u8) -> String {
    format!("option {code} has no name here: expected its kind too, such as `{code} = {{ text = \"lab\" }}`")
}

fn flag(table: &Table, key: &str) -> Result<bool, String> {
    let value = table.get(key).map_or(Some(false), Value::as_bool);
    value.ok_or_else(|| format!("{key}: expected `true` or `false`"))
}

/// The value's wire format; `None` where it is not of this kind.
fn encode(kind: Kind, value: &Value) -> Option<Vec<u8>> {
    let whole = || value.as_integer();
    match kind {
        Kind::Address => address(value).map(Vec::from),
        Kind::Addresses => {
            let all: Vec<_> = list(value).iter().map(address).collect::<Option<_>>()?;
            Some(all.concat()).filter(|bytes| !bytes.is_empty())
        }
        Kind::Text => value.as_str().filter(|text| !text.is_empty()).map(|text| text.as_bytes().to_vec()),
        Kind::Flag => value.as_bool().map(|flag| vec![u8::from(flag)]),
        Kind::Byte => u8::try_from(whole()?).ok().map(|number| vec![number]),
        Kind::Short => u16::try_from(whole()?).ok().map(|number| number.to_be_bytes().to_vec()),
        Kind::Long => u32::try_from(whole()?).ok().map(|number| number.to_be_bytes().to_vec()),
        Kind::Signed => i32::try_from(whole()?).ok().map(|number| number.to_be_bytes().to_vec()),
        Kind::Names => {
            let names: Vec<_> = list(value).iter().map(Value::as_str).collect::<Option<_>>()?;
            domain_names::encode(names).filter(|bytes| !bytes.is_empty())
        }
        Kind::Routes => {
            let all: Vec<_> = list(value).iter().map(route).collect::<Option<_>>()?;
            Some(all.concat()).filter(|bytes| !bytes.is_empty())
        }
        Kind::Hex => hex(value.as_str()?).filter(|bytes| !bytes.is_empty()),
    }
}

/// A list's elements, or the only one.
fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice)
}

fn address(value: &Value) -> Option<[u8; 4]> {
    Some(value.as_str()?.parse::<Ipv4Addr>().ok()?.octets())
}

/// RFC 3442: the prefix, as much of the network as that covers, and the router.
fn route(value: &Value) -> Option<Vec<u8>> {
    let table = value.as_table().filter(|table| table.len() == 2)?;
    let to = table.get("to")?.as_str()?.parse::<Ipv4Net>().ok()?;
    let via = address(table.get("via")?)?;
    let significant = usize::from(to.prefix().div_ceil(8));
    Some([&[to.prefix()][..], &to.network().octets()[..significant], &via].concat())
}

/// Bytes written as pairs of hexadecimal digits, with spaces or colons between them or without.
pub(super) fn hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !matches!(byte, b' ' | b':')).collect();
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let pairs = digits.chunks(2).map(|pair| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_wire_format() {
        let data = |text: &str| {
            let settings = toml::from_str::<Settings>(text).expect("options");
            settings.all.into_iter().map(|setting| (setting.code, setting.data)).collect::<Vec<_>>()
        };

        assert_eq!(data("ntp-servers = ['10.77.0.1', '10.77.0.2']"), [(42, vec![10, 77, 0, 1, 10, 77, 0, 2])]);
        assert_eq!(data("ntp-servers = '10.77.0.1'"), data("42 = ['10.77.0.1']"));
        assert_eq!(data("150 = { addresses = ['10.77.0.1'] }"), data("tftp-server-addresses = '10.77.0.1'"));
        assert_eq!(data("swap-server = '10.77.0.1'"), [(16, vec![10, 77, 0, 1])]);
        assert_eq!(data("root-path = '/srv'"), [(17, b"/srv".to_vec())]);
        assert_eq!(data("ip-forwarding = true"), [(19, vec![1])]);
        assert_eq!(data("default-ip-ttl = 64"), [(23, vec![64])]);
        assert_eq!(data("interface-mtu = 9000"), [(26, vec![0x23, 0x28])]);
        assert_eq!(data("arp-cache-timeout = 65536"), [(35, vec![0, 1, 0, 0])]);
        assert_eq!(data("time-offset = -3600"), [(2, vec![0xff, 0xff, 0xf1, 0xf0])]);
        assert_eq!(data("domain-search = ['b.lab', 'lab']"), [(119, b"\x01b\x03lab\x00\xc0\x02".to_vec())]);
        assert_eq!(data("vendor-encapsulated-options = '06 01:08'"), [(43, vec![6, 1, 8])]);
        assert_eq!(data("224 = { text = 'a' }\n225 = { hex = 'ff' }"), [(224, b"a".to_vec()), (225, vec![255])]);
    }

    /// The examples of RFC 3442, "Destination Descriptor".
    #[test]
    fn a_route_is_as_long_as_its_prefix_needs() {
        let bytes = |to: &str| {
            let text = format!("121 = [{{ to = '{to}', via = '10.0.0.1' }}]");
            toml::from_str::<Settings>(&text).expect("a route").all[0].data.clone()
        };

        assert_eq!(bytes("0.0.0.0/0"), [0, 10, 0, 0, 1]);
        assert_eq!(bytes("10.0.0.0/8"), [8, 10, 10, 0, 0, 1]);
        assert_eq!(bytes("10.17.0.0/16"), [16, 10, 17, 10, 0, 0, 1]);
        assert_eq!(bytes("10.229.0.128/25"), [25, 10, 229, 0, 128, 10, 0, 0, 1]);
        assert_eq!(bytes("10.198.122.47/32"), [32, 10, 198, 122, 47, 10, 0, 0, 1]);
    }

    #[test]
    fn an_option_that_is_sent_in_any_case_says_so() {
        let settings = toml::from_str::<Settings>(
            "42 = { value = '10.77.0.1', always = true }\n150 = { address = '10.77.0.1', always = false }",
        );

        let always: Vec<_> = settings.expect("options").all.iter().map(|setting| setting.is_always_sent).collect();

        assert_eq!(always, [true, false]);
    }

    #[test]
    fn an_error_names_line_option_and_what_was_expected() {
        let error = |text: &str| toml::from_str::<Settings>(text).expect_err("no options").to_string();
        let errors = [
            error("ntp-server = '10.77.0.1'"),
            error("256 = { text = 'a' }"),
            error("51 = 60"),
            error("224 = 'a'"),
            error("ntp-servers = ['ten']"),
            error("ntp-servers = []"),
            error("interface-mtu = 65536"),
            error("domain-search = ['a..b']"),
            error("121 = [{ to = '10.0.0.0/8' }]"),
            error("43 = '0'"),
            error("224 = { words = 'a' }"),
            error("224 = { text = 'a', hex = '00' }"),
            error("42 = { value = '10.77.0.1', always = 1 }"),
            error("root-path = '10.77.0.1'\n17 = 'a'"),
            error(&format!("root-path = '{}'", "a".repeat(1025))).lines().last().expect("a line").to_owned(),
        ];

        insta::assert_snapshot!(errors.join("\n"));
    }

    #[test]
    fn what_is_nearer_goes_before() {
        let settings = |text: &str| toml::from_str::<Settings>(text).expect("options");

        let both = settings("26 = 1500").or(&settings("26 = 9000\n42 = '10.77.0.1'"));

        assert_eq!(both, settings("26 = 1500\n42 = '10.77.0.1'"));
    }
}
