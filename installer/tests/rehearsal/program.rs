//! The program as people call it.

use std::process::{Command, Output};

#[test]
fn whoever_asks_for_help_gets_it() {
    for arguments in [&["--help"][..], &["-h"], &["rehearse", "--help"]] {
        let Output { status, stdout, stderr } = installer(arguments);

        assert!(status.success() && stderr.is_empty(), "{arguments:?}: {status}");
        assert!(String::from_utf8_lossy(&stdout).contains("usage: installer rehearse --config URL --disk FILE"));
    }
}

#[test]
fn arguments_without_sense_are_named_and_do_nothing() {
    for arguments in [&["attempt"][..], &["shell"], &["rehearse", "--disk", "disk.raw"]] {
        let Output { status, stdout, stderr } = installer(arguments);

        assert_eq!((status.code(), stdout.is_empty()), (Some(2), true));
        let expected = format!("installer: cannot make sense of `{}`", arguments.join(" "));
        assert!(String::from_utf8_lossy(&stderr).starts_with(&expected), "{stderr:?}");
    }
}

fn installer(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_installer")).args(arguments).output().expect("it is built with its tests")
}
