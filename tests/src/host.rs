//! Another host: a network namespace that lives as long as its value.

use std::{
    sync::mpsc,
    thread::{self, JoinHandle},
};

use anyhow::{Context, Result, anyhow};
use nix::{
    sched::{CloneFlags, unshare},
    unistd::gettid,
};

use crate::process::run;

/// A host that has nothing but its loopback interface at first.
///
/// A socket belongs to the host that opened it, whoever uses it afterwards: so [`Host::run`] is only for opening them.
#[derive(Debug)]
pub struct Host {
    thread_id: String,
    work: Option<mpsc::Sender<Work>>,
    thread: Option<JoinHandle<()>>,
}

type Work = Box<dyn FnOnce() + Send>;

impl Host {
    /// Makes a host.
    ///
    /// # Errors
    /// This process may not make a network namespace.
    pub fn new() -> Result<Self> {
        let (entered, thread_id) = mpsc::channel();
        let (work, works) = mpsc::channel::<Work>();
        let thread = thread::spawn(move || {
            let made = unshare(CloneFlags::CLONE_NEWNET).map(|()| gettid().to_string());
            let failed = made.is_err();
            if entered.send(made).is_ok() && !failed {
                works.iter().for_each(|work| work());
            }
        });
        let thread_id =
            thread_id.recv().context("the host's thread ended")?.context("cannot make a network namespace")?;
        let host = Self { thread_id, work: Some(work), thread: Some(thread) };
        host.ip(&["link", "set", "lo", "up"])?;
        Ok(host)
    }

    /// Connects its interface `eth0` with the new interface `name` of the namespace that this thread is in.
    ///
    /// # Errors
    /// There is such an interface already.
    pub fn plug_into(&self, name: &str) -> Result<()> {
        run("ip", &["link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", &self.thread_id])?;
        run("ip", &["link", "set", "dev", name, "up"])?;
        self.ip(&["link", "set", "eth0", "up"])
    }

    /// Connects its new interface `name` with the new interface `eth0` of `other`.
    ///
    /// # Errors
    /// There is such an interface already.
    pub fn connect(&self, name: &str, other: &Self) -> Result<()> {
        self.ip(&["link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", &other.thread_id])?;
        self.ip(&["link", "set", name, "up"])?;
        other.ip(&["link", "set", "eth0", "up"])
    }

    /// Runs `ip` on it.
    ///
    /// # Errors
    /// `ip` fails; the message has what it said.
    pub fn ip(&self, arguments: &[&str]) -> Result<()> {
        let target = ["--target", &self.thread_id, "--net", "ip"];
        run("nsenter", &[&target[..], arguments].concat()).map(drop)
    }

    /// Runs `work` on it, and returns what that returns.
    ///
    /// # Errors
    /// Earlier work panicked, or this does.
    pub fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let (done, outcome) = mpsc::channel();
        let work = Box::new(move || drop(done.send(work())));
        let sender = self.work.as_ref().expect("it is there until the host is dropped");
        sender.send(work).map_err(|_| anyhow!("the host's thread has ended"))?;
        outcome.recv().context("the host's thread has ended")
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // Without a sender the thread ends, and with it the namespace.
        drop(self.work.take());
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
