//! Requests over connections inside the process: a client has the address that a test gives it, and time moves by itself.

use futures_util::FutureExt as _;
use http::Method;
use hyper_util::service::TowerToHyperService;
use jiff::Timestamp;
use lab_model::Health;
use tokio::io::{DuplexStream, duplex};
use tokio::task::JoinHandle;

use super::super::client::Client;
use super::super::connection::converse;
use super::super::delivery::Deliveries;
use super::super::router;
use super::super::silent::{Silent, Visitor};
use super::*;

#[tokio::test(start_paused = true)]
async fn who_says_nothing_is_not_waited_for() {
    let lab = Lab::new().await;

    for beginning in
        ["", "GET /healthz HTTP/1.1\r\nHost:", "POST /events/525400aa0001 HTTP/1.1\r\nContent-Length: 9\r\n\r\n{"]
    {
        let (mut connection, _) = connect(&lab.state, HERE);
        connection.write_all(beginning.as_bytes()).await.expect("the beginning of a request");

        let mut answer = Vec::new();
        let ended = timeout(Duration::from_secs(60), connection.read_to_end(&mut answer)).await;

        assert!(ended.is_ok(), "{beginning}");
    }
}

#[tokio::test(start_paused = true)]
async fn stopping_does_not_wait_for_those_who_only_keep_a_connection() {
    let lab = Lab::new().await;
    let (_idle, task) = connect(&lab.state, HERE);

    lab.state.stopping.cancel();

    timeout(Duration::from_secs(5), task).await.expect("in time").expect("it does not panic");
}

#[tokio::test]
async fn who_has_its_answer_gives_way_to_others_and_who_still_hears_it_does_not() {
    let lab = Lab::new().await;
    let silent = Silent::default();
    let [answered, following] = [(); 2].map(|()| silent.join());
    let mut connections = Vec::new();
    for (visitor, path, end) in [(&answered, "/healthz", "ok\n"), (&following, "/events", "\r\n\r\n")] {
        let (mut connection, _) = connect_as(&lab.state, HERE, visitor.clone());
        connection.write_all(format!("GET {path} HTTP/1.1\r\nHost: lab\r\n\r\n").as_bytes()).await.expect("a request");
        let mut answer = Vec::new();
        while !answer.ends_with(end.as_bytes()) {
            answer.push(connection.read_u8().await.expect("an answer"));
        }
        connections.push(connection);
    }

    let dismissed = [(); 2].map(|()| {
        silent.dismiss_one();
        [&answered, &following].map(|visitor| visitor.dismissed().now_or_never().is_some())
    });

    assert_eq!(dismissed, [[true, false]; 2]);
}

#[tokio::test]
async fn what_is_a_machines_own_goes_to_its_address_alone() {
    let lab = leased().await;
    let may = async |client, name| get(&lab.state, client, &format!("/cloud-init/{name}/user-data")).await.status;

    assert_eq!(may(WEBS, "web").await, StatusCode::OK, "by its lease");
    assert_eq!(may(DBS, "db").await, StatusCode::OK, "by its reservation");
    assert_eq!(may(HERE, "web").await, StatusCode::OK, "at the server");
    assert_eq!(may(WEBS, "db").await, StatusCode::FORBIDDEN, "another machine");
    assert_eq!(may(STRANGERS, "web").await, StatusCode::FORBIDDEN, "a stranger");
    let open = State { holders: None, ..lab.state.clone() };
    let anybody = get(&open, STRANGERS, "/cloud-init/web/user-data").await;
    assert_eq!(anybody.status, StatusCode::OK, "where nobody knows who has which address, it says nothing");
}

#[tokio::test]
async fn who_runs_on_an_installed_machine_does_not_get_its_seed() {
    let mut lab = leased().await;
    let fetch = async |state: &State, client| get(state, client, "/cloud-init/web/seed.iso").await;
    for phase in [Phase::Seed, Phase::Boot] {
        let report = InstallerReport { phase, percent: None, failure: None, detail: None };
        lab.state.journal.record(WEB, What::Installer(report));
        lab.event().await;
    }

    let refused = fetch(&lab.state, WEBS).await;

    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let reason =
        "its installer has put it on the disk already: the next boot from the network gets it again".to_owned();
    assert_eq!(refused.text(), format!("no seed for web: {reason}\n"));
    assert_eq!(lab.event().await, (WEB, What::FetchRefused { file: FetchedFile::Seed, reason }));
    assert_eq!(fetch(&lab.state, HERE).await.status, StatusCode::OK, "at the server");
    lab.event().await;
    lab.state.journal.record(WEB, What::Ack { address: WEBS.into(), firmware: Firmware::UefiArm64 });
    lab.event().await;
    assert_eq!(fetch(&lab.state, WEBS).await.status, StatusCode::OK, "another boot from the network");
}

