use proptest::prelude::*;

use super::*;

#[test]
fn what_kea_wrote_is_read() {
    assert_eq!(
        leases(KEA, Format::Kea),
        [v4(1, 150, (KEA_GRANTED, KEA_ENDS), Some("web")), v4(2, 151, (KEA_GRANTED, KEA_ENDS), Some("db")),]
    );
    assert_eq!(
        leases(KEA6, Format::Kea),
        [v6(3, 0x1000, (KEA6_GRANTED, KEA6_GRANTED + 3600)), v6(1, 0x1001, (KEA6_GRANTED + 8, KEA6_GRANTED + 3608))]
    );
}

#[test]
fn what_dnsmasq_wrote_is_read() {
    assert_eq!(
        leases(DNSMASQ, Format::Dnsmasq),
        [
            v4(3, 155, (NOW.0, 1_795_876_514), Some("vm")),
            v4(2, 154, (NOW.0, 1_795_876_511), Some("db")),
            v4(1, 153, (NOW.0, 1_795_876_508), Some("web")),
            v6(1, 0x1939, (NOW.0, 1_795_876_525)),
            v6(3, 0x138c, (NOW.0, 1_795_876_518)),
        ]
    );
}

#[test]
fn what_isc_dhcpd_wrote_is_read() {
    let hour = |begins| (begins, begins + 3600);

    assert_eq!(
        leases(ISC, Format::Isc),
        [
            v4(1, 150, hour(1_795_872_937), Some("web")),
            v4(2, 151, hour(1_795_872_939), None),
            v4(3, 152, hour(1_795_872_940), Some("vm")),
        ]
    );
    assert_eq!(leases(ISC6, Format::Isc), [v6(3, 0x1908, hour(1_795_872_947)), v6(1, 0x1ad7, hour(1_795_872_954))]);
}

/// As after a clock that was ahead: the lease begins when it ends.
#[test]
fn a_lease_without_length_is_still_somebodys_in_keas_file() {
    let ends = NOW.0 + 60;
    let Lease::V4(lease) = v4(1, 150, (ends, ends), None) else { panic!("of IPv4") };

    let text = write(&[lease], Format::Kea);

    assert_eq!(leases(&text, Format::Kea), [v4(1, 150, (ends - 1, ends), None)]);
}

#[test]
fn the_content_says_who_wrote_a_file() {
    let files =
        [(KEA, Format::Kea), (KEA6, Format::Kea), (DNSMASQ, Format::Dnsmasq), (ISC, Format::Isc), (ISC6, Format::Isc)];
    for (text, format) in files {
        assert_eq!(Format::of(text.as_bytes()), Some(format), "{text}");
    }
    assert_eq!(Format::of(b"\n{\"mac\":1}"), Some(Format::Json));
    assert_eq!(Format::of(b"lease 10.77.0.5 {"), Some(Format::Isc));
    assert_eq!(Format::of(b"duid 00:01"), Some(Format::Dnsmasq));
    for strange in [&b""[..], b"\n\n", b"\xff\xfe", b"hello", b"<html>"] {
        assert_eq!(Format::of(strange), None, "{strange:?}");
    }
}

#[test]
fn what_is_written_is_read_again() {
    let ends = NOW.0 + 600;
    let all = [v4(1, 150, (NOW.0, ends), Some("web")), v4(2, 151, (NOW.0, ends), None)];
    let records: Vec<_> =
        all.iter().filter_map(|lease| if let Lease::V4(lease) = lease { Some(lease.clone()) } else { None }).collect();
    for format in [Format::Json, Format::Kea, Format::Dnsmasq, Format::Isc] {
        let text = write(&records, format);
        assert_eq!(Format::of(text.as_bytes()), Some(format));
        assert_eq!(leases(&text, format), all, "{text}");
    }

    let all = [v6(1, 0x1000, (NOW.0, ends)), v6(2, 0x1001, (NOW.0, ends))];
    let records: Vec<_> =
        all.iter().filter_map(|lease| if let Lease::V6(lease) = lease { Some(lease.clone()) } else { None }).collect();
    for format in [Format::Json, Format::Kea] {
        assert_eq!(leases(&write6(&records, format).expect("a format for IPv6"), format), all);
    }
}

