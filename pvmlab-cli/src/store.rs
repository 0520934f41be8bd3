//! The machines of a lab, as the definitions in its home have them.
//!
//! A good definition is a machine; a bad one is reported by file and left as it is, and harms no other.

use std::collections::BTreeSet;
use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use lab_model::{Definition, DefinitionFile, Format, Invalid, Inventory, Ipv4Net, MacAddr, Machine, MachineName, Role};
use serde::Serialize;

use crate::error::{Failure, Kind, Result};
use crate::home::Home;
use crate::lab_network::LabNetwork;
use crate::ui::Ui;
use crate::{file, profiles};

/// Every machine of one home at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    home: Home,
    network: Option<LabNetwork>,
    machines: Vec<Stored>,
    bad: Vec<BadDefinition>,
}

/// A machine with the definition that it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    /// The definition's file, without a folder.
    pub(crate) file: String,
    /// As written.
    pub(crate) definition: Definition,
    /// As found valid.
    pub(crate) machine: Arc<Machine>,
}

/// A definition that is no machine of this lab.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct BadDefinition {
    /// Its file, without a folder.
    pub(crate) file: String,
    /// What is wrong with it.
    pub(crate) problem: String,
}

impl Store {
    /// Reads every definition.
    ///
    /// # Errors
    /// There is no home, or it cannot be read; a definition that cannot is no error.
    pub(crate) fn read(home: &Home) -> Result<Self> {
        home.require()?;
        Ok(Self::of(home, read_files(home)?))
    }

    fn of(home: &Home, files: Vec<DefinitionFile>) -> Self {
        let mut bad = Vec::new();
        let definitions: Vec<(String, Definition)> = files
            .iter()
            .filter_map(|DefinitionFile { file, text }| {
                let definition = Definition::parse(text.as_deref().ok()?, Format::of_file(file)?).ok()?;
                Some((file.clone(), definition))
            })
            .collect();
        let network = network(&definitions, &mut bad);
        let without: BTreeSet<&str> = bad.iter().map(|bad: &BadDefinition| bad.file.as_str()).collect();
        let files: Vec<_> = files.iter().filter(|file| !without.contains(file.file.as_str())).cloned().collect();
        let inventory = Inventory::build(&files, network.map_or(ANYWHERE, |lab| lab.ipv4), &Inventory::default());

        bad.extend(
            inventory
                .problems()
                .iter()
                .map(|problem| BadDefinition { file: problem.file.clone(), problem: problem.reason.to_string() }),
        );
        bad.sort_by(|a, b| a.file.cmp(&b.file));
        let mut machines: Vec<_> = definitions
            .into_iter()
            .filter(|(file, _)| bad.iter().all(|bad| bad.file != *file))
            .filter_map(|(file, definition)| {
                let machine = inventory.by_name(&definition.name)?.clone();
                Some(Stored { file, definition, machine })
            })
            .collect();
        machines.sort_by(|a, b| a.machine.name.cmp(&b.machine.name));
        Self { home: home.clone(), network, machines, bad }
    }

    /// Every machine, by name; the provisioner is one of them.
    pub(crate) fn machines(&self) -> &[Stored] {
        &self.machines
    }

    /// The definitions that are no machines, by file.
    pub(crate) fn bad(&self) -> &[BadDefinition] {
        &self.bad
    }

    /// Tells a person which definitions are not in force.
    pub(crate) fn warn(&self, ui: Ui) {
        for BadDefinition { file, problem } in &self.bad {
            ui.say(format_args!("warning: {} is not in force: {problem}", self.home.vms().join(file).display()));
        }
    }

    /// The machine with this name.
    ///
    /// # Errors
    /// There is none, or its definition is bad.
    pub(crate) fn find(&self, name: &MachineName) -> Result<&Stored> {
        if let Some(stored) = self.machines.iter().find(|stored| stored.machine.name == *name) {
            return Ok(stored);
        }
        if let Some(BadDefinition { file, problem }) = self.bad.iter().find(|bad| stem(&bad.file) == name.as_str()) {
            let path = self.home.vms().join(file);
            return Err(Failure::new(Kind::Failed, format!("machine `{name}` cannot be used: {file}: {problem}"))
                .hinted(format!("correct {}", path.display())));
        }
        let failure = Failure::new(Kind::NotFound, format!("there is no machine `{name}`"));
        Err(match self.machines.iter().map(|stored| stored.machine.name.as_str()).collect::<Vec<_>>() {
            names if names.is_empty() => failure.hinted("make one with `pvmlab vm create`"),
            names => failure.hinted(format!("there are {}", names.join(", "))),
        })
    }

