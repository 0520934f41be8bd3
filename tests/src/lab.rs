//! A lab: a server, the machines that are defined there, and what the server says of them.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fs,
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use lab_model::{
    Arch, Definition, Event, ImageName, LabStatus, MacAddr, Machine, MachineName, MachineStatus, ProfileName, Stage,
    What,
};
use tempfile::TempDir;

use crate::{
    hardware::Link,
    logs,
    namespace::Namespace,
    process::{own_without_privilege, until},
    server::{CONFIGURATION, DEFINITIONS, STATE, Server, Service, free_port},
    ssh::{Key, Login},
    supplies::Supplies,
    timeline,
};

/// A lab of its own, ended when this is dropped. A test that panics gets the timeline and the server's log on the way.
#[derive(Debug)]
pub struct Lab {
    service: Service,
    key: Key,
    server: RefCell<Server>,
    /// The machines as they were defined last.
    defined: RefCell<BTreeMap<MachineName, Machine>>,
    /// Where logs are kept, if they are.
    logs: Option<PathBuf>,
    folder: TempDir,
    /// Last, because what runs in it ends first.
    namespace: Option<Namespace>,
}

impl Lab {
    /// Starts the server that `supplies` has, with its images and no machine yet.
    ///
    /// With all but [`Service::HttpOnly`] this thread is in the lab's own namespace until the lab ends.
    ///
    /// # Errors
    /// There is no server program, it does not start, or this process may not make a namespace.
    pub fn start(service: Service, supplies: &Supplies) -> Result<Self> {
        let namespace = match service {
            Service::Network | Service::Proxy | Service::Tls => Some(Namespace::enter()?),
            Service::Ipv6 => Some(Namespace::enter_ipv6()?),
            Service::HttpOnly(_) => None,
        };
        let folder = tempfile::Builder::new().prefix("pvmlab-lab-").tempdir()?;
        let logs = logs::fresh()?;
        let server = Server::start(service, supplies, folder.path(), logs.as_deref().unwrap_or(folder.path()))?;
        let (server, defined) = (RefCell::new(server), RefCell::default());
        Ok(Self { service, key: Key::generate()?, server, defined, logs, folder, namespace })
    }

    /// The key that may log in to the lab's machines.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Where the network interface of one more machine leads: to the lab's bridge, or to the emulator's own network, whose
    /// DHCP server hands out our boot script's URL.
    ///
    /// # Errors
    /// This process may not make a tap device, or has no free port.
    pub fn link(&self, mac: MacAddr) -> Result<Link> {
        match &self.namespace {
            Some(namespace) => Ok(Link::Tap(namespace.tap()?)),
            None => Ok(Link::User {
                ssh_port: free_port()?,
                boot_file: format!("{}/ipxe?mac={mac}", self.service.base_url()),
            }),
        }
    }

    /// A folder as UEFI finds it on removable media (UEFI 2.10 §3.5.1.1), with the server's own iPXE: how a machine starts to
    /// boot where the network's DHCP server is not ours.
    ///
    /// # Errors
    /// The server has no iPXE.
    pub fn usb_stick(&self, arch: Arch) -> Result<TempDir> {
        let (program, name) = match arch {
            Arch::Aarch64 => ("ipxe-arm64.efi", "BOOTAA64.EFI"),
            Arch::X86_64 => ("ipxe-x86_64.efi", "BOOTX64.EFI"),
        };
        let stick = tempfile::Builder::new().prefix("pvmlab-stick-").tempdir()?;
        let boot = stick.path().join("EFI/BOOT");
        fs::create_dir_all(&boot)?;
        fs::write(boot.join(name), self.fetch(&format!("/boot/{program}"))?)?;
        own_without_privilege(stick.path())?;
        Ok(stick)
    }

