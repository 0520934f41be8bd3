//! The configuration as a person writes it: TOML, every key with a default that works.
//!
//! A key or value that is no configuration is refused here, with its line. Whether the values fit the network is
//! [`crate::lab`]'s question, because only the interface can answer it.

mod class;
mod difference;
mod fixed;
mod quirk;
mod subnet;
mod value;

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use anyhow::Context;
use cloud_seed::UserName;
use lab_model::{Ipv4Net, Ipv6Net};
use pxe_proto::boot::BaseUrl;
use pxe_proto::dhcp::Settings;
use pxe_proto::tftp::Limits;
use serde::Deserialize;
use toml::Spanned;

pub(crate) use self::class::ClassSection;
pub(crate) use self::difference::Difference;
pub(crate) use self::quirk::QuirkSection;
pub(crate) use self::subnet::SubnetSection;
pub(crate) use self::value::{AddressRange, AddressRanges, InterfaceName, Levels, NameServer, Router};
use self::value::{Count, Milliseconds, Mtu, Port, RouterLifetime, Seconds};
use crate::tftp::{Bounds, Ports};
use crate::tls;

/// A configuration file.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Config {
    #[serde(skip)]
    source: Source,
    #[serde(default = "default_state")]
    state: PathBuf,
    definitions: Option<Spanned<PathBuf>>,
    images: Option<Spanned<PathBuf>>,
    profiles: Option<Spanned<PathBuf>>,
    /// The network that machines boot on.
    #[serde(default)]
    pub(crate) lab: LabSection,
    /// What machines get with their address.
    #[serde(default)]
    pub(crate) dhcp: DhcpSection,
    /// What machines get with their IPv6 address.
    #[serde(default)]
    pub(crate) dhcp6: Dhcp6Section,
    /// What machines hear of the IPv6 network.
    #[serde(default)]
    pub(crate) ra: RaSection,
    /// Which names are answered, and how others are.
    #[serde(default)]
    pub(crate) dns: DnsSection,
    /// What clients of TFTP may take up.
    #[serde(default)]
    pub(crate) tftp: TftpSection,
    /// Firmware with faults that the server does not know by itself.
    #[serde(default)]
    pub(crate) quirk: Vec<QuirkSection>,
    /// Where scripts, images and seeds are served.
    #[serde(default)]
    pub(crate) http: HttpSection,
    /// The machines' way out; they stay in the lab where absent.
    pub(crate) nat: Option<NatSection>,
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
    /// The server's IPv6 address there; the interface's own where absent, and without one there is no IPv6.
    pub(crate) address6: Option<Spanned<Ipv6Net>>,
    /// The domain that machines are told they belong to.
    pub(crate) domain: String,
}

/// `[dhcp]`
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct DhcpSection {
    /// Who gives addresses.
    pub(crate) mode: Mode,
    /// The addresses for machines that have none reserved; computed from the network where absent.
    pub(crate) pool: Option<Spanned<AddressRanges>>,
    /// How long a machine keeps its address without asking again.
    pub(crate) lease_seconds: Seconds,
    /// The router that machines are told; the server itself where absent.
    pub(crate) router: Option<Router>,
    /// The name servers that machines are told; where absent, the server itself if it answers names.
    pub(crate) dns: Option<Vec<Ipv4Addr>>,
    /// Whether a client with an address from elsewhere is refused it: right where no other DHCP server answers.
    pub(crate) authoritative: bool,
    /// How long an answer is waited for after asking whether somebody has an address; 0: nobody is asked.
    pub(crate) probe_milliseconds: Milliseconds,
    /// When a lease counts as written.
    pub(crate) durability: Durability,
    /// What else machines are told.
    pub(crate) options: Settings,
    /// The other networks: behind relay agents, or on a link that they share.
    pub(crate) subnet: Vec<SubnetSection>,
    /// Clients that are treated alike.
    pub(crate) class: Vec<ClassSection>,
}

/// Who gives addresses, and whom we tell what to boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Mode {
    /// This server gives them, and tells everybody.
    Server,
    /// Another one gives them; machines that are defined are told.
    ProxyKnown,
    /// Another one gives them; every network boot client is told.
    ProxyAll,
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

/// `[dhcp6]`
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct Dhcp6Section {
    /// Whether this server gives addresses; where absent, as for IPv4.
    pub(crate) serve: Option<bool>,
    /// The addresses for machines that have none reserved; computed from the network where absent.
    pub(crate) pool: Option<Spanned<AddressRange<Ipv6Addr>>>,
    /// How long a machine keeps its address without asking again.
    pub(crate) lease_seconds: Seconds,
}

