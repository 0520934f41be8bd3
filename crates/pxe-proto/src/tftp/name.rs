//! File names as firmware writes them.

/// The name to look up: without the `/`, `\`, `./` and `.\` that sloppy firmware puts in front, and with `/` for `\`.
///
/// Nothing when it is not printable ASCII, empty, or longer than any file's name.
pub(super) fn clean(wire: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(wire).ok().filter(|text| text.bytes().all(|byte| matches!(byte, b' '..=b'~')))?;
    let mut name = text;
    while let Some(rest) = ["/", "\\", "./", ".\\"].iter().find_map(|prefix| name.strip_prefix(prefix)) {
        name = rest;
    }
    (1..=NAME_MAX).contains(&name.len()).then(|| name.replace('\\', "/"))
}

/// Text from the network, fit for a log line: printable ASCII, the rest escaped, cut where it gets long.
pub fn printable(wire: &[u8]) -> String {
    match wire.get(..PRINTABLE_MAX) {
        Some(head) if wire.len() > PRINTABLE_MAX => format!("{}...", head.escape_ascii()),
        _ => wire.escape_ascii().to_string(),
    }
}

/// Longer than any name in a table of boot files.
const NAME_MAX: usize = 255;

/// A log line's worth.
const PRINTABLE_MAX: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_firmware_puts_in_front_is_no_part_of_the_name() {
        for name in ["ipxe.efi", "/ipxe.efi", "./ipxe.efi", "\\ipxe.efi", ".\\ipxe.efi", "//ipxe.efi", "/././/ipxe.efi"]
        {
            assert_eq!(clean(name.as_bytes()).as_deref(), Some("ipxe.efi"), "{name}");
        }
        assert_eq!(clean(b"\\boot\\x64\\ipxe.efi").as_deref(), Some("boot/x64/ipxe.efi"));
    }

    #[test]
    fn case_and_dots_are_part_of_the_name() {
        for name in ["IPXE.EFI", "../ipxe.efi", ".ipxe", "a/./b", "..", "a b"] {
            assert_eq!(clean(name.as_bytes()).as_deref(), Some(name), "{name}");
        }
    }

    #[test]
    fn what_cannot_be_a_name_is_none() {
        let long = "x".repeat(256);
        for name in [b"".as_slice(), b"/", b"./", b"a\nb", b"\xff\xfe", "é".as_bytes(), b"a\x7f", long.as_bytes()] {
            assert_eq!(clean(name), None, "{}", name.escape_ascii());
        }
        assert!(clean("x".repeat(255).as_bytes()).is_some());
    }

    #[test]
    fn a_hostile_name_cannot_forge_a_log_line() {
        assert_eq!(printable(b"a\nlevel=error \x1b[31m\xff"), r"a\nlevel=error \x1b[31m\xff");
        assert_eq!(printable(&[b'x'; 81]), format!("{}...", "x".repeat(80)));
        assert_eq!(printable(&[b'x'; 80]), "x".repeat(80));
    }
}
