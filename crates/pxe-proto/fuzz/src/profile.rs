//! Profiles, whose templates anybody may have written who may write there, and what a machine boots by them.

use lab_model::ProfileName;
use pxe_proto::boot::profile::Files;
use pxe_proto::boot::{Asker, Profiles, decide};

use super::lab::inventory;
use super::steps::{Step, steps};

/// Each step is a file of the profile's folder; what happens says which, and whether the folder is read when it is there.
pub fn run(input: &[u8]) {
    let name: ProfileName = "fuzzed".parse().expect("a profile's name");
    let mut files = Files::new();
    let mut profiles = Profiles::default();
    for Step { what, bytes } in steps(input) {
        let Ok(text) = str::from_utf8(bytes) else { continue };
        files.insert(FILES[usize::from(what & 0x7f) % FILES.len()].to_owned(), text.to_owned());
        if what & 0x80 != 0 {
            continue;
        }
        let before = profiles;
        profiles = Profiles::build([(name.clone(), files.clone())].into(), &before);
        for problem in profiles.problems() {
            assert!(!problem.reason.to_string().is_empty());
            assert_eq!(problem.kept, before.named(&name).is_some());
            assert_eq!(profiles.named(&name), before.named(&name), "what was good stays");
        }
        assert!(profiles.named(&name).is_some() || !profiles.problems().is_empty(), "it is there, or said to be wrong");
        for machine in inventory().machines() {
            let _ = decide(Some(machine), &profiles, &Asker::default());
        }
    }
}

/// What the folder may have in it.
const FILES: [&str; 4] = ["profile.toml", "boot.ipxe", "answers.cfg", "part.j2"];
