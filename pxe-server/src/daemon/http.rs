//! HTTP, made of what all other services know.

use tokio::net::TcpListener;

use super::Start;
use super::ipv4::Served;
use super::ipv6::Served6;
use crate::http::{About, Limits, State, serve};

impl Start<'_> {
    /// Starts HTTP; `served` is what else is.
    pub(super) fn http(&mut self, listener: TcpListener, served: Served) {
        let Served { interface, clients: leases, names, rivals, ipv6 } = served;
        let Self { config, lab, url, known, tasks, .. } = self;
        let answers = State {
            inventory: known.inventory.clone(),
            images: known.images.clone(),
            profiles: known.profiles.clone(),
            journal: known.journal.clone(),
            server: lab.server,
            base: *url,
            user: config.seed.user.clone(),
            clients: leases.clone().filter(|_| !config.http.trust_any_client),
            clients6: ipv6.as_ref().map(|served| served.clients.clone()),
            leases,
            names,
            rivals,
            about: About::new(lab.server, interface),
            limits: Limits::default(),
            stopping: tasks.shutdown().clone(),
        };
        if let Some(Served6 { http, url, .. }) = ipv6 {
            // The same answers, with URLs that whoever asks this way can reach.
            let answers = State { base: url, ..answers.clone() };
            tasks.spawn("http6", |pulse, shutdown| serve(http, answers, pulse, shutdown));
        }
        tasks.spawn("http", |pulse, shutdown| serve(listener, answers, pulse, shutdown));
    }
}
