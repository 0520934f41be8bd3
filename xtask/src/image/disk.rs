//! The disk: a partition table, a boot loader in the EFI system partition, and the root file system.
//!
//! Nothing is mounted and no loop device is needed: every tool here writes into the image file.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    path::Path,
    process::Command,
};

use anyhow::{Context, Result};

use super::{
    layout,
    recipe::{ImageRecipe, Shape},
    system, systemd_boot,
};
use crate::progress::Step;

/// Makes the raw disk of `recipe`, sparse, from the system in the folder `system`.
pub(super) fn build(recipe: &ImageRecipe, system: &Path, work: &Path, disk: &Path) -> Result<()> {
    let mut step = Step::start(format!("making a disk of {} MiB", recipe.layout.disk_mib));
    File::create(disk)
        .and_then(|file| file.set_len(recipe.layout.disk_size()))
        .with_context(|| format!("cannot create {}", disk.display()))?;
    step.run(&mut layout::partition(recipe, disk))?;
    write_overlay(recipe, &work.join("overlay"))?;
    step.run(&mut root_file_system(recipe, system, work, disk))?;
    write_esp(recipe, work, disk, &mut step)?;
    step.finish();
    Ok(())
}

/// The files that go over the packages' own.
fn write_overlay(recipe: &ImageRecipe, folder: &Path) -> Result<()> {
    for (path, template) in &recipe.overlay {
        let file = folder.join(path);
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&file, recipe.filled(template)).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

/// Files of many owners are unpacked: as root, or in a user namespace that has this user's subordinate identifiers.
fn root_file_system(recipe: &ImageRecipe, system: &Path, work: &Path, disk: &Path) -> Command {
    let mut command = if nix::unistd::geteuid().is_root() {
        Command::new("sh")
    } else {
        let mut unshare = Command::new("unshare");
        unshare.args(["--user", "--map-root-user", "--map-auto", "--", "sh"]);
        unshare
    };
    let root = recipe.layout.root();
    command.args(["-c", recipe.script]);
    command.env("SYSTEM", system.join(system::ARCHIVE)).env("OVERLAY", work.join("overlay")).env("WORK", work);
    command.env("DISK", disk);
    command.env("SHAPE", recipe.shape.name());
    command.env("GRUB_FILE", recipe.system.boot_loader.file);
    command.env("ROOT_UUID", recipe.identifier("root file system").to_string());
    if let Some(boot) = recipe.layout.boot() {
        command.env("BOOT_UUID", recipe.identifier("boot file system").to_string());
        command.env("BOOT_OFFSET", boot.offset.to_string()).env("BOOT_KIB", (boot.size / 1024).to_string());
    }
    command.env("ROOT_OFFSET", root.offset.to_string()).env("ROOT_KIB", (root.size / 1024).to_string());
    command
}

/// UEFI 2.10 §3.5.1.1: without a boot option, firmware starts `\EFI\BOOT\BOOT<arch>.EFI`.
fn write_esp(recipe: &ImageRecipe, work: &Path, disk: &Path, step: &mut Step) -> Result<()> {
    let esp = recipe.layout.esp();
    let loader = recipe.system.boot_loader.file;
    let mut files = vec![(work.join(loader), format!("EFI/BOOT/{loader}"))];
    for (number, (path, template)) in recipe.esp.iter().enumerate() {
        let file = work.join(format!("esp-{number}"));
        fs::write(&file, recipe.filled(template))?;
        files.push((file, (*path).to_owned()));
    }
    if recipe.shape == Shape::Entries {
        systemd_boot::unpack(recipe, &work.join(loader))?;
        files.extend(["vmlinuz", "initrd.img"].map(|name| (work.join(name), format!("debian/{name}"))));
    }
    let volume = format!("{}@@{}", disk.display(), esp.offset);
    let on_volume = |program: &str| {
        let mut command = Command::new(program);
        command.args(["-i", &volume]);
        command
    };

    let sectors = (esp.size / layout::SECTOR).to_string();
    let hidden = (esp.offset / layout::SECTOR).to_string();
    let serial = format!("{:08x}", recipe.identifier("esp").serial());
    step.run(on_volume("mformat").args(["-F", "-T", &sectors, "-H", &hidden, "-N", &serial, "-v", "ESP", "::"]))?;
    let folders: BTreeSet<_> = files.iter().flat_map(|(_, path)| Path::new(path).ancestors().skip(1)).collect();
    // In their order, which has every folder before those in it.
    for folder in folders.iter().filter(|folder| !folder.as_os_str().is_empty()) {
        step.run(on_volume("mmd").arg(format!("::/{}", folder.display())))?;
    }
    for (file, path) in &files {
        step.run(on_volume("mcopy").arg(file).arg(format!("::/{path}")))?;
    }
    Ok(())
}
