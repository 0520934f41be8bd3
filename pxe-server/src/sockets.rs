//! What is bound before anything is served, because all of it can fail for a reason outside of this program.
//!
//! Only the interface and its address are waited for: a machine that starts has no network yet.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use tokio::net::TcpListener;
use tracing::{info, warn};

use crate::capability::{Capability, REMEDY};
use crate::config::{Config, Mode, TftpSection};
use crate::daemon::Services;
use crate::dhcp::{DhcpSocket, Frames, Link, Prober, ProxySockets};
use crate::dhcp6::Dhcp6Socket;
use crate::dns;
use crate::interface::{Changes, Interface, Netlink};
use crate::lab::Unfit;
use crate::lab6::Lab6;
use crate::notify;
use crate::plan::{Family, Plan};
use crate::port_owner::{Protocol, explain};
use crate::{radv, tftp, tls};

/// How many connections wait to be accepted; 100 machines that boot at once open several each.
const BACKLOG: i32 = 1024;

/// Everything that is bound.
pub(crate) struct Bound {
    /// The configuration, fitted to the network and to what is bound.
    pub(crate) plan: Plan,
    /// Where HTTP is served.
    pub(crate) http: TcpListener,
    /// The same by TLS, and who the server is there; nothing where it is not served.
    pub(crate) https: Option<(TcpListener, tls::Identities)>,
    /// The rest; nothing where only HTTP is served.
    pub(crate) lan: Option<Lan>,
}

/// What machines without an address talk to.
pub(crate) struct Lan {
    /// Where DHCP is served.
    pub(crate) dhcp: Dhcp,
    /// Where TFTP is served.
    pub(crate) tftp: tftp::Server,
    /// Where names are answered; nothing where they are not.
    pub(crate) dns: Option<dns::Sockets>,
    /// The interface that all of them are bound to.
    pub(crate) interface: Interface,
    /// What the kernel knows of interfaces.
    pub(crate) netlink: Netlink,
    /// What is served over IPv6; nothing where the lab has none.
    pub(crate) ipv6: Option<Lan6>,
}

/// What is bound for DHCP.
pub(crate) enum Dhcp {
    /// This server gives the addresses, and the link is asked who has one, if it can be.
    Server(Link, Option<Prober>),
    /// Another one does.
    Proxy(ProxySockets),
}

/// What is bound for IPv6.
pub(crate) struct Lan6 {
    /// Where the network is advertised, if it is.
    pub(crate) radv: Option<radv::Server>,
    /// Where addresses are given, if they are.
    pub(crate) dhcp6: Option<Dhcp6Socket>,
    /// Where TFTP is served.
    pub(crate) tftp: tftp::Server,
    /// Where HTTP is served.
    pub(crate) http: TcpListener,
    /// The same by TLS; nothing where it is not served.
    pub(crate) https: Option<TcpListener>,
}

impl Bound {
    /// Binds what these services need, once the interface is there and has its address.
    ///
    /// # Errors
    /// The configuration never fits the network, somebody has a port, or a capability is missing.
    pub(crate) async fn new(config: &Config, services: Services) -> anyhow::Result<Self> {
        let (mut plan, lan) = match services {
            Services::HttpOnly => (Plan::new(config.clone(), None)?, None),
            Services::All => {
                let netlink = Netlink::open()?;
                let (interface, plan) = fitted(config, &netlink).await?;
                let lan = Lan::bind(&plan, &interface, netlink)?;
                (plan, Some(lan))
            }
        };
        let listen = match (config.http.listen, services) {
            (Some(address), Services::All | Services::HttpOnly) => address,
            (None, Services::All) => plan.lab.server.address(),
            (None, Services::HttpOnly) => {
                info!(
                    "HTTP answers this host alone: to answer others, set `listen` in [http], for instance to \"0.0.0.0\""
                );
                Ipv4Addr::LOCALHOST
            }
        };
        let http = bind_http(listen.into(), config.http.port.0)?;
        plan.ports.ipv4 = http.local_addr()?.port();
        let https = match (&config.http.tls, config.tls()) {
            (Some(tls), Some(files)) => {
                let identities = tls::Identities::open(files, plan.url(Family::Ipv4).address())?;
                Some((bind_http(listen.into(), tls.port.0)?, identities))
            }
            _ => None,
        };
        let ipv6 = lan.as_ref().and_then(|lan| lan.ipv6.as_ref());
        if let Some(ipv6) = ipv6 {
            plan.ports.ipv6 = ipv6.http.local_addr()?.port();
        }
        if let (Some(ports), Some((listener, _))) = (&mut plan.tls_ports, &https) {
            ports.ipv4 = listener.local_addr()?.port();
            if let Some(listener) = ipv6.and_then(|ipv6| ipv6.https.as_ref()) {
                ports.ipv6 = listener.local_addr()?.port();
            }
        }
        Ok(Self { plan, http, https, lan })
    }
}

