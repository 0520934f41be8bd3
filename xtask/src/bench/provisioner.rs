//! `cargo xtask bench provisioner`: from the start of a provisioner to its service answering.
//!
//! Both sides begin as the same vendor's image on the same hardware, with everything that they need at hand. Ours has the seed that
//! `pvmlab` gives a provisioner. The original's way is to install its services, here from packages on a disk ([`container`]);
//! Docker, which it needed as well, is spared. What counts begins when the system has its network, as everything before is the
//! image's, and ends when a [`neighbour`] on the lab's network has an offer, a boot program and a boot script. What was fetched
//! from outside until then is counted on the uplink.

mod container;
mod machine;
mod neighbour;
mod original;
mod ours;
mod uplink;
mod wire;

use std::time::Duration;

use anyhow::Result;
use lab_model::{Arch, MacAddr};
use lab_tests::Supplies;

use self::{
    machine::{Machine, Start},
    original::Original,
    ours::Ours,
};
use super::report::{Column, Report, Target};
use crate::progress::Step;

/// Starts a provisioner of `arch` on each side, `runs` times in turn.
///
/// # Errors
/// A provisioner does not start, or does not answer.
pub(crate) fn measure(arch: Arch, runs: u8, supplies: &Supplies) -> Result<Report> {
    let machine = Machine::new(arch, supplies)?;
    let (original, ours) = (Original::prepare(&machine)?, Ours::prepare(&machine, supplies)?);
    let (mut originals, mut all_ours) = (Vec::new(), Vec::new());
    for run in 1..=runs {
        let mut step = Step::start(format!("start {run} of {runs}"));
        step.note("packages");
        originals.push(original.start(&machine)?);
        step.note("pvmlab");
        all_ours.push(ours.start(&machine)?);
        step.finish();
    }
    Ok(report(arch, &originals, &all_ours))
}

/// The machine that asks.
const CLIENT: MacAddr = MacAddr::new([0x52, 0x54, 0, 0x77, 0, 0x62]);

fn report(arch: Arch, originals: &[Start], ours: &[Start]) -> Report {
    let column = |name, starts: &[Start], figure: fn(&Start) -> Duration| {
        Column::new(name, "s", starts.iter().map(|start| figure(start).as_secs_f64()).collect())
    };
    let (from_packages, from_seed) =
        (column("packages", originals, Start::after_network), column("pvmlab", ours, Start::after_network));
    let fetched: Vec<_> = ours.iter().map(|start| start.fetched_bytes as f64).collect();
    let most_fetched = fetched.iter().copied().fold(0.0, f64::max);
    Report {
        title: format!(
            "From a provisioner's network to DHCP, TFTP and HTTP, {arch} under emulation; in all: from power-on"
        ),
        targets: vec![
            Target::new("pvmlab / packages", from_seed.median / from_packages.median, AT_MOST),
            Target::new("bytes that pvmlab fetched from outside", most_fetched, 0.0),
        ],
        columns: vec![
            from_packages,
            from_seed,
            column("packages, in all", originals, Start::in_all),
            column("pvmlab, in all", ours, Start::in_all),
            Column::new("pvmlab fetched", "bytes", fetched),
        ],
    }
}

/// A third.
const AT_MOST: f64 = 0.333;