#[tokio::test]
async fn what_is_for_one_time_is_had_by_the_machine_itself_and_by_nobody_else() {
    let mut lab = leased().await;
    let text = "name = 'web'\narch = 'aarch64'\nmac = '52:54:00:aa:00:01'\ndistro = 'debian-12'\npxeboot = true\n\
                once = { profile = 'netboot', number = 7 }\n";
    let file = DefinitionFile { file: "web.toml".to_owned(), text: Ok(text.to_owned()) };
    let inventory = Inventory::build(&[file], lab.state.plan().lab.server, &Inventory::default());
    lab.state.inventory = watch::channel(Arc::new(inventory)).1;
    let script =
        async |state: &State, client| get(state, client, "/ipxe?mac=52:54:00:aa:00:01").await.text().to_owned();

    for client in [STRANGERS, DBS, WEBS] {
        let said = script(&lab.state, client).await;
        assert!(said.contains("web boots netboot from"), "{said}");
    }
    assert_eq!(lab.event().await, (WEB, What::Script { boot: "installer".into() }));
    assert_eq!(lab.event().await, (WEB, What::Once { number: 7 }));

    let again = script(&lab.state, WEBS).await;
    assert!(again.ends_with("exit 1\n"), "{again}");
    assert_eq!(lab.event().await, (WEB, What::Script { boot: "local".into() }));
    let documents = get(&lab.state, WEBS, "/profiles/web/preseed.cfg").await;
    assert_eq!(documents.status, StatusCode::OK, "what it boots still needs them");
}

#[tokio::test]
async fn who_holds_an_address_counts_before_whom_it_is_reserved_for() {
    let mut lab = leased().await;
    let mut known = Clients::default();
    known.note(&lease(20, WEB));
    (lab.state.holders, lab.state.leases) = held(watch::channel(known).1);

    assert_eq!(get(&lab.state, DBS, "/cloud-init/web/user-data").await.status, StatusCode::OK);
    assert_eq!(get(&lab.state, DBS, "/cloud-init/db/user-data").await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn nobody_reports_for_a_machine_but_itself() {
    let lab = leased().await;

    for path in ["/events/52:54:00:aa:00:01", "/machines/52:54:00:aa:00:01/up"] {
        let report = r#"{"phase":"write","percent":40}"#;
        let head = format!("POST {path} HTTP/1.1\r\nContent-Length: {}\r\n", report.len());

        let answer = exchange(&lab.state, STRANGERS, &head, report).await;

        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}");
        assert_eq!(answer.text(), "this is for web alone, and 10.77.0.66 is not its address\n");
        assert_eq!(exchange(&lab.state, WEBS, &head, report).await.status, StatusCode::NO_CONTENT, "{path}");
    }
}

#[tokio::test]
async fn nobody_writes_into_the_timeline_of_another_machine() {
    let mut lab = leased().await;

    for path in ["/ipxe?mac=52:54:00:aa:00:01", "/installer/aarch64?mac=52:54:00:aa:00:01", DISK] {
        assert_eq!(get(&lab.state, STRANGERS, path).await.status, StatusCode::OK, "{path}");
        assert_eq!(get(&lab.state, DBS, path).await.status, StatusCode::OK, "{path}");
    }
    get(&lab.state, WEBS, "/ipxe?mac=52:54:00:aa:00:01").await;

    assert_eq!(lab.event().await, (WEB, What::Script { boot: "install".into() }), "its own, and no other before");
}

#[tokio::test]
async fn a_fetch_is_told_when_it_has_left_and_another_way_when_it_broke_off() {
    let mut lab = Lab::with_disk(4 << 20).await;
    let head = format!("GET {DISK} HTTP/1.1\r\nHost: lab\r\n\r\n");

    let (mut connection, _) = connect(&lab.state, WEBS);
    connection.write_all(head.as_bytes()).await.expect("a request");
    connection.read_exact(&mut vec![0; 1 << 20]).await.expect("a part of the answer");
    drop(connection);

    let (mac, what) = lab.event().await;
    let What::FetchAborted { file: FetchedFile::Disk, bytes } = what else { panic!("{what:?}") };
    assert_eq!(mac, WEB);
    assert!((1 << 20..4 << 20).contains(&bytes), "{bytes}");

    get(&lab.state, WEBS, DISK).await;
    assert_eq!(lab.event().await, (WEB, What::Fetch { file: FetchedFile::Disk, bytes: 4 << 20 }));
}

#[tokio::test]
async fn what_a_client_has_not_taken_has_not_left() {
    let mut lab = Lab::with_disk(1 << 20).await;
    let head = format!("GET {DISK} HTTP/1.1\r\nHost: lab\r\n\r\n");

    let (mut connection, _) = connect(&lab.state, WEBS);
    connection.write_all(head.as_bytes()).await.expect("a request");
    // All but the last bytes, more than which the connection does not hold: the server has read everything by then.
    connection.read_exact(&mut vec![0; (1 << 20) - 2 * PIPE]).await.expect("most of the answer");
    drop(connection);

    let what = lab.event().await.1;
    assert!(matches!(what, What::FetchAborted { .. }), "{what:?}");
}

#[tokio::test]
async fn a_request_for_the_head_or_for_a_middle_part_is_no_fetch() {
    let lab = Lab::new().await;
    let deliveries = Deliveries::default();

    drop(deliveries.begin(Some(WEB), FetchedFile::Seed, &lab.state.journal));
    let parcel = deliveries.begin(Some(WEB), FetchedFile::Seed, &lab.state.journal);
    drop(parcel.answer("seed".into(), "text/plain", &Method::HEAD));
    exchange(&lab.state, WEBS, &format!("GET {DISK} HTTP/1.1\r\nRange: bytes=0-9\r\n"), "").await;
    get(&lab.state, WEBS, "/ipxe?mac=52:54:00:aa:00:01").await;

    let mut lab = lab;
    assert_eq!(lab.event().await, (WEB, What::Script { boot: "install".into() }));
}

#[tokio::test(start_paused = true)]
async fn images_on_a_file_system_that_hangs_are_refused_after_a_while() {
    let mut lab = Lab::new().await;
    lab.state.limits = Limits::new(0, 0);

    let answer = get(&lab.state, WEBS, DISK).await;

    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.text().ends_with("cannot be read: the file system does not answer\n"), "{}", answer.text());
}

