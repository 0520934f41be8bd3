//! A lab of its own for each test: the real program, with a home in a folder that goes with it.

#![allow(dead_code, unreachable_pub, reason = "each test program uses its part")]

use std::ffi::OsString;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use sha2::Digest as _;

/// A lab whose home may not exist yet.
pub struct Lab {
    folder: tempfile::TempDir,
    path: Option<OsString>,
}

impl Lab {
    /// A lab without a home.
    pub fn without_home() -> Self {
        let folder = tempfile::Builder::new().prefix("pvmlab-test-").tempdir().expect("a folder");
        Self { folder, path: None }
    }

    /// A lab with a home.
    pub fn new() -> Self {
        let lab = Self::without_home();
        assert!(lab.output(&["setup", "--quiet"]).status.success(), "the home is made");
        lab
    }

    /// A lab with a home and the images that [`Lab::image`] makes, for aarch64.
    pub fn with_image() -> Self {
        let lab = Self::new();
        let image = lab.image("debian-12", "aarch64");
        let added = lab.output(&["distro", "add", image.to_str().expect("text")]);
        assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
        lab
    }

    /// A lab with an image and a provisioner, 10.77.0.1/24 and fd00:77::1/64.
    pub fn with_provisioner() -> Self {
        let lab = Self::with_image();
        let made = lab.output(&[
            "provisioner",
            "create",
            "provisioner",
            "--arch",
            "aarch64",
            "--ip",
            "10.77.0.1/24",
            "--ipv6",
            "fd00:77::1/64",
            "--mac",
            "52:54:00:00:00:01",
        ]);
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        // The beginning of an ELF file for aarch64, 64-bit and little-endian: nobody here runs it.
        let mut server = vec![0; 64];
        server[..6].copy_from_slice(b"\x7fELF\x02\x01");
        server[0x12] = 183;
        fs::write(lab.server(), server).expect("written");
        lab
    }

    /// The same lab on a host that has only these programs.
    pub fn with_programs(mut self, programs: &[&str]) -> Self {
        let folder = self.folder.path().join("bin");
        fs::create_dir_all(&folder).expect("made");
        for program in programs {
            let found = std::env::split_paths(&std::env::var_os("PATH").expect("a path"))
                .map(|folder| folder.join(program))
                .find(|path| path.exists())
                .expect("the program is installed");
            std::os::unix::fs::symlink(found, folder.join(program)).expect("made");
        }
        self.path = Some(folder.into());
        self
    }

    /// The home.
    pub fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// Where the program finds a server for the provisioner.
    fn server(&self) -> PathBuf {
        self.folder.path().join("pxe-server")
    }

    /// A folder beside the home.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A folder with a tiny image: its disk has 2 MiB.
    pub fn image(&self, name: &str, arch: &str) -> PathBuf {
        let folder = self.folder.path().join("built").join(name).join(arch);
        fs::create_dir_all(&folder).expect("made");
        let mut raw = vec![0; 2 << 20];
        raw[..512].fill(7);
        let disk = zstd::encode_all(&raw[..], 1).expect("packed");
        let part = |file, bytes| part(&folder, file, bytes);
        let (kernel, initrd, mut disk) =
            (part("vmlinuz", b"kernel"), part("initrd.img", b"initrd"), part("disk.raw.zst", &disk));
        disk["chunk-size"] = raw.len().into();
        disk["chunks"] = serde_json::json!([{"size": disk["size"], "sha256": disk["sha256"]}]);
        disk["compression"] = "zstd".into();
        disk["raw-size"] = raw.len().into();
        disk["raw-sha256"] = hex(&sha2::Sha256::digest(&raw)).into();
        let manifest = serde_json::json!({
            "name": name, "arch": arch, "kernel": kernel, "initrd": initrd, "disk": disk,
            "kernel-arguments": ["console=ttyAMA0"],
        });
        fs::write(folder.join("manifest.json"), manifest.to_string()).expect("written");
        folder
    }

