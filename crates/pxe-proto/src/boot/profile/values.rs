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
    let vars: BTreeMap<_, _> = vars.iter().chain(&machine.vars).collect();
    context! {
        machine => context! {
            name => machine.name.as_str(),
            arch => machine.arch.as_str(),
            debian_arch => debian_arch(machine.arch),
            mac => machine.mac.to_string(),
            address => given(machine.address),
            ssh_keys => machine.ssh_keys.clone(),
        },
        server => context! {
            url => base.to_string(),
            address => server.address().to_string(),
            netmask => server.netmask().to_string(),
        },
        image => given(image.map(|image| base.image_folder(image, machine.arch))),
        documents => base.documents(&machine.name),
        seed => base.seed_folder(&machine.name),
        up => base.up(machine.mac),
        user,
        vars => Value::from_pairs(vars.into_iter().map(|(name, value)| (name.as_str(), value.as_str()))),
    }
}

/// What is not there is undefined, so that nobody prints the word `none` into a document.
fn given(value: Option<impl ToString>) -> Value {
    value.map_or(Value::UNDEFINED, |value| Value::from(value.to_string()))
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
        let server = "10.77.0.1/24".parse().expect(CORRECT);
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
        let base = BaseUrl::new(self.server.address(), 80);
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
