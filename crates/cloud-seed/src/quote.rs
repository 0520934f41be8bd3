//! Values as YAML takes them literally.

use std::fmt::Write as _;

/// Writes a double-quoted YAML scalar (YAML 1.2.2 §7.3.1) in ASCII.
///
/// JSON's quoting is not enough: it lets characters stand for themselves that YAML readers refuse as not printable, and
/// writes those beyond U+FFFF as two surrogates, which YAML does not join.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        let _ = match c {
            '"' | '\\' => write!(quoted, "\\{c}"),
            ' '..='~' => write!(quoted, "{c}"),
            '\0'..='\u{ff}' => write!(quoted, "\\x{:02x}", c as u32),
            '\u{100}'..='\u{ffff}' => write!(quoted, "\\u{:04x}", c as u32),
            _ => write!(quoted, "\\U{:08x}", c as u32),
        };
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_yaml_would_read_as_something_else_stays_text() {
        for text in
            ["no", "2024-01-01", "~", "{a: b}", "- x", "#", "\"", "\\", "a\nb: c", "\u{feff}", "\u{7f}", "ü", "𝄞"]
        {
            assert_eq!(serde_saphyr::from_str::<String>(&quoted(text)).expect("a string"), text);
        }
    }

    proptest! {
        #[test]
        fn every_text_survives(text in any::<String>()) {
            prop_assert_eq!(serde_saphyr::from_str::<String>(&quoted(&text)).expect("a string"), text);
        }
    }
}
