//! The switch's loop: one thread that waits for all ports and never for one.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::port::{Closed, Port};
use super::table::{PortId, Table};

/// A switch and whoever is plugged in.
#[derive(Debug)]
pub(crate) struct Switch {
    listener: UnixListener,
    ports: BTreeMap<PortId, Port>,
    table: Table,
    next: PortId,
    deserted: Instant,
    patience: Duration,
}

/// Why [`Switch::run`] came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pause {
    /// Somebody wants it to end.
    Asked,
    /// Nobody has been plugged in for a while.
    Deserted,
}

impl Switch {
    /// A switch without machines; who connects to `listener` is plugged in.
    ///
    /// # Errors
    /// The system refuses.
    pub(crate) fn new(listener: UnixListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let (ports, table) = (BTreeMap::new(), Table::default());
        Ok(Self { listener, ports, table, next: 0, deserted: Instant::now(), patience: FIRST_PATIENCE })
    }

    /// Carries frames until `end` is readable or nobody has been there for a while; may be called again after [`Pause::Deserted`].
    ///
    /// # Errors
    /// The system does not let it wait.
    pub(crate) fn run(&mut self, end: BorrowedFd<'_>) -> io::Result<Pause> {
        loop {
            let ready = self.wait(end)?;
            if ready.end {
                return Ok(Pause::Asked);
            }
            if ready.listener {
                self.accept();
            }
            let now = Instant::now();
            for id in ready.readable {
                self.carry(id, now);
            }
            self.send();
            if self.ports.is_empty() && self.deserted.elapsed() >= self.patience {
                self.deserted = Instant::now();
                return Ok(Pause::Deserted);
            }
        }
    }

    fn wait(&self, end: BorrowedFd<'_>) -> io::Result<Ready> {
        let mut waited =
            vec![PollFd::new(end, PollFlags::POLLIN), PollFd::new(self.listener.as_fd(), PollFlags::POLLIN)];
        waited.extend(self.ports.values().map(|port| {
            let output = if port.has_output() { PollFlags::POLLOUT } else { PollFlags::empty() };
            PollFd::new(port.as_fd(), PollFlags::POLLIN | output)
        }));
        let limit = if self.ports.is_empty() {
            let left = self.patience.saturating_sub(self.deserted.elapsed()) + Duration::from_millis(1);
            PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
        } else {
            PollTimeout::NONE
        };
        match poll(&mut waited, limit) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let any = |polled: &PollFd<'_>| polled.any().unwrap_or_default();
        let readable = |polled: &PollFd<'_>| {
            polled
                .revents()
                .is_some_and(|events| events.intersects(PollFlags::POLLIN | PollFlags::POLLHUP | PollFlags::POLLERR))
        };
        let ports = self.ports.keys().zip(&waited[2..]);
        Ok(Ready {
            end: any(&waited[0]),
            listener: any(&waited[1]),
            readable: ports.filter(|(_, polled)| readable(polled)).map(|(&id, _)| id).collect(),
        })
    }

    fn accept(&mut self) {
        let stream = match self.listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(error) => {
                eprintln!("cannot accept a machine: {error}");
                // Such as no descriptor being left: what is plugged in works on, and asking at once again helps nobody.
                std::thread::park_timeout(Duration::from_millis(100));
                return;
            }
        };
        if self.ports.len() >= MAX_PORTS {
            eprintln!("no port is left: {MAX_PORTS} are in use");
            return;
        }
        match Port::new(stream) {
            Ok(port) => {
                eprintln!("port {}: plugged in", self.next);
                self.ports.insert(self.next, port);
                self.next += 1;
                self.patience = LATER_PATIENCE;
            }
            Err(error) => eprintln!("cannot use a connection: {error}"),
        }
    }

    /// Takes what one machine sent, and queues it for the others.
    fn carry(&mut self, id: PortId, now: Instant) {
        // Out of the map while its frames go to the others: nothing is ever sent back where it came from.
        let Some(mut sender) = self.ports.remove(&id) else {
            return;
        };
        let mut outcome = sender.receive();
        while outcome.is_ok() {
            match sender.next_frame() {
                Ok(Some(frame)) => {
                    self.table.learn(frame.source(), id, now);
                    let known = self.table.port_of(frame.destination(), now);
                    match known {
                        Some(port) => self.ports.get_mut(&port).into_iter().for_each(|port| port.queue(frame)),
                        None => self.ports.values_mut().for_each(|port| port.queue(frame)),
                    }
                }
                Ok(None) => break,
                Err(closed) => outcome = Err(closed),
            }
        }
        match outcome {
            Ok(()) => {
                self.ports.insert(id, sender);
            }
            Err(closed) => self.closed(id, &sender, &closed),
        }
    }

    fn send(&mut self) {
        let mut gone = Vec::new();
        for (&id, port) in &mut self.ports {
            if let Err(closed) = port.send() {
                gone.push((id, closed));
            }
        }
        for (id, closed) in gone {
            if let Some(port) = self.ports.remove(&id) {
                self.closed(id, &port, &closed);
            }
        }
    }

    fn closed(&mut self, id: PortId, port: &Port, why: &Closed) {
        let why = match why {
            Closed::Gone => "unplugged".to_owned(),
            Closed::Length(length) => format!("closed: it announced a frame of {length} bytes"),
            Closed::Failed(error) => format!("closed: {error}"),
        };
        eprintln!("port {id}: {why}; {} frames were dropped as it did not read", port.dropped);
        self.table.forget(id);
        if self.ports.is_empty() {
            self.deserted = Instant::now();
        }
    }
}

struct Ready {
    end: bool,
    listener: bool,
    readable: Vec<PortId>,
}

/// Far below the 1,024 descriptors that a process usually may have.
const MAX_PORTS: usize = 256;

/// Between the switch's start and its first machine's.
const FIRST_PATIENCE: Duration = Duration::from_secs(30);

/// After the last machine is gone.
const LATER_PATIENCE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests;
