//! The network, as downloads see it: one request, its answer's head and body, and what it means that there is none.
//!
//! ureq and not reqwest: commands are sequential code, and the installer has it already. TLS is rustls with ring; the roots are
//! the system's own file of them, so that a company's root counts as it does for curl, and none are compiled in.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Timeout, http};

use super::location::Location;
use super::resume::{Head, Validators};
use crate::distros::proxy;
use crate::error::{Failure, Kind, Result};

/// What fetches, for any number of threads.
#[derive(Debug)]
pub(super) struct Http {
    plain: Agent,
    secure: Agent,
}

/// What came.
pub(super) struct Answer {
    pub(super) head: Head,
    pub(super) body: Box<dyn Read + Send>,
}

/// Why nothing came.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It may come if it is asked for again.
    Passing(Failure),
    /// It will not.
    Lasting(Failure),
}

impl Http {
    /// As the environment has it: proxies, roots of trust, patience.
    ///
    /// # Errors
    /// A variable says nonsense, or the file of roots that one names cannot be read.
    pub(super) fn from_environment() -> Result<Self> {
        let patience = patience()?;
        let roots = RootCerts::Specific(Arc::new(roots()?));
        let agent = |scheme: &str| -> Result<Agent> {
            let tls = TlsConfig::builder()
                .root_certs(roots.clone())
                .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()));
            let config = Agent::config_builder()
                .proxy(proxy::for_scheme(scheme, |name| std::env::var(name).ok())?)
                // Who asked for a guarded place is not led to an unguarded one.
                .https_only(scheme == "https")
                .http_status_as_error(false)
                .max_redirects(REDIRECTS)
                .timeout_connect(Some(patience))
                .timeout_recv_response(Some(patience))
                .timeout_per_read(Some(patience))
                .timeout_per_write(Some(patience))
                .user_agent(concat!("pvmlab/", env!("CARGO_PKG_VERSION")))
                .tls_config(tls.build());
            Ok(config.build().new_agent())
        };
        Ok(Self { plain: agent("http")?, secure: agent("https")? })
    }

    /// Asks for a file; answers to conditions (304, 416) come back as any other.
    pub(super) fn get(&self, location: &Location, headers: &[(&str, &str)]) -> Result<Answer, Trouble> {
        if let Some(path) = location.path() {
            return open(path).map_err(Trouble::Lasting);
        }
        let agent = if location.is_guarded() { &self.secure } else { &self.plain };
        let mut request = agent.get(location.as_str());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.call().map_err(|error| trouble(location, &error))?;
        let head = head(&response);
        match response.status().as_u16() {
            200 | 206 | 304 | 416 => {}
            status => return Err(refused(location, status)),
        }
        Ok(Answer { head, body: Box::new(response.into_body().into_reader()) })
    }

    /// A text of a vendor's.
    ///
    /// # Errors
    /// It does not come, is long, or is no text.
    pub(super) fn text(&self, location: &Location) -> Result<String, Trouble> {
        let mut text = String::new();
        let answer = self.get(location, &[])?;
        let read = answer.body.take(LONGEST_TEXT + 1).read_to_string(&mut text);
        match read {
            Ok(length) if length as u64 > LONGEST_TEXT => Err(Trouble::Lasting(Failure::new(
                Kind::Failed,
                format!("{location} is too long for a list of checksums"),
            ))),
            Ok(_) => Ok(text),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                Err(Trouble::Lasting(Failure::new(Kind::Failed, format!("{location} is no text"))))
            }
            Err(error) => Err(broken(location, error)),
        }
    }

    /// Whether what `before` was said of is still there; `None` if nobody can tell.
    pub(super) fn is_unchanged(&self, location: &Location, before: &Validators) -> Result<Option<bool>, Trouble> {
        let condition = match before {
            Validators { etag: Some(etag), .. } => ("If-None-Match", etag),
            Validators { last_modified: Some(time), .. } => ("If-Modified-Since", time),
            Validators { etag: None, last_modified: None } => return Ok(None),
        };
        let head = self.get(location, &[(condition.0, condition.1)])?.head;
        Ok(Some(head.status == 304 || before.prove_the_same(&head.validators)))
    }

    /// Ends every transfer at once.
    pub(super) fn end(&self) {
        self.plain.clone().shutdown();
        self.secure.clone().shutdown();
    }
}

/// What a broken body means: the rest may come.
pub(super) fn broken(location: &Location, error: io::Error) -> Trouble {
    let reason = error.get_ref().and_then(|reason| reason.downcast_ref::<ureq::Error>());
    if error.kind() == io::ErrorKind::TimedOut || matches!(reason, Some(ureq::Error::Timeout(_))) {
        return Trouble::Passing(stalled(location));
    }
    let failure = anyhow::Error::from(error).context(format!("the connection broke while {location} came"));
    Trouble::Passing(Failure::new(Kind::Failed, format!("{failure:#}")).hinted(AGAIN))
}

/// What to do where the network failed.
pub(super) const AGAIN: &str = "the same command goes on where this one stopped, where the server allows it";

/// Vendors' redirectors take one or two.
const REDIRECTS: u32 = 5;

/// Debian's lists have a hundred kilobytes.
const LONGEST_TEXT: u64 = 4 << 20;

