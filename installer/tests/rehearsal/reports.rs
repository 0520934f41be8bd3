//! What the server hears of an installation.

use installer::Reports;
use lab_model::{InstallerReport, Phase};

use crate::lab::{DISK, Lab, QUICK};
use crate::server::File;

#[test]
fn every_phase_is_reported_in_order_and_the_writing_as_it_goes() {
    let lab = Lab::new();

    lab.install(DISK).0.expect("nothing goes wrong");

    let steps: Vec<_> = lab.server.posts().iter().map(|post| step(post)).collect();
    let [first, writing @ .., verify, seed, finish, boot] = &steps[..] else { panic!("{steps:?}") };
    assert_eq!([first, verify, seed, finish, boot], ["config", "verify", "seed", "finish", "boot"]);
    let percents: Vec<u8> = writing.iter().filter_map(|step| step.strip_prefix("write ")?.parse().ok()).collect();
    assert_eq!((percents.len(), percents.first(), percents.last()), (writing.len(), Some(&0), Some(&100)));
    assert!(percents.is_sorted() && percents.len() >= 5, "{percents:?}");
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
fn a_failure_without_a_network_is_reported_by_the_next_attempt() {
    let lab = Lab::new();
    let first = Reports::start(QUICK);
    first.failed(Phase::Network, "no DHCP server answered");

    let undelivered = first.finish();
    let second = Reports::start(QUICK);
    undelivered.into_iter().for_each(|report| second.again(report));
    second.reached(Phase::Network, "eth0 has an address");
    second.deliver_to(&lab.server.url("/events"));
    second.failed(Phase::Config, "nobody has defined this machine");

    assert_eq!(second.finish(), []);
    let reports: Vec<InstallerReport> =
        lab.server.posts().iter().map(|post| serde_json::from_str(post).expect("a report in JSON")).collect();
    let heard: Vec<_> = reports.iter().map(|report| (report.phase, report.failure.as_deref())).collect();
    assert_eq!(
        heard,
        [
            (Phase::Network, Some("no DHCP server answered")),
            (Phase::Network, None),
            (Phase::Config, Some("nobody has defined this machine")),
        ]
    );
}

#[test]
fn what_no_server_takes_comes_back() {
    let reports = Reports::start(QUICK);
    reports.deliver_to("http://127.0.0.1:1/events");
    reports.failed(Phase::Config, "no answer");

    let failures: Vec<_> = reports.finish().into_iter().filter_map(|report| report.failure).collect();

    assert_eq!(failures, ["no answer"]);
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
