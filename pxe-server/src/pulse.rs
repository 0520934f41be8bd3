//! Whether every task still gets round to its work, which the service manager's watchdog is told.
//!
//! A timer of its own would only show that the runtime runs. Here each task is asked and answers from its own loop: one that
//! hangs stays silent, the watchdog hears nothing more, and the service manager starts the server anew.

use std::convert::Infallible;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

/// Asks the tasks.
#[derive(Debug, Default)]
pub(crate) struct Pulses {
    round: watch::Sender<u64>,
    answers: Vec<(&'static str, watch::Receiver<u64>)>,
}

/// A task's side.
#[derive(Debug)]
pub(crate) struct Pulse {
    round: watch::Receiver<u64>,
    answered: watch::Sender<u64>,
}

impl Pulses {
    /// The side of a task of this name.
    pub(crate) fn of(&mut self, task: &'static str) -> Pulse {
        let round = self.round.subscribe();
        let (answered, answers) = watch::channel(*round.borrow());
        self.answers.push((task, answers));
        Pulse { round, answered }
    }

    /// Asks every task, and returns those that do not answer within `limit`. One that ended is not among them.
    pub(crate) async fn silent(&mut self, limit: Duration) -> Vec<&'static str> {
        self.round.send_modify(|round| *round += 1);
        let (round, limit) = (*self.round.borrow(), Instant::now() + limit);
        let mut silent = Vec::new();
        for (task, answers) in &mut self.answers {
            if timeout_at(limit, answers.wait_for(|answered| *answered == round)).await.is_err() {
                silent.push(*task);
            }
        }
        silent
    }
}

impl Pulse {
    /// Waits until the task is asked, and answers: for a `select!` in the task's loop.
    pub(crate) async fn answer(&mut self) {
        if self.round.changed().await.is_err() {
            // Nobody asks any more.
            return std::future::pending().await;
        }
        let round = *self.round.borrow_and_update();
        self.answered.send_replace(round);
    }

    /// Runs a task that may rightly wait for long, such as for a network's file system: it counts as alive while what it
    /// waits for leaves the runtime free.
    pub(crate) async fn around(mut self, task: impl Future<Output = ()>) {
        let answers = async {
            loop {
                self.answer().await;
            }
        };
        tokio::select! {
            () = task => {}
            never = answers => { let never: Infallible = never; match never {} }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn who_is_silent_is_named_each_time_anew() {
        let mut pulses = Pulses::default();
        let (good, mut stuck) = (pulses.of("good"), pulses.of("stuck"));
        tokio::spawn(good.around(std::future::pending()));

        assert_eq!(pulses.silent(LIMIT).await, ["stuck"]);
        assert_eq!(pulses.silent(LIMIT).await, ["stuck"]);
        tokio::spawn(async move {
            loop {
                stuck.answer().await;
            }
        });
        assert_eq!(pulses.silent(LIMIT).await, [""; 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_ended_is_not_silent() {
        let mut pulses = Pulses::default();
        tokio::spawn(pulses.of("short").around(async {}));

        assert_eq!(pulses.silent(LIMIT).await, [""; 0]);
    }
}
