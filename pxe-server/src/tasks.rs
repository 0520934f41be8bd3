//! The daemon's tasks: what runs, by name, and which of them ended.

use std::collections::HashMap;

use tokio::task::{Id, JoinSet};

/// The daemon's tasks by name.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    set: JoinSet<()>,
    names: HashMap<Id, &'static str>,
}

impl Tasks {
    /// Starts a task.
    pub(crate) fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let handle = self.set.spawn(task);
        self.names.insert(handle.id(), name);
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
        tasks.spawn("stays", std::future::pending());
        tasks.spawn("ends", async {});

        assert_eq!(tasks.first_end().await, "ends");
        assert_eq!(tasks.names(), ["stays"]);
    }

    #[tokio::test]
    async fn a_panic_is_an_end_too() {
        let mut tasks = Tasks::default();
        tasks.spawn("panics", async { panic!("in a test") });

        assert_eq!(tasks.first_end().await, "panics");
        tasks.all_end().await;
    }
}