#[test]
fn a_lease_for_ever_is_one_in_every_format() {
    let for_ever = NOW.after(FOR_EVER).0;
    let Lease::V4(record) = v4(1, 150, (NOW.0, for_ever), None) else { unreachable!() };

    for (format, word) in [(Format::Kea, ",4294967295,"), (Format::Dnsmasq, "0 52:54"), (Format::Isc, "ends never;")] {
        let text = write(std::slice::from_ref(&record), format);
        assert!(text.contains(word), "{text}");
        assert_eq!(leases(&text, format), [Lease::V4(record.clone())]);
    }
}

#[test]
fn a_bad_line_costs_no_other() {
    let damaged = KEA.replacen("10.77.0.150", "10.77.0.1500", 1);
    let entries = read(damaged.as_bytes(), Format::Kea, NOW);
    let bad = &entries[0];

    assert_eq!(entries.len(), 2);
    assert_eq!((bad.line, bad.lease.clone()), (2, Err(Fault::Unreadable("`10.77.0.1500` is no address".to_owned()))));
    assert!(entries[1].lease.is_ok());

    let damaged = ISC.replacen("ends 6 2026/11/28 14:35:39", "ends 6 2026/13/28 14:35:39", 1);
    let entries = read(damaged.as_bytes(), Format::Isc, NOW);
    let line = damaged.lines().position(|line| line.starts_with("lease 10.77.0.151")).expect("the lease") + 1;
    assert_eq!(entries.len(), 3);
    assert_eq!((entries[1].line, entries[1].lease.is_err()), (line, true));
}

#[test]
fn a_file_that_was_cut_off_says_so() {
    let whole = leases(ISC, Format::Isc).len();
    let last = ISC.rfind("lease 10").expect("a lease");
    for end in last + "lease".len()..ISC.trim_end().len() {
        let entries = read(&ISC.as_bytes()[..end], Format::Isc, NOW);
        assert_eq!(entries.len(), whole, "{end}");
        assert!(matches!(entries[whole - 1].lease, Err(Fault::Unreadable(_))), "{end}: {entries:?}");
    }
}

#[test]
fn what_is_no_lease_of_ours_says_why() {
    let fault = |text: &str, format| read(text.as_bytes(), format, NOW)[0].lease.clone();
    let kea = |line: &str| fault(&format!("{}\n{line}", KEA.lines().next().expect("a header")), Format::Kea);
    let kea6 = |line: &str| fault(&format!("{}\n{line}", KEA6.lines().next().expect("a header")), Format::Kea);

    assert_eq!(kea("10.77.0.9,,,600,1795880000,1,0,0,,1,"), Err(DECLINED));
    assert_eq!(kea("10.77.0.9,,ff:01,600,1795880000,1,0,0,,0,"), Err(NOT_ETHERNET));
    assert_eq!(kea6("fd00:88::,00:03,600,1795880000,1,300,2,1,56,0,0,,,0,,,"), Err(PREFIX));
    assert_eq!(kea6("fd00:77::5,00:03,600,1795880000,1,300,1,1,128,0,0,,,0,,,"), Err(TEMPORARY));
    assert_eq!(fault("1 20-01:02:03 10.77.0.9 * *", Format::Dnsmasq), Err(NOT_ETHERNET));
    assert_eq!(fault("lease 10.77.0.9 { ends never; binding state abandoned; }", Format::Isc), Err(DECLINED));
    assert_eq!(fault("ia-pd \"\\001\" { iaprefix fd00::/56 { } }", Format::Isc), Err(PREFIX));
}

