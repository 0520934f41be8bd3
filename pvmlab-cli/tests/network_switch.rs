//! `pvmlab network-switch`, as the first machine starts it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

#[test]
fn two_machines_talk_and_the_switch_ends_after_them() {
    let mut lab = Lab::new();
    let [mut web, mut db] = [lab.plug(), lab.plug()];

    // Whichever is accepted first: who was heard is known to be there.
    let frame = [&[0, 0, 0, 18][..], &[0xff; 6], &[0x52, 0x54, 0, 0, 0, 1], &[0x88, 0xb5], b"ping"].concat();
    let mut heard = [0; 22];
    web.write_all(&frame).expect("sent");
    while db.read_exact(&mut heard).is_err() {
        web.write_all(&frame).expect("sent");
    }

    assert_eq!(heard, frame[..]);
    assert_eq!(std::fs::metadata(&lab.socket).expect("there").permissions().mode() & 0o077, 0);
    drop((web, db));
    assert!(lab.ends(), "its last machine is gone");
    assert!(!lab.socket.exists());
}

#[test]
fn the_switch_does_not_end_while_somebody_has_the_lab() {
    let mut lab = Lab::new();
    let lock = std::fs::File::options().create(true).append(true).open(lab.home.path().join("lock")).expect("a file");
    lock.lock().expect("locked");
    drop(lab.plug());

    lab.says("somebody has the lab");
    let late = lab.plug();
    lab.says("port 1: plugged in");

    drop((late, lock));
    assert!(lab.ends());
}

struct Lab {
    home: tempfile::TempDir,
    socket: PathBuf,
    switch: Child,
    words: BufReader<ChildStderr>,
}

impl Lab {
    fn new() -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let pvmlab = || {
            let mut command = Command::new(Path::new(env!("CARGO_BIN_EXE_pvmlab")));
            command.env("PVMLAB_HOME", home.path()).stdin(Stdio::null()).stderr(Stdio::piped());
            command
        };
        assert!(pvmlab().arg("setup").output().expect("ran").status.success());
        let socket = home.path().join("network/switch.sock");
        let mut switch = pvmlab().arg("network-switch").arg("--socket").arg(&socket).spawn().expect("started");
        let words = BufReader::new(switch.stderr.take().expect("piped"));
        Self { home, socket, switch, words }
    }

    fn plug(&self) -> UnixStream {
        let begin = Instant::now();
        loop {
            match UnixStream::connect(&self.socket) {
                Ok(stream) => {
                    stream.set_read_timeout(Some(Duration::from_millis(200))).expect("a limit");
                    return stream;
                }
                Err(error) => assert!(begin.elapsed() < Duration::from_secs(60), "{error}"),
            }
            std::thread::yield_now();
        }
    }

    /// Waits until the switch has said so.
    fn says(&mut self, text: &str) {
        let mut line = String::new();
        while !line.contains(text) {
            line.clear();
            assert_ne!(self.words.read_line(&mut line).expect("text"), 0, "it ended before it said: {text}");
        }
    }

    fn ends(&mut self) -> bool {
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(60) {
            if self.switch.try_wait().expect("asked").is_some() {
                return true;
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
        false
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = self.switch.kill();
        let _ = self.switch.wait();
    }
}
