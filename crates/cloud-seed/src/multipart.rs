//! Several cloud-init documents as one: a MIME message, which cloud-init takes apart again and merges in its order.

/// One document of several.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part<'a> {
    /// One of ours: a `#cloud-config` in ASCII.
    Ours(&'a str),
    /// Somebody's, of any kind: cloud-init tells which by its first line.
    Theirs(&'a str),
}

/// Writes the message; equal parts give equal bytes.
pub(crate) fn multipart(parts: &[Part<'_>]) -> String {
    let mut message = format!(
        "Content-Type: multipart/mixed; boundary=\"{BOUNDARY}\"\nMIME-Version: 1.0\n\nSeveral parts, merged in this order.\n"
    );
    for part in parts {
        message.push_str(&format!("--{BOUNDARY}\n"));
        match part {
            Part::Ours(text) => {
                message.push_str(&format!("Content-Type: text/cloud-config; charset=\"us-ascii\"\n\n{text}"))
            }
            // A message inside of a message: its own head says what its parts are.
            Part::Theirs(text) if is_multipart(text) => message.push_str(text),
            // cloud-init reads the message as text, and garbles what is not ASCII in it.
            Part::Theirs(text) => message.push_str(&format!(
                "Content-Type: text/plain; charset=\"utf-8\"\nContent-Transfer-Encoding: base64\n\n{}",
                base64(text.as_bytes())
            )),
        }
        if !message.ends_with('\n') {
            message.push('\n');
        }
    }
    message.push_str(&format!("--{BOUNDARY}--\n"));
    message
}

/// Whether cloud-init would take the text for a MIME message: it looks at as much of it.
pub(crate) fn is_multipart(text: &str) -> bool {
    let head = &text.as_bytes()[..text.len().min(4096)];
    head.to_ascii_lowercase().windows(MIME_VERSION.len()).any(|window| window == MIME_VERSION)
}

/// Nobody else's: a message inside of ours has another.
pub(crate) const BOUNDARY: &str = "=_pvmlab_seed_=";

const MIME_VERSION: &[u8] = b"mime-version:";

/// RFC 2045 §6.8: lines of 76 characters.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len() / 3 * 4 + bytes.len() / 57 + 6);
    for line in bytes.chunks(57) {
        for three in line.chunks(3) {
            let [a, b, c] = [0, 1, 2].map(|at| three.get(at).copied().unwrap_or_default());
            let bits = u32::from_be_bytes([0, a, b, c]);
            for digit in 0..4 {
                let value = bits >> (18 - 6 * digit) & 0x3f;
                text.push(if digit <= three.len() { char::from(DIGITS[value as usize]) } else { '=' });
            }
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_as_its_rfc_has_it() {
        // RFC 4648 §10.
        for (plain, encoded) in
            [("", ""), ("f", "Zg==\n"), ("fo", "Zm8=\n"), ("foo", "Zm9v\n"), ("foobar", "Zm9vYmFy\n")]
        {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
        assert!(base64(&[0; 1000]).lines().all(|line| line.len() <= 76));
    }

    #[test]
    fn a_message_inside_of_the_message_keeps_its_own_head() {
        let theirs = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"x\"\n\n--x\n\n#!/bin/sh\n--x--";

        let message =
            multipart(&[Part::Ours("#cloud-config\na: 1\n"), Part::Theirs(theirs), Part::Theirs("#!/bin/sh\nü")]);

        insta::assert_snapshot!(message);
    }
}
