//! The lab's own names.

use std::net::{Ipv4Addr, Ipv6Addr};

use domain::base::iana::Rtype;

use super::bench::{Lab, Question, dual_stack, lease, replies, zone};
use crate::dhcp::UnixSeconds;
use crate::dns::{Config, Domain, Engine, Lease, Transport};

#[test]
fn a_machine_has_the_address_that_is_reserved_for_it() {
    assert_eq!(
        ask("web.pvmlab.local", Rtype::A),
        "NOERROR QR AA RD RA\nweb.pvmlab.local. IN A\nweb.pvmlab.local. 30 IN A 10.77.0.10"
    );
}

#[test]
fn the_case_of_the_question_is_repeated() {
    assert_eq!(
        ask("wEb.PVMlab.local", Rtype::A),
        "NOERROR QR AA RD RA\nwEb.PVMlab.local. IN A\nwEb.PVMlab.local. 30 IN A 10.77.0.10"
    );
}

#[test]
fn an_address_leads_back_to_its_machine() {
    assert_eq!(data("10.0.77.10.in-addr.arpa", Rtype::PTR), "PTR web.pvmlab.local.");
    assert_eq!(data("1.0.77.10.in-addr.arpa", Rtype::PTR), "PTR pxe.pvmlab.local.");
    let ipv6 = "0.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.7.7.d.f.ip6.arpa";
    assert_eq!(data(ipv6, Rtype::PTR), "PTR db.pvmlab.local.");
}

