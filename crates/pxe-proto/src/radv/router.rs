//! When an advertisement is due (RFC 4861 §6.2.4 to §6.2.6).

use std::mem;
use std::net::Ipv6Addr;
use std::time::{Duration, Instant};

use super::chance::Chance;
use super::withdrawal::Withdrawal;
use super::{Config, Ignored, solicitation};

/// A router that advertises itself on one link.
#[derive(Clone, Debug)]
pub struct Router {
    config: Config,
    chance: Chance,
    /// When the next advertisement is due.
    next: Instant,
    /// When the latest one was.
    latest: Option<Instant>,
    /// How many are still due in quick succession: the first ones may be lost.
    initial: u8,
    /// What these have besides: what machines are to forget.
    withdrawal: Withdrawal,
}

impl Router {
    /// A router whose first advertisement is due `now`; `seed` is to differ from router to router.
    pub fn new(config: Config, seed: u64, now: Instant) -> Self {
        Self {
            config,
            chance: Chance(seed),
            next: now,
            latest: None,
            initial: INITIAL_ADVERTISEMENTS,
            withdrawal: Withdrawal::default(),
        }
    }

    /// Advertises this from now on: at once, and some times more, as the first advertisements (RFC 4861 §6.2.4). What was advertised and is
    /// not any more is withdrawn by these.
    pub fn set_config(&mut self, config: Config, now: Instant) {
        self.withdrawal = mem::take(&mut self.withdrawal).after(&self.config, &config);
        self.config = config;
        self.initial = INITIAL_ADVERTISEMENTS;
        self.next = self.latest.map_or(now, |latest| now.max(latest + SHORTEST_PAUSE));
    }

    /// Hears an ICMPv6 packet, from its header on. A solicitation brings the next advertisement forward.
    ///
    /// # Errors
    /// Why it is no solicitation from this link.
    pub fn handle(
        &mut self,
        packet: &[u8],
        sender: Ipv6Addr,
        hop_limit: Option<u8>,
        now: Instant,
    ) -> Result<(), Ignored> {
        solicitation::check(packet, sender, hop_limit)?;
        let answer = now + self.chance.between(Duration::ZERO, LONGEST_DELAY);
        let earliest = self.latest.map_or(answer, |latest| latest + SHORTEST_PAUSE);
        self.next = self.next.min(answer.max(earliest));
        Ok(())
    }

    /// When [`Router::handle_timeout`] has something to say.
    pub fn poll_timeout(&self) -> Instant {
        self.next
    }

    /// The advertisement to send to all nodes, where one is due.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<Vec<u8>> {
        if now < self.next {
            return None;
        }
        let usual = self.chance.between(SHORTEST_INTERVAL, LONGEST_INTERVAL);
        let pause = if self.initial > 1 { usual.min(INITIAL_INTERVAL) } else { usual };
        self.initial = self.initial.saturating_sub(1);
        self.latest = Some(now);
        self.next = now + pause;
        let mut advertisement = self.config.advertisement();
        self.withdrawal.write(&mut advertisement);
        if self.initial == 0 {
            self.withdrawal = Withdrawal::default();
        }
        Some(advertisement)
    }

    /// The last advertisement: this router is the way out for nobody any more (RFC 4861 §6.2.5).
    pub fn farewell(&self) -> Vec<u8> {
        Config { router_lifetime: Duration::ZERO, ..self.config.clone() }.advertisement()
    }
}

/// RFC 4861 §10, MAX_INITIAL_RTR_ADVERTISEMENTS.
const INITIAL_ADVERTISEMENTS: u8 = 3;

/// RFC 4861 §10, MAX_INITIAL_RTR_ADVERT_INTERVAL.
const INITIAL_INTERVAL: Duration = Duration::from_secs(16);

/// RFC 4861 §10, MAX_RA_DELAY_TIME.
const LONGEST_DELAY: Duration = Duration::from_millis(500);

/// RFC 4861 §10, MIN_DELAY_BETWEEN_RAS.
const SHORTEST_PAUSE: Duration = Duration::from_secs(3);

/// RFC 4861 §6.2.1, MinRtrAdvInterval: its default.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(200);

