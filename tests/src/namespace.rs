//! A network of the test's own: a namespace with a bridge at 10.77.0.1/24 and a tap device for each machine.
//!
//! The calling thread moves into the namespace, and so does whatever it starts afterwards, threads and programs alike;
//! nothing outside sees any of it, and it is gone when the last of them has ended. That takes root, or the root of a
//! user namespace: `cargo xtask test` runs the tests of an ordinary user under `unshare --map-root-user`.

use std::{
    cell::Cell,
    fs::{File, OpenOptions},
    marker::PhantomData,
    net::{Ipv4Addr, Ipv6Addr},
    sync::mpsc,
    thread::{self, JoinHandle},
};

use anyhow::{Context, Result, anyhow, bail};
use lab_model::Ipv4Net;
use nix::{
    sched::{CloneFlags, setns, unshare},
    unistd::gettid,
};

use crate::process::run;

/// The bridge's name.
pub const BRIDGE: &str = "lab";

/// The address of the server, which is the bridge's.
pub const SERVER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);

/// The IPv6 address of the server, where the bridge has one.
pub const SERVER6: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 1);

/// The address of a neighbour.
pub const NEIGHBOUR: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);

/// The lab's network, as seen from the server.
pub fn network() -> Ipv4Net {
    Ipv4Net::new(SERVER, 24).expect("24 is a prefix length")
}

/// The namespace that this thread is in, until this is dropped.
#[derive(Debug)]
pub struct Namespace {
    outside: File,
    ports: Cell<u32>,
    /// It belongs to the thread that entered it.
    _thread: PhantomData<*const ()>,
}

impl Namespace {
    /// Moves this thread into a new namespace, and sets up the bridge there.
    ///
    /// # Errors
    /// This process may not do so; the message says what may.
    pub fn enter() -> Result<Self> {
        let outside = File::open("/proc/thread-self/ns/net").context("cannot open this thread's network namespace")?;
        unshare(CloneFlags::CLONE_NEWNET).context(
            "cannot make a network namespace: run as root, or by `cargo xtask test`, \
             which uses `unshare --map-root-user` where the kernel lets ordinary users do so",
        )?;
        let namespace = Self { outside, ports: Cell::new(0), _thread: PhantomData };
        run("ip", &["link", "set", "lo", "up"])?;
        // With an address of its own, which no machine has, the bridge does not take that of whichever tap is added first.
        // Snooping would hold back multicast from guests that have not joined a group yet.
        let bridge = ["address", "02:70:76:6d:6c:62", "type", "bridge", "forward_delay", "0", "mcast_snooping", "0"];
        run("ip", &[&["link", "add", BRIDGE][..], &bridge].concat())?;
        run("ip", &["address", "add", &network().to_string(), "dev", BRIDGE])?;
        run("ip", &["link", "set", BRIDGE, "up"])?;
        Ok(namespace)
    }

    /// As [`Namespace::enter`], with [`SERVER6`] on the bridge too; whoever asks for an IPv4 address is not heard.
    ///
    /// # Errors
    /// Those of [`Namespace::enter`].
    pub fn enter_ipv6() -> Result<Self> {
        let namespace = Self::enter()?;
        run("ip", &["address", "add", &format!("{SERVER6}/64"), "dev", BRIDGE, "nodad"])?;
        let deaf = "table inet deaf { chain input { type filter hook input priority 0; udp dport 67 drop; }; }";
        run("nft", &[deaf])?;
        Ok(namespace)
    }

    /// Adds a tap device to the bridge and returns its name.
    ///
    /// # Errors
    /// `/dev/net/tun` cannot be used by this process.
    pub fn tap(&self) -> Result<String> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/net/tun")
            .context("cannot open /dev/net/tun: run as root, or make it readable and writable for this user")?;
        let name = self.next_port("tap");
        run("ip", &["tuntap", "add", "dev", &name, "mode", "tap"])?;
        run("ip", &["link", "set", &name, "master", BRIDGE, "up"])?;
        Ok(name)
    }
}

impl Namespace {
    /// Runs `work` on a thread of its own, in another namespace: a host at [`NEIGHBOUR`] that is plugged into the bridge.
    ///
    /// # Errors
    /// This process may not make a namespace.
    pub fn neighbour<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<JoinHandle<Result<T>>> {
        let (entered, thread_id) = mpsc::channel();
        let (plugged, plug) = mpsc::channel();
        let neighbour = thread::spawn(move || -> Result<T> {
            unshare(CloneFlags::CLONE_NEWNET).context("cannot make a network namespace")?;
            entered.send(gettid())?;
            plug.recv()?;
            Ok(work())
        });
        let Ok(thread_id) = thread_id.recv() else {
            neighbour.join().map_err(|_| anyhow!("the neighbour's thread panicked"))??;
            bail!("the neighbour ended early");
        };
        let (port, thread_id) = (self.next_port("port"), thread_id.to_string());
        let peer = ["type", "veth", "peer", "name", "eth0", "netns", &thread_id];
        run("ip", &[&["link", "add", &port][..], &peer].concat())?;
        run("ip", &["link", "set", &port, "master", BRIDGE, "up"])?;
        let inside = |arguments: &[&str]| {
            let target = ["--target", &thread_id, "--net", "ip"];
            run("nsenter", &[&target[..], arguments].concat())
        };
        inside(&["address", "add", &format!("{NEIGHBOUR}/{}", network().prefix()), "dev", "eth0"])?;
        inside(&["link", "set", "eth0", "up"])?;
        // The limited broadcast address needs a route like any other.
        inside(&["route", "add", "default", "via", &SERVER.to_string()])?;
        let _ = plugged.send(());
        Ok(neighbour)
    }

    fn next_port(&self, kind: &str) -> String {
        let number = self.ports.get();
        self.ports.set(number + 1);
        format!("{kind}{number}")
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Where that is not allowed, as to the root of a user namespace, the thread stays in a network that is otherwise empty.
        let _ = setns(&self.outside, CloneFlags::CLONE_NEWNET);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_namespaces_have_the_same_address_at_once() {
        let listen = || {
            let namespace = Namespace::enter().unwrap();
            let tap = namespace.tap().unwrap();
            let listener = std::net::TcpListener::bind((SERVER, 67)).unwrap();
            (namespace, tap, listener)
        };

        let (_first, tap, _listener) = listen();

        assert_eq!(tap, "tap0");
        std::thread::spawn(move || drop(listen())).join().unwrap();
    }

    #[test]
    fn a_neighbour_reaches_the_server_over_the_bridge() {
        let namespace = Namespace::enter().unwrap();
        let server = std::net::UdpSocket::bind((SERVER, 67)).unwrap();

        let client = namespace.neighbour(|| {
            let socket = std::net::UdpSocket::bind("0.0.0.0:68").unwrap();
            socket.send_to(b"hello", (SERVER, 67)).unwrap();
        });
        client.unwrap().join().unwrap().unwrap();

        let (_, from) = server.recv_from(&mut [0; 16]).unwrap();
        assert_eq!(from.ip(), NEIGHBOUR);
    }

    #[test]
    fn a_dropped_namespace_leaves_the_thread_where_it_was() {
        let here = || std::fs::read_link("/proc/thread-self/ns/net").unwrap();
        // The root of a user namespace may return to networks of its own, not to the machine's.
        let _outer = Namespace::enter().unwrap();
        let before = here();

        let namespace = Namespace::enter().unwrap();
        assert_ne!(here(), before);
        drop(namespace);

        assert_eq!(here(), before);
    }
}
