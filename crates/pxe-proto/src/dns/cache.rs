//! What other name servers said, for as long as they said (RFC 1034 §3.6, RFC 2308 §5).

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::Name;
use super::answer::Answer;
use super::query::Query;

/// What makes two questions the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    name: Name,
    rtype: u16,
    /// Answers with signatures are longer, and unchecked ones are for those who asked for them.
    dnssec_ok: bool,
    checking_disabled: bool,
}

/// The answers that are kept: what is longest from its end, where there is no room for all.
#[derive(Debug, Default)]
pub(super) struct Cache {
    entries: BTreeMap<Key, Entry>,
    ends: BTreeSet<(Instant, Key)>,
    size: usize,
}

#[derive(Debug)]
struct Entry {
    /// Nothing: no name server had an answer.
    answer: Option<Answer>,
    came: Instant,
    ends: Instant,
}

/// What is kept at most, by its own count, which is near to what it takes in memory.
const BYTES: usize = 1 << 20;

/// What an entry takes beside its answer: its key twice, and its places in two trees.
const OVERHEAD: usize = 256;

/// Longer answers are rare, and would push out many.
const LONGEST: usize = 8192;

/// RFC 9520 §3.2: at least one second. No longer, because what comes back is to be seen at once.
const FAILURE: Duration = Duration::from_secs(1);

impl Key {
    pub(super) fn of(query: &Query) -> Self {
        Self {
            name: query.name.clone(),
            rtype: query.rtype.to_int(),
            dnssec_ok: query.dnssec_ok(),
            checking_disabled: query.checking_disabled,
        }
    }

    fn size(&self) -> usize {
        OVERHEAD + 2 * self.name.len()
    }
}

impl Cache {
    /// The answer to a question with its age in seconds; `Some(None)`: there was none a moment ago.
    pub(super) fn find(&self, key: &Key, now: Instant) -> Option<Option<(&Answer, u32)>> {
        let entry = self.entries.get(key).filter(|entry| entry.ends > now)?;
        let age = now.saturating_duration_since(entry.came).as_secs();
        Some(entry.answer.as_ref().map(|answer| (answer, u32::try_from(age).unwrap_or(u32::MAX))))
    }

    /// Keeps an answer, if it is one to keep.
    pub(super) fn keep(&mut self, key: &Key, answer: &Answer, now: Instant) {
        let Some(lifetime) = answer.lifetime.filter(|_| answer.size() <= LONGEST) else { return };
        self.put(key.clone(), Some(answer.clone()), Duration::from_secs(lifetime.into()), now);
    }

    /// Keeps that no name server had an answer.
    pub(super) fn keep_failure(&mut self, key: &Key, now: Instant) {
        self.put(key.clone(), None, FAILURE, now);
    }

    /// Forgets everything: other name servers may know other names.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    fn put(&mut self, key: Key, answer: Option<Answer>, lifetime: Duration, now: Instant) {
        self.remove(&key);
        let entry = Entry { answer, came: now, ends: now + lifetime };
        self.size += entry.size(&key);
        self.ends.insert((entry.ends, key.clone()));
        self.entries.insert(key, entry);
        while self.size > BYTES || self.ends.first().is_some_and(|(ends, _)| *ends <= now) {
            let Some((_, first)) = self.ends.first().cloned() else { return };
            self.remove(&first);
        }
    }

    fn remove(&mut self, key: &Key) {
        let Some((key, entry)) = self.entries.remove_entry(key) else { return };
        self.size -= entry.size(&key);
        self.ends.remove(&(entry.ends, key));
    }
}

impl Entry {
    fn size(&self, key: &Key) -> usize {
        key.size() + self.answer.as_ref().map_or(0, Answer::size)
    }
}
