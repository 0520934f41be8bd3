//! Requests over real connections on the loopback interface; in [`inside`], over connections without any network.

mod inside;

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use jiff::Timestamp;
use lab_model::{
    Configuration, DefinitionFile, Event, FetchedFile, Firmware, InstallerConfig, InstallerReport, Inventory,
    LabStatus, MacAddr, MachineReport, Phase, Sha256, Stage, What,
};
use pxe_proto::boot::{BootProgram, Profiles};
use pxe_proto::dhcp::{LeaseRecord, LeaseState, UnixSeconds};
use sha2::Digest as _;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{About, Limits, State, serve};
use crate::boot_files::BootFile;
use crate::boot_files::tests::embedded;
use crate::dhcp::{Clients, Doubts, Holders};
use crate::images;
use crate::journal;
use crate::plan::{self, Family};
use crate::pulse::Pulses;

#[tokio::test]
async fn a_machine_gets_its_script_by_any_spelling_of_its_mac() {
    let mut lab = Lab::new().await;

    for mac in ["52:54:00:AA:00:01", "52-54-00-aa-00-01", "525400aa0001", "52%3a54%3A00%3aaa%3a00%3a01"] {
        let answer = lab.get(&format!("/ipxe?mac={mac}&arch=arm64")).await;

        assert_eq!(answer.status, StatusCode::OK);
        assert!(
            answer.text().contains("/images/debian-12/aarch64/vmlinuz?mac=52:54:00:aa:00:01 "),
            "{}",
            answer.text()
        );
        assert_eq!(lab.event().await, (WEB, What::Script { boot: "install".into() }));
    }
}

#[tokio::test]
async fn a_stranger_gets_a_script_that_says_so_and_an_event() {
    let mut lab = Lab::new().await;

    let answer = lab.get("/ipxe?mac=52:54:00:00:00:99").await;

    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.text().contains("echo pvmlab: nobody has defined this machine, 52:54:00:00:00:99."));
    assert_eq!(lab.event().await, (STRANGER, What::Script { boot: "unknown".into() }));
}

#[tokio::test]
async fn a_boot_program_that_does_not_say_who_it_is_is_told_to() {
    let lab = Lab::new().await;

    for path in ["/ipxe", "/boot/autoexec.ipxe"] {
        let answer = lab.get(path).await;
        assert!(answer.text().contains("chain --timeout 15000 --replace http://10.77.0.1/ipxe?mac=${"));
    }
}

#[tokio::test]
async fn a_script_says_when_the_image_is_missing_or_the_processor_is_another() {
    let lab = Lab::new().await;

    assert!(lab.get("/ipxe?mac=52:54:00:aa:00:02").await.text().contains("the server does not have it"));
    assert!(lab.get("/ipxe?mac=52:54:00:aa:00:01&arch=i386").await.text().contains("this machine is x86_64"));
}

#[tokio::test]
async fn an_image_without_a_disk_is_served_and_never_installed() {
    let mut lab = Lab::new().await;

    let config = lab.get("/config/52:54:00:aa:00:04").await;
    assert_eq!(config.status, StatusCode::NOT_FOUND);
    assert!(config.text().starts_with("kiosk cannot be installed with the image netboot, which has no disk"));
    let script = lab.get("/ipxe?mac=52:54:00:aa:00:04&arch=arm64").await;
    assert!(script.text().contains("name a profile of kind"), "{}", script.text());
    let (_, what) = lab.event().await;
    assert_eq!(what, What::Script { boot: "refuse".to_owned() });
    let file = lab.get("/images/netboot/aarch64/stage2.img?mac=52:54:00:aa:00:04").await;
    assert_eq!(file.text(), "stage2");
    let (_, what) = lab.event().await;
    assert_eq!(what, What::Fetch { file: FetchedFile::ImageFile, bytes: 6 });
    let status: MachineReport = serde_json::from_slice(&lab.get("/machines/kiosk").await.body).expect("a report");
    let failure = status.machine.failure.expect("it says why");
    assert!(failure.starts_with("kiosk cannot be installed"), "{failure}");
}

