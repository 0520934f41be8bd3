//! A provisioner of ours: the image's cloud-init takes the server from the seed.
//!
//! The seed is made of what `pvmlab` makes it of, under the same names. `pvmlab` itself is left out, so that both sides are switched
//! on alike.

use std::{fs::File, io::Write as _, path::PathBuf};

use anyhow::{Context, Result};
use cloud_seed::{Iso, Provisioner, UserName};
use lab_tests::{Supplies, network};

use super::machine::{Machine, PROVISIONER, Start, UPLINK};

/// Its disk beside the image.
pub(super) struct Ours {
    seed: PathBuf,
}

impl Ours {
    /// Writes its disk.
    ///
    /// # Errors
    /// There is no server for the machine.
    pub(super) fn prepare(machine: &Machine, supplies: &Supplies) -> Result<Self> {
        let ours = Self { seed: machine.file("ours.iso") };
        let programs = supplies.command.parent().context("a program is in a folder")?;
        let server = programs.join(machine.arch().as_str()).join("pxe-server");
        let server = std::fs::read(&server).with_context(|| format!("cannot read {}", server.display()))?;
        let (name, user) = ("provisioner".parse()?, UserName::default());
        let told = Provisioner {
            name: &name,
            uplink_mac: UPLINK,
            mac: PROVISIONER,
            address: network(),
            ipv6: None,
            name_servers: &[],
            user: &user,
            ssh_keys: &[],
        };
        let (documents, config) = (told.seed("ours"), told.server_config());
        let mut files: Vec<(&str, &[u8])> =
            documents.files().into_iter().map(|(name, text)| (name, text.as_bytes())).collect();
        files.extend([("config.toml", config.as_bytes()), ("pxe-server", &server)]);
        files.extend(RELEASE);
        let iso = Iso::new(&files)?;
        let mut file = File::create(&ours.seed)?;
        iso.pieces().try_for_each(|piece| file.write_all(piece))?;
        Ok(ours)
    }

    /// Starts it once.
    ///
    /// # Errors
    /// It does not answer.
    pub(super) fn start(&self, machine: &Machine) -> Result<Start> {
        machine.start(&[&self.seed])
    }
}

/// What brings the program onto a provisioner.
const RELEASE: [(&str, &[u8]); 3] = [
    ("provision", include_bytes!("../../../../cloud-init/provisioner/provision")),
    ("pxe-server-deploy@.service", include_bytes!("../../../../systemd/pxe-server-deploy@.service")),
    ("pxe-server.service", include_bytes!("../../../../systemd/pxe-server.service")),
];
