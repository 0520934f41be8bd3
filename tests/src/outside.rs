//! A server outside of the lab, on this machine's loopback: what the emulator's own network calls [`ADDRESS`].

use std::{
    io::{self, BufRead as _, BufReader, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    thread,
};

use anyhow::{Context, Result};

/// Where guests of an emulator's own network find this machine.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);

/// Answers every HTTP request with the same page for as long as this process lives; returns its URL, as guests see it.
///
/// # Errors
/// No port is free.
pub fn serve(page: &'static str) -> Result<String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port of 127.0.0.1 is free")?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || listener.incoming().flatten().for_each(|stream| drop(answer(stream, page))));
    Ok(format!("http://{ADDRESS}:{port}/"))
}

fn answer(mut stream: TcpStream, page: &str) -> io::Result<()> {
    let lines = BufReader::new(stream.try_clone()?).lines();
    lines.map_while(Result::ok).take_while(|line| !line.is_empty()).for_each(drop);
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{page}", page.len())
}
