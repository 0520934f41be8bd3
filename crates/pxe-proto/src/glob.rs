//! Patterns in which `*` stands for any characters, also none.

/// Whether `text` is what `pattern` stands for.
pub(crate) fn matches(pattern: &[u8], mut text: &[u8]) -> bool {
    let mut parts = pattern.split(|byte| *byte == b'*');
    let start = parts.next().unwrap_or_default();
    let Some(rest) = text.strip_prefix(start) else { return false };
    let Some(end) = parts.next_back() else { return rest.is_empty() };
    text = rest;
    // Each part is best found as early as possible, and the last one at the end.
    for part in parts {
        let found = (0..=text.len()).find(|at| text[*at..].starts_with(part));
        let Some(at) = found else { return false };
        text = &text[at + part.len()..];
    }
    text.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, text) in [
            ("web", "web"),
            ("web-*", "web-1"),
            ("*", ""),
            ("", ""),
            ("*-db-*", "a-db-db-1"),
            ("a*a", "aa"),
            ("w**b", "wb"),
        ] {
            assert!(matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
        }
        for (pattern, text) in
            [("web", "web1"), ("web-*", "we"), ("a*a", "a"), ("*-db", "db"), ("", "a"), ("*x*", "web"), ("*a*a", "a")]
        {
            assert!(!matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
        }
    }
}
