//! The servers, all with the same files.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use lab_tests::process::Process;
use lab_tests::{SERVER, TftpPeers, Unpacked};
use tempfile::TempDir;

use crate::pxe_server;

/// A server that is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// Ours.
    PxeServer,
    Atftpd,
    TftpdHpa,
    Dnsmasq,
}

/// What a server has.
#[derive(Debug, Default)]
pub(crate) struct Files {
    /// The file [`PROGRAM`], which fills its last block of 512 octets.
    pub(crate) program: Vec<u8>,
    /// The file [`SCRIPT`], which does not.
    pub(crate) script: Vec<u8>,
}

/// A running server, ended when this is dropped.
pub(crate) struct Running {
    process: Process,
    _folder: TempDir,
}

/// A boot program.
pub(crate) const PROGRAM: &str = "ipxe-x86_64.efi";

/// What iPXE asks for next.
pub(crate) const SCRIPT: &str = "autoexec.ipxe";

impl Subject {
    /// Starts it in this thread's namespace. Ours has files of its own.
    pub(crate) fn start(self, files: &Files) -> Running {
        let folder = tempfile::tempdir().unwrap();
        let name = match self {
            Self::PxeServer => {
                let mut command = pxe_server(folder.path(), "state = '.'\n[lab]\ninterface = 'lab'\n");
                let process = Process::start("pxe-server", command.stdin(Stdio::null())).unwrap();
                return Running { process, _folder: folder };
            }
            Self::Atftpd => "atftpd",
            Self::TftpdHpa => "tftpd-hpa",
            Self::Dnsmasq => "dnsmasq",
        };
        let readable =
            |path: &std::path::Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        let served = folder.path().join("served");
        fs::create_dir(&served).unwrap();
        for path in [folder.path(), &served] {
            readable(path, 0o755);
        }
        for (name, contents) in [(PROGRAM, &files.program[..]), (SCRIPT, &files.script), ("../secret", b"nobody's\n")] {
            fs::write(served.join(name), contents).unwrap();
            readable(&served.join(name), 0o644);
        }
        let peers = TftpPeers::new(Unpacked::from_environment(Unpacked::TFTP_VARIABLE).unwrap());
        let peer = peers.start(name, SocketAddr::from((SERVER, 69)), &served).unwrap();
        Running { process: peer.process, _folder: folder }
    }
}

impl Running {
    /// Panics where it has ended, which no server ever should.
    pub(crate) fn check_alive(&mut self) {
        let ended = self.process.ended().unwrap();
        assert!(ended.is_none(), "{} ended: {}", self.process, ended.unwrap());
    }
}
