//! The installer's entry points.

use std::path::Path;
use std::process::ExitCode;

use installer::{Patience, attempt, init, rehearse, shell};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        // The kernel gives its init whatever words it did not understand itself.
        _ if std::process::id() == 1 => init::run(),
        ["rehearse", "--config", url, "--disk", disk] => {
            match rehearse::rehearse(url, Path::new(disk), Patience::SERVER) {
                Ok(()) => ExitCode::SUCCESS,
                Err(_) => ExitCode::FAILURE,
            }
        }
        [init::ATTEMPT] if is_child_of_init() => attempt::run(),
        [init::SHELL] if is_child_of_init() => {
            let Err(error) = shell::run();
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
        ["--help" | "-h" | "help"] | ["rehearse", "--help" | "-h"] => {
            println!("{USAGE}");
            ExitCode::SUCCESS
        }
        [] => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
        _ => {
            eprintln!("installer: cannot make sense of `{}`\n\n{USAGE}", arguments.join(" "));
            ExitCode::from(2)
        }
    }
}

/// Whether this runs in an initrd whose PID 1 is the same program: on any other machine, nothing here touches a disk.
fn is_child_of_init() -> bool {
    let (own, init) = (std::fs::read_link("/proc/self/exe"), std::fs::read_link("/proc/1/exe"));
    std::os::unix::process::parent_id() == 1 && own.is_ok_and(|own| init.is_ok_and(|init| own == init))
}

const USAGE: &str = "\
The installer is PID 1 of a network-booted machine; pxe-server hands it out. As an ordinary process it only rehearses an
installation, with a plain file in the disk's place, which has to be there and as long as the disk is to be.

usage: installer rehearse --config URL --disk FILE

example:
  truncate -s 10G disk.raw
  installer rehearse --config http://10.77.0.1/config/52:54:00:12:34:56 --disk disk.raw";
