use std::process::ExitCode;

use clap_complete::ArgValueCompleter;
use lab_model::MachineName;

use crate::commands::completion;
use crate::error::Result;
use crate::home::Home;
use crate::provisioner;
use crate::ssh::shell_quoted;

/// Logs in to a machine, or runs a command there and exits as it did.
///
/// A command of one word is read by the machine's shell as it stands; of several, each is taken literally.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  pvmlab vm shell web\n  pvmlab vm shell web uptime\n  pvmlab vm shell web 'ls /etc/*.conf | wc -l'"
)]
pub(crate) struct Shell {
    /// The machine.
    #[arg(value_name = "NAME", add = ArgValueCompleter::new(completion::machines))]
    machine: MachineName,
    /// What to run; without it a session for a person.
    #[arg(value_name = "COMMAND", trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

impl Shell {
    pub(crate) fn run(self, home: &Home) -> Result<ExitCode> {
        let login = provisioner::login(home, &self.machine)?;
        login.hand_over(login.shell(script(&self.command).as_deref()))
    }
}

fn script(command: &[String]) -> Option<String> {
    match command {
        [] => None,
        [text] => Some(text.clone()),
        words => Some(words.iter().map(|word| shell_quoted(word)).collect::<Vec<_>>().join(" ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_word_is_for_the_shell_and_several_are_literal() {
        let script = |words: &[&str]| script(&words.iter().map(ToString::to_string).collect::<Vec<_>>());

        assert_eq!(script(&[]), None);
        assert_eq!(script(&["ls *.conf | wc -l"]).as_deref(), Some("ls *.conf | wc -l"));
        assert_eq!(script(&["printf", "%s\n", "$HOME"]).as_deref(), Some("printf '%s\n' '$HOME'"));
    }
}
