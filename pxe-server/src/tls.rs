//! Who the server is by TLS: a certificate with its key, from files that are followed, and boot programs that believe it.
//!
//! What could not work is refused when the files are read, with the file and what was expected of it. That a certificate ends is no such
//! thing: it is told, and a server whose certificate has ended still gives addresses.
//!
//! Deliberately not here: making certificates, which openssl(1) does (`docs/tls.md`), and connections, which are in `http/door.rs`.

mod follow;
mod trust;

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use jiff::Timestamp;
use pxe_proto::boot::BootProgram;
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{CertificateError, Error, InconsistentKeys, RootCertStore, ServerConfig, SignatureAlgorithm};

pub(crate) use self::follow::{Identities, Watch};
use self::trust::trusting;
use crate::boot_files::BootFile;

/// Where the certificate and what belongs to it are, each in PEM.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    /// The server's certificate first, then those that lead to its root.
    pub(crate) certificate: PathBuf,
    /// The private key.
    pub(crate) key: PathBuf,
    /// The lab's own root, if it is certified by one.
    pub(crate) authority: Option<PathBuf>,
}

/// A certificate with its key, ready for connections.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    /// For connections that begin now.
    pub(crate) config: Arc<ServerConfig>,
    /// When the certificate ends, or one that leads to its root, whichever is first.
    pub(crate) ends: Timestamp,
    certificate: CertificateDer<'static>,
    /// The boot programs that trust the lab's own root.
    programs: BTreeMap<BootProgram, Bytes>,
}

/// What the files hold.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
    authority: Option<Vec<u8>>,
}

/// How long before its end a certificate is told of: time enough to make another between two visits of the lab.
const NOTICE: Duration = Duration::from_hours(14 * 24);

/// RFC 7301 §6: what is spoken inside.
const HTTP_1_1: &[u8] = b"http/1.1";

/// What a file serves to machines: the boot program that trusts our certificate, where there is one, or the file as it is.
pub(crate) fn served(watch: Option<&Watch>, file: BootFile) -> Option<Bytes> {
    let trusting = |watch: &Watch| match file {
        BootFile::Program(program) => watch.borrow().identity.programs.get(&program).cloned(),
        BootFile::Installer(_) => None,
    };
    watch.and_then(trusting).or_else(|| file.contents().map(Bytes::from_static))
}

impl Files {
    fn read(&self) -> anyhow::Result<Contents> {
        let read = |key: &str, path: &Path| fs::read(path).with_context(|| place(key, path));
        let mode = fs::metadata(&self.key).with_context(|| place("key", &self.key))?.mode();
        ensure!(
            mode & 0o007 == 0,
            "{}: everybody may read it: expected its owner and group alone (chmod o= {})",
            place("key", &self.key),
            self.key.display()
        );
        Ok(Contents {
            certificate: read("certificate", &self.certificate)?,
            key: read("key", &self.key)?,
            authority: self.authority.as_ref().map(|path| read("authority", path)).transpose()?,
        })
    }
}

impl Identity {
    /// Reads the files; machines come to `address`.
    ///
    /// # Errors
    /// One cannot be read, or no client could ever believe what they say.
    pub(crate) fn read(files: &Files, address: IpAddr) -> anyhow::Result<Self> {
        Self::new(files, &files.read()?, address)
    }

    fn new(files: &Files, contents: &Contents, address: IpAddr) -> anyhow::Result<Self> {
        let provider = ring::default_provider();
        let at = place("certificate", &files.certificate);
        let chain = certificates(&contents.certificate).context(at.clone())?;
        let authority = authority(files, contents)?;
        let key = key(files, &contents.key, &provider, authority.is_some())?;

        let parsed = ParsedCertificate::try_from(&chain[0]).context(at.clone())?;
        ensure!(is_for(&parsed, address), "{at}: {}", not_for(address));
        let all: Vec<_> = chain.iter().chain(&authority).cloned().collect();
        let Some((root, between)) = all[1..].split_last() else {
            bail!(
                "{at}: there is one certificate: expected those that lead to its root behind it, or `http.tls.authority`"
            )
        };
        let ends = all.iter().map(|one| end(one, &provider)).collect::<Result<Vec<_>, _>>().context(at.clone())?;
        let ends = ends.into_iter().min().expect("there is a root");
        verify(&parsed, between, root, ends, &provider)
            .with_context(|| format!("{at}: it does not lead to the last certificate"))?;

        let programs = authority.iter().flat_map(|authority| {
            let trusting = |program| Some((program, trusting(BootFile::Program(program).contents()?, authority)?));
            BootProgram::ALL.into_iter().filter_map(trusting)
        });
        let programs = programs.collect();
        // iPXE knows a root by its fingerprint alone, and has to be sent it.
        let certified = CertifiedKey::new(all, key);
        match certified.keys_match() {
            Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(_) => bail!("{}: it is another certificate's: expected that of {}", place("key", &files.key), at),
        }
        let config = ServerConfig::builder_with_provider(Arc::new(provider)).with_safe_default_protocol_versions();
        let resolver = Arc::new(SingleCertAndKey::from(certified));
        let mut config = config.context("TLS")?.with_no_client_auth().with_cert_resolver(resolver);
        config.alpn_protocols = vec![HTTP_1_1.to_vec()];
        let ends = Timestamp::from_second(ends.as_secs().try_into()?)?;
        Ok(Self { config: Arc::new(config), ends, certificate: chain[0].clone(), programs })
    }

