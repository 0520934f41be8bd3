//! The HTTP client: HTTP/1.1 without TLS, to addresses only.
//!
//! Names are deliberately not resolved. The server writes its own address into every URL, and a static binary that asks
//! the C library for a name would need that library's plug-ins, which no initrd has.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{NextTimeout, TcpConnector};
use ureq::{Agent, Error};

/// A client whose connections give up after this much silence, and that hands every status to the caller.
pub fn agent(silence: Duration) -> Agent {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .proxy(None)
        .max_redirects(3)
        .timeout_connect(Some(CONNECT))
        .timeout_recv_response(Some(silence))
        .timeout_per_read(Some(silence))
        .timeout_per_write(Some(silence))
        // Every worker keeps its own.
        .max_idle_connections_per_host(CONNECTIONS)
        .max_idle_connections(CONNECTIONS)
        .user_agent(concat!("pvmlab-installer/", env!("CARGO_PKG_VERSION")))
        .build();
    Agent::with_parts(config, TcpConnector::default(), Addresses)
}

/// Reads the address out of a URL, and knows no names.
#[derive(Debug)]
struct Addresses;

impl Resolver for Addresses {
    fn resolve(&self, uri: &Uri, _: &ureq::config::Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let mut addresses = self.empty();
        addresses.push(SocketAddr::new(address(uri)?, uri.port_u16().unwrap_or(80)));
        Ok(addresses)
    }
}

/// The server of a URL.
///
/// # Errors
/// It is no URL with `http://` and an address.
pub fn server(url: &str) -> Result<IpAddr, Error> {
    address(&url.parse().map_err(|error| Error::BadUri(format!("{url}: {error}")))?)
}

fn address(uri: &Uri) -> Result<IpAddr, Error> {
    if uri.scheme_str() != Some("http") {
        return Err(Error::BadUri(format!("{uri}: expected a URL with `http://`")));
    }
    let host = uri.host().unwrap_or_default();
    host.trim_matches(['[', ']']).parse().map_err(|_| {
        Error::BadUri(format!("{uri}: expected an IP address instead of `{host}`, names are not resolved"))
    })
}

/// As many connections wait for their next request.
const CONNECTIONS: usize = 8;

/// How long a server may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_of_either_family() {
        assert_eq!(server("http://10.0.0.1:8080/x").expect("a URL"), IpAddr::from([10, 0, 0, 1]));
        assert_eq!(server("http://[fd77::1]/x").expect("a URL"), "fd77::1".parse::<IpAddr>().expect("an address"));
        assert!(server("http://").is_err());
    }

    #[test]
    fn says_that_it_resolves_no_names() {
        for (url, reason) in [
            (
                "http://server.lab/x",
                "http://server.lab/x: expected an IP address instead of `server.lab`, names are not resolved",
            ),
            ("https://10.0.0.1/x", "https://10.0.0.1/x: expected a URL with `http://`"),
        ] {
            let error = agent(CONNECT).get(url).call().expect_err("no such address");

            assert!(error.to_string().contains(reason), "{error}");
        }
    }
}
