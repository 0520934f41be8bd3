//! One attempt at installing the machine that this runs on: every phase, from drivers to reboot.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use lab_model::Phase;
use nix::sys::reboot::RebootMode;

use crate::command_line::CommandLine;
use crate::console::say;
use crate::controller::{self, Kind};
use crate::install::{Failure, Surroundings, install};
use crate::size::Size;
use crate::{Patience, Reports, backlog, config, disk, http, memory_disk, modules, network, reboot};

/// How the machine goes on.
enum Next {
    /// It leaves this kernel.
    Reboot(RebootMode),
    /// Its system is in memory, and this kernel's.
    Memory,
}

/// Installs the machine and starts its system; or leaves that to PID 1, where it returns success. It returns anything else only when
/// it failed: then the reason is on the console and at the server.
pub fn run() -> ExitCode {
    let patience = Patience::SERVER;
    let agent = http::agent(patience.silence);
    let reports = Reports::start(Patience::REPORTS);
    backlog::take(Path::new(BACKLOG)).into_iter().for_each(|report| reports.again(report));
    let around = Surroundings { agent: &agent, patience, reports: &reports };
    match attempt(&around) {
        Ok(Next::Reboot(mode)) => {
            reports.finish();
            reboot::go(mode);
            ExitCode::FAILURE
        }
        Ok(Next::Memory) => {
            reports.finish();
            ExitCode::SUCCESS
        }
        Err(Failure { phase, reason }) => {
            reports.failed(phase, &reason);
            backlog::keep(Path::new(BACKLOG), &reports.finish());
            ExitCode::FAILURE
        }
    }
}

fn attempt(around: &Surroundings<'_>) -> Result<Next, Failure> {
    let Surroundings { agent, patience, reports } = *around;

    let kinds = modules::load();
    reports.reached(Phase::Start, format_args!("drivers for {kinds} kinds of device looked for"));

    let text = fs::read_to_string("/proc/cmdline").map_err(Failure::of(Phase::Config))?;
    let command_line = CommandLine::parse(&text);
    let Some(url) = command_line.config else {
        return Err(Failure {
            phase: Phase::Config,
            reason: "expected `pvmlab.config=URL` on the kernel's command line; start this initrd by the server's boot script"
                .to_owned(),
        });
    };

    let link = network::bring_up(command_line.mac).map_err(Failure::of(Phase::Network))?;
    let server = http::server(&url).map_err(Failure::of(Phase::Config))?;
    let origin = network::configure(&link, server).map_err(Failure::of(Phase::Network))?;
    // Whatever fails from here on, and whatever failed before, the server hears of it.
    if let Some(events) = &command_line.events {
        reports.deliver_to(events);
    }
    reports.reached(Phase::Network, format_args!("{} has {origin}", link.name));

    let config = config::fetch(agent, &url, patience).map_err(Failure::of(Phase::Config))?;
    reports.deliver_to(&config.events_url);
    reports.reached(Phase::Config, format_args!("machine {}", config.machine));

    if command_line.memory {
        let disk = memory_disk::make(&config.disk_image).map_err(Failure::of(Phase::Disk))?;
        reports.reached(Phase::Disk, "in memory, no disk of the machine's is touched");
        install(&config, &disk, around)?;
        memory_disk::attach(&disk).map_err(Failure::of(Phase::Boot))?;
        reports.reached(Phase::Boot, "starting the system in memory");
        return Ok(Next::Memory);
    }

    let disks = disk::wait(config.disk.as_ref()).map_err(Failure::of(Phase::Disk))?;
    let undriven = controller::undriven(Path::new("/sys"));
    for controller in undriven.iter().filter(|controller| controller.kind != Kind::Network) {
        say(format_args!("{controller} has no driver: what is attached to it is not seen"));
    }
    let disk = disk::choose(&disks, &undriven, config.disk.as_ref(), config.disk_image.raw_size)
        .map_err(Failure::of(Phase::Disk))?;
    reports.reached(Phase::Disk, format_args!("{} ({})", disk.path().display(), Size(disk.size)));

    install(&config, &disk.path(), around)?;

    let mode = reboot::prepare(&config, agent, patience);
    reports.reached(Phase::Boot, reboot::describe(&mode));
    Ok(Next::Reboot(mode))
}

/// In the initrd's own memory: it lasts until the machine restarts.
const BACKLOG: &str = "/pvmlab-backlog";
