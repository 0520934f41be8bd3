//! What a machine's owner tells it: files, read and checked before there is a machine.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use cloud_seed::{Finding, Purpose, UserName};
use lab_model::{CloudInit, Document};

use crate::error::{Failure, Kind, Result};
use crate::ui::Ui;

/// The files, as a command line or a lab file names them.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub(crate) struct Files {
    /// What cloud-init is told as user-data, of any kind that it knows; it goes before what the lab tells it.
    #[arg(long, value_name = "FILE")]
    pub(crate) user_data: Option<PathBuf>,
    /// What cloud-init is told as vendor-data, which user-data goes before.
    #[arg(long, value_name = "FILE")]
    pub(crate) vendor_data: Option<PathBuf>,
    /// How the machine reaches its networks, cloud-init's version 1 or 2; DHCP on the lab's network otherwise.
    #[arg(long, value_name = "FILE")]
    pub(crate) network_config: Option<PathBuf>,
    /// Public keys that may log in beside the lab's own; can be given several times.
    #[arg(long = "ssh-key", value_name = "FILE")]
    pub(crate) ssh_keys: Vec<PathBuf>,
}

/// What is in them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) cloud_init: CloudInit,
    /// One `authorized_keys` line each.
    pub(crate) ssh_keys: Vec<String>,
}

impl Files {
    /// Reads them; paths are relative to `folder`. What is doubtful about them is said.
    ///
    /// # Errors
    /// One of them cannot be read, or is not what it should be; the message names it and the line.
    pub(crate) fn read(&self, folder: &Path, ui: Ui) -> Result<Told> {
        let document = |purpose, path: &Option<PathBuf>| {
            path.as_ref().map(|path| document(purpose, &folder.join(path), ui)).transpose()
        };
        let cloud_init = CloudInit {
            user_data: document(Purpose::UserData, &self.user_data)?,
            vendor_data: document(Purpose::VendorData, &self.vendor_data)?,
            network_config: document(Purpose::NetworkConfig, &self.network_config)?,
        };
        let mut ssh_keys = Vec::new();
        for path in &self.ssh_keys {
            ssh_keys.extend(keys(&folder.join(path))?);
        }
        Ok(Told { cloud_init, ssh_keys })
    }
}

fn document(purpose: Purpose, path: &Path, ui: Ui) -> Result<Document> {
    let document = Document::from(text(path)?);
    let at = |Finding { line, text }: &Finding| match line {
        Some(line) => format!("{} line {line}: {text}", path.display()),
        None => format!("{}: {text}", path.display()),
    };
    let warnings = cloud_seed::check(purpose, &document, &UserName::default()).map_err(|finding| {
        Failure::new(Kind::Usage, at(&finding))
            .hinted(format!("docs/cloud-init.md says what {purpose} can be, docs/examples/cloud-init has examples"))
    })?;
    for warning in &warnings {
        ui.say(format_args!("warning: {}", at(warning)));
    }
    Ok(document)
}

fn keys(path: &Path) -> Result<Vec<String>> {
    let text = text(path)?;
    let shown = path.display();
    if text.contains("PRIVATE KEY-----") {
        return Err(Failure::new(Kind::Usage, format!("{shown} is a private key: it stays with its owner"))
            .hinted(format!("give the public one, usually {shown}.pub")));
    }
    match lab_model::ssh_keys(&text) {
        Ok(keys) if keys.is_empty() => Err(Failure::new(Kind::Usage, format!("{shown}: there is no key in it"))),
        Ok(keys) => Ok(keys),
        Err(line) => Err(Failure::new(
            Kind::Usage,
            format!("{shown} line {line}: no public key: expected a form such as `ssh-ed25519 AAAA… comment`"),
        )),
    }
}

/// Reads a file of text, as far as a document may be long and little further.
fn text(path: &Path) -> Result<String> {
    let shown = path.display();
    let mut bytes = Vec::new();
    let limit = Document::MAX_BYTES as u64 + 1;
    File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes)).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Failure::new(Kind::NotFound, format!("there is no {shown}")),
        _ => Failure::new(Kind::Failed, format!("cannot read {shown}: {error}")),
    })?;
    if bytes.starts_with(&GZIP) {
        return Err(Failure::new(Kind::Usage, format!("{shown} is compressed: expected plain text"))
            .hinted(format!("unpack it first: `gunzip -c {shown}`")));
    }
    if bytes.len() > Document::MAX_BYTES {
        let message = format!("{shown} is too long: expected at most {} KiB", Document::MAX_BYTES >> 10);
        return Err(Failure::new(Kind::Usage, message).hinted("let user-data fetch what is large by `#include`"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let line =
            error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
        Failure::new(Kind::Usage, format!("{shown} line {line}: expected text in UTF-8"))
    })
}

/// RFC 1952 §2.3.1: how a gzip file begins.
const GZIP: [u8; 2] = [0x1f, 0x8b];
