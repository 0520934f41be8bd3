//! ProxyDHCP: what clients broadcast, and what they ask the boot server.

use std::net::{Ipv4Addr, SocketAddrV4};

use pxe_proto::dhcp::{Arrival, Audience, Destination, Proxy, ProxyAction, ProxyConfig, Request};

use super::lab::inventory;
use super::steps::{Step, steps};

/// The first byte says who is answered. Each step is a datagram; what happens says how it came, and from whom on the network.
pub fn run(input: &[u8]) {
    let Some((first, input)) = input.split_first() else { return };
    let proxy = Proxy::new(config(if first & 1 == 0 { Audience::Known } else { Audience::Everybody }), inventory());
    for Step { what, bytes } in steps(input) {
        let Ok(request) = Request::parse(bytes) else { continue };
        let sender = SocketAddrV4::new(Ipv4Addr::new(10, 77, 0, what), 68);
        let arrival = if what & 1 == 0 { Arrival::Broadcast } else { Arrival::BootServer(sender) };
        let action = proxy.handle(&request, arrival);
        assert_eq!(action, proxy.handle(&request, arrival), "nothing is kept");
        match action {
            ProxyAction::Reply(reply) => {
                // RFC 2131 §2: yiaddr is the address that is given, of which there is none.
                assert_eq!(reply.message[16..20], [0; 4], "an address is given");
                assert_eq!(reply.commit, None);
                let expected = match arrival {
                    Arrival::Broadcast => Destination::Broadcast,
                    Arrival::BootServer(sender) => Destination::Sender(sender),
                };
                assert_eq!(reply.destination, expected);
            }
            ProxyAction::Heard(_) => {}
            ProxyAction::Ignore(reason) => drop(reason.to_string()),
        }
    }
}

fn config(audience: Audience) -> ProxyConfig {
    ProxyConfig {
        server: "10.77.0.1/24".parse().expect("a network"),
        classes: Vec::new(),
        audience,
        base: "http://10.77.0.1".parse().expect("a URL"),
    }
}
