//! The DNS service: sockets and a clock around the decisions of `pxe_proto::dns`.
//!
//! One task owns the engine. Questions come to it by UDP from some sockets, by TCP from connections that are tasks of their
//! own ([`tcp`]); what must be asked of others is a task with a socket of its own for each ([`exchange`]), which ends with
//! what it heard. The lab's names follow the inventory and the leases, the name servers this machine's own ([`resolv`]).
//!
//! Only the lab is answered: every socket is bound to an address of the lab's and to a device, which is the lab's interface or,
//! for this host itself, the loopback.
//!
//! Deliberately not here: what is answered, who is asked and for how long.

mod exchange;
mod names;
mod plan;
mod resolv;
mod sockets;
mod status;
mod tcp;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use lab_model::Inventory;
use pxe_proto::dns::{Action, Client, Engine, Transport};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use self::exchange::{Exchange, Outcome};
use self::names::Names;
pub(crate) use self::plan::Plan;
use self::resolv::Upstreams;
pub(crate) use self::sockets::Sockets;
pub(crate) use self::status::Status;
use crate::dhcp::Clients;
use crate::dhcp6::Leased;
use crate::plan::Plans;
use crate::pulse::Pulse;

/// The service, ready to run.
pub(crate) struct Server {
    engine: Engine<Line>,
    sockets: Sockets,
    names: Names,
    upstreams: Upstreams,
    exchanges: JoinSet<Exchange>,
    plans: Plans,
    status: watch::Sender<Status>,
}

/// The way back to a client.
enum Line {
    /// By the socket that it asked at.
    Udp(usize, SocketAddr),
    /// By the connection that waits for the answer.
    Tcp(oneshot::Sender<Vec<u8>>),
}

/// A question that came by TCP.
struct Asked {
    message: Vec<u8>,
    client: SocketAddr,
    answer: oneshot::Sender<Vec<u8>>,
}

/// Longer than any question that is one.
const DATAGRAM: usize = 1500;

/// How many questions of connections wait for the task; each connection waits for its own.
const WAITING: usize = 64;

/// How long the service rests after the kernel refused to receive, so that it cannot spin.
const REST: Duration = Duration::from_millis(100);

impl Server {
    /// The service on these sockets, with the names of these machines and leases.
    pub(crate) fn new(
        plan: &Plan,
        plans: Plans,
        sockets: Sockets,
        inventory: watch::Receiver<Arc<Inventory>>,
        clients: watch::Receiver<Clients>,
        leased6: Option<watch::Receiver<Leased>>,
    ) -> Self {
        let mut names = Names::new(plan.origin.clone(), inventory, clients, leased6);
        let engine = Engine::new(&plan.engine(), names.zone(None, SystemTime::now()));
        let upstreams = plan.upstreams();
        Self { engine, sockets, names, upstreams, exchanges: JoinSet::new(), plans, status: watch::Sender::default() }
    }

    /// What it did so far, and how the name servers are.
    pub(crate) fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Answers until the token is cancelled.
    pub(crate) async fn run(mut self, mut pulse: Pulse, shutdown: CancellationToken) {
        let (questions, mut asked) = mpsc::channel(WAITING);
        let mut listeners = JoinSet::new();
        for listener in self.sockets.tcp.drain(..) {
            listeners.spawn(tcp::serve(listener, questions.clone()));
        }
        let mut buffer = [0; DATAGRAM];
        self.follow(true);
        loop {
            let due = self.engine.poll_timeout();
            let actions = tokio::select! {
                () = shutdown.cancelled() => return,
                () = pulse.answer() => continue,
                Ok(()) = self.plans.changed() => {
                    self.take_up_the_plan();
                    continue;
                }
                () = self.upstreams.changed() => {
                    self.follow(false);
                    continue;
                }
                received = self.sockets.udp.receive(&mut buffer) => match received {
                    Ok((socket, length, client)) => {
                        self.question(&buffer[..length], client, Transport::Udp, Line::Udp(socket, client))
                    }
                    Err(error) => {
                        warn!(%error, "receiving questions");
                        sleep(REST).await;
                        continue;
                    }
                },
                Some(question) = asked.recv() => self.asked(question),
                Some(done) = self.exchanges.join_next() => match done {
                    Ok(exchange) => self.heard(&exchange),
                    Err(error) => {
                        error!(%error, "a question to a name server broke off");
                        continue;
                    }
                },
                () = sleep_until(due.unwrap_or_else(Instant::now).into()), if due.is_some() => {
                    self.engine.handle_timeout(now())
                }
            };
            self.carry_out(actions);
            self.publish();
        }
    }

