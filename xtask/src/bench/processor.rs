//! How much of the processors a program takes: by a control group of its own where one can be made, else by what the kernel
//! tells of the process and of its children that have ended.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use nix::{
    time::ClockId,
    unistd::{SysconfVar, sysconf},
};

/// A process, what it has started, and what it starts from now on.
#[derive(Debug)]
pub(crate) struct Watched {
    process: u32,
    group: Option<Group>,
}

/// A control group (cgroups(7), version 2), removed when this is dropped.
#[derive(Debug)]
struct Group(PathBuf);

impl Watched {
    /// Watches a process.
    pub(crate) fn new(process: u32) -> Self {
        Self { process, group: Group::with(process) }
    }

    /// How much it took since it began.
    ///
    /// # Errors
    /// It has ended.
    pub(crate) fn time(&self) -> Result<Duration> {
        match &self.group {
            Some(group) => group.time(),
            None => family(self.process).into_iter().map(process_time).sum(),
        }
    }
}

impl Group {
    fn with(process: u32) -> Option<Self> {
        let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
        let folder =
            mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>()).find_map(|words| match words[..] {
                [_, folder, "cgroup2", ..] => Some(folder.to_owned()),
                _ => None,
            })?;
        let folder = Path::new(&folder).join(format!("pvmlab-bench-{process}"));
        fs::create_dir(&folder).ok()?;
        let group = Self(folder);
        for process in family(process) {
            fs::write(group.0.join("cgroup.procs"), process.to_string()).ok()?;
        }
        group.time().ok()?;
        Some(group)
    }

    fn time(&self) -> Result<Duration> {
        let file = self.0.join("cpu.stat");
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let microseconds = text.lines().find_map(|line| line.strip_prefix("usage_usec ")).context("no usage_usec")?;
        Ok(Duration::from_micros(microseconds.parse()?))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // A group with processes in it stays: those that still run go back to where the group was made.
        let outside = self.0.with_file_name("cgroup.procs");
        let processes = fs::read_to_string(self.0.join("cgroup.procs")).unwrap_or_default();
        for process in processes.lines() {
            let _ = fs::write(&outside, process);
        }
        let _ = fs::remove_dir(&self.0);
    }
}

/// How much the calling thread took since it began.
///
/// # Errors
/// The kernel does not say.
pub(crate) fn this_thread() -> Result<Duration> {
    Ok(ClockId::CLOCK_THREAD_CPUTIME_ID.now()?.into())
}

/// A process and all that descend from it (proc_pid_task(5), `children`).
pub(crate) fn family(process: u32) -> Vec<u32> {
    let mut family = vec![process];
    let mut next = 0;
    while let Some(parent) = family.get(next) {
        let threads = fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
        let children = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
        let children = children.collect::<String>();
        family.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        next += 1;
    }
    family
}

/// User and system time, its own and that of children it has waited for (proc_pid_stat(5), fields 14 to 17).
fn process_time(process: u32) -> Result<Duration> {
    let file = format!("/proc/{process}/stat");
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {file}"))?;
    // The program's name may hold anything; what follows its parenthesis is field 3.
    let (_, fields) = text.rsplit_once(") ").context("no stat line")?;
    let ticks = fields.split(' ').skip(11).take(4).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    let each = sysconf(SysconfVar::CLK_TCK)?.context("no clock ticks")?;
    Ok(Duration::from_secs_f64(ticks as f64 / each as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_takes_more_and_more_time() {
        let watched = Watched { process: std::process::id(), group: None };
        let before = watched.time().unwrap();

        while watched.time().unwrap() == before {}
    }
}
