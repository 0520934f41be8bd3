//! When to send again: the estimate of RFC 6298, with bounds that suit a boot on a local network.

use std::time::Duration;

/// The retransmission timeout of one transfer.
#[derive(Clone, Debug)]
pub(super) struct Timer {
    kind: Kind,
    timeout: Duration,
}

#[derive(Clone, Debug)]
enum Kind {
    /// The client chose the interval (RFC 2349), and it holds as chosen.
    Fixed,
    /// Nothing measured yet.
    Guess,
    /// RFC 6298 §2: the smoothed round trip and its variation.
    Measured { smoothed: Duration, variation: Duration },
}

impl Timer {
    /// Waits as many seconds as the client asked for, or adapts.
    pub(super) fn new(seconds: Option<u8>) -> Self {
        match seconds {
            Some(seconds) => Self { kind: Kind::Fixed, timeout: Duration::from_secs(seconds.into()) },
            None => Self { kind: Kind::Guess, timeout: FIRST },
        }
    }

    /// How long to wait from now on.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Learns how long an answer took, of packets that were sent only once: of others nobody knows which copy was
    /// answered (Karn's rule, RFC 6298 §3).
    pub(super) fn measure(&mut self, round_trip: Duration) {
        let round_trip = round_trip.min(CEILING);
        let (smoothed, variation) = match self.kind {
            Kind::Fixed => return,
            Kind::Guess => (round_trip, round_trip / 2),
            Kind::Measured { smoothed, variation } => {
                ((smoothed * 7 + round_trip) / 8, (variation * 3 + smoothed.abs_diff(round_trip)) / 4)
            }
        };
        self.kind = Kind::Measured { smoothed, variation };
        self.timeout = (smoothed + variation * 4).clamp(FLOOR, CEILING);
    }

    /// Waits twice as long after each timeout, until something new is measured (RFC 6298 §5.5, §5.7).
    pub(super) fn back_off(&mut self) {
        if !matches!(self.kind, Kind::Fixed) {
            self.timeout = (self.timeout * 2).min(CEILING);
        }
    }
}

/// RFC 6298 §2.1: one second, as long as nothing is measured.
const FIRST: Duration = Duration::from_secs(1);

/// RFC 6298 §2.4 has one second, for the sake of the Internet's queues. Firmware on a local network answers within a
/// few milliseconds, and each loss stalls the boot by this much; an emulated machine is seldom away for longer.
const FLOOR: Duration = Duration::from_millis(50);

/// Firmware gives up after some five waits of four seconds: an interval above that would never be seen.
const CEILING: Duration = Duration::from_secs(4);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adapts_below_a_second_once_it_has_measured() {
        let mut timer = Timer::new(None);
        assert_eq!(timer.timeout(), Duration::from_secs(1));

        timer.measure(Duration::from_millis(40));
        assert_eq!(timer.timeout(), Duration::from_millis(40 + 4 * 20));

        timer.measure(Duration::from_millis(40));
        assert_eq!(timer.timeout(), Duration::from_millis(40 + 4 * 15));
    }

    #[test]
    fn stays_within_its_bounds() {
        let mut timer = Timer::new(None);

        timer.measure(Duration::ZERO);
        assert_eq!(timer.timeout(), FLOOR);

        timer.measure(Duration::MAX);
        assert_eq!(timer.timeout(), CEILING);
    }

    #[test]
    fn backs_off_to_its_ceiling_and_recovers_by_measuring() {
        let mut timer = Timer::new(None);
        timer.measure(Duration::from_millis(1));

        let waits: Vec<u128> = (0..9)
            .map(|_| {
                timer.back_off();
                timer.timeout().as_millis()
            })
            .collect();
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 4000, 4000, 4000]);

        timer.measure(Duration::from_millis(1));
        assert_eq!(timer.timeout(), FLOOR);
    }

    #[test]
    fn holds_the_interval_that_the_client_chose() {
        let mut timer = Timer::new(Some(7));
        timer.measure(Duration::from_millis(1));
        timer.back_off();
        assert_eq!(timer.timeout(), Duration::from_secs(7));
    }
}
