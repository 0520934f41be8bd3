//! How guests' instructions are executed: by the processor itself (hvf, kvm) or by emulation (tcg).
//!
//! A device file is no proof: there are hosts whose `/dev/kvm` opens and whose guests die or hang. So the firmware that every guest
//! begins with is started, and must say something. That takes a second, once for each boot of the host.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use lab_model::Arch;
use serde::{Deserialize, Serialize};

use super::command_line::CommandLine;
use super::emulator::Emulator;
use super::firmware::Firmware;
use super::process;
use super::qmp::Qmp;
use crate::error::{Failure, Kind, Result};
use crate::file;
use crate::home::Home;
use crate::host::{Host, Os};
use crate::interrupt::Interrupt;

/// What executes a guest's instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Accelerator {
    /// Apple's Hypervisor framework.
    Hvf,
    /// Linux's kernel-based virtual machine.
    Kvm,
    /// Emulation: always possible, ten times slower or more.
    Tcg,
}

/// What was chosen for a guest, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Acceleration {
    pub(crate) accelerator: Accelerator,
    /// QEMU's `-accel`.
    pub(crate) argument: String,
    /// One clause for people.
    pub(crate) why: String,
    /// Whether somebody asked for it by `PVMLAB_QEMU_ACCEL`.
    pub(crate) is_asked: bool,
}

impl Acceleration {
    /// Whether the processor is emulated.
    pub(crate) fn is_emulation(&self) -> bool {
        self.accelerator == Accelerator::Tcg
    }

    /// Whether it is KVM.
    pub(crate) fn is_kvm(&self) -> bool {
        self.accelerator == Accelerator::Kvm
    }

    /// What `PVMLAB_QEMU_ACCEL` asks for, else the fastest that is proved to work here.
    ///
    /// # Errors
    /// The variable asks for something that there is not; or an interruption.
    pub(crate) fn choose(
        arch: Arch,
        host: &Host,
        emulator: &Emulator,
        firmware: &Firmware,
        home: &Home,
        interrupt: &Interrupt,
    ) -> Result<Self> {
        match std::env::var(VARIABLE) {
            Ok(asked) if !asked.is_empty() => return Self::asked(&asked, host.os),
            Ok(_) | Err(std::env::VarError::NotPresent) => {}
            Err(std::env::VarError::NotUnicode(_)) => {
                return Err(Failure::new(Kind::Usage, format!("{VARIABLE} is not UTF-8")));
            }
        }
        if arch != host.arch {
            return Ok(Self::emulation(format!("the host's processor is {}", host.arch)));
        }
        match host.os {
            Os::Macos => Ok(hvf()),
            Os::Linux => kvm(arch, emulator, firmware, home, interrupt),
        }
    }

    /// Reads the variable: an accelerator's name, and after a comma whatever else QEMU's `-accel` takes.
    fn asked(asked: &str, os: Os) -> Result<Self> {
        let name = asked.split(',').next().unwrap_or_default();
        let accelerator = match (name, os) {
            ("kvm", Os::Linux) => Accelerator::Kvm,
            ("hvf", Os::Macos) => Accelerator::Hvf,
            ("tcg", _) => Accelerator::Tcg,
            _ => {
                let here = match os {
                    Os::Linux => "`kvm` or `tcg`",
                    Os::Macos => "`hvf` or `tcg`",
                };
                return Err(Failure::new(Kind::Usage, format!("{VARIABLE}: `{asked}` is no accelerator on {os}"))
                    .hinted(format!("set it to {here}, or unset it: the best that works is then found out")));
            }
        };
        let argument = if asked == "tcg" { EMULATION.to_owned() } else { asked.to_owned() };
        Ok(Self { accelerator, argument, why: format!("{VARIABLE} asks for it"), is_asked: true })
    }

    fn emulation(why: String) -> Self {
        Self { accelerator: Accelerator::Tcg, argument: EMULATION.to_owned(), why, is_asked: false }
    }
}

/// sysctl(3): Apple's own way to ask.
fn hvf() -> Acceleration {
    let output = Command::new("/usr/sbin/sysctl").args(["-n", "kern.hv_support"]).stdin(Stdio::null()).output();
    match output {
        Ok(output) if output.stdout.trim_ascii() == b"1" => Acceleration {
            accelerator: Accelerator::Hvf,
            argument: "hvf".to_owned(),
            why: "the host has the Hypervisor framework".to_owned(),
            is_asked: false,
        },
        Ok(_) | Err(_) => Acceleration::emulation("the host has no Hypervisor framework (kern.hv_support)".to_owned()),
    }
}

fn kvm(
    arch: Arch,
    emulator: &Emulator,
    firmware: &Firmware,
    home: &Home,
    interrupt: &Interrupt,
) -> Result<Acceleration> {
    if let Err(error) = fs::File::options().read(true).write(true).open("/dev/kvm") {
        return Ok(Acceleration::emulation(match error.kind() {
            std::io::ErrorKind::NotFound => "there is no /dev/kvm".to_owned(),
            std::io::ErrorKind::PermissionDenied => {
                "/dev/kvm is not for this user: join the group that owns it (`sudo usermod -aG kvm $USER`)".to_owned()
            }
            _ => format!("/dev/kvm does not open: {error}"),
        }));
    }
    let memory = home.root().join("configs/kvm.json");
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned();
    let program = format!("{} {}", emulator.program.display(), emulator.version);
    let remembered = fs::read(&memory).ok().and_then(|text| serde_json::from_slice::<Remembered>(&text).ok());
    let works = match remembered.filter(|remembered| remembered.boot == boot && remembered.program == program) {
        Some(remembered) => remembered.works,
        None => {
            let works = firmware_speaks("kvm", arch, emulator, firmware, PROBE_LIMIT, interrupt)?;
            let text = serde_json::to_vec(&Remembered { boot, program, works }).map_err(anyhow::Error::from)?;
            file::replace(&memory, &text)?;
            works
        }
    };
    Ok(if works {
        let why = "firmware runs under it".to_owned();
        Acceleration { accelerator: Accelerator::Kvm, argument: "kvm".to_owned(), why, is_asked: false }
    } else {
        Acceleration::emulation("firmware does not run under this host's KVM".to_owned())
    })
}

