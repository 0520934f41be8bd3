use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use lab_model::Arch;
use nix::sys::statvfs::statvfs;
use serde::Serialize;

use crate::disk;
use crate::error::{Kind, Result};
use crate::home::Home;
use crate::images;
use crate::provisioner::Provisioner;
use crate::provisioner::release::Release;
use crate::provisioner::share::{Found, Share};
use crate::store::Store;
use crate::table::table;
use crate::ui::Ui;

/// Checks the host and the lab, and says what to do about each finding.
///
/// Exits with 5 if something that is needed is missing. As JSON: a list of findings, each with `check`, `state` (ok, warning
/// or missing), `found` and `fix` (null where there is nothing to do).
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  pvmlab doctor\n  pvmlab doctor --json")]
pub(crate) struct Doctor {}

impl Doctor {
    pub(crate) fn run(self, home: &Home, ui: Ui) -> Result<ExitCode> {
        let mut findings = programs();
        findings.extend([home_folder(home), keys(home), space(home)]);
        if home.exists() {
            findings.extend(definitions(home));
            findings.extend(registered(home));
            findings.extend(provisioner(home));
        }
        ui.data(&findings, |findings| show(findings))?;
        let is_missing = findings.iter().any(|finding| finding.state == State::Missing);
        Ok(if is_missing { ExitCode::from(Kind::Missing.exit_code()) } else { ExitCode::SUCCESS })
    }
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    check: String,
    state: State,
    found: String,
    fix: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    Warning,
    Missing,
}

impl Finding {
    fn ok(check: &str, found: impl Into<String>) -> Self {
        Self { check: check.to_owned(), state: State::Ok, found: found.into(), fix: None }
    }

    fn warning(check: &str, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { check: check.to_owned(), state: State::Warning, found: found.into(), fix: Some(fix.into()) }
    }

    fn missing(check: &str, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { state: State::Missing, ..Self::warning(check, found, fix) }
    }
}

/// What a lab with a few machines takes: below this it is said, below a tenth of it no machine can be made.
const COMFORTABLE_BYTES: u64 = 10 << 30;

fn show(findings: &[Finding]) -> String {
    let rows: Vec<_> = findings
        .iter()
        .map(|finding| {
            let state = match finding.state {
                State::Ok => "ok",
                State::Warning => "warning",
                State::Missing => "missing",
            };
            [state.to_owned(), finding.check.clone(), finding.found.clone()]
        })
        .collect();
    let mut text = table(["STATE", "CHECK", "FOUND"], &rows);
    for finding in findings {
        if let Some(fix) = &finding.fix {
            text.push_str(&format!("\n{}: {fix}", finding.check));
        }
    }
    text
}

fn programs() -> Vec<Finding> {
    let host: Option<Arch> = std::env::consts::ARCH.parse().ok();
    let emulators = Arch::ALL.map(|arch| {
        let name = format!("qemu-system-{arch}");
        let fix = match arch {
            Arch::Aarch64 => "install package `qemu-system-arm` on Debian and Ubuntu, `qemu` with Homebrew",
            Arch::X86_64 => "install package `qemu-system-x86` on Debian and Ubuntu, `qemu` with Homebrew",
        };
        match program(&name) {
            Some(path) => Finding::ok(&name, path.display().to_string()),
            None if host == Some(arch) => Finding::missing(&name, "not installed", fix),
            None => Finding::warning(&name, format!("not installed: no machines for {arch}"), fix),
        }
    });
    let others = [
        ("qemu-img", disk::INSTALL),
        ("ssh", "install OpenSSH's client: package `openssh-client` on Debian and Ubuntu"),
        ("ssh-keygen", "install OpenSSH's client: package `openssh-client` on Debian and Ubuntu"),
        ("ps", "install package `procps`"),
    ];
    let others = others.map(|(name, fix)| match program(name) {
        Some(path) => Finding::ok(name, path.display().to_string()),
        None => Finding::missing(name, "not installed", fix),
    });
    others.into_iter().chain(emulators).collect()
}

fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|path| fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0))
}

fn home_folder(home: &Home) -> Finding {
    const CHECK: &str = "home";
    let root = home.root();
    let Ok(folder) = fs::metadata(root.join("vms")) else {
        return Finding::missing(
            CHECK,
            format!("there is no lab in {}", root.display()),
            "make one with `pvmlab setup`",
        );
    };
    if tempfile::Builder::new().prefix(".new-").tempfile_in(home.vms()).is_err() {
        let fix = format!("give it back to yourself: `sudo chown -R $USER {}`, or free some space", root.display());
        return Finding::missing(CHECK, format!("{} cannot be written", root.display()), fix);
    }
    if folder.uid() != nix::unistd::geteuid().as_raw() {
        let fix = format!("give it back to yourself: `sudo chown -R $USER {}`", root.display());
        return Finding::warning(CHECK, format!("{} is somebody else's", root.display()), fix);
    }
    Finding::ok(CHECK, root.display().to_string())
}

