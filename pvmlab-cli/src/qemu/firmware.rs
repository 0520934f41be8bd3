//! UEFI firmware as the host's packages describe it: QEMU's firmware descriptors (`docs/interop/firmware.json`).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use lab_model::Arch;
use serde::Deserialize;

use crate::error::{Failure, Kind, Result};
use crate::file;
use crate::host::{Host, Os};

/// EDK2 for one architecture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Firmware {
    /// The code, which is only read.
    pub(crate) code: Flash,
    /// An empty variable store, which each machine gets a copy of.
    pub(crate) variables: Flash,
}

/// What is in a flash chip.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Flash {
    #[serde(rename = "filename")]
    pub(crate) file: PathBuf,
    /// QEMU's name of the format: `raw` or `qcow2`.
    #[serde(default = "raw")]
    pub(crate) format: String,
}

impl Firmware {
    /// The firmware of machines with this architecture: of those installed the first, by file name as the descriptors' rules
    /// have it, that has neither Secure Boot nor somebody's keys.
    ///
    /// # Errors
    /// None is installed; the hint has the package's name.
    pub(crate) fn find(arch: Arch, host: &Host) -> Result<Self> {
        // A folder that comes first hides a file of the same name in a later one.
        let mut descriptors = BTreeMap::new();
        for folder in host.data_folders.iter().rev() {
            for entry in fs::read_dir(folder.join("qemu/firmware")).into_iter().flatten().flatten() {
                descriptors.insert(entry.file_name(), entry.path());
            }
        }
        let found = descriptors.values().find_map(|path| {
            let descriptor: Descriptor = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
            descriptor.firmware_of(arch)
        });
        found.filter(Self::is_there).ok_or_else(|| {
            Failure::new(Kind::Missing, format!("there is no UEFI firmware for {arch} on this host"))
                .hinted(format!("install it: {}", how_to_install(arch, host.os)))
        })
    }

    /// Gives a machine a variable store of its own, where it has none yet.
    ///
    /// # Errors
    /// The disk is full.
    pub(crate) fn copy_variables(&self, to: &Path) -> Result<()> {
        if !to.exists() {
            let empty = &self.variables.file;
            let bytes = fs::read(empty).with_context(|| format!("cannot read {}", empty.display()))?;
            file::replace(to, &bytes)?;
        }
        Ok(())
    }

    fn is_there(&self) -> bool {
        self.code.file.is_file() && self.variables.file.is_file()
    }
}

/// What a descriptor says, as far as it matters here.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Descriptor {
    interface_types: Vec<String>,
    mapping: Mapping,
    targets: Vec<Target>,
    features: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Mapping {
    device: String,
    /// Absent is `split`, the only one with a variable store beside the code.
    mode: Option<String>,
    executable: Option<Flash>,
    nvram_template: Option<Flash>,
}

#[derive(Deserialize)]
struct Target {
    architecture: String,
    machines: Vec<String>,
}

impl Descriptor {
    fn firmware_of(self, arch: Arch) -> Option<Firmware> {
        let machine = match arch {
            Arch::Aarch64 => "virt",
            Arch::X86_64 => "q35",
        };
        let is_target = |target: &Target| {
            target.architecture == arch.as_str() && target.machines.iter().any(|name| name.contains(machine))
        };
        let uefi = self.interface_types.iter().any(|interface| interface == "uefi");
        let split = self.mapping.device == "flash" && self.mapping.mode.is_none_or(|mode| mode == "split");
        let plain = !self.features.iter().any(|feature| UNWANTED.contains(&feature.as_str()));
        if !(uefi && split && plain && self.targets.iter().any(is_target)) {
            return None;
        }
        Some(Firmware { code: self.mapping.executable?, variables: self.mapping.nvram_template? })
    }
}

/// iPXE is not signed, and confidential guests' firmware does not keep variables.
const UNWANTED: [&str; 6] = ["enrolled-keys", "requires-smm", "secure-boot", "amd-sev-es", "amd-sev-snp", "intel-tdx"];

fn how_to_install(arch: Arch, os: Os) -> &'static str {
    match (os, arch) {
        (Os::Macos, _) => "it comes with `brew install qemu`",
        (Os::Linux, Arch::Aarch64) => {
            "package `qemu-efi-aarch64` on Debian and Ubuntu, `edk2-aarch64` on Fedora and Arch"
        }
        (Os::Linux, Arch::X86_64) => "package `ovmf` on Debian and Ubuntu, `edk2-ovmf` on Fedora and Arch",
    }
}

fn raw() -> String {
    "raw".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn firmware_with_secure_boot_is_passed_over() {
        let folder = tempfile::tempdir().expect("a folder");
        describe(folder.path(), "40-secure.json", "secure", r#""secure-boot""#);
        describe(folder.path(), "60-plain.json", "plain", "");

        let firmware = Firmware::find(Arch::X86_64, &host(folder.path())).expect("plain firmware");

        assert_eq!(firmware.code.file, folder.path().join("plain-code.fd"));
        assert_eq!(firmware.variables.format, "raw");
    }

    #[test]
    fn who_lacks_firmware_is_told_the_package() {
        let folder = tempfile::tempdir().expect("a folder");

        let failure = Firmware::find(Arch::Aarch64, &host(folder.path())).expect_err("none");

        assert_eq!(failure.to_string(), "there is no UEFI firmware for aarch64 on this host");
        assert!(format!("{failure:?}").contains("qemu-efi-aarch64"), "{failure:?}");
    }

    #[test]
    fn a_machine_keeps_its_variables() {
        let folder = tempfile::tempdir().expect("a folder");
        describe(folder.path(), "60-plain.json", "plain", "");
        let firmware = Firmware::find(Arch::X86_64, &host(folder.path())).expect("firmware");
        let own = folder.path().join("web-vars.fd");

        firmware.copy_variables(&own).expect("copied");
        fs::write(&own, "boot order").expect("written");
        firmware.copy_variables(&own).expect("left alone");

        assert_eq!(fs::read_to_string(own).expect("read"), "boot order");
    }

    fn host(data: &Path) -> Host {
        Host { os: Os::Linux, arch: Arch::X86_64, program_folders: Vec::new(), data_folders: vec![data.to_owned()] }
    }

    fn describe(folder: &Path, name: &str, stem: &str, features: &str) {
        let [code, variables] = ["code", "vars"].map(|what| folder.join(format!("{stem}-{what}.fd")));
        fs::write(&code, "code").expect("written");
        fs::write(&variables, "variables").expect("written");
        let text = format!(
            r#"{{"description": "", "interface-types": ["uefi"], "features": [{features}], "tags": [],
                "mapping": {{"device": "flash", "executable": {{"filename": "{}", "format": "raw"}},
                             "nvram-template": {{"filename": "{}", "format": "raw"}}}},
                "targets": [{{"architecture": "x86_64", "machines": ["pc-q35-*"]}}]}}"#,
            code.display(),
            variables.display()
        );
        fs::create_dir_all(folder.join("qemu/firmware")).expect("a folder");
        fs::write(folder.join("qemu/firmware").join(name), text).expect("written");
    }
}
