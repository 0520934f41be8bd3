//! `cargo xtask bench`: how fast, how small, and beside what.
//!
//! Each bench prints what it measured, writes it as JSON when asked to, and knows its targets: with `--check` a missed one
//! is a failure. Those that need a network of their own run, for an ordinary user, as root of a user namespace.

mod all;
mod boot;
mod burst;
mod dhcp;
mod footprint;
mod http;
mod image;
mod install;
mod leases;
mod original;
mod processor;
mod provisioner;
mod report;
mod services;
mod site;
mod storm;
mod table;
mod tftp;
pub(crate) mod unpacked;
mod volley;

use std::{fs, path::PathBuf};

use anyhow::{Context, Result, ensure};
use lab_model::Arch;
use lab_tests::Supplies;

use self::report::Outcome;
use crate::{
    packages::{self, Consent},
    privilege, supplies,
};

/// Measures pxe-server.
#[derive(clap::Args)]
#[command(after_help = "Example: cargo xtask bench footprint --runs 20 --check")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    bench: Bench,
    /// Writes the figures to this file as well.
    #[arg(long, global = true, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Fails when a target is missed.
    #[arg(long, global = true)]
    check: bool,
}

#[derive(clap::Subcommand)]
enum Bench {
    /// The services' benches one after the other: dhcp, tftp, http, storm, footprint and leases.
    ///
    /// They have one outcome: a table for each, one file of JSON, and every target.
    All {
        /// How often each is measured.
        #[arg(long, default_value = "3", value_parser = clap::value_parser!(u8).range(1..=50))]
        runs: u8,
    },
    /// From the boot program's download to the kernel's start, beside dnsmasq and nginx.
    ///
    /// Both have the same firmware, the same iPXE and the same emulator, and take turns.
    Boot {
        /// The machine's processor.
        #[arg(long, default_value = "aarch64")]
        arch: Arch,
        /// How often each boots.
        #[arg(long, default_value = "3", value_parser = clap::value_parser!(u8).range(1..=50))]
        runs: u8,
    },
    /// Addresses by DHCP, beside Kea, ISC dhcpd and dnsmasq.
    ///
    /// Thirty-two clients at once, with leases that are written or on disk, one after the other, and thirty thousand.
    Dhcp {
        /// How often each is measured.
        #[arg(long, default_value = "5", value_parser = clap::value_parser!(u8).range(1..=50))]
        runs: u8,
    },
    /// Processes, memory when idle, and time from start to the first answers, beside dnsmasq and nginx.
    #[command(alias = "server")]
    Footprint {
        /// How often each is started.
        #[arg(long, default_value = "10", value_parser = clap::value_parser!(u8).range(1..=200))]
        runs: u8,
    },
    /// Images and boot scripts by HTTP, beside nginx.
    ///
    /// Fifty connections: one file of 50 MiB for each, then scripts for one of ten and of ten thousand machines.
    Http {
        /// How often each is measured.
        #[arg(long, default_value = "5", value_parser = clap::value_parser!(u8).range(1..=50))]
        runs: u8,
    },
    /// From a vendor's image file to what a target is installed from, beside guestfish, tar and gzip.
    ///
    /// Both read the same file, and take turns.
    Image {
        /// What the image is for.
        #[arg(long, default_value = "x86_64")]
        arch: Arch,
        /// How often each prepares it.
        #[arg(long, default_value = "3", value_parser = clap::value_parser!(u8).range(1..=50))]
        runs: u8,
    },
    /// From a blank disk to a system that answers by SSH, beside mkfs, tar, gzip, GRUB and update-initramfs.
    ///
    /// Both have the same firmware, the same kernel and the same Debian, and take turns.
    Install {
        /// The machine's processor.
        #[arg(long, default_value = "x86_64")]
        arch: Arch,
        /// How often each installs it.
        #[arg(long, default_value = "1", value_parser = clap::value_parser!(u8).range(1..=50))]
        runs: u8,
    },
    /// A start with a hundred thousand leases, and their import from Kea.
    Leases {
        /// How often each is measured.
        #[arg(long, default_value = "5", value_parser = clap::value_parser!(u8).range(1..=50))]
        runs: u8,
    },
    /// From a provisioner's start to its service answering, beside the first pvmlab's services installed from packages.
    ///
    /// Both begin as the same image, on the same hardware, and take turns.
    Provisioner {
        /// The provisioner's processor.
        #[arg(long, default_value = "aarch64")]
        arch: Arch,
        /// How often each starts.
        #[arg(long, default_value = "3", value_parser = clap::value_parser!(u8).range(1..=50))]
        runs: u8,
    },
    /// A hundred machines at once, beside Kea, atftpd and nginx, and beside dnsmasq and nginx.
    ///
    /// Each gets an address, a boot program, a boot script and 60 MiB of image.
    Storm {
        /// How often each stack boots them.
        #[arg(long, default_value = "5", value_parser = clap::value_parser!(u8).range(1..=50))]
        runs: u8,
    },
    /// Files by TFTP, beside atftpd, tftpd-hpa and dnsmasq.
    ///
    /// One client behind a way of 5 ms, and a hundred next door, with windows and without; all servers take turns.
    Tftp {
        /// How often each is measured.
        #[arg(long, default_value = "5", value_parser = clap::value_parser!(u8).range(1..=50))]
        runs: u8,
    },
}

