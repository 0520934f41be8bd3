//! Definitions of machines, in both formats, and what such a machine boots.

use lab_model::{Definition, DefinitionFile, Format, Inventory, Ipv4Net};
use pxe_proto::boot::{self, Asker, Profiles};

/// The input is a definition's text.
pub fn run(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    for (format, file) in [(Format::Toml, "x.toml"), (Format::Json, "x.json")] {
        let parsed = Definition::parse(text, format);
        let network: Ipv4Net = "10.77.0.1/24".parse().expect("a network");
        let file = DefinitionFile { file: file.to_owned(), text: Ok(text.to_owned()) };
        let inventory = Inventory::build(&[file.clone(), file], network, &Inventory::default());
        inventory.problems().iter().for_each(|problem| drop(problem.to_string()));
        assert!(parsed.is_ok() || inventory.machines().next().is_none());
        for machine in inventory.machines() {
            let _ = boot::decide(Some(machine), &Profiles::default(), &Asker::default());
            assert_eq!(inventory.by_mac(machine.mac), Some(machine));
        }
    }
}