    /// The provisioner, where there is one.
    pub(crate) fn provisioner(&self) -> Option<&Stored> {
        self.machines.iter().find(|stored| stored.machine.role == Role::Provisioner)
    }

    /// The provisioner.
    ///
    /// # Errors
    /// There is none yet.
    pub(crate) fn require_provisioner(&self) -> Result<&Stored> {
        self.provisioner().ok_or_else(no_provisioner)
    }

    /// The lab's network, where there is a provisioner.
    pub(crate) fn network(&self) -> Option<LabNetwork> {
        self.network
    }

    /// The lab's network.
    ///
    /// # Errors
    /// There is no provisioner yet.
    pub(crate) fn require_network(&self) -> Result<LabNetwork> {
        self.network.ok_or_else(no_provisioner)
    }

    /// An address that no machine has.
    ///
    /// # Errors
    /// There is no provisioner yet, or every address of its network is taken.
    pub(crate) fn free_address(&self) -> Result<Ipv4Addr> {
        let network = self.require_network()?;
        let taken: BTreeSet<_> = self.machines.iter().filter_map(|stored| stored.machine.address).collect();
        network.free_address(|address| taken.contains(&address)).ok_or_else(|| {
            Failure::new(Kind::Conflict, format!("every address of {} is taken", network.subnet()))
                .hinted("remove a machine with `pvmlab vm clean NAME`")
        })
    }

    /// A hardware address that no machine has: locally administered, with the prefix that QEMU's guests usually have.
    ///
    /// # Errors
    /// The system has no randomness.
    pub(crate) fn free_mac(&self) -> Result<MacAddr> {
        loop {
            let mut end = [0; 3];
            getrandom::fill(&mut end).map_err(|error| anyhow::anyhow!("no random numbers: {error}"))?;
            let [d, e, f] = end;
            let mac = MacAddr::new([0x52, 0x54, 0, d, e, f]);
            if self.machines.iter().all(|stored| stored.machine.mac != mac) {
                return Ok(mac);
            }
        }
    }

    /// What a new machine would be.
    ///
    /// # Errors
    /// It contradicts itself, the lab's network or another machine; or a file of its name is there.
    pub(crate) fn check_new(&self, definition: &Definition) -> Result<Machine> {
        self.check_name(&definition.name)?;
        let server = match definition.role {
            Role::Provisioner => LabNetwork::of(definition).map_err(|problem| Failure::new(Kind::Usage, problem))?.ipv4,
            Role::Target => self.require_network()?.ipv4,
        };
        let machine = Machine::new(definition, server).map_err(|invalid| self.refusal(&invalid))?;
        for other in self.machines.iter().map(|stored| &stored.machine) {
            let clash = |what: &str, value: String| {
                let message = format!("{what} {value} belongs to machine `{}` already", other.name);
                Failure::new(Kind::Conflict, message).hinted("`pvmlab vm list` shows what is taken")
            };
            if other.mac == machine.mac {
                return Err(clash("the hardware address", machine.mac.to_string()));
            }
            if let Some(address) = machine.address.filter(|_| other.address == machine.address) {
                return Err(clash("the address", address.to_string()));
            }
            if let Some(address) = machine.ipv6.filter(|_| other.ipv6 == machine.ipv6) {
                return Err(clash("the address", address.to_string()));
            }
        }
        if definition.role == Role::Provisioner {
            self.check_provisioner(definition)?;
        }
        profiles::refuse_unbootable(&machine, &self.home)?;
        Ok(machine)
    }

    /// Writes a definition; whoever reads it sees the old one or the new one.
    ///
    /// # Errors
    /// The disk is full, or the home is somebody else's.
    pub(crate) fn write(home: &Home, definition: &Definition) -> Result<()> {
        let mut text = serde_json::to_string_pretty(definition).context("a definition has a JSON form")?;
        text.push('\n');
        Ok(file::replace(&home.definition(&definition.name), text.as_bytes())?)
    }