/// `[ra]`
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct RaSection {
    /// Whether this server advertises the network: right where no other router does. Where absent, if it gives addresses.
    pub(crate) advertise: Option<bool>,
    /// Whether machines make themselves addresses of the prefix.
    pub(crate) autonomous: bool,
    /// How long machines get out by this server after an advertisement; where absent, long with `[nat]`, and never without.
    pub(crate) router_lifetime_seconds: Option<RouterLifetime>,
    /// The name servers that machines are told; where absent, the server itself if it answers names.
    pub(crate) dns: Option<Vec<Ipv6Addr>>,
    /// What the network carries in one packet.
    pub(crate) mtu: Option<Mtu>,
}

/// `[dns]`
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct DnsSection {
    /// Whether names are answered on the lab's interface; where absent, if machines are told that they are.
    pub(crate) enabled: Option<bool>,
    /// Who is asked about names that are not the lab's, the first one first; this machine's own name servers where absent.
    pub(crate) upstreams: Option<Spanned<Vec<NameServer>>>,
    /// How many questions one client may ask a second.
    pub(crate) queries_per_second: Count,
}

/// `[tftp]`: bounds; where absent, the service's own.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct TftpSection {
    /// How many transfers there may be at a time.
    pub(crate) max_transfers: Option<Count>,
    /// How many of them one client may have.
    pub(crate) max_transfers_per_client: Option<Count>,
    /// The most bytes of file in one packet, whatever a client asks for.
    pub(crate) max_block_bytes: Option<Count>,
    /// The most packets in flight, whatever a client asks for.
    pub(crate) max_window_blocks: Option<Count>,
    /// The ports that files leave from.
    pub(crate) transfer_ports: Ports,
}

/// `[http]`
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct HttpSection {
    /// The address to listen on: the server's lab address where absent, 127.0.0.1 with `--http-only`.
    pub(crate) listen: Option<Ipv4Addr>,
    /// The TCP port; 0: any free one.
    pub(crate) port: Port,
    /// How machines reach this server, as `http://10.77.0.1:8080`; made of the lab address and the port where absent.
    pub(crate) base_url: Option<BaseUrl>,
    /// Whether anybody may have any machine's configuration and seed, not only the machine itself by its address.
    pub(crate) trust_any_client: bool,
    /// The same by TLS; nothing where absent.
    pub(crate) tls: Option<TlsSection>,
}

/// `[http.tls]`
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct TlsSection {
    /// The server's certificate, and those that lead to its root.
    certificate: PathBuf,
    /// Its private key.
    key: PathBuf,
    /// The lab's own root, which our boot programs then trust in place of iPXE's.
    authority: Option<PathBuf>,
    /// The TCP port; 0: any free one.
    #[serde(default = "default_tls_port")]
    pub(crate) port: Port,
}

/// `[nat]`
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct NatSection {
    /// The interface that leads out; it need not be there yet.
    pub(crate) uplink: Spanned<InterfaceName>,
}

/// `[seed]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct SeedSection {
    /// The account that a definition's SSH keys open.
    pub(crate) user: UserName,
}

