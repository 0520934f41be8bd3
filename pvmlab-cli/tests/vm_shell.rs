//! `pvmlab vm shell`, `copy`, `logs` and `events`, where there is nobody to reach.

mod bench;

use bench::Lab;

#[test]
fn a_machine_that_is_off_or_nobodys_is_not_waited_for() {
    let lab = Lab::with_provisioner();
    lab.run(&["vm", "create", "web", "--arch", "aarch64", "--pxeboot", "--mac", "52:54:00:00:00:02"]);
    let none = Lab::new();

    let said = [
        lab.run(&["vm", "shell", "web", "hostname"]),
        lab.run(&["vm", "shell", "nobody"]),
        lab.run(&["vm", "shell"]),
        lab.run(&["vm", "copy", "here", "web:there"]),
        lab.run(&["vm", "copy", "here", "there"]),
        lab.run(&["vm", "copy", "web:here", "web:there"]),
        lab.run(&["vm", "logs", "web"]),
        lab.run(&["vm", "logs", "nobody"]),
        lab.run(&["vm", "events", "web"]),
        lab.run(&["vm", "events", "nobody"]),
        none.run(&["vm", "shell", "web"]),
    ];

    insta::assert_snapshot!("nobody_to_reach", said.join("\n"));
}
