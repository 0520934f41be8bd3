//! A machine's serial console: what it has said so far, and waiting for what it will say.

use std::{
    fs::File,
    io::{Read, Write},
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, Result, bail};

/// What a machine writes to its serial port, without terminal control sequences.
#[derive(Clone, Debug)]
pub struct Console {
    shared: Arc<Shared>,
    log: PathBuf,
}

impl Console {
    /// Follows `output` to its end; the bytes as they come are added to the file `log` as well.
    pub(crate) fn follow(mut output: impl Read + Send + 'static, log: &Path) -> Result<Self> {
        let file = File::options().create(true).append(true).open(log);
        let mut file = file.with_context(|| format!("cannot create {}", log.display()))?;
        let shared = Arc::new(Shared::default());
        let writer = shared.clone();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = output.read(&mut buffer) {
                let _ = file.write_all(&buffer[..length]);
                writer.text().push(&buffer[..length], SystemTime::now());
                writer.more.notify_all();
            }
            writer.text().ended = true;
            writer.more.notify_all();
        });
        Ok(Self { shared, log: log.to_owned() })
    }

    /// Waits until the console has shown `text`, which may have been at any time before; when it came, as the host's clock has it.
    ///
    /// # Errors
    /// It was not shown within `limit`, or the machine was switched off. The message has the last lines of the console.
    pub fn wait_for(&self, text: &str, limit: Duration) -> Result<SystemTime> {
        self.wait_for_any(&[text], limit).map(|(_, at)| at)
    }

    /// As [`Console::wait_for`], for the first of several texts: which one, and when it came.
    ///
    /// # Errors
    /// Those of [`Console::wait_for`].
    pub fn wait_for_any<'a>(&self, texts: &[&'a str], limit: Duration) -> Result<(&'a str, SystemTime)> {
        let deadline = Instant::now() + limit;
        let mut seen = self.shared.text();
        loop {
            if let Some(found) = texts.iter().find_map(|text| Some((*text, seen.shown_at(text)?))) {
                return Ok(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if seen.ended || left.is_zero() {
                let why =
                    if seen.ended { "before the machine was off".to_owned() } else { format!("within {limit:?}") };
                bail!("the console did not show {texts:?} {why}; its last lines:\n{}", seen.tail(TAIL_LINES));
            }
            let (guard, _) = self.shared.more.wait_timeout(seen, left).unwrap_or_else(PoisonError::into_inner);
            seen = guard;
        }
    }

    /// Whether the console has shown `text` by now.
    pub fn shows(&self, text: &str) -> bool {
        self.shared.text().shown_at(text).is_some()
    }

    /// Its last lines.
    pub fn tail(&self) -> String {
        self.shared.text().tail(TAIL_LINES)
    }

    /// The file with everything that it ever showed, in this power-on and in earlier ones.
    pub fn log(&self) -> &Path {
        &self.log
    }
}

/// Enough for a kernel's panic or an installer's story.
const TAIL_LINES: usize = 60;

#[derive(Debug, Default)]
struct Shared {
    text: Mutex<Text>,
    more: Condvar,
}

impl Shared {
    fn text(&self) -> MutexGuard<'_, Text> {
        self.text.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Default)]
struct Text {
    plain: String,
    /// How long `plain` was, and when.
    arrivals: Vec<(usize, SystemTime)>,
    escape: Escape,
    /// The first bytes of a character whose last ones have not come yet.
    partial: Vec<u8>,
    ended: bool,
}

/// Where in a control sequence of ECMA-48 §5.4 the stream is.
#[derive(Debug, Default)]
enum Escape {
    #[default]
    None,
    Started,
    Parameters,
}

impl Text {
    fn push(&mut self, bytes: &[u8], at: SystemTime) {
        for &byte in bytes {
            self.escape = match (&self.escape, byte) {
                (Escape::None, 0x1b) => Escape::Started,
                (Escape::None, b'\n' | b'\t' | 0x20..=0x7e | 0x80..) => {
                    self.partial.push(byte);
                    Escape::None
                }
                (Escape::None, _) => Escape::None,
                (Escape::Started, b'[') => Escape::Parameters,
                (Escape::Started, _) => Escape::None,
                (Escape::Parameters, 0x40..=0x7e) => Escape::None,
                (Escape::Parameters, _) => Escape::Parameters,
            };
        }
        let whole = match std::str::from_utf8(&self.partial) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            Ok(_) | Err(_) => self.partial.len(),
        };
        let rest = self.partial.split_off(whole);
        self.plain.push_str(&String::from_utf8_lossy(&self.partial));
        self.partial = rest;
        self.arrivals.push((self.plain.len(), at));
    }

    fn shown_at(&self, text: &str) -> Option<SystemTime> {
        let end = self.plain.find(text)? + text.len();
        let arrival = self.arrivals.partition_point(|(length, _)| *length < end);
        self.arrivals.get(arrival).map(|(_, at)| *at)
    }

    fn tail(&self, count: usize) -> String {
        let lines: Vec<_> = self.plain.lines().filter(|line| !line.trim().is_empty()).collect();
        lines[lines.len().saturating_sub(count)..].join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_text_that_firmware_colours_and_places() {
        let mut text = Text::default();

        text.push(b"\x1b[2J\x1b[01;01H\x1b[0m>>St", at(1));
        text.push(b"art\x1b[37m PXE\r\n", at(2));
        text.push(b" over IPv4", at(3));

        assert_eq!(text.plain, ">>Start PXE\n over IPv4");
        assert_eq!(text.shown_at("Start PXE"), Some(at(2)));
        assert_eq!(text.shown_at(">>St"), Some(at(1)));
        assert_eq!(text.shown_at("IPv6"), None);
    }

    #[test]
    fn a_character_may_come_in_two_reads() {
        let mut text = Text::default();

        text.push(&"é".as_bytes()[..1], at(1));
        text.push(&"é".as_bytes()[1..], at(2));
        text.push(b"\xff!", at(3));

        assert_eq!(text.plain, "é\u{fffd}!");
    }

    #[test]
    fn says_what_the_console_showed_last_when_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let console = Console::follow(&b"one\n\ntwo\n"[..], &folder.path().join("serial.log")).unwrap();

        let error = console.wait_for("three", Duration::from_secs(60)).unwrap_err();

        assert!(console.wait_for("two", Duration::ZERO).is_ok());
        assert!(error.to_string().ends_with("before the machine was off; its last lines:\none\ntwo"), "{error}");
        assert_eq!(std::fs::read(console.log()).unwrap(), b"one\n\ntwo\n");
    }

    fn at(second: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(second)
    }
}
