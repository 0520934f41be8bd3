//! `GET /config/<mac>`: what the installer is to do.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State as Extract};
use lab_model::{
    AfterInstall, DiskImage, FileName, ImageFile, ImageManifest, InstallerConfig, Kexec, MacAddr, Machine, RemoteDisk,
    RemoteFile,
};
use pxe_proto::boot;

use super::State;
use super::client::Client;
use super::refusal::Refusal;
use super::seed;

pub(super) async fn config(
    Extract(state): Extract<Arc<State>>,
    client: Client,
    path: Result<Path<MacAddr>, PathRejection>,
) -> Result<Json<InstallerConfig>, Refusal> {
    let Path(mac) = path?;
    let Some(machine) = state.inventory.borrow().by_mac(mac).cloned() else {
        return Err(Refusal::not_found(format!("nobody has defined the machine {mac}")));
    };
    client.admit(&machine, &state)?;
    let Some(name) = &machine.image else {
        return Err(Refusal::not_found(format!("{} has no image: there is nothing to install on it", machine.name)));
    };
    let Some(image) = state.images.borrow().image(name, machine.arch).cloned() else {
        return Err(Refusal::not_found(format!("the image {name} for {} is not on the server", machine.arch)));
    };
    let Some(disk) = &image.manifest.disk else {
        let refusal = boot::Refusal::NoDisk { machine: machine.name.clone(), image: name.clone() };
        return Err(Refusal::not_found(refusal.to_string()));
    };
    Ok(Json(write(&machine, &image.manifest, disk, &state)))
}

fn write(machine: &Machine, manifest: &ImageManifest, disk: &DiskImage, state: &State) -> InstallerConfig {
    let ImageManifest { name, arch, kernel, initrd, installed_arguments, .. } = manifest;
    let base = state.plain();
    let url = |file: &FileName| base.image(name, *arch, file, machine.mac);
    let remote = |file: &ImageFile| RemoteFile { url: url(&file.file), size: file.size, sha256: file.sha256 };
    let kexec = installed_arguments.as_ref().filter(|_| machine.after_install == AfterInstall::Kexec);
    InstallerConfig {
        machine: machine.name.clone(),
        mac: machine.mac,
        disk_image: RemoteDisk {
            url: url(&disk.file),
            size: disk.size,
            compression: disk.compression,
            raw_size: disk.raw_size,
            chunk_size: disk.chunk_size,
            chunks: disk.chunks.clone(),
        },
        seed: seed::remote(machine, state),
        disk: machine.disk.clone(),
        wipe: machine.wipe,
        after_install: machine.after_install,
        kexec: kexec.map(|arguments| Kexec {
            kernel: remote(kernel),
            initrd: remote(initrd),
            arguments: arguments.clone(),
        }),
        events_url: base.events(machine.mac),
    }
}
