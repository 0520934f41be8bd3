//! A cable to an emulated network: Ethernet frames over a stream, each behind its length, as QEMU's `-netdev stream` has them.

use std::{
    collections::VecDeque,
    io::{self, Read, Write as _},
    os::unix::net::UnixStream,
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};

/// One end of the cable, as a device of smoltcp.
#[derive(Debug)]
pub(super) struct Wire {
    stream: UnixStream,
    arrivals: Receiver<Frame>,
    /// Not yet taken from the device.
    waiting: VecDeque<Vec<u8>>,
}

/// What came, and when.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) at: Instant,
    pub(super) bytes: Vec<u8>,
}

impl Wire {
    /// A thread reads `stream` until its other end is closed, or this is dropped.
    ///
    /// # Errors
    /// The stream cannot be used twice.
    pub(super) fn new(stream: UnixStream) -> io::Result<Self> {
        let mut reader = io::BufReader::new(stream.try_clone()?);
        let (sender, arrivals) = mpsc::channel();
        thread::spawn(move || {
            while let Ok(bytes) = read(&mut reader) {
                if sender.send(Frame { at: Instant::now(), bytes }).is_err() {
                    return;
                }
            }
        });
        Ok(Self { stream, arrivals, waiting: VecDeque::new() })
    }

    /// Waits for frames, at most `limit` for the first; shows each to `see` before the device has it.
    ///
    /// # Errors
    /// The other end is closed.
    pub(super) fn wait(&mut self, limit: Duration, mut see: impl FnMut(&Frame)) -> Result<()> {
        let mut next = match self.arrivals.recv_timeout(limit) {
            Ok(frame) => Some(frame),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => bail!("the lab's network was switched off"),
        };
        while let Some(frame) = next {
            see(&frame);
            self.waiting.push_back(frame.bytes);
            next = self.arrivals.try_recv().ok();
        }
        Ok(())
    }

    /// Sends one frame.
    ///
    /// # Errors
    /// The other end is closed.
    pub(super) fn send(&mut self, frame: &[u8]) -> io::Result<()> {
        let length = u32::try_from(frame.len()).map_err(io::Error::other)?;
        self.stream.write_all(&[&length.to_be_bytes(), frame].concat())
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        // The thread that reads has the stream too.
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
    }
}

fn read(reader: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    reader.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length);
    if length > LONGEST {
        return Err(io::Error::other(format!("a frame of {length} bytes")));
    }
    let mut frame = vec![0; length as usize];
    reader.read_exact(&mut frame)?;
    Ok(frame)
}

/// What QEMU itself takes for one.
const LONGEST: u32 = 68 * 1024;

/// An Ethernet header and what Ethernet carries.
const MAXIMUM_TRANSMISSION_UNIT: usize = 14 + 1500;

impl Device for Wire {
    type RxToken<'a> = Arrived;
    type TxToken<'a> = Outgoing<'a>;

    fn receive(&mut self, _now: smoltcp::time::Instant) -> Option<(Arrived, Outgoing<'_>)> {
        let frame = self.waiting.pop_front()?;
        Some((Arrived(frame), Outgoing(self)))
    }

    fn transmit(&mut self, _now: smoltcp::time::Instant) -> Option<Outgoing<'_>> {
        Some(Outgoing(self))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = MAXIMUM_TRANSMISSION_UNIT;
        capabilities
    }
}

pub(super) struct Arrived(Vec<u8>);

impl RxToken for Arrived {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

pub(super) struct Outgoing<'a>(&'a mut Wire);

impl TxToken for Outgoing<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, write: F) -> R {
        let mut frame = vec![0; length];
        let result = write(&mut frame);
        // A closed end is noticed by whoever waits for frames.
        let _ = self.0.send(&frame);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_as_they_went_in() {
        let (mut near, mut far) = cable();

        near.send(b"first").unwrap();
        near.send(b"second").unwrap();

        let mut seen = Vec::new();
        while seen.len() < 2 {
            far.wait(LIMIT, |frame| seen.push(frame.bytes.clone())).unwrap();
        }
        assert_eq!(seen, [&b"first"[..], b"second"]);
        assert_eq!(far.receive(smoltcp::time::Instant::ZERO).unwrap().0.0, b"first");
    }

    #[test]
    fn a_cable_that_is_pulled_out_is_an_error() {
        let (near, mut far) = cable();

        drop(near);

        assert_eq!(far.wait(LIMIT, |_| ()).unwrap_err().to_string(), "the lab's network was switched off");
    }

    const LIMIT: Duration = Duration::from_secs(60);

    fn cable() -> (Wire, Wire) {
        let (near, far) = UnixStream::pair().unwrap();
        (Wire::new(near).unwrap(), Wire::new(far).unwrap())
    }
}
