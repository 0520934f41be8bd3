//! `pvmlab distro pull`, `update` and `verify`, from a server that has every fault.

#![allow(clippy::disallowed_methods, reason = "tests make their input with other programs")]

#[path = "../bench/mod.rs"]
mod bench;
mod server;
#[path = "../../../crates/disk-image/tests/vendor/mod.rs"]
mod vendor;

use std::fs;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;

use bench::Lab;
use server::{Fault, File, Server};

const PULL: [&str; 5] = ["distro", "pull", "test-1", "--arch", "x86_64"];
const IMAGE: &str = "/v/test.img";
const CHUNK: usize = 1 << 20;

#[test]
fn an_image_is_pulled_once_and_followed() {
    let (lab, server) = lab();

    let mut said = vec![
        run(&lab, &server, &PULL),
        run(&lab, &server, &PULL),
        run(&lab, &server, &["distro", "show", "test-1"]),
        run(&lab, &server, &["distro", "verify"]),
        run(&lab, &server, &["distro", "update"]),
    ];
    let asked = server.requests();
    server.publish(IMAGE, second());
    said.extend([
        run(&lab, &server, &["distro", "update", "test-1"]),
        lab.images(),
        run(&lab, &server, &PULL),
        lab.images(),
    ]);

    insta::assert_snapshot!("followed", said.join("\n"));
    assert_eq!(asked, ["/v/SHA256SUMS", IMAGE, "/v/SHA256SUMS", "/v/SHA256SUMS"]);
    assert_eq!(server.requests(), ["/v/SHA256SUMS", "/v/SHA256SUMS", IMAGE]);
}

#[test]
fn what_disks_are_laid_over_stays_while_they_do() {
    let (lab, server) = lab();
    let bases = || -> Vec<String> { lab.files().into_iter().filter(|file| file.contains("/base-")).collect() };
    let create = ["provisioner", "create", "p", "--ip", "10.77.0.1/24", "--arch", "x86_64"];
    run(&lab, &server, &PULL);
    run(&lab, &server, &create);
    let first = bases();

    server.publish(IMAGE, second());
    run(&lab, &server, &PULL);
    run(&lab, &server, &["vm", "create", "new", "--arch", "x86_64"]);
    let both = bases();
    run(&lab, &server, &["vm", "clean", "p"]);
    server.publish(IMAGE, File { content: vendor::ubuntu(vendor::x86_64()), etag: Some("\"3\""), ..File::default() });
    run(&lab, &server, &PULL);

    let is_whole = Command::new("qemu-img").args(["check", "-q"]).arg(lab.home().join("vms/new.qcow2")).status();
    assert!(is_whole.expect("it runs").success());
    assert_eq!((first.len(), both.len()), (1, 2), "{both:?}");
    assert!(both.contains(&first[0]));
    assert_eq!(bases(), both.into_iter().filter(|base| base != &first[0]).collect::<Vec<_>>());
    assert!(lab.run(&["distro", "verify"]).contains("whole"));
}

#[test]
fn a_connection_that_breaks_again_and_again_gets_there() {
    let (lab, server) = lab();
    server.fail([Fault::Cut(CHUNK), Fault::Cut(CHUNK), Fault::Status(503), Fault::Cut(CHUNK)]);

    let said = run(&lab, &server, &PULL);

    assert!(said.contains("pulled image `test-1`"), "{said}");
    let asked = server.requests();
    let offset = |request: &str| request.rsplit_once('=')?.1.strip_suffix('-')?.parse::<usize>().ok();
    let offsets: Vec<_> = asked.iter().filter_map(|request| offset(request)).collect();
    assert_eq!(offsets, [CHUNK, 2 * CHUNK, 2 * CHUNK, 3 * CHUNK], "{asked:?}");
}

