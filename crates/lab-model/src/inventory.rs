//! All machines of the lab at one moment, and what is wrong with the definitions that are not among them.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use crate::machine::Invalid;
use crate::{Definition, Format, MacAddr, Machine, MachineName, MalformedDefinition, Networks, Uuid};

/// The machines that the lab's definition files describe. It is built whole, never changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    by_file: BTreeMap<String, Arc<Machine>>,
    by_name: BTreeMap<MachineName, Arc<Machine>>,
    by_mac: BTreeMap<MacAddr, Arc<Machine>>,
    by_address: BTreeMap<Ipv4Addr, Arc<Machine>>,
    by_ipv6: BTreeMap<Ipv6Addr, Arc<Machine>>,
    by_uuid: BTreeMap<Uuid, Arc<Machine>>,
    problems: Vec<Problem>,
}

/// A definition file as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefinitionFile {
    /// Its name without a folder; the ending says the format.
    pub file: String,
    /// Its text, or why it could not be read.
    pub text: Result<String, String>,
}

/// A definition file that is not in force as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file's name without a folder.
    pub file: String,
    /// What is wrong with it.
    pub reason: Reason,
    /// Whether an earlier, good version of the same file is still in force.
    pub kept: bool,
}

/// What is wrong with a definition file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// The file system refused.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// The text is no definition.
    #[error("{0}")]
    Malformed(#[from] MalformedDefinition),
    /// The definition is no machine of this lab.
    #[error("{0}")]
    Invalid(#[from] Invalid),
    /// Another file claims the same.
    #[error("{key}: {value} belongs to {other} already: each machine needs its own")]
    Conflict {
        /// `name`, `mac`, `uuid`, `ip` or `ipv6`.
        key: &'static str,
        /// What both claim.
        value: String,
        /// The file that holds it.
        other: String,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.reason)?;
        if self.kept { f.write_str(" (its last good version stays in force)") } else { Ok(()) }
    }
}

impl Inventory {
    /// Reads all definition files; a bad one costs nobody else anything, and keeps its own last good version.
    ///
    /// Of two files that claim the same name, address or hardware address, the one that `previous` had it from keeps it,
    /// else the first in the order of file names.
    pub fn build(files: &[DefinitionFile], networks: impl Into<Networks>, previous: &Self) -> Self {
        let networks = networks.into();
        let mut next = Self::default();
        let mut changed = Vec::new();
        for DefinitionFile { file, text } in files {
            let before = previous.by_file.get(file);
            match read(file, text, &networks) {
                Ok(machine) if before.is_some_and(|before| **before == machine) => {
                    next.claim(file, Arc::new(machine), None)
                }
                Ok(machine) => changed.push((file, Arc::new(machine), before)),
                Err(reason) => next.fail(file, reason, before),
            }
        }
        changed.sort_by_key(|(file, ..)| *file);
        for (file, machine, before) in changed {
            next.claim(file, machine, before);
        }
        next.problems.sort_by(|a, b| a.file.cmp(&b.file));
        next
    }

    /// Every machine, by name.
    pub fn machines(&self) -> impl Iterator<Item = &Arc<Machine>> {
        self.by_name.values()
    }

    /// The machine with this name.
    pub fn by_name(&self, name: &MachineName) -> Option<&Arc<Machine>> {
        self.by_name.get(name)
    }

    /// The machine with this hardware address.
    pub fn by_mac(&self, mac: MacAddr) -> Option<&Arc<Machine>> {
        self.by_mac.get(&mac)
    }

    /// The machine that this address is reserved for.
    pub fn by_address(&self, address: Ipv4Addr) -> Option<&Arc<Machine>> {
        self.by_address.get(&address)
    }

    /// The machine that this IPv6 address is reserved for.
    pub fn by_ipv6(&self, address: Ipv6Addr) -> Option<&Arc<Machine>> {
        self.by_ipv6.get(&address)
    }

    /// The machine with this UUID.
    pub fn by_uuid(&self, uuid: Uuid) -> Option<&Arc<Machine>> {
        self.by_uuid.get(&uuid)
    }

    /// The definition files that are not in force as they stand, by file name.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    fn claim(&mut self, file: &str, machine: Arc<Machine>, before: Option<&Arc<Machine>>) {
        if let Some(reason) = self.conflict(&machine) {
            return self.fail(file, reason, before);
        }
        self.by_file.insert(file.to_owned(), machine.clone());
        self.by_name.insert(machine.name.clone(), machine.clone());
        self.by_mac.insert(machine.mac, machine.clone());
        if let Some(uuid) = machine.uuid {
            self.by_uuid.insert(uuid, machine.clone());
        }
        if let Some(address) = machine.ipv6 {
            self.by_ipv6.insert(address, machine.clone());
        }
        if let Some(address) = machine.address {
            self.by_address.insert(address, machine);
        }
    }

    fn fail(&mut self, file: &str, reason: Reason, before: Option<&Arc<Machine>>) {
        let kept = before.filter(|machine| self.conflict(machine).is_none()).cloned();
        self.problems.push(Problem { file: file.to_owned(), reason, kept: kept.is_some() });
        if let Some(machine) = kept {
            self.claim(file, machine, None);
        }
    }

    fn conflict(&self, machine: &Machine) -> Option<Reason> {
        let claims = [
            ("name", machine.name.to_string(), self.by_name.get(&machine.name)),
            ("mac", machine.mac.to_string(), self.by_mac.get(&machine.mac)),
            (
                "uuid",
                machine.uuid.map(|uuid| uuid.to_string()).unwrap_or_default(),
                machine.uuid.and_then(|uuid| self.by_uuid.get(&uuid)),
            ),
            (
                "ip",
                machine.address.map(|address| address.to_string()).unwrap_or_default(),
                machine.address.and_then(|address| self.by_address.get(&address)),
            ),
            (
                "ipv6",
                machine.ipv6.map(|address| address.to_string()).unwrap_or_default(),
                machine.ipv6.and_then(|address| self.by_ipv6.get(&address)),
            ),
        ];
        let (key, value, holder) = claims.into_iter().find_map(|(key, value, holder)| Some((key, value, holder?)))?;
        let other = self.by_file.iter().find(|(_, machine)| Arc::ptr_eq(machine, holder)).map(|(file, _)| file.clone());
        Some(Reason::Conflict { key, value, other: other.unwrap_or_default() })
    }
}

