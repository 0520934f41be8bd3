//! Options of a configuration, and classes of clients.

use std::net::Ipv4Addr;
use std::sync::Arc;

use lab_model::{Arch, MacAddr, What};
use pxe_proto::boot::Profiles;
use pxe_proto::dhcp::{Action, Class, ClassBoot, Config, Ignored, Patterns, ReplyKind, Selector, Settings};

use crate::answer::Answer;
use crate::lan::{LEASE, Lan, config, host, machines};
use crate::packet::{DISCOVER, Packet, mac};
use crate::relays::{NORTH, three};

const BIOS: &[u8] = b"PXEClient:Arch:00000:UNDI:002001";

#[test]
fn what_the_configuration_sets_is_told_to_who_asks_and_to_everybody_where_it_says_so() {
    let mut config = config();
    config.lab.options = settings(
        "ntp-servers = '10.77.0.9'\ninterface-mtu = { value = 1400, always = true }\n6 = '10.77.0.8'\n224 = { text = 'a' }",
    );
    let mut lan = Lan::new(config, machines(&[]));

    let all = lan.answer(&Packet::new(DISCOVER, mac(1)));
    let asked = lan.answer(&Packet::new(DISCOVER, mac(1)).option(55, &[42, 6]));

    assert_eq!(all.codes(), [53, 54, 51, 58, 59, 1, 3, 6, 15, 28, 26, 42, 224]);
    assert_eq!(all.option(6), Some(&[10, 77, 0, 8][..]), "in place of what the server would say");
    assert_eq!(asked.codes(), [53, 54, 51, 58, 59, 1, 3, 26, 42, 6]);
    assert_eq!(asked.option(26), Some(&1400_u16.to_be_bytes()[..]));
}

#[test]
fn each_subnet_has_options_of_its_own() {
    let mut config = three();
    config.relayed[0].options = settings("ntp-servers = '10.78.0.9'");
    let mut lan = Lan::new(config, machines(&[]));

    assert_eq!(lan.answer(&Packet::new(DISCOVER, mac(1)).relay(NORTH)).option(42), Some(&[10, 78, 0, 9][..]));
    assert_eq!(lan.answer(&Packet::new(DISCOVER, mac(1))).option(42), None);
}

#[test]
fn a_class_is_known_by_everything_that_a_client_and_its_relay_say() {
    let uuid = [&[0][..], &[0x44, 0x45, 0x4c, 0x4c, 0, 1, 0, 2, 0, 3, 1, 2, 3, 4, 5, 6]].concat();
    let packet = || {
        Packet::new(DISCOVER, mac(1))
            .option(60, b"PXEClient:Arch:00011:UNDI:003000")
            .option(77, b"\x03lab\x04rack")
            .option(93, &[0, 6, 0, 11])
            .option(97, &uuid)
            .option(82, b"\x01\x06eth0/1\x02\x02\xff\x00")
    };
    let nothing = Selector::default;
    let is_member = |members: Selector, packet: Packet| {
        let mut lan = Lan::new(of_one_class(members), machines(&[]));
        lan.answer(&packet).option(42).is_some()
    };

    for members in [
        Selector { vendor_class: patterns("'PXEClient*'"), ..nothing() },
        Selector { user_class: patterns("['other', 'rack']"), ..nothing() },
        Selector { arch: Some(vec![11]), ..nothing() },
        Selector { uuid: patterns("'44454c4c-0001-0002-*'"), ..nothing() },
        Selector { mac: Some(vec!["52:54:00:00".to_owned()]), ..nothing() },
        Selector { circuit_id: patterns("'eth0/*'"), ..nothing() },
        Selector { remote_id: patterns("'0xff00'"), ..nothing() },
        Selector { arch: Some(vec![7, 11]), circuit_id: patterns("'eth0/1'"), ..nothing() },
    ] {
        assert!(is_member(members.clone(), packet()), "{members:?}");
        assert!(!is_member(members.clone(), Packet::new(DISCOVER, MacAddr::new([2, 0, 0, 0, 0, 1]))), "{members:?}");
    }
    for members in [
        Selector { vendor_class: patterns("'HTTPClient*'"), ..nothing() },
        Selector { user_class: patterns("'la'"), ..nothing() },
        Selector { arch: Some(vec![7]), ..nothing() },
        Selector { remote_id: patterns("'0xff'"), ..nothing() },
        Selector { arch: Some(vec![11]), circuit_id: patterns("'eth1/*'"), ..nothing() },
    ] {
        assert!(!is_member(members.clone(), packet()), "{members:?}");
    }
}

