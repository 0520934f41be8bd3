//! The file that a client boots, as a reply says it.

use std::net::Ipv4Addr;

use lab_model::Machine;

use super::options::code;
use super::{Class, ClassBoot, Request, class};
use crate::boot::{self, BaseUrl, Boot, Directions, Profiles};

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

/// Where boot files come from, and what decides about them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source<'a> {
    /// The server's own address.
    pub(super) server: Ipv4Addr,
    /// Where its HTTP is.
    pub(super) base: BaseUrl,
    /// What machines can boot.
    pub(super) profiles: &'a Profiles,
}

impl Source<'_> {
    /// What the client is to load: its class says it, except to a machine that is to boot from its disk.
    pub(super) fn boot_file(self, request: &Request, machine: Option<&Machine>, classes: &[&Class]) -> BootFile {
        let Self { server, base, profiles } = self;
        let (mac, firmware) = (request.mac(), request.firmware());
        let machine = boot::booting(machine, mac, class::profile(classes, request));
        let machine = machine.as_deref();
        let is_local = || {
            let asker = boot::Asker { found: firmware.arch(), ..boot::Asker::default() };
            machine.is_some() && boot::decide(machine, profiles, &asker) == Boot::Local
        };
        match classes.iter().find_map(|class| class.boot_of(firmware)) {
            Some(_) if is_local() => BootFile::None,
            Some(boot) => BootFile::of_class(boot, request, server),
            None => {
                BootFile::directed(boot::directions(machine, profiles, firmware, mac, request.treatment, base), server)
            }
        }
    }
}

impl BootFile {
    /// As every machine is directed.
    fn directed(directions: Directions, server: Ipv4Addr) -> Self {
        match directions {
            Directions::Nowhere => Self::None,
            Directions::Tftp(program) => Self::Tftp { server, name: program.file_name().to_owned() },
            Directions::Http(url) => Self::Http { server, url },
            Directions::Script(url) => Self::Script { server, url },
        }
    }

    /// As the client's class has it.
    fn of_class(boot: &ClassBoot, request: &Request, server: Ipv4Addr) -> Self {
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
