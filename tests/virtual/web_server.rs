//! A server outside the lab, on this machine's loopback: what the emulator's own network calls 10.0.2.2.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    thread,
};

/// Answers every request with the same page for as long as this process lives; returns its port.
pub(crate) fn start(page: &'static str) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || listener.incoming().flatten().for_each(|stream| drop(answer(stream, page))));
    port
}

fn answer(mut stream: TcpStream, page: &str) -> std::io::Result<()> {
    let lines = BufReader::new(stream.try_clone()?).lines();
    lines.map_while(Result::ok).take_while(|line| !line.is_empty()).for_each(drop);
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{page}", page.len())
}
