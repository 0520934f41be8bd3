//! The classes of the configuration, fitted to the lab's networks.

use std::time::Duration;

use lab_model::Networks;
use pxe_proto::dhcp::{Class, ClassBoot, Selector};

use crate::config::{ClassSection, Config, Invalid};

/// The classes, in order.
///
/// # Errors
/// One has every client for a member, addresses elsewhere, or the name of another; or nobody knows what it boots.
pub(super) fn fitted(config: &Config, networks: &Networks) -> Result<Vec<Class>, Invalid> {
    let sections = &config.dhcp.class;
    for (at, section) in sections.iter().enumerate() {
        if sections[..at].iter().any(|other| other.name.get_ref() == section.name.get_ref()) {
            let problem = format!("`{}` is the name of another class: expected one of its own", section.name.get_ref());
            return Err(config.invalid("dhcp.class.name", &section.name, problem));
        }
    }
    sections.iter().map(|section| class(config, section, networks)).collect()
}

fn class(config: &Config, section: &ClassSection, networks: &Networks) -> Result<Class, Invalid> {
    let members = Selector {
        vendor_class: section.vendor_class.clone(),
        user_class: section.user_class.clone(),
        arch: section.arch.clone(),
        uuid: section.uuid.clone(),
        mac: section.mac.clone(),
        circuit_id: section.circuit_id.clone(),
        remote_id: section.remote_id.clone(),
    };
    if members.is_empty() {
        let problem = "every client is of this class: expected `vendor-class`, `user-class`, `arch`, `uuid`, `mac`, \
                       `circuit-id` or `remote-id`; what all clients are told belongs into [dhcp.options]";
        return Err(config.invalid("dhcp.class", &section.name, problem));
    }
    if let Some(pool) = &section.pool {
        let mut ends = pool.get_ref().pairs();
        let apart = |first, last| networks.of(first).is_none_or(|network| networks.of(last) != Some(network));
        if let Some((first, last)) = ends.find(|(first, last)| apart(*first, *last)) {
            let problem = format!("{first}-{last} is outside the lab network: expected addresses from {networks}");
            return Err(config.invalid("dhcp.class.pool", pool, problem));
        }
    }
    if let (Some(server), None) = (&section.next_server, &section.boot_file) {
        let problem = "there is nothing to boot from it: expected `boot-file` too";
        return Err(config.invalid("dhcp.class.next-server", server, problem));
    }
    let boot = section.boot_file.as_ref().map(|file| match file.as_str() {
        "none" => ClassBoot::Nothing,
        name => ClassBoot::File {
            name: name.to_owned(),
            server: section.next_server.as_ref().map(|server| *server.get_ref()),
        },
    });
    Ok(Class {
        name: section.name.get_ref().clone(),
        members,
        pool: section.pool.as_ref().map(|pool| pool.get_ref().ranges()).unwrap_or_default(),
        lease: section.lease_seconds.map(|lease| Duration::from_secs(lease.0.into())),
        boot,
        profile: section.profile.as_ref().map(|profile| profile.get_ref().clone()),
        options: section.options.clone(),
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use lab_model::Ipv4Net;

    use super::*;

    #[test]
    fn an_error_names_file_line_key_and_what_was_expected() {
        let with =
            |more: &str| fit(&format!("[[dhcp.class]]\nname = 'phones'\n{more}")).expect_err("no class").to_string();
        let errors = [
            with(""),
            with("mac = ['00:']\npool = '10.77.0.250-10.77.1.2'\n"),
            with("mac = ['00:']\nnext-server = '10.77.0.9'\n"),
            with("mac = ['00:']\n[[dhcp.class]]\nname = 'phones'\n"),
        ];

        insta::assert_snapshot!(errors.join("\n"));
    }

    #[test]
    fn what_its_clients_boot_is_a_file_or_nothing() {
        let boot = |more: &str| {
            let text = format!("[[dhcp.class]]\nname = 'a'\nmac = ['00:']\n{more}");
            fit(&text).expect("a class")[0].boot.clone()
        };

        assert_eq!(boot(""), None);
        assert_eq!(boot("boot-file = 'none'"), Some(ClassBoot::Nothing));
        let file = |server: Option<&str>| {
            let server = server.map(|address| address.parse().expect("an address"));
            Some(ClassBoot::File { name: "a.efi".to_owned(), server })
        };
        assert_eq!(boot("boot-file = 'a.efi'"), file(None));
        assert_eq!(boot("boot-file = 'a.efi'\nnext-server = '10.77.0.9'"), file(Some("10.77.0.9")));
    }

    fn fit(text: &str) -> Result<Vec<Class>, Invalid> {
        let config = Config::parse(Path::new("config.toml"), text.to_owned()).expect("a configuration");
        let server: Ipv4Net = "10.77.0.1/24".parse().expect("a network");
        fitted(&config, &server.into())
    }
}