/// Waits until the network is as the configuration has it, and says what is missing.
async fn fitted(config: &Config, netlink: &Netlink) -> anyhow::Result<(Interface, Plan)> {
    // First, so that nothing comes between looking and waiting.
    let mut changes = Changes::watch()?;
    let mut said = None;
    loop {
        let absent = match fit(config, &netlink.interfaces().await?) {
            Err(Unfit::Absent(absent)) => absent,
            fitting => return Ok(fitting?),
        };
        if said.as_ref() != Some(&absent) {
            info!("{absent}; waiting for it");
            notify::waiting(&absent.to_string());
            said = Some(absent);
        }
        changes.next().await?;
    }
}

fn fit(config: &Config, interfaces: &[Interface]) -> Result<(Interface, Plan), Unfit> {
    let interface = Interface::of(config, interfaces)?;
    let plan = Plan::new(config.clone(), Some(&interface))?;
    Ok((interface, plan))
}

impl Lan {
    fn bind(plan: &Plan, interface: &Interface, netlink: Netlink) -> anyhow::Result<Self> {
        let Plan { config, lab, ipv6, dns, .. } = plan;
        let server = lab.server.address();
        let dhcp = match config.dhcp.mode {
            Mode::Server => {
                let socket = DhcpSocket::bind(interface, server)?;
                Dhcp::Server(Link::new(socket, frames(interface, server)), prober(config, interface))
            }
            Mode::ProxyKnown | Mode::ProxyAll => Dhcp::Proxy(ProxySockets::bind(interface, server)?),
        };
        let tftp = tftp_config(&config.tftp, server.into(), interface);
        let port = tftp.address.port();
        let tftp = tftp::Server::bind(tftp).map_err(|error| explain(error, Protocol::Udp, port))?;
        let dns = dns.as_ref().map(|_| {
            let ipv6 = ipv6.as_ref().map(|lab| lab.server.address());
            dns::Sockets::bind(interface, server, ipv6)
        });
        let dns = dns.transpose()?;
        let ipv6 = ipv6.as_ref().map(|lab| Lan6::bind(config, lab, interface)).transpose()?;
        Ok(Self { dhcp, tftp, dns, interface: interface.clone(), netlink, ipv6 })
    }
}

impl Lan6 {
    fn bind(config: &Config, lab: &Lab6, interface: &Interface) -> anyhow::Result<Self> {
        if let Some(problem) = lab.problem(interface) {
            warn!("{problem}");
        }
        let radv = lab.advertised.as_ref().map(|_| radv::Server::bind(interface)).transpose()?.flatten();
        let dhcp6 = lab.pool.map(|_| Dhcp6Socket::bind(interface)).transpose()?;
        let server = lab.server.address().into();
        let tftp = tftp_config(&config.tftp, server, interface);
        let port = tftp.address.port();
        let tftp = tftp::Server::bind(tftp).map_err(|error| explain(error, Protocol::Udp, port))?;
        let http = bind_http(server, config.http.port.0)?;
        let https = config.http.tls.as_ref().map(|tls| bind_http(server, tls.port.0)).transpose()?;
        Ok(Self { radv, dhcp6, tftp, http, https })
    }
}

/// Where is asked who has an address.
fn prober(config: &Config, interface: &Interface) -> Option<Prober> {
    let wait = Duration::from_millis(config.dhcp.probe_milliseconds.0.into());
    if wait.is_zero() {
        return None;
    }
    packet_socket("addresses are offered without asking whether somebody has them", || Prober::open(interface, wait))
}

/// What replies leave by to clients that have no address yet.
fn frames(interface: &Interface, server: Ipv4Addr) -> Option<Frames> {
    packet_socket("machines without an address are answered by broadcast", || Frames::open(interface, server))
}

/// What a packet socket is for; that there can be none is no reason to serve nothing. `without` says what happens then.
fn packet_socket<S>(without: &str, open: impl FnOnce() -> anyhow::Result<S>) -> Option<S> {
    if !Capability::NetRaw.is_held() {
        warn!("this process lacks {}: {without}; to change that, {REMEDY}", Capability::NetRaw);
        return None;
    }
    open().inspect_err(|error| warn!("{without}: {error:#}")).ok()
}

fn tftp_config(written: &TftpSection, server: IpAddr, interface: &Interface) -> tftp::Config {
    tftp::Config {
        device: Some(interface.name.clone()),
        ports: written.transfer_ports.clone(),
        bounds: written.bounds(),
        ..tftp::Config::new(server)
    }
}

/// The HTTP server's socket. The message of an error says who has the port, or what is missing.
fn bind_http(address: IpAddr, port: u16) -> anyhow::Result<TcpListener> {
    let bind = || -> io::Result<TcpListener> {
        let socket = Socket::new(Domain::for_address((address, port).into()), Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        if address.is_ipv6() {
            // A new IPv6 address cannot be used for a while, nor on a link without a carrier.
            socket.set_freebind_v6(true)?;
        }
        // A restarted server need not wait for the connections of the last one.
        socket.set_reuse_address(true)?;
        socket.bind(&SocketAddr::from((address, port)).into())?;
        socket.listen(BACKLOG)?;
        TcpListener::from_std(socket.into())
    };
    bind().map_err(|error| explain(error, Protocol::Tcp, port))
}
