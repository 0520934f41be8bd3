//! `GET /machines` and `GET /machines/<name>`: what became of the machines.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State as Extract};
use jiff::Timestamp;
use lab_model::{
    BootReport, Inventory, LabStatus, MacAddr, Machine, MachineName, MachineReport, MachineStatus, ReachedStage,
};
use pxe_proto::boot::{self, Asker, Attempt, Circumstances, Profiles, Timeline, Timelines, diagnose};

use super::State;
use super::booter::Booter;
use super::refusal::Refusal;

pub(super) async fn all(Extract(state): Extract<Arc<State>>) -> Json<LabStatus> {
    let view = View::now(&state);
    let defined = view.inventory.machines().map(|machine| view.status(machine.mac, Some(machine)));
    let strangers = view.timelines.iter().filter(|(mac, _)| view.inventory.by_mac(*mac).is_none());
    let machines = defined.chain(strangers.map(|(mac, _)| view.status(mac, None))).collect();
    let definitions = view.inventory.problems().iter().map(ToString::to_string);
    let images = state.images.borrow().problems().iter().map(|problem| format!("images/{problem}")).collect::<Vec<_>>();
    let profiles = view.profiles.problems().iter().map(|problem| format!("profiles/{problem}"));
    Json(LabStatus { machines, problems: definitions.chain(images).chain(profiles).collect() })
}

/// By name, or by hardware address for strangers.
pub(super) async fn one(
    Extract(state): Extract<Arc<State>>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<MachineReport>, Refusal> {
    let Path(wanted) = path?;
    let view = View::now(&state);
    let by_name = wanted.parse::<MachineName>().ok().and_then(|name| view.inventory.by_name(&name));
    let mac = by_name.map(|machine| machine.mac).or_else(|| wanted.parse().ok());
    let machine = mac.and_then(|mac| view.inventory.by_mac(mac));
    let timeline = mac.and_then(|mac| view.timelines.of(mac));
    let Some(mac) = mac.filter(|_| machine.is_some() || timeline.is_some()) else {
        return Err(Refusal::not_found(format!("there is no machine `{}`", wanted.escape_default())));
    };
    let boots = timeline.map(|timeline| timeline.attempts().rev().map(boot).collect()).unwrap_or_default();
    Ok(Json(MachineReport { machine: view.status(mac, machine.map(|machine| &**machine)), boots }))
}

/// Everything that is known at one moment.
struct View<'a> {
    state: &'a State,
    inventory: Arc<Inventory>,
    profiles: Arc<Profiles>,
    timelines: Arc<Timelines>,
    now: Timestamp,
}

impl<'a> View<'a> {
    fn now(state: &'a State) -> Self {
        let inventory = state.inventory.borrow().clone();
        let profiles = state.profiles.borrow().clone();
        Self { state, inventory, profiles, timelines: state.journal.snapshot(), now: Timestamp::now() }
    }

    fn status(&self, mac: MacAddr, machine: Option<&Machine>) -> MachineStatus {
        let timeline = self.timelines.of(mac).map(|timeline| &**timeline);
        let attempt = timeline.and_then(Timeline::latest);
        let once = timeline.and_then(Timeline::once);
        let booter = Booter::at(mac, None, self.state);
        let boots = booter.machine.as_deref();
        let boot = boot::decide(boots, &self.profiles, &Asker { once, ..Asker::default() });
        let image = boot.image();
        let found = image.and_then(|(image, arch)| self.state.images.borrow().image(image, arch).cloned());
        let manifest = found.as_deref().map(|image| &image.manifest);
        let circumstances = Circumstances { machine: boots, profiles: &self.profiles, manifest, once };
        let diagnosis = diagnose(timeline, circumstances, self.now);
        MachineStatus {
            name: machine.map(|machine| machine.name.clone()),
            mac,
            arch: machine
                .map(|machine| machine.arch)
                .or_else(|| attempt.and_then(|attempt| attempt.firmware).and_then(|firmware| firmware.arch())),
            address: timeline.and_then(Timeline::address).or_else(|| machine.and_then(|machine| machine.address)),
            address_from: timeline.and_then(Timeline::address_from),
            ipv6: timeline.and_then(Timeline::ipv6).or_else(|| machine.and_then(|machine| machine.ipv6)),
            image: image.map(|(image, _)| image.clone()),
            class: booter.class,
            firmware: attempt.and_then(|attempt| attempt.firmware),
            boot: attempt.and_then(|attempt| attempt.boot.clone()),
            heard: attempt.map(|attempt| attempt.latest),
            stage: attempt.and_then(Attempt::stage),
            since: attempt.and_then(Attempt::since),
            percent: attempt.and_then(|attempt| attempt.percent),
            failure: diagnosis.failure,
            hint: diagnosis.hint,
        }
    }
}

fn boot(attempt: &Attempt) -> BootReport {
    let mut before = attempt.began;
    let stages = attempt.reached.iter().map(|(stage, at)| {
        let milliseconds = at.duration_since(before).as_millis().try_into().unwrap_or(0);
        before = before.max(*at);
        ReachedStage { stage: *stage, at: *at, milliseconds }
    });
    BootReport {
        began: attempt.began,
        stages: stages.collect(),
        failure: attempt.failure.clone(),
        events: attempt.events.iter().cloned().collect(),
    }
}
