//! The root file system: packages put together by `mmdebstrap`, as an archive.
//!
//! This is what takes long (minutes, and many more under emulation), so it is cached on its own: another layout of the
//! disk or another configuration file does not repeat it.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result};

use super::recipe::SystemRecipe;
use crate::{debian::Mirror, progress::Step};

/// The archive in an entry's folder.
pub(super) const ARCHIVE: &str = "root.tar";

/// Puts the system of `recipe` together in `folder`.
pub(super) fn build(recipe: &SystemRecipe, folder: &Path) -> Result<()> {
    let work = tempfile::tempdir_in(folder)?;
    let sources = work.path().join("sources.list");
    let script = work.path().join("system.sh");
    let options = work.path().join("apt.conf");
    fs::write(&sources, Mirror::of_machine()?.sources_list(recipe.suite))?;
    fs::write(&script, recipe.script)?;
    fs::write(&options, apt_options()?)?;

    let mut command = Command::new("mmdebstrap");
    command.args(arguments(recipe, &options));
    command.arg(recipe.suite).arg(folder.join(ARCHIVE)).arg(&sources);
    command.env("SCRIPT", &script).env("LC_ALL", "C.UTF-8").env("DEBIAN_FRONTEND", "noninteractive");
    command.env("KERNEL", &recipe.kernel);
    command.env("GRUB_TARGET", recipe.boot_loader.target).env("GRUB_FILE", recipe.boot_loader.file);
    command.env("GRUB_MODULES", recipe.boot_loader.modules.join(" "));
    // Not /tmp, which may be memory: the system is about a gigabyte before it is packed.
    command.env("TMPDIR", "/var/tmp");

    let mut step = Step::start(format!("putting Debian {} for {} together", recipe.suite, recipe.arch));
    step.run(&mut command)?;
    step.finish();
    Ok(())
}

fn arguments(recipe: &SystemRecipe, apt_options: &Path) -> Vec<String> {
    let mode = if nix::unistd::geteuid().is_root() { "root" } else { "unshare" };
    let packages = recipe.packages().collect::<Vec<_>>().join(",");
    let mut arguments = vec![
        format!("--mode={mode}"),
        "--format=tar".to_owned(),
        "--variant=apt".to_owned(),
        format!("--architectures={}", recipe.arch),
        format!("--include={packages}"),
        // It asks arch-test whether the kernel runs this architecture; `binfmt` saw to that.
        "--skip=check/qemu".to_owned(),
        format!("--aptopt={}", apt_options.display()),
        r#"--customize-hook=APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" sh "$SCRIPT" "$1""#.to_owned(),
        "--verbose".to_owned(),
    ];
    arguments.extend(recipe.dpkg_options.iter().map(|option| format!("--dpkgopt={option}")));
    arguments
}

/// How this machine reaches its mirrors, which `mmdebstrap` would not know: proxies and leniency towards old mirrors.
fn apt_options() -> Result<String> {
    let dump = Command::new("apt-config").arg("dump").output().context("cannot run apt-config")?;
    Ok(connection_options(&String::from_utf8_lossy(&dump.stdout)))
}

fn connection_options(dump: &str) -> String {
    let concerns_connections = |line: &&str| {
        let key = line.split_once(' ').map_or(*line, |(key, _)| key).to_ascii_lowercase();
        key.starts_with("acquire::")
            && ["::proxy", "::cainfo", "::check-valid-until", "::check-date"].iter().any(|end| key.contains(end))
    };
    dump.lines().filter(concerns_connections).map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use lab_model::Arch;

    use super::*;
    use crate::image::recipe::Kernel;

    #[test]
    fn takes_the_way_to_the_mirror_from_the_machine_and_nothing_else() {
        let dump = "Acquire::http::Proxy \"http://10.0.0.1:3128\";\nAcquire::Check-Valid-Until \"false\";\n\
                    Acquire::Languages \"none\";\nDPkg::Post-Invoke:: \"rm -f /x\";\n";

        let options = connection_options(dump);

        assert_eq!(options, "Acquire::http::Proxy \"http://10.0.0.1:3128\";\nAcquire::Check-Valid-Until \"false\";\n");
    }

    #[test]
    fn asks_for_the_architecture_by_debians_name_and_for_its_boot_loader() {
        let arguments =
            arguments(&SystemRecipe::debian_12(Kernel::Cloud, Arch::Aarch64), Path::new("/apt.conf")).join("\n");

        assert!(arguments.contains("--architectures=arm64"), "{arguments}");
        assert!(arguments.contains(",grub-efi-arm64-bin"), "{arguments}");
    }
}
