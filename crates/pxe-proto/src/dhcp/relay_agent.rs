//! What a relay agent says of a client beside its own address (option 82, RFC 3046).

use std::net::Ipv4Addr;

/// A relay agent's information: all of it, to be echoed, and what of it decides something.
///
/// It says nothing that a client on the server's own link could not say too, so nothing here is more than a choice
/// between what is configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RelayAgent {
    /// As it came.
    pub(super) bytes: Vec<u8>,
    /// RFC 3527 §3: an address of the subnet that the client is on.
    pub(super) link: Option<Ipv4Addr>,
    /// RFC 5107 §4: the address that clients are to take for the server's, so that they renew by way of the relay.
    pub(super) server: Option<Ipv4Addr>,
}

/// RFC 3046 §3.1.
const CIRCUIT_ID: u8 = 1;

/// RFC 3046 §3.2.
const REMOTE_ID: u8 = 2;

/// RFC 3527 §3.
const LINK_SELECTION: u8 = 5;

/// RFC 5107 §4.
const SERVER_IDENTIFIER_OVERRIDE: u8 = 11;

impl RelayAgent {
    /// Reads the option's data; what is malformed counts as absent, and is echoed all the same.
    pub(super) fn parse(bytes: &[u8]) -> Self {
        let address = |code| {
            let octets = <[u8; 4]>::try_from(sub_option(bytes, code)?).ok()?;
            Some(Ipv4Addr::from(octets)).filter(|address| !address.is_unspecified())
        };
        let (link, server) = (address(LINK_SELECTION), address(SERVER_IDENTIFIER_OVERRIDE));
        Self { bytes: bytes.to_vec(), link, server }
    }

    /// Which of its circuits the agent has the message from.
    pub(super) fn circuit_id(&self) -> Option<&[u8]> {
        sub_option(&self.bytes, CIRCUIT_ID)
    }

    /// Whom the agent has the message from.
    pub(super) fn remote_id(&self) -> Option<&[u8]> {
        sub_option(&self.bytes, REMOTE_ID)
    }
}

/// The data of the first sub-option of this code.
fn sub_option(mut bytes: &[u8], wanted: u8) -> Option<&[u8]> {
    loop {
        let [code, length, rest @ ..] = bytes else { return None };
        let (data, others) = rest.split_at_checked(usize::from(*length))?;
        if *code == wanted {
            return Some(data);
        }
        bytes = others;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sub_option_counts_if_it_is_whole() {
        let link = |bytes: &[u8]| RelayAgent::parse(bytes).link;
        let ours = Some(Ipv4Addr::new(10, 78, 0, 0));

        assert_eq!(link(&[1, 2, 7, 7, 5, 4, 10, 78, 0, 0, 2, 1, 9]), ours);
        assert_eq!(link(&[5, 4, 10, 78, 0, 0, 5, 4, 10, 79, 0, 0]), ours);
        for malformed in [&[][..], &[5], &[5, 4, 10, 78, 0], &[5, 3, 10, 78, 0], &[1, 200, 5, 4, 10, 78, 0, 0]] {
            assert_eq!(link(malformed), None, "{malformed:?}");
        }
        assert_eq!(link(&[5, 4, 0, 0, 0, 0]), None);
    }

    #[test]
    fn what_cannot_be_read_is_kept_as_it_came() {
        assert_eq!(RelayAgent::parse(&[11, 9, 1]).bytes, [11, 9, 1]);
    }
}
