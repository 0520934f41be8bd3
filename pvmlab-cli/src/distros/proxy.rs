//! Through whom the network is reached: what the environment says in the variables that curl and others read.

use ureq::Proxy;

use crate::error::{Failure, Kind, Result};

/// The proxy for URLs of one scheme; `None` where they are reached directly.
///
/// `http_proxy` and `https_proxy` by scheme, `all_proxy` otherwise; `no_proxy` lists hosts that are reached directly, with all
/// below them. Small letters go before capitals.
///
/// # Errors
/// A variable has no proxy's URL.
pub(super) fn for_scheme(scheme: &str, variable: impl Fn(&str) -> Option<String>) -> Result<Option<Proxy>> {
    let read = |name: &str| {
        [name.to_owned(), name.to_uppercase()]
            .into_iter()
            .find_map(|name| variable(&name).filter(|value| !value.trim().is_empty()).map(|value| (name, value)))
    };
    let Some((name, url)) = read(&format!("{scheme}_proxy")).or_else(|| read("all_proxy")) else { return Ok(None) };
    let refused = |error: ureq::Error| {
        Failure::new(Kind::Usage, format!("{name} in the environment names no proxy: {error}"))
            .hinted("expected for instance http://proxy.lan:3128; other kinds of proxies are not spoken to")
    };
    let proxy = Proxy::new(url.trim()).map_err(refused)?;
    if !matches!(proxy.protocol(), ureq::ProxyProtocol::Http) {
        return Err(refused(ureq::Error::InvalidProxyUrl));
    }
    let mut builder = Proxy::builder(proxy.protocol()).host(proxy.host()).port(proxy.port());
    if let Some(user) = proxy.username() {
        builder = builder.username(user).password(proxy.password().unwrap_or_default());
    }
    let (_, direct) = read("no_proxy").unwrap_or_default();
    for host in direct.split([',', ' ']).map(str::trim).filter(|host| !host.is_empty()) {
        if host == "*" {
            return Ok(None);
        }
        let host = host.trim_start_matches("*.").trim_start_matches('.');
        builder = builder.no_proxy(host).no_proxy(&format!(".{host}"));
    }
    builder.build().map(Some).map_err(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_chooses_and_no_proxy_excepts() {
        let environment = |name: &str| {
            let value = match name {
                "https_proxy" => "http://user:p%40ss@secure.lan:3128",
                "HTTP_PROXY" => "plain.lan",
                "NO_PROXY" => "localhost, .example.org,10.0.0.1",
                _ => return None,
            };
            Some(value.to_owned())
        };
        let proxy = |scheme| for_scheme(scheme, environment).expect("proxies").expect("one");

        assert_eq!((proxy("http").host(), proxy("http").port()), ("plain.lan", 80));
        assert_eq!((proxy("https").host(), proxy("https").port()), ("secure.lan", 3128));
        assert_eq!((proxy("https").username(), proxy("https").password()), (Some("user"), Some("p@ss")));
        for (url, is_direct) in [
            ("http://localhost/", true),
            ("http://example.org/", true),
            ("http://a.example.org/", true),
            ("http://notexample.org/", false),
            ("http://10.0.0.1/", true),
        ] {
            assert_eq!(proxy("http").is_no_proxy(&url.parse().expect("a URL")), is_direct, "{url}");
        }
    }

    #[test]
    fn without_variables_or_for_all_hosts_there_is_none() {
        let all = |name: &str| (name == "all_proxy").then(|| "http://p:1".to_owned());
        let none = |name: &str| all(name).or_else(|| (name == "no_proxy").then(|| "*".to_owned()));

        assert!(for_scheme("http", |_| None).expect("none").is_none());
        assert!(for_scheme("http", all).expect("one").is_some());
        assert!(for_scheme("http", none).expect("none").is_none());
        assert!(for_scheme("http", |_| Some("socks5://p:1".to_owned())).is_err());
    }
}
