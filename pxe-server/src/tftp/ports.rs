//! The ports that transfers leave from.

use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, de};

/// Which ports transfers may have, written `any`, `listening` or `40000-40999`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Ports {
    /// Each any free one (RFC 1350 §4).
    #[default]
    Any,
    /// Each a free one of these: for a firewall that lets these through.
    Among(RangeInclusive<u16>),
    /// All the one that requests come in on: for what lets no other through.
    Listening,
}

/// Which port a transfer is to try next.
#[derive(Debug)]
pub(super) struct Candidates {
    ports: Ports,
    listening: u16,
    /// Where the search in a range goes on: a port that was free just now may still be written to by its last client.
    next: u16,
}

impl Candidates {
    pub(super) fn new(ports: Ports, listening: u16) -> Self {
        let next = if let Ports::Among(range) = &ports { *range.start() } else { 0 };
        Self { ports, listening, next }
    }

    /// Ports to try one after the other; 0 leaves the choice to the kernel.
    pub(super) fn next(&mut self) -> impl Iterator<Item = u16> {
        let (first, last, then) = match &self.ports {
            Ports::Any => (0, 0, 0..=0),
            Ports::Listening => (self.listening, self.listening, self.listening..=self.listening),
            Ports::Among(range) => (self.next, *range.end(), range.clone()),
        };
        self.next = if first == last { *then.start() } else { first + 1 };
        let again = if first == *then.start() { None } else { Some(*then.start()..first) };
        (first..=last).chain(again.into_iter().flatten())
    }
}

impl FromStr for Ports {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let range = || {
            let (first, last) = text.split_once('-')?;
            let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
            (0 < first && first <= last).then_some(Self::Among(first..=last))
        };
        match text {
            "any" => Ok(Self::Any),
            "listening" => Ok(Self::Listening),
            _ => range().ok_or_else(|| {
                format!("`{text}` are no ports: expected `any`, `listening`, or first and last such as `40000-40999`")
            }),
        }
    }
}

impl<'de> Deserialize<'de> for Ports {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use std::iter;

    use super::*;

    #[test]
    fn a_range_is_gone_through_from_where_the_last_transfer_began() {
        let mut candidates = Candidates::new("40000-40002".parse().expect("a range"), 69);

        let tried: Vec<Vec<u16>> = iter::repeat_with(|| candidates.next().collect()).take(4).collect();

        assert_eq!(tried, [[40000, 40001, 40002], [40001, 40002, 40000], [40002, 40000, 40001], [40000, 40001, 40002]]);
    }

    #[test]
    fn without_a_range_there_is_one_port_to_try() {
        for (ports, port) in [("any", 0), ("listening", 69), ("7-7", 7)] {
            let mut candidates = Candidates::new(ports.parse().expect("ports"), 69);
            for _ in 0..2 {
                assert_eq!(candidates.next().collect::<Vec<_>>(), [port], "{ports}");
            }
        }
    }

    #[test]
    fn what_is_no_range_of_ports_is_refused() {
        for text in ["", "69", "2-1", "0-9", "1-65536", "a-b", "all"] {
            assert!(text.parse::<Ports>().is_err(), "{text}");
        }
    }
}