#[test]
fn parts_of_an_image_come_by_their_urls_and_go_on_where_they_broke_off() {
    let (lab, server) = lab();
    fs::write(lab.folder().join("linux"), vendor::x86_64()).expect("written");
    let initrd = format!("{}#sha256:{}", server.url(IMAGE), server_digest(&first_file()));
    let add = ["distro", "add", "--name", "netboot", "--arch", "x86_64", "--kernel", "linux", "--initrd", &initrd];
    server.fail([Fault::Cut(CHUNK)]);

    let said = run(&lab, &server, &add);

    assert!(said.contains("registered image `netboot` for x86_64, without a disk"), "{said}");
    assert_eq!(server.requests(), [IMAGE.to_owned(), format!("{IMAGE} bytes={CHUNK}-")]);
    assert!(fs::read(lab.home().join("images/netboot/x86_64/initrd.img")).expect("read") == DISKS[0]);
    let left: Vec<_> = lab.files().into_iter().filter(|file| file.starts_with("downloads/")).collect();
    assert_eq!(left, [""; 0]);
}

#[test]
fn ctrl_c_keeps_what_came_and_the_next_pull_goes_on() {
    let (lab, server) = lab();
    server.fail([Fault::Hold(CHUNK)]);
    let child = start(&lab, &PULL);
    server.wait_for_hold();
    let part = lab.home().join("downloads/test-1/x86_64/part");
    while fs::metadata(&part).map_or(0, |part| part.len()) < CHUNK as u64 {
        std::thread::yield_now();
    }

    signal(&child, "INT");
    let interrupted = child.wait_with_output().expect("it ends");
    let kept = lab.files();
    server.requests();
    let said = [hide(&server, &lab.transcript(&PULL, &interrupted)), run(&lab, &server, &PULL)].join("\n");

    insta::assert_snapshot!("interrupted", said);
    assert_eq!(kept[..2], ["distros.yaml", "downloads/test-1/x86_64/part"], "{kept:?}");
    assert_eq!(server.requests(), ["/v/SHA256SUMS".to_owned(), format!("{IMAGE} bytes={CHUNK}-")]);
}

#[test]
fn an_upstream_that_changes_meanwhile_is_never_mixed() {
    let other = |ignores_if_range| File { ignores_if_range, ..second() };
    let liar = File { etag: first_file().etag, ..other(true) };
    let weak = File { etag: Some("W/\"1\""), ..first_file() };
    let unmarked = File { etag: None, ..first_file() };
    let dated = |time| File { etag: None, last_modified: Some(time), ..first_file() };
    let (monday, tuesday) = ("Mon, 02 Nov 2026 00:00:00 GMT", "Tue, 03 Nov 2026 00:00:00 GMT");
    let changes = [
        (first_file(), other(false), "a server that honours If-Range"),
        (first_file(), other(true), "a server that does not, and says so by its tag"),
        (first_file(), liar, "a server that gives two files one tag"),
        (weak.clone(), weak, "a server that does not vouch for bytes"),
        (unmarked.clone(), unmarked, "a server that cannot tell versions apart"),
        (dated(monday), File { content: second().content, ..dated(tuesday) }, "a server that knows times"),
    ];
    for (before, after, what) in changes {
        let (lab, server) = lab();
        server.publish(IMAGE, before);
        // The list is read before the file comes: it has the newer one already.
        let digest = server_digest(&after);
        server.put("/v/SHA256SUMS", &format!("{digest}  test.img\n"));
        server.fail([Fault::CutAndChange(CHUNK, after)]);

        let said = run(&lab, &server, &PULL);

        assert!(said.contains("pulled image `test-1` for x86_64"), "{what}: {said}");
    }
}

