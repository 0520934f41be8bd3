//! The command's side of it, whole: `pvmlab` runs, and `ssh` leads into the folder that plays the guest.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::guest::{Fate, Guest};

#[test]
fn a_release_is_deployed_through_ssh() {
    let lab = Lab::new();
    let program = lab.compiled();

    let output = lab.pvmlab(&["provisioner", "deploy", "--binary", program.to_str().unwrap()]);

    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    let id = lab.guest.release_at_work().file_name().unwrap().to_string_lossy().into_owned();
    let url = format!("http://127.0.0.1:{}", lab.guest.port);
    assert_eq!(said, format!("deploying {id} …\nrelease {id} serves {url}\n"));
}

#[test]
fn a_program_that_cannot_run_there_is_not_sent() {
    let lab = Lab::new();

    let output = lab.pvmlab(&["provisioner", "deploy", "--binary", "/etc/hostname"]);

    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "error: /etc/hostname is no Linux program\n\
         hint: name a pxe-server for the provisioner's processor; `cargo xtask dist` builds it\n"
    );
}

#[test]
fn the_exit_code_of_a_command_is_handed_on() {
    let lab = Lab::new();

    let output = lab.pvmlab(&["vm", "shell", "provisioner", "echo out; echo err >&2; exit 7"]);

    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let all = (output.status.code(), text(&output.stdout), text(&output.stderr));
    assert_eq!(all, (Some(7), "out\n".to_owned(), "err\n".to_owned()));
}

#[test]
fn a_machine_without_an_address_is_asked_for_at_the_server() {
    let lab = Lab::new();

    let output = lab.pvmlab(&["vm", "shell", "web", "hostname", "-s"]);

    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn who_is_not_known_is_not_logged_in_to() {
    let lab = Lab::new();

    let output = lab.pvmlab(&["vm", "shell", "nobody"]);

    assert_eq!(output.status.code(), Some(3));
    insta::assert_snapshot!(String::from_utf8(output.stderr).unwrap(), @r"
    error: there is no machine `nobody`
    hint: there are provisioner, web
    ");
}

#[test]
fn a_lab_without_a_provisioner_says_how_to_get_one() {
    let lab = Lab::new();
    fs::remove_file(lab.home.path().join("vms/provisioner.json")).unwrap();

    let output = lab.pvmlab(&["provisioner", "status"]);

    assert_eq!(output.status.code(), Some(3));
    insta::assert_snapshot!(String::from_utf8(output.stderr).unwrap(), @r"
    error: the lab has no provisioner yet
    hint: make one with `pvmlab provisioner create provisioner --ip 10.77.0.1/24`
    ");
}

/// A home with a provisioner and a target, and a guest that has booted.
struct Lab {
    home: TempDir,
    guest: Guest,
}

impl Lab {
    fn new() -> Self {
        let (home, guest) = (tempfile::tempdir().expect("done"), Guest::new());
        for folder in ["vms", "images", "ssh", "pids", "configs/cloud-init/provisioner"] {
            fs::create_dir_all(home.path().join(folder)).expect("done");
        }
        let define = |name: &str, role: &str, mac: &str, ip: &str| {
            let arch = std::env::consts::ARCH;
            let text = format!(
                r#"{{"name": "{name}", "role": "{role}", "arch": "{arch}", "mac": "52:54:00:00:00:{mac}", "ip": "{ip}", "ssh_port": 2222}}"#
            );
            fs::write(home.path().join(format!("vms/{name}.json")), text).expect("done");
            // Nothing is asked of its emulator but that it runs, and this test does.
            fs::write(home.path().join(format!("pids/{name}.pid")), own_identity()).expect("done");
        };
        define("provisioner", "provisioner", "01", "10.77.0.1/24");
        define("web", "target", "02", "");
        guest.boot(&guest.release("seed", Fate::Serves));
        Self { home, guest }
    }

    fn pvmlab(&self, arguments: &[&str]) -> Output {
        let mut command = self.guest.command(env!("CARGO_BIN_EXE_pvmlab"));
        command.env("PVMLAB_HOME", self.home.path()).args(arguments).output().expect("pvmlab")
    }

    /// A program of this machine's that does what is asked of a server before it is started.
    fn compiled(&self) -> PathBuf {
        let (source, program) = (self.home.path().join("server.c"), self.home.path().join("pxe-server"));
        let url = format!("url        http://127.0.0.1:{}", self.guest.port);
        fs::write(&source, format!("int puts(const char *);\nint main() {{ puts(\"{url}\"); return 0; }}\n"))
            .expect("done");
        let compiled = Command::new("cc").arg("-o").args([&program, &source]).status();
        assert!(compiled.expect("cc, which Rust links with").success());
        program
    }
}

/// What a PID file says of this process: which it is, and since when (proc_pid_stat(5), the 22nd field).
fn own_identity() -> String {
    let stat = fs::read_to_string("/proc/self/stat").expect("done");
    let ticks = stat.rsplit_once(')').and_then(|(_, fields)| fields.split_whitespace().nth(19)).expect("done");
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("done");
    let started = format!("{ticks} after boot {}", boot.trim());
    serde_json::json!({"pid": std::process::id(), "started": started, "program": "a test"}).to_string()
}