#[tokio::test]
async fn the_installer_can_fetch_all_that_its_configuration_names() {
    let lab = Lab::new().await;

    let answer = lab.get("/config/52-54-00-AA-00-01").await;
    let config: InstallerConfig = serde_json::from_slice(&answer.body).expect("a configuration");

    assert_eq!((config.machine.as_str(), config.disk), ("web", "/dev/vdb".parse().ok()));
    assert_eq!(config.events_url, "http://10.77.0.1/events/52:54:00:aa:00:01");
    let seed = lab.get(path(&config.seed.url)).await;
    assert_eq!((seed.body.len() as u64, sha256(&seed.body)), (config.seed.size, config.seed.sha256));
    let disk = lab.get(path(&config.disk_image.url)).await;
    assert_eq!(
        (disk.body.len() as u64, sha256(&disk.body)),
        (config.disk_image.size, config.disk_image.chunks[0].sha256)
    );
}

#[tokio::test]
async fn an_unknown_machine_has_no_documents_at_all() {
    let lab = Lab::new().await;

    for path in ["/cloud-init/nobody/user-data", "/cloud-init/nobody/seed.iso", "/config/52:54:00:00:00:99"] {
        let answer = lab.get(path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert!(answer.text().starts_with("nobody has defined"), "{}", answer.text());
    }
}

#[tokio::test]
async fn cloud_init_gets_each_document_by_its_name() {
    let lab = Lab::new().await;

    for (document, beginning) in [
        ("meta-data", "instance-id: \"web-0\"\nlocal-hostname: \"web\"\n"),
        ("user-data", "#cloud-config\n"),
        ("network-config", "version: 2\n"),
        ("vendor-data", "#cloud-config\n"),
    ] {
        let answer = lab.get(&format!("/cloud-init/web/{document}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{document}");
        assert!(answer.text().starts_with(beginning), "{}", answer.text());
    }
    assert_eq!(lab.get("/cloud-init/web/password").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_machine_boots_what_its_profile_says_and_fetches_its_documents() {
    let lab = Lab::new().await;

    let script = lab.get("/ipxe?mac=52:54:00:aa:00:03&arch=arm64").await;
    assert!(script.text().contains("choose --default netboot"), "{}", script.text());
    let script = lab.get("/ipxe?mac=52:54:00:aa:00:03&arch=arm64&profile=netboot").await;
    let kernel = "/images/debian-12/aarch64/vmlinuz?mac=52:54:00:aa:00:03 initrd=initrd.magic \
                  url=http://10.77.0.1/profiles/shop/preseed.cfg ||";
    assert!(script.text().contains(kernel), "{}", script.text());
    let refused = lab.get("/ipxe?mac=52:54:00:aa:00:01&arch=arm64&profile=netboot").await;
    assert!(refused.text().contains("cannot be chosen for web"), "{}", refused.text());

    let preseed = lab.get("/profiles/shop/preseed.cfg").await;
    assert_eq!((preseed.status, preseed.text()), (StatusCode::OK, "hostname shop\n"));
    for path in ["/profiles/shop/preseed.cfg.j2", "/profiles/shop/profile.toml", "/profiles/web/preseed.cfg"] {
        assert_eq!(lab.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn a_file_comes_whole_or_in_parts() {
    let mut lab = Lab::new().await;
    let tag = format!("\"{}\"", sha256(&lab.disk));

    let whole = lab.get(DISK).await;
    assert_eq!((whole.status, whole.header("etag")), (StatusCode::OK, Some(&*tag)));
    assert_eq!(whole.header("accept-ranges"), Some("bytes"));
    assert!(whole.body == lab.disk);
    let fetched = What::Fetch { file: FetchedFile::Disk, bytes: lab.disk.len() as u64 };
    assert_eq!(lab.event().await, (WEB, fetched));

    let half = lab.disk.len() / 2;
    let rest = lab.request(&format!("GET {DISK} HTTP/1.1\r\nRange: bytes={half}-\r\nIf-Range: {tag}\r\n")).await;
    assert_eq!(rest.status, StatusCode::PARTIAL_CONTENT);
    let place = format!("bytes {half}-{}/{}", lab.disk.len() - 1, lab.disk.len());
    assert_eq!(rest.header("content-range"), Some(&*place));
    assert!(rest.body == lab.disk[half..]);

    let changed = lab.request(&format!("GET {DISK} HTTP/1.1\r\nRange: bytes=1-\r\nIf-Range: \"other\"\r\n")).await;
    assert_eq!((changed.status, changed.body.len()), (StatusCode::OK, lab.disk.len()));

    let beyond = lab.request(&format!("GET {DISK} HTTP/1.1\r\nRange: bytes={}-\r\n", lab.disk.len())).await;
    let size = format!("bytes */{}", lab.disk.len());
    assert_eq!((beyond.status, beyond.header("content-range")), (StatusCode::RANGE_NOT_SATISFIABLE, Some(&*size)));
}

#[tokio::test]
async fn head_tells_the_length_and_sends_nothing() {
    let mut lab = Lab::new().await;

    let head = lab.request(&format!("HEAD {DISK} HTTP/1.1\r\n")).await;
    assert_eq!(head.header("content-length"), Some(&*lab.disk.len().to_string()));
    assert!(head.body.is_empty());
    let head = lab.request(&format!("HEAD {DISK} HTTP/1.1\r\nRange: bytes=0-9\r\n")).await;
    assert_eq!((head.status, head.header("content-length")), (StatusCode::PARTIAL_CONTENT, Some("10")));

    lab.get("/ipxe?mac=52:54:00:aa:00:01").await;
    assert_eq!(lab.event().await, (WEB, What::Script { boot: "install".into() }), "and HEAD is no event");
}

#[tokio::test]
async fn firmware_gets_its_boot_program_by_http_too() {
    let lab = Lab::new().await;

    let head = lab.request("HEAD /boot/ipxe-arm64.efi HTTP/1.1\r\n").await;

    let contents = embedded(BootFile::Program(BootProgram::IpxeArm64Efi));
    assert_eq!(head.header("content-length"), Some(&*contents.len().to_string()));
    assert_eq!(head.header("content-type"), Some("application/efi"));
    assert!(lab.get("/boot/ipxe-arm64.efi").await.body == contents);
    assert_eq!(lab.get("/boot/installer-aarch64").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn no_path_leads_out_of_an_image() {
    let lab = Lab::new().await;

    for path in [
        "/images/debian-12/aarch64/manifest.json",
        "/images/debian-12/aarch64/recipe.json",
        "/images/debian-12/aarch64/..%2f..%2f..%2fsecret",
        "/images/debian-12/aarch64/%2e%2e",
        "/images/debian-12/aarch64/../../../secret",
        "/images/../secret",
        "/images/%2e%2e/aarch64/secret",
        "/images/debian-12/..%2f../secret",
        "/images//etc/passwd",
        "/images/debian-12/aarch64/vmlinuz%00",
        "/images/debian-12/aarch64/",
        "/images/debian-12",
        "/images/",
        "/boot/..%2fimages",
        "/cloud-init/web/..%2fmeta-data",
        "//etc/passwd",
        "/..",
    ] {
        let answer = lab.get(path).await;
        assert!([StatusCode::NOT_FOUND, StatusCode::BAD_REQUEST].contains(&answer.status), "{path}: {}", answer.status);
        assert_eq!(answer.text().lines().count(), 1, "{path}: {}", answer.text());
        assert!(!answer.text().contains("secret text"), "{path}");
    }
}

#[tokio::test]
async fn a_malformed_request_is_told_what_was_expected() {
    let lab = Lab::new().await;

    for (path, reason) in [
        ("/ipxe?mac=nonsense", "`nonsense` is not a MAC address: expected six pairs of hexadecimal digits"),
        ("/config/5254", "`5254` is not a MAC address"),
        ("/images/debian-12/riscv/vmlinuz", "`riscv` is not an architecture: expected `aarch64` or `x86_64`"),
        ("/images/Debian/aarch64/vmlinuz", "`Debian` is not an image name"),
    ] {
        let answer = lab.get(path).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}");
        assert!(answer.text().contains(reason), "{}", answer.text());
    }
}

#[tokio::test]
async fn the_installer_reports_and_the_system_says_that_it_is_up() {
    let mut lab = Lab::new().await;

    let answer = lab.post("/events/52:54:00:aa:00:01", r#"{"phase":"write","percent":40}"#).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    let report = InstallerReport { phase: Phase::Write, percent: Some(40), failure: None, detail: None };
    assert_eq!(lab.event().await, (WEB, What::Installer(report)));

    let answer = lab.post("/machines/52:54:00:aa:00:01/up", "instance_id=web-0").await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert_eq!(lab.event().await, (WEB, What::Up));
}

#[tokio::test]
async fn a_report_that_is_none_is_refused() {
    let lab = Lab::new().await;
    let long = format!(r#"{{"phase":"write","detail":"{}"}}"#, "x".repeat(64 << 10));

    for (path, body, status) in [
        ("/events/52:54:00:aa:00:01", "", StatusCode::BAD_REQUEST),
        ("/events/52:54:00:aa:00:01", r#"{"phase":"party"}"#, StatusCode::BAD_REQUEST),
        ("/events/52:54:00:aa:00:01", r#"{"phase":"write","percent":101}"#, StatusCode::BAD_REQUEST),
        ("/events/52:54:00:aa:00:01", r#"{"phase":"write","colour":1}"#, StatusCode::BAD_REQUEST),
        ("/events/52:54:00:aa:00:01", &long, StatusCode::PAYLOAD_TOO_LARGE),
        ("/events/52:54:00:00:00:99", r#"{"phase":"write"}"#, StatusCode::NOT_FOUND),
        ("/machines/52:54:00:00:00:99/up", "", StatusCode::NOT_FOUND),
        ("/machines/web", "", StatusCode::METHOD_NOT_ALLOWED),
    ] {
        assert_eq!(lab.post(path, body).await.status, status, "{path} {body:.40}");
    }
}

#[tokio::test]
async fn people_see_what_became_of_each_machine() {
    let mut lab = Lab::new().await;
    lab.get("/ipxe?mac=52:54:00:aa:00:01").await;
    lab.get("/ipxe?mac=52:54:00:00:00:99").await;
    lab.event().await;
    lab.event().await;

    let status: LabStatus = serde_json::from_slice(&lab.get("/machines").await.body).expect("a status");
    let seen: Vec<_> = status.machines.iter().map(|machine| (machine.mac, machine.stage)).collect();
    assert_eq!(
        seen,
        [(DB, None), (KIOSK, None), (SHOP, None), (WEB, Some(Stage::Script)), (STRANGER, Some(Stage::Script))]
    );
    assert_eq!(status.machines[0].failure.as_deref(), Some("the image ubuntu-24.04 for x86_64 is not on the server"));
    assert_eq!(status.machines[4].failure.as_deref(), Some("nobody has defined this machine"));

    for path in ["/machines/web", "/machines/52-54-00-aa-00-01"] {
        let report: MachineReport = serde_json::from_slice(&lab.get(path).await.body).expect("a report");
        let [boot] = &report.boots[..] else { panic!("one boot: {report:?}") };
        assert_eq!((boot.stages.len(), boot.events.len()), (1, 1));
    }
    assert_eq!(lab.get("/machines/nobody").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn people_can_follow_events_as_they_happen() {
    let lab = Lab::new().await;
    let mut connection = TcpStream::connect(lab.server).await.expect("a connection");
    connection.write_all(b"GET /events HTTP/1.0\r\n\r\n").await.expect("a request");
    let mut lines = BufReader::new(connection).lines();
    while lines.next_line().await.expect("a head").is_some_and(|line| !line.is_empty()) {}

    lab.get("/ipxe?mac=52:54:00:aa:00:01").await;

    let line = lines.next_line().await.expect("an event").expect("one line");
    let event: Event = serde_json::from_str(&line).expect("an event");
    assert_eq!((event.mac, event.machine.is_some()), (WEB, true));
    assert_eq!(event.what, What::Script { boot: "install".into() });
}

#[tokio::test]
async fn each_installation_has_a_name_of_its_own() {
    let mut lab = Lab::new().await;

    lab.get("/ipxe?mac=52:54:00:aa:00:01").await;
    lab.event().await;

    let meta_data = lab.get("/cloud-init/web/meta-data").await;
    assert!(!meta_data.text().contains("web-0"), "{}", meta_data.text());
    let other = lab.get("/cloud-init/web/meta-data?instance=web-1").await;
    assert!(other.text().contains("instance-id: \"web-1\""), "{}", other.text());
}

#[tokio::test]
async fn a_client_that_reads_slowly_gets_everything_and_holds_up_nobody() {
    let more_than_the_kernel_buffers = 16 << 20;
    let lab = Lab::with_disk(more_than_the_kernel_buffers).await;
    let mut slow = TcpStream::connect(lab.server).await.expect("a connection");
    let request = format!("GET {DISK} HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n");
    slow.write_all(request.as_bytes()).await.expect("a request");
    slow.read_exact(&mut [0; 16]).await.expect("the beginning of an answer");

    assert!(lab.get(DISK).await.body == lab.disk);

    let mut rest = Vec::new();
    slow.read_to_end(&mut rest).await.expect("the rest");
    assert!(rest.ends_with(&lab.disk));
}

#[tokio::test]
async fn a_connection_serves_one_request_after_the_other() {
    let lab = Lab::new().await;
    let mut connection = TcpStream::connect(lab.server).await.expect("a connection");
    connection.set_nodelay(true).expect("a socket option");

    for _ in 0..3 {
        connection.write_all(b"GET /healthz HTTP/1.1\r\nHost: lab\r\n\r\n").await.expect("a request");
        let mut answer = vec![0; 1024];
        let mut length = 0;
        while !answer[..length].ends_with(b"ok\n") {
            let read = connection.read(&mut answer[length..]).await.expect("an answer");
            assert_ne!(read, 0, "{}", String::from_utf8_lossy(&answer));
            length += read;
        }
    }
}

#[tokio::test]
async fn a_head_that_is_too_long_is_refused() {
    let lab = Lab::new().await;

    let answer = lab.request(&format!("GET /healthz HTTP/1.1\r\nCookie: {}\r\n", "x".repeat(64 << 10))).await;

    assert_eq!(answer.status, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
}

fn lease(last: u8, mac: MacAddr) -> LeaseRecord {
    let (granted, expires) = (UnixSeconds(0), UnixSeconds(u64::MAX));
    LeaseRecord {
        mac,
        address: Ipv4Addr::new(10, 77, 0, last),
        state: LeaseState::Bound,
        granted,
        expires,
        hostname: None,
    }
}

const WEB: MacAddr = MacAddr::new([0x52, 0x54, 0, 0xaa, 0, 1]);
const DB: MacAddr = MacAddr::new([0x52, 0x54, 0, 0xaa, 0, 2]);
const SHOP: MacAddr = MacAddr::new([0x52, 0x54, 0, 0xaa, 0, 3]);
const KIOSK: MacAddr = MacAddr::new([0x52, 0x54, 0, 0xaa, 0, 4]);
const STRANGER: MacAddr = MacAddr::new([0x52, 0x54, 0, 0, 0, 0x99]);
const DISK: &str = "/images/debian-12/aarch64/disk.zst?mac=52:54:00:aa:00:01";

/// A server with two machines: `web` with an image that is there, `db` with one that is not.
struct Lab {
    server: SocketAddr,
    state: State,
    disk: Vec<u8>,
    events: broadcast::Receiver<Arc<Event>>,
    _folder: tempfile::TempDir,
}

impl Lab {
    async fn new() -> Self {
        Self::with_disk(5 << 18).await
    }

    /// A lab whose image has a disk of this length.
    async fn with_disk(bytes: u32) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let disk: Vec<u8> = (0..bytes / 4).flat_map(u32::to_le_bytes).collect();
        images::tests::fill(&folder.path().join("images"), &disk);
        images::tests::fill_without_disk(&folder.path().join("images"));
        std::fs::write(folder.path().join("secret"), "secret text").expect("a file");
        let catalogue = images::tests::read(&folder.path().join("images"));
        let inventory = watch::channel(Arc::new(inventory())).1;
        let (journal, writer) =
            journal::open(&folder.path().join("events.jsonl"), inventory.clone()).expect("a journal");
        tokio::spawn(writer.run());
        let state = State {
            inventory,
            images: watch::channel(Arc::new(catalogue)).1,
            profiles: watch::channel(Arc::new(profiles())).1,
            journal,
            plans: plan::tests::published("[lab]\naddress = '10.77.0.1/24'\n"),
            configuration: watch::channel(configuration()).1,
            family: Family::Ipv4,
            is_secure: false,
            identity: None,
            holders: None,
            leases: None,
            clients6: None,
            names: None,
            rivals: None,
            doubts: Doubts::default(),
            about: About::new("10.77.0.1/24".parse().expect("a network"), None),
            limits: Limits::new(4, 2),
            stopping: CancellationToken::new(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let server = listener.local_addr().expect("an address");
        let events = state.journal.follow();
        tokio::spawn(serve(listener, state.clone(), Pulses::default().of("http"), state.stopping.clone()));
        Self { server, state, disk, events, _folder: folder }
    }

    /// The next event.
    async fn event(&mut self) -> (MacAddr, What) {
        let event = timeout(Duration::from_secs(10), self.events.recv()).await.expect("in time").expect("an event");
        (event.mac, event.what.clone())
    }

    async fn get(&self, path: &str) -> Answer {
        self.request(&format!("GET {path} HTTP/1.1\r\n")).await
    }

    async fn post(&self, path: &str, body: &str) -> Answer {
        self.exchange(&format!("POST {path} HTTP/1.1\r\nContent-Length: {}\r\n", body.len()), body).await
    }

    async fn request(&self, head: &str) -> Answer {
        self.exchange(head, "").await
    }

    async fn exchange(&self, head: &str, body: &str) -> Answer {
        let mut connection = TcpStream::connect(self.server).await.expect("a connection");
        let request = format!("{head}Host: lab\r\nConnection: close\r\n\r\n{body}");
        // A server that refuses early does not read on.
        let _ = connection.write_all(request.as_bytes()).await;
        let mut answer = Vec::new();
        match connection.read_to_end(&mut answer).await {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset),
        }
        Answer::parse(answer)
    }
}

struct Answer {
    status: StatusCode,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Answer {
    fn parse(answer: Vec<u8>) -> Self {
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
        let head = String::from_utf8(answer[..end].to_vec()).expect("a head of text");
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).expect("a status line");
        let headers = lines.filter_map(|line| line.split_once(": "));
        Self {
            status: status.parse().expect("a status"),
            headers: headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect(),
            body: answer[end + 4..].to_vec(),
        }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }
}

fn configuration() -> Configuration {
    let (sha256, since) = (Sha256([7; 32]), Timestamp::UNIX_EPOCH);
    Configuration { sha256, since, problem: None, restart_for: vec!["http.port".to_owned()] }
}

fn inventory() -> Inventory {
    let web = "name = 'web'\narch = 'aarch64'\nmac = '52:54:00:aa:00:01'\npxeboot = true\ndistro = 'debian-12'\n\
               disk = '/dev/vdb'\nssh_key = 'ssh-ed25519 AAAAC3 lab'\n";
    let db = "name = 'db'\narch = 'x86_64'\nmac = '52:54:00:aa:00:02'\nip = '10.77.0.20'\npxeboot = true\n\
              distro = 'ubuntu-24.04'\n";
    let shop = "name = 'shop'\narch = 'aarch64'\nmac = '52:54:00:aa:00:03'\npxeboot = true\nprofile = 'menu'\n";
    let kiosk = "name = 'kiosk'\narch = 'aarch64'\nmac = '52:54:00:aa:00:04'\npxeboot = true\ndistro = 'netboot'\n";
    let files = [("web.toml", web), ("db.toml", db), ("shop.toml", shop), ("kiosk.toml", kiosk)]
        .map(|(file, text)| DefinitionFile { file: file.to_owned(), text: Ok(text.to_owned()) });
    Inventory::build(&files, "10.77.0.1/24".parse::<lab_model::Ipv4Net>().expect("a network"), &Inventory::default())
}

fn profiles() -> Profiles {
    let netboot = "kind = 'installer'\nimage = 'debian-12'\narguments = 'url={{ documents }}/preseed.cfg'\n\
                   documents = { 'preseed.cfg' = 'preseed.cfg.j2' }";
    let files = |files: &[(&str, &str)]| files.iter().map(|(name, text)| ((*name).into(), (*text).into())).collect();
    let folders = [
        ("menu", files(&[("profile.toml", "kind = 'menu'\nitems = ['netboot']")])),
        ("netboot", files(&[("profile.toml", netboot), ("preseed.cfg.j2", "hostname {{ machine.name }}\n")])),
    ];
    let folders = folders.into_iter().map(|(name, files)| (name.parse().expect("a name"), files));
    Profiles::build(folders.collect(), &Profiles::default())
}

fn path(url: &str) -> &str {
    url.strip_prefix("http://10.77.0.1").expect("a URL of the server")
}

fn sha256(bytes: &[u8]) -> Sha256 {
    Sha256(sha2::Sha256::digest(bytes).into())
}