#[test]
fn a_file_of_this_computer_is_followed_too() {
    let (server, lab) = (Server::start(), Lab::new());
    let path = lab.folder().join("test.img");
    fs::write(&path, first_file().content).expect("written");
    let add = ["distro", "add", &format!("file://{}", path.display()), "--name", "own", "--arch", "x86_64"];

    let said = [
        run(&lab, &server, &add),
        run(&lab, &server, &["distro", "update"]),
        run(&lab, &server, &["distro", "pull", "own", "--arch", "x86_64"]),
        {
            fs::write(&path, second().content).expect("written");
            run(&lab, &server, &["distro", "update"])
        },
        run(&lab, &server, &["distro", "pull", "own", "--arch", "x86_64"]),
        run(&lab, &server, &["distro", "rm", "own", "--arch", "x86_64"]),
    ]
    .join("\n");

    insta::assert_snapshot!("own", said);
    assert_eq!(lab.files(), [""; 0]);
}

#[test]
fn what_is_not_the_vendors_is_refused_and_removed() {
    let (lab, server) = lab();
    let wrong = |list: &str| {
        server.put("/v/SHA256SUMS", list);
        run(&lab, &server, &PULL)
    };

    let said = [
        wrong(&format!("{}  test.img\n", "0".repeat(64))),
        wrong(&format!("{}  another.img\n", "0".repeat(64))),
        wrong(&format!("{0}1  test.img\n{0}2  test.img\n", "0".repeat(63))),
        wrong("<html>"),
    ]
    .join("\n");

    let found = server_digest(&first_file());
    insta::assert_snapshot!("not_the_vendors", said.replace(&found, "FOUND"));
    assert_eq!(lab.files(), ["distros.yaml"]);
}

#[test]
fn an_end_that_nobody_announced_is_noticed_by_the_checksum() {
    let (lab, server) = lab();
    server.fail([Fault::Unannounced(CHUNK)]);

    let said = run(&lab, &server, &PULL);

    assert!(said.contains("is not what its vendor lists") && said.contains("[exit 1]"), "{said}");
    assert_eq!(lab.files(), ["distros.yaml"]);
}

#[test]
fn each_failure_has_its_message_and_exit_code() {
    let (lab, server) = lab();
    let failing = |faults: Vec<Fault>| {
        server.fail(faults);
        run(&lab, &server, &PULL)
    };

    let said = [
        failing(vec![Fault::Status(404)]),
        failing(vec![Fault::Status(403)]),
        failing((0..5).map(|_| Fault::Status(503)).collect()),
        failing((0..9).map(|_| Fault::Redirect(IMAGE)).collect()),
        run(&lab, &server, &["distro", "pull", "nonesuch", "--arch", "x86_64"]),
        run(&lab, &server, &["distro", "pull", "test-1", "--arch", "aarch64"]),
        run(&lab, &server, &["distro", "add", "http://h/a.img", "--arch", "x86_64"]),
        run(&lab, &server, &["distro", "add", "ftp://h/a.img"]),
        run(&lab, &server, &["distro", "add", "https://h/", "--arch", "x86_64"]),
        run(&lab, &server, &["distro", "update", "test-1"]),
    ]
    .join("\n");

    insta::assert_snapshot!("failures", said);
    assert_eq!(lab.files(), ["distros.yaml"]);
}

#[test]
fn a_server_that_says_nothing_more_is_given_up() {
    let (lab, server) = lab();
    server.fail((0..5).map(|_| Fault::Stall(0)));
    let mut command = lab.command(&PULL);

    let output = command.env("PVMLAB_NETWORK_TIMEOUT", "1").output().expect("it runs");

    insta::assert_snapshot!("stalled", hide(&server, &lab.transcript(&PULL, &output)));
}

#[test]
fn a_server_that_is_not_there_is_given_up() {
    let server = Server::start();
    let lab = Lab::new();
    // Nobody listens where nobody may.
    lab.write("distros.yaml", &entry("http://127.0.0.1:1/v/test.img", "checksums: SHA256SUMS"));

    insta::assert_snapshot!("unreachable", run(&lab, &server, &PULL));
}

#[test]
fn a_redirect_is_followed() {
    let (lab, server) = lab();
    server.publish("/elsewhere/test.img", first_file());
    server.fail([Fault::Redirect("/elsewhere/test.img")]);

    let said = run(&lab, &server, &PULL);

    assert!(said.contains("pulled image `test-1`"), "{said}");
}

