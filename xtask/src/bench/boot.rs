//! `cargo xtask bench boot`: from the boot program's download to the kernel's start.
//!
//! Both sides have the same firmware, iPXE, kernel, initial RAM file system and kernel arguments: the script that our
//! server writes, and every file that it names, are what nginx serves. The beginning is the request that really downloads
//! iPXE, seen on the wire (EDK2 makes one before it that only asks for the size); the end is the kernel's first line on the
//! serial console.

use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use lab_model::{Arch, MacAddr};
use lab_tests::{Guest, Hardware, Lab, Link, Service, Supplies, Wire};

use super::{
    original::{Content, Original},
    report::{Column, Report, Target},
};
use crate::{progress::Step, supplies};

/// Boots a machine of `arch` from each side, `runs` times in turn.
///
/// # Errors
/// This process may not make a network, or a boot does not reach the kernel.
pub(crate) fn measure(arch: Arch, runs: u8, supplies: &Supplies) -> Result<Report> {
    let content = content(arch, supplies)?;

    let (mut original, mut ours) = (Vec::new(), Vec::new());
    for run in 1..=runs {
        let mut step = Step::start(format!("boot {run} of {runs}"));
        step.note("dnsmasq and nginx");
        original.push(boot_from_original(arch, &content)?);
        step.note("pxe-server");
        ours.push(boot_from_ours(arch, supplies)?);
        step.finish();
    }

    let (original, ours) = (Column::new("dnsmasq+nginx", "s", original), Column::new("pxe-server", "s", ours));
    let ratio = ours.median / original.median;
    Ok(Report {
        title: format!("From the boot program's download to the kernel's start, {arch} under emulation"),
        columns: vec![original, ours],
        targets: vec![Target::new("pxe-server / dnsmasq+nginx", ratio, AT_MOST)],
    })
}

/// Without the wait for ProxyDHCP, the second DHCP exchange and the wait for a router advertisement.
const AT_MOST: f64 = 0.35;

const MAC: MacAddr = MacAddr::new([0x52, 0x54, 0, 0x77, 0, 0x60]);

/// Several times what a busy machine needs under emulation.
const LIMIT: Duration = Duration::from_secs(300);

fn boot_from_original(arch: Arch, content: &Content) -> Result<f64> {
    let original = Original::start(content, boot_program(arch))?;
    boot(arch, Link::Tap(original.namespace().tap()?))
}

fn boot_from_ours(arch: Arch, supplies: &Supplies) -> Result<f64> {
    let lab = our_lab(arch, supplies)?;
    boot(arch, lab.link(MAC)?)
}

fn boot(arch: Arch, link: Link) -> Result<f64> {
    let wire = Wire::listen()?;
    let hardware = Hardware::new(arch, MAC, link)?.with_blank_disk(4)?;
    let guest = Guest::power_on(&hardware)?;
    let kernel = guest.console().wait_for(kernels_first_line(arch), LIMIT)?;
    let requests = wire.requests();
    let program = requests.iter().rev().find(|request| request.file == boot_program(arch));
    seconds(program.context("nobody asked for the boot program")?.at, kernel)
}

/// The script that our server writes for this machine, and what it names.
fn content(arch: Arch, supplies: &Supplies) -> Result<Content> {
    let lab = our_lab(arch, supplies)?;
    let program = boot_program(arch);
    let contents = lab.fetch(&format!("/boot/{program}"))?;
    let script = lab.fetch(&format!("/ipxe?mac={MAC}&arch={}", build_arch(arch)))?;
    Content::new((program, &contents), &script, |path| lab.fetch(path))
}

fn our_lab(arch: Arch, supplies: &Supplies) -> Result<Lab> {
    let lab = Lab::start(Service::Network, supplies)?;
    lab.define(&lab.target("bench".parse()?, arch, MAC, supplies::image()))?;
    Ok(lab)
}

fn boot_program(arch: Arch) -> &'static str {
    match arch {
        Arch::Aarch64 => "ipxe-arm64.efi",
        Arch::X86_64 => "ipxe-x86_64.efi",
    }
}

/// What iPXE calls the processor that it was built for.
fn build_arch(arch: Arch) -> &'static str {
    match arch {
        Arch::Aarch64 => "arm64",
        Arch::X86_64 => "x86_64",
    }
}

/// Arm's EFI stub speaks before the kernel is unpacked; x86's says nothing, so there it is the first line of the kernel's log.
fn kernels_first_line(arch: Arch) -> &'static str {
    match arch {
        Arch::Aarch64 => "EFI stub: Booting Linux Kernel",
        Arch::X86_64 => "Linux version",
    }
}

fn seconds(start: SystemTime, end: SystemTime) -> Result<f64> {
    Ok(end.duration_since(start).context("the kernel started before its boot program was fetched")?.as_secs_f64())
}