    fn check_name(&self, name: &MachineName) -> Result<()> {
        let taken = |message: String| Failure::new(Kind::Conflict, message);
        if self.machines.iter().any(|stored| stored.machine.name == *name) {
            return Err(taken(format!("machine `{name}` exists already"))
                .hinted(format!("choose another name, or remove it with `pvmlab vm clean {name}`")));
        }
        let definition = self.home.definition(name);
        if let Some(path) = [definition, self.home.disk(name)].into_iter().find(|path| path.exists()) {
            return Err(taken(format!("{} exists already, though there is no machine `{name}`", path.display()))
                .hinted(format!("move it away, or remove it with `pvmlab vm clean {name}`")));
        }
        Ok(())
    }

    /// One provisioner for a lab, and every target on its network.
    fn check_provisioner(&self, definition: &Definition) -> Result<()> {
        if let Some(other) = self.provisioner() {
            let name = &other.machine.name;
            return Err(Failure::new(Kind::Conflict, format!("the lab has a provisioner already: `{name}`"))
                .hinted(format!("remove it with `pvmlab vm clean {name}`"))
                .hinted("another lab can be in another home: set PVMLAB_HOME"));
        }
        self.check_others(definition, None, "with this provisioner")
            .map_err(|failure| failure.hinted("choose other addresses, or remove that machine first"))
    }

    /// Whether the lab stays sound when the machine of `file` becomes what `definition` says.
    ///
    /// # Errors
    /// It contradicts itself, the lab's network or another machine.
    pub(crate) fn check_changed(&self, file: &str, definition: &Definition) -> Result<()> {
        self.check_others(definition, Some(file), "so changed")
    }

    /// No definition, neither this one nor another, may be out of force because of it.
    fn check_others(&self, definition: &Definition, instead_of: Option<&str>, when: &str) -> Result<()> {
        let text = serde_json::to_string(definition).context("a definition has a JSON form")?;
        let mut files = read_files(&self.home)?;
        files.retain(|file| Some(file.file.as_str()) != instead_of);
        files.push(DefinitionFile { file: format!("{}.json", definition.name), text: Ok(text) });
        let with = Self::of(&self.home, files);
        let Some(BadDefinition { file, problem }) = with.bad.iter().find(|bad| !self.bad.contains(bad)) else {
            return profiles::refuse_unbootable(&with.find(&definition.name)?.machine, &self.home);
        };
        Err(Failure::new(Kind::Conflict, format!("{when}, {file} would no longer be in force: {problem}")))
    }

    fn refusal(&self, invalid: &Invalid) -> Failure {
        let failure = Failure::new(Kind::Usage, invalid.to_string());
        match invalid {
            Invalid::OutsideNetwork { .. } => {
                failure.hinted("leave --ip out to take the next free address; `pvmlab vm list` shows what is taken")
            }
            Invalid::NoImage => failure.hinted("name one with --distro; `pvmlab distro ls` shows what there is"),
            Invalid::Mac(_)
            | Invalid::Ip(_)
            | Invalid::ServersAddress(_)
            | Invalid::Ipv6(_)
            | Invalid::SshKey(_)
            | Invalid::Uuid(_)
            | Invalid::Disk(_) => failure,
        }
    }
}

/// The names of a home's machines, good or bad; none where there is no home. For completion in a shell.
pub(crate) fn names(home: &Home) -> Vec<String> {
    let files = read_files(home).unwrap_or_default();
    let mut names: Vec<_> = files.iter().map(|file| stem(&file.file).to_owned()).collect();
    names.sort();
    names
}

/// Where no provisioner says which network it is, any address will do.
const ANYWHERE: Ipv4Net = match Ipv4Net::new(Ipv4Addr::UNSPECIFIED, 0) {
    Some(network) => network,
    None => unreachable!(),
};

fn no_provisioner() -> Failure {
    Failure::new(Kind::NotFound, "the lab has no provisioner yet")
        .hinted("make one with `pvmlab provisioner create provisioner --ip 10.77.0.1/24`")
}

fn stem(file: &str) -> &str {
    file.rsplit_once('.').map_or(file, |(stem, _)| stem)
}