/// `[log]`
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct LogSection {
    /// What is said of which part of the program.
    pub(crate) level: Levels,
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

    pub(crate) fn parse(path: &Path, text: String) -> anyhow::Result<Self> {
        let parsed = toml::from_str::<Self>(&text);
        let config = parsed.map_err(|error| anyhow::anyhow!("{}: {}", path.display(), error.to_string().trim_end()))?;
        Ok(Self { source: Source { path: path.to_owned(), text }, ..config })
    }

    /// What the file said.
    pub(crate) fn text(&self) -> &str {
        &self.source.text
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
        self.definitions.as_ref().map_or_else(|| self.state().join("vms"), |path| self.beside(path.get_ref()))
    }

    /// The folder of the images.
    pub(crate) fn images(&self) -> PathBuf {
        self.images.as_ref().map_or_else(|| self.state().join("images"), |path| self.beside(path.get_ref()))
    }

    /// The folder of the profiles.
    pub(crate) fn profiles(&self) -> PathBuf {
        self.profiles.as_ref().map_or_else(|| self.state().join("profiles"), |path| self.beside(path.get_ref()))
    }

    /// Those of these folders that the file names itself and that are not there, or are none.
    pub(crate) fn missing_folders(&self) -> Vec<Invalid> {
        let named = [("definitions", &self.definitions), ("images", &self.images), ("profiles", &self.profiles)];
        let missing = named.into_iter().filter_map(|(key, written)| {
            let written = written.as_ref()?;
            let path = self.beside(written.get_ref());
            let problem = match std::fs::metadata(&path) {
                Ok(folder) if folder.is_dir() => return None,
                Ok(_) => "is no folder".to_owned(),
                Err(error) => error.to_string(),
            };
            let path = path.display();
            let problem = format!("{path}: {problem}: expected a folder; make or mount it, or correct the path");
            Some(self.invalid(key, written, problem))
        });
        missing.collect()
    }

    /// The files of TLS, where it is served.
    pub(crate) fn tls(&self) -> Option<tls::Files> {
        let TlsSection { certificate, key, authority, .. } = self.http.tls.as_ref()?;
        let authority = authority.as_ref().map(|path| self.beside(path));
        Some(tls::Files { certificate: self.beside(certificate), key: self.beside(key), authority })
    }

    /// Whether machines have their addresses from this server.
    pub(crate) fn gives_addresses(&self) -> bool {
        match self.dhcp.mode {
            Mode::Server => true,
            Mode::ProxyKnown | Mode::ProxyAll => false,
        }
    }

    /// Whether names are answered.
    pub(crate) fn answers_names(&self) -> bool {
        self.dns.enabled.unwrap_or(self.gives_addresses())
    }

    /// Whether machines get IPv6 addresses.
    pub(crate) fn gives_ipv6_addresses(&self) -> bool {
        self.dhcp6.serve.unwrap_or(self.gives_addresses())
    }

    /// Whether the IPv6 network is advertised.
    pub(crate) fn advertises(&self) -> bool {
        self.ra.advertise.unwrap_or(self.gives_addresses())
    }

    /// The name servers that machines are told where nothing else is said of them; `server` is this server's own address.
    pub(crate) fn name_servers(&self, server: Ipv4Addr) -> Vec<Ipv4Addr> {
        let own = || self.answers_names().then_some(server).into_iter().collect();
        self.dhcp.dns.clone().unwrap_or_else(own)
    }

    /// The IPv6 name servers that machines are told; `server` is this server's own address.
    pub(crate) fn name_servers6(&self, server: Ipv6Addr) -> Vec<Ipv6Addr> {
        let own = || self.answers_names().then_some(server).into_iter().collect();
        self.ra.dns.clone().unwrap_or_else(own)
    }

    /// The error for a value that stands in the file.
    pub(crate) fn invalid<T>(&self, key: &'static str, value: &Spanned<T>, problem: impl Into<String>) -> Invalid {
        // What is kept from the configuration before stands in no line of this one.
        let Some(before) = self.source.text.get(..value.span().start) else { return self.missing(key, problem) };
        let line = before.matches('\n').count() + 1;
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

impl TftpSection {
    /// What clients may take up.
    pub(crate) fn bounds(&self) -> Bounds {
        let default = Bounds::default();
        let limits = Limits {
            block_size: self.max_block_bytes.map_or(default.limits.block_size, |most| most.0),
            window: self.max_window_blocks.map_or(default.limits.window, |most| most.0),
        };
        Bounds {
            limits,
            transfers: self.max_transfers.map_or(default.transfers, |most| most.0.into()),
            transfers_per_client: self
                .max_transfers_per_client
                .map_or(default.transfers_per_client, |most| most.0.into()),
        }
    }
}

impl Default for LabSection {
    fn default() -> Self {
        Self { interface: None, address: None, address6: None, domain: "pvmlab.local".to_owned() }
    }
}

impl Default for DhcpSection {
    fn default() -> Self {
        Self {
            mode: Mode::Server,
            pool: None,
            lease_seconds: Seconds(3600),
            router: None,
            dns: None,
            authoritative: true,
            // Less than any client waits before it asks again: iPXE does after one second, EDK2 after four.
            probe_milliseconds: Milliseconds(400),
            durability: Durability::Synced,
            options: Settings::default(),
            subnet: Vec::new(),
            class: Vec::new(),
        }
    }
}

impl Default for Dhcp6Section {
    fn default() -> Self {
        Self { serve: None, pool: None, lease_seconds: Seconds(3600) }
    }
}

impl Default for RaSection {
    fn default() -> Self {
        Self { advertise: None, autonomous: true, router_lifetime_seconds: None, dns: None, mtu: None }
    }
}

impl Default for DnsSection {
    fn default() -> Self {
        // Ten times what an installer or a package manager asks at its busiest.
        Self { enabled: None, upstreams: None, queries_per_second: Count(500) }
    }
}

impl Default for HttpSection {
    fn default() -> Self {
        Self { listen: None, port: Port(80), base_url: None, trust_any_client: false, tls: None }
    }
}

impl Default for LogSection {
    fn default() -> Self {
        Self { level: Levels::default(), format: LogFormat::Auto }
    }
}

fn default_tls_port() -> Port {
    Port(443)
}

fn default_state() -> PathBuf {
    PathBuf::from("/var/lib/pxe-server")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn an_empty_file_is_a_configuration() {
        let config = parse("").expect("every key has a default");

        assert_eq!(config.state(), Path::new("/var/lib/pxe-server"));
        assert_eq!(config.definitions(), Path::new("/var/lib/pxe-server/vms"));
        assert_eq!(config.images(), Path::new("/var/lib/pxe-server/images"));
        assert_eq!((config.http.port.0, config.dhcp.lease_seconds.0), (80, 3600));
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
        insta::assert_snapshot!("no_name_server", error("[dns]\nupstreams = [\"dns.example\"]\n"));
        insta::assert_snapshot!("no_count", error("[tftp]\nmax-transfers = 0\n"));
        insta::assert_snapshot!("no_ports", error("[tftp]\ntransfer-ports = \"40000\"\n"));
        insta::assert_snapshot!("no_level", error("[log]\nlevel = \"loud\"\n"));
        insta::assert_snapshot!("no_network", error("[lab]\naddress = \"10.77.0.1\"\n"));
        insta::assert_snapshot!("no_network6", error("[lab]\naddress6 = \"fd00:77::1\"\n"));
        insta::assert_snapshot!("too_long_a_router", error("[ra]\nrouter-lifetime-seconds = 9001\n"));
        insta::assert_snapshot!("too_small_an_mtu", error("[ra]\nmtu = 1279\n"));
        insta::assert_snapshot!("range_backwards", error("[dhcp]\npool = \"10.77.0.200-10.77.0.100\"\n"));
        insta::assert_snapshot!(
            "ranges_overlap",
            error("[dhcp]\npool = ['10.77.0.2-10.77.0.9', '10.77.0.9-10.77.0.10']\n")
        );
        insta::assert_snapshot!("no_subnet", error("[[dhcp.subnet]]\nnetwork = '10.78.0.0/24'\n"));
        insta::assert_snapshot!("no_option", error("[dhcp]\ndns = []\n\n[dhcp.options]\nntp-server = '10.77.0.1'\n"));
        insta::assert_snapshot!("no_value", error("[dhcp.options]\n26 = 1500\nntp-servers = ['ten']\n"));
        insta::assert_snapshot!("no_pattern", error("[[dhcp.class]]\nname = 'a'\nvendor-class = '0x0'\n"));
        insta::assert_snapshot!("range6_of_ipv4", error("[dhcp6]\npool = \"10.77.0.100-10.77.0.200\"\n"));
        insta::assert_snapshot!("no_router", error("[dhcp]\nrouter = \"no\"\n"));
        insta::assert_snapshot!("no_interface_name", error("[nat]\nuplink = \"enp0s*\"\n"));
        insta::assert_snapshot!("no_uplink", error("[nat]\n"));
        insta::assert_snapshot!("unknown_mode", error("[dhcp]\nmode = \"proxy\"\n"));
        insta::assert_snapshot!("unknown_durability", error("[dhcp]\ndurability = \"always\"\n"));
    }

    #[test]
    fn every_shipped_example_is_a_configuration() {
        let paths = fs::read_dir(EXAMPLES).expect("the examples").flatten().map(|entry| entry.path());
        // What lies in folders is of other programs.
        let examples: Vec<_> = paths.filter(|path| path.is_file()).collect();

        assert!(examples.len() >= 3);
        for example in examples {
            Config::read(&example).expect("an example");
        }
    }

    #[test]
    fn the_example_of_every_key_has_every_key() {
        let text = fs::read_to_string(Path::new(EXAMPLES).join("every-key.toml")).expect("the example");
        let example: toml::Table = toml::from_str(&text).expect("TOML");

        let nested = |key: &str| example["dhcp"][key][0].as_table().expect("a table of a list");
        let (quirk, tls) = (example["quirk"][0].as_table(), example["http"]["tls"].as_table());
        let (quirk, tls) = (quirk.expect("a table of a list"), tls.expect("a table"));
        let nested = [("[dhcp.subnet]", nested("subnet")), ("[dhcp.class]", nested("class")), ("[quirk]", quirk)];
        let nested = [("", &example), ("http.tls", tls)].into_iter().chain(nested);
        for (section, keys) in nested.chain(sections(&example)) {
            let mut written: Vec<_> = keys.keys().cloned().collect();
            let mut known = known_keys(section);
            written.sort_unstable();
            known.sort_unstable();
            assert_eq!(written, known, "[{section}]");
        }
    }

    fn sections(example: &toml::Table) -> impl Iterator<Item = (&str, &toml::Table)> {
        example.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_table()?)))
    }

    /// What the parser offers in place of a key that it does not know: "…, expected one of `a`, `b`".
    fn known_keys(section: &str) -> Vec<String> {
        let text = if section.is_empty() { "'?' = 0\n".to_owned() } else { format!("[{section}]\n'?' = 0\n") };
        let error = parse(&text).expect_err("an unknown key").to_string();
        let known = error.split_once("expected").expect("what is known").1;
        known.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }

    const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/examples");

    fn parse(text: &str) -> anyhow::Result<Config> {
        Config::parse(Path::new("/etc/pxe-server/config.toml"), text.to_owned())
    }
}
