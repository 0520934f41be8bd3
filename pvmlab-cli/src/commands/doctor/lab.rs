//! The lab: its machines, its images, what its provisioner found out about itself.

use super::finding::Finding;
use crate::home::Home;
use crate::images;
use crate::provisioner::Provisioner;
use crate::provisioner::release::Release;
use crate::provisioner::share::{Found, Share};
use crate::store::Store;

pub(super) fn definitions(home: &Home) -> Vec<Finding> {
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
pub(super) fn provisioner(home: &Home) -> Vec<Finding> {
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

pub(super) fn images(home: &Home) -> Vec<Finding> {
    const CHECK: &str = "images";
    let (images, bad) = match images::all(home) {
        Ok(found) => found,
        Err(failure) => return vec![Finding::missing(CHECK, failure.to_string(), "give the home back to yourself")],
    };
    let again = "remove it with `pvmlab distro rm`, and pull or add it again";
    let broken = images.iter().filter_map(|image| {
        let problem = image.glance()?;
        let found = format!("{} for {}: {problem}", image.manifest.name, image.manifest.arch);
        Some(Finding::warning(CHECK, found, again))
    });
    let bad = bad.iter().map(|bad| Finding::warning(CHECK, format!("{}: {}", bad.folder, bad.problem), again));
    let mut findings: Vec<_> = broken.chain(bad).collect();
    findings.push(match images.len() {
        0 => Finding::warning(CHECK, "there are none", "pull one with `pvmlab distro pull`"),
        count => Finding::ok(CHECK, count.to_string()),
    });
    findings
}
