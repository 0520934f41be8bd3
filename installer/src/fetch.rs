//! Fetches files over HTTP, and goes on where a connection broke.

use std::io::{self, Read};
use std::ops::Range;
use std::thread;

use lab_model::{RemoteFile, Sha256};
use sha2::Digest;
use ureq::http::{Response, StatusCode, header};
use ureq::{Agent, Body, BodyReader};

use crate::Patience;
use crate::console::say;
use crate::size::Size;

/// A file or a part of one on its way: a reader that outlives its connections.
///
/// A connection that breaks, falls silent, or ends too early is followed by another one that asks for the rest (RFC 9110
/// §14.2, `Range`) on condition that the file is still the same (§13.1.5, `If-Range`). What was received is never asked for again.
pub struct Download<'a> {
    agent: &'a Agent,
    url: &'a str,
    size: u64,
    patience: Patience,
    at: u64,
    end: u64,
    entity_tag: Option<String>,
    body: Option<BodyReader<'static>>,
    failures: u32,
    /// Where the first failure of the current row happened.
    failed_at: u64,
}

impl<'a> Download<'a> {
    /// A file of `size` bytes at `url`; the first read connects.
    pub fn new(agent: &'a Agent, url: &'a str, size: u64, patience: Patience) -> Self {
        Self::part(agent, url, size, 0..size, patience)
    }

    /// The bytes in `range` of a file of `size` bytes.
    pub fn part(agent: &'a Agent, url: &'a str, size: u64, range: Range<u64>, patience: Patience) -> Self {
        let Range { start: at, end } = range;
        Self { agent, url, size, patience, at, end, entity_tag: None, body: None, failures: 0, failed_at: at }
    }

    /// Reads what comes next into `buffer`; 0 only at the end.
    ///
    /// # Errors
    /// The server refuses, has another file than expected, or was not to be reached for too long.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, FetchError> {
        while self.at < self.end {
            match self.read_once(buffer) {
                Ok(length) => {
                    self.at += length as u64;
                    self.release();
                    return Ok(length);
                }
                Err(Trouble::Lasting(error)) => return Err(error),
                Err(Trouble::Passing(reason)) => self.wait(reason)?,
            }
        }
        Ok(0)
    }

    fn read_once(&mut self, buffer: &mut [u8]) -> Result<usize, Trouble> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let end = buffer.len().min(left);
        let body = match &mut self.body {
            Some(body) => body,
            None => {
                let body = self.connect()?;
                self.body.insert(body)
            }
        };
        match body.read(&mut buffer[..end])? {
            0 => Err(Trouble::Passing(format!("the connection ended {} early", Size(self.end - self.at)))),
            length => Ok(length),
        }
    }

    /// Reads the body's end once all is there: only then does the connection carry the next request.
    fn release(&mut self) {
        if self.at == self.end
            && let Some(mut body) = self.body.take()
        {
            let _ = body.read(&mut [0]);
        }
    }

    fn connect(&mut self) -> Result<BodyReader<'static>, Trouble> {
        let mut request = self.agent.get(self.url);
        let whole = (self.at, self.end) == (0, self.size);
        if !whole {
            request = request.header(header::RANGE, format!("bytes={}-{}", self.at, self.end - 1));
            if let Some(tag) = &self.entity_tag {
                request = request.header(header::IF_RANGE, tag);
            }
        }
        let response = accept(self.url, request.call())?;
        if whole {
            self.check_whole(&response)?
        } else {
            self.check_part(&response)?
        };
        // A weak tag does not promise the same bytes (RFC 9110 §8.8.1), so it cannot guard a range.
        self.entity_tag = text(&response, header::ETAG).filter(|tag| tag.starts_with('"')).map(str::to_owned);
        Ok(response.into_body().into_reader())
    }

    fn check_whole(&self, response: &Response<Body>) -> Result<(), FetchError> {
        let length = response.body().content_length();
        if response.status() != StatusCode::OK || length.is_some_and(|length| length != self.size) {
            return Err(self.other_length(length));
        }
        Ok(())
    }

    fn check_part(&self, response: &Response<Body>) -> Result<(), FetchError> {
        let url = self.url.to_owned();
        if response.status() != StatusCode::PARTIAL_CONTENT {
            let asked_of_a_version = self.entity_tag.is_some();
            let same = text(response, header::ETAG) == self.entity_tag.as_deref();
            return Err(if asked_of_a_version && !same {
                FetchError::Changed { url }
            } else {
                FetchError::NoRanges { url }
            });
        }
        let range = text(response, header::CONTENT_RANGE).unwrap_or_default();
        let (place, size) = range.rsplit_once('/').unwrap_or_default();
        match size.parse() {
            Ok(size) if size != self.size => Err(self.other_length(Some(size))),
            Ok(_) if place == format!("bytes {}-{}", self.at, self.end - 1) => Ok(()),
            Ok(_) | Err(_) => Err(FetchError::Changed { url }),
        }
    }

    fn other_length(&self, found: Option<u64>) -> FetchError {
        let url = self.url.to_owned();
        FetchError::Length { url, expected: self.size, found: found.unwrap_or_default() }
    }

    fn wait(&mut self, reason: String) -> Result<(), FetchError> {
        self.body = None;
        // A connection that carries a little and breaks again must not be followed by others for ever.
        if self.at >= self.failed_at + STEADY {
            self.failures = 0;
            self.failed_at = self.at;
        }
        self.failures += 1;
        let Some(delay) = self.patience.delay(self.failures) else {
            return Err(FetchError::GaveUp { url: self.url.to_owned(), tries: self.failures, reason });
        };
        say(format_args!("{}: {reason}; going on at {} in {delay:?}", self.url, Size(self.at)));
        thread::sleep(delay);
        Ok(())
    }
}

