//! How long a server may be silent, how often it is asked again, and how long one waits in between.

use std::time::Duration;

/// A bounded number of retries whose delays double up to a longest one.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// How many failures in a row are borne.
    pub failures: u32,
    /// The delay after the first failure.
    pub first: Duration,
    /// The longest delay.
    pub longest: Duration,
    /// How long a connection may be silent before it counts as broken: a server that was switched off says no good-bye.
    pub silence: Duration,
}

impl Patience {
    /// For requests to the server: about 70 s of failures in a row, so that a server may restart in mid-install.
    pub const SERVER: Self = Self {
        failures: 12,
        first: Duration::from_millis(250),
        longest: Duration::from_secs(10),
        silence: Duration::from_secs(20),
    };

    /// For the last reports before the machine starts its system: about 12 s.
    pub const REPORTS: Self = Self {
        failures: 6,
        first: Duration::from_millis(500),
        longest: Duration::from_secs(4),
        silence: Duration::from_secs(5),
    };

    /// How long to wait after this many failures in a row, counted from one; `None`: give up.
    pub fn delay(self, failures: u32) -> Option<Duration> {
        if failures > self.failures {
            return None;
        }
        let doubled = self.first.saturating_mul(1 << failures.saturating_sub(1).min(20));
        Some(doubled.min(self.longest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_longest_and_end() {
        let patience = Patience {
            failures: 4,
            first: Duration::from_secs(1),
            longest: Duration::from_secs(3),
            ..Patience::SERVER
        };

        let delays: Vec<_> = (1..=5).map(|failures| patience.delay(failures).map(|delay| delay.as_secs())).collect();

        assert_eq!(delays, [Some(1), Some(2), Some(3), Some(3), None]);
    }

    #[test]
    fn a_server_has_a_minute_to_restart() {
        let whole: Duration = (1..).map_while(|failures| Patience::SERVER.delay(failures)).sum();

        assert!((60..=90).contains(&whole.as_secs()), "{whole:?}");
    }
}
