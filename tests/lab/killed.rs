//! A test that is killed, as whoever interrupts a run or waits for too long does it.

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    process::{Command, Stdio},
    time::Duration,
};

use lab_model::{Arch, MacAddr};
use lab_tests::{Guest, Hardware, Lab, Namespace, Service, process::until};

use crate::images;

#[test]
fn a_killed_test_leaves_neither_server_nor_emulator() {
    leaves_nothing("killed::a_killed_test_leaves_neither_server_nor_emulator", || Service::Network);
}

#[test]
fn a_killed_test_without_privilege_leaves_neither_server_nor_emulator() {
    let service = || Service::http_only().unwrap();
    leaves_nothing("killed::a_killed_test_without_privilege_leaves_neither_server_nor_emulator", service);
}

/// Runs this test once more, to be killed when its programs run.
fn leaves_nothing(test: &str, service: impl Fn() -> Service) {
    if env::var_os(VICTIM).is_some() {
        return start_and_wait_for_the_end(service());
    }
    let folder = tempfile::tempdir().unwrap();
    // Without privilege its programs are another user's, who goes through here.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let mut victim = Command::new(env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(VICTIM, "")
        // What it leaves in this folder, which it has no time to remove, goes with the folder.
        .env("TMPDIR", folder.path())
        .env_remove(lab_tests::LOGS_VARIABLE)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines().map_while(Result::ok);
    let numbers = lines.find_map(|line| line.strip_prefix(PROGRAMS).map(str::to_owned)).expect("both programs run");
    let numbers: Vec<_> = numbers.split_whitespace().collect();
    assert!(numbers.len() == 2 && numbers.iter().all(|number| runs(number)), "{numbers:?}");

    victim.kill().unwrap();
    victim.wait().unwrap();

    let gone = until(LIMIT, || Ok((!numbers.iter().any(|number| runs(number))).then_some(()))).unwrap();
    assert!(gone.is_some(), "one of {numbers:?} still runs");
}

fn start_and_wait_for_the_end(service: Service) {
    let _namespace = Namespace::enter().unwrap();
    let lab = Lab::start(service, &images::supplies()).unwrap();
    let hardware = Hardware::new(Arch::X86_64, MAC, lab.link(MAC).unwrap()).unwrap().with_bios();
    let guest = Guest::power_on(&hardware).unwrap();

    println!("\n{PROGRAMS}{} {}", lab.server_id().unwrap(), guest.id());
    // Whoever kills this holds the other end.
    let _ = std::io::stdin().lines().next();
}

/// Set for the test that is to be killed.
const VICTIM: &str = "PVMLAB_TEST_VICTIM";

/// Begins the line with the numbers of the processes.
const PROGRAMS: &str = "programs: ";

const LIMIT: Duration = Duration::from_secs(60);

const MAC: MacAddr = MacAddr::new([0x52, 0x54, 0, 0x77, 0, 0x90]);

/// Whether the process is there and more than an entry that its parent has not asked for yet (proc_pid_stat(5)).
fn runs(process: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit(')')
        .next()
        .and_then(|rest| rest.split_whitespace().next())
        .is_some_and(|state| !matches!(state, "Z" | "X"))
}
