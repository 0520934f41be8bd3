//! The emulator's control socket: one JSON command, one JSON answer, with events between (QEMU Machine Protocol 2.0).

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use anyhow::{Context, Result, bail};
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
    /// Nobody listens at `socket`, or it speaks another protocol.
    pub(crate) fn connect(socket: &Path) -> Result<Self> {
        let stream = UnixStream::connect(socket).with_context(|| format!("cannot connect to {}", socket.display()))?;
        stream.set_read_timeout(Some(ANSWER_LIMIT))?;
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
        self.execute_with(command, &json!({}))
    }

    /// Runs a command with these arguments and returns its answer.
    ///
    /// # Errors
    /// The emulator refuses the command or is gone.
    pub(crate) fn execute_with(&mut self, command: &str, arguments: &Value) -> Result<Value> {
        let request = json!({ "execute": command, "arguments": arguments }).to_string();
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

    fn receive(&mut self) -> Result<Value> {
        let mut line = String::new();
        if self.reader.read_line(&mut line)? == 0 {
            bail!("the emulator is gone");
        }
        Ok(serde_json::from_str(&line)?)
    }
}

/// An emulator that works hard answers late, but it answers.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn an_event_is_no_answer() {
        let (mut qmp, _emulator) = emulator(&["{\"event\": \"RESET\"}", "{\"return\": {\"running\": true}}"]);

        assert_eq!(qmp.execute("query-status").unwrap(), json!({ "running": true }));
    }

    #[test]
    fn a_refusal_is_an_error() {
        let (mut qmp, _emulator) = emulator(&["{\"error\": {\"class\": \"CommandNotFound\"}}"]);

        assert_eq!(qmp.execute("dance").unwrap_err().to_string(), "dance is refused: {\"class\":\"CommandNotFound\"}");
    }

    fn emulator(answers: &[&str]) -> (Qmp, UnixStream) {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("qmp");
        let listener = UnixListener::bind(&socket).unwrap();
        let lines = [&["{\"QMP\": {}}", "{\"return\": {}}"], answers].concat().join("\n") + "\n";
        let accepted = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(lines.as_bytes()).unwrap();
            stream
        });
        (Qmp::connect(&socket).unwrap(), accepted.join().unwrap())
    }
}
