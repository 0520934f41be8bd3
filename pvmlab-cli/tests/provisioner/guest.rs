//! A folder that plays the provisioner.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;

use tempfile::TempDir;

/// A guest in a folder, whose server's port is answered by this process.
pub(crate) struct Guest {
    folder: TempDir,
    pub(crate) port: u16,
}

/// What becomes of a release in the guest.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fate {
    Serves,
    RefusesTheConfiguration,
    Dies,
    IsMute,
}

impl Guest {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let programs = folder.path().join("programs");
        fs::create_dir(&programs).expect("made");
        for (name, text) in PROGRAMS {
            program(&programs.join(name), text);
        }
        let port = answer(folder.path().join("root"));
        Self { folder, port }
    }

    /// What is `path` inside.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join("root").join(path)
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).expect(path)
    }

    /// A folder as a seed or an archive has it.
    pub(crate) fn release(&self, name: &str, fate: Fate) -> PathBuf {
        let folder = self.folder.path().join(name);
        fs::create_dir_all(&folder).expect("made");
        let does = match fate {
            Fate::Serves => "",
            Fate::RefusesTheConfiguration => {
                r#"[ "$1" = serve ] || { echo "error: lab.interface: missing" >&2; exit 1; }"#
            }
            Fate::Dies => r#"[ "$1" = check ] || exit 1"#,
            Fate::IsMute => "# mute",
        };
        let url = format!("echo 'url        http://127.0.0.1:{}'", self.port);
        program(&folder.join("pxe-server"), &format!("#!/bin/sh\n# {name}\n{does}\n{url}\n"));
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for file in
            ["systemd/pxe-server.service", "systemd/pxe-server-deploy@.service", "cloud-init/provisioner/provision"]
        {
            let from = repository.join(file);
            fs::copy(&from, folder.join(from.file_name().expect("a file"))).expect("copied");
        }
        fs::write(folder.join("config.toml"), "[lab]\ninterface = \"enp0s2\"\n").expect("written");
        folder
    }

    /// Runs the guest's script as the guest does.
    pub(crate) fn provision(&self, arguments: &[&str]) -> Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cloud-init/provisioner/provision");
        self.command("bash").arg(script).args(arguments).output().expect("bash")
    }

    /// Boots it with this seed, to the end of what the boot starts.
    pub(crate) fn boot(&self, seed: &Path) {
        // Nothing survives a power cycle but what is on the disk.
        for lost in ["proc", "run"] {
            let _ = fs::remove_dir_all(self.path(lost));
        }
        let output = self.provision(&["boot", seed.to_str().expect("UTF-8")]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let started = fs::read_to_string(self.path("run/started")).unwrap_or_default();
        for id in started.lines() {
            self.provision(&["install", id]);
        }
        if !self.path("proc/7/exe").exists() && self.path("usr/local/bin/pxe-server").exists() {
            self.command("systemctl").args(["restart", "pxe-server.service"]).status().expect("a script");
        }
    }

    /// Deploys a release as the command does once it is there, and returns what was said, ids replaced by names.
    pub(crate) fn deploy(&self, release: &Path) -> (bool, String) {
        let received = self.provision(&["receive", release.to_str().expect("UTF-8")]);
        assert!(received.status.success(), "{}", String::from_utf8_lossy(&received.stderr));
        let id = String::from_utf8(received.stdout).expect("UTF-8");
        let installed = self.provision(&["install", id.trim()]);
        (installed.status.success(), self.named(&self.read("run/pvmlab/deploy.log")))
    }

    /// The name of the release whose program is at work, and of the one that runs.
    pub(crate) fn at_work(&self) -> (String, String) {
        (self.name_of("usr/local/bin/pxe-server"), self.name_of("proc/7/exe"))
    }

    /// A program of the guest's, with its root and its replaced programs.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let path = std::env::var("PATH").expect("a path");
        command.env("PATH", format!("{}:{path}", self.folder.path().join("programs").display()));
        command.env("PVMLAB_ROOT", self.folder.path().join("root")).env("PVMLAB_PATIENCE", PATIENCE_SECONDS);
        command.env("GUEST_PORT", self.port.to_string());
        command
    }

    /// The folder of the release that is at work.
    pub(crate) fn release_at_work(&self) -> PathBuf {
        let program = fs::read_link(self.path("usr/local/bin/pxe-server")).expect("a link");
        program.parent().expect("a program is in a folder").to_owned()
    }

    fn name_of(&self, program: &str) -> String {
        let text = fs::read_to_string(self.path(program)).unwrap_or_default();
        text.lines().nth(1).unwrap_or("# nothing").trim_start_matches("# ").to_owned()
    }

    fn named(&self, said: &str) -> String {
        let mut said = said.replace(&self.port.to_string(), "PORT");
        for release in fs::read_dir(self.path("usr/local/lib/pxe-server")).expect("a folder").flatten() {
            let Ok(text) = fs::read_to_string(release.path().join("pxe-server")) else { continue };
            let name = text.lines().nth(1).unwrap_or_default().trim_start_matches("# ");
            said = said.replace(&release.file_name().to_string_lossy().into_owned(), name);
        }
        said
    }
}