    /// How the lab's key logs in to a machine, where `link` leads there and the server knows its address.
    ///
    /// # Errors
    /// The server knows no address.
    pub fn login(&self, machine: &MachineStatus, link: &Link) -> Result<Login<'_>> {
        let (address, port): (IpAddr, _) = match link {
            Link::Tap(_) => {
                let address = machine.address.map(IpAddr::from).or(machine.ipv6.map(IpAddr::from));
                (address.with_context(|| format!("{} has no address", machine.mac))?, 22)
            }
            Link::User { ssh_port, .. } => (Ipv4Addr::LOCALHOST.into(), *ssh_port),
        };
        Ok(Login { user: USER, address, port, key: &self.key })
    }

    /// The lab's network, where it has one of its own.
    pub fn namespace(&self) -> Option<&Namespace> {
        self.namespace.as_ref()
    }

    /// The server's process number; `None` while it is stopped.
    pub fn server_id(&self) -> Option<u32> {
        self.server.borrow().id()
    }

    /// Kills the server, as a crash would.
    pub fn stop_server(&self) {
        self.server.borrow_mut().stop();
    }

    /// Defines a machine that boots from the network, or changes its definition; returns when that is in force.
    ///
    /// # Errors
    /// The definition is no machine of this lab, it cannot be written, or the server does not take it.
    pub fn define(&self, definition: &Definition) -> Result<()> {
        let machine = Machine::new(definition, self.service.network())?;
        let before = self.defined.borrow_mut().insert(machine.name.clone(), machine.clone());
        let told = self.times_told_of_a_change(&machine.name);
        self.write(definition)?;
        let in_force = until(DEFINITION_LIMIT, || {
            let in_force = match &before {
                None => self.status()?.machines.iter().any(|known| known.name.as_ref() == Some(&machine.name)),
                // Then the server sees no change either.
                Some(before) if *before == machine => true,
                // Only the server's log tells of every change.
                Some(_) => self.times_told_of_a_change(&machine.name) > told,
            };
            Ok(in_force.then_some(()))
        })?;
        in_force
            .with_context(|| format!("the definition of {} is not in force after {DEFINITION_LIMIT:?}", machine.name))
    }

    /// Defines many machines at once; returns when all of them are in force.
    ///
    /// # Errors
    /// Those of [`Lab::define`].
    pub fn define_all(&self, definitions: &[Definition]) -> Result<()> {
        for definition in definitions {
            let machine = Machine::new(definition, self.service.network())?;
            self.defined.borrow_mut().insert(machine.name.clone(), machine);
            self.write(definition)?;
        }
        let expected = self.defined.borrow().len();
        let in_force = until(DEFINITION_LIMIT, || {
            let defined = self.status()?.machines.iter().filter(|machine| machine.name.is_some()).count();
            Ok((defined == expected).then_some(()))
        })?;
        in_force.with_context(|| format!("{expected} definitions are not in force after {DEFINITION_LIMIT:?}"))
    }

    /// Gives the server a profile of these files; returns when it is in force.
    ///
    /// # Errors
    /// It cannot be written, or the server does not take it.
    pub fn profile(&self, name: &ProfileName, files: &[(&str, &str)]) -> Result<()> {
        let folder = self.folder.path().join(STATE).join("profiles").join(name.as_str());
        fs::create_dir_all(&folder).context("cannot make a profile")?;
        files
            .iter()
            .try_for_each(|(file, text)| fs::write(folder.join(file), text))
            .context("cannot write a profile")?;
        let told = format!("profile in force profile={name} ");
        let in_force = until(DEFINITION_LIMIT, || Ok(self.server.borrow().log().contains(&told).then_some(())))?;
        in_force.with_context(|| format!("the profile {name} is not in force after {DEFINITION_LIMIT:?}"))
    }

    /// Adds these lines to the server's configuration; returns when they are in force.
    ///
    /// # Errors
    /// They cannot be written, or the server does not take them.
    pub fn configure(&self, more: &str) -> Result<()> {
        let file = self.folder.path().join(CONFIGURATION);
        let text = fs::read_to_string(&file).context("cannot read the configuration")?;
        fs::write(&file, text + more).context("cannot write the configuration")?;
        let told = "configuration changed key=";
        let in_force = until(DEFINITION_LIMIT, || Ok(self.server.borrow().log().contains(told).then_some(())))?;
        in_force.with_context(|| format!("the configuration is not in force after {DEFINITION_LIMIT:?}"))
    }

    fn write(&self, definition: &Definition) -> Result<()> {
        let text = serde_json::to_string_pretty(definition)?;
        let file = self.folder.path().join(DEFINITIONS).join(format!("{}.json", definition.name));
        let temporary = file.with_extension("tmp");
        fs::write(&temporary, text).context("cannot write a definition")?;
        fs::rename(&temporary, &file).context("cannot write a definition")
    }

    fn times_told_of_a_change(&self, name: &MachineName) -> usize {
        self.server.borrow().log().matches(&format!("definition changed machine=\"{name}\"")).count()
    }

    /// A machine that gets `image` installed, and lets the lab's key log in.
    pub fn target(&self, name: MachineName, arch: Arch, mac: MacAddr, image: ImageName) -> Definition {
        Definition {
            pxeboot: true,
            distro: Some(image),
            ssh_key: self.key.public().to_owned(),
            ..Definition::new(name, arch, mac)
        }
    }

    /// Kills the server, where it runs, and starts it again; returns when it was started, before it was ready.
    ///
    /// # Errors
    /// It does not start.
    pub fn restart_server(&self) -> Result<Instant> {
        self.server.borrow_mut().restart()
    }

    /// What the server says of its machines.
    ///
    /// # Errors
    /// The server does not answer.
    pub fn status(&self) -> Result<LabStatus> {
        self.server.borrow_mut().check_alive()?;
        serde_json::from_slice(&self.fetch("/machines")?).context("the answer to GET /machines is no status")
    }

    /// What the server says of one machine; `None` when it has never heard of it.
    ///
    /// # Errors
    /// The server does not answer.
    pub fn machine(&self, mac: MacAddr) -> Result<Option<MachineStatus>> {
        Ok(self.status()?.machines.into_iter().find(|machine| machine.mac == mac))
    }

    /// The server's answer to a request for `path`.
    ///
    /// # Errors
    /// The server does not answer, or refuses.
    pub fn fetch(&self, path: &str) -> Result<Vec<u8>> {
        let url = self.service.local_url() + path;
        let request = ureq::get(&url).config().timeout_global(Some(ANSWER_LIMIT)).build();
        let mut response = request.call().with_context(|| format!("cannot fetch {url}"))?;
        Ok(response.body_mut().with_config().limit(FETCH_LIMIT).read_to_vec()?)
    }

    /// Everything that happened so far, as the server's journal has it.
    ///
    /// # Errors
    /// The journal cannot be read, or holds what is no event.
    pub fn events(&self) -> Result<Vec<Event>> {
        let mut events = Vec::new();
        for file in ["events.jsonl", "strangers.jsonl"] {
            let journal = self.folder.path().join(STATE).join(file);
            let text = match fs::read_to_string(&journal) {
                Ok(text) => text,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error).with_context(|| format!("cannot read {}", journal.display())),
            };
            // The line that is being written has no end yet.
            let whole = text.rfind('\n').map_or("", |end| &text[..end]);
            for line in whole.lines().filter(|line| !line.is_empty()) {
                events.push(serde_json::from_str::<Event>(line).with_context(|| format!("no event: {line}"))?);
            }
        }
        events.sort_by_key(|event| event.at);
        Ok(events)
    }

    /// Waits until the machine's latest boot has got as far as `stage`.
    ///
    /// # Errors
    /// It has not within `limit`; the message says how far it got.
    pub fn wait_for_stage(&self, mac: MacAddr, stage: Stage, limit: Duration) -> Result<MachineStatus> {
        let mut latest = None;
        let reached = until(limit, || {
            latest = self.machine(mac)?;
            Ok(latest.clone().filter(|machine| machine.stage >= Some(stage)))
        })?;
        reached.with_context(|| format!("{mac} did not reach `{stage}` within {limit:?}: {latest:?}"))
    }

    /// Waits for the first event of this machine that `wanted` has an answer to.
    ///
    /// # Errors
    /// None came within `limit`.
    pub fn wait_for_event<T>(&self, mac: MacAddr, limit: Duration, wanted: impl Fn(&What) -> Option<T>) -> Result<T> {
        let found = until(limit, || {
            self.server.borrow_mut().check_alive()?;
            Ok(self.events()?.iter().filter(|event| event.mac == mac).find_map(|event| wanted(&event.what)))
        })?;
        match found {
            Some(found) => Ok(found),
            None => bail!("what is waited for did not happen to {mac} within {limit:?}"),
        }
    }

    /// Waits until iPXE has its script on this machine; what the script boots, in one word.
    ///
    /// # Errors
    /// Those of [`Lab::wait_for_event`].
    pub fn wait_for_script(&self, mac: MacAddr, limit: Duration) -> Result<String> {
        self.wait_for_event(mac, limit, |what| match what {
            What::Script { boot } => Some(boot.clone()),
            _ => None,
        })
    }

    /// Everything that happened so far, for people.
    pub fn timeline(&self) -> String {
        self.events().map_or_else(|error| format!("{error:#}"), |events| timeline::table(&events))
    }
}

/// The account that the server's seed makes where its configuration names none.
const USER: &str = "lab";

/// Nothing that a test reads whole is larger: kernels and initial RAM file systems.
const FETCH_LIMIT: u64 = 256 << 20;

/// Enough for the largest file under emulation.
const ANSWER_LIMIT: Duration = Duration::from_secs(120);

/// The server's promise is one second; this machine may be busy.
const DEFINITION_LIMIT: Duration = Duration::from_secs(20);

impl Drop for Lab {
    fn drop(&mut self) {
        let timeline = self.timeline();
        if let Some(folder) = &self.logs {
            let _ = fs::write(folder.join("timeline.txt"), &timeline);
        }
        if std::thread::panicking() {
            let log = self.server.borrow().log_tail();
            eprintln!("\nThe server logged last:\n{log}\n\nWhat happened:\n{timeline}\n");
            if let Some(folder) = &self.logs {
                eprintln!("Whole logs: {}\n", folder.display());
            }
        }
    }
}
