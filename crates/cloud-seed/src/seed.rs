//! The four documents for one machine.

use lab_model::{CloudInit, Document, Machine};
use minijinja::{Environment, UndefinedBehavior, Value, context};

use crate::UserName;
use crate::multipart::{Part, multipart};
use crate::quote::quoted;

/// The NoCloud documents of one installation of one machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seed {
    /// Which machine this is.
    pub meta_data: String,
    /// Who may log in, and what its owner wants it to be.
    pub user_data: String,
    /// How it reaches its networks: the lab's by DHCP (network configuration version 2) unless its owner says otherwise.
    pub network_config: String,
    /// What the lab wants to know of it.
    pub vendor_data: String,
}

/// Whom a seed is for.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The machine.
    pub machine: &'a Machine,
    /// What tells this installation of it from any other: cloud-init does its work once for each.
    pub instance: &'a str,
    /// Who may log in with the machine's keys.
    pub user: &'a UserName,
    /// Where the installed system says that it is up.
    pub up_url: &'a str,
    /// Whether the lab's network has IPv6.
    pub has_ipv6: bool,
}

impl Seed {
    /// Writes the documents.
    pub fn new(subject: Subject<'_>) -> Self {
        let values = context! {
            name => subject.machine.name.as_str(),
            mac => subject.machine.mac.to_string(),
            ssh_keys => &subject.machine.ssh_keys,
            user => subject.user.as_str(),
            instance => subject.instance,
            up_url => subject.up_url,
            has_ipv6 => subject.has_ipv6,
        };
        let CloudInit { user_data, vendor_data, network_config } = &subject.machine.cloud_init;
        Self {
            meta_data: render(include_str!("../../../cloud-init/target/meta-data.j2"), &values),
            user_data: self::user_data(user_data.as_ref(), &values),
            network_config: match network_config {
                Some(theirs) => theirs.text().to_owned(),
                None => render(include_str!("../../../cloud-init/target/network-config.j2"), &values),
            },
            vendor_data: {
                let ours = render(include_str!("../../../cloud-init/target/vendor-data.j2"), &values);
                vendor_data
                    .as_ref()
                    .map_or(ours.clone(), |theirs| multipart(&[Part::Ours(&ours), Part::Theirs(theirs.text())]))
            },
        }
    }