/// RFC 4861 §6.2.1, MaxRtrAdvInterval: its default.
pub(super) const LONGEST_INTERVAL: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::radv::advertisement::tests::config;

    #[test]
    fn the_first_three_come_soon_and_the_others_every_few_minutes() {
        let (mut router, start) = router();

        let pauses = (0..50).map(|_| advance(&mut router)).collect::<Vec<_>>();

        assert!(router.poll_timeout() > start);
        assert_eq!(pauses[..2], [INITIAL_INTERVAL; 2]);
        assert!(pauses[2..].iter().all(|pause| (SHORTEST_INTERVAL..=LONGEST_INTERVAL).contains(pause)), "{pauses:?}");
        assert!(pauses[2..].windows(2).any(|two| two[0] != two[1]), "{pauses:?}");
    }

    #[test]
    fn a_solicitation_is_answered_within_half_a_second() {
        let (mut router, _) = router();
        for _ in 0..3 {
            advance(&mut router);
        }
        let now = router.poll_timeout() - Duration::from_secs(100);

        solicit(&mut router, now);

        assert!(router.poll_timeout() <= now + LONGEST_DELAY);
    }

    #[test]
    fn solicitations_after_an_advertisement_wait_until_three_seconds_are_over() {
        let (mut router, start) = router();
        router.handle_timeout(start).expect("the first");

        solicit(&mut router, start + Duration::from_millis(1));

        assert_eq!(router.poll_timeout(), start + SHORTEST_PAUSE);
        assert_eq!(router.handle_timeout(start + Duration::from_secs(2)), None);
    }

    #[test]
    fn what_is_new_is_told_as_soon_as_it_may_be_and_three_times() {
        let (mut router, start) = router();
        for _ in 0..3 {
            advance(&mut router);
        }
        let latest = router.latest.expect("three");

        router.set_config(Config { mtu: Some(1280), ..config() }, latest + Duration::from_secs(1));

        assert_eq!(router.poll_timeout(), latest + SHORTEST_PAUSE);
        let told = router.handle_timeout(latest + SHORTEST_PAUSE).expect("it is due");
        assert_eq!(told, Config { mtu: Some(1280), ..config() }.advertisement());
        assert_ne!(told, config().advertisement());
        assert_eq!(router.poll_timeout(), latest + SHORTEST_PAUSE + INITIAL_INTERVAL);
        assert!(router.poll_timeout() > start);
    }

    #[test]
    fn what_is_gone_is_withdrawn_three_times() {
        let (mut router, start) = router();
        router.handle_timeout(start).expect("the first");
        let without = Config { dns: Vec::new(), ..config() };

        router.set_config(without.clone(), start);
        let told: Vec<_> = (0..4)
            .map(|_| {
                let now = router.poll_timeout();
                router.handle_timeout(now).expect("it is due")
            })
            .collect();

        let plain = without.advertisement();
        let withdrawn = [&plain[..], &[25, 3, 0, 0, 0, 0, 0, 0], &config().dns[0].octets()].concat();
        assert_eq!(told, [withdrawn.clone(), withdrawn.clone(), withdrawn, plain]);
    }

    #[test]
    fn its_last_word_is_that_it_is_no_router() {
        let (mut router, start) = router();
        let advertised = router.handle_timeout(start).expect("the first");

        let farewell = router.farewell();

        assert_eq!((&advertised[6..8], &farewell[6..8]), (&[0x07, 0x08][..], &[0, 0][..]));
        assert_eq!(advertised[8..], farewell[8..]);
    }

    proptest! {
        #[test]
        fn a_flood_is_answered_once_in_three_seconds(pauses in prop::collection::vec(0_u64..2000, 1..500)) {
            let (mut router, mut now) = router();
            let mut sent: Vec<Instant> = Vec::new();

            for pause in pauses {
                now += Duration::from_millis(pause);
                if router.handle_timeout(now).is_some() {
                    sent.push(now);
                }
                solicit(&mut router, now);
            }

            prop_assert!(sent.windows(2).all(|two| two[1] - two[0] >= SHORTEST_PAUSE), "{sent:?}");
        }
    }

    fn router() -> (Router, Instant) {
        let start = start();
        (Router::new(config(), 7, start), start)
    }

    /// Goes to when the next one is due; the pause until the one after it.
    fn advance(router: &mut Router) -> Duration {
        let now = router.poll_timeout();
        router.handle_timeout(now).expect("it is due");
        router.poll_timeout() - now
    }

    fn solicit(router: &mut Router, now: Instant) {
        let packet = [133, 0, 0, 0, 0, 0, 0, 0];
        router.handle(&packet, Ipv6Addr::UNSPECIFIED, Some(255), now).expect("a solicitation");
    }

    #[expect(clippy::disallowed_methods, reason = "an Instant has no other beginning; nothing waits for it")]
    fn start() -> Instant {
        Instant::now()
    }
}
