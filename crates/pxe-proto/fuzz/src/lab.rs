//! The lab that all engines serve.

use std::net::Ipv6Addr;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use lab_model::{DefinitionFile, Inventory, Networks};

/// Three machines: one with addresses, one without, and one that boots from its disk.
pub(crate) fn inventory() -> Arc<Inventory> {
    static INVENTORY: LazyLock<Arc<Inventory>> = LazyLock::new(|| Arc::new(defined()));
    INVENTORY.clone()
}

fn defined() -> Inventory {
    let file = |name: &str, text: &str| DefinitionFile { file: format!("{name}.toml"), text: Ok(text.to_owned()) };
    let files = [
        file("web", &format!("{WEB}ip = '10.77.0.10'\nipv6 = 'fd77::10'\npxeboot = true\ndistro = 'debian-12'\n")),
        file("db", "name = 'db'\narch = 'x86_64'\nmac = '52:54:00:00:00:02'\npxeboot = true\ndistro = 'debian-12'\n"),
        file("old", "name = 'old'\narch = 'x86_64'\nmac = '52:54:00:00:00:03'\nip = '10.77.0.11'\n"),
    ];
    let relayed = vec!["10.78.0.0/24".parse().expect("a network")];
    let networks = Networks::new("10.77.0.1/24".parse().expect("a network"), relayed);
    let inventory = Inventory::build(&files, networks, &Inventory::default());
    assert_eq!(inventory.problems(), []);
    inventory
}

/// The network's IPv6 address with this end.
pub(crate) fn host6(last: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, last)
}

/// When everything begins.
pub(crate) fn epoch() -> Instant {
    Instant::now()
}

const WEB: &str = "name = 'web'\narch = 'aarch64'\nmac = '52:54:00:00:00:01'\n";
