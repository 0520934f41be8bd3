//! The systemd unit.

use std::process::Command;

/// Of ten, as `systemd-analyze security` counts; it calls everything up to 2 fine.
const EXPOSURE_AT_MOST: &str = "--threshold=20";

#[test]
fn it_exposes_little() {
    let output = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--no-pager", EXPOSURE_AT_MOST, UNIT])
        .output()
        .expect("systemd-analyze: install the package systemd, version 250 or later");

    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn systemd_understands_every_line() {
    let folder = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(UNIT).unwrap();
    // The program is looked for too.
    let unit = folder.path().join("pxe-server.service");
    std::fs::write(&unit, text.replace("/usr/local/bin/pxe-server", env!("CARGO_BIN_EXE_pxe-server"))).unwrap();

    let output = Command::new("systemd-analyze")
        .args(["verify", "--man=no", "--recursive-errors=no"])
        .arg(&unit)
        .output()
        .expect("systemd-analyze: install the package systemd, version 250 or later");

    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}

const UNIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../systemd/pxe-server.service");
