//! `pxe-server`: see the library's documentation for the map.

use std::process::ExitCode;

fn main() -> ExitCode {
    pxe_server::run()
}
