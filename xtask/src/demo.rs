//! `cargo xtask demo`: a whole lab, from nothing to the answer of a machine that began with a blank disk.
//!
//! It types what a person would type: every line that begins with `$` is a command of `pvmlab`, run without any privilege in a
//! home of its own, with its own output below. Whatever happens, nothing of the lab is left.

use std::{
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use lab_model::Arch;
use lab_tests::{VirtualLab, outside};
use signal_hook::{consts::SIGINT, flag};

use crate::{packages::Consent, supplies};

/// Shows a lab: a provisioner, and a blank machine that is installed by it and answers over SSH.
#[derive(clap::Args)]
#[command(after_help = "Example: cargo xtask demo --arch x86_64")]
pub(crate) struct Arguments {
    /// The processor of both machines.
    #[arg(long, default_value = "aarch64")]
    arch: Arch,
}

/// Runs `cargo xtask demo`.
pub(crate) fn run(arguments: &Arguments, consent: Consent) -> Result<()> {
    let arch = arguments.arch;
    let supplies = supplies::gather_virtual(&[arch], &[arch], consent)?;
    let demo = Demo { lab: VirtualLab::as_the_host_is(&supplies)?, started: Instant::now(), stop: Arc::default() };
    flag::register(SIGINT, demo.stop.clone()).context("cannot hold back Ctrl-C")?;
    let image = demo.lab.image(&supplies, &supplies::image(), arch)?;
    let image = image.to_str().context("an image is in a folder with a plain name")?;
    let page = outside::serve(PAGE)?;

    println!("A lab of two {arch} machines; the disk of one is blank.");
    demo.show("setup")?;
    demo.show(&format!("distro add {image}"))?;
    demo.show(&format!("provisioner create provisioner --ip 192.168.105.1/24 --arch {arch} {SMALL}"))?;
    demo.show("vm start provisioner --wait")?;
    demo.show(&format!("vm create {NAME} --pxeboot --arch {arch} --disk-size 4G {SMALL}"))?;
    demo.show(&format!("vm start {NAME} --wait"))?;
    demo.show(&format!("vm events {NAME}"))?;
    let host_name = demo.ask("hostname")?;
    ensure!(host_name == NAME, "it calls itself {host_name}: expected {NAME}");
    let answer = demo.ask(&format!("curl --silent --show-error --max-time 60 {page}"))?;
    ensure!(answer == PAGE, "a server outside of the lab answered {answer:?}: expected {PAGE:?}");
    demo.show("clean --purge")?;
    println!("\nAll of it in {} s, and nothing is left.", demo.started.elapsed().as_secs());
    Ok(())
}

/// The machine with the blank disk.
const NAME: &str = "demo";

/// What its request through the provisioner's NAT brings.
const PAGE: &str = "reached through NAT";

/// Both fit on any laptop.
const SMALL: &str = "--memory 1024";

/// A lab that is shown.
struct Demo {
    lab: VirtualLab,
    started: Instant,
    /// Set by Ctrl-C, which the command that runs gets from the terminal too.
    stop: Arc<AtomicBool>,
}

impl Demo {
    /// Runs a command in the sight of everybody.
    fn show(&self, words: &str) -> Result<()> {
        let status = self.command(words).status().context("cannot run pvmlab")?;
        self.check(words, status.success())
    }

    /// Has the machine run a command, and returns what it printed, less the end of the line.
    fn ask(&self, remote: &str) -> Result<String> {
        let words = format!("vm shell {NAME} {remote}");
        let output = self.command(&words).stderr(Stdio::inherit()).output().context("cannot run pvmlab")?;
        let text = String::from_utf8_lossy(&output.stdout);
        println!("{}", text.trim_end());
        self.check(&words, output.status.success())?;
        Ok(text.trim_end().to_owned())
    }

    fn command(&self, words: &str) -> Command {
        println!("\n[{:>4} s] $ pvmlab {words}", self.started.elapsed().as_secs());
        let mut command = self.lab.command(&words.split(' ').collect::<Vec<_>>());
        command.stdin(Stdio::null());
        command
    }

    fn check(&self, words: &str, success: bool) -> Result<()> {
        ensure!(!self.stop.load(Ordering::SeqCst), "interrupted");
        ensure!(success, "`pvmlab {words}` failed; the machines' consoles showed last:\n{}", self.lab.logs());
        Ok(())
    }
}
