//! Transfers against networks that lose, copy, delay and reorder, and against clients that mean harm; on a virtual clock.

#![allow(clippy::panic, reason = "a test fails by it, here also in what tests share")]

mod client;
mod hostile;
mod network;

use std::time::Duration;

use proptest::prelude::*;
use pxe_proto::tftp::Outcome;

use client::{Habit, Wishes};
use network::{Fate, World};

proptest! {
    /// Whatever happens in the first five seconds, the file arrives, and the server knows.
    #[test]
    fn a_bad_network_that_gets_well_delivers_the_file(
        length in 0_usize..40_000,
        wishes in wishes(),
        fates in prop::collection::vec(fate(900), 1..200),
    ) {
        let mut world = World::new(length, wishes, fates, Duration::from_secs(5));

        world.run();

        prop_assert!(world.client.file() == Some(&world.file[..]), "{world}");
        prop_assert!(
            world.outcomes.contains(&Outcome::Finished)
                || (wishes.habit == Habit::Leaves && world.outcomes.contains(&Outcome::Unreachable)),
            "{world}"
        );
    }

    /// However bad the network stays, both sides are done in bounded time, and what arrived whole is the file.
    #[test]
    fn a_bad_network_that_stays_bad_ends_the_transfer_one_way_or_the_other(
        length in 0_usize..5_000,
        wishes in wishes(),
        fates in prop::collection::vec(fate(10_000), 1..50),
    ) {
        let mut world = World::new(length, wishes, fates, Duration::MAX);

        world.run();

        if let Some(file) = world.client.file() {
            prop_assert!(file == world.file, "{world}");
        }
        prop_assert!(world.elapsed() < Duration::from_secs(40) * world.steps_of_progress(), "{world}");
    }

    /// Without loss every packet is sent once, whatever was negotiated.
    #[test]
    fn a_good_network_carries_nothing_twice(length in 0_usize..40_000, wishes in wishes(), delay in 0_u64..20) {
        let mut world = World::new(length, wishes, vec![Fate::arrives(delay)], Duration::MAX);

        world.run();

        prop_assert!(world.client.file() == Some(&world.file[..]), "{world}");
        prop_assert_eq!(&world.outcomes, &[Outcome::Finished]);
        prop_assert_eq!(world.from_server, world.blocks() + u64::from(wishes.any()));
    }
}

/// A copy of each datagram must not become a copy of each answer to it, and so on to the end of the file.
#[test]
fn a_network_that_copies_everything_does_not_make_the_server_send_more() {
    for window in [None, Some(4), Some(16)] {
        let wishes = Wishes { block_size: Some(512), window, habit: Habit::Complains };
        let twice = Fate { delays: vec![1, 2] };
        let mut world = World::new(400 * 512, wishes, vec![twice], Duration::MAX);

        world.run();

        assert_eq!(world.outcomes, [Outcome::Finished]);
        // The copy of the request costs one copy of the first packet.
        assert!(world.from_server <= world.blocks() + 2, "{world}");
    }
}

/// One datagram in a hundred lost costs tenths of seconds, not seconds.
#[test]
fn loss_on_a_fast_network_costs_little_time() {
    for window in [None, Some(4), Some(16)] {
        let wishes = Wishes { block_size: Some(1432), window, habit: Habit::Complains };
        let fates = (0..100).map(|at| if at == 37 { Fate::lost() } else { Fate::arrives(1) }).collect();
        let mut world = World::new(1_000_000, wishes, fates, Duration::MAX);

        world.run();

        assert_eq!(world.outcomes, [Outcome::Finished]);
        assert!(world.client.file() == Some(&world.file[..]));
        assert!(world.elapsed() < Duration::from_millis(3500), "{world}");
    }
}

fn wishes() -> impl Strategy<Value = Wishes> {
    let block_size = prop::option::of(prop_oneof![Just(8_u16), Just(512), 8_u16..1500]);
    let window = prop::option::of(prop_oneof![Just(1_u16), Just(4), 1_u16..80]);
    let habit = prop_oneof![Just(Habit::Complains), Just(Habit::Waits), Just(Habit::Leaves)];
    (block_size, window, habit).prop_map(|(block_size, window, habit)| Wishes { block_size, window, habit })
}

/// What a network may do to a datagram: lose it, or deliver one or two copies after up to so many milliseconds.
fn fate(delay_max: u64) -> impl Strategy<Value = Fate> {
    let delay = prop_oneof![3 => 0..5_u64, 1 => 0..delay_max];
    prop::collection::vec(delay, 0..=2).prop_map(|delays| Fate { delays })
}