#[test]
fn of_several_classes_the_first_that_says_something_counts() {
    let mut config = config();
    config.lab.options = settings("26 = 1\n42 = '10.77.0.1'\n17 = '/lab'");
    config.classes = vec![
        Class { options: settings("42 = '10.77.0.2'"), ..everybody() },
        Class { options: settings("42 = '10.77.0.3'\n26 = 2"), lease: Some(LEASE / 2), ..everybody() },
    ];
    let mut lan = Lan::new(config, machines(&[]));

    let answer = lan.answer(&Packet::new(DISCOVER, mac(1)));

    assert_eq!((answer.option(42), answer.option(26)), (Some(&[10, 77, 0, 2][..]), Some(&[0, 2][..])));
    assert_eq!((answer.option(17), answer.option(51)), (Some(&b"/lab"[..]), Some(&1800_u32.to_be_bytes()[..])));
}

#[test]
fn a_class_has_addresses_that_nobody_else_gets() {
    let mut lan = Lan::new(classes(), machines(&[]));
    let phone = |number| Packet::new(DISCOVER, mac(number)).option(60, b"phone");

    let mut phones: Vec<_> = (1..=2).map(|number| lan.answer(&phone(number)).yours).collect();
    phones.sort();
    let others: Vec<_> = (3..=4).map(|number| lan.offer(number)).collect();

    assert_eq!(phones, [host(102), host(103)], "of their own pool");
    assert!(others.iter().all(|address| [host(100), host(101)].contains(address)), "{others:?}");
    assert_eq!(lan.ignored(&Packet::new(DISCOVER, mac(5))), Ignored::PoolExhausted(mac(5)));
    let wish = lan.answer(&Packet::reboot(mac(5), host(102)));
    assert_eq!(wish.kind(), ReplyKind::Nak);
}

#[test]
fn a_member_without_room_in_its_own_pool_gets_an_address_of_the_subnets() {
    let mut lan = Lan::new(classes(), machines(&[]));
    let phone = |number| Packet::new(DISCOVER, mac(number)).option(60, b"phone");
    (1..=2).for_each(|number| drop(lan.answer(&phone(number))));

    assert!([host(100), host(101)].contains(&lan.answer(&phone(3)).yours));
}

/// One machine is of several classes within a minute, as firmware and as operating system.
#[test]
fn a_machine_keeps_its_address_when_it_is_no_longer_of_the_class() {
    let mut lan = Lan::new(classes(), machines(&[]));
    let address = lan.answer(&Packet::new(DISCOVER, mac(1)).option(60, b"phone")).yours;

    assert_eq!(lan.select(1, address), ReplyKind::Ack);
    assert_eq!(lan.offer(1), address);
    assert_eq!(lan.answer(&Packet::renew(mac(1), address)).kind(), ReplyKind::Ack);
}

#[test]
fn a_class_boots_what_it_says_from_where_it_says() {
    let firmware = || Packet::new(DISCOVER, mac(1)).option(60, BIOS).option(93, &[0, 0]);
    let http = || Packet::new(DISCOVER, mac(1)).option(60, b"HTTPClient:Arch:00027:UNDI:003000").option(93, &[0, 27]);
    let answer = |boot: ClassBoot, packet: Packet| {
        let mut config = of_one_class(everybody().members);
        config.classes[0].boot = Some(boot);
        Lan::new(config, machines(&[])).answer(&packet)
    };
    let file = |name: &str, server: Option<Ipv4Addr>| ClassBoot::File { name: name.to_owned(), server };
    let booted = |answer: &Answer| {
        let text = |code| answer.option(code).map(|data| String::from_utf8_lossy(data).into_owned());
        (answer.next_server, answer.file.clone(), text(66), text(67), text(60))
    };
    let some = |text: &str| Some(text.to_owned());
    let none = Ipv4Addr::UNSPECIFIED;

    let tftp = answer(file("a.efi", Some(host(9))), firmware());
    assert_eq!(booted(&tftp), (host(9), "a.efi".to_owned(), some("10.77.0.9"), some("a.efi"), None));
    let here = answer(file("a.efi", None), firmware());
    assert_eq!(booted(&here), (host(1), "a.efi".to_owned(), some("10.77.0.1"), some("a.efi"), None));
    let url = answer(file("http://10.77.0.9/a.efi", None), http());
    assert_eq!(booted(&url), (host(1), String::new(), None, some("http://10.77.0.9/a.efi"), some("HTTPClient")));
    assert_eq!(booted(&answer(ClassBoot::Nothing, firmware())), (none, String::new(), None, None, None));
    let system = answer(file("a.efi", None), Packet::new(DISCOVER, mac(1)));
    assert_eq!(booted(&system), (none, String::new(), None, None, None), "it has booted already");
    let long = "a".repeat(200);
    assert_eq!(booted(&answer(file(&long, None), firmware())).1, "", "no room for it and its end");
}