/// Fetches a file of known length and digest into memory.
///
/// # Errors
/// It is longer than `limit`, cannot be fetched, or is not what its digest says.
pub fn file(agent: &Agent, file: &RemoteFile, limit: u64, patience: Patience) -> Result<Vec<u8>, FetchError> {
    if file.size > limit {
        return Err(FetchError::TooLong { url: file.url.clone(), limit });
    }
    let mut bytes = Vec::new();
    copy(agent, file, &mut bytes, patience)?;
    Ok(bytes)
}

/// Fetches a file of known length and digest into `target`.
///
/// # Errors
/// It cannot be fetched or written, or is not what its digest says.
pub fn copy(
    agent: &Agent,
    file: &RemoteFile,
    target: &mut impl io::Write,
    patience: Patience,
) -> Result<(), FetchError> {
    let mut download = Download::new(agent, &file.url, file.size, patience);
    let mut hash = sha2::Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = download.read(&mut buffer)?;
        if length == 0 {
            break;
        }
        hash.update(&buffer[..length]);
        target.write_all(&buffer[..length])?;
    }
    let found = Sha256(hash.finalize().into());
    if found != file.sha256 {
        return Err(FetchError::Digest { url: file.url.clone(), expected: file.sha256, found });
    }
    Ok(())
}

/// Fetches a document of unknown length, at most `limit` bytes.
///
/// # Errors
/// The server refuses, the document is too long, or the server was not to be reached for too long.
pub fn document(agent: &Agent, url: &str, limit: u64, patience: Patience) -> Result<Vec<u8>, FetchError> {
    let mut failures = 0;
    loop {
        let reason = match document_once(agent, url, limit) {
            Ok(bytes) => return Ok(bytes),
            Err(Trouble::Lasting(error)) => return Err(error),
            Err(Trouble::Passing(reason)) => reason,
        };
        failures += 1;
        let Some(delay) = patience.delay(failures) else {
            return Err(FetchError::GaveUp { url: url.to_owned(), tries: failures, reason });
        };
        say(format_args!("{url}: {reason}; trying again in {delay:?}"));
        thread::sleep(delay);
    }
}

