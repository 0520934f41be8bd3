//! Network configurations, versions 1 and 2.

use super::{Finding, Value};

/// # Errors
/// cloud-init would not understand it.
pub(super) fn check(text: &str) -> Result<Vec<Finding>, Finding> {
    let document = Value::parse(text)?;
    // cloud-init takes it with and without this key around it.
    let network = document.get("network").unwrap_or(&document);
    let of = |key: &str, problem: String| Finding::of_key(text, key, format!("{key}: {problem}"));
    let Some(entries) = network.map() else {
        return Err(Finding::whole("a network configuration has keys: expected `version: 2` and `ethernets:`"));
    };
    match network.get("version") {
        None => Err(Finding::whole("`version` is missing: expected `version: 2`, or 1 for the older form")),
        Some(Value::Number(1)) => match network.get("config") {
            Some(Value::List(_) | Value::Text(_)) => Ok(Vec::new()),
            Some(_) | None => Err(Finding::whole("version 1 has its devices in a list: expected `config:`")),
        },
        Some(Value::Number(2)) => {
            if network.get("config").is_some() {
                return Err(of(
                    "config",
                    "that is version 1: version 2 has its devices under keys such as `ethernets:`".to_owned(),
                ));
            }
            let mut warnings = Vec::new();
            for (key, devices) in entries.iter().filter_map(|(key, value)| Some((key.text()?, value))) {
                match devices {
                    _ if ["version", "renderer"].contains(&key) => {}
                    _ if !DEVICES.contains(&key) => {
                        warnings.push(of(
                            key,
                            format!("no kind of devices that netplan knows: it knows {}", DEVICES.join(", ")),
                        ));
                    }
                    Value::Map(_) | Value::Nothing => {}
                    Value::Number(_) | Value::Other | Value::Text(_) | Value::List(_) => {
                        return Err(of(key, "expected devices by name, as in `lab: {dhcp4: true}`".to_owned()));
                    }
                }
            }
            Ok(warnings)
        }
        Some(_) => Err(of("version", "expected 1 or 2".to_owned())),
    }
}

/// Netplan's reference, "YAML configuration": the kinds of devices.
const DEVICES: [&str; 12] = [
    "ethernets",
    "wifis",
    "modems",
    "bridges",
    "bonds",
    "vlans",
    "tunnels",
    "vrfs",
    "nm-devices",
    "dummy-devices",
    "virtual-ethernets",
    "openvswitch",
];
