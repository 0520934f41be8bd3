//! The file that a client boots, as a reply says it.

use std::net::Ipv4Addr;

use super::options::code;
use super::{ClassBoot, Request};
use crate::boot::Directions;

/// What a reply says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BootFile {
    /// There is none.
    None,
    /// By TFTP, from this server.
    Tftp {
        /// The server.
        server: Ipv4Addr,
        /// Its name there.
        name: String,
    },
    /// By a URL, for firmware that takes an offer only if it calls itself `HTTPClient` (UEFI 2.10 §24.7.3.3).
    Http {
        /// The DHCP server, as next server.
        server: Ipv4Addr,
        /// The URL.
        url: String,
    },
    /// By a URL, for a boot program.
    Script {
        /// The DHCP server, as next server.
        server: Ipv4Addr,
        /// The URL.
        url: String,
    },
}

/// How the vendor class of firmware begins that fetches URLs (UEFI 2.10 §24.7.2).
const HTTP_CLIENT: &[u8] = b"HTTPClient";

impl BootFile {
    /// As every machine is directed.
    pub(super) fn directed(directions: Directions, server: Ipv4Addr) -> Self {
        match directions {
            Directions::Nowhere => Self::None,
            Directions::Tftp(program) => Self::Tftp { server, name: program.file_name().to_owned() },
            Directions::Http(url) => Self::Http { server, url },
            Directions::Script(url) => Self::Script { server, url },
        }
    }

    /// As the client's class has it.
    pub(super) fn of_class(boot: &ClassBoot, request: &Request, server: Ipv4Addr) -> Self {
        let fetches_urls = request.options.get(code::VENDOR_CLASS).is_some_and(|class| class.starts_with(HTTP_CLIENT));
        match boot {
            ClassBoot::Nothing => Self::None,
            ClassBoot::File { name, server: other } => {
                let server = other.unwrap_or(server);
                let name = name.clone();
                match name.contains("://") {
                    true if fetches_urls => Self::Http { server, url: name },
                    true => Self::Script { server, url: name },
                    false => Self::Tftp { server, name },
                }
            }
        }
    }
}
