//! What `pxe-server check` prints, whole.

use std::fs;

use lab_model::MacAddr;
use lab_tests::Namespace;
use lab_tests::process::run;

use crate::server::{HTTP_ONLY, ON_THE_BRIDGE, Server, add_interface, definition};

#[test]
fn a_good_configuration_is_told_as_it_would_be_served() {
    let _namespace = Namespace::enter().unwrap();
    let server = Server::configured(ON_THE_BRIDGE);
    server.define("web.toml", &definition("web", 1, "10.77.0.50"));
    server.define("db.toml", &definition("db", 2, ""));

    insta::assert_snapshot!(outcome(&server));
}

#[test]
fn wrong_definitions_are_told_one_by_one() {
    let _namespace = Namespace::enter().unwrap();
    let server = Server::configured(ON_THE_BRIDGE);
    server.define("a.toml", &definition("a", 1, "10.77.0.50"));
    server.define("b.toml", &definition("b", 1, ""));
    server.define("c.toml", &definition("c", 3, "10.78.0.50"));
    server.define("d.json", "{\n  \"name\": \"d\",\n  \"colour\": \"red\"\n}\n");

    insta::assert_snapshot!(outcome(&server));
}

#[test]
fn a_missing_image_is_told_with_the_machine_that_needs_it() {
    let _namespace = Namespace::enter().unwrap();
    let server = Server::configured(ON_THE_BRIDGE);
    server.define("web.toml", &format!("{}pxeboot = true\ndistro = 'debian-12'\n", definition("web", 1, "")));

    insta::assert_snapshot!(outcome(&server));
}

#[test]
fn a_pool_of_another_network_is_told_with_its_line() {
    let _namespace = Namespace::enter().unwrap();
    let server = Server::configured(&format!("{ON_THE_BRIDGE}\n[dhcp]\npool = '10.78.0.100-10.78.0.200'\n"));

    insta::assert_snapshot!(outcome(&server));
}

#[test]
fn subnets_are_told_with_their_pools() {
    let _namespace = Namespace::enter().unwrap();
    let subnet =
        |network: &str, more: &str| format!("[[dhcp.subnet]]\nnetwork = '{network}'\nrouter = 'none'\n{more}\n");
    let (north, south) = (subnet("10.78.0.0/24", ""), subnet("10.79.0.0/24", "pool = []"));
    let server = Server::configured(&format!("{ON_THE_BRIDGE}{north}{south}"));
    server.define("web.toml", &definition("web", 1, "10.79.0.50"));

    insta::assert_snapshot!(outcome(&server));
}

#[test]
fn an_address_that_the_interface_has_not_is_told_with_its_line() {
    let _namespace = Namespace::enter().unwrap();
    let server = Server::configured(&format!("{ON_THE_BRIDGE}address = '10.77.0.7/24'\n"));

    insta::assert_snapshot!(outcome(&server));
}

#[test]
fn another_configuration_is_told_key_by_key_with_what_needs_a_restart() {
    let _namespace = Namespace::enter().unwrap();
    let server = Server::configured(&format!("{ON_THE_BRIDGE}[dhcp]\nlease-seconds = 60\n[http]\nport = 8080\n"));

    let (stdout, _, status) = server.check_against(ON_THE_BRIDGE);

    assert!(status.success());
    let told = "changes    dhcp.lease-seconds: default → 60\nrestart    http.port: default → 8080\n";
    assert!(stdout.ends_with(told), "{stdout}");
}

#[test]
fn an_interface_without_address_is_told_how_to_get_one() {
    let _namespace = Namespace::enter().unwrap();
    add_interface(None);
    let server = Server::configured("[lab]\ninterface = 'other'\n");

    insta::assert_snapshot!(outcome(&server));
}

#[test]
fn a_folder_that_is_not_there_is_told_with_its_line() {
    let _namespace = Namespace::enter().unwrap();
    let server = Server::configured(&format!("images = 'imagess'\ndefinitions = 'vmss'\n{ON_THE_BRIDGE}"));

    insta::assert_snapshot!(outcome(&server));
}