fn read(file: &str, text: &Result<String, String>, networks: &Networks) -> Result<Machine, Reason> {
    let text = text.as_ref().map_err(|error| Reason::Unreadable(error.clone()))?;
    let format = Format::of_file(file)
        .ok_or_else(|| Reason::Unreadable("expected a name that ends in `.json` or `.toml`".to_owned()))?;
    Ok(Machine::new(&Definition::parse(text, format)?, networks)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_file_keeps_its_last_good_version_and_harms_no_other() {
        let good =
            build(&[("a.toml", &toml("a", 1, "10.77.0.10")), ("b.toml", &toml("b", 2, ""))], &Inventory::default());
        let bad = build(&[("a.toml", "name = "), ("b.toml", &toml("b", 3, ""))], &good);

        assert_eq!(names(&bad), ["a", "b"]);
        assert_eq!(bad.by_name(&"b".parse().expect("a name")).map(|machine| machine.mac), Some(mac(3)));
        assert!(bad.problems()[0].kept);
        assert!(bad.problems()[0].to_string().starts_with("a.toml: TOML parse error at line 1"));
    }

    #[test]
    fn two_machines_with_one_mac_are_named_by_file() {
        let inventory = build(&[("b.toml", &toml("b", 1, "")), ("a.toml", &toml("a", 1, ""))], &Inventory::default());

        assert_eq!(names(&inventory), ["a"]);
        assert_eq!(
            inventory.problems()[0].to_string(),
            "b.toml: mac: 52:54:00:00:00:01 belongs to a.toml already: each machine needs its own"
        );
    }

    #[test]
    fn two_machines_with_one_name_are_named_by_file() {
        let inventory =
            build(&[("a.toml", &toml("web", 1, "")), ("b.toml", &toml("web", 2, ""))], &Inventory::default());

        assert_eq!(
            inventory.problems()[0].to_string(),
            "b.toml: name: web belongs to a.toml already: each machine needs its own"
        );
    }

    #[test]
    fn two_machines_with_one_ipv6_address_are_named_by_file() {
        let with = |name, mac| format!("{}ipv6 = 'fd00::10/64'\n", toml(name, mac, ""));
        let inventory = build(&[("a.toml", &with("a", 1)), ("b.toml", &with("b", 2))], &Inventory::default());

        assert_eq!(
            inventory.problems()[0].to_string(),
            "b.toml: ipv6: fd00::10 belongs to a.toml already: each machine needs its own"
        );
    }

    #[test]
    fn who_had_an_address_first_keeps_it() {
        let first = build(&[("z.toml", &toml("z", 1, "10.77.0.10"))], &Inventory::default());
        let both = build(&[("a.toml", &toml("a", 2, "10.77.0.10")), ("z.toml", &toml("z", 1, "10.77.0.10"))], &first);

        assert_eq!(names(&both), ["z"]);
        assert_eq!(both.problems()[0].file, "a.toml");
    }

    #[test]
    fn a_removed_file_is_a_removed_machine() {
        let first = build(&[("a.toml", &toml("a", 1, ""))], &Inventory::default());

        assert_eq!(build(&[], &first), Inventory::default());
    }

    #[test]
    fn two_machines_may_swap_addresses_in_two_steps() {
        let first = build(
            &[("a.toml", &toml("a", 1, "10.77.0.10")), ("b.toml", &toml("b", 2, "10.77.0.11"))],
            &Inventory::default(),
        );
        let swapped =
            build(&[("a.toml", &toml("a", 1, "10.77.0.11")), ("b.toml", &toml("b", 2, "10.77.0.10"))], &first);

        assert!(swapped.problems().is_empty(), "{:?}", swapped.problems());
    }

    fn build(files: &[(&str, &str)], previous: &Inventory) -> Inventory {
        let files: Vec<_> = files
            .iter()
            .map(|(file, text)| DefinitionFile { file: (*file).to_owned(), text: Ok((*text).to_owned()) })
            .collect();
        let server: crate::Ipv4Net = "10.77.0.1/24".parse().expect("a network");
        Inventory::build(&files, server, previous)
    }

    fn toml(name: &str, mac: u8, ip: &str) -> String {
        format!("name = '{name}'\narch = 'aarch64'\nmac = '52:54:00:00:00:0{mac}'\nip = '{ip}'\n")
    }

    fn mac(last: u8) -> MacAddr {
        MacAddr::new([0x52, 0x54, 0, 0, 0, last])
    }

    fn names(inventory: &Inventory) -> Vec<&str> {
        inventory.machines().map(|machine| machine.name.as_str()).collect()
    }
}
