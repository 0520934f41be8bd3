//! QEMU's control socket: one JSON command, one JSON answer, with events between (QEMU Machine Protocol 2.0).

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

/// A connection to one emulator.
#[derive(Debug)]
pub(crate) struct Qmp {
    reader: BufReader<UnixStream>,
}

impl Qmp {
    /// Connects and agrees on no extra capabilities.
    ///
    /// # Errors
    /// Nobody listens at `socket`, or it speaks another protocol, or says nothing for `limit`.
    pub(crate) fn connect(socket: &Path, limit: Duration) -> Result<Self> {
        let stream = UnixStream::connect(socket).with_context(|| format!("cannot connect to {}", socket.display()))?;
        stream.set_read_timeout(Some(limit))?;
        stream.set_write_timeout(Some(limit))?;
        let mut qmp = Self { reader: BufReader::new(stream) };
        qmp.receive().context("no greeting")?;
        qmp.execute("qmp_capabilities")?;
        Ok(qmp)
    }

    /// Runs a command without arguments and returns its answer.
    ///
    /// # Errors
    /// The emulator refuses the command or is gone.
    pub(crate) fn execute(&mut self, command: &str) -> Result<Value> {
        let request = json!({ "execute": command }).to_string() + "\n";
        self.reader.get_mut().write_all(request.as_bytes()).with_context(|| format!("cannot send {command}"))?;
        loop {
            let mut answer = self.receive().with_context(|| format!("no answer to {command}"))?;
            if let Some(error) = answer.get("error") {
                bail!("{command} is refused: {error}");
            }
            if answer.get("return").is_some() {
                return Ok(answer["return"].take());
            }
        }
    }

    /// What the machine does: `running`, `internal-error`, …
    ///
    /// # Errors
    /// The emulator is gone.
    pub(crate) fn status(&mut self) -> Result<String> {
        let answer = self.execute("query-status")?;
        Ok(answer["status"].as_str().context("query-status: no status in the answer")?.to_owned())
    }

    fn receive(&mut self) -> Result<Value> {
        let mut line = String::new();
        if self.reader.by_ref().take(LONGEST_LINE).read_line(&mut line)? == 0 {
            bail!("the emulator is gone");
        }
        Ok(serde_json::from_str(&line)?)
    }
}

/// An emulator that works hard answers late, but it answers.
pub(crate) const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// What the commands above answer has some hundred bytes.
const LONGEST_LINE: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn an_event_is_no_answer() {
        let (mut qmp, _emulator) = emulator(&["{\"event\": \"RESET\"}", "{\"return\": {\"status\": \"running\"}}"]);

        assert_eq!(qmp.status().expect("an answer"), "running");
    }

    #[test]
    fn a_refusal_is_an_error() {
        let (mut qmp, _emulator) = emulator(&["{\"error\": {\"class\": \"CommandNotFound\"}}"]);

        assert_eq!(
            qmp.execute("dance").expect_err("refused").to_string(),
            "dance is refused: {\"class\":\"CommandNotFound\"}"
        );
    }

    fn emulator(answers: &[&str]) -> (Qmp, UnixStream) {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("qmp");
        let listener = UnixListener::bind(&socket).expect("bound");
        let lines = [&["{\"QMP\": {}}", "{\"return\": {}}"], answers].concat().join("\n") + "\n";
        let accepted = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            stream.write_all(lines.as_bytes()).expect("sent");
            stream
        });
        (Qmp::connect(&socket, ANSWER_LIMIT).expect("a greeting"), accepted.join().expect("no panic"))
    }
}