/// Runs `cargo xtask bench`.
pub(crate) fn run(arguments: &Arguments, consent: Consent) -> Result<()> {
    // Whoever runs this again hands over what was gathered with the user's own rights.
    let supplies = Supplies::from_environment().or_else(|_| arguments.bench.gather(consent))?;
    if arguments.bench.makes_a_network() && !privilege::is_root() {
        let status = privilege::again()?.envs(supplies.environment()).status().context("cannot run unshare")?;
        ensure!(status.success(), "the bench failed ({status})");
        return Ok(());
    }
    let report: Box<dyn Outcome> = match arguments.bench {
        Bench::All { runs } => Box::new(all::measure(runs, &supplies)?),
        Bench::Boot { arch, runs } => Box::new(boot::measure(arch, runs, &supplies)?),
        Bench::Dhcp { runs } => Box::new(dhcp::measure(runs, &supplies)?),
        Bench::Footprint { runs } => Box::new(footprint::measure(runs, &supplies)?),
        Bench::Http { runs } => Box::new(http::measure(runs, &supplies)?),
        Bench::Image { arch, runs } => Box::new(image::measure(arch, runs, &supplies)?),
        Bench::Install { arch, runs } => Box::new(install::measure(arch, runs, &supplies)?),
        Bench::Leases { runs } => Box::new(leases::measure(runs, &supplies)?),
        Bench::Provisioner { arch, runs } => Box::new(provisioner::measure(arch, runs, &supplies)?),
        Bench::Storm { runs } => Box::new(storm::measure(runs, &supplies)?),
        Bench::Tftp { runs } => Box::new(tftp::measure(runs, &supplies)?),
    };
    println!("{report}");
    if let Some(file) = &arguments.json {
        fs::write(file, report.json()? + "\n").with_context(|| format!("cannot write {}", file.display()))?;
    }
    let missed = report.missed();
    ensure!(!arguments.check || missed.is_empty(), "missed: {}", missed.join(", "));
    Ok(())
}

impl Bench {
    fn gather(&self, consent: Consent) -> Result<Supplies> {
        match self {
            Self::Boot { arch, .. } => {
                packages::require(packages::PEERS, consent)?;
                supplies::gather(&[*arch], consent)
            }
            Self::Dhcp { .. } => {
                packages::require(packages::PEERS, consent)?;
                dhcp::Peers::fetch()?;
                supplies::gather(&[], consent)
            }
            Self::Footprint { .. } | Self::Http { .. } => {
                packages::require(packages::PEERS, consent)?;
                supplies::gather(&[], consent)
            }
            Self::Image { arch, .. } => {
                packages::require(packages::IMAGE, consent)?;
                let needed = [packages::ROOTLESS_IMAGE, packages::QEMU, packages::DIST].concat();
                packages::require(&needed, consent)?;
                supplies::gather_images(&[*arch], consent)
            }
            Self::Install { arch, .. } => {
                packages::require(&[packages::IMAGE, packages::PEERS, packages::CPIO].concat(), consent)?;
                supplies::gather(&[*arch], consent)
            }
            Self::Leases { .. } => supplies::gather(&[], consent),
            Self::Provisioner { arch, .. } => {
                packages::require(packages::IMAGE, consent)?;
                supplies::gather_provisioners(&[*arch], &[*arch], consent)
            }
            Self::All { .. } | Self::Storm { .. } => {
                packages::require(packages::PEERS, consent)?;
                dhcp::Peers::fetch()?;
                unpacked::tftp()?;
                supplies::gather(&[], consent)
            }
            Self::Tftp { .. } => {
                packages::require(packages::PEERS, consent)?;
                unpacked::tftp()?;
                supplies::gather(&[], consent)
            }
        }
    }

    /// Machines of a lab of virtual machines need no privilege, as their emulators have the network.
    fn makes_a_network(&self) -> bool {
        match self {
            Self::All { .. }
            | Self::Boot { .. }
            | Self::Dhcp { .. }
            | Self::Footprint { .. }
            | Self::Http { .. }
            | Self::Install { .. }
            | Self::Leases { .. }
            | Self::Storm { .. }
            | Self::Tftp { .. } => true,
            Self::Image { .. } | Self::Provisioner { .. } => false,
        }
    }
}