fn document_once(agent: &Agent, url: &str, limit: u64) -> Result<Vec<u8>, Trouble> {
    let response = accept(url, agent.get(url).call())?;
    let mut bytes = Vec::new();
    response.into_body().into_reader().take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(FetchError::TooLong { url: url.to_owned(), limit }.into());
    }
    Ok(bytes)
}

/// Sorts answers: good ones, those that another try may better, and refusals with the server's own words.
fn accept(url: &str, answer: Result<Response<Body>, ureq::Error>) -> Result<Response<Body>, Trouble> {
    let response = match answer {
        Ok(response) => response,
        Err(error @ ureq::Error::BadUri(_)) => return Err(FetchError::Url(error.to_string()).into()),
        Err(error) => return Err(Trouble::Passing(error.to_string())),
    };
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        return Err(Trouble::Passing(format!("the server answered {status}")));
    }
    let mut words = String::new();
    let _ = response.into_body().into_reader().take(300).read_to_string(&mut words);
    let words = words.lines().next().unwrap_or_default().trim().to_owned();
    let words = if words.is_empty() { words } else { format!(": {words}") };
    Err(FetchError::Refused { url: url.to_owned(), status: status.as_u16(), words }.into())
}

fn text(response: &Response<Body>, name: header::HeaderName) -> Option<&str> {
    response.headers().get(name)?.to_str().ok()
}

/// A file that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The URL is none that this client can use.
    #[error("{0}")]
    Url(String),
    /// The server has the request, and says no.
    #[error("{url}: the server refused with status {status}{words}")]
    Refused {
        /// What was asked for.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The first line of the answer after a colon; empty where there is none.
        words: String,
    },
    /// The server was not to be reached, or its connections broke, too often in a row.
    #[error("{url}: gave up after {tries} tries, the last: {reason}; check that pxe-server runs and the cable is in")]
    GaveUp {
        /// What was asked for.
        url: String,
        /// How often it was tried.
        tries: u32,
        /// Why the last try failed.
        reason: String,
    },
    /// The file is not as long as the server's own configuration says.
    #[error(
        "{url}: expected {expected} bytes, the server has {found}; the image's manifest and its file do not match: run `pxe-server check` on the server"
    )]
    Length {
        /// What was asked for.
        url: String,
        /// The length in the configuration.
        expected: u64,
        /// The length that the server announced; 0 where it announced none.
        found: u64,
    },
    /// The file became another one between two connections.
    #[error("{url}: the file changed on the server while it was fetched; the installation has to start again")]
    Changed {
        /// What was asked for.
        url: String,
    },
    /// The server sends whole files only.
    #[error(
        "{url}: the server does not send a part of a file (no `Range`): let machines reach pxe-server itself, without a proxy"
    )]
    NoRanges {
        /// What was asked for.
        url: String,
    },
    /// The document is longer than anything sensible.
    #[error(
        "{url}: expected at most {limit} bytes: is it pxe-server that answers there, of the installer's own version?"
    )]
    TooLong {
        /// What was asked for.
        url: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// The file is not the one that was meant.
    #[error(
        "{url}: expected SHA-256 {expected}, found {found}; the file on the server is damaged or was replaced: \
             run `pxe-server check` there, and put it there anew"
    )]
    Digest {
        /// What was asked for.
        url: String,
        /// The digest in the configuration.
        expected: Sha256,
        /// The digest of what came.
        found: Sha256,
    },
    /// What came cannot be put down.
    #[error("cannot keep what was fetched: {0}")]
    Keep(#[from] io::Error),
}

/// Why one try failed.
enum Trouble {
    /// The next try may go better.
    Passing(String),
    /// It will not.
    Lasting(FetchError),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Passing(error.to_string())
    }
}

impl From<FetchError> for Trouble {
    fn from(error: FetchError) -> Self {
        Self::Lasting(error)
    }
}

/// After this much, failures are no longer counted as being in a row.
const STEADY: u64 = 1 << 20;