    /// What is to be said where machines come to this address too, and the certificate is not for it.
    pub(crate) fn is_not_for(&self, address: IpAddr) -> Option<String> {
        let parsed = ParsedCertificate::try_from(&self.certificate).ok()?;
        (!is_for(&parsed, address)).then(|| format!("http.tls.certificate: {}", not_for(address)))
    }

    /// What is to be said of the certificate's end, where it is near or past.
    pub(crate) fn ends_soon(&self, now: SystemTime) -> Option<String> {
        let ends = SystemTime::from(self.ends);
        let verb = if ends <= now { "has ended" } else { "ends" };
        (ends <= now + NOTICE).then(|| format!("http.tls.certificate {verb} on {}: replace it", self.ends))
    }
}

fn is_for(certificate: &ParsedCertificate<'_>, address: IpAddr) -> bool {
    verify_server_name(certificate, &ServerName::IpAddress(address.into())).is_ok()
}

fn not_for(address: IpAddr) -> String {
    format!("it is not for {address}, where machines come to: expected it as subjectAltName=IP:{address}")
}

fn place(key: &str, path: &Path) -> String {
    format!("http.tls.{key}: {}", path.display())
}

fn certificates(pem: &[u8]) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().context("it is no PEM")?;
    ensure!(!found.is_empty(), "there is no certificate in it: expected PEM with -----BEGIN CERTIFICATE-----");
    Ok(found)
}

fn authority(files: &Files, contents: &Contents) -> anyhow::Result<Option<CertificateDer<'static>>> {
    let (Some(path), Some(pem)) = (&files.authority, &contents.authority) else { return Ok(None) };
    let found = certificates(pem).with_context(|| place("authority", path))?;
    let [root] = <[_; 1]>::try_from(found).map_err(|found| {
        anyhow::anyhow!("{}: there are {} certificates: expected the root alone", place("authority", path), found.len())
    })?;
    Ok(Some(root))
}

/// The key for signing; where iPXE is to believe it, of a kind that it knows.
fn key(
    files: &Files,
    pem: &[u8],
    provider: &CryptoProvider,
    for_ipxe: bool,
) -> anyhow::Result<Arc<dyn rustls::sign::SigningKey>> {
    let at = place("key", &files.key);
    let Ok(key) = PrivateKeyDer::from_pem_slice(pem) else {
        bail!(
            "{at}: there is no key in it that can be used: expected PEM with -----BEGIN PRIVATE KEY-----, not encrypted"
        )
    };
    let key = provider.key_provider.load_private_key(key).context(at.clone())?;
    ensure!(
        !for_ipxe || key.algorithm() == SignatureAlgorithm::RSA,
        "{at}: it is of the kind {:?}: expected RSA, the only one that iPXE knows",
        key.algorithm()
    );
    Ok(key)
}

/// When a certificate ends: a moment long after that is asked about, and the refusal names it.
fn end(certificate: &CertificateDer<'_>, provider: &CryptoProvider) -> Result<UnixTime, Error> {
    let late = UnixTime::since_unix_epoch(Duration::from_secs(u64::MAX >> 1));
    match verify(&ParsedCertificate::try_from(certificate)?, &[], certificate, late, provider) {
        Err(Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => Ok(not_after),
        Err(other) => Err(other),
        Ok(()) => Ok(late),
    }
}

/// Asks whether the certificate leads to the root by those between, at this time.
fn verify(
    certificate: &ParsedCertificate<'_>,
    between: &[CertificateDer<'_>],
    root: &CertificateDer<'_>,
    at: UnixTime,
    provider: &CryptoProvider,
) -> Result<(), Error> {
    let mut roots = RootCertStore::empty();
    roots.add(root.clone().into_owned())?;
    let algorithms = provider.signature_verification_algorithms.all;
    verify_server_cert_signed_by_trust_anchor(certificate, &roots, between, at, algorithms)
}
