//! Which machines have a profile without naming it.

use lab_model::{Arch, Machine};
use serde::Deserialize;

use crate::glob;

/// The machines of a class: all that is given has to hold.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Selector {
    /// What its processor executes.
    arch: Option<Arch>,
    /// Its name is one of these; `*` stands for any characters, also none.
    names: Option<Vec<String>>,
    /// Its hardware address begins with one of these, as `52:54:00`.
    macs: Option<Vec<String>>,
}

impl Selector {
    /// Whether the machine is one of them.
    pub fn selects(&self, machine: &Machine) -> bool {
        let (name, mac) = (machine.name.as_str(), machine.mac.to_string());
        let arch = self.arch.is_none_or(|arch| arch == machine.arch);
        let named = self
            .names
            .as_ref()
            .is_none_or(|names| names.iter().any(|pattern| glob::matches(pattern.as_bytes(), name.as_bytes())));
        let macs = self.macs.as_ref();
        arch && named && macs.is_none_or(|macs| macs.iter().any(|start| mac.starts_with(&start.to_ascii_lowercase())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_given_has_to_hold() {
        let machine = super::super::tests::machine("");
        let selects = |text: &str| toml::from_str::<Selector>(text).expect("a selector").selects(&machine);

        assert!(selects(""));
        assert!(selects("arch = 'aarch64'\nnames = ['db', 'w*']\nmacs = ['52:54:00']"));
        assert!(!selects("arch = 'x86_64'\nnames = ['web']"));
        assert!(!selects("names = ['db']"));
        assert!(!selects("macs = ['aa:']"));
    }
}
