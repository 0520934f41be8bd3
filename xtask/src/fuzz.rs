//! `cargo xtask fuzz`: what others send, thrown at every reader and engine.
//!
//! The targets are in `crates/pxe-proto/fuzz`. Each goes on from what earlier runs here found new ways with, and ends by itself. Without
//! a sanitizer, so that the pinned toolchain does: there is no unsafe code of ours, and what is looked for are panics, endless
//! loops and memory without bound.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};

use crate::{cache::Cache, progress::Step, tools, workspace};

/// Looks for input that breaks a reader or an engine.
#[derive(clap::Args)]
#[command(after_help = "Example: cargo xtask fuzz --seconds 600 dhcp")]
pub(crate) struct Arguments {
    /// How long each target runs.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Runs this target alone.
    target: Option<String>,
}

/// What became of one target.
struct Outcome {
    target: String,
    /// What the fuzzer said.
    said: String,
    succeeded: bool,
}

/// Runs `cargo xtask fuzz`.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let fuzz = tools::FUZZ.require(&Cache::of_user()?)?;
    let folder = workspace().join(FOLDER);
    let known = targets(&folder)?;
    let targets = match &arguments.target {
        Some(target) if known.contains(target) => vec![target.clone()],
        Some(target) => bail!("there is no target {target}: expected one of {}", known.join(", ")),
        None => known,
    };
    let mut step = Step::start("building the fuzz targets");
    let mut build = Command::new(fuzz);
    build.args(["fuzz", "build", "--sanitizer", "none", "--debug-assertions", "--fuzz-dir"]).arg(&folder);
    step.run(build.current_dir(workspace()))?;
    step.finish();

    let outcomes: Vec<_> =
        targets.into_iter().map(|target| fuzz_one(&folder, target, arguments.seconds)).collect::<Result<_>>()?;
    println!("{:<14} {:>12} {:>9} {:>8}  finding", "target", "executions", "coverage", "MiB");
    for outcome in &outcomes {
        let number = |name| outcome.number(name).unwrap_or_else(|| "?".to_owned());
        let (executions, memory) = (number("stat::number_of_executed_units:"), number("stat::peak_rss_mb:"));
        let finding = if outcome.succeeded { "none".to_owned() } else { outcome.finding() };
        println!("{:<14} {executions:>12} {:>9} {memory:>8}  {finding}", outcome.target, outcome.coverage());
    }
    let broken: Vec<_> = outcomes.iter().filter(|outcome| !outcome.succeeded).collect();
    for outcome in &broken {
        eprintln!("\n{}:\n{}", outcome.target, outcome.end());
    }
    ensure!(broken.is_empty(), "something breaks: put the input into corpus/ when it is mended");
    Ok(())
}

/// The targets' names.
fn targets(folder: &Path) -> Result<Vec<String>> {
    let mut targets = Vec::new();
    for entry in fs::read_dir(folder.join("fuzz_targets")).context("cannot list the fuzz targets")? {
        let name = entry?.file_name();
        targets.extend(name.to_str().and_then(|name| name.strip_suffix(".rs")).map(str::to_owned));
    }
    targets.sort();
    Ok(targets)
}

fn fuzz_one(folder: &Path, target: String, seconds: u32) -> Result<Outcome> {
    let triple = format!("{}-unknown-linux-gnu", env::consts::ARCH);
    let program = folder.join("target").join(triple).join("release").join(&target);
    let found = found(&target)?;
    let artifacts = folder.join("artifacts").join(&target);
    fs::create_dir_all(&artifacts)?;
    let step = Step::start(format!("fuzzing {target} for {seconds} s"));
    let mut command = Command::new(program);
    command.args([&found, &folder.join("corpus").join(&target)]);
    command.arg(format!("-artifact_prefix={}/", artifacts.display()));
    command.arg(format!("-max_total_time={seconds}"));
    // More than any datagram and any file that people write; a second is for ever; a program of ours has less memory.
    command.args(["-max_len=65536", "-timeout=10", "-rss_limit_mb=512", "-print_final_stats=1"]);
    let output = command.current_dir(workspace()).output().with_context(|| format!("cannot run {target}"))?;
    step.finish();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok(Outcome { target, said, succeeded: output.status.success() })
}

/// Where this clone keeps what a target found new ways with.
fn found(target: &str) -> Result<PathBuf> {
    let found = workspace().join("target/fuzz").join(target);
    fs::create_dir_all(&found)?;
    Ok(found)
}

impl Outcome {
    /// What stands last behind `name`.
    fn number(&self, name: &str) -> Option<String> {
        let line = self.said.lines().rev().find_map(|line| line.strip_prefix(name))?;
        Some(line.trim().to_owned())
    }

    /// How many places in the code were reached.
    fn coverage(&self) -> &str {
        let words = self.said.lines().rev().find_map(|line| line.split_once("cov: "));
        words.and_then(|(_, rest)| rest.split(' ').next()).unwrap_or("?")
    }

    /// The file with the input that broke it.
    fn finding(&self) -> String {
        let line = self.said.lines().rev().find_map(|line| line.split_once("Test unit written to "));
        line.map_or("it ended early", |(_, file)| file).to_owned()
    }

    /// The last that the fuzzer said.
    fn end(&self) -> String {
        let lines: Vec<_> = self.said.lines().filter(|line| !line.starts_with('#')).collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

/// Where the targets are.
const FOLDER: &str = "crates/pxe-proto/fuzz";
