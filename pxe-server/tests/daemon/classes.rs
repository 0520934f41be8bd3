//! Classes of clients that say what their members boot.

use std::fs;

use dhcproto::v4::DhcpOption;
use lab_model::MacAddr;
use lab_tests::Namespace;
use lab_tests::process::{run, until};

use crate::client::{DhcpClient, elsewhere, http_get};
use crate::server::{LIMIT, ON_THE_BRIDGE, Server, definition};

#[test]
fn a_stranger_boots_by_its_class_after_a_restart_too() {
    let namespace = Namespace::enter().unwrap();
    let mut server = serving("rescue");

    elsewhere(&namespace, || board(STRANGER).address());
    wait_for_script(STRANGER, "stranger-525400000009 aarch64 rescue");
    server.wait_for("state/strangers.jsonl", r#""event":"class","name":"boards","arch":"aarch64""#);
    assert!(server.stop().success());
    server.start();

    assert!(script(STRANGER).contains("stranger-525400000009 aarch64 rescue"), "{}", script(STRANGER));
    let told = server.wait_for_log("stage=\"script\"");
    assert!(told.contains("class=\"boards\"") && told.contains("boot=\"script\""), "{told}");
    let (_, status) = http_get(&format!("http://10.77.0.1/machines/{STRANGER}"));
    assert!(status.contains(r#""class":"boards""#) && !status.contains("failure"), "{status}");
}

#[test]
fn its_documents_and_reports_are_its_own() {
    let namespace = Namespace::enter().unwrap();
    let server = serving("rescue");

    let (own, anothers) = elsewhere(&namespace, || {
        let [own, another] = [STRANGER, OTHER].map(|mac| board(mac).address());
        wait_for_script(OTHER, "rescue");
        run("ip", &["address", "flush", "dev", "eth0"]).unwrap();
        run("ip", &["address", "add", &format!("{own}/24"), "dev", "eth0"]).unwrap();
        let ask = |mac: &str| http_get(&format!("http://10.77.0.1/profiles/stranger-{mac}/answers"));
        assert_ne!(own, another);
        (ask("525400000009"), ask("52540000000a").0)
    });

    assert_eq!(own, (200, "for 52:54:00:00:00:09".to_owned()), "{}", server.log());
    assert_eq!(anothers, 403);
    assert_eq!(http_get("http://10.77.0.1/profiles/stranger-52540000000b/answers").0, 404);
}

#[test]
fn who_is_of_no_class_is_a_stranger_still_and_a_definition_counts_more() {
    let namespace = Namespace::enter().unwrap();
    let server = serving("rescue");
    let boots = |name: &str, mac, profile: &str| {
        let text = format!("{}pxeboot = true\ndistro = 'debian-12'\n{profile}", definition(name, mac, ""));
        server.define(&format!("{name}.toml"), &text);
        server.wait_for_log(&format!("defined machine=\"{name}\""));
    };
    boots("own", 1, "profile = 'other'\n");
    boots("plain", 2, "");
    let [own, plain] = [1, 2].map(|last| MacAddr::new([0x52, 0x54, 0, 0, 0, last]));

    elsewhere(&namespace, move || {
        [own, plain].iter().for_each(|mac| assert!(!board(*mac).address().is_unspecified()));
        DhcpClient::new(STRANGER).address()
    });

    wait_for_script(plain, "plain aarch64 rescue");
    wait_for_script(own, "own aarch64 other");
    wait_for_script(STRANGER, "nobody has defined this machine");
}

#[test]
fn another_profile_is_in_force_at_once() {
    let namespace = Namespace::enter().unwrap();
    let server = serving("rescue");
    elsewhere(&namespace, || board(STRANGER).address());
    wait_for_script(STRANGER, "rescue");

    server.configure(&config("other"));
    wait_for_script(STRANGER, "other");
    server.configure(&config("gone"));
    server.wait_for_log("config.toml:7: dhcp.class.profile: there is no profile `gone` in");
    assert!(script(STRANGER).contains("other"), "{}", script(STRANGER));
    server.configure(ON_THE_BRIDGE);

    wait_for_script(STRANGER, "nobody has defined this machine");
}

#[test]
fn a_profile_that_is_not_there_is_told_with_those_that_are() {
    let _namespace = Namespace::enter().unwrap();
    let server = configured("resque");

    let (_, problem, status) = server.check();

    assert!(!status.success());
    let expected = "config.toml:7: dhcp.class.profile: there is no profile `resque` in FOLDER/state/profiles: \
                    expected one of `other`, `rescue`";
    assert!(problem.contains(expected), "{problem}");
    fs::remove_dir_all(server.path("state/profiles")).unwrap();
    assert!(server.check().1.contains("there is none at all"), "{}", server.check().1);
}

/// A server whose boards have this profile.
fn serving(profile: &str) -> Server {
    let mut server = configured(profile);
    server.start();
    server
}

fn configured(profile: &str) -> Server {
    let server = Server::configured(&config(profile));
    for name in ["rescue", "other"] {
        let folder = server.path("state/profiles").join(name);
        fs::create_dir_all(&folder).unwrap();
        let file = |file: &str, text: &str| fs::write(folder.join(file), text).unwrap();
        file("profile.toml", "kind = 'script'\nscript = 'boot'\n[documents]\nanswers = 'answers'\n");
        file("boot", &format!("#!ipxe\necho {{{{ machine.name }}}} {{{{ machine.arch }}}} {name}\n"));
        file("answers", "for {{ machine.mac }}");
    }
    server
}

fn config(profile: &str) -> String {
    format!(
        "{ON_THE_BRIDGE}[[dhcp.class]]\nname = 'boards'\nvendor-class = 'PXEClient:Arch:00011*'\nprofile = '{profile}'\n"
    )
}

/// The firmware of a board with a 64-bit Arm processor.
fn board(mac: MacAddr) -> DhcpClient {
    DhcpClient::new(mac).saying(DhcpOption::ClassIdentifier(b"PXEClient:Arch:00011:UNDI:003000".to_vec()))
}

fn script(mac: MacAddr) -> String {
    http_get(&format!("http://10.77.0.1/ipxe?mac={mac}&arch=arm64")).1
}

/// Waits until the machine's script says this: what DHCP found is written down beside its answers.
fn wait_for_script(mac: MacAddr, text: &str) {
    let said = until(LIMIT, || Ok(script(mac).contains(text).then_some(()))).unwrap();
    said.unwrap_or_else(|| panic!("no `{text}`: {}", script(mac)));
}

const STRANGER: MacAddr = MacAddr::new([0x52, 0x54, 0, 0, 0, 9]);
const OTHER: MacAddr = MacAddr::new([0x52, 0x54, 0, 0, 0, 10]);