#[test]
fn a_name_without_such_a_record_is_there_all_the_same() {
    insta::assert_snapshot!(ask("web.pvmlab.local", Rtype::AAAA), @"
    NOERROR QR AA RD RA
    web.pvmlab.local. IN AAAA
    authority pvmlab.local. 5 IN SOA pxe.pvmlab.local. nobody.invalid. 1 3600 1200 604800 5
    ");
    for (name, rtype) in [("web.pvmlab.local", Rtype::MX), ("db.pvmlab.local", Rtype::A), ("pvmlab.local", Rtype::A)] {
        assert!(ask(name, rtype).starts_with("NOERROR QR AA RD RA\n"), "{name}");
    }
}

#[test]
fn a_name_that_is_not_there_is_never_asked_of_others() {
    insta::assert_snapshot!(ask("no.pvmlab.local", Rtype::A), @"
    NXDOMAIN QR AA RD RA
    no.pvmlab.local. IN A
    authority pvmlab.local. 5 IN SOA pxe.pvmlab.local. nobody.invalid. 1 3600 1200 604800 5
    ");
    insta::assert_snapshot!(ask("9.0.77.10.in-addr.arpa", Rtype::PTR), @"
    NXDOMAIN QR AA RD RA
    9.0.77.10.in-addr.arpa. IN PTR
    authority 0.77.10.in-addr.arpa. 5 IN SOA pxe.pvmlab.local. nobody.invalid. 1 3600 1200 604800 5
    ");
    for name in ["x.web.pvmlab.local", "x.9.0.77.10.in-addr.arpa", "pxe.local", "1.1.77.10.in-addr.arpa"] {
        assert!(ask(name, Rtype::A).starts_with("NXDOMAIN QR AA RD RA\n"), "{name}");
    }
}

#[test]
fn what_is_between_a_zone_and_its_names_is_there() {
    for name in ["0.77.10.in-addr.arpa", "77.10.in-addr.arpa", "10.in-addr.arpa", "7.7.d.f.ip6.arpa", "local"] {
        assert!(ask(name, Rtype::TXT).starts_with("NOERROR QR AA RD RA\n"), "{name}");
    }
}

#[test]
fn a_zone_has_a_server_and_no_copies() {
    assert_eq!(data("pvmlab.local", Rtype::NS), "NS pxe.pvmlab.local.");
    assert!(data("pvmlab.local", Rtype::SOA).starts_with("SOA pxe.pvmlab.local. "));
    assert_eq!(data("0.77.10.in-addr.arpa", Rtype::NS), "NS pxe.pvmlab.local.");
    assert_eq!(data("168.192.in-addr.arpa", Rtype::NS), "NS 168.192.in-addr.arpa.");
    assert!(ask("pvmlab.local", Rtype::AXFR).starts_with("REFUSED "));
}

#[test]
fn whoever_asks_for_anything_gets_all() {
    assert_eq!(data("pxe.pvmlab.local", Rtype::ANY), "A 10.77.0.1\nAAAA fd77::1");
}

#[test]
fn names_of_the_host_itself_and_of_no_network_stay_here() {
    assert_eq!(data("localhost", Rtype::A), "A 127.0.0.1");
    assert_eq!(data("a.LOCALHOST", Rtype::AAAA), "AAAA ::1");
    assert_eq!(data("1.0.0.127.in-addr.arpa", Rtype::PTR), "PTR localhost.");
    for name in ["a.invalid", "a.onion", "printer.local", "1.2.168.192.in-addr.arpa", "1.31.172.in-addr.arpa"] {
        assert!(ask(name, Rtype::A).starts_with("NXDOMAIN QR AA RD RA\n"), "{name}");
    }
    insta::assert_snapshot!(ask("1.2.16.172.in-addr.arpa", Rtype::PTR), @"
    NXDOMAIN QR AA RD RA
    1.2.16.172.in-addr.arpa. IN PTR
    authority 16.172.in-addr.arpa. 5 IN SOA 16.172.in-addr.arpa. nobody.invalid. 1 3600 1200 604800 5
    ");
}

#[test]
fn a_client_has_the_name_that_it_calls_itself_while_its_lease_lasts() {
    let laptop = "laptop".parse().expect("a name");
    let known = zone("pvmlab.local", &[lease(9, 130, Some(&laptop))], None);
    let mut lab = Lab::asking(&[]);
    lab.engine.set_zone(known.clone());

    assert!(lab.answer(Question::new("laptop.pvmlab.local", Rtype::A)).ends_with(" A 10.77.0.130"));
    assert!(lab.answer(Question::new("130.0.77.10.in-addr.arpa", Rtype::PTR)).ends_with(" PTR laptop.pvmlab.local."));
    assert_eq!((known.is_outdated(UnixSeconds(200)), known.is_outdated(UnixSeconds(201))), (false, true));
}

#[test]
fn no_client_takes_a_name_that_somebody_has() {
    let names = ["web", "pxe", "localhost", "wpad"].map(|name| name.parse().expect("a name"));
    let leases: Vec<_> = names.iter().zip(9..).map(|(name, at)| lease(at, 130 + at, Some(name))).collect();
    let mut lab = Lab::asking(&[]);
    lab.engine.set_zone(zone("pvmlab.local", &leases, None));

    assert!(lab.answer(Question::new("web.pvmlab.local", Rtype::A)).ends_with(" A 10.77.0.10"));
    assert!(lab.answer(Question::new("pxe.pvmlab.local", Rtype::A)).ends_with(" A 10.77.0.1"));
    for name in ["localhost.pvmlab.local", "wpad.pvmlab.local", "139.0.77.10.in-addr.arpa"] {
        assert!(lab.answer(Question::new(name, Rtype::ANY)).starts_with("NXDOMAIN"), "{name}");
    }
}

#[test]
fn of_two_clients_of_one_name_the_first_keeps_it() {
    let name = "laptop".parse().expect("a name");
    let (first, second) = (lease(9, 140, Some(&name)), lease(10, 130, Some(&name)));
    let before = zone("pvmlab.local", &[first], None);
    let mut lab = Lab::asking(&[]);

    lab.engine.set_zone(zone("pvmlab.local", &[second, first], Some(&before)));

    assert!(lab.answer(Question::new("laptop.pvmlab.local", Rtype::A)).ends_with(" A 10.77.0.140"));
    assert!(lab.answer(Question::new("130.0.77.10.in-addr.arpa", Rtype::PTR)).starts_with("NXDOMAIN"));
}

#[test]
fn a_machine_is_where_it_is_and_else_where_it_is_to_be() {
    let mut lab = Lab::asking(&[]);
    let mut lease = lease(1, 77, None);
    lab.engine.set_zone(zone("pvmlab.local", &[lease], None));
    assert!(lab.answer(Question::new("web.pvmlab.local", Rtype::A)).ends_with(" A 10.77.0.77"));

    lease.expires = UnixSeconds(99);
    lab.engine.set_zone(zone("pvmlab.local", &[lease], None));

    assert!(lab.answer(Question::new("web.pvmlab.local", Rtype::A)).ends_with(" A 10.77.0.10"));
}

#[test]
fn an_ipv6_lease_is_its_machines_and_its_clients_whose_name_is_known() {
    let laptop = "laptop".parse().expect("a name");
    let at = |mac, last, expires| {
        let address = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, last);
        Lease { mac: lease(mac, 0, None).mac, address, expires: UnixSeconds(expires), hostname: None }
    };
    let mut lab = Lab::asking(&[]);
    // web has one of the pool; db's ended, and another is reserved for it; a client is known by its other lease.
    let leases6 = [at(1, 0x1001, 200), at(2, 0x1002, 99), at(9, 0x1009, 200), at(8, 0x1008, 200)];

    lab.engine.set_zone(dual_stack(&[lease(9, 130, Some(&laptop))], &leases6));

    for (name, address) in [("web", "fd77::1001"), ("db", "fd77::20"), ("laptop", "fd77::1009"), ("pxe", "fd77::1")] {
        let answer = lab.answer(Question::new(format!("{name}.pvmlab.local").leak(), Rtype::AAAA));
        assert!(answer.ends_with(&format!(" AAAA {address}")), "{answer}");
    }
    let back = |last: &str| format!("{last}.0.0.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.7.7.d.f.ip6.arpa");
    for (last, name) in [("1", "web"), ("9", "laptop")] {
        let answer = lab.answer(Question::new(back(last).leak(), Rtype::PTR));
        assert!(answer.ends_with(&format!(" PTR {name}.pvmlab.local.")), "{answer}");
    }
    assert!(lab.answer(Question::new(back("8").leak(), Rtype::PTR)).starts_with("NXDOMAIN"));
    assert!(lab.engine.zone().is_outdated(UnixSeconds(201)));
}

#[test]
fn a_client_that_says_its_name_by_dhcpv6_alone_has_it() {
    let [laptop, tablet, web] = ["laptop", "tablet", "web"].map(|name| name.parse().expect("a name"));
    let at = |mac, last, hostname| {
        let address = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, last);
        Lease { mac: lease(mac, 0, None).mac, address, expires: UnixSeconds(200), hostname }
    };
    let mut lab = Lab::asking(&[]);
    let leases6 = [at(7, 0x1007, Some(&tablet)), at(8, 0x1008, Some(&web)), at(9, 0x1009, Some(&tablet))];

    lab.engine.set_zone(dual_stack(&[lease(9, 130, Some(&laptop)), lease(7, 131, None)], &leases6));

    let mut data = |name: &str, rtype| {
        let answer = lab.answer(Question::new(format!("{name}.pvmlab.local").leak(), rtype));
        answer.rsplit(' ').next().unwrap_or_default().to_owned()
    };
    assert_eq!((data("tablet", Rtype::AAAA), data("tablet", Rtype::A)), ("fd77::1007".into(), "10.77.0.131".into()));
    assert_eq!(data("web", Rtype::A), "10.77.0.10", "a machine's name is its own");
    assert_eq!(data("laptop", Rtype::AAAA), "fd77::1009", "who has two names is called by that of IPv4");
}

#[test]
fn behind_a_relay_agent_a_host_has_its_domains_name_too() {
    let laptop = "laptop".parse().expect("a name");
    let north = |last| Ipv4Addr::new(10, 78, 0, last);
    let leases =
        [Lease { address: north(9), ..lease(1, 0, None) }, Lease { address: north(130), ..lease(9, 0, Some(&laptop)) }];
    let mut lab = Lab::asking(&[]);
    lab.engine.set_zone(zone("pvmlab.local", &leases, None));

    for (name, address) in [("web.north.example", 9), ("web.pvmlab.local", 9), ("laptop.north.example", 130)] {
        let answer = lab.answer(Question::new(name, Rtype::A));
        assert!(answer.ends_with(&format!(" A {}", north(address))), "{answer}");
    }
    assert!(lab.answer(Question::new("9.0.78.10.in-addr.arpa", Rtype::PTR)).ends_with(" PTR web.north.example."));
    let absent = lab.answer(Question::new("db.north.example", Rtype::A));
    assert!(absent.starts_with("NXDOMAIN") && absent.contains("authority north.example. 5 IN SOA"), "{absent}");
}

#[test]
fn without_a_domain_names_stand_alone_and_others_are_asked_for() {
    let mut lab = Lab::asking(&[super::bench::FIRST]);
    lab.engine.set_zone(zone("", &[], None));

    assert!(lab.answer(Question::new("web", Rtype::A)).ends_with("web. 30 IN A 10.77.0.10"));
    assert!(lab.answer(Question::new("web", Rtype::AAAA)).contains("authority web. 5 IN SOA pxe. "));
    assert_eq!(lab.forwarded(Question::new("com", Rtype::NS)).len(), 1);
}

#[test]
fn a_domain_is_labels() {
    for good in ["lab", "Lab.Example", "pvmlab.local.", ""] {
        assert!(good.parse::<Domain>().is_ok(), "{good}");
    }
    let long = format!("{}lab", "a.".repeat(100));
    for bad in [".", "a..b", ".lab", "-a.b", "a_b.c", "lab lab", &long, &"x".repeat(64)] {
        assert!(bad.parse::<Domain>().is_err(), "{bad}");
    }
}

#[test]
fn a_client_from_elsewhere_is_refused_everything() {
    let elsewhere = |name| Question { from: Ipv4Addr::new(10, 78, 0, 1), ..Question::new(name, Rtype::A) };
    let mut lab = Lab::asking(&[super::bench::FIRST]);

    for name in ["web.pvmlab.local", "example.com", "localhost"] {
        assert!(lab.answer(elsewhere(name)).starts_with("REFUSED QR RD RA\n"), "{name}");
    }
    assert_eq!(lab.engine.counts().refused, 3);
}

#[test]
fn who_speaks_edns_is_answered_with_it() {
    let mut lab = Lab::asking(&[]);
    let question = Question { edns: Some(4096), dnssec_ok: true, ..Question::new("web.pvmlab.local", Rtype::A) };

    assert!(lab.answer(question).ends_with("\nEDNS 1232 DO"));
}

#[test]
fn a_client_that_asks_too_often_is_not_heard() {
    let config =
        Config { networks: vec!["10.77.0.1/24".parse().expect("a network")], ipv6: None, queries_per_second: 5 };
    let mut lab = Lab::asking(&[]);
    lab.engine = Engine::new(&config, zone("pvmlab.local", &[], None));
    let question = Question { transport: Transport::Tcp, ..Question::new("web.pvmlab.local", Rtype::A) };

    let answered = (0..20).filter(|_| !replies(&lab.send(question)).is_empty()).count();

    assert_eq!((answered, lab.engine.counts().limited), (5, 15));
}

fn ask(name: &'static str, rtype: Rtype) -> String {
    Lab::asking(&[]).answer(Question::new(name, rtype))
}

/// What a name has, without what is around it.
fn data(name: &'static str, rtype: Rtype) -> String {
    let text = ask(name, rtype);
    assert!(text.starts_with("NOERROR QR AA RD RA\n"), "{text}");
    let records = text.lines().skip(2).map(|line| line.split_once(" IN ").expect("a record").1);
    records.collect::<Vec<_>>().join("\n")
}
