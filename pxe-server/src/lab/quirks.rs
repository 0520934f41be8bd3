//! The quirks of the configuration.

use pxe_proto::dhcp::Selector;
use pxe_proto::firmware::{Quirk, Quirks, Treatment};

use crate::config::{Config, Invalid, QuirkSection};

/// The quirks, in order.
///
/// # Errors
/// One is every client's, or has the name of another.
pub(crate) fn fitted(config: &Config) -> Result<Quirks, Invalid> {
    let sections = &config.quirk;
    for (at, section) in sections.iter().enumerate() {
        if sections[..at].iter().any(|other| other.name.get_ref() == section.name.get_ref()) {
            let problem = format!("`{}` is the name of another quirk: expected one of its own", section.name.get_ref());
            return Err(config.invalid("quirk.name", &section.name, problem));
        }
    }
    sections.iter().map(|section| quirk(config, section)).collect::<Result<_, _>>().map(Quirks::new)
}

fn quirk(config: &Config, section: &QuirkSection) -> Result<Quirk, Invalid> {
    let members = Selector {
        vendor_class: section.vendor_class.clone(),
        user_class: section.user_class.clone(),
        arch: section.arch.clone(),
        mac: section.mac.clone(),
        ..Selector::default()
    };
    if members.is_empty() {
        let problem = "every client has this quirk: expected `vendor-class`, `user-class`, `arch` or `mac`; what holds for all belongs \
                       into [tftp]";
        return Err(config.invalid("quirk", &section.name, problem));
    }
    let treatment = Treatment {
        block_size: section.max_block_bytes.map(|most| most.0),
        window: section.max_window_blocks.map(|most| most.0),
        no_http_boot: !section.http_boot,
        vendor_options: None,
    };
    Ok(Quirk { name: section.name.get_ref().clone(), members, treatment })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn an_error_names_file_line_key_and_what_was_expected() {
        let with = |more: &str| fit(&format!("[[quirk]]\nname = 'old'\n{more}")).expect_err("no quirk").to_string();
        let errors = [with("max-block-bytes = 512\n"), with("mac = ['00:']\n[[quirk]]\nname = 'old'\nmac = ['01:']\n")];

        insta::assert_snapshot!(errors.join("\n"));
    }

    #[test]
    fn what_is_done_is_what_is_written() {
        let text = "[[quirk]]\nname = 'old'\nmac = ['00:']\nmax-block-bytes = 512\nmax-window-blocks = 1\nhttp-boot = false\n\
                    [[quirk]]\nname = 'good'\narch = [7]\n";

        let quirks = fit(text).expect("two quirks");

        let old = Treatment { block_size: Some(512), window: Some(1), no_http_boot: true, vendor_options: None };
        assert_eq!(quirks.named("old"), Some(old));
        assert_eq!(quirks.named("good"), Some(Treatment::default()));
    }

    fn fit(text: &str) -> Result<Quirks, Invalid> {
        let config = Config::parse(Path::new("config.toml"), text.to_owned()).expect("a configuration");
        fitted(&config)
    }
}
