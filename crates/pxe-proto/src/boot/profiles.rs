//! All profiles of a lab, and which of them a machine has.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use lab_model::{Machine, ProfileName};

use super::profile::{Files, Invalid, Kind, Profile};

/// Every profile that can be used, and what is wrong with the others. It is built whole, never changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profiles {
    by_name: BTreeMap<ProfileName, Arc<Profile>>,
    problems: Vec<Problem>,
}

/// A profile that is not in force as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Whose.
    pub profile: ProfileName,
    /// What is wrong with it.
    pub reason: Invalid,
    /// Whether its last good version holds meanwhile.
    pub kept: bool,
}

impl Profiles {
    /// Reads the files of each profile's folder; a profile that is wrong stays what it was `before`.
    pub fn build(folders: BTreeMap<ProfileName, Files>, before: &Self) -> Self {
        let mut profiles = Self::default();
        for (name, files) in folders {
            let known = before.by_name.get(&name);
            match Profile::new(name.clone(), files) {
                // The same one, so that nobody who holds it sees a change.
                Ok(profile) if known.is_some_and(|known| **known == profile) => {
                    profiles.by_name.extend(known.map(|known| (name, known.clone())));
                }
                Ok(profile) => drop(profiles.by_name.insert(name, Arc::new(profile))),
                Err(reason) => {
                    profiles.by_name.extend(known.map(|known| (name.clone(), known.clone())));
                    profiles.problems.push(Problem { profile: name, reason, kept: known.is_some() });
                }
            }
        }
        profiles
    }

    /// The profile that a machine has: the one that its definition names, for one time or for all, else the first, by name, that is for machines like it.
    ///
    /// # Errors
    /// The one that its definition names is not here.
    pub fn of(&self, machine: &Machine) -> Result<Option<&Arc<Profile>>, ProfileName> {
        match machine.once.as_ref().map(|once| &once.profile).or(machine.profile.as_ref()) {
            Some(name) => self.named(name).map(Some).ok_or_else(|| name.clone()),
            None => Ok(self
                .by_name
                .values()
                .find(|profile| profile.selector.as_ref().is_some_and(|selector| selector.selects(machine)))),
        }
    }

    /// Every profile that the machine could boot by: its own, or what the menu that its own is leads to.
    pub fn possible<'a>(&'a self, machine: &Machine) -> impl Iterator<Item = &'a Arc<Profile>> {
        let mut found: Vec<_> = self.of(machine).ok().flatten().into_iter().collect();
        let mut at = 0;
        while let Some(profile) = found.get(at) {
            if let Kind::Menu(menu) = &profile.kind {
                let more = menu.items.iter().filter_map(|item| self.named(item));
                let new: Vec<_> = more.filter(|item| !found.iter().any(|known| known.name == item.name)).collect();
                found.extend(new);
            }
            at += 1;
        }
        found.into_iter()
    }

    /// The profile of this name.
    pub fn named(&self, name: &ProfileName) -> Option<&Arc<Profile>> {
        self.by_name.get(name)
    }

    /// Every profile, by name.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Profile>> {
        self.by_name.values()
    }

    /// What is wrong, by profile.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.profile, self.reason)?;
        if self.kept { f.write_str(" (its last good version stays in force)") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::profile::tests::machine;

    #[test]
    fn a_machine_has_the_profile_it_names_or_the_first_that_is_for_it() {
        let profiles = build(
            &[
                ("a-x86", "kind = 'local'\n[match]\narch = 'x86_64'"),
                ("b", "kind = 'local'\n[match]\n"),
                ("c", "kind = 'local'"),
            ],
            &Profiles::default(),
        );
        let of = |more: &str| {
            let machine = machine(more);
            profiles.of(&machine).map(|profile| profile.map(|profile| profile.name.to_string()))
        };

        assert_eq!(of(""), Ok(Some("b".to_owned())));
        assert_eq!(of("profile = 'c'"), Ok(Some("c".to_owned())));
        assert_eq!(of("profile = 'gone'"), Err("gone".parse().expect("a name")));
    }

    #[test]
    fn a_profile_that_breaks_stays_as_it_was() {
        let before = build(&[("a", "kind = 'local'")], &Profiles::default());

        let after = build(&[("a", "kind = 'lokal'"), ("b", "kind = 'script'")], &before);

        assert_eq!(after.all().map(|profile| profile.kind.word()).collect::<Vec<_>>(), ["local"]);
        let problems: Vec<_> = after.problems().iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(problems.join("\n"));
    }

    fn build(folders: &[(&str, &str)], before: &Profiles) -> Profiles {
        let files = |text: &str| [("profile.toml".to_owned(), text.to_owned())].into();
        let folders = folders.iter().map(|(name, text)| (name.parse().expect("a name"), files(text)));
        Profiles::build(folders.collect(), before)
    }
}
