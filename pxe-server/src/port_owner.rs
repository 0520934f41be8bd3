//! Who has a port that we want: `/proc/net` names the socket, `/proc/<pid>/fd` the process.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::capability::{Capability, REMEDY};

/// What a port belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// DHCP, TFTP and DNS.
    Udp,
    /// HTTP and DNS.
    Tcp,
}

/// A socket that has a port, as everybody may see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PortSocket {
    inode: u64,
    user: u32,
}

/// Whoever has a port, as root may see it.
#[derive(Debug, PartialEq, Eq)]
struct Owner {
    pid: u32,
    program: String,
}

/// In `/proc/net/tcp`, `st` of a socket that listens (the kernel's `TCP_LISTEN`).
const TCP_LISTEN: &str = "0A";

/// RFC 2131 §4.1: the server's port.
const DHCP: u16 = 67;

/// Turns a failed bind into what the person who started us can do about it.
pub(crate) fn explain(error: io::Error, protocol: Protocol, port: u16) -> anyhow::Error {
    match error.kind() {
        io::ErrorKind::AddrInUse => anyhow::anyhow!("{}", in_use(protocol, port)),
        io::ErrorKind::PermissionDenied => anyhow::anyhow!(
            "{protocol} port {port} needs {}, which this process lacks: {REMEDY}",
            Capability::NetBindService
        ),
        io::ErrorKind::AddrNotAvailable => {
            anyhow::anyhow!(
                "{protocol} port {port} cannot be bound: no interface has the address; `ip -4 address` shows those that \
                 there are: add it, or correct `address` in [lab] or `listen` in [http]"
            )
        }
        _ => anyhow::Error::new(error).context(format!("{protocol} port {port} cannot be bound")),
    }
}

fn in_use(protocol: Protocol, port: u16) -> String {
    let sockets = sockets(protocol, port);
    let user = sockets.first().and_then(|socket| user_name(socket.user));
    held(protocol, port, owner(&sockets), user)
}

/// In a sandbox that hides other processes the owner is not known, but `user` still is.
fn held(protocol: Protocol, port: u16, owner: Option<Owner>, user: Option<String>) -> String {
    match owner {
        Some(Owner { pid, program }) => {
            let or_share = sharing(protocol, port, &program).map(|how| format!(", or {how}")).unwrap_or_default();
            format!("address in use: {protocol} port {port} is held by {program} (pid {pid}): stop it first{or_share}")
        }
        None => {
            let or_share = user.as_deref().and_then(|user| sharing(protocol, port, user));
            let or_share = or_share.map(|how| format!("; {how}")).unwrap_or_default();
            let whose = user.map_or_else(String::new, |user| format!(" of user {user}"));
            let flag = match protocol {
                Protocol::Udp => 'u',
                Protocol::Tcp => 't',
            };
            format!(
                "address in use: {protocol} port {port} is held by a process{whose} that we may not look at: \
                 `sudo ss -ln{flag}p sport = :{port}` names it{or_share}"
            )
        }
    }
}

/// How the port can be shared with this program, which runs as a user of the same name, where that is known.
///
/// dnsmasq takes ports on all interfaces, whichever it answers on, unless it is told `bind-interfaces`. Then its DHCP is bound to its own interface
/// if it has one alone, and shares the port otherwise, as is enough for ProxyDHCP.
fn sharing(protocol: Protocol, port: u16, program: &str) -> Option<&'static str> {
    match (program, protocol, port) {
        ("dnsmasq", Protocol::Udp, DHCP) => Some(
            "have it keep to an interface of its own with `interface` and `bind-interfaces` in its configuration; if it is to give the \
             addresses here, it needs `bind-interfaces`, and this server `mode = \"proxy-known\"` in [dhcp]",
        ),
        ("dnsmasq", Protocol::Udp | Protocol::Tcp, _) => {
            Some("have it keep to an interface of its own with `interface` and `bind-interfaces` in its configuration")
        }
        _ => None,
    }
}

/// The sockets that have this port, in this network namespace.
fn sockets(protocol: Protocol, port: u16) -> Vec<PortSocket> {
    let tables = match protocol {
        Protocol::Udp => ["/proc/net/udp", "/proc/net/udp6"],
        Protocol::Tcp => ["/proc/net/tcp", "/proc/net/tcp6"],
    };
    let read = |table| fs::read_to_string(table).unwrap_or_default();
    tables.into_iter().flat_map(|table| listed(&read(table), protocol, port)).collect()
}

