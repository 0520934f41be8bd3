//! `GET /profiles/<machine>/<document>`: what the installer of a profile is told.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State as Extract};
use axum::response::{IntoResponse, Response};
use lab_model::MachineName;
use pxe_proto::boot;
use pxe_proto::boot::profile::Setting;
use tracing::{info, warn};

use super::State;
use super::booter::Booter;
use super::client::Client;
use super::refusal::Refusal;

pub(super) async fn document(
    Extract(state): Extract<Arc<State>>,
    client: Client,
    path: Result<Path<(MachineName, String)>, PathRejection>,
) -> Result<Response, Refusal> {
    let Path((name, document)) = path?;
    let mac = state.inventory.borrow().by_name(&name).map(|machine| machine.mac).or_else(|| boot::stranger_of(&name));
    let Some(machine) = mac.and_then(|mac| Booter::at(mac, None, &state).machine).filter(|found| found.name == name)
    else {
        return Err(Refusal::not_found(format!("nobody has defined a machine {name}")));
    };
    client.admit(&machine, &state)?;
    let (profiles, plan) = (state.profiles.borrow().clone(), state.plan());
    let missing =
        || Refusal::not_found(format!("{name} boots nothing with a document `{}`", document.escape_default()));
    let (profile, rendered) = profiles
        .possible(&machine)
        .find_map(|profile| {
            let setting = Setting {
                machine: &machine,
                image: profile.image(&machine),
                server: plan.lab.server,
                base: plan.url(state.family),
                user: plan.config.seed.user.as_str(),
            };
            Some((profile, profile.document(&document, &setting)?))
        })
        .ok_or_else(missing)?;
    match rendered {
        Ok(text) => {
            info!(machine = %name, profile = %profile.name, document, "document");
            Ok(text.into_response())
        }
        Err(problem) => {
            warn!(machine = %name, profile = %profile.name, %problem, "document cannot be rendered");
            Err(Refusal::not_found(format!("the profile {}: {problem}", profile.name)))
        }
    }
}
