//! What a fuzzer is given of this program: its readers of what files and clients say.
//!
//! Built for the fuzzer (`crates/pxe-proto/fuzz`) and for tests alone.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;

use http::{HeaderMap, HeaderValue, header};
use pxe_proto::dhcp::LeaseRecord;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::config::{Config, Difference};
use crate::http::range::{Wanted, wanted};
use crate::interface::Interface;
use crate::leases;
use crate::plan::{Family, Plan};

/// The input is a configuration's text.
pub fn configuration(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    if let Err(error) = Config::parse(Path::new("config.toml"), text.to_owned()) {
        assert!(format!("{error:#}").starts_with("config.toml: "));
    }
}

/// The input is a configuration's text and, behind a zero, the text that it is changed to while the server runs.
pub fn reload(input: &[u8]) {
    let mut texts = input.splitn(2, |byte| *byte == 0).map(str::from_utf8);
    let (Some(Ok(old)), Some(Ok(new))) = (texts.next(), texts.next()) else { return };
    let path = Path::new("config.toml");
    let (Ok(old), Ok(mut new)) = (Config::parse(path, old.to_owned()), Config::parse(path, new.to_owned())) else {
        return;
    };
    assert_eq!(Difference::between(&old, &old), []);
    for difference in Difference::between(&old, &new) {
        assert_ne!(difference.old, difference.new, "{difference}");
    }

    new.keep_what_is_fixed(&old);
    assert_eq!(new.state(), old.state());
    let interface = Interface {
        name: "lab0".to_owned(),
        index: 2,
        addresses: vec!["10.77.0.1/24".parse().expect("a network")],
        ipv6: vec!["fd77::1/64".parse().expect("a network")],
        lasting_ipv6: Some("fd77::1/64".parse().expect("a network")),
    };
    for interface in [None, Some(&interface)] {
        match Plan::new(new.clone(), interface) {
            Ok(plan) => {
                drop((plan.dhcp(true), plan.proxy(), plan.dhcp6(&[0, 3]), plan.boot_url(Family::Ipv6)));
            }
            Err(unfit) => assert!(unfit.to_string().starts_with("config.toml"), "{unfit}"),
        }
    }
}

/// The input is a line of a lease journal, or what stands behind its checksum.
pub fn lease(input: &[u8]) {
    let checked = [format!("{:08x} ", crc32fast::hash(input)).as_bytes(), input].concat();
    for line in [input, &checked] {
        read_again::<Ipv4Addr>(line);
        read_again::<Ipv6Addr>(line);
    }
}

/// The first eight bytes are a file's size; what follows is the value of `Range`, and, behind a zero, that of `If-Range`.
pub fn range(input: &[u8]) {
    let Some((size, values)) = input.split_first_chunk() else { return };
    let size = u64::from_be_bytes(*size);
    let mut headers = HeaderMap::new();
    for (name, value) in [header::RANGE, header::IF_RANGE].into_iter().zip(values.split(|byte| *byte == 0)) {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.insert(name, value);
        }
    }
    if let Wanted::Part(part) = wanted(&headers, size, "\"tag\"") {
        assert!(part.start < part.end && part.end <= size, "{part:?} of {size}");
    }
}

fn read_again<A: DeserializeOwned + Serialize>(line: &[u8]) {
    let Some(lease) = leases::read::<A>(line) else { return };
    let written = leases::lines([&lease]);
    let read: LeaseRecord<A> = leases::read(written.trim_ascii_end()).expect("what we write can be read");
    assert_eq!(leases::lines([&read]), written);
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    type Target = fn(&[u8]);

    #[test]
    fn nothing_that_was_ever_found_breaks_a_reader() {
        let targets = [
            ("configuration", configuration as Target),
            ("lease", lease as Target),
            ("range", range as Target),
            ("reload", reload as Target),
        ];
        for (name, target) in targets {
            let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/pxe-proto/fuzz/corpus").join(name);
            let inputs = fs::read_dir(corpus).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
            assert!(!inputs.is_empty(), "{name}");
            for input in inputs {
                eprintln!("{}", input.display());
                target(&fs::read(input).unwrap());
            }
        }
    }
}
