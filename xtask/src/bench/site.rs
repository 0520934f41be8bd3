//! Where the clients of a bench are: a host of its own on the lab's network, with an address for each client.

use std::{net::Ipv4Addr, sync::mpsc, thread::JoinHandle};

use anyhow::{Context, Result, anyhow};
use lab_tests::{Namespace, network, process::run};

/// A thread in the clients' network namespace, which does one thing after the other until this is dropped.
pub(crate) struct Site {
    work: Option<mpsc::Sender<Work>>,
    thread: Option<JoinHandle<Result<()>>>,
}

type Work = Box<dyn FnOnce() + Send>;

impl Site {
    /// Plugs the site into the lab's network, with these addresses besides its own.
    ///
    /// # Errors
    /// This process may not make a namespace.
    pub(crate) fn new(namespace: &Namespace, addresses: &[Ipv4Addr]) -> Result<Self> {
        let (sender, work) = mpsc::channel::<Work>();
        let thread = namespace.neighbour(move || work.iter().for_each(|work| work()))?;
        let site = Self { work: Some(sender), thread: Some(thread) };
        let addresses: Vec<_> = addresses.iter().map(|address| format!("{address}/{}", network().prefix())).collect();
        site.run(move || {
            run("ip", &["link", "set", "lo", "up"])?;
            addresses.iter().try_for_each(|address| run("ip", &["address", "add", address, "dev", "eth0"]).map(drop))
        })??;
        Ok(site)
    }

    /// Does something there, and waits for it.
    ///
    /// # Errors
    /// The site's thread has ended, because something that was done there panicked.
    pub(crate) fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        self.begin(work)?.recv().context("the clients' thread has ended")
    }

    /// Begins something there; what comes of it is received later.
    ///
    /// # Errors
    /// Those of [`Site::run`].
    pub(crate) fn begin<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<mpsc::Receiver<T>> {
        let (sender, done) = mpsc::channel();
        let work = Box::new(move || sender.send(work()).unwrap_or_default());
        let sent = self.work.as_ref().and_then(|site| site.send(work).ok());
        sent.context("the clients' thread has ended")?;
        Ok(done)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.work = None;
        let ended = self.thread.take().map(|thread| thread.join().map_err(|_| anyhow!("it panicked")).flatten());
        if let Some(Err(error)) = ended {
            eprintln!("the clients' side: {error:#}");
        }
    }
}