fn patience() -> Result<Duration> {
    const VARIABLE: &str = "PVMLAB_NETWORK_TIMEOUT";
    match std::env::var(VARIABLE) {
        Err(_) => Ok(Duration::from_secs(30)),
        Ok(text) => match text.parse() {
            Ok(seconds @ 1..=3600) => Ok(Duration::from_secs(seconds)),
            Ok(_) | Err(_) => Err(Failure::new(
                Kind::Usage,
                format!("{VARIABLE} says `{text}`: expected a number of seconds from 1 to 3600"),
            )),
        },
    }
}

/// The roots of trust of this system: the file that `SSL_CERT_FILE` names, or the first that is there.
fn roots() -> Result<Vec<Certificate<'static>>> {
    let named = std::env::var("SSL_CERT_FILE").ok().filter(|path| !path.is_empty());
    let pem = match &named {
        Some(path) => fs::read(path).with_context(|| format!("cannot read {path}, which SSL_CERT_FILE names"))?,
        None => ROOTS.iter().find_map(|path| fs::read(path).ok()).unwrap_or_default(),
    };
    // One that is unreadable does not spoil the others.
    let certificates = parse_pem(&pem).filter_map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        Ok(_) | Err(_) => None,
    });
    Ok(certificates.collect())
}

/// Debian and Ubuntu, Fedora and its kin, SUSE, Alpine and macOS, in this order.
const ROOTS: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

fn head(response: &http::Response<ureq::Body>) -> Head {
    let text = |name: http::HeaderName| response.headers().get(name)?.to_str().ok().map(str::to_owned);
    Head {
        status: response.status().as_u16(),
        length: text(http::header::CONTENT_LENGTH).and_then(|length| length.parse().ok()),
        content_range: text(http::header::CONTENT_RANGE),
        validators: Validators { etag: text(http::header::ETAG), last_modified: text(http::header::LAST_MODIFIED) },
    }
}

fn refused(location: &Location, status: u16) -> Trouble {
    let failure = |kind| Failure::new(kind, format!("{location}: the server answers {status}"));
    match status {
        404 | 410 => Trouble::Lasting(failure(Kind::NotFound).hinted(
            "the vendor may have moved it: see what there is beside it, and name it in distros.yaml or with `distro add`",
        )),
        401 | 403 | 407 => Trouble::Lasting(failure(Kind::Failed).hinted("the server or a proxy does not let everybody in")),
        408 | 429 | 500.. => Trouble::Passing(failure(Kind::Failed).hinted("try again later, or name a mirror: PVMLAB_MIRROR")),
        _ => Trouble::Lasting(failure(Kind::Failed)),
    }
}

fn trouble(location: &Location, error: &ureq::Error) -> Trouble {
    let failed = |message: String| Failure::new(Kind::Failed, message);
    match error {
        ureq::Error::Timeout(Timeout::PerRead | Timeout::RecvResponse | Timeout::RecvBody) => {
            Trouble::Passing(stalled(location))
        }
        ureq::Error::Timeout(_) => {
            let failure = Failure::new(Kind::TimedOut, format!("cannot reach {location} in time"));
            Trouble::Passing(failure.hinted(REACH))
        }
        ureq::Error::TooManyRedirects => {
            Trouble::Lasting(failed(format!("{location} leads from one place to another {REDIRECTS} times, and on")))
        }
        ureq::Error::RequireHttpsOnly(_) => {
            Trouble::Lasting(failed(format!("{location} leads to a place that is not guarded by TLS")))
        }
        ureq::Error::Rustls(reason) => untrusted(location, reason),
        // So comes what rustls finds wrong while hands are shaken.
        ureq::Error::Io(reason) if reason.kind() == io::ErrorKind::InvalidData => untrusted(location, reason),
        ureq::Error::BadUri(_) | ureq::Error::Http(_) | ureq::Error::InvalidProxyUrl => {
            Trouble::Lasting(failed(format!("{location}: {error}")))
        }
        ureq::Error::Io(reason) => Trouble::Passing(failed(format!("cannot reach {location}: {reason}")).hinted(REACH)),
        _ => Trouble::Passing(failed(format!("cannot reach {location}: {error}")).hinted(REACH)),
    }
}

fn untrusted(location: &Location, reason: &dyn std::error::Error) -> Trouble {
    let failure = Failure::new(Kind::Failed, format!("{location} is not trusted: {reason}"));
    Trouble::Lasting(failure.hinted("name your own roots of trust in SSL_CERT_FILE if a proxy looks into TLS"))
}

fn stalled(location: &Location) -> Failure {
    Failure::new(Kind::TimedOut, format!("nothing more comes from {location}"))
        .hinted(AGAIN)
        .hinted("PVMLAB_NETWORK_TIMEOUT says how many seconds are waited, 30 otherwise")
}

const REACH: &str = "see whether this host reaches it; a proxy is named by https_proxy, a mirror by PVMLAB_MIRROR";

/// A file of this computer, told from another version of it as a server would.
fn open(path: &str) -> Result<Answer> {
    let cannot = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => Failure::new(Kind::NotFound, format!("there is no {path}")),
        _ => anyhow::Error::from(error).context(format!("cannot read {path}")).into(),
    };
    let file = File::open(path).map_err(cannot)?;
    let metadata = file.metadata().map_err(cannot)?;
    if !metadata.is_file() {
        return Err(Failure::new(Kind::Usage, format!("{path} is not a file")));
    }
    let version = format!("\"{}-{}-{}-{}\"", metadata.len(), metadata.ino(), metadata.mtime(), metadata.mtime_nsec());
    let head = Head {
        status: 200,
        length: Some(metadata.len()),
        content_range: None,
        validators: Validators { etag: Some(version), last_modified: None },
    };
    Ok(Answer { head, body: Box::new(file) })
}
