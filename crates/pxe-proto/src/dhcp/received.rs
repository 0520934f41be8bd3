//! The options of a client's message, by code.

use std::collections::BTreeMap;

use super::guard;
use super::options::code;

/// What a client says, each option whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Received {
    by_code: BTreeMap<u8, Vec<u8>>,
}

impl Received {
    /// Reads the options of a message that the guard admitted, those in `file` and `sname` after the others (RFC 2131 §4.1).
    pub(super) fn of(message: &[u8]) -> Self {
        let mut all = Self::default();
        all.read(&message[guard::HEADER..]);
        let overload = all.get(code::OVERLOAD).and_then(|data| data.first()).copied().unwrap_or_default();
        if matches!(overload, 1 | 3) {
            all.read(&message[guard::FILE]);
        }
        if matches!(overload, 2 | 3) {
            all.read(&message[guard::SNAME]);
        }
        all
    }

    /// The option's data; `None` where the client does not send it.
    pub(super) fn get(&self, code: u8) -> Option<&[u8]> {
        self.by_code.get(&code).map(Vec::as_slice)
    }

    /// RFC 3396 §7: what comes in several parts, wherever they are, is one option. One that runs past the end hides only
    /// what follows it.
    fn read(&mut self, mut area: &[u8]) {
        loop {
            match area {
                [code::PAD, rest @ ..] => area = rest,
                [] | [code::END, ..] => return,
                [code, rest @ ..] => {
                    let Some((length, rest)) = rest.split_first() else { return };
                    let Some((data, rest)) = rest.split_at_checked(usize::from(*length)) else { return };
                    self.by_code.entry(*code).or_default().extend_from_slice(data);
                    area = rest;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_long_option_are_put_together_from_all_three_places() {
        let mut message = vec![0; guard::HEADER];
        message[guard::FILE][..6].copy_from_slice(&[77, 2, b'c', b'd', 255, 1]);
        message[guard::SNAME][..4].copy_from_slice(&[77, 1, b'e', 0]);
        message.extend([77, 1, b'a', 52, 1, 3, 0, 0, 77, 1, b'b', 255, 77, 1, b'x']);

        assert_eq!(Received::of(&message).get(77), Some(&b"abcde"[..]));
        message[guard::HEADER + 5] = 2;
        assert_eq!(Received::of(&message).get(77), Some(&b"abe"[..]));
        message[guard::HEADER + 5] = 1;
        assert_eq!(Received::of(&message).get(77), Some(&b"abcd"[..]));
        message[guard::HEADER + 5] = 7;
        assert_eq!(Received::of(&message).get(77), Some(&b"ab"[..]));
    }

    #[test]
    fn an_option_that_is_cut_off_is_none() {
        for cut in [&[12][..], &[12, 1], &[12, 2, 0]] {
            let mut message = vec![0; guard::HEADER];
            message.extend([53, 1, 1]);
            message.extend(cut);
            let received = Received::of(&message);
            assert_eq!((received.get(53), received.get(12)), (Some(&[1][..]), None));
        }
    }
}
