//! The configuration as a person writes it: TOML, every key with a default that works.
//!
//! A key or value that is no configuration is refused here, with its line. Whether the values fit the network is
//! [`crate::lab`]'s question, because only the interface can answer it.

use std::fmt;
use std::net::Ipv4Addr;
use std::num::{NonZeroU16, NonZeroU32};
use std::path::{Path, PathBuf};

use anyhow::Context;
use lab_model::Ipv4Net;
use pxe_proto::boot::BaseUrl;
use serde::Deserialize;
use toml::Spanned;

/// A configuration file.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Config {
    #[serde(skip)]
    source: Source,
    #[serde(default = "default_state")]
    state: PathBuf,
    definitions: Option<PathBuf>,
    images: Option<PathBuf>,
    /// The network that machines boot on.
    #[serde(default)]
    pub(crate) lab: LabSection,
    /// What machines get with their address.
    #[serde(default)]
    pub(crate) dhcp: DhcpSection,
    /// What clients of TFTP may take up.
    #[serde(default)]
    pub(crate) tftp: TftpSection,
    /// Where scripts, images and seeds are served.
    #[serde(default)]
    pub(crate) http: HttpSection,
    /// What cloud-init is told.
    #[serde(default)]
    pub(crate) seed: SeedSection,
    /// What is logged, and how.
    #[serde(default)]
    pub(crate) log: LogSection,
}

/// `[lab]`
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct LabSection {
    /// The interface that machines boot on; needed unless only HTTP is served.
    pub(crate) interface: Option<Spanned<String>>,
    /// The server's address there, with its prefix length; the interface's own where absent.
    pub(crate) address: Option<Spanned<Ipv4Net>>,
    /// The domain that machines are told they belong to.
    pub(crate) domain: String,
}

/// `[dhcp]`
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct DhcpSection {
    /// The addresses for machines that have none reserved; computed from the network where absent.
    pub(crate) pool: Option<Spanned<AddressRange>>,
    /// How long a machine keeps its address without asking again.
    pub(crate) lease_seconds: NonZeroU32,
    /// The router that machines are told; the server itself where absent.
    pub(crate) router: Option<Router>,
    /// The name servers that machines are told.
    pub(crate) dns: Vec<Ipv4Addr>,
    /// Whether a client with an address from elsewhere is refused it: right where no other DHCP server answers.
    pub(crate) authoritative: bool,
    /// When a lease counts as written.
    pub(crate) durability: Durability,
}

/// The router that machines are told, written as an address or `none`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Router {
    /// This one.
    At(Ipv4Addr),
    /// They stay within the lab network.
    None,
}

/// When a lease counts as written, and so when its ACK leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Durability {
    /// On the disk: it survives a power failure.
    Synced,
    /// In the kernel's hands: it survives a crash of this program.
    Buffered,
}

/// `[tftp]`: bounds; where absent, the service's own.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct TftpSection {
    /// How many transfers there may be at a time.
    pub(crate) max_transfers: Option<NonZeroU16>,
    /// How many of them one client may have.
    pub(crate) max_transfers_per_client: Option<NonZeroU16>,
    /// The most bytes of file in one packet, whatever a client asks for.
    pub(crate) max_block_bytes: Option<NonZeroU16>,
    /// The most packets in flight, whatever a client asks for.
    pub(crate) max_window_blocks: Option<NonZeroU16>,
}

/// `[http]`
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct HttpSection {
    /// The address to listen on: the server's lab address where absent, every address with `--http-only`.
    pub(crate) listen: Option<Ipv4Addr>,
    /// The TCP port; 0: any free one.
    pub(crate) port: u16,
    /// How machines reach this server, as `http://10.77.0.1:8080`; made of the lab address and the port where absent.
    pub(crate) base_url: Option<BaseUrl>,
}

/// `[seed]`
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct SeedSection {
    /// The account that a definition's SSH keys open.
    pub(crate) user: String,
}

/// `[log]`
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct LogSection {
    /// A level, and exceptions from it: `info,pxe_server::dhcp=debug`.
    pub(crate) level: String,
    /// How a line looks.
    pub(crate) format: LogFormat,
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LogFormat {
    /// Text: in colour on a terminal, without a time where journald adds its own.
    Auto,
    /// One JSON object a line.
    Json,
}

/// Addresses from first to last, written `10.77.0.100-10.77.0.200`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AddressRange {
    pub(crate) first: Ipv4Addr,
    pub(crate) last: Ipv4Addr,
}

/// A value that the configuration may not have; the message says where it stands and what was expected.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {key}: {problem}")]
pub(crate) struct Invalid {
    place: String,
    key: &'static str,
    problem: String,
}

/// The file that a configuration came from, kept to say where a value stands.
#[derive(Clone, Debug, Default)]
struct Source {
    path: PathBuf,
    text: String,
}