/// Enough for three answers on a busy machine; one that never answers is waited for as long.
const PATIENCE_SECONDS: &str = "20";

const PROGRAMS: [(&str, &str); 8] = [
    ("systemctl", SYSTEMCTL),
    ("journalctl", "#!/bin/sh\necho 'the end of the journal'\n"),
    ("nft", "#!/bin/sh\n"),
    ("modprobe", "#!/bin/sh\n[ -e \"$PVMLAB_ROOT/has-9p\" ]\n"),
    ("mountpoint", "#!/bin/sh\nexit 1\n"),
    ("mount", "#!/bin/sh\necho \"$@\" >> \"$PVMLAB_ROOT/mounts\"\n"),
    ("setpriv", "#!/bin/sh\nexit 0\n"),
    ("ssh", SSH),
];

const SYSTEMCTL: &str = r#"#!/bin/bash
program=$(readlink "$PVMLAB_ROOT/usr/local/bin/pxe-server")
case $1 in
    daemon-reload) ;;
    start)
        for unit in "${@:2}"; do
            id=${unit#*@}; id=${id%.service}
            case $unit in
                --no-block) ;;
                pxe-server.service) "$0" restart || [[ $2 == --no-block ]] ;;
                *) if [[ $2 == --no-block ]]; then echo "$id" >>"$PVMLAB_ROOT/run/started"
                    else exec "$PVMLAB_ROOT/usr/local/lib/pxe-server/provision" install "$id"; fi ;;
            esac
        done ;;
    restart)
        echo >>"$PVMLAB_ROOT/run/starts"
        rm -rf "$PVMLAB_ROOT/proc"
        "$program" serve >/dev/null || exit 1
        mkdir -p "$PVMLAB_ROOT/proc/7"
        ln -s "$program" "$PVMLAB_ROOT/proc/7/exe" ;;
    is-active) [[ -e $PVMLAB_ROOT/proc/7/exe ]] ;;
    show) echo 7 ;;
    *) exit 1 ;;
esac
"#;

/// The machine at the other end is this one, and root is whoever asks.
const SSH: &str = r#"#!/bin/bash
sudo() { if [[ $1 == /* ]]; then "$PVMLAB_ROOT$1" "${@:2}"; else "$@"; fi; }
export -f sudo
if [[ ${*: -3:1} == -W ]]; then
    exec 3<>"/dev/tcp/127.0.0.1/$GUEST_PORT"
    cat <&0 >&3 &
    exec cat <&3
fi
exec bash -c "${*: -1}"
"#;

fn program(path: &Path, text: &str) {
    fs::write(path, text).expect("written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("executable");
}

/// Answers as the release that runs would, until this process ends.
fn answer(root: PathBuf) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.expect("a connection"));
            let mut request = String::new();
            let _ = stream.read_line(&mut request);
            let program = fs::read(root.join("proc/7/exe")).unwrap_or_default();
            let mute = program.windows(6).any(|window| window == b"# mute");
            let (status, body) = match request.split(' ').nth(1) {
                Some("/health") if mute => ("503 Service Unavailable", ""),
                Some("/health") => ("200 OK", "{}"),
                Some("/machines/web") => ("200 OK", WEB),
                _ => ("404 Not Found", ""),
            };
            while stream.read_line(&mut request).is_ok_and(|bytes| bytes > 2) {}
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let _ = stream.get_mut().write_all([head.as_bytes(), body.as_bytes()].concat().as_slice());
        }
    });
    port
}

const WEB: &str = r#"{"name": "web", "mac": "52:54:00:00:00:02", "address": "10.77.0.150", "boots": []}"#;
