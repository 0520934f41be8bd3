//! What the server hears of an installation.

use crate::lab::{DISK, Lab};
use crate::server::File;

#[test]
fn every_phase_and_every_ten_per_cent_is_reported_in_order() {
    let lab = Lab::new();

    lab.install(DISK).0.expect("nothing goes wrong");

    let steps: Vec<_> = lab.server.posts().iter().map(|post| step(post)).collect();
    assert_eq!(
        steps,
        [
            "config",
            "write 0",
            "write 10",
            "write 20",
            "write 30",
            "write 50",
            "write 60",
            "write 70",
            "write 80",
            "write 100",
            "verify",
            "seed",
            "finish",
            "boot"
        ]
    );
}

#[test]
fn a_failure_is_the_last_report_and_has_its_reason() {
    let mut lab = Lab::new();
    lab.config.disk_image.url = lab.server.url("/nothing");

    let (failure, _) = lab.fail();

    let last = lab.server.posts().pop().expect("a report");
    let report: lab_model::InstallerReport = serde_json::from_str(&last).expect("a report in JSON");
    assert_eq!(report.failure, Some(failure.reason));
}

#[test]
fn a_server_that_takes_no_reports_does_not_stop_an_installation() {
    let mut lab = Lab::new();
    lab.config.events_url = "http://127.0.0.1:1/events".to_owned();

    let (outcome, _) = lab.install(DISK);

    outcome.expect("reports are not worth an installation");
}

#[test]
fn a_configuration_in_another_language_names_the_key() {
    let lab = Lab::new();
    let mut config = serde_json::to_value(&lab.config).expect("a configuration has a JSON form");
    config["disk-image"]["compression"] = "lz4".into();
    lab.server.put("/other", File::new(config.to_string().into_bytes()));
    let disk = lab.old_disk(DISK);

    let patience = installer::Patience::SERVER;
    let failure = installer::rehearse::rehearse(&lab.server.url("/other"), &disk, patience).expect_err("not lz4");

    assert!(failure.reason.contains("do server and installer have the same version?: unknown variant `lz4`"));
}

fn step(post: &str) -> String {
    let report: lab_model::InstallerReport = serde_json::from_str(post).expect("a report in JSON");
    let phase = serde_json::to_value(report.phase).expect("a phase has a JSON form");
    let percent = report.percent.map(|percent| format!(" {percent}")).unwrap_or_default();
    format!("{}{percent}", phase.as_str().expect("a phase is a string"))
}