impl Config {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// The file cannot be read, is not TOML, has an unknown key, or a value that is not of its key's form.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(path, text)
    }

    fn parse(path: &Path, text: String) -> anyhow::Result<Self> {
        let parsed = toml::from_str::<Self>(&text);
        let config = parsed.map_err(|error| anyhow::anyhow!("{}: {}", path.display(), error.to_string().trim_end()))?;
        Ok(Self { source: Source { path: path.to_owned(), text }, ..config })
    }

    /// The file it was read from.
    pub(crate) fn path(&self) -> &Path {
        &self.source.path
    }

    /// The folder of what the server must remember: leases and events.
    pub(crate) fn state(&self) -> PathBuf {
        self.beside(&self.state)
    }

    /// The folder of the machines' definitions.
    pub(crate) fn definitions(&self) -> PathBuf {
        self.definitions.as_ref().map_or_else(|| self.state().join("vms"), |path| self.beside(path))
    }

    /// The folder of the images.
    pub(crate) fn images(&self) -> PathBuf {
        self.images.as_ref().map_or_else(|| self.state().join("images"), |path| self.beside(path))
    }

    /// The error for a value that stands in the file.
    pub(crate) fn invalid<T>(&self, key: &'static str, value: &Spanned<T>, problem: impl Into<String>) -> Invalid {
        let line = self.source.text[..value.span().start].matches('\n').count() + 1;
        Invalid { place: format!("{}:{line}", self.path().display()), key, problem: problem.into() }
    }

    /// The error for a key that is missing, or has a default that does not fit.
    pub(crate) fn missing(&self, key: &'static str, problem: impl Into<String>) -> Invalid {
        Invalid { place: self.path().display().to_string(), key, problem: problem.into() }
    }

    /// A relative path starts at the configuration's folder, wherever the program was started.
    fn beside(&self, path: &Path) -> PathBuf {
        self.path().parent().map_or_else(|| path.to_owned(), |folder| folder.join(path))
    }
}

impl Default for LabSection {
    fn default() -> Self {
        Self { interface: None, address: None, domain: "pvmlab.local".to_owned() }
    }
}

impl Default for DhcpSection {
    fn default() -> Self {
        Self {
            pool: None,
            lease_seconds: NonZeroU32::new(3600).expect("an hour is not zero seconds"),
            router: None,
            dns: Vec::new(),
            authoritative: true,
            durability: Durability::Synced,
        }
    }
}

impl Default for HttpSection {
    fn default() -> Self {
        Self { listen: None, port: 80, base_url: None }
    }
}

impl Default for SeedSection {
    fn default() -> Self {
        Self { user: "lab".to_owned() }
    }
}

impl Default for LogSection {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Auto }
    }
}

fn default_state() -> PathBuf {
    PathBuf::from("/var/lib/pxe-server")
}

impl AddressRange {
    /// How many addresses it has.
    pub(crate) fn len(self) -> u64 {
        u64::from(self.last.to_bits()) - u64::from(self.first.to_bits()) + 1
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

impl<'de> Deserialize<'de> for AddressRange {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let range = text.split_once('-').and_then(|(first, last)| {
            let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
            (first <= last).then_some(Self { first, last })
        });
        range.ok_or_else(|| {
            let expected = "expected first and last address such as `10.77.0.100-10.77.0.200`";
            serde::de::Error::custom(format!("`{text}` is not a range of addresses: {expected}"))
        })
    }
}

impl<'de> Deserialize<'de> for Router {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.as_str() {
            "none" => Ok(Self::None),
            address => address.parse().map(Self::At).map_err(|_| {
                serde::de::Error::custom(format!("`{text}` is not a router: expected an IPv4 address or `none`"))
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_is_a_configuration() {
        let config = parse("").expect("every key has a default");

        assert_eq!(config.state(), Path::new("/var/lib/pxe-server"));
        assert_eq!(config.definitions(), Path::new("/var/lib/pxe-server/vms"));
        assert_eq!(config.images(), Path::new("/var/lib/pxe-server/images"));
        assert_eq!((config.http.port, config.dhcp.lease_seconds.get()), (80, 3600));
    }

    #[test]
    fn a_relative_path_starts_at_the_file() {
        let config = parse("state = 'state'\nimages = '../images'").expect("two paths");

        assert_eq!(config.definitions(), Path::new("/etc/pxe-server/state/vms"));
        assert_eq!(config.images(), Path::new("/etc/pxe-server/../images"));
    }

    #[test]
    fn an_error_names_file_line_key_and_what_was_expected() {
        let error = |text| parse(text).expect_err("no configuration").to_string();

        insta::assert_snapshot!("unknown_key", error("[dhcp]\nlease-secs = 60\n"));
        insta::assert_snapshot!("unknown_section", error("[dhpc]\n"));
        insta::assert_snapshot!("wrong_type", error("[http]\nport = \"eighty\"\n"));
        insta::assert_snapshot!("port_too_high", error("[http]\nport = 65536\n"));
        insta::assert_snapshot!("no_time", error("[dhcp]\nlease-seconds = 0\n"));
        insta::assert_snapshot!("no_network", error("[lab]\naddress = \"10.77.0.1\"\n"));
        insta::assert_snapshot!("range_backwards", error("[dhcp]\npool = \"10.77.0.200-10.77.0.100\"\n"));
        insta::assert_snapshot!("no_router", error("[dhcp]\nrouter = \"no\"\n"));
        insta::assert_snapshot!("unknown_durability", error("[dhcp]\ndurability = \"always\"\n"));
    }

    fn parse(text: &str) -> anyhow::Result<Config> {
        Config::parse(Path::new("/etc/pxe-server/config.toml"), text.to_owned())
    }
}
