//! The lab's home: where everything lies, and the lock that concurrent commands take.
//!
//! `~/.pvmlab`, or what `PVMLAB_HOME` says; the layout is the first pvmlab's, and its files are read as they are.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use lab_model::{Arch, ImageName, MachineName};
use nix::fcntl::{Flock, FlockArg};
use nix::sys::statvfs::statvfs;

use crate::error::{Failure, Kind, Result};
use crate::interrupt::Interrupt;

/// The home of one lab.
#[derive(Clone, Debug)]
pub(crate) struct Home {
    root: PathBuf,
}

impl Home {
    /// The home that the environment names: `PVMLAB_HOME`, else `~/.pvmlab`.
    ///
    /// # Errors
    /// Neither variable is set.
    pub(crate) fn from_environment() -> Result<Self> {
        let named = std::env::var_os("PVMLAB_HOME").filter(|path| !path.is_empty()).map(PathBuf::from);
        let usual =
            || std::env::var_os("HOME").filter(|path| !path.is_empty()).map(|home| Path::new(&home).join(".pvmlab"));
        let root = named.or_else(usual).ok_or_else(|| {
            Failure::new(Kind::Usage, "neither PVMLAB_HOME nor HOME is set")
                .hinted("set PVMLAB_HOME to a folder of yours")
        })?;
        let root = std::path::absolute(root).context("cannot tell the current folder")?;
        Ok(Self { root })
    }

    /// The home in this folder.
    #[cfg(test)]
    pub(crate) fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The folder itself.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Whether `pvmlab setup` was here.
    pub(crate) fn exists(&self) -> bool {
        self.root.join("vms").is_dir()
    }

    /// Asked before anything is read here.
    ///
    /// # Errors
    /// `pvmlab setup` was not here.
    pub(crate) fn require(&self) -> Result<()> {
        if self.exists() { Ok(()) } else { Err(self.missing()) }
    }

    /// Makes every folder that is not there; `ssh/` is its owner's alone.
    ///
    /// # Errors
    /// The disk is full, or somebody else owns the place.
    pub(crate) fn create(&self) -> Result<()> {
        for folder in FOLDERS {
            let path = self.root.join(folder);
            fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        }
        Ok(())
    }

    /// Machine definitions, disks and firmware variables.
    pub(crate) fn vms(&self) -> PathBuf {
        self.root.join("vms")
    }

    /// A machine's definition.
    pub(crate) fn definition(&self, name: &MachineName) -> PathBuf {
        self.vms().join(format!("{name}.json"))
    }

    /// A machine's disk.
    pub(crate) fn disk(&self, name: &MachineName) -> PathBuf {
        self.vms().join(format!("{name}.qcow2"))
    }

    /// A machine's UEFI variable store.
    pub(crate) fn firmware_variables(&self, name: &MachineName) -> PathBuf {
        self.vms().join(format!("{name}-vars.fd"))
    }

    /// What belongs to a machine's snapshots beside its disk.
    pub(crate) fn snapshots(&self, name: &MachineName) -> PathBuf {
        self.root.join("configs/snapshots").join(name.as_str())
    }

    /// The UEFI variables of one of its snapshots.
    pub(crate) fn snapshot_variables(&self, name: &MachineName, snapshot: &str) -> PathBuf {
        self.snapshots(name).join(format!("{snapshot}-vars.fd"))
    }

    /// Every image: `<name>/<arch>/manifest.json` and the files that it names.
    pub(crate) fn images(&self) -> PathBuf {
        self.root.join("images")
    }

    /// Every profile: `<name>/profile.toml` and its templates.
    pub(crate) fn profiles(&self) -> PathBuf {
        self.root.join("profiles")
    }

    /// The folder of one image.
    pub(crate) fn image(&self, name: &ImageName, arch: Arch) -> PathBuf {
        self.images().join(name.as_str()).join(arch.to_string())
    }

    /// What was downloaded, and what is being: `<name>/<arch>/`. The server sees nothing of it.
    pub(crate) fn downloads(&self) -> PathBuf {
        self.root.join("downloads")
    }