#[test]
fn of_what_is_said_of_an_address_the_last_counts_and_the_newest_comes_first() {
    let text = "address,hwaddr,client_id,valid_lifetime,expire,state\n\
                10.77.0.9,52:54:00:00:00:01,,600,1000,0\n\
                10.77.0.8,52:54:00:00:00:02,,600,3000,0\n\
                10.77.0.9,52:54:00:00:00:03,,600,2000,0\n\
                10.77.0.7,52:54:00:00:00:03,,600,2500,0\n\
                10.77.0.7,52:54:00:00:00:03,,0,2500,0\n";
    let entries = read(text.as_bytes(), Format::Kea, NOW);

    let latest: Vec<_> = latest(&entries).into_iter().map(|at| entries[at].line).collect();

    assert_eq!(latest, [6, 3, 4]);
}

proptest! {
    #[test]
    fn no_file_does_harm(text in prop::collection::vec(any::<u8>(), 0..600)) {
        endures(&text);
    }

    #[test]
    fn no_damage_to_a_good_file_does_harm(
        file in 0..FILES.len(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(&b"\"\\{};,\n #>:09af\xff"[..])), 1..12),
    ) {
        let mut text = FILES[file].as_bytes().to_vec();
        for (place, byte) in damage {
            let place = place.index(text.len());
            text[place] = byte;
        }
        endures(&text);
    }
}

#[test]
fn no_file_is_too_deep_or_too_long() {
    endures("lease 10.0.0.1 {".repeat(100_000).as_bytes());
    endures("a ".repeat(200_000).as_bytes());
    endures(format!("lease {} {{ }}", "9".repeat(100_000)).as_bytes());
}

/// Each reader takes the file, and keeps no more than the file had.
fn endures(text: &[u8]) {
    let _ = Format::of(text);
    for format in [Format::Json, Format::Kea, Format::Dnsmasq, Format::Isc] {
        let entries = read(text, format, NOW);
        assert!(entries.len() <= text.len());
        assert!(latest(&entries).len() <= entries.len());
        for Entry { lease, .. } in entries {
            if let Err(Fault::Unreadable(what)) = lease {
                assert!(what.len() < 1000, "{what}");
            }
        }
    }
}

const NOW: UnixSeconds = UnixSeconds(1_795_873_000);
const KEA_ENDS: u64 = 1_795_876_825;
const KEA_GRANTED: u64 = KEA_ENDS - 3600;
const KEA6_GRANTED: u64 = 1_795_873_233;

const KEA: &str = include_str!("../../tests/lease_files/kea-leases4.csv");
const KEA6: &str = include_str!("../../tests/lease_files/kea-leases6.csv");
const DNSMASQ: &str = include_str!("../../tests/lease_files/dnsmasq.leases");
const ISC: &str = include_str!("../../tests/lease_files/dhcpd.leases");
const ISC6: &str = include_str!("../../tests/lease_files/dhcpd6.leases");
const FILES: [&str; 5] = [KEA, KEA6, DNSMASQ, ISC, ISC6];

/// Every lease of a file in which nothing else is.
fn leases(text: &str, format: Format) -> Vec<Lease> {
    read(text.as_bytes(), format, NOW).into_iter().map(|entry| entry.lease.expect("a lease")).collect()
}

fn v4(mac: u8, host: u8, times: (u64, u64), name: Option<&str>) -> Lease {
    let name = name.map(|name| name.parse().expect("a name"));
    bound(MacAddr::new([0x52, 0x54, 0, 0, 0, mac]), Ipv4Addr::new(10, 77, 0, host), times, name).into()
}

fn v6(mac: u8, host: u16, times: (u64, u64)) -> Lease {
    let address = Ipv6Addr::new(0xfd00, 0x77, 0, 0, 0, 0, 0, host);
    bound(MacAddr::new([0x52, 0x54, 0, 0, 0, mac]), address, times, None).into()
}
