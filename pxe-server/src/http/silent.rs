//! Connections whose clients say nothing: where there is no place left, one of them gives way at once.
//!
//! Where there are many on which nothing was asked yet, the oldest of them, else the one whose last answer left longest ago. So neither
//! who opens connections and says nothing keeps anybody out, nor who asks once on each of them. One with a question or an answer under way is left alone:
//! its client may be in the middle of an image. A client has to expect that a connection at rest ends (RFC 9112 §9.5).

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

/// All of them, in the order in which they fell silent. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Silent(Arc<Mutex<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    counted: u64,
    /// Nothing was ever asked there.
    newcomers: BTreeMap<u64, CancellationToken>,
    /// Whatever was asked there is answered.
    resting: BTreeMap<u64, CancellationToken>,
}

/// One connection, which is among them while it is silent. Clones are the same; with the last of them it is gone.
#[derive(Clone, Debug)]
pub(super) struct Visitor(Arc<Visit>);

#[derive(Debug)]
struct Visit {
    stage: Mutex<Stage>,
    dismissal: CancellationToken,
    silent: Silent,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    /// It is among the silent, under this number.
    Silent(u64),
    /// So many questions or their answers are under way.
    Asking(u32),
    /// The answer is written, and has perhaps not left yet.
    Answered,
}

/// A question until its answer is written or given up, and this dropped.
#[derive(Debug)]
pub(super) struct Question(Visitor);

/// So many that have perhaps just come and are about to ask are spared, while others rest.
const SPARED: usize = 64;

impl Silent {
    /// Adds one.
    pub(super) fn join(&self) -> Visitor {
        let dismissal = CancellationToken::new();
        let mut waiting = self.lock();
        let number = waiting.count();
        waiting.newcomers.insert(number, dismissal.clone());
        Visitor(Arc::new(Visit { stage: Mutex::new(Stage::Silent(number)), dismissal, silent: self.clone() }))
    }

    /// Has one end, if there is any.
    pub(super) fn dismiss_one(&self) {
        let mut waiting = self.lock();
        let first = if waiting.newcomers.len() > SPARED || waiting.resting.is_empty() {
            waiting.newcomers.pop_first()
        } else {
            waiting.resting.pop_first()
        };
        if let Some((_, dismissal)) = first {
            dismissal.cancel();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn count(&mut self) -> u64 {
        self.counted += 1;
        self.counted
    }

    fn remove(&mut self, number: u64) {
        self.newcomers.remove(&number);
        self.resting.remove(&number);
    }
}

impl Visitor {
    /// Something is asked: until it is answered, the connection stays.
    pub(super) fn ask(&self) -> Question {
        let mut stage = self.0.stage();
        *stage = match *stage {
            Stage::Silent(number) => {
                self.0.silent.lock().remove(number);
                Stage::Asking(1)
            }
            Stage::Asking(open) => Stage::Asking(open + 1),
            Stage::Answered => Stage::Asking(1),
        };
        Question(self.clone())
    }

    /// All that was written has left: if that was an answer to the end, the connection rests.
    pub(super) fn rest(&self) {
        let mut stage = self.0.stage();
        if let Stage::Answered = *stage {
            let mut waiting = self.0.silent.lock();
            let number = waiting.count();
            waiting.resting.insert(number, self.0.dismissal.clone());
            *stage = Stage::Silent(number);
        }
    }

    /// Ends when this connection has to.
    pub(super) fn dismissed(&self) -> impl Future<Output = ()> + use<> {
        self.0.dismissal.clone().cancelled_owned()
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        let mut stage = self.0.0.stage();
        if let Stage::Asking(open) = *stage {
            *stage = if open > 1 { Stage::Asking(open - 1) } else { Stage::Answered };
        }
    }
}

impl Visit {
    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if let Stage::Silent(number) = *self.stage() {
            self.silent.lock().remove(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_that_has_asked_nothing_gives_way() {
        let silent = Silent::default();
        let [asking, gone, oldest, youngest] = [(); 4].map(|()| silent.join());
        let _question = asking.ask();
        drop(gone);

        silent.dismiss_one();

        assert_eq!([&asking, &oldest, &youngest].map(is_dismissed), [false, true, false]);
    }

    #[test]
    fn nobody_gives_way_while_all_are_answered() {
        let silent = Silent::default();
        let [asking, answered] = [(); 2].map(|()| silent.join());
        let _question = asking.ask();
        drop(answered.ask());
        asking.rest();

        silent.dismiss_one();

        assert_eq!([&asking, &answered].map(is_dismissed), [false, false], "the answer has not left yet");
    }

    #[test]
    fn who_has_rested_longest_gives_way_before_who_has_just_come() {
        let silent = Silent::default();
        let [first, second, newcomer] = [(); 3].map(|()| silent.join());
        for visitor in [&first, &second, &first] {
            drop(visitor.ask());
            visitor.rest();
        }

        let dismissed = [(); 3].map(|()| {
            silent.dismiss_one();
            [&first, &second, &newcomer].map(is_dismissed)
        });

        assert_eq!(dismissed, [[false, true, false], [true, true, false], [true, true, true]]);
    }

    #[test]
    fn who_rests_stays_where_many_have_asked_nothing() {
        let silent = Silent::default();
        let resting = silent.join();
        drop(resting.ask());
        resting.rest();
        let newcomers: Vec<_> = (0..=SPARED).map(|_| silent.join()).collect();

        silent.dismiss_one();
        assert_eq!([&newcomers[0], &resting].map(is_dismissed), [true, false]);
        silent.dismiss_one();
        assert_eq!([&newcomers[1], &resting].map(is_dismissed), [false, true]);
    }

    #[test]
    fn nothing_is_kept_of_who_is_gone() {
        let silent = Silent::default();
        let [resting, newcomer] = [(); 2].map(|()| silent.join());
        drop(resting.ask());
        resting.rest();

        drop((resting, newcomer));

        let waiting = silent.lock();
        assert!(waiting.newcomers.is_empty() && waiting.resting.is_empty(), "{waiting:?}");
    }

    fn is_dismissed(visitor: &Visitor) -> bool {
        visitor.0.dismissal.is_cancelled()
    }
}
