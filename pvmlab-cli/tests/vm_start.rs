//! `pvmlab vm start`, `stop`, `reinstall` and `console`, as far as a machine is looked at from outside.

mod bench;

use bench::Lab;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

#[test]
fn a_machine_is_started_once_and_stopped_once() {
    let lab = lab_with_web();

    let said = [
        lab.run(&["vm", "start", "web"]),
        lab.run(&["vm", "start", "web"]),
        lab.run(&["vm", "clean", "provisioner"]),
        lab.run(&["vm", "stop", "web"]),
        lab.run(&["vm", "stop", "web"]),
    ];

    insta::assert_snapshot!("started_once", without_process(&said.join("\n")));
}

#[test]
fn a_machine_that_was_killed_from_outside_is_off() {
    let lab = lab_with_web();
    lab.run(&["vm", "start", "web"]);
    let process = process(&lab);
    kill(Pid::from_raw(process), Signal::SIGKILL).expect("it is this test's own");
    // Whoever inherited it may be slow to take notice of its end.
    let runs = || {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat"));
        stat.is_ok_and(|stat| !stat.contains(") Z "))
    };
    while runs() {
        std::thread::yield_now();
    }

    let said = [
        lab.run(&["vm", "list"]),
        lab.run(&["vm", "console", "web"]),
        lab.run(&["vm", "stop", "web"]),
        lab.run(&["vm", "start", "web"]),
    ];

    insta::assert_snapshot!("killed", said.join("\n"));
    lab.run(&["vm", "stop", "web"]);
}

#[test]
fn what_cannot_be_started_is_said_with_what_to_do() {
    let lab = lab_with_web();
    let mut said = vec![
        lab.run(&["vm", "start", "nobody"]),
        lab.run(&["vm", "start"]),
        lab.run(&["vm", "start", "web", "--boot", "floppy"]),
        lab.run(&["vm", "start", "web", "--wait", "--interactive"]),
        lab.run(&["vm", "reinstall", "nobody"]),
        lab.run(&["vm", "reinstall", "provisioner"]),
        lab.run(&["vm", "console", "web"]),
        lab.run(&["vm", "console", "nobody"]),
        lab.run(&["vm", "stop", "nobody"]),
    ];
    let disk = lab.home().join("vms/web.qcow2");
    let intact = std::fs::read(&disk).expect("its disk");
    std::fs::write(&disk, "no disk").expect("written");
    said.push(lab.run(&["vm", "start", "web"]));
    std::fs::remove_file(&disk).expect("removed");
    said.push(lab.run(&["vm", "start", "web"]));
    std::fs::write(&disk, intact).expect("written");
    let lab = lab.with_programs(&["qemu-img", "ssh", "ssh-keygen", "ps"]);
    said.push(lab.run(&["vm", "start", "web"]));

    insta::assert_snapshot!("refused", said.join("\n"));
}

/// A lab whose machine `web` has a blank disk.
fn lab_with_web() -> Lab {
    let lab = Lab::with_provisioner();
    let made = lab.output(&[
        "vm",
        "create",
        "web",
        "--arch",
        "aarch64",
        "--pxeboot",
        "--mac",
        "52:54:00:00:00:02",
        "--memory",
        "256",
    ]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    lab
}

fn process(lab: &Lab) -> i32 {
    let text = std::fs::read_to_string(lab.home().join("pids/web.pid")).expect("its PID file");
    let digits: String = text.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    digits.parse().expect("a number")
}

fn without_process(said: &str) -> String {
    let lines = said.lines().map(|line| match line.split_once("(process ") {
        Some((before, after)) => {
            format!("{before}(process N{}\n", after.trim_start_matches(|c: char| c.is_ascii_digit()))
        }
        None => format!("{line}\n"),
    });
    lines.collect()
}