#[test]
fn a_way_out_is_told_and_what_is_in_its_way() {
    let _namespace = Namespace::enter().unwrap();
    let server = Server::configured(&format!("{ON_THE_BRIDGE}[nat]\nuplink = 'wan'\n"));

    insta::assert_snapshot!(outcome(&server));
}

#[test]
fn an_uplink_that_is_the_labs_interface_is_told_with_its_line() {
    let _namespace = Namespace::enter().unwrap();
    let server = Server::configured(&format!("{ON_THE_BRIDGE}[nat]\nuplink = 'lab'\n"));

    insta::assert_snapshot!(outcome(&server));
}

#[test]
fn an_unknown_key_is_told_with_those_that_are_known() {
    let server = Server::configured("[http]\nlisten-port = 8080\n");

    insta::assert_snapshot!(outcome(&server));
}

#[test]
fn a_configuration_for_http_alone_needs_no_interface() {
    insta::assert_snapshot!(outcome(&Server::configured(HTTP_ONLY)));
}

#[test]
fn without_interface_and_address_it_is_told_what_is_missing() {
    insta::assert_snapshot!(outcome(&Server::configured("")));
}

#[test]
fn the_configuration_of_a_virtual_labs_provisioner_is_a_good_one() {
    let _namespace = Namespace::enter().unwrap();
    for interface in ["enp0s1", "enp0s2"] {
        run("ip", &["link", "add", interface, "type", "bridge"]).unwrap();
    }
    run("ip", &["address", "add", "10.78.0.1/24", "dev", "enp0s2"]).unwrap();
    let config = cloud_seed::Provisioner {
        name: &"provisioner".parse().unwrap(),
        uplink_mac: MacAddr::new([0x52, 0x54, 0, 0, 0, 0x81]),
        mac: MacAddr::new([0x52, 0x54, 0, 0, 0, 1]),
        address: "10.78.0.1/24".parse().unwrap(),
        ipv6: None,
        name_servers: &[[10, 0, 2, 3].into()],
        user: &cloud_seed::UserName::default(),
        ssh_keys: &[],
    }
    .server_config();
    let server = Server::configured(&config.replace("/mnt/host", "state"));
    for folder in ["images", "profiles"] {
        fs::create_dir(server.path(&format!("state/{folder}"))).unwrap();
    }

    let (stdout, stderr, status) = server.check_quickly();

    assert!(status.success(), "{stdout}{stderr}");
    assert!(stdout.contains("url        http://10.78.0.1\n"), "{stdout}");
    assert!(stdout.contains("dns        names in pvmlab.local; others are asked of 10.0.2.3\n"), "{stdout}");
}

#[test]
fn a_quick_check_believes_manifests() {
    let _namespace = Namespace::enter().unwrap();
    let server = Server::configured(ON_THE_BRIDGE);
    let image = server.path("state/images/debian-12/aarch64");
    fs::create_dir_all(&image).unwrap();
    let file = |name: &str, more: &str| {
        fs::write(image.join(name), "damaged").unwrap();
        format!(r#"{{"file": "{name}", "size": 7, "sha256": "{}"{more}}}"#, "0".repeat(64))
    };
    let chunks = format!(r#""chunk-size": 1048576, "chunks": [{{"size": 7, "sha256": "{}"}}]"#, "0".repeat(64));
    let disk = file("disk", &format!(r#", "compression": "zstd", "raw-size": 512, {chunks}"#));
    let (kernel, initrd) = (file("kernel", ""), file("initrd", ""));
    let text = format!(
        r#"{{"name": "debian-12", "arch": "aarch64", "kernel": {kernel}, "initrd": {initrd}, "disk": {disk}}}"#
    );
    fs::write(image.join("manifest.json"), text).unwrap();

    let (whole, quick) = (server.check().2, server.check_quickly().2);

    assert_eq!((whole.success(), quick.success()), (false, true));
}

fn outcome(server: &Server) -> String {
    let (stdout, stderr, status) = server.check();
    format!("{stdout}--- stderr\n{stderr}--- {status}")
}