fn read_files(home: &Home) -> Result<Vec<DefinitionFile>> {
    let folder = home.vms();
    let read = || -> std::io::Result<Vec<PathBuf>> {
        fs::read_dir(&folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()
    };
    let mut paths = read().with_context(|| format!("cannot read {}", folder.display()))?;
    paths.sort();
    let files = paths.iter().filter_map(|path| {
        let file = path.file_name()?.to_str()?.to_owned();
        Format::of_file(&file).filter(|_| !file.starts_with('.'))?;
        Some(DefinitionFile { file, text: fs::read_to_string(path).map_err(|error| error.to_string()) })
    });
    Ok(files.collect())
}

/// The network of the one provisioner; a second one, or one without a network, is bad.
fn network(definitions: &[(String, Definition)], bad: &mut Vec<BadDefinition>) -> Option<LabNetwork> {
    let mut first: Option<(&str, LabNetwork)> = None;
    for (file, definition) in definitions.iter().filter(|(_, definition)| definition.role == Role::Provisioner) {
        let problem = match (first, LabNetwork::of(definition)) {
            (None, Ok(network)) => {
                first = Some((file, network));
                continue;
            }
            (Some((other, _)), Ok(_)) => format!("role: {other} is the lab's provisioner: expected one"),
            (_, Err(problem)) => problem,
        };
        bad.push(BadDefinition { file: file.clone(), problem });
    }
    first.map(|(_, network)| network)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_definition_is_reported_and_harms_no_other() {
        let (_folder, home) = home();
        write(&home, "p.json", PROVISIONER);
        write(&home, "bad.json", "{\"name\": ");
        write(&home, "web.toml", &target("web", 2, "10.77.0.10"));
        write(&home, "far.toml", &target("far", 3, "10.78.0.10"));
        write(&home, "notes.txt", "not ours");

        let store = Store::read(&home).expect("a home");

        assert_eq!(names_of(&store), ["p", "web"]);
        let bad: Vec<_> = store.bad().iter().map(|bad| bad.file.as_str()).collect();
        assert_eq!(bad, ["bad.json", "far.toml"]);
        let failure = store.find(&"bad".parse().expect("a name")).expect_err("it is bad");
        assert!(failure.to_string().starts_with("machine `bad` cannot be used: bad.json: "), "{failure}");
    }

    #[test]
    fn a_second_provisioner_is_bad() {
        let (_folder, home) = home();
        write(&home, "p.json", PROVISIONER);
        write(&home, "q.json", &PROVISIONER.replace("\"p\"", "\"q\"").replace("0:01\"", "0:02\""));

        let store = Store::read(&home).expect("a home");

        assert_eq!(names_of(&store), ["p"]);
        assert_eq!(store.bad()[0].problem, "role: p.json is the lab's provisioner: expected one");
    }

    #[test]
    fn targets_without_a_provisioner_stay_machines() {
        let (_folder, home) = home();
        write(&home, "web.toml", &target("web", 2, "10.77.0.10"));

        let store = Store::read(&home).expect("a home");

        assert_eq!((names_of(&store), store.network()), (vec!["web"], None));
        assert!(store.free_address().is_err());
    }

    #[test]
    fn the_next_address_and_hardware_address_are_nobodys() {
        let (_folder, home) = home();
        write(&home, "p.json", PROVISIONER);
        write(&home, "web.toml", &target("web", 2, "10.77.0.2"));

        let store = Store::read(&home).expect("a home");

        assert_eq!(store.free_address().expect("an address"), Ipv4Addr::new(10, 77, 0, 3));
        let mac = store.free_mac().expect("an address");
        assert!(mac.is_unicast() && mac.bytes()[0] & 2 == 2, "{mac}");
    }

    const PROVISIONER: &str = r#"{"name": "p", "role": "provisioner", "arch": "aarch64", "ip": "10.77.0.1",
        "subnet": "10.77.0.0/24", "mac": "52:54:00:00:00:01"}"#;

    fn target(name: &str, mac: u8, ip: &str) -> String {
        format!("name = '{name}'\narch = 'aarch64'\nmac = '52:54:00:00:00:0{mac}'\nip = '{ip}'\n")
    }

    fn home() -> (tempfile::TempDir, Home) {
        let folder = tempfile::tempdir().expect("a folder");
        let home = Home::at(folder.path());
        home.create().expect("made");
        (folder, home)
    }

    fn write(home: &Home, file: &str, text: &str) {
        fs::write(home.vms().join(file), text).expect("written");
    }

    fn names_of(store: &Store) -> Vec<&str> {
        store.machines().iter().map(|stored| stored.machine.name.as_str()).collect()
    }
}
