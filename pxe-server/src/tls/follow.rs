//! The certificate as its files have it now: one that is replaced is taken up by the next connection, and what is wrong with it is told
//! while the last good one stays.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::signal::unix::Signal;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{Contents, Files, Identity};
use crate::definitions::QUIET;
use crate::inventory::POLL;

/// The certificate that is at work, now and later.
pub(crate) type Watch = watch::Receiver<Standing>;

/// How it is with the certificate.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    /// What is at work.
    pub(crate) identity: Arc<Identity>,
    /// Why the files as they are now are not.
    pub(crate) problem: Option<String>,
}

/// The only one who changes it.
pub(crate) struct Identities {
    files: Files,
    address: IpAddr,
    /// What the files held when they were looked at last, or why they could not be read.
    seen: Result<Contents, String>,
    standing: watch::Sender<Standing>,
}

impl Identities {
    /// Reads the files for the first time; machines come to `address`.
    ///
    /// # Errors
    /// There is nothing yet that could stay at work in their place.
    pub(crate) fn open(files: Files, address: IpAddr) -> anyhow::Result<Self> {
        let contents = files.read()?;
        let identity = Identity::new(&files, &contents, address)?;
        tell(&identity);
        let standing = watch::Sender::new(Standing { identity: Arc::new(identity), problem: None });
        Ok(Self { files, address, seen: Ok(contents), standing })
    }

    /// What is at work, now and later.
    pub(crate) fn watch(&self) -> Watch {
        self.standing.subscribe()
    }

    /// Looks at the files every second, and when told to by SIGHUP, until the token is cancelled.
    pub(crate) async fn follow(mut self, mut hangup: Signal, shutdown: CancellationToken) {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                Some(()) = hangup.recv() => {}
                () = sleep(POLL) => {}
            }
            let contents = self.look().await;
            if contents == self.seen {
                continue;
            }
            // Not a certificate whose key is still to come: what is the same a moment later.
            sleep(QUIET).await;
            if self.look().await == contents {
                self.take_up(contents);
            }
        }
    }

    /// A network's file system can hold it up for as long as it likes.
    async fn look(&self) -> Result<Contents, String> {
        let files = self.files.clone();
        let read = spawn_blocking(move || files.read().map_err(|error| format!("{error:#}"))).await;
        read.unwrap_or_else(|error| Err(error.to_string()))
    }

    fn take_up(&mut self, contents: Result<Contents, String>) {
        let identity = contents.as_ref().map_err(Clone::clone).and_then(|contents| {
            Identity::new(&self.files, contents, self.address).map_err(|error| format!("{error:#}"))
        });
        self.seen = contents;
        match identity {
            Ok(identity) => {
                tell(&identity);
                self.standing.send_replace(Standing { identity: Arc::new(identity), problem: None });
            }
            Err(problem) => {
                warn!(problem, "the certificate stays as it was");
                self.standing.send_modify(|standing| standing.problem = Some(problem));
            }
        }
    }
}

fn tell(identity: &Identity) {
    info!(ends = %identity.ends, "certificate for TLS");
    if let Some(problem) = identity.ends_soon(SystemTime::now()) {
        warn!("{problem}");
    }
}
