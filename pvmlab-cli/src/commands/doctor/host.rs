//! What machines run on: programs, emulators, firmware, and what executes their instructions.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use lab_model::Arch;

use super::finding::{Finding, State};
use crate::disk;
use crate::error::{Kind, Result};
use crate::home::Home;
use crate::host::Host;
use crate::interrupt::Interrupt;
use crate::qemu::accelerator::Acceleration;
use crate::qemu::emulator::Emulator;
use crate::qemu::firmware::Firmware;

/// The programs of others that commands run, beside the emulators.
pub(super) fn programs() -> Vec<Finding> {
    let others = [
        ("qemu-img", disk::INSTALL),
        ("ssh", "install OpenSSH's client: package `openssh-client` on Debian and Ubuntu"),
        ("ssh-keygen", "install OpenSSH's client: package `openssh-client` on Debian and Ubuntu"),
        ("ps", "install package `procps`"),
    ];
    let others = others.map(|(name, fix)| match program(name) {
        Some(path) => Finding::ok(name, path.display().to_string()),
        None => Finding::missing(name, "not installed", fix),
    });
    others.into()
}

fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|path| fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0))
}

/// What machines of this architecture need. What is missing for the host's own is a fault, for the other one a pity.
///
/// # Errors
/// An interruption.
pub(super) fn machines(arch: Arch, host: &Host, home: &Home, interrupt: &Interrupt) -> Result<Vec<Finding>> {
    let state = if host.arch == arch { State::Missing } else { State::Warning };
    let name = format!("qemu-system-{arch}");
    let emulator = match Emulator::find(arch, host) {
        Ok(emulator) => emulator,
        Err(failure) => return Ok(vec![Finding::of(&name, state, &failure)]),
    };
    let mut findings =
        vec![Finding::ok(&name, format!("{}, version {}", emulator.program.display(), emulator.version))];
    let check = format!("firmware for {arch}");
    let firmware = match Firmware::find(arch, host) {
        Ok(firmware) => firmware,
        Err(failure) => {
            findings.push(Finding::of(&check, state, &failure));
            return Ok(findings);
        }
    };
    findings.push(Finding::ok(&check, firmware.code.file.display().to_string()));
    // What is found out is remembered in the home.
    if home.exists() {
        findings.push(accelerator(arch, host, &emulator, &firmware, home, interrupt)?);
    }
    Ok(findings)
}

fn accelerator(
    arch: Arch,
    host: &Host,
    emulator: &Emulator,
    firmware: &Firmware,
    home: &Home,
    interrupt: &Interrupt,
) -> Result<Finding> {
    let check = format!("accelerator for {arch}");
    match Acceleration::choose(arch, host, emulator, firmware, home, interrupt) {
        // Elsewhere emulation is what was asked for, or the only way.
        Ok(chosen) if chosen.is_emulation() && !chosen.is_asked && host.arch == arch => {
            let fix = "machines of the host's own architecture run ten times faster where the host has hardware \
                       virtualization: look in its firmware's settings, or in those of the host that it is a guest of";
            Ok(Finding::warning(&check, format!("{}: {}", chosen.argument, chosen.why), fix))
        }
        Ok(chosen) => Ok(Finding::ok(&check, format!("{}: {}", chosen.argument, chosen.why))),
        Err(failure) if failure.kind() == Kind::Interrupted => Err(failure),
        Err(failure) => Ok(Finding::of(&check, State::Missing, &failure)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Os;

    #[test]
    fn what_machines_lack_is_said_with_how_to_get_it() {
        let (_folder, home) = Home::in_a_temporary_folder();
        let here = Host::here().expect("a host");
        let without_firmware = Host { data_folders: Vec::new(), ..here.clone() };
        let mac = Host { os: Os::Macos, arch: Arch::Aarch64, program_folders: Vec::new(), ..without_firmware.clone() };
        let found = |arch, host| {
            let findings = machines(arch, host, &home, &Interrupt::hold()).expect("not interrupted");
            let last = findings.last().expect("a finding");
            (last.check.clone(), last.state, last.fix.clone().unwrap_or_default())
        };

        for arch in Arch::ALL {
            let (check, state, fix) = found(arch, &without_firmware);
            assert_eq!(check, format!("firmware for {arch}"));
            assert_eq!(state == State::Missing, arch == here.arch, "the other architecture can be done without");
            assert!(fix.contains("package"), "{fix}");
        }
        let (check, state, fix) = found(Arch::Aarch64, &mac);
        assert_eq!((check.as_str(), state), ("qemu-system-aarch64", State::Missing));
        assert!(fix.contains("brew install qemu"), "{fix}");
    }
}
