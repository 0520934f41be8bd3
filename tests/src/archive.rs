//! A web server for machines of the lab beside the lab's own: files of a folder, such as a part of a distribution's archive.

use std::{
    fs,
    io::{self, BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    path::{Component, Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use anyhow::{Context, Result};

use crate::{namespace::SERVER, process::until};

/// Serves for as long as the lab's namespace is there, and remembers what was asked for.
#[derive(Clone, Debug)]
pub struct Archive {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Archive {
    /// Serves the files below `folder` on the lab's network, at the server's address and a port of its own.
    ///
    /// # Errors
    /// This thread is in no lab's namespace.
    pub fn serve(folder: &Path) -> Result<Self> {
        let listener = TcpListener::bind((SERVER, 0)).context("cannot listen on the lab's network")?;
        let archive = Self { port: listener.local_addr()?.port(), requests: Arc::default() };
        let (folder, requests) = (folder.to_owned(), archive.requests.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (folder, requests) = (folder.clone(), requests.clone());
                thread::spawn(move || answer(stream, &folder, &requests));
            }
        });
        Ok(archive)
    }

    /// Its address and port, as machines write them.
    pub fn host(&self) -> String {
        format!("{SERVER}:{}", self.port)
    }

    /// The paths that were asked for so far, whether or not they are here.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until somebody asks for a path that `wanted` takes, and returns it.
    ///
    /// # Errors
    /// Nobody did within `limit`; the message has what was asked for.
    pub fn wait_for(&self, limit: Duration, wanted: impl Fn(&str) -> bool) -> Result<String> {
        let found = until(limit, || Ok(self.requests().into_iter().find(|path| wanted(path))))?;
        found.with_context(|| format!("nobody asked for it within {limit:?}, only for {:#?}", self.requests()))
    }
}

fn answer(mut stream: TcpStream, folder: &Path, requests: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines().map_while(io::Result::ok);
    let request = lines.next().unwrap_or_default();
    lines.take_while(|line| !line.is_empty()).for_each(drop);
    let mut words = request.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    requests.lock().unwrap_or_else(PoisonError::into_inner).push(path.to_owned());
    let content = inside(folder, path).and_then(|file| fs::read(file).ok());
    let (status, content) = content.map_or(("404 Not Found", Vec::new()), |content| ("200 OK", content));
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", content.len())?;
    if method == "HEAD" { Ok(()) } else { stream.write_all(&content) }
}

/// The file that a path names, where that is no way out of the folder.
fn inside(folder: &Path, path: &str) -> Option<PathBuf> {
    let path = Path::new(path.strip_prefix('/')?);
    path.components().all(|component| matches!(component, Component::Normal(_))).then(|| folder.join(path))
}
