//! The daemon's tasks: what runs, by name, and which of them ended.

use std::collections::HashMap;
use std::mem;

use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::pulse::{Pulse, Pulses};

/// The daemon's tasks by name.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    set: JoinSet<()>,
    names: HashMap<Id, &'static str>,
    pulses: Pulses,
    shutdown: CancellationToken,
}

impl Tasks {
    /// Starts a task that answers its pulse in its own loop, and ends when it is told to.
    pub(crate) fn spawn<T>(&mut self, name: &'static str, task: impl FnOnce(Pulse, CancellationToken) -> T)
    where
        T: Future<Output = ()> + Send + 'static,
    {
        let task = task(self.pulses.of(name), self.shutdown.clone());
        let handle = self.set.spawn(task);
        self.names.insert(handle.id(), name);
    }

    /// Starts a task that may rightly wait for a disk or a network's file system as long as that takes. It ends when nobody has use
    /// for it any more.
    pub(crate) fn spawn_patient(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.spawn(name, |pulse, _| pulse.around(task));
    }

    /// Cancelled when the tasks are to end.
    pub(crate) fn shutdown(&self) -> &CancellationToken {
        &self.shutdown
    }

    /// By what the tasks started so far are asked whether they get round to their work.
    pub(crate) fn take_pulses(&mut self) -> Pulses {
        mem::take(&mut self.pulses)
    }

    /// The name of the next task that ends; never, if there is none.
    pub(crate) async fn first_end(&mut self) -> &'static str {
        let Some(ended) = self.set.join_next_with_id().await else { return std::future::pending().await };
        let id = match ended {
            Ok((id, ())) => id,
            Err(error) => error.id(),
        };
        self.names.remove(&id).expect("every task was spawned with a name")
    }

    /// Waits until none is left.
    pub(crate) async fn all_end(&mut self) {
        while !self.set.is_empty() {
            self.first_end().await;
        }
    }

    /// What still runs.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.names.values().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_end_is_told_by_name() {
        let mut tasks = Tasks::default();
        tasks.spawn("stays", |_, _| std::future::pending());
        tasks.spawn("ends", |_, _| async {});

        assert_eq!(tasks.first_end().await, "ends");
        assert_eq!(tasks.names(), ["stays"]);
    }

    #[tokio::test]
    async fn a_panic_is_an_end_too() {
        let mut tasks = Tasks::default();
        tasks.spawn("panics", |_, _| async { panic!("in a test") });

        assert_eq!(tasks.first_end().await, "panics");
        tasks.all_end().await;
    }
}
