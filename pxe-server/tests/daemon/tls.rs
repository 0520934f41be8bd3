//! TLS, as curl and openssl see it, with certificates that are made as `docs/tls.md` says.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Command, Output};

use lab_model::Health;
use lab_tests::certificates::{make, shell};
use lab_tests::process::{run, until};
use lab_tests::{Namespace, SERVER, SERVER6};

use crate::client::http_get;
use crate::server::{HTTP_ONLY, LIMIT, ON_THE_BRIDGE, Server, definition};

#[test]
fn everything_is_served_by_tls_as_it_is_without() {
    let _namespace = Namespace::enter().unwrap();
    let server = serving();

    for path in [
        // First: it says when a machine was heard of, and what is fetched below becomes known a moment later.
        "/machines",
        "/healthz",
        "/boot/ipxe-arm64.efi",
        "/boot/autoexec.ipxe",
        "/installer/aarch64",
        "/images/debian-12/aarch64/vmlinuz",
        "/config/52:54:00:00:00:01",
        "/cloud-init/web/user-data",
        "/cloud-init/web/seed.iso?instance=1",
    ] {
        let plain = curl(&server, &[&format!("http://{SERVER}{path}")]);
        let secure = curl(&server, &[&format!("https://{SERVER}{path}")]);
        assert!(!plain.is_empty() && plain == secure, "{path}: {} and {} bytes", plain.len(), secure.len());
    }
    let image = format!("https://{SERVER}/images/debian-12/aarch64/vmlinuz");
    let part = curl(&server, &["--range", "1048570-1048580", &image]);
    assert_eq!(part, contents()[1_048_570..=1_048_580]);
    let report = ["--data", r#"{"phase":"seed"}"#, "--output", "-", "--write-out", "%{http_code}"];
    let events = format!("https://{SERVER}/events/52:54:00:00:00:01");
    assert_eq!(curl(&server, &[&report[..], &[&events]].concat()), b"204");
}

#[test]
fn a_boot_program_believes_the_authority_and_is_led_on_by_tls() {
    let _namespace = Namespace::enter().unwrap();
    let server = serving();

    let text = |url: &str| String::from_utf8(curl(&server, &[url])).unwrap();
    let first = text(&format!("tftp://{SERVER}/autoexec.ipxe"));
    let script = text(&format!("https://{SERVER}/ipxe?mac=52:54:00:00:00:01&arch=arm64"));
    let plain = text(&format!("http://{SERVER}/ipxe?mac=52:54:00:00:00:01&arch=arm64"));

    assert!(first.contains(" https://10.77.0.1/ipxe?mac="), "{first}");
    assert!(script.contains(" https://10.77.0.1/images/debian-12/aarch64/vmlinuz?"), "{script}");
    assert!(script.contains("=http://10.77.0.1/config/"), "the installer speaks no TLS: {script}");
    assert!(!plain.contains("https:"), "who came without TLS may know no authority: {plain}");
    shell(&server.path("."), "openssl x509 -in ca.crt -outform der | openssl dgst -sha256 -binary > root").unwrap();
    let root = fs::read(server.path("root")).unwrap();
    for program in ["ipxe-arm64.efi", "ipxe-x86_64.efi"] {
        let program = curl(&server, &[&format!("tftp://{SERVER}/{program}")]);
        assert_eq!(program.windows(32).filter(|window| **window == root).count(), 1);
    }
    // What iPXE can do.
    let ciphers = ["--tls-max", "1.2", "--ciphers", "ECDHE-RSA-AES256-GCM-SHA384"];
    assert_eq!(curl(&server, &[&ciphers[..], &[&format!("https://{SERVER}/healthz")]].concat()), b"ok\n");
}

#[test]
fn a_certificate_that_is_replaced_is_taken_up_and_a_wrong_one_is_not() {
    let _namespace = Namespace::enter().unwrap();
    let server = serving();
    let first = fingerprint(&server);

    make(&server.path("new"), SERVER.into()).unwrap();
    fs::rename(server.path("new/server.key"), server.path("server.key")).unwrap();
    until(LIMIT, || Ok(problem().filter(|problem| problem.contains("http.tls.key: ")))).unwrap().expect("it is told");
    assert_eq!(fingerprint(&server), first, "the last good one stays");
    for file in ["server.crt", "ca.crt"] {
        fs::rename(server.path("new").join(file), server.path(file)).unwrap();
    }
    server.reload();

    until(LIMIT, || Ok(problem().is_none().then_some(()))).unwrap().expect("it is good again");
    assert_ne!(fingerprint(&server), first);
    assert_eq!(curl(&server, &[&format!("https://{SERVER}/healthz")]), b"ok\n");
}

#[test]
fn what_no_client_could_believe_is_told_with_file_and_what_was_expected() {
    let server = Server::configured(&HTTP_ONLY.replace("port = 0\n", &format!("port = 0\n{TLS}")));
    let here = server.path(".");
    for (wrong, told) in [
        ("rm server.crt", "http.tls.certificate: FOLDER/server.crt: No such file"),
        ("echo > server.crt", "server.crt: there is no certificate in it: expected PEM with -----BEGIN CERTIFICATE-----"),
        ("sed -i s/M/N/ server.crt", "http.tls.certificate: FOLDER/server.crt"),
        ("chmod o+r server.key", "http.tls.key: FOLDER/server.key: everybody may read it: expected its owner and group"),
        ("openssl genrsa -out server.key 2048", "http.tls.key: FOLDER/server.key: it is another certificate's"),
        ("openssl rsa -aes128 -passout pass:word -in server.key -out server.key", "http.tls.key: FOLDER/server.key: there is no key"),
        ("cat server.crt >> ca.crt", "http.tls.authority: FOLDER/ca.crt: there are 2 certificates: expected the root alone"),
        ("cp server.crt ca.crt", "http.tls.certificate: FOLDER/server.crt: it does not lead to the last certificate"),
        ("sed -i /authority/d config.toml", "there is one certificate: expected those that lead to its root behind it"),
        (
            "sed -i s/10.0.2.2/10.0.2.3/ server.ext; openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -extfile server.ext -out server.crt",
            "it is not for 10.0.2.2, where machines come to: expected it as subjectAltName=IP:10.0.2.2",
        ),
        (
            "openssl ecparam -genkey -name prime256v1 -noout -out server.key; openssl req -new -key server.key -subj /CN=a -out server.csr
             openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -extfile server.ext -out server.crt",
            "http.tls.key: FOLDER/server.key: it is of the kind ECDSA: expected RSA, the only one that iPXE knows",
        ),
        (
            "openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -extfile server.ext -days 13 -out server.crt",
            "problem: http.tls.certificate ends on ",
        ),
    ] {
        make(&here, Ipv4Addr::new(10, 0, 2, 2).into()).unwrap();
        shell(&here, "mkdir -p state/images state/profiles; cp config.toml config.good").unwrap();
        let (_, errors, good) = server.check();
        assert!(good.success(), "{errors}");

        shell(&here, wrong).unwrap();
        let (_, errors, status) = server.check();

        assert!(!status.success() && errors.replace("/./", "/").contains(told), "{wrong}: {errors}");
        shell(&here, "cp config.good config.toml").unwrap();
    }
}

#[test]
fn a_certificate_that_has_ended_is_told_and_keeps_nothing_from_starting() {
    let _namespace = Namespace::enter().unwrap();
    let mut server = Server::configured(&format!("{ON_THE_BRIDGE}[http]\n{TLS}"));
    make(&server.path("."), SERVER.into()).unwrap();
    shell(&server.path("."), LONG_AGO).unwrap();

    server.start();

    server.wait_for_log("http.tls.certificate has ended on ");
    assert!(problem().unwrap().starts_with("http.tls.certificate has ended on "));
    let refused = ask(&server.path("ca.crt"), &[&format!("https://{SERVER}/healthz")]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("certificate has expired"), "{refused:?}");
}

#[test]
fn who_comes_by_ipv6_is_led_on_by_it() {
    let _namespace = Namespace::enter_ipv6().unwrap();
    let mut server = serving();
    server.wait_for_log(&format!(
        "it is not for {SERVER6}, where machines come to: expected it as subjectAltName=IP:{SERVER6}"
    ));
    let sign = "openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -extfile server.ext -out server.crt";
    shell(&server.path("."), &format!("sed -i s/IP:{SERVER}/\\&,IP:{SERVER6}/ server.ext; {sign}")).unwrap();
    server.kill();

    server.start();

    assert!(!server.log().contains("it is not for"), "{}", server.log());
    let script = curl(&server, &[&format!("https://[{SERVER6}]/ipxe?mac=52:54:00:00:00:01&arch=arm64")]);
    let script = String::from_utf8(script).unwrap();
    assert!(script.contains(&format!(" https://[{SERVER6}]/images/debian-12/aarch64/vmlinuz?")), "{script}");
}

#[test]
fn who_does_not_speak_tls_is_told_or_left_and_nobody_else_notices() {
    let _namespace = Namespace::enter().unwrap();
    let server = serving();
    let answer = |bytes: &[u8]| {
        let mut stream = TcpStream::connect((SERVER, 443)).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        // A server that refuses early does not read on.
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        answer
    };

    let (status, told) = http_get(&format!("http://{SERVER}:443/healthz"));
    assert_eq!((status, &told[..]), (400, "here is TLS: the URL begins https://\n"));
    assert_eq!(answer(b"\0\xff\x80hello"), b"");
    let noise: Vec<u8> = (0..70_000_u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for beginning in [&b"\x16"[..], b"\x16\x03\x01\xff\xff", b"\x16\x03\x01\x00\x05\x01\xff\xff\xff\xff"] {
        let answered = answer(&[beginning, &noise].concat());
        assert!(answered.is_empty() || answered[0] == ALERT, "{answered:?}");
    }
    let _silent: Vec<_> = (0..255).map(|_| TcpStream::connect((SERVER, 443)).unwrap()).collect();

    assert_eq!(curl(&server, &[&format!("https://{SERVER}/healthz")]), b"ok\n");
}

/// A server on the namespace's bridge with TLS, one machine and its image.
pub(crate) fn serving() -> Server {
    let mut server = Server::configured(&format!("{ON_THE_BRIDGE}[http]\n{TLS}"));
    make(&server.path("."), SERVER.into()).unwrap();
    fs::create_dir(server.path("new")).unwrap();
    let image = server.path("state/images/debian-12/aarch64");
    fs::create_dir_all(&image).unwrap();
    fs::write(image.join("vmlinuz"), contents()).unwrap();
    shell(&image, MANIFEST).unwrap();
    server.define("web.toml", &format!("{}pxeboot = true\ndistro = 'debian-12'\n", definition("web", 1, "10.77.0.10")));
    server.start();
    server
}

/// What curl prints that knows the authority.
fn curl(server: &Server, arguments: &[&str]) -> Vec<u8> {
    let Output { status, stdout, stderr } = ask(&server.path("ca.crt"), arguments);
    assert!(status.success(), "{arguments:?}: {}\n{}", String::from_utf8_lossy(&stderr), server.log());
    stdout
}

/// How curl ends that knows this authority.
pub(crate) fn ask(authority: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--fail", "--max-time", "120", "--cacert"]).arg(authority);
    command.args(arguments).output().unwrap()
}

/// The fingerprint of the certificate that the server sends first.
fn fingerprint(server: &Server) -> String {
    let commands = "openssl s_client -connect 10.77.0.1:443 -CAfile ca.crt < /dev/null 2>/dev/null | openssl x509 -noout -fingerprint";
    let folder = server.path(".");
    run("sh", &["-ec".to_owned(), format!("cd {}; {commands}", folder.display())]).unwrap()
}

/// What the server says is wrong with its certificate.
fn problem() -> Option<String> {
    let (_, health) = http_get(&format!("http://{SERVER}/health"));
    let tls = serde_json::from_str::<Health>(&health).unwrap().tls.unwrap();
    assert_eq!(tls.url, format!("https://{SERVER}"));
    tls.problem
}

/// A file of many TLS records, and not a whole number of them.
fn contents() -> Vec<u8> {
    (0..1_100_000_u32).flat_map(u32::to_le_bytes).collect()
}

const TLS: &str = "tls.certificate = 'server.crt'\ntls.key = 'server.key'\ntls.authority = 'ca.crt'\n";

/// The image as its manifest has it.
const MANIFEST: &str = r#"
cp vmlinuz initrd.img; cp vmlinuz disk.zst
size=$(stat -c %s vmlinuz); sha256=$(sha256sum vmlinuz | cut -c -64)
file() { printf '"file":"%s","size":%s,"sha256":"%s"' $1 $size $sha256; }
printf '{"name":"debian-12","arch":"aarch64","kernel":{%s},"initrd":{%s},"disk":{%s,"compression":"zstd","raw-size":512,
    "chunk-size":16777216,"chunks":[{"size":%s,"sha256":"%s"}]}}' \
    "$(file vmlinuz)" "$(file initrd.img)" "$(file disk.zst)" $size $sha256 > manifest.json
"#;

/// Another certificate for the same key, as openssl(1) makes one that has ended.
const LONG_AGO: &str = r"
printf '%s\n' '[ca]' default_ca=lab '[lab]' database=index serial=number new_certs_dir=. policy=any '[any]' commonName=supplied > ca.conf
touch index
echo 01 > number
openssl ca -batch -notext -config ca.conf -cert ca.crt -keyfile ca.key -md sha256 -extfile server.ext \
    -startdate 20200101000000Z -enddate 20200201000000Z -in server.csr -out server.crt
";

/// The first byte of a TLS record with an alert (RFC 8446 §5.1).
const ALERT: u8 = 21;