#[test]
fn a_full_disk_is_told_of_and_what_came_is_kept() {
    let (lab, server) = lab();
    let command = lab.command(&PULL);
    let mut limited = Command::new("bash");
    // What a full disk does, a limit on a file's length does as well.
    limited.args(["-c", "trap '' XFSZ; ulimit -f 2048; exec \"$0\" \"$@\""]).arg(command.get_program());
    limited.args(command.get_args()).current_dir(lab.folder()).stdin(Stdio::null());
    limited.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));

    let output = limited.output().expect("it runs");
    server.requests();
    let said = [hide(&server, &lab.transcript(&PULL, &output)), run(&lab, &server, &PULL)].join("\n");

    insta::assert_snapshot!("full", said);
    assert_eq!(server.requests()[1], format!("{IMAGE} bytes={}-", 2048 << 10), "it went on");
}

#[test]
fn what_would_not_fit_is_not_begun() {
    let (lab, server) = lab();
    server.fail([Fault::Boast]);

    let said = run(&lab, &server, &PULL);

    assert!(said.contains("1073741824 MiB may be needed") && said.contains("[exit 5]"), "{said}");
    assert!(!lab.home().join("downloads/test-1/x86_64/part").exists());
}

#[test]
fn of_two_pulls_of_one_image_one_waits() {
    let (lab, server) = lab();
    server.fail([Fault::Hold(CHUNK)]);
    let first = start(&lab, &PULL);
    server.wait_for_hold();

    let mut second = start(&lab, &PULL);
    let mut told = [0; "waiting".len()];
    std::io::Read::read_exact(second.stderr.as_mut().expect("piped"), &mut told).expect("it says something");
    server.release();
    let (first, second) = (first.wait_with_output().expect("it ends"), second.wait_with_output().expect("it ends"));

    assert_eq!(&told, b"waiting");
    assert!(first.status.success() && second.status.success());
    assert!(String::from_utf8_lossy(&second.stderr).ends_with("is up to date\n"));
    let images = server.requests().into_iter().filter(|request| request.starts_with(IMAGE)).count();
    assert_eq!(images, 1);
}

#[test]
fn several_are_pulled_and_one_that_fails_holds_up_none() {
    let (lab, server) = lab();
    let entries: String = ["a", "b", "c", "d"]
        .map(|name| {
            if name != "c" {
                server.publish(&format!("/v/{name}.img"), first_file());
            }
            entry(&server.url(&format!("/v/{name}.img")), "checksums: SHA256SUMS").replace("test-1", name)
        })
        .concat();
    server.put(
        "/v/SHA256SUMS",
        &["a", "b", "c", "d"].map(|name| format!("{}  {name}.img\n", server_digest(&first_file()))).concat(),
    );
    lab.write("distros.yaml", &entries);

    let output = lab.output(&["distro", "pull", "a", "b", "c", "d", "--arch", "x86_64"]);

    let said = String::from_utf8_lossy(&output.stderr).replace(&server.address(), "SERVER");
    // Reports of what was found come in the order of arrival.
    let said: Vec<_> = said.lines().filter(|line| !line.contains(" is raw:")).collect();
    insta::assert_snapshot!("several", said.join("\n"));
}

