//! What two configuration files say differently, key by key.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use toml::{Table, Value};

use super::Config;
use super::fixed::is_fixed;

/// A key whose value is another, as both files have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    /// Such as `dhcp.lease-seconds`, or `dhcp.subnet[10.78.0.0/24].pool` in a list.
    pub(crate) key: String,
    /// What it was.
    pub(crate) old: Written,
    /// What it is.
    pub(crate) new: Written,
}

/// A value in TOML; nothing where none is written, so that the default holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Written(Option<String>);

impl Difference {
    /// Every key that differs, in their order.
    pub(crate) fn between(old: &Config, new: &Config) -> Vec<Self> {
        let (mut old, mut new) = (keys(old), keys(new));
        let all: BTreeSet<_> = old.keys().chain(new.keys()).cloned().collect();
        let pairs = all.into_iter().map(|key| (old.remove(&key), new.remove(&key), key));
        let other = pairs.filter(|(old, new, _)| old != new);
        other.map(|(old, new, key)| Self { key, old: Written(old), new: Written(new) }).collect()
    }

    /// Whether only a restart brings the new value into force.
    pub(crate) fn needs_restart(&self) -> bool {
        is_fixed(&self.key)
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} → {}", self.key, self.old, self.new)
    }
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_deref().unwrap_or("default"))
    }
}

/// Every key of a file with its value.
fn keys(config: &Config) -> BTreeMap<String, String> {
    let mut keys = BTreeMap::new();
    // It was read from this text, so there is a table in it.
    let table: Table = config.source.text.parse().unwrap_or_default();
    collect(&table, "", &mut keys);
    keys
}

fn collect(table: &Table, above: &str, keys: &mut BTreeMap<String, String>) {
    for (key, value) in table {
        let key = if above.is_empty() { key.clone() } else { format!("{above}.{key}") };
        match value {
            Value::Table(table) => collect(table, &key, keys),
            Value::Array(list) if !list.is_empty() && list.iter().all(|one| name(one).is_some()) => {
                for one in list {
                    let name = name(one).unwrap_or_default();
                    collect(one.as_table().unwrap_or(&Table::new()), &format!("{key}[{name}]"), keys);
                }
            }
            value => drop(keys.insert(key, value.to_string())),
        }
    }
}

/// What people call one of a list: a subnet by its network, a class by its name.
fn name(value: &Value) -> Option<&str> {
    let table = value.as_table()?;
    table.get("network").or_else(|| table.get("name"))?.as_str()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_difference_is_told_key_by_key() {
        let old = "state = '/a'\n[dhcp]\nlease-seconds = 60\npool = []\n[dhcp.options]\ninterface-mtu = 9000\n\
                   [[dhcp.subnet]]\nnetwork = '10.78.0.0/24'\nrouter = 'none'\n\
                   [[dhcp.class]]\nname = 'phones'\nmac = ['00:']\n";
        let new = "[dhcp]\nlease-seconds = 120\npool = []\n[dhcp.options]\ninterface-mtu = { value = 1500, always = true }\n\
                   [[dhcp.subnet]]\nnetwork = '10.78.0.0/24'\nrouter = '10.78.0.1'\n\
                   [[dhcp.subnet]]\nnetwork = '10.79.0.0/24'\nrouter = 'none'\n[http]\nport = 8080\n";

        let differences = Difference::between(&parse(old), &parse(new));

        let told: Vec<_> = differences.iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(told.join("\n"));
        let restart: Vec<_> = differences.iter().filter(|one| one.needs_restart()).map(|one| &one.key[..]).collect();
        assert_eq!(restart, ["http.port", "state"]);
    }

    #[test]
    fn the_same_in_other_words_is_no_difference() {
        let one = parse("[dhcp]\nlease-seconds = 60 # short\n[lab]\ndomain = 'lab'\n");
        let other = parse("lab.domain = \"lab\"\ndhcp = { lease-seconds = 60 }\n");

        assert_eq!(Difference::between(&one, &other), []);
    }

    fn parse(text: &str) -> Config {
        Config::parse(Path::new("config.toml"), text.to_owned()).expect("a configuration")
    }
}