fn keys(home: &Home) -> Finding {
    const CHECK: &str = "SSH key";
    let found = ["id_ed25519", "vm_rsa"].map(|name| home.ssh().join(name)).into_iter().find(|key| key.exists());
    let Some(key) = found else {
        return Finding::missing(CHECK, "there is none", "make one with `pvmlab setup`");
    };
    let shown = key.display().to_string();
    // ssh refuses a key that others can read.
    if fs::metadata(&key).is_ok_and(|file| file.permissions().mode() & 0o077 != 0) {
        return Finding::missing(CHECK, format!("others may read {shown}"), format!("`chmod 600 {shown}`"));
    }
    Finding::ok(CHECK, shown)
}

#[allow(clippy::useless_conversion, reason = "macOS counts blocks in 32 bits")]
fn space(home: &Home) -> Finding {
    const CHECK: &str = "space";
    let exists: &Path = home.root().ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
    let free = match statvfs(exists) {
        Ok(stat) => u64::from(stat.blocks_available()).saturating_mul(stat.fragment_size()),
        Err(error) => return Finding::warning(CHECK, format!("unknown: {error}"), "look with `df -h`"),
    };
    let found = format!("{} GiB free", free >> 30);
    match free {
        free if free < COMFORTABLE_BYTES / 10 => Finding::missing(CHECK, found, crate::error::FREE_SPACE),
        free if free < COMFORTABLE_BYTES => Finding::warning(CHECK, found, crate::error::FREE_SPACE),
        _ => Finding::ok(CHECK, found),
    }
}

fn definitions(home: &Home) -> Vec<Finding> {
    const CHECK: &str = "machines";
    let store = match Store::read(home) {
        Ok(store) => store,
        Err(failure) => return vec![Finding::missing(CHECK, failure.to_string(), "give the home back to yourself")],
    };
    let mut findings: Vec<_> = store
        .bad()
        .iter()
        .map(|bad| {
            let fix = format!("correct {}", home.vms().join(&bad.file).display());
            Finding::warning(CHECK, format!("{}: {}", bad.file, bad.problem), fix)
        })
        .collect();
    findings.extend(store.machines().iter().filter(|stored| !home.disk(&stored.machine.name).exists()).map(|stored| {
        let name = &stored.machine.name;
        let fix = format!("remove it with `pvmlab vm clean {name}` and make it again");
        Finding::warning(CHECK, format!("`{name}` has no disk"), fix)
    }));
    findings.push(match store.provisioner() {
        Some(provisioner) => {
            Finding::ok(CHECK, format!("{}, served by `{}`", store.machines().len(), provisioner.machine.name))
        }
        None => Finding::warning(
            CHECK,
            "there is no provisioner yet",
            "make one with `pvmlab provisioner create provisioner --ip 10.77.0.1/24`",
        ),
    });
    findings
}

/// What its server comes from, and what it found out about itself when it booted last.
fn provisioner(home: &Home) -> Vec<Finding> {
    let Ok(provisioner) = Provisioner::find(home) else { return Vec::new() };
    let name = provisioner.name();
    let server = match Release::find(None, provisioner.arch()) {
        Ok(_) => Finding::ok("pxe-server", format!("for {}", provisioner.arch())),
        Err(failure) => Finding::missing(
            "pxe-server",
            failure.to_string(),
            "name one in the environment as PVMLAB_PXE_SERVER; `cargo xtask dist` builds it",
        ),
    };
    let Some(found) = Found::remembered(home, name) else { return vec![server] };
    let way = match found.share {
        Share::Mounted => "mounts definitions and images over 9p",
        Share::Pushed => {
            "gets copies of definitions and images: its kernel cannot mount them, or others may not read them"
        }
    };
    let nft = if found.has_nft {
        Finding::ok("nft", format!("`{name}` has it"))
    } else {
        let fix = "make the provisioner from an image that has the package `nftables`";
        Finding::warning("nft", format!("`{name}` has none: its machines do not reach other networks"), fix)
    };
    vec![server, Finding::ok("files", format!("`{name}` {way}")), nft]
}

fn registered(home: &Home) -> Vec<Finding> {
    const CHECK: &str = "images";
    let (images, bad) = match images::all(home) {
        Ok(found) => found,
        Err(failure) => return vec![Finding::missing(CHECK, failure.to_string(), "give the home back to yourself")],
    };
    let again = "register it again with `pvmlab distro add FOLDER`";
    let broken = images.iter().filter_map(|image| {
        let problem = image.glance()?;
        let found = format!("{} for {}: {problem}", image.manifest.name, image.manifest.arch);
        Some(Finding::warning(CHECK, found, again))
    });
    let bad = bad.iter().map(|bad| Finding::warning(CHECK, format!("{}: {}", bad.folder, bad.problem), again));
    let mut findings: Vec<_> = broken.chain(bad).collect();
    findings.push(match images.len() {
        0 => Finding::warning(CHECK, "there are none", "register one with `pvmlab distro add FOLDER`"),
        count => Finding::ok(CHECK, count.to_string()),
    });
    findings
}
