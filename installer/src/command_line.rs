//! The kernel's command line, as far as it speaks to the installer.

use lab_model::{CONFIG_ARGUMENT, EVENTS_ARGUMENT, MEMORY_ARGUMENT, MacAddr, SHELL_ARGUMENT};

/// What the boot script tells the installer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandLine {
    /// Where the configuration is (`pvmlab.config=URL`).
    pub config: Option<String>,
    /// Where reports are posted until the configuration says so itself (`pvmlab.events=URL`).
    pub events: Option<String>,
    /// The interface that the machine booted from: `pvmlab.mac=`, or pxelinux's `BOOTIF=`, or the end of the configuration's URL.
    pub mac: Option<MacAddr>,
    /// Whether somebody wants a shell before the installation, and again when it fails (`initrd.mode=shell`).
    pub shell: bool,
    /// Whether the image's system is to run in memory, on no disk of the machine's (`initrd.mode=memory`).
    pub memory: bool,
}

impl CommandLine {
    /// Reads the text of `/proc/cmdline`; a word that comes twice counts as it stands last.
    pub fn parse(text: &str) -> Self {
        let last = |name: &str| {
            text.split_ascii_whitespace()
                .filter_map(|word| word.strip_prefix(name)?.strip_prefix('='))
                .next_back()
                .filter(|value| !value.is_empty())
        };
        let config = last(CONFIG_ARGUMENT).map(str::to_owned);
        let named = last("pvmlab.mac").and_then(|mac| mac.parse().ok());
        // `BOOTIF=01-52-54-00-12-34-56`: the hardware type of RFC 1700 comes first.
        let booted = || last("BOOTIF").and_then(|value| value.strip_prefix("01-").unwrap_or(value).parse().ok());
        let asked = || config.as_deref()?.rsplit(['/', '=']).next()?.parse().ok();
        let asks_for = |argument: &str| argument.split_once('=').is_some_and(|(name, value)| last(name) == Some(value));
        Self {
            mac: named.or_else(booted).or_else(asked),
            events: last(EVENTS_ARGUMENT).map(str::to_owned),
            shell: asks_for(SHELL_ARGUMENT),
            memory: asks_for(MEMORY_ARGUMENT),
            config,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: MacAddr = MacAddr::new([0x52, 0x54, 0, 0x12, 0x34, 0x56]);

    #[test]
    fn of_two_modes_the_last_counts() {
        let modes = |text| {
            let CommandLine { shell, memory, .. } = CommandLine::parse(text);
            (shell, memory)
        };

        assert_eq!(modes("initrd.mode=shell quiet"), (true, false));
        assert_eq!(modes("initrd.mode=shell initrd.mode=memory"), (false, true));
        assert_eq!(modes("initrd.mode=other"), (false, false));
    }

    #[test]
    fn the_interface_is_told_in_four_ways() {
        for text in [
            "quiet pvmlab.config=http://10.0.0.1/config/52:54:00:12:34:56 console=ttyS0\n",
            "pvmlab.config=http://10.0.0.1/config?mac=52-54-00-12-34-56",
            "pvmlab.config=http://10.0.0.1/c pvmlab.mac=52:54:00:12:34:56 BOOTIF=01-00-00-00-00-00-00",
            "BOOTIF=01-52-54-00-12-34-56 pvmlab.config=http://10.0.0.1/config/02:00:00:00:00:01",
        ] {
            assert_eq!(CommandLine::parse(text).mac, Some(MAC), "{text}");
        }
    }

    #[test]
    fn reports_have_an_address_before_there_is_a_configuration() {
        let text = "pvmlab.config=http://10.0.0.1/c pvmlab.events=http://10.0.0.1/events/52:54:00:12:34:56";

        let events = CommandLine::parse(text).events;

        assert_eq!(events.as_deref(), Some("http://10.0.0.1/events/52:54:00:12:34:56"));
    }

    #[test]
    fn a_shell_comes_only_when_asked_for() {
        assert!(CommandLine::parse("rdinit=/x initrd.mode=shell").shell);
        for text in ["initrd.mode=", "initrd.mode=install", "xinitrd.mode=shell", "initrd.mode=shell initrd.mode=auto"]
        {
            assert!(!CommandLine::parse(text).shell, "{text}");
        }
    }

    #[test]
    fn without_arguments_there_is_nothing() {
        assert_eq!(CommandLine::parse("root=/dev/vda1 pvmlab.config="), CommandLine::default());
    }
}
