//! `pvmlab provisioner start`, `stop`, `status`, `logs` and `deploy`, where it does not run.

mod bench;

use bench::Lab;

#[test]
fn a_provisioner_that_is_not_there_or_off_is_said() {
    let without = Lab::new();
    let lab = Lab::with_provisioner();

    let said = [
        without.run(&["provisioner", "start"]),
        without.run(&["provisioner", "stop"]),
        without.run(&["provisioner", "status"]),
        without.run(&["provisioner", "deploy"]),
        lab.run(&["provisioner", "stop"]),
        lab.run(&["provisioner", "status"]),
        lab.run(&["provisioner", "status", "--json"]),
        lab.run(&["provisioner", "logs"]),
        lab.run(&["provisioner", "deploy"]),
        lab.run(&["provisioner", "deploy", "--binary", "nothing"]),
    ];

    // A release is named by what it consists of, which every change of the unit changes.
    let said = said.join("\n");
    let lines = said.lines().map(|line| if line.starts_with("deploying ") { "deploying ID …" } else { line });
    insta::assert_snapshot!("off", lines.collect::<Vec<_>>().join("\n"));
}

#[test]
fn a_server_that_is_missing_or_for_another_processor_is_not_put_to_work() {
    let lab = Lab::with_provisioner();
    let server = lab.folder().join("pxe-server");
    let mut program = std::fs::read(&server).expect("it is there");
    // e_machine: x86-64.
    program[0x12] = 62;
    std::fs::write(&server, program).expect("written");
    let mut said = vec![lab.run(&["provisioner", "start"])];
    std::fs::write(&server, "#!/bin/sh\n").expect("written");
    said.push(lab.run(&["provisioner", "start"]));
    std::fs::remove_file(&server).expect("removed");
    said.push(lab.run(&["provisioner", "start"]));

    insta::assert_snapshot!("no_server", said.join("\n"));
}