    /// The folder of one download.
    pub(crate) fn download(&self, name: &ImageName, arch: Arch) -> PathBuf {
        self.downloads().join(name.as_str()).join(arch.as_str())
    }

    /// The catalogue of distributions, the user's to edit.
    pub(crate) fn catalogue(&self) -> PathBuf {
        self.root.join("distros.yaml")
    }

    /// What this command remembers of a machine's hardware beside its definition.
    pub(crate) fn hardware(&self, name: &MachineName) -> PathBuf {
        self.root.join("configs/hardware").join(format!("{name}.json"))
    }

    /// The folder of a machine's cloud-init documents.
    pub(crate) fn seed(&self, name: &MachineName) -> PathBuf {
        self.root.join("configs/cloud-init").join(name.as_str())
    }

    /// The image that carries a machine's cloud-init documents.
    pub(crate) fn seed_image(&self, name: &MachineName) -> PathBuf {
        self.root.join("configs/cloud-init").join(format!("{name}.iso"))
    }

    /// The file that says which process is which: `name` is a machine's, or `switch`.
    pub(crate) fn pid_file(&self, name: &str) -> PathBuf {
        self.root.join("pids").join(format!("{name}.pid"))
    }

    /// Where QEMU's control sockets are.
    pub(crate) fn monitors(&self) -> PathBuf {
        self.root.join("monitors")
    }

    /// A machine's serial console, as it was printed.
    pub(crate) fn console_log(&self, name: &MachineName) -> PathBuf {
        self.log(name.as_str())
    }

    /// A log: of a machine's console, or of a process of the lab's.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.root.join("logs").join(format!("{name}.log"))
    }

    /// The lab's SSH keys and the host keys of its machines.
    pub(crate) fn ssh(&self) -> PathBuf {
        self.root.join("ssh")
    }

    /// The host key that a machine had at the first login.
    pub(crate) fn known_hosts(&self, name: &MachineName) -> PathBuf {
        self.ssh().join(format!("known_hosts.{name}"))
    }

    /// How much this user may still write where it lies, or would lie.
    ///
    /// # Errors
    /// The system does not say.
    #[allow(clippy::useless_conversion, reason = "macOS counts blocks in 32 bits")]
    pub(crate) fn free_bytes(&self) -> std::io::Result<u64> {
        let exists: &Path = self.root.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
        let stat = statvfs(exists)?;
        Ok(u64::from(stat.blocks_available()).saturating_mul(stat.fragment_size()))
    }

    /// Asked before `bytes` are written.
    ///
    /// # Errors
    /// They would not fit.
    pub(crate) fn require_space(&self, bytes: u64) -> Result<()> {
        let root = self.root.display();
        let free = self.free_bytes().with_context(|| format!("cannot ask how full {root} is"))?;
        if free >= bytes {
            return Ok(());
        }
        let message = format!("{} MiB may be needed, and {root} has {} MiB free", bytes >> 20, free >> 20);
        Err(Failure::new(Kind::Missing, message).hinted(crate::error::FREE_SPACE))
    }

    /// Takes the lab for this command: of two commands that change it, one waits until the other is done.
    ///
    /// The kernel holds the lock, so no crash leaves it behind.
    ///
    /// # Errors
    /// There is no home yet.
    pub(crate) fn lock(&self) -> Result<Lock> {
        let path = self.root.join("lock");
        let open = || File::options().create(true).truncate(false).write(true).open(&path);
        let file = open().map_err(|error| self.no_home(error))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Lock(lock)),
            Err((file, nix::errno::Errno::EWOULDBLOCK)) => {
                eprintln!("{WAITING}");
                let lock = Flock::lock(file, FlockArg::LockExclusive);
                Ok(Lock(lock.map_err(|(_, error)| error).context("cannot lock the lab")?))
            }
            Err((_, error)) => Err(anyhow::Error::from(error).context("cannot lock the lab").into()),
        }
    }

    /// As [`Home::lock`], for who holds signals already.
    ///
    /// # Errors
    /// There is no home yet, or somebody wants this to end.
    pub(crate) fn lock_patiently(&self, interrupt: &Interrupt) -> Result<Lock> {
        self.wait_for(&self.root.join("lock"), interrupt)
    }

    fn wait_for(&self, path: &Path, interrupt: &Interrupt) -> Result<Lock> {
        let mut is_told = false;
        loop {
            if let Some(lock) = self.try_lock_at(path)? {
                return Ok(lock);
            }
            if !is_told {
                eprintln!("{WAITING}");
                is_told = true;
            }
            interrupt.pause(Duration::from_millis(100))?;
        }
    }

    /// Takes one download for this command, and leaves the lab free; waits until nobody else has it.
    ///
    /// # Errors
    /// There is no home yet, or somebody wants this to end.
    pub(crate) fn lock_download(&self, name: &ImageName, arch: Arch, interrupt: &Interrupt) -> Result<Lock> {
        self.wait_for(&self.download_lock(name, arch)?, interrupt)
    }

    /// As [`Home::lock_download`], but does not wait: `None` while another command has it.
    ///
    /// # Errors
    /// There is no home.
    pub(crate) fn try_lock_download(&self, name: &ImageName, arch: Arch) -> Result<Option<Lock>> {
        self.try_lock_at(&self.download_lock(name, arch)?)
    }

    fn download_lock(&self, name: &ImageName, arch: Arch) -> Result<PathBuf> {
        self.require()?;
        let folder = self.downloads().join("locks");
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        // Beside the folder of the download, which may go while somebody waits.
        Ok(folder.join(format!("{name}-{arch}")))
    }

    fn missing(&self) -> Failure {
        Failure::new(Kind::NotFound, format!("there is no lab in {}", self.root.display()))
            .hinted("make one with `pvmlab setup`")
    }

    /// As [`Home::lock`], but does not wait: `None` while another command has the lab.
    ///
    /// # Errors
    /// There is no home.
    pub(crate) fn try_lock(&self) -> Result<Option<Lock>> {
        self.try_lock_at(&self.root.join("lock"))
    }

    fn try_lock_at(&self, path: &Path) -> Result<Option<Lock>> {
        let file = File::options().create(true).truncate(false).write(true).open(path);
        match Flock::lock(file.map_err(|error| self.no_home(error))?, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Some(Lock(lock))),
            Err((_, nix::errno::Errno::EWOULDBLOCK)) => Ok(None),
            Err((_, error)) => Err(anyhow::Error::from(error).context("cannot lock the lab").into()),
        }
    }

    fn no_home(&self, error: std::io::Error) -> Failure {
        if error.kind() == std::io::ErrorKind::NotFound {
            return self.missing();
        }
        anyhow::Error::from(error).context(format!("cannot open {}", self.root.join("lock").display())).into()
    }
}