    fn asked(&mut self, Asked { message, client, answer }: Asked) -> Vec<Action<Line>> {
        self.question(&message, client, Transport::Tcp, Line::Tcp(answer))
    }

    fn question(&mut self, message: &[u8], client: SocketAddr, by: Transport, line: Line) -> Vec<Action<Line>> {
        let time = SystemTime::now();
        if self.names.have_changed(self.engine.zone(), time) {
            let zone = self.names.zone(Some(self.engine.zone()), time);
            self.engine.set_zone(zone);
        }
        let client = Client { address: client.ip(), transport: by };
        self.engine.handle(message, client, line, now())
    }

    fn heard(&mut self, Exchange { ask, outcome }: &Exchange) -> Vec<Action<Line>> {
        match outcome {
            Outcome::Answer(message) => self.engine.answered(ask, message, now()),
            Outcome::Unreachable(error) => {
                debug!(upstream = %ask.upstream, %error, "a name server cannot be asked");
                self.engine.unreachable(ask, now())
            }
            // The engine has lost patience by itself.
            Outcome::Silence => Vec::new(),
        }
    }

    fn carry_out(&mut self, actions: Vec<Action<Line>>) {
        for action in actions {
            match action {
                Action::Ask(ask) => drop(self.exchanges.spawn(exchange::run(ask))),
                Action::Reply(Line::Udp(socket, client), message) => {
                    // Where the socket has no room the answer is lost, as any datagram may be: the client asks again.
                    if let Err(error) = self.sockets.udp.send(socket, &message, client) {
                        debug!(%client, %error, "sending");
                    }
                }
                // Whoever is gone needs no answer.
                Action::Reply(Line::Tcp(answer), message) => drop(answer.send(message)),
            }
        }
    }

    /// Works by another configuration from now on.
    fn take_up_the_plan(&mut self) {
        let Some(plan) = self.plans.borrow_and_update().dns.clone() else { return };
        self.engine.set_config(&plan.engine());
        self.names.set_origin(plan.origin.clone());
        self.engine.set_zone(self.names.zone(Some(self.engine.zone()), SystemTime::now()));
        self.upstreams = plan.upstreams();
        let asked = self.engine.upstreams().map(|(address, _)| address);
        if !self.upstreams.now().into_iter().eq(asked) {
            self.follow(false);
        }
    }

    /// Asks the name servers that there are now.
    fn follow(&mut self, first: bool) {
        let upstreams = self.upstreams.now();
        if upstreams.is_empty() {
            info!("no name server is known for names that are not the lab's: those are not answered");
        } else if !first {
            info!(?upstreams, "other name servers");
        }
        self.engine.set_upstreams(&upstreams);
        self.publish();
    }

    /// Lets others see how it is, and says which name server answers no more, and which does again.
    fn publish(&mut self) {
        let counts = self.engine.counts();
        self.status.send_modify(|status| {
            status.counts = counts;
            if self.engine.upstreams().ne(status.upstreams.iter().copied()) {
                let upstreams: Vec<_> = self.engine.upstreams().collect();
                for (upstream, answers) in &upstreams {
                    match (status.upstreams.contains(&(*upstream, !answers)), answers) {
                        (true, false) => warn!(%upstream, "a name server does not answer"),
                        (true, true) => info!(%upstream, "a name server answers again"),
                        (false, _) => {}
                    }
                }
                status.upstreams = upstreams;
            }
        });
    }
}

/// The time by the runtime's clock, which tests can stop.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
