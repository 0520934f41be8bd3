//! A bridge of the kernel's, for root on Linux: faster than the switch, and real interfaces may be part of it.
//!
//! QEMU makes each machine's tap device, which so ends with it. A bridge that was not there is made, and stays.

use std::fmt;

use lab_model::MacAddr;

use crate::error::Result;

/// A bridge's name: 1 to 15 bytes, as the kernel's interfaces have (`IFNAMSIZ`), of letters, digits, `-`, `_` and `.`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BridgeName(String);

impl BridgeName {
    /// `None`: no interface can have this name.
    pub(crate) fn new(name: &str) -> Option<Self> {
        let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        let whole = (1..=15).contains(&name.len()) && name != "." && name != "..";
        (plain && whole).then(|| Self(name.to_owned()))
    }
}

impl Default for BridgeName {
    fn default() -> Self {
        Self("pvmlab".to_owned())
    }
}

impl fmt::Display for BridgeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The tap device of the interface with this address: 15 bytes, the most that the kernel takes.
pub(crate) fn tap_name(mac: MacAddr) -> String {
    let digits: String = mac.bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("pvm{digits}")
}

/// Has the bridge up, and makes it where there is none.
///
/// # Errors
/// This user may not, or something else has the name.
pub(crate) fn ensure(name: &BridgeName) -> Result<()> {
    kernel::ensure(name)
}

/// Puts a device on the bridge and switches it on.
///
/// # Errors
/// One of the two is not there, or this user may not.
pub(crate) fn plug(device: &str, bridge: &BridgeName) -> Result<()> {
    kernel::plug(device, bridge)
}

#[cfg(not(target_os = "linux"))]
mod kernel {
    use super::BridgeName;
    use crate::error::{Failure, Kind, Result};

    pub(super) fn ensure(name: &BridgeName) -> Result<()> {
        Err(Failure::new(Kind::Missing, format!("there is no bridge `{name}`: only Linux has them")))
    }

    pub(super) fn plug(_device: &str, bridge: &BridgeName) -> Result<()> {
        ensure(bridge)
    }
}

#[cfg(target_os = "linux")]
mod kernel;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tap_device_has_its_name_from_the_hardware_address() {
        let name = tap_name(MacAddr::new([0x52, 0x54, 0, 0x77, 0, 0x10]));

        assert_eq!((name.as_str(), name.len()), ("pvm525400770010", 15));
    }
}