    /// The documents under the names by which NoCloud looks for them, in the order of these names.
    pub fn files(&self) -> [(&'static str, &str); 4] {
        [
            ("meta-data", &self.meta_data),
            ("network-config", &self.network_config),
            ("user-data", &self.user_data),
            ("vendor-data", &self.vendor_data),
        ]
    }
}

/// Theirs comes between two parts of ours: what it says replaces the settings of the first, and to the users that it makes the
/// second adds the one by whom the lab logs in.
fn user_data(theirs: Option<&Document>, values: &Value) -> String {
    let ours = |login: bool, settings: bool| {
        let values = context! { login, settings, ..values.clone() };
        render(include_str!("../../../cloud-init/target/user-data.j2"), &values)
    };
    match theirs {
        None => ours(true, true),
        Some(theirs) => {
            multipart(&[Part::Ours(&ours(false, true)), Part::Theirs(theirs.text()), Part::Ours(&ours(true, false))])
        }
    }
}

/// Fills in one of the templates of this tree.
pub(crate) fn render(template: &str, values: &Value) -> String {
    let mut environment = Environment::empty();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.add_filter("quoted", |text: &str| quoted(text));
    let mut text = environment.render_str(template, values).expect("the templates are ours, and tests render each");
    // The engine drops a template's last newline.
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use lab_model::{Definition, Format};
    use serde::Deserialize;

    use super::*;

    #[test]
    fn a_machine_with_two_keys() {
        let seed = seed(&machine("ssh-ed25519 AAAAC3 ann@host\\nssh-rsa AAAAB3 #1: \\\"bob\\\""));

        insta::assert_snapshot!(seed.files().map(|(name, text)| format!("--- {name}\n{text}")).concat());
    }

    #[test]
    fn cloud_init_reads_what_was_meant() {
        #[derive(Deserialize)]
        struct UserData {
            users: Vec<User>,
            disable_root: bool,
            ssh_pwauth: bool,
        }
        #[derive(Deserialize)]
        struct User {
            name: String,
            lock_passwd: bool,
            ssh_authorized_keys: Vec<String>,
        }
        let key = "ssh-ed25519 AAAAC3 no: #{x} \u{1f511}";

        let seed = seed(&machine(key));

        assert!(seed.user_data.starts_with("#cloud-config\n"));
        let read: UserData = serde_saphyr::from_str(&seed.user_data).expect("YAML");
        assert_eq!((read.disable_root, read.ssh_pwauth), (true, false));
        let [user] = &read.users[..] else { panic!("one user") };
        assert_eq!(
            (user.name.as_str(), user.lock_passwd, &user.ssh_authorized_keys[..]),
            ("lab", true, &[key.into()][..])
        );
    }

    #[test]
    fn a_machine_without_keys_lets_nobody_in() {
        #[derive(Deserialize)]
        struct UserData {
            users: Vec<User>,
        }
        #[derive(Deserialize)]
        struct User {
            ssh_authorized_keys: Vec<String>,
        }

        let read: UserData = serde_saphyr::from_str(&seed(&machine("")).user_data).expect("YAML");

        assert_eq!(read.users[0].ssh_authorized_keys, [""; 0]);
    }

    #[test]
    fn what_its_owner_wrote_is_merged_with_ours() {
        let documents = "user_data = '#!/bin/sh'\nvendor_data = '#cloud-config'\nnetwork_config = 'version: 2'";

        let seed = seed(&defined(&format!("ssh_key = 'ssh-ed25519 AAAAC3 ann@host'\n{documents}")));

        insta::assert_snapshot!(seed.files().map(|(name, text)| format!("--- {name}\n{text}")).concat());
    }

    #[test]
    fn every_document_is_yaml() {
        let seed = seed(&machine("ssh-ed25519 AAAAC3 a"));

        for (name, text) in seed.files() {
            let read: Result<std::collections::BTreeMap<String, serde::de::IgnoredAny>, _> =
                serde_saphyr::from_str(text);
            assert!(read.is_ok(), "{name}: {:?}\n{text}", read.err());
        }
    }

    #[test]
    fn where_the_lab_has_ipv6_a_machine_asks_for_an_address_by_both_families() {
        #[derive(Deserialize)]
        struct Network {
            ethernets: std::collections::BTreeMap<String, Interface>,
        }
        #[derive(Deserialize)]
        struct Interface {
            dhcp4: bool,
            #[serde(default)]
            dhcp6: bool,
        }
        let families = |has_ipv6| {
            let (machine, user) = (machine(""), UserName::default());
            let seed = Seed::new(Subject { has_ipv6, ..subject(&machine, &user) });
            let read: Network = serde_saphyr::from_str(&seed.network_config).expect("YAML");
            (read.ethernets["lab"].dhcp4, read.ethernets["lab"].dhcp6)
        };

        assert_eq!((families(false), families(true)), ((true, false), (true, true)));
    }

    fn seed(machine: &Machine) -> Seed {
        Seed::new(subject(machine, &UserName::default()))
    }

    fn subject<'a>(machine: &'a Machine, user: &'a UserName) -> Subject<'a> {
        let up_url = "http://10.77.0.1/machines/52:54:00:00:00:01/up";
        Subject { machine, instance: "web-1", user, up_url, has_ipv6: false }
    }

    fn machine(ssh_key: &str) -> Machine {
        defined(&format!("ssh_key = \"{ssh_key}\""))
    }

    fn defined(more: &str) -> Machine {
        let text = format!("name = 'web'\narch = 'aarch64'\nmac = '52:54:00:00:00:01'\n{more}");
        let definition = Definition::parse(&text, Format::Toml).expect("a definition");
        Machine::new(&definition, "10.77.0.1/24".parse::<lab_model::Ipv4Net>().expect("a network")).expect("a machine")
    }
}
