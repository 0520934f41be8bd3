use std::net::Ipv6Addr;

use lab_model::MacAddr;
use proptest::prelude::*;

use super::*;
use crate::tftp::Limits;

#[test]
fn each_transfer_that_fails_leads_to_the_next_gentler_step() {
    let mut firmware = Patient::new();

    assert_eq!(firmware.fails(1468, 4), Some(Step::NoWindow));
    assert_eq!(firmware.fails(1468, 1), Some(Step::SmallBlocks));
    assert_eq!(firmware.fails(1024, 1), Some(Step::SmallestBlocks));
    assert_eq!(firmware.fails(512, 1), None, "there is nothing gentler");
    assert_eq!(firmware.limits(), Limits { block_size: 512, window: 1 });
}

#[test]
fn a_step_that_would_make_no_difference_is_left_out() {
    assert_eq!(Patient::new().fails(1456, 1), Some(Step::SmallBlocks));
    assert_eq!(Patient::new().fails(1024, 1), Some(Step::SmallestBlocks));
    assert_eq!(Patient::new().fails(512, 8), Some(Step::NoWindow));
}

#[test]
fn two_transfers_that_fail_on_the_same_terms_are_one_step() {
    let mut firmware = Patient::new();

    assert_eq!((firmware.fails(1468, 4), firmware.fails(1468, 4)), (Some(Step::NoWindow), None));
    assert_eq!(firmware.limits(), Limits { window: 1, ..Limits::default() });
}

#[test]
fn who_has_its_boot_program_has_no_fault_that_concerns_us() {
    let mut firmware = Patient::new();

    let step = firmware.record(failed(1468, 4), true);

    assert_eq!((step, firmware.limits()), (None, Limits::default()));
    assert_eq!(
        firmware.record(What::TransferFailed { file: "x".into(), reason: "no".into(), terms: None }, false),
        None
    );
}

#[test]
fn a_success_leaves_things_as_they_are_and_a_week_ends_them() {
    let mut firmware = Patient::new();
    firmware.fails(1468, 4);

    firmware.record(What::Transfer { file: "ipxe.efi".into(), bytes: 1, milliseconds: 1 }, false);
    firmware.wait(SignedDuration::from_hours(7 * 24 - 1));
    assert_eq!(firmware.limits().window, 1);

    firmware.wait(SignedDuration::from_hours(1));
    assert_eq!(firmware.limits(), Limits::default());
    assert_eq!(firmware.fails(1468, 4), Some(Step::NoWindow), "from the beginning");
}

#[test]
fn a_url_that_is_not_fetched_is_not_offered_again_to_who_boots_by_pxe_too() {
    let mut firmware = Patient::new();

    assert_eq!(firmware.asks(Firmware::HttpX64), None);
    firmware.takes(Firmware::HttpX64);
    assert_eq!(firmware.asks(Firmware::UefiX64), Some(Step::NoHttpBoot));
    assert!(firmware.state.treatment(firmware.now).no_http_boot);
}

#[test]
fn a_machine_that_boots_by_http_alone_goes_on_doing_so() {
    let mut firmware = Patient::new();

    for _ in 0..3 {
        assert_eq!(firmware.asks(Firmware::HttpArm64), None);
        firmware.takes(Firmware::HttpArm64);
    }

    assert_eq!(firmware.state.treatment(firmware.now), Treatment::default());
}

#[test]
fn a_url_that_is_fetched_is_offered_again() {
    for fetched in [
        What::Fetch { file: FetchedFile::BootProgram, bytes: 1 },
        What::Script { boot: "install".into() },
        What::Ack { address: V4, firmware: Firmware::Ipxe },
    ] {
        let mut firmware = Patient::new();
        firmware.asks(Firmware::UefiX64);
        firmware.asks(Firmware::HttpX64);
        firmware.takes(Firmware::HttpX64);

        firmware.record(fetched, false);

        assert_eq!(firmware.asks(Firmware::HttpX64), None);
    }
}

#[test]
fn who_asks_by_the_other_family_has_not_failed_yet() {
    let mut firmware = Patient::new();
    firmware.asks(Firmware::UefiX64);
    firmware.asks(Firmware::HttpX64);
    firmware.takes(Firmware::HttpX64);

    assert_eq!(firmware.record(What::Offer { address: V6, firmware: Firmware::HttpX64 }, false), None);
    assert_eq!(firmware.asks(Firmware::HttpX64), Some(Step::NoHttpBoot));
}

#[test]
fn who_has_an_address_and_no_url_has_not_failed() {
    let mut firmware = Patient::new();
    firmware.asks(Firmware::UefiX64);

    for _ in 0..3 {
        assert_eq!(firmware.asks(Firmware::HttpX64), None);
        firmware.record(What::Ack { address: V4, firmware: Firmware::HttpX64 }, false);
    }
}

