//! HTTP, made of what all other services know.

use tokio::net::TcpListener;

use super::Start;
use super::ipv4::Served;
use super::ipv6::Served6;
use crate::http::{About, Limits, State, serve};
use crate::plan::Family;

impl Start<'_> {
    /// Starts HTTP; `served` is what else is.
    pub(super) fn http(&mut self, listener: TcpListener, https: Option<TcpListener>, served: Served) {
        let Served { interface, holders, leases, names, rivals, doubts, ipv6 } = served;
        let Self { plan, reload, known, identity, tasks, .. } = self;
        let answers = State {
            inventory: known.inventory.clone(),
            images: known.images.clone(),
            profiles: known.profiles.clone(),
            journal: known.journal.clone(),
            plans: reload.plans(),
            configuration: reload.configuration(),
            family: Family::Ipv4,
            is_secure: false,
            identity: identity.clone(),
            holders,
            leases,
            clients6: ipv6.as_ref().map(|served| served.clients.clone()),
            names,
            rivals,
            doubts,
            about: About::new(plan.lab.server, interface),
            limits: Limits::default(),
            stopping: tasks.shutdown().clone(),
        };
        // The same answers, with URLs that whoever asks this way can reach.
        if let Some(Served6 { http, https, .. }) = ipv6 {
            let answers = State { family: Family::Ipv6, ..answers.clone() };
            if let Some(https) = https {
                let answers = State { is_secure: true, ..answers.clone() };
                tasks.spawn("https6", |pulse, shutdown| serve(https, answers, pulse, shutdown));
            }
            tasks.spawn("http6", |pulse, shutdown| serve(http, answers, pulse, shutdown));
        }
        if let Some(https) = https {
            let answers = State { is_secure: true, ..answers.clone() };
            tasks.spawn("https", |pulse, shutdown| serve(https, answers, pulse, shutdown));
        }
        tasks.spawn("http", |pulse, shutdown| serve(listener, answers, pulse, shutdown));
    }
}
