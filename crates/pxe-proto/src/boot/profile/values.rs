//! What templates can say of a machine and its surroundings.

use std::collections::BTreeMap;

use lab_model::{Arch, Definition, ImageName, Ipv4Net, MacAddr, Machine};
use minijinja::{Value, context};

use crate::boot::BaseUrl;

/// For whom something is rendered, and where.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'a> {
    /// The machine.
    pub machine: &'a Machine,
    /// The image whose kernel it boots, where it boots one.
    pub image: Option<&'a ImageName>,
    /// The server's address on the machine's network, with its prefix.
    pub server: Ipv4Net,
    /// How the machine reaches the server.
    pub base: BaseUrl,
    /// The account that its keys open.
    pub user: &'a str,
}

/// The values by their names in templates; `vars` are the profile's, which the machine's go before.
pub(super) fn values(setting: &Setting<'_>, vars: &BTreeMap<String, String>) -> Value {
    let Setting { machine, image, server, base, user } = *setting;
    // What is not there is left out, so that nobody prints the word `none` into a document.
    let mut known = BTreeMap::from([
        ("name", Value::from(machine.name.as_str())),
        ("arch", Value::from(machine.arch.as_str())),
        ("debian_arch", Value::from(debian_arch(machine.arch))),
        ("mac", Value::from(machine.mac.to_string())),
        ("ssh_keys", Value::from(machine.ssh_keys.clone())),
    ]);
    known.extend(machine.address.map(|address| ("address", Value::from(address.to_string()))));
    let server = context! {
        url => base.to_string(),
        address => server.address().to_string(),
        netmask => server.netmask().to_string(),
    };
    let vars = vars.iter().chain(&machine.vars).map(|(name, value)| (name.as_str(), value.as_str()));
    let mut values = BTreeMap::from([
        ("machine", Value::from_pairs(known)),
        ("server", server),
        ("documents", Value::from(base.documents(&machine.name))),
        ("seed", Value::from(base.seed_folder(&machine.name))),
        ("events", Value::from(base.events(machine.mac))),
        ("up", Value::from(base.up(machine.mac))),
        ("user", Value::from(user)),
        // A name that comes twice is the machine's.
        ("vars", Value::from_pairs(vars.collect::<BTreeMap<_, _>>())),
    ]);
    values.extend(image.map(|image| ("image", Value::from(base.image_folder(image, machine.arch)))));
    Value::from_pairs(values)
}

/// The machines that every template is tried on: of both architectures, with all that a definition can say and with as
/// little as it must.
pub(super) fn samples() -> Vec<Sample> {
    Arch::ALL.into_iter().flat_map(|arch| [Sample::new(arch, true), Sample::new(arch, false)]).collect()
}

/// A made-up machine.
pub(super) struct Sample {
    machine: Machine,
    server: Ipv4Net,
}

impl Sample {
    fn new(arch: Arch, is_full: bool) -> Self {
        const CORRECT: &str = "made up correctly";
        let server: Ipv4Net = "10.77.0.1/24".parse().expect(CORRECT);
        let mut definition =
            Definition::new("sample".parse().expect(CORRECT), arch, MacAddr::new([0x52, 0x54, 0, 0, 0, 1]));
        definition.pxeboot = true;
        definition.distro = Some("sample".parse().expect(CORRECT));
        if is_full {
            definition.ip = "10.77.0.10".to_owned();
            definition.ssh_key = "ssh-ed25519 AAAA sample".to_owned();
        }
        Self { machine: Machine::new(&definition, server).expect(CORRECT), server }
    }

    pub(super) fn setting(&self) -> Setting<'_> {
        let base = BaseUrl::new(self.server.address().into(), 80);
        Setting { machine: &self.machine, image: self.machine.image.as_ref(), server: self.server, base, user: "lab" }
    }
}

/// What Debian, Ubuntu and many others call an architecture.
fn debian_arch(arch: Arch) -> &'static str {
    match arch {
        Arch::Aarch64 => "arm64",
        Arch::X86_64 => "amd64",
    }
}
