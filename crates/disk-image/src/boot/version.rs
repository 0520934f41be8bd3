//! Which of two versions is newer, as packages and boot loaders compare them.

use std::cmp::Ordering;

/// Compares two versions (UAPI group's Version Format Specification): numbers by value, letters by the alphabet, numbers
/// after letters; `~` comes before the end, so that `6.1~rc1` is older than `6.1`.
pub(crate) fn compare(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left.as_bytes(), right.as_bytes());
    loop {
        left = after_separators(left);
        right = after_separators(right);
        match (left.first(), right.first()) {
            (Some(b'~'), Some(b'~')) => (left, right) = (&left[1..], &right[1..]),
            (Some(b'~'), _) => return Ordering::Less,
            (_, Some(b'~')) => return Ordering::Greater,
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(l), Some(r)) => {
                let numeric = l.is_ascii_digit();
                if numeric != r.is_ascii_digit() {
                    return if numeric { Ordering::Greater } else { Ordering::Less };
                }
                let (a, b);
                (a, left) = segment(left, numeric);
                (b, right) = segment(right, numeric);
                match if numeric { numbers(a, b) } else { a.cmp(b) } {
                    Ordering::Equal => {}
                    decided => return decided,
                }
            }
        }
    }
}

fn after_separators(text: &[u8]) -> &[u8] {
    let count = text.iter().take_while(|byte| !byte.is_ascii_alphanumeric() && **byte != b'~').count();
    &text[count..]
}

fn segment(text: &[u8], numeric: bool) -> (&[u8], &[u8]) {
    let belongs = |byte: &u8| if numeric { byte.is_ascii_digit() } else { byte.is_ascii_alphabetic() };
    text.split_at(text.iter().take_while(|byte| belongs(byte)).count())
}

/// Numbers of any length: the longer one is larger.
fn numbers(left: &[u8], right: &[u8]) -> Ordering {
    let significant = |digits: &[u8]| digits.iter().skip_while(|digit| **digit == b'0').copied().collect::<Vec<_>>();
    let (left, right) = (significant(left), significant(right));
    left.len().cmp(&right.len()).then(left.cmp(&right))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn newer_versions_come_after_older_ones() {
        let ordered = [
            "",
            "0-rescue-3c1f",
            "5.9.0",
            "5.10.0-9-amd64",
            "5.10.0-10-amd64",
            "6.1~rc1",
            "6.1",
            "6.1.0-9-cloud-amd64",
            "6.1.0-37-cloud-amd64",
            "6.8.0-31-generic",
            "6.8.0-101-generic",
            "6.10.4-200.fc40.x86_64",
            "6.10.14-200.fc40.x86_64",
        ];
        for (at, left) in ordered.iter().enumerate() {
            for (other, right) in ordered.iter().enumerate() {
                assert_eq!(compare(left, right), at.cmp(&other), "{left} and {right}");
            }
        }
        assert_eq!(compare("6.01", "6.1"), Ordering::Equal);
    }

    proptest! {
        #[test]
        fn it_is_an_order(a in VERSION, b in VERSION, c in VERSION) {
            prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
            prop_assert_eq!(compare(&a, &a), Ordering::Equal);
            if compare(&a, &b).is_le() && compare(&b, &c).is_le() {
                prop_assert!(compare(&a, &c).is_le(), "{} {} {}", a, b, c);
            }
        }
    }

    const VERSION: &str = "[a-c0-2.~é-]{0,8}";
}
