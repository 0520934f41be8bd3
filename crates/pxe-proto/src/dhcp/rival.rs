//! Another DHCP server, as its messages to clients show it.

use std::net::Ipv4Addr;

use super::guard;
use super::options::code;
use super::received::Received;

/// RFC 951 §3: a server's message.
const BOOT_REPLY: u8 = 2;

/// The server whose DHCPOFFER, DHCPACK or DHCPNAK this is, by its server identifier (RFC 2132 §9.7); `None` for what is no
/// such message.
pub fn server_of(message: &[u8]) -> Option<Ipv4Addr> {
    let header = message.get(..guard::HEADER)?;
    if header[0] != BOOT_REPLY || !header.ends_with(&guard::COOKIE) {
        return None;
    }
    let options = Received::of(message);
    let [2 | 5 | 6] = options.get(code::MESSAGE_TYPE)? else { return None };
    let server = Ipv4Addr::from(<[u8; 4]>::try_from(options.get(code::SERVER)?).ok()?);
    Some(server).filter(|server| !server.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_known_by_what_it_says_to_clients() {
        let message = |op: u8, kind: u8, server: &[u8]| {
            let mut message = vec![0; guard::HEADER];
            message[0] = op;
            message[236..].copy_from_slice(&guard::COOKIE);
            message.extend([&[53, 1, kind, 54, server.len() as u8][..], server, &[255]].concat());
            message
        };
        let other = [10, 77, 0, 66];

        for kind in [2, 5, 6] {
            assert_eq!(server_of(&message(2, kind, &other)), Some(other.into()));
        }
        for nothing in [message(1, 2, &other), message(2, 1, &other), message(2, 2, &[10, 77]), message(2, 2, &[0; 4])]
        {
            assert_eq!(server_of(&nothing), None);
        }
        let offer = message(2, 2, &other);
        assert!((0..offer.len() - 1).all(|length| server_of(&offer[..length]).is_none()));
    }
}
