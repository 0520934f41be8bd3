//! The installer's entry points.

use std::path::Path;
use std::process::ExitCode;

use installer::Patience;
use installer::rehearse::rehearse;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["rehearse", "--config", url, "--disk", disk] => match rehearse(url, Path::new(disk), Patience::SERVER) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

const USAGE: &str = "\
The installer is PID 1 of a network-booted machine. As an ordinary process it only rehearses:
usage: installer rehearse --config URL --disk FILE";