#[test]
fn a_mirror_and_a_proxy_lead_elsewhere() {
    let server = Server::start();
    let lab = Lab::new();
    server.publish("/ubuntu/noble/current/noble-server-cloudimg-amd64.img", first_file());
    let pull = ["distro", "pull", "--arch", "x86_64"];
    let with = |name: &str, value: &str| {
        let output = lab.command(&pull).env(name, value).output().expect("it runs");
        hide(&server, &lab.transcript(&pull, &output))
    };

    let mirrored = with("PVMLAB_MIRROR", &format!("https://cloud-images.ubuntu.com/={}", server.url("/ubuntu/")));
    let nonsense = [with("PVMLAB_MIRROR", "mirror.lan"), with("https_proxy", "socks5://p:1")].join("\n");
    lab.write("distros.yaml", &entry("http://images.invalid/v/test.img", "checksums: SHA256SUMS"));
    server.publish(IMAGE, first_file());
    server.requests();
    let proxied = lab.command(&PULL).env("HTTP_PROXY", server.url("/")).output().expect("it runs");

    assert!(mirrored.contains("pulled image `ubuntu-24.04` for x86_64"), "{mirrored}");
    assert!(proxied.status.success(), "{}", lab.transcript(&PULL, &proxied));
    assert_eq!(server.requests()[..2], ["CONNECT images.invalid:80", "/v/SHA256SUMS"]);
    insta::assert_snapshot!("nonsense", nonsense);
}

#[test]
fn a_broken_image_is_found_and_pulled_again() {
    let (lab, server) = lab();
    run(&lab, &server, &PULL);
    let folder = lab.home().join("images/test-1/x86_64");
    let initrd = folder.join("initrd.img");
    let length = fs::metadata(&initrd).expect("there").len() as usize;
    fs::write(&initrd, vec![b'x'; length]).expect("written");

    let said = [
        run(&lab, &server, &["distro", "verify", "test-1"]),
        run(&lab, &server, &["distro", "rm", "test-1", "--arch", "x86_64"]),
        run(&lab, &server, &["distro", "verify", "test-1"]),
        run(&lab, &server, &PULL),
    ]
    .join("\n");

    insta::assert_snapshot!("broken", said);
}

#[test]
fn an_image_of_ones_own_does_not_become_another() {
    let (lab, server) = lab();
    let own = lab.image("test-1", "x86_64");
    run(&lab, &server, &["distro", "add", own.to_str().expect("text")]);
    server.requests();

    insta::assert_snapshot!("ones_own", run(&lab, &server, &PULL));
    assert_eq!(server.requests(), [""; 0]);
}

fn lab() -> (Lab, Server) {
    let server = Server::start();
    server.publish(IMAGE, first_file());
    let lab = Lab::new();
    listed(&lab, &server);
    (lab, server)
}

fn listed(lab: &Lab, server: &Server) {
    lab.write("distros.yaml", &entry(&server.url(IMAGE), "checksums: SHA256SUMS"));
}

fn entry(url: &str, verification: &str) -> String {
    format!("- name: test-1\n  arch:\n    x86_64:\n      url: {url}\n      {verification}\n")
}

/// Made once: file systems have identifiers that differ each time.
static DISKS: LazyLock<[Vec<u8>; 2]> =
    LazyLock::new(|| [vendor::debian(vendor::x86_64()), vendor::fedora(vendor::x86_64(), "")]);

fn first_file() -> File {
    File { content: DISKS[0].clone(), etag: Some("\"1\""), ..File::default() }
}

fn second() -> File {
    File { content: DISKS[1].clone(), etag: Some("\"2\""), ..File::default() }
}

fn server_digest(file: &File) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(&file.content).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn run(lab: &Lab, server: &Server, arguments: &[&str]) -> String {
    hide(server, &lab.run(arguments))
}

/// Ports and times differ each time.
fn hide(server: &Server, text: &str) -> String {
    let hide_time = |line: &str| match line.split_once("MiB, 20") {
        Some((before, _)) if line.starts_with("  pulled") => format!("{before}MiB, WHEN"),
        _ => line.to_owned(),
    };
    let text = text.replace(&server.address(), "SERVER");
    text.lines().map(hide_time).collect::<Vec<_>>().join("\n") + "\n"
}

fn start(lab: &Lab, arguments: &[&str]) -> Child {
    let mut command = lab.command(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs")
}

fn signal(child: &Child, name: &str) {
    let signal = format!("-{name}");
    assert!(Command::new("kill").args([&signal, &child.id().to_string()]).status().expect("it runs").success());
}