#[test]
fn who_asks_as_often_as_nobody_answers_has_taken_no_url() {
    let mut firmware = Patient::new();
    firmware.asks(Firmware::UefiX64);

    for _ in 0..3 {
        assert_eq!(firmware.asks(Firmware::HttpX64), None);
        firmware.record(What::Url, false);
    }
}

proptest! {
    /// Whatever happens: within a week of the latest step nothing is taken back, and there are four steps at most.
    #[test]
    fn nothing_makes_it_oscillate(happened in prop::collection::vec((events(), 0..72_i64, any::<bool>()), 0..200)) {
        let mut firmware = Patient::new();
        let mut steps = 0;
        for (what, hours, has_program) in happened {
            let (before, latest) = (firmware.state.treatment(firmware.now), firmware.state.taken);
            firmware.wait(SignedDuration::from_hours(hours));
            let is_over = latest.is_some_and(|latest| firmware.now.duration_since(latest) >= KEPT);

            let step = firmware.record(what, has_program);

            let after = firmware.state.treatment(firmware.now);
            steps = if is_over { 0 } else { steps } + usize::from(step.is_some());
            prop_assert!(steps <= 4, "{:?}", firmware.state);
            if !is_over {
                prop_assert_eq!(after.and(before), after, "something was taken back");
            }
            prop_assert_eq!(step.is_some(), if is_over { after != Treatment::default() } else { after != before });
        }
    }

    /// A machine that fails on whatever terms it gets has all steps behind it after three failures.
    #[test]
    fn it_ends(block_size in 8..=u16::MAX, window in 1..=u16::MAX) {
        let mut firmware = Patient::new();
        let mut steps = Vec::new();
        loop {
            let limits = firmware.state.treatment(firmware.now).limits(Limits { block_size, window });
            let Some(step) = firmware.fails(limits.block_size, limits.window) else { break };
            steps.push(step);
        }
        prop_assert!(steps.len() <= 3 && steps.is_sorted(), "{steps:?}");
    }
}

/// Firmware with a fault, and the clock.
struct Patient {
    state: StepDown,
    now: Timestamp,
}

impl Patient {
    fn new() -> Self {
        Self { state: StepDown::default(), now: Timestamp::UNIX_EPOCH }
    }

    fn wait(&mut self, duration: SignedDuration) {
        self.now += duration;
    }

    fn record(&mut self, what: What, has_program: bool) -> Option<Step> {
        let event = Event { at: self.now, mac: MacAddr::new([2, 0, 0, 0, 0, 1]), machine: None, what };
        self.state.record(&event, has_program).map(|(step, _)| step)
    }

    fn fails(&mut self, block_bytes: u16, window_blocks: u16) -> Option<Step> {
        self.record(failed(block_bytes, window_blocks), false)
    }

    fn asks(&mut self, firmware: Firmware) -> Option<Step> {
        self.record(What::Offer { address: V4, firmware }, false)
    }

    fn takes(&mut self, firmware: Firmware) {
        self.record(What::Url, false);
        self.record(What::Ack { address: V4, firmware }, false);
    }

    fn limits(&self) -> Limits {
        self.state.treatment(self.now).limits(Limits::default())
    }
}

fn failed(block_bytes: u16, window_blocks: u16) -> What {
    let terms = Some(TransferTerms { block_bytes, window_blocks });
    What::TransferFailed { file: "ipxe.efi".into(), reason: "the client stopped answering".into(), terms }
}

fn events() -> impl Strategy<Value = What> {
    let firmware = prop::sample::select(vec![
        Firmware::Bios,
        Firmware::UefiX64,
        Firmware::HttpX64,
        Firmware::HttpArm64,
        Firmware::Ipxe,
        Firmware::Os,
    ]);
    let address = prop::sample::select(vec![V4, V6]);
    prop_oneof![
        (prop::sample::select(vec![8, 512, 1024, 1432, 1468, 65464]), 1..8_u16)
            .prop_map(|(size, window)| failed(size, window)),
        (firmware.clone(), address.clone()).prop_map(|(firmware, address)| What::Offer { address, firmware }),
        (firmware.clone(), address).prop_map(|(firmware, address)| What::Ack { address, firmware }),
        firmware.prop_map(|firmware| What::Directed { firmware }),
        Just(What::Fetch { file: FetchedFile::BootProgram, bytes: 1 }),
        Just(What::Script { boot: "install".into() }),
        Just(What::Up),
        Just(What::Url),
    ]
}

const V4: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 77, 0, 10));
const V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd00, 0x77, 0, 0, 0, 0, 0, 0x10));
