//! Where machines reach the server over HTTP.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use lab_model::{Arch, FileName, ImageName, MacAddr, MachineName};

use super::BootProgram;

/// The server's own address in URLs, `http://10.77.0.1`, `http://10.77.0.1:8080`, `http://[fd00:77::1]` or `https://10.77.0.1`.
///
/// An address and no name: firmware and boot programs fetch from it before anything resolves names. Every URL that a
/// machine is given comes from here, so that each path is written once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    scheme: Scheme,
    address: IpAddr,
    port: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Http,
    Https,
}

impl BaseUrl {
    /// The server at this address and TCP port.
    pub const fn new(address: IpAddr, port: u16) -> Self {
        Self { scheme: Scheme::Http, address, port }
    }

    /// The same server by TLS (RFC 9110 §4.2.2), at this TCP port.
    pub const fn secure(self, port: u16) -> Self {
        Self { scheme: Scheme::Https, port, ..self }
    }

    /// The server's address, as machines reach it.
    pub const fn address(self) -> IpAddr {
        self.address
    }

    /// The script of the machine that asks; iPXE fills in its own processor.
    pub fn script(self, mac: MacAddr) -> String {
        format!("{self}/ipxe?mac={mac}&arch=${{buildarch}}")
    }

    /// The network boot program, for UEFI HTTP Boot.
    pub fn boot_program(self, program: BootProgram) -> String {
        format!("{self}/boot/{}", program.file_name())
    }

    /// The same program over TFTP, for PXE in IPv6 (RFC 5970 §3.1).
    pub fn tftp(self, program: BootProgram) -> String {
        match self.address {
            IpAddr::V4(address) => format!("tftp://{address}/{}", program.file_name()),
            IpAddr::V6(address) => format!("tftp://[{address}]/{}", program.file_name()),
        }
    }

    /// The installer's configuration.
    pub fn config(self, mac: MacAddr) -> String {
        format!("{self}/config/{mac}")
    }

    /// Where the installer reports.
    pub fn events(self, mac: MacAddr) -> String {
        format!("{self}/events/{mac}")
    }

    /// Where an installed system says that it is up.
    pub fn up(self, mac: MacAddr) -> String {
        format!("{self}/machines/{mac}/up")
    }

    /// The installer itself, for the machine at `mac`.
    pub fn installer(self, arch: Arch, mac: MacAddr) -> String {
        format!("{self}/installer/{arch}?mac={mac}")
    }

    /// A file of an image, for the machine at `mac`: by its address alone the server may not know who fetches.
    pub fn image(self, name: &ImageName, arch: Arch, file: &FileName, mac: MacAddr) -> String {
        format!("{self}/images/{name}/{arch}/{file}?mac={mac}")
    }

    /// The folder of an image's files, without a slash at its end.
    pub fn image_folder(self, name: &ImageName, arch: Arch) -> String {
        format!("{self}/images/{name}/{arch}")
    }

    /// Where a machine's documents are, without a slash at its end.
    pub fn documents(self, name: &MachineName) -> String {
        format!("{self}/profiles/{name}")
    }

    /// Where cloud-init finds a machine's documents by itself, with a slash at its end as its NoCloud data source wants it.
    pub fn seed_folder(self, name: &MachineName) -> String {
        format!("{self}/cloud-init/{name}/")
    }

    /// The script of what was chosen from a menu, with iPXE's own words for the choice.
    pub fn chosen(self, mac: MacAddr) -> String {
        format!("{}&profile=${{chosen}}", self.script(mac))
    }

    /// The cloud-init seed of one installation as an ISO 9660 image.
    pub fn seed(self, name: &MachineName, instance: &str) -> String {
        format!("{self}/cloud-init/{name}/seed.iso?instance={instance}")
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, usual) = match self.scheme {
            Scheme::Http => ("http", 80),
            Scheme::Https => ("https", 443),
        };
        match self.address {
            address if self.port != usual => write!(f, "{scheme}://{}", SocketAddr::new(address, self.port)),
            IpAddr::V4(address) => write!(f, "{scheme}://{address}"),
            IpAddr::V6(address) => write!(f, "{scheme}://[{address}]"),
        }
    }
}

impl std::str::FromStr for BaseUrl {
    type Err = NotBaseUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = text.strip_prefix("http://").and_then(|rest| {
            let rest = rest.strip_suffix('/').unwrap_or(rest);
            let (address, port) = match rest.strip_prefix('[') {
                Some(rest) => {
                    let (address, port) = rest.split_once(']')?;
                    (IpAddr::V6(address.parse().ok()?), port)
                }
                None => {
                    let (address, port) = rest.split_at(rest.find(':').unwrap_or(rest.len()));
                    (IpAddr::V4(address.parse().ok()?), port)
                }
            };
            let port = if port.is_empty() { "80" } else { port.strip_prefix(':')? };
            let plain = port.bytes().all(|byte| byte.is_ascii_digit());
            Some(Self::new(address, port.parse().ok().filter(|port| plain && *port != 0)?))
        });
        parsed.ok_or_else(|| NotBaseUrl(text.to_owned()))
    }
}

impl<'de> serde::Deserialize<'de> for BaseUrl {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The text is no URL of a server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not the server's URL: expected a form such as `http://10.77.0.1`, `http://10.77.0.1:8080` or `http://[fd00:77::1]`"
)]
pub struct NotBaseUrl(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_port_is_not_written() {
        for (text, shown) in [
            ("http://10.77.0.1", "http://10.77.0.1"),
            ("http://10.77.0.1:80/", "http://10.77.0.1"),
            ("http://10.0.2.2:8080", "http://10.0.2.2:8080"),
            ("http://[fd00:77::1]/", "http://[fd00:77::1]"),
            ("http://[fd00:77:0::1]:8080", "http://[fd00:77::1]:8080"),
        ] {
            assert_eq!(text.parse::<BaseUrl>().map(|base| base.to_string()), Ok(shown.to_owned()));
        }
    }

    #[test]
    fn the_same_server_by_tls_has_a_port_of_its_own() {
        for (text, port, shown) in [
            ("http://10.77.0.1:8080", 443, "https://10.77.0.1"),
            ("http://[fd00:77::1]", 443, "https://[fd00:77::1]"),
            ("http://10.77.0.1", 80, "https://10.77.0.1:80"),
            ("http://[fd00:77::1]", 8443, "https://[fd00:77::1]:8443"),
        ] {
            let base: BaseUrl = text.parse().expect("a URL");

            assert_eq!(base.secure(port).to_string(), shown);
        }
    }

    #[test]
    fn refuses_what_a_boot_program_could_not_fetch_from() {
        for text in [
            "",
            "10.77.0.1",
            "https://10.77.0.1",
            "http://server",
            "http://10.77.0.1:0",
            "http://10.77.0.1:",
            "http://10.77.0.1/a",
            "http://fd00:77::1",
            "http://[fd00:77::1",
            "http://[fd00:77::1]a",
            "http://[10.77.0.1]",
        ] {
            assert_eq!(text.parse::<BaseUrl>(), Err(NotBaseUrl(text.to_owned())));
        }
    }
}