    /// A folder with an image that has no disk but a file of its own.
    pub fn image_without_disk(&self, name: &str, arch: &str) -> PathBuf {
        let folder = self.folder.path().join("built").join(name).join(arch);
        fs::create_dir_all(&folder).expect("made");
        let part = |file, bytes| part(&folder, file, bytes);
        let manifest = serde_json::json!({
            "name": name, "arch": arch, "kernel": part("linux", b"kernel"), "initrd": part("initrd.gz", b"initrd"),
            "files": [part("stage2.img", b"stage2")],
        });
        fs::write(folder.join("manifest.json"), manifest.to_string()).expect("written");
        folder
    }

    /// A command of the program in this lab, not yet run.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pvmlab"));
        command.args(arguments).env("PVMLAB_HOME", self.home()).env("HOME", self.folder.path()).env("NO_COLOR", "1");
        command.env("PVMLAB_PXE_SERVER", self.server());
        command.env("COLUMNS", "120").stdin(Stdio::null()).current_dir(self.folder.path());
        for proxy in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
            command.env(proxy, "").env(proxy.to_uppercase(), "");
        }
        command.env("PVMLAB_MIRROR", "");
        if let Some(path) = &self.path {
            command.env("PATH", path);
        }
        command
    }

    /// Runs the program to its end.
    pub fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("it runs")
    }

    /// Runs the program; all that it says, and its exit code, as a person sees it.
    pub fn run(&self, arguments: &[&str]) -> String {
        self.transcript(arguments, &self.output(arguments))
    }

    /// What `pvmlab distro ls` shows of what is here: what could be pulled changes with vendors' releases.
    pub fn images(&self) -> String {
        let listing = self.run(&["distro", "ls"]);
        let lines = listing.lines().filter(|line| !line.ends_with(" available"));
        lines.map(|line| line.to_owned() + "\n").collect()
    }

    /// What [`Lab::run`] returns, of a program that ran already.
    pub fn transcript(&self, arguments: &[&str], output: &Output) -> String {
        let mut text = format!("$ pvmlab {}\n", arguments.join(" "));
        text.push_str(&String::from_utf8_lossy(&output.stdout));
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        match (output.status.code(), output.status.signal()) {
            (Some(code), _) => text.push_str(&format!("[exit {code}]\n")),
            (None, signal) => text.push_str(&format!("[signal {signal:?}]\n")),
        }
        let home = self.home();
        text.replace(home.to_str().expect("text"), "~/.pvmlab").replace(self.folder.path().to_str().expect("text"), "~")
    }

    /// Every file of the home, without its SSH keys and lock.
    pub fn files(&self) -> Vec<String> {
        let mut files = Vec::new();
        walk(&self.home(), &self.home(), &mut files);
        files.retain(|file| !file.starts_with("ssh/") && file != "lock" && !file.starts_with("downloads/locks/"));
        files.sort();
        files
    }

    /// Writes into the home whatever a person may write.
    pub fn write(&self, file: &str, text: &str) {
        let path = self.home().join(file);
        fs::create_dir_all(path.parent().expect("it is in the home")).expect("made");
        fs::write(path, text).expect("written");
    }
}

impl Drop for Lab {
    /// A test that failed in the middle leaves no machine running.
    fn drop(&mut self) {
        if fs::read_dir(self.home().join("pids")).is_ok_and(|mut files| files.next().is_some()) {
            let _ = self.output(&["clean", "--purge"]);
        }
    }
}

fn walk(root: &Path, folder: &Path, files: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("read") {
        let path = entry.expect("read").path();
        if path.is_dir() {
            walk(root, &path, files);
        } else {
            files.push(path.strip_prefix(root).expect("inside").to_str().expect("text").to_owned());
        }
    }
}

/// Writes a file of an image, and what its manifest says of it.
fn part(folder: &Path, file: &str, bytes: &[u8]) -> serde_json::Value {
    fs::write(folder.join(file), bytes).expect("written");
    serde_json::json!({"file": file, "size": bytes.len(), "sha256": hex(&sha2::Sha256::digest(bytes))})
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
