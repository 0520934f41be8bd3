//! `cargo xtask test`: every test, those with real firmware included.

use std::{
    env,
    ffi::OsString,
    process::{Command, ExitStatus},
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use lab_model::Arch;
use lab_tests::{LOGS_VARIABLE, Unpacked};

use crate::{
    bench::unpacked,
    cache::Cache,
    image,
    packages::{self, Consent},
    privilege, supplies, tools, workspace,
};

/// Runs every test; builds, fetches and installs first what they need.
#[derive(clap::Args)]
#[command(after_help = "Example: cargo xtask test -- -p pxe-server an_address")]
pub(crate) struct Arguments {
    /// What nextest is told besides, such as a part of a test's name.
    #[arg(last = true)]
    nextest: Vec<OsString>,
}

/// Runs `cargo xtask test`.
pub(crate) fn run(arguments: &Arguments, consent: Consent) -> Result<()> {
    let started = Instant::now();
    let needed =
        [packages::NETWORK, packages::NAMES, packages::TRACING, packages::IMAGE, packages::VENDORS, packages::PEERS]
            .concat();
    packages::require(&needed, consent)?;
    privilege::check_namespaces()?;
    let supplies = supplies::gather_virtual(&Arch::ALL, &Arch::ALL, consent)?;
    let cache = Cache::of_user()?;
    image::require(&cache, image::Name::Debian12Generic, MOUNTING, consent)?;
    image::require(&cache, image::Name::Debian12BootPartition, Arch::Aarch64, consent)?;
    image::require(&cache, image::Name::Debian12Entries, Arch::X86_64, consent)?;
    for arch in Arch::ALL {
        image::require(&cache, image::Name::Debian13Netboot, arch, consent)?;
    }
    let tftp_peers = unpacked::tftp()?;
    let network_manager = unpacked::fetch("network-manager", &Unpacked::NETWORK_MANAGER)?;
    let prepared = started.elapsed();

    let mut documentation = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    documentation.args(["test", "--workspace", "--doc", "--quiet"]).current_dir(workspace());
    check("examples in the documentation", documentation.status().context("cannot run cargo")?)?;
    let mut nextest = Command::new(tools::NEXTEST.require(&cache)?);
    nextest.args(["nextest", "run", "--workspace"]).current_dir(workspace());
    nextest.args(&arguments.nextest).envs(supplies.environment());
    nextest.env(Unpacked::TFTP_VARIABLE, tftp_peers.folder());
    nextest.env(Unpacked::NETWORK_MANAGER_VARIABLE, network_manager.folder());
    nextest.env(LOGS_VARIABLE, workspace().join("target/lab-logs"));
    if !privilege::is_root() {
        // What needs a network namespace is root in a user namespace then.
        nextest.env(runner_variable(), privilege::AS_ROOT.join(" "));
    }
    check("tests", nextest.status().context("cannot run cargo-nextest")?)?;

    println!("All tests passed: {} s to prepare, {} s in all.", prepared.as_secs(), started.elapsed().as_secs());
    Ok(())
}

/// The architecture of the provisioner that mounts the host's folders: the one whose image is built soonest.
const MOUNTING: Arch = Arch::X86_64;

fn check(what: &str, status: ExitStatus) -> Result<()> {
    ensure!(status.success(), "{what} failed ({status})");
    Ok(())
}

/// How cargo is told to start programs of this machine's own kind by another.
fn runner_variable() -> String {
    format!("CARGO_TARGET_{}_UNKNOWN_LINUX_GNU_RUNNER", env::consts::ARCH.to_uppercase())
}
