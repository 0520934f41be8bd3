//! The host command of a lab.

use std::process::ExitCode;

fn main() -> ExitCode {
    pvmlab_cli::run()
}
