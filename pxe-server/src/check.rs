//! What is wrong with a configuration, its definitions and its images, found without serving.

use std::fmt;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::SystemTime;

use cloud_seed::UserName;
use lab_model::{ImageManifest, Inventory, Machine};
use pxe_proto::boot::{self, Asker, Boot, Profiles};
use pxe_proto::dhcp;

use crate::config::{Config, Difference, Mode};
use crate::definitions::Folder;
use crate::images::Catalogue;
use crate::interface::{Interface, Netlink};
use crate::plan::{Family, Plan};
use crate::{nat, profiles, tls};

/// How much is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Every file of every image, to the end.
    Whole,
    /// No file of an image but its manifest: a question of moments.
    Quick,
}

/// Prints what would be served to stdout, what of it differs from another configuration, and to stderr what is wrong with it.
///
/// # Errors
/// The configuration itself is wrong, or does not fit this machine.
pub(crate) fn run(path: &Path, depth: Depth, against: Option<&Path>) -> anyhow::Result<ExitCode> {
    let config = Config::read(path)?;
    let differences = match against {
        Some(other) => Difference::between(&Config::read(other)?, &config),
        None => Vec::new(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let interfaces = runtime.block_on(async { Netlink::open()?.interfaces().await })?;
    let report = Report::new(&config, &interfaces, depth)?;
    print!("{report}");
    for difference in differences {
        println!("{:<10} {difference}", if difference.needs_restart() { "restart" } else { "changes" });
    }
    for problem in &report.problems {
        eprintln!("problem: {problem}");
    }
    Ok(if report.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What would be served.
struct Report {
    interface: Option<Interface>,
    plan: Plan,
    machines: Vec<String>,
    images: Vec<String>,
    problems: Vec<String>,
}

impl Report {
    fn new(config: &Config, interfaces: &[Interface], depth: Depth) -> anyhow::Result<Self> {
        // Without an interface the configuration can only be one for `--http-only`.
        let interface = config.lab.interface.as_ref().map(|_| Interface::of(config, interfaces)).transpose()?;
        let plan = Plan::new(config.clone(), interface.as_ref())?;
        profiles::of_classes(config)?;
        let Plan { lab, ipv6, nat, .. } = &plan;
        let mut problems: Vec<_> = config.missing_folders().iter().map(ToString::to_string).collect();
        problems.extend(ipv6.iter().zip(&interface).filter_map(|(ipv6, interface)| ipv6.problem(interface)));
        problems.extend(nat.iter().flat_map(nat::Plan::problems));
        let identity = |files| tls::Identity::read(&files, plan.url(Family::Ipv4).address());
        match config.tls().map(identity).transpose() {
            Ok(identity) => {
                problems.extend(identity.iter().filter_map(|identity| identity.ends_soon(SystemTime::now())));
                let address6 = ipv6.as_ref().map(|ipv6| ipv6.server.address().into());
                problems.extend(identity.zip(address6).and_then(|(identity, address)| identity.is_not_for(address)));
            }
            Err(error) => problems.push(format!("{error:#}")),
        }
        let files = match Folder::new(&config.definitions()).read(SystemTime::now()) {
            Ok(files) => files.unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => {
                problems.push(format!("{}: {error}", config.definitions().display()));
                Vec::new()
            }
        };
        let inventory = Inventory::build(&files, lab.networks(), &Inventory::default());
        let definitions = config.definitions();
        problems.extend(inventory.problems().iter().map(|problem| format!("{}/{problem}", definitions.display())));
        problems.extend(ipv6.iter().flat_map(|ipv6| ipv6.misplaced(&inventory)));
        let machines = inventory.machines().map(|machine| machine.name.to_string()).collect();
        let catalogue = Catalogue::read(&config.images(), &Catalogue::default()).unwrap_or_else(|error| {
            problems.push(format!("{}: {error}", config.images().display()));
            Catalogue::default()
        });
        let profiles = match profiles::read(&config.profiles()) {
            Ok(folders) => Profiles::build(folders, &Profiles::default()),
            Err(error) => {
                problems.push(format!("{}: {error}", config.profiles().display()));
                Profiles::default()
            }
        };
        problems.extend(profiles.problems().iter().map(|problem| format!("{}/{problem}", config.profiles().display())));
        problems.extend(document_problems(&inventory, &config.seed.user));
        problems.extend(boot_problems(&config.images(), &catalogue, &inventory, &profiles));
        problems.extend(image_problems(&config.images(), &catalogue, depth));
        let images =
            catalogue.images().map(|image| format!("{}/{}", image.manifest.name, image.manifest.arch)).collect();
        Ok(Self { interface, plan, machines, images, problems })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Plan { config, lab, ipv6, dns, nat, .. } = &self.plan;
        match &self.interface {
            Some(interface) => writeln!(f, "interface  {interface}")?,
            None => writeln!(f, "interface  none: only `--http-only` can serve")?,
        }
        writeln!(f, "server     {}", lab.server)?;
        match (self.plan.config.dhcp.mode, &lab.pool) {
            (Mode::ProxyKnown, _) => writeln!(
                f,
                "dhcp       another server gives addresses; machines that are defined are told what to boot"
            )?,
            (Mode::ProxyAll, _) => writeln!(
                f,
                "dhcp       another server gives addresses; every network boot client is told what to boot"
            )?,
            (Mode::Server, pool) if !pool.is_empty() => writeln!(f, "pool       {pool} ({} addresses)", pool.len())?,
            (Mode::Server, _) => {
                writeln!(f, "pool       none: only machines with an address in their definition are answered")?
            }
        }
        for dhcp::Subnet { network, link, pool, .. } in &lab.relayed {
            let pool: Vec<_> = pool.iter().map(|range| format!("{}-{}", range.start(), range.end())).collect();
            writeln!(
                f,
                "subnet     {network}, pool {}{}",
                if pool.is_empty() { "none".to_owned() } else { pool.join(", ") },
                link.map(|link| format!(", on the link of {link}")).unwrap_or_default()
            )?;
        }
        let classes: Vec<_> = config.dhcp.class.iter().map(|class| class.name.get_ref().as_str()).collect();
        if !classes.is_empty() {
            writeln!(f, "classes    {}", classes.join(", "))?;
        }
        writeln!(f, "url        {}", self.plan.url(Family::Ipv4))?;
        if let Some(url) = self.plan.secure_url(Family::Ipv4) {
            writeln!(f, "tls        {url}")?;
        }
        if let Some(ipv6) = ipv6 {
            writeln!(f, "ipv6       {ipv6}")?;
        }
        if let Some(dns) = dns {
            writeln!(f, "dns        {dns}")?;
        }
        if let Some(nat) = nat {
            writeln!(f, "nat        {nat}")?;
        }
        for (what, names) in [("machines", &self.machines), ("images", &self.images)] {
            match &names[..] {
                [] => writeln!(f, "{what:<10} none")?,
                names => writeln!(f, "{what:<10} {}: {}", names.len(), names.join(", "))?,
            }
        }
        Ok(())
    }
}

/// What cloud-init would not understand of what its owner tells a machine.
fn document_problems(inventory: &Inventory, user: &UserName) -> Vec<String> {
    let problem = |machine: &Arc<Machine>| {
        let (purpose, finding) = cloud_seed::check_all(&machine.cloud_init, user).err()?;
        Some(format!("{}: {purpose}: {finding}", machine.name))
    };
    inventory.machines().filter_map(problem).collect()
}

/// What keeps machines from getting what they are to boot.
fn boot_problems(folder: &Path, catalogue: &Catalogue, inventory: &Inventory, profiles: &Profiles) -> Vec<String> {
    let folder = folder.display();
    let problem = |machine: &Arc<Machine>| {
        let boot = boot::decide(Some(machine), profiles, &Asker::default());
        let image = boot.image().and_then(|(name, arch)| catalogue.image(name, arch));
        let boot = boot.with(image.map(|image| &image.manifest));
        if let Boot::Refuse(refusal) = &boot {
            return Some(refusal.to_string());
        }
        let (name, arch) = boot.image()?;
        let missing = image.is_none();
        missing.then(|| format!("{}: the image {name} for {arch} is not in {folder}/{name}/{arch}", machine.name))
    };
    inventory.machines().filter_map(problem).collect()
}

/// What is wrong with images: each must be as its manifest says.
fn image_problems(folder: &Path, catalogue: &Catalogue, depth: Depth) -> Vec<String> {
    let folder = folder.display();
    let unusable = catalogue.problems().iter().map(|problem| format!("{folder}/{problem}"));
    let read = catalogue.images().filter(|_| depth == Depth::Whole);
    let damaged = read.filter_map(|image| {
        let ImageManifest { name, arch, .. } = &image.manifest;
        image.verify().err().map(|problem| format!("{folder}/{name}/{arch}: {problem}"))
    });
    unusable.chain(damaged).collect()
}
