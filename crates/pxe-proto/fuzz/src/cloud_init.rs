//! What an owner writes for cloud-init.

use cloud_seed::{Purpose, UserName, check};
use lab_model::Document;

/// The first byte says which document, the others are its text.
pub fn run(input: &[u8]) {
    let Some((first, text)) = input.split_first() else { return };
    let Ok(text) = str::from_utf8(text) else { return };
    let purpose = match first % 3 {
        0 => Purpose::UserData,
        1 => Purpose::VendorData,
        _ => Purpose::NetworkConfig,
    };
    let user: UserName = "lab".parse().expect("a user's name");
    // YAML 1.2 §5.4: a carriage return alone ends a line too.
    let lines = text.split(['\r', '\n']).count();
    let findings = match check(purpose, &Document::from(text.to_owned()), &user) {
        Ok(warnings) => warnings,
        Err(finding) => vec![finding],
    };
    for finding in findings {
        assert!(finding.line.is_none_or(|line| (1..=lines + 1).contains(&line)), "{finding:?} of {lines} lines");
        assert!(!finding.text.is_empty());
    }
}