#[tokio::test]
async fn who_finds_no_place_to_follow_events_is_told_when_to_come_again() {
    let mut lab = Lab::new().await;
    lab.state.limits = Limits::new(1, 1);
    let mut first = follow(&lab.state, "/events").await;

    let refused = get(&lab.state, HERE, "/events").await;

    assert_eq!((refused.status, refused.header("retry-after")), (StatusCode::SERVICE_UNAVAILABLE, Some("10")));
    lab.state.journal.record(WEB, What::Up);
    assert_eq!(event(&mut first).await.what, What::Up);
}

#[tokio::test]
async fn events_can_be_had_from_a_time_on_and_of_one_machine() {
    let mut lab = Lab::new().await;
    let script = |boot: &str| What::Script { boot: boot.to_owned() };
    for (mac, what) in [(WEB, script("old")), (DB, script("other"))] {
        lab.state.journal.record(mac, what);
        lab.event().await;
    }
    let since = Timestamp::now();
    lab.state.journal.record(WEB, script("new"));
    lab.event().await;

    let mut of_web = follow(&lab.state, &format!("/events?machine=web&since={since}")).await;
    let mut of_db = follow(&lab.state, "/events?machine=52:54:00:aa:00:02&since=1970-01-01T00:00:00Z").await;
    lab.state.journal.record(DB, script("live"));
    lab.state.journal.record(WEB, What::Up);

    assert_eq!([event(&mut of_web).await.what, event(&mut of_web).await.what], [script("new"), What::Up]);
    assert_eq!([event(&mut of_db).await.what, event(&mut of_db).await.what], [script("other"), script("live")]);
    for (path, reason) in
        [("/events?machine=-", "machine: "), ("/events?since=noon", "since"), ("/events?mac=1", "mac")]
    {
        let refused = get(&lab.state, HERE, path).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{path}");
        assert!(refused.text().contains(reason), "{}", refused.text());
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_stream_of_events_says_that_it_is_still_there_and_ends_with_the_server() {
    let lab = Lab::new().await;
    let mut lines = follow(&lab.state, "/events").await;

    assert_eq!(lines.next_line().await.expect("a line").as_deref(), Some(""));
    lab.state.stopping.cancel();

    assert_eq!(lines.next_line().await.expect("an end"), None);
}

#[tokio::test]
async fn the_server_says_how_it_is() {
    let lab = leased().await;

    let answer = get(&lab.state, STRANGERS, "/health").await;
    let health: Health = serde_json::from_slice(&answer.body).expect("a health");

    let Health { now, program_sha256, .. } = health;
    assert!(program_sha256.is_some());
    let expected = Health {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        program_sha256,
        now,
        uptime_seconds: 0,
        interface: None,
        addresses: vec!["10.77.0.1/24".parse().expect("a network")],
        configuration: Some(configuration()),
        url: "http://10.77.0.1".to_owned(),
        tls: None,
        machines: 4,
        bad_definitions: 0,
        images: 2,
        bad_images: 0,
        leases: Some(1),
        dns: None,
        addresses_from: None,
        other_dhcp_servers: Vec::new(),
        hosts_not_believed: Vec::new(),
        stopping: false,
    };
    assert_eq!(Health { uptime_seconds: 0, ..health }, expected);
}

#[test]
fn every_path_is_documented() {
    let routes = include_str!("../../http.rs").split(".route(\"").skip(1);
    let paths: Vec<_> = routes.filter_map(|route| route.split('"').next()).collect();

    assert!(paths.len() > 10, "{paths:?}");
    for path in paths {
        let path = path.replace('{', "<").replace('}', ">");
        assert!(include_str!("../../../../docs/http.md").contains(&path), "{path} is not in docs/http.md");
    }
}

/// Clients: on the server's own machine, with web's lease, with db's reservation, and nobody's.
const HERE: [u8; 4] = [127, 0, 0, 1];
const WEBS: [u8; 4] = [10, 77, 0, 150];
const DBS: [u8; 4] = [10, 77, 0, 20];
const STRANGERS: [u8; 4] = [10, 77, 0, 66];

/// How much a connection holds that its client has not taken.
const PIPE: usize = 4096;

/// A lab whose machines have their addresses from us: web has a lease.
async fn leased() -> Lab {
    let mut lab = Lab::new().await;
    let mut known = Clients::default();
    known.note(&lease(150, WEB));
    let (_, known) = watch::channel(known);
    (lab.state.holders, lab.state.leases) = held(known);
    lab
}

/// Who has which address, by leases of ours.
fn held(leases: watch::Receiver<Clients>) -> (Option<Holders>, Option<watch::Receiver<Clients>>) {
    (Some(Holders::Leases(leases.clone())), Some(leases))
}

/// A connection from this address, and the task at its other end.
fn connect(state: &State, client: [u8; 4]) -> (DuplexStream, JoinHandle<()>) {
    connect_as(state, client, Silent::default().join())
}

/// As [`connect`], as this visitor.
fn connect_as(state: &State, client: [u8; 4], visitor: Visitor) -> (DuplexStream, JoinHandle<()>) {
    let (near, far) = duplex(PIPE);
    let service = TowerToHyperService::new(router(state.clone()));
    let stopping = state.stopping.clone();
    (near, tokio::spawn(converse(far, Client(SocketAddr::from((client, 1024))), visitor, service, stopping)))
}

async fn get(state: &State, client: [u8; 4], path: &str) -> Answer {
    exchange(state, client, &format!("GET {path} HTTP/1.1\r\n"), "").await
}

async fn exchange(state: &State, client: [u8; 4], head: &str, body: &str) -> Answer {
    let (mut connection, _) = connect(state, client);
    let request = format!("{head}Host: lab\r\nConnection: close\r\n\r\n{body}");
    connection.write_all(request.as_bytes()).await.expect("a request");
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).await.expect("an answer");
    Answer::parse(answer)
}

/// The lines of a stream of events, from behind its head on.
async fn follow(state: &State, path: &str) -> tokio::io::Lines<BufReader<DuplexStream>> {
    let (mut connection, _) = connect(state, HERE);
    connection.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await.expect("a request");
    let mut lines = BufReader::new(connection).lines();
    while lines.next_line().await.expect("a head").is_some_and(|line| !line.is_empty()) {}
    lines
}

async fn event(lines: &mut tokio::io::Lines<BufReader<DuplexStream>>) -> Event {
    let line = timeout(Duration::from_secs(10), lines.next_line()).await.expect("in time");
    serde_json::from_str(&line.expect("readable").expect("one line")).expect("an event")
}
