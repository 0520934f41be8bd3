//! GRUB's environment block: variables that outlive a boot, such as which entry was saved as the default.

use std::collections::BTreeMap;

/// Variables and their values.
pub(crate) type Environment = BTreeMap<String, String>;

/// Reads a block: after a line that says what it is, `name=value` lines, then `#` to its end. What is none holds nothing.
pub(crate) fn read(block: &[u8]) -> Environment {
    let text = String::from_utf8_lossy(block);
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let pairs = lines.filter_map(|line| line.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), unescaped(value))).collect()
}

/// GRUB writes a backslash before a backslash and before a line's end.
fn unescaped(value: &str) -> String {
    let mut bare = String::with_capacity(value.len());
    let mut letters = value.chars();
    while let Some(letter) = letters.next() {
        bare.extend(if letter == '\\' { letters.next() } else { Some(letter) });
    }
    bare
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_grub_editenv_writes() {
        let block = b"# GRUB Environment Block\n# WARNING: Do not edit\nsaved_entry=a-6.1\nkernelopts=root=UUID=1 ro x=\\\\y\n#####";

        let environment = read(block);

        let pairs = [("kernelopts", "root=UUID=1 ro x=\\y"), ("saved_entry", "a-6.1")];
        assert_eq!(environment, pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    }
}