/// Reads one of the kernel's socket tables (proc_pid_net(5)): `sl local_address rem_address st … uid timeout inode …`.
fn listed(table: &str, protocol: Protocol, port: u16) -> Vec<PortSocket> {
    let socket = |line: &str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let (_, local_port) = fields.get(1)?.rsplit_once(':')?;
        let listens = protocol == Protocol::Udp || *fields.get(3)? == TCP_LISTEN;
        let same = u16::from_str_radix(local_port, 16).ok()? == port;
        let socket = PortSocket { inode: fields.get(9)?.parse().ok()?, user: fields.get(7)?.parse().ok()? };
        (same && listens).then_some(socket)
    };
    table.lines().skip(1).filter_map(socket).collect()
}

/// The first process that has one of these sockets open, among those that we may look at.
fn owner(sockets: &[PortSocket]) -> Option<Owner> {
    let links: Vec<_> = sockets.iter().map(|socket| PathBuf::from(format!("socket:[{}]", socket.inode))).collect();
    let holds = |process: &Path| {
        let files = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
        files.filter_map(|file| fs::read_link(file.path()).ok()).any(|link| links.contains(&link))
    };
    fs::read_dir("/proc").ok()?.flatten().find_map(|process| {
        let pid = process.file_name().to_str()?.parse().ok()?;
        let program = fs::read_to_string(process.path().join("comm")).ok()?.trim_end().to_owned();
        holds(&process.path()).then_some(Owner { pid, program })
    })
}

/// The user's name (passwd(5)).
fn user_name(user: u32) -> Option<String> {
    let users = fs::read_to_string("/etc/passwd").ok()?;
    let mut lines = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
    lines.find(|fields| fields.get(2).is_some_and(|id| *id == user.to_string()))?.first().map(|name| (*name).to_owned())
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream, UdpSocket};

    use super::*;

    #[test]
    fn finds_who_has_a_udp_port() {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("any port");
        let port = socket.local_addr().expect("it is bound").port();

        let owner = owner(&sockets(Protocol::Udp, port)).expect("ourselves");

        assert_eq!(owner.pid, std::process::id());
    }

    #[test]
    fn a_connection_is_no_listener() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("any port");
        let port = listener.local_addr().expect("it is bound").port();
        let client = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
        let (_server, _) = listener.accept().expect("a client connected");

        assert_eq!(sockets(Protocol::Tcp, port).len(), 1);
        assert!(sockets(Protocol::Tcp, client.local_addr().expect("it is connected").port()).is_empty());
    }

    #[test]
    fn a_port_in_use_names_its_owner() {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("any port");
        let port = socket.local_addr().expect("it is bound").port();

        let error = explain(io::ErrorKind::AddrInUse.into(), Protocol::Udp, port).to_string();

        let pid = std::process::id();
        assert!(error.starts_with(&format!("address in use: UDP port {port} is held by ")), "{error}");
        assert!(error.ends_with(&format!(" (pid {pid}): stop it first")), "{error}");
    }

    #[test]
    fn an_owner_that_a_sandbox_hides_is_told_by_user_and_how_to_find_it() {
        assert_eq!(
            held(Protocol::Udp, 69, None, Some("dnsmasq".to_owned())),
            "address in use: UDP port 69 is held by a process of user dnsmasq that we may not look at: \
             `sudo ss -lnup sport = :69` names it; have it keep to an interface of its own with `interface` and `bind-interfaces` in its \
             configuration"
        );
        assert_eq!(
            held(Protocol::Tcp, 80, None, None),
            "address in use: TCP port 80 is held by a process that we may not look at: `sudo ss -lntp sport = :80` names it"
        );
    }

    #[test]
    fn an_address_that_is_not_ours_says_what_to_do() {
        let error = explain(io::ErrorKind::AddrNotAvailable.into(), Protocol::Tcp, 80).to_string();

        assert!(error.contains("`ip -4 address` shows those that there are"), "{error}");
    }

    #[test]
    fn knows_users_by_name() {
        assert_eq!(user_name(0).as_deref(), Some("root"));
        assert_eq!(user_name(u32::MAX), None);
    }

    #[test]
    fn reads_the_kernels_table() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n\
             \x20 67: 00000000:0043 00000000:0000 07 00000000:00000000 00:00000000 00000000   110        0 31337 2 0000000000000000 0\n";

        assert_eq!(listed(table, Protocol::Udp, 67), [PortSocket { inode: 31337, user: 110 }]);
        assert!(listed(table, Protocol::Udp, 68).is_empty());
    }
}