#[test]
fn the_class_that_has_a_profile_is_told_for_the_rest_of_the_boot() {
    let members = Selector { vendor_class: patterns("'PXEClient*'"), ..Selector::default() };
    let boards = Class { name: "boards".to_owned(), profile: "rescue".parse().ok(), members, ..Class::default() };
    let plain = Class { name: "plain".to_owned(), ..everybody() };
    let all = Class { name: "all".to_owned(), profile: "disk".parse().ok(), ..everybody() };
    let mut lan = Lan::new(Config { classes: vec![plain, boards, all], ..config() }, machines(&[]));
    let mut class = |packet: Packet| match lan.send(&packet.bytes()) {
        Action::Reply(reply) => reply.class,
        other => panic!("{other:?}"),
    };
    let told = |name: &str, arch| Some(What::Class { name: name.to_owned(), arch });
    let pxe = |kind| Packet::new(kind, mac(1)).option(60, BIOS).option(93, &[0, 0]);
    let ipxe = Packet::new(DISCOVER, mac(2)).option(77, b"iPXE").option(93, &[0, 11]);

    assert_eq!(class(pxe(DISCOVER)), told("boards", Some(Arch::X86_64)));
    assert_eq!(class(ipxe), told("all", Some(Arch::Aarch64)));
    assert_eq!(class(Packet::new(DISCOVER, mac(3))), None, "it has booted already");
}

#[test]
fn a_class_whose_profile_is_the_disk_has_nothing_to_load() {
    let all = Class { name: "all".to_owned(), profile: "disk".parse().ok(), ..everybody() };
    let mut lan = Lan::new(Config { classes: vec![all], ..config() }, machines(&[]));
    let files = [("profile.toml".to_owned(), "kind = 'local'".to_owned())].into();
    let profiles = [("disk".parse().expect("a name"), files)].into();
    lan.engine.set_profiles(Arc::new(Profiles::build(profiles, &Profiles::default())));

    let answer = lan.answer(&Packet::new(DISCOVER, mac(1)).option(60, BIOS).option(93, &[0, 0]));

    assert_eq!((answer.next_server, answer.file.as_str()), (Ipv4Addr::UNSPECIFIED, ""));
}

#[test]
fn ipxe_is_not_started_by_itself_unless_its_own_class_says_so() {
    let ipxe = Packet::new(DISCOVER, mac(1)).option(60, BIOS).option(77, b"iPXE");
    let file = ClassBoot::File { name: "ipxe.pxe".to_owned(), server: None };
    let boots = |members: Selector| {
        let mut config = of_one_class(members);
        config.classes[0].boot = Some(file.clone());
        String::from_utf8_lossy(Lan::new(config, machines(&[])).answer(&ipxe).option(67).expect("a file")).into_owned()
    };

    let script = boots(Selector { vendor_class: patterns("'PXEClient*'"), ..Selector::default() });
    assert!(script.starts_with("http://10.77.0.1/ipxe?mac="), "{script}");
    assert_eq!(boots(Selector { user_class: patterns("'iPXE'"), ..Selector::default() }), "ipxe.pxe");
}

/// The class `phone` with two addresses of the pool, and one of everybody with options and something to boot.
pub(crate) fn classes() -> Config {
    let phones = Class {
        members: Selector { vendor_class: patterns("'phone'"), ..Selector::default() },
        pool: vec![host(102)..=host(103)],
        ..Class::default()
    };
    let all = Class {
        options: settings("domain-search = ['a.lab', 'lab']\n43 = { hex = '06 01 08', always = true }\n66 = 'tftp'"),
        boot: Some(ClassBoot::File { name: "x".repeat(130), server: Some(host(9)) }),
        ..everybody()
    };
    let mut config = config();
    config.classes = vec![phones, all];
    config
}

fn of_one_class(members: Selector) -> Config {
    Config { classes: vec![Class { members, options: settings("42 = '10.77.0.9'"), ..Class::default() }], ..config() }
}

fn everybody() -> Class {
    Class { members: Selector { mac: Some(vec![String::new()]), ..Selector::default() }, ..Class::default() }
}

fn settings(text: &str) -> Settings {
    #[derive(serde::Deserialize)]
    struct Section {
        options: Settings,
    }
    toml::from_str::<Section>(&format!("[options]\n{text}")).expect("options").options
}

pub(crate) fn patterns(text: &str) -> Option<Patterns> {
    #[derive(serde::Deserialize)]
    struct Section {
        patterns: Patterns,
    }
    Some(toml::from_str::<Section>(&format!("patterns = {text}")).expect("patterns").patterns)
}