const WAITING: &str = "waiting for another pvmlab command …";

/// Held while a command changes the lab; let go when dropped.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "held, never read")] Flock<File>);

const FOLDERS: [&str; 10] = [
    "images",
    "profiles",
    "vms",
    "configs/cloud-init",
    "configs/hardware",
    "pids",
    "monitors",
    "logs",
    "ssh",
    "network",
];

#[cfg(test)]
impl Home {
    /// A home that a test has to itself, while the folder lives.
    pub(crate) fn in_a_temporary_folder() -> (tempfile::TempDir, Self) {
        let folder = tempfile::Builder::new().prefix("lab").tempdir().expect("a folder");
        let home = Self { root: folder.path().to_owned() };
        home.create().expect("made");
        (folder, home)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_has_the_first_pvmlabs_layout() {
        let folder = tempfile::tempdir().expect("a folder");
        let home = Home { root: folder.path().join("lab") };

        assert!(!home.exists());
        home.create().expect("made");

        assert!(home.exists());
        let name = "web".parse().expect("a name");
        assert_eq!(home.definition(&name), home.root().join("vms/web.json"));
        assert_eq!(home.seed_image(&name), home.root().join("configs/cloud-init/web.iso"));
    }

    #[test]
    fn who_has_no_home_is_told_how_to_get_one() {
        let home = Home { root: PathBuf::from("/nonexistent/lab") };

        let failure = home.lock().expect_err("no home");

        assert_eq!(
            (failure.kind(), failure.to_string()),
            (Kind::NotFound, "there is no lab in /nonexistent/lab".to_owned())
        );
    }
}
