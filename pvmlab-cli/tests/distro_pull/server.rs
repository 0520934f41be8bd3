//! A vendor's web server, and all that can go wrong with one.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use sha2::Digest as _;

/// A server on this computer, for as long as the test runs.
#[derive(Clone)]
pub(crate) struct Server {
    address: SocketAddr,
    shared: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Default)]
struct State {
    files: BTreeMap<String, File>,
    faults: VecDeque<Fault>,
    requests: Vec<String>,
    is_held: bool,
    is_released: bool,
}

/// One file, and how the server tells its versions apart.
#[derive(Clone, Default)]
pub(crate) struct File {
    pub(crate) content: Vec<u8>,
    pub(crate) etag: Option<&'static str>,
    pub(crate) last_modified: Option<&'static str>,
    /// Whether a part is sent although `If-Range` names another version.
    pub(crate) ignores_if_range: bool,
}

/// What happens to the next request for a file that is no list of checksums.
pub(crate) enum Fault {
    /// So many bytes of its body come, and the connection breaks.
    Cut(usize),
    /// As [`Fault::Cut`], and then the file is another.
    CutAndChange(usize, File),
    /// So many bytes come, and no more.
    Stall(usize),
    /// So many bytes come, and the rest after [`Server::release`].
    Hold(usize),
    /// The whole, without saying how long it is, and only so many bytes of it.
    Unannounced(usize),
    /// It says that the body has a pebibyte.
    Boast,
    /// An answer without a file.
    Status(u16),
    /// The file is elsewhere.
    Redirect(&'static str),
}

impl Server {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let server = Self { address: listener.local_addr().expect("an address"), shared: Arc::default() };
        let serving = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serving = serving.clone();
                // A client that went away is none of the server's business.
                std::thread::spawn(move || serving.serve(stream));
            }
        });
        server
    }

    /// `127.0.0.1` and the port.
    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Publishes a file, and `SHA256SUMS` of all files in its folder.
    pub(crate) fn publish(&self, path: &str, file: File) {
        let mut state = self.state();
        state.files.insert(path.to_owned(), file);
        let (folder, _) = path.rsplit_once('/').expect("a folder");
        let mut sums = String::new();
        for (path, file) in &state.files {
            match path.strip_prefix(folder).and_then(|path| path.strip_prefix('/')) {
                Some(name) if !name.contains('/') && name != "SHA256SUMS" => {
                    let digest = sha2::Sha256::digest(&file.content);
                    digest.iter().for_each(|byte| sums.push_str(&format!("{byte:02x}")));
                    sums.push_str(&format!(" *{name}\n"));
                }
                _ => {}
            }
        }
        let sums = File { content: sums.into_bytes(), ..File::default() };
        state.files.insert(format!("{folder}/SHA256SUMS"), sums);
    }

    /// Publishes a file as it is.
    pub(crate) fn put(&self, path: &str, content: &str) {
        self.state().files.insert(path.to_owned(), File { content: content.into(), ..File::default() });
    }

    /// What happens to the next requests.
    pub(crate) fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        self.state().faults.extend(faults);
    }

    /// Every request since the last question: path, and what part was asked for.
    pub(crate) fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.state().requests)
    }

    /// Returns once somebody waits at a [`Fault::Hold`].
    pub(crate) fn wait_for_hold(&self) {
        let held = self.shared.1.wait_while(self.state(), |state| !state.is_held).expect("no test failed");
        drop(held);
    }

    pub(crate) fn release(&self) {
        self.state().is_released = true;
        self.shared.1.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.0.lock().expect("no test failed")
    }

    fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut request = Request::read(&mut reader)?;
        if request.method == "CONNECT" {
            self.state().requests.push(format!("CONNECT {}", request.path));
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
            request = Request::read(&mut reader)?;
        }
        let (file, fault) = {
            let mut state = self.state();
            let range = request.headers.get("range").map(|range| format!(" {range}")).unwrap_or_default();
            let condition =
                request.headers.get("if-none-match").map(|tag| format!(" unless {tag}")).unwrap_or_default();
            state.requests.push(format!("{}{range}{condition}", request.path));
            let is_list = request.path.ends_with("SUMS");
            (state.files.get(&request.path).cloned(), if is_list { None } else { state.faults.pop_front() })
        };
        match (file, fault) {
            (_, Some(Fault::Status(status))) => {
                write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
            }
            (_, Some(Fault::Redirect(to))) => {
                write!(stream, "HTTP/1.1 302 X\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            }
            (None, _) => write!(stream, "HTTP/1.1 404 X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
            (Some(file), fault) => self.send(stream, &request, &file, fault),
        }
    }

    fn send(&self, mut stream: TcpStream, request: &Request, file: &File, fault: Option<Fault>) -> std::io::Result<()> {
        if request.headers.contains_key("if-none-match")
            && request.headers.get("if-none-match").map(String::as_str) == file.etag
        {
            return write!(stream, "HTTP/1.1 304 X\r\nConnection: close\r\n\r\n");
        }
        let validator = request.headers.get("if-range").map(String::as_str);
        let is_same = file.ignores_if_range || validator == file.etag.or(file.last_modified);
        let start = request.headers.get("range").filter(|_| is_same);
        let start = start.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
        let total = file.content.len();
        let mut head = String::from("Connection: close\r\n");
        file.etag.iter().for_each(|etag| head.push_str(&format!("ETag: {etag}\r\n")));
        file.last_modified.iter().for_each(|time| head.push_str(&format!("Last-Modified: {time}\r\n")));
        let (status, body) = match start {
            Some(start) if start >= total => (416, &[][..]),
            Some(start) => {
                head.push_str(&format!("Content-Range: bytes {start}-{}/{total}\r\n", total - 1));
                (206, &file.content[start..])
            }
            None => (200, &file.content[..]),
        };
        if matches!(fault, Some(Fault::Boast)) {
            head.push_str(&format!("Content-Length: {}\r\n", 1_u64 << 50));
        } else if !matches!(fault, Some(Fault::Unannounced(_))) {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        write!(stream, "HTTP/1.1 {status} X\r\n{head}\r\n")?;
        match fault {
            None | Some(Fault::Boast) => stream.write_all(body),
            Some(Fault::Cut(bytes) | Fault::Unannounced(bytes)) => stream.write_all(&body[..bytes.min(body.len())]),
            Some(Fault::CutAndChange(bytes, other)) => {
                stream.write_all(&body[..bytes.min(body.len())])?;
                self.publish(&request.path, other);
                Ok(())
            }
            Some(Fault::Stall(bytes)) => {
                stream.write_all(&body[..bytes])?;
                // Until the client has enough of it.
                stream.read(&mut [0]).map(drop)
            }
            Some(Fault::Hold(bytes)) => {
                stream.write_all(&body[..bytes])?;
                let mut state = self.state();
                state.is_held = true;
                self.shared.1.notify_all();
                drop(self.shared.1.wait_while(state, |state| !state.is_released).expect("no test failed"));
                stream.write_all(&body[bytes..])
            }
            Some(Fault::Status(_) | Fault::Redirect(_)) => Ok(()),
        }
    }
}

struct Request {
    method: String,
    path: String,
    headers: BTreeMap<String, String>,
}

impl Request {
    fn read(reader: &mut BufReader<TcpStream>) -> std::io::Result<Self> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            if line.trim().is_empty() {
                break;
            }
            lines.push(line.trim().to_owned());
        }
        let mut words = lines.first().map(String::as_str).unwrap_or_default().split(' ').map(str::to_owned);
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let headers = lines.iter().skip(1).filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
        Ok(Self { method, path, headers })
    }
}
