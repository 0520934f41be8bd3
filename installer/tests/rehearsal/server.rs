//! A small HTTP server that does what a test tells it: breaks off, lies, restarts.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

/// A server on a free port of 127.0.0.1; it lives until the test ends.
pub(crate) struct Server {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

/// A file as the server has it.
#[derive(Clone)]
pub(crate) struct File {
    pub(crate) bytes: Vec<u8>,
    pub(crate) entity_tag: Option<&'static str>,
    pub(crate) ranges: bool,
    /// What happens to the answers, one after the other; later answers are whole.
    pub(crate) mishaps: Vec<Mishap>,
}

/// What goes wrong with one answer.
#[derive(Clone)]
pub(crate) enum Mishap {
    /// The connection is closed after this many bytes of the body.
    BreakAfter(usize),
    /// The connection is closed after this many bytes, and the file is another one from then on.
    BecomeAfter(usize, Box<File>),
    /// The connection is closed after this many bytes, and the next connections are closed at once, as when a server restarts.
    RestartAfter(usize, u32),
    /// Nothing more comes after this many bytes, but the connection stays.
    SilenceAfter(usize),
    /// The answer is this status with this text.
    Status(u16, &'static str),
    /// A bit flips on the way.
    Garble,
}

#[derive(Default)]
struct State {
    files: BTreeMap<String, File>,
    posts: Vec<String>,
    requests: Vec<String>,
    sent: usize,
    connections: usize,
    deaf: u32,
}

impl Server {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                lock(&state).connections += 1;
                thread::spawn(move || answer(stream, &state));
            }
        });
        Self { address, state }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn put(&self, path: &str, file: File) {
        lock(&self.state).files.insert(path.to_owned(), file);
    }

    /// The bodies of all `POST` requests.
    pub(crate) fn posts(&self) -> Vec<String> {
        lock(&self.state).posts.clone()
    }

    /// The path and range of all `GET` requests.
    pub(crate) fn requests(&self) -> Vec<String> {
        lock(&self.state).requests.clone()
    }

    /// How many connections there were.
    pub(crate) fn connections(&self) -> usize {
        lock(&self.state).connections
    }

    /// How many bytes of bodies were sent.
    pub(crate) fn sent(&self) -> usize {
        lock(&self.state).sent
    }
}

impl File {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, entity_tag: Some("\"one\""), ranges: true, mishaps: Vec::new() }
    }

    pub(crate) fn with(mut self, mishaps: impl IntoIterator<Item = Mishap>) -> Self {
        self.mishaps = mishaps.into_iter().collect();
        self
    }
}

fn answer(mut stream: TcpStream, state: &Mutex<State>) {
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    while let Some(request) = Request::read(&mut reader) {
        {
            let mut state = lock(state);
            if state.deaf > 0 {
                state.deaf -= 1;
                return;
            }
            if request.method == "POST" {
                state.posts.push(request.body);
                drop(state);
                let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n");
                continue;
            }
            let range = request.headers.get("range").map(|range| format!(" {range}")).unwrap_or_default();
            state.requests.push(format!("{}{range}", request.path));
        }
        if send(&mut stream, &request, state).is_none() {
            return;
        }
    }
}

/// Sends a file; `None` when the connection is to be closed.
fn send(stream: &mut TcpStream, request: &Request, state: &Mutex<State>) -> Option<()> {
    let (file, mishap) = {
        let mut state = lock(state);
        match state.files.get_mut(&request.path) {
            Some(file) => {
                let mishap = (!file.mishaps.is_empty()).then(|| file.mishaps.remove(0));
                (file.clone(), mishap)
            }
            None => (File::new(Vec::new()), Some(Mishap::Status(404, "no such file\n"))),
        }
    };
    if let Some(Mishap::Status(status, text)) = mishap {
        let head = format!("HTTP/1.1 {status} Whatever\r\nContent-Length: {}\r\n\r\n{text}", text.len());
        return stream.write_all(head.as_bytes()).ok();
    }
    let whole = file.bytes.len();
    let same = request.headers.get("if-range").is_none_or(|tag| Some(tag.as_str()) == file.entity_tag);
    let range = request.headers.get("range").filter(|_| file.ranges && same);
    let bounds = range.and_then(|range| {
        let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
        Some((first.parse().ok()?, last.parse::<usize>().ok()?.min(whole - 1)))
    });
    let tag = file.entity_tag.map(|tag| format!("ETag: {tag}\r\n")).unwrap_or_default();
    let (head, body) = match bounds {
        Some((first, last)) if first <= last => (
            format!("HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {first}-{last}/{whole}\r\n"),
            &file.bytes[first..=last],
        ),
        Some(_) => (format!("HTTP/1.1 416 Range Not Satisfiable\r\nContent-Range: bytes */{whole}\r\n"), &[][..]),
        None => ("HTTP/1.1 200 OK\r\n".to_owned(), &file.bytes[..]),
    };
    let head = format!("{head}{tag}Content-Length: {}\r\n\r\n", body.len());
    let cut = match &mishap {
        Some(
            Mishap::BreakAfter(bytes)
            | Mishap::BecomeAfter(bytes, _)
            | Mishap::RestartAfter(bytes, _)
            | Mishap::SilenceAfter(bytes),
        ) => body.len().min(*bytes),
        Some(Mishap::Status(..) | Mishap::Garble) | None => body.len(),
    };
    let mut body = body[..cut].to_vec();
    {
        let mut state = lock(state);
        state.sent += cut;
        match mishap.clone() {
            Some(Mishap::BecomeAfter(_, other)) => drop(state.files.insert(request.path.clone(), *other)),
            Some(Mishap::RestartAfter(_, deaf)) => state.deaf = deaf,
            Some(Mishap::Garble) => body[0] ^= 1,
            Some(Mishap::BreakAfter(_) | Mishap::SilenceAfter(_) | Mishap::Status(..)) | None => {}
        }
    }
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(&body).ok()?;
    if let Some(Mishap::SilenceAfter(_)) = mishap {
        // Until the other side has had enough.
        let _ = stream.read(&mut [0]);
    }
    matches!(mishap, None | Some(Mishap::Garble)).then_some(())
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().expect("no thread panics while it holds the state")
}

struct Request {
    method: String,
    path: String,
    headers: BTreeMap<String, String>,
    body: String,
}

impl Request {
    fn read(reader: &mut impl BufRead) -> Option<Self> {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
        let mut words = line.split(' ').map(str::to_owned);
        let (method, path) = (words.next()?, words.next()?);
        let mut headers = BTreeMap::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim().split_once(": ") else { break };
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
        let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        Some(Self { method, path, headers, body: String::from_utf8_lossy(&body).into_owned() })
    }
}