/// What was found out, and for what it holds.
#[derive(Serialize, Deserialize)]
struct Remembered {
    boot: String,
    program: String,
    works: bool,
}

/// Whether a machine with nothing but firmware prints something on its serial port.
///
/// # Errors
/// An interrupt, or no folder for it can be made.
fn firmware_speaks(
    accelerator: &str,
    arch: Arch,
    emulator: &Emulator,
    firmware: &Firmware,
    limit: Duration,
    interrupt: &Interrupt,
) -> Result<bool> {
    let folder = tempfile::Builder::new().prefix("pvmlab-probe-").tempdir().map_err(anyhow::Error::from)?;
    let place = |file: &str| folder.path().join(file);
    let line = probe_line(accelerator, arch, emulator, firmware, folder.path());
    let mut starting = process::spawn(&line, &place("pid"), &place("log"))?;
    let mut qmp = None;
    let spoke = starting.until(limit, interrupt, || {
        if fs::metadata(place("serial")).is_ok_and(|metadata| metadata.len() > 0) {
            return Ok(Some(true));
        }
        // KVM that gives up stops the machine, and nothing would come any more.
        qmp = qmp.take().or_else(|| Qmp::connect(&place("qmp"), Duration::from_secs(1)).ok());
        let status = qmp.as_mut().and_then(|qmp| qmp.status().ok());
        Ok(status.filter(|status| status == "internal-error").map(|_| false))
    });
    match spoke {
        Ok(spoke) => Ok(spoke),
        Err(failure) if failure.kind() == Kind::Interrupted => Err(failure),
        Err(_) => Ok(false),
    }
}

fn probe_line(accelerator: &str, arch: Arch, emulator: &Emulator, firmware: &Firmware, folder: &Path) -> CommandLine {
    let machine = match arch {
        Arch::Aarch64 if accelerator == "kvm" => "virt,gic-version=host",
        Arch::Aarch64 => "virt",
        Arch::X86_64 => "q35",
    };
    let processor = match (accelerator, arch) {
        ("tcg", Arch::Aarch64) => "cortex-a72",
        ("tcg", Arch::X86_64) => "max",
        _ => "host",
    };
    let (folder, code) = (folder.display(), &firmware.code);
    let words = format!(
        "-nodefaults -no-user-config -display none -machine {machine} -accel {accelerator} -cpu {processor} -m 256 \
         -qmp unix:{folder}/qmp,server=on,wait=off -serial file:{folder}/serial"
    );
    let mut arguments: Vec<String> = words.split(' ').map(str::to_owned).collect();
    let file = code.file.display().to_string().replace(',', ",,");
    arguments.push("-drive".to_owned());
    arguments.push(format!("if=pflash,unit=0,format={},readonly=on,file={file}", code.format));
    CommandLine { program: emulator.program.clone(), arguments }
}

const VARIABLE: &str = "PVMLAB_QEMU_ACCEL";

/// A thread for each of the guest's processors.
const EMULATION: &str = "tcg,thread=multi";

/// Under KVM that works, firmware speaks within two seconds.
const PROBE_LIMIT: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_for_an_accelerator_gets_it() {
        let asked = |text, os| Acceleration::asked(text, os).map(|chosen| (chosen.accelerator, chosen.argument)).ok();

        assert_eq!(asked("tcg", Os::Linux), Some((Accelerator::Tcg, "tcg,thread=multi".to_owned())));
        assert_eq!(asked("tcg,thread=single", Os::Macos), Some((Accelerator::Tcg, "tcg,thread=single".to_owned())));
        assert_eq!(asked("kvm", Os::Linux), Some((Accelerator::Kvm, "kvm".to_owned())));
        assert_eq!(asked("hvf", Os::Macos), Some((Accelerator::Hvf, "hvf".to_owned())));
    }

    #[test]
    fn who_asks_for_what_is_not_there_is_told_what_is() {
        let failure = Acceleration::asked("hvf", Os::Linux).expect_err("no hvf on Linux");

        assert_eq!(
            (failure.kind(), failure.to_string()),
            (Kind::Usage, "PVMLAB_QEMU_ACCEL: `hvf` is no accelerator on Linux".to_owned())
        );
    }

    #[test]
    fn firmware_speaks_under_emulation() {
        let (host, interrupt) = (Host::here().expect("a host"), Interrupt::hold());
        let emulator = Emulator::find(Arch::Aarch64, &host).expect("QEMU for aarch64");
        let firmware = Firmware::find(Arch::Aarch64, &host).expect("firmware for aarch64");
        let limit = Duration::from_secs(240);

        let speaks = firmware_speaks("tcg", Arch::Aarch64, &emulator, &firmware, limit, &interrupt);

        assert!(speaks.expect("not interrupted"));
    }

    #[test]
    fn an_accelerator_that_is_not_there_does_not_work() {
        let (host, interrupt) = (Host::here().expect("a host"), Interrupt::hold());
        let emulator = Emulator::find(Arch::X86_64, &host).expect("QEMU for x86_64");
        let firmware = Firmware::find(Arch::X86_64, &host).expect("firmware for x86_64");

        let speaks = firmware_speaks("hax", Arch::X86_64, &emulator, &firmware, PROBE_LIMIT, &interrupt);

        assert!(!speaks.expect("not interrupted"));
    }
}
