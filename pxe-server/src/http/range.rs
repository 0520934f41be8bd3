//! Which part of a file a request wants (RFC 9110 §14).

use std::ops::Range;

use http::{HeaderMap, HeaderValue, header};

/// What to send of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// All of it.
    Whole,
    /// These bytes.
    Part(Range<u64>),
    /// Nothing: no byte asked for is there.
    Unsatisfiable,
}

/// Reads `Range` and `If-Range` of a request for a file of `size` bytes with this strong entity tag.
///
/// A range of another unit, several ranges and what is no range count for nothing, as RFC 9110 §14.2 allows: then the whole
/// file is sent. So does a range of another version of the file (§13.1.5).
pub(crate) fn wanted(headers: &HeaderMap, size: u64, entity_tag: &str) -> Wanted {
    let text = |value: &HeaderValue| value.to_str().ok().map(str::to_owned);
    let Some(range) = headers.get(header::RANGE).and_then(text) else { return Wanted::Whole };
    if headers.get(header::IF_RANGE).is_some_and(|condition| condition != entity_tag) {
        return Wanted::Whole;
    }
    parse(&range, size).unwrap_or(Wanted::Whole)
}

fn parse(range: &str, size: u64) -> Option<Wanted> {
    let (unit, bounds) = range.split_once('=')?;
    let (first, last) = bounds.trim().split_once('-')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    let number =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u64>().ok()).flatten();
    let (start, end) = match (first, last) {
        ("", last) => (size.saturating_sub(number(last)?), size),
        (first, "") => (number(first)?, size),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            // RFC 9110 §14.1.1: invalid, and so ignored.
            if last < first {
                return None;
            }
            (first, size.min(last.saturating_add(1)))
        }
    };
    Some(if start < end { Wanted::Part(start..end) } else { Wanted::Unsatisfiable })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_form_of_a_range_is_understood() {
        for (range, expected) in [
            ("bytes=0-0", Wanted::Part(0..1)),
            ("bytes=0-", Wanted::Part(0..10)),
            ("bytes=4-", Wanted::Part(4..10)),
            ("bytes=4-5", Wanted::Part(4..6)),
            ("Bytes= 4-99", Wanted::Part(4..10)),
            ("bytes=4-18446744073709551615", Wanted::Part(4..10)),
            ("bytes=-3", Wanted::Part(7..10)),
            ("bytes=-99", Wanted::Part(0..10)),
            ("bytes=-0", Wanted::Unsatisfiable),
            ("bytes=10-", Wanted::Unsatisfiable),
            ("bytes=10-11", Wanted::Unsatisfiable),
        ] {
            assert_eq!(wanted(&headers(range, None), 10, "\"a\""), expected, "{range}");
        }
    }

    #[test]
    fn what_is_no_single_range_counts_for_nothing() {
        for range in
            ["", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=5-4", "bytes=+1-2", "bytes=0-1,3-4", "lines=0-1"]
        {
            assert_eq!(wanted(&headers(range, None), 10, "\"a\""), Wanted::Whole, "{range}");
        }
        assert_eq!(wanted(&HeaderMap::new(), 10, "\"a\""), Wanted::Whole);
    }

    #[test]
    fn a_range_of_another_version_counts_for_nothing() {
        let part = Wanted::Part(4..10);

        assert_eq!(wanted(&headers("bytes=4-", Some("\"a\"")), 10, "\"a\""), part);
        assert_eq!(wanted(&headers("bytes=4-", Some("\"b\"")), 10, "\"a\""), Wanted::Whole);
        assert_eq!(wanted(&headers("bytes=4-", Some("W/\"a\"")), 10, "\"a\""), Wanted::Whole);
        assert_eq!(wanted(&headers("bytes=4-", Some("Mon, 23 Nov 2026 11:00:00 GMT")), 10, "\"a\""), Wanted::Whole);
    }

    proptest! {
        #[test]
        fn whatever_is_asked_for_is_in_the_file(range in "(bytes=)?[0-9,-]{0,24}", size in any::<u64>()) {
            if let Wanted::Part(part) = wanted(&headers(&range, None), size, "\"a\"") {
                prop_assert!(part.start < part.end && part.end <= size);
            }
        }
    }

    fn headers(range: &str, if_range: Option<&'static str>) -> HeaderMap {
        let mut headers = HeaderMap::from_iter([(header::RANGE, range.parse().expect("a header"))]);
        headers.extend(if_range.map(|tag| (header::IF_RANGE, HeaderValue::from_static(tag))));
        headers
    }
}
