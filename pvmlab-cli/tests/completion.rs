//! `pvmlab completion`, as shells use it.

mod bench;

use std::process::Command;

use bench::Lab;

#[test]
fn bash_completes_names_of_machines_and_images() {
    let lab = Lab::with_provisioner();
    lab.run(&["vm", "create", "web", "--arch", "aarch64", "--pxeboot"]);

    assert_eq!(complete(&lab, &["pvmlab", "vm", "clean", "w"]), ["web"]);
    assert_eq!(complete(&lab, &["pvmlab", "vm", "clean", ""]), ["provisioner", "web"]);
    assert_eq!(complete(&lab, &["pvmlab", "vm", "create", "x", "--distro", "deb"]), ["debian-12"]);
    assert_eq!(complete(&lab, &["pvmlab", "dist"]), ["distro"]);
}

#[test]
fn each_shell_has_its_script() {
    let lab = Lab::without_home();

    for shell in ["bash", "zsh", "fish"] {
        let output = lab.output(&["completion", shell]);
        let script = String::from_utf8(output.stdout).expect("text");
        assert!(output.status.success() && script.contains("PVMLAB_COMPLETE") && script.contains("pvmlab"), "{script}");
    }
    insta::assert_snapshot!("unknown", lab.run(&["completion", "tcsh"]));
}

/// What bash is offered where the last of these words is being written, without options.
fn complete(lab: &Lab, words: &[&str]) -> Vec<String> {
    let script = lab.output(&["completion", "bash"]).stdout;
    let file = lab.folder().join("completion.bash");
    std::fs::write(&file, script).expect("written");
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_pvmlab"));
    let path = format!("{}:{}", program.parent().expect("a folder").display(), std::env::var("PATH").expect("a path"));
    let shell = "source \"$1\"; shift; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); COMP_TYPE=9; \
                 _clap_complete_pvmlab pvmlab \"${@: -1}\"; printf '%s\\n' \"${COMPREPLY[@]}\"";
    let mut bash = Command::new("bash");
    bash.args(["--norc", "-c", shell, "bash"]).arg(file).args(words).env("PATH", path).env("PVMLAB_HOME", lab.home());
    let output = bash.output().expect("bash runs");
    let said = String::from_utf8(output.stdout).expect("text");
    said.lines().map(str::trim).filter(|word| !word.is_empty() && !word.starts_with('-')).map(str::to_owned).collect()
}
