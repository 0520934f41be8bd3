use std::process::ExitCode;

use lab_model::MachineName;

use crate::error::{Failure, Kind, Result};
use crate::home::Home;
use crate::provisioner;

/// Copies files to a machine or from it; the machine's side is written NAME:PATH.
///
/// A path without a leading `/` is below the home of the account there.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  pvmlab vm copy notes.txt web:\n  pvmlab vm copy -r web:/var/log ./web-log\n  pvmlab vm copy ./a:b web:/tmp/"
)]
pub(crate) struct Copy {
    /// What is copied.
    #[arg(value_name = "SOURCE")]
    source: String,
    /// To where.
    #[arg(value_name = "DESTINATION")]
    destination: String,
    /// Folders with all that is in them.
    #[arg(long, short)]
    recursive: bool,
}

impl Copy {
    pub(crate) fn run(self, home: &Home) -> Result<ExitCode> {
        let machine = machine(&self.source, &self.destination)?;
        let login = provisioner::login(home, &machine)?;
        let [source, destination] = [&self.source, &self.destination].map(|path| for_scp(path));
        login.hand_over(login.copy(&source, &destination, self.recursive))
    }
}

/// The one machine that is named.
fn machine(source: &str, destination: &str) -> Result<MachineName> {
    let usage = |message: &str| Failure::new(Kind::Usage, message);
    match (remote(source), remote(destination)) {
        (Some(name), None) | (None, Some(name)) => Ok(name),
        (None, None) => {
            Err(usage("neither side is on a machine")
                .hinted("write a machine's side as NAME:PATH, as in `web:/etc/hosts`"))
        }
        (Some(_), Some(_)) => {
            Err(usage("both sides are on machines")
                .hinted("copy to this host first, and from here to the other machine"))
        }
    }
}

/// The machine of `NAME:path`; a path with a slash before the colon is this host's.
fn remote(path: &str) -> Option<MachineName> {
    path.split_once(':')?.0.parse().ok()
}

/// What scp would take for a machine, but is none, is a path.
fn for_scp(path: &str) -> String {
    let is_path = remote(path).is_none() && !path.starts_with(['/', '.']);
    if is_path && path.contains(':') { format!("./{path}") } else { path.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_side_names_the_machine() {
        let named = |a, b| machine(a, b).map(|name| name.to_string()).map_err(|failure| failure.to_string());

        assert_eq!(named("a.txt", "web:"), Ok("web".to_owned()));
        assert_eq!(named("web:/var/log", "."), Ok("web".to_owned()));
        assert_eq!(named("./a:b", "web:/tmp"), Ok("web".to_owned()));
        assert_eq!(named("a", "b"), Err("neither side is on a machine".to_owned()));
        assert_eq!(named("web:a", "db:b"), Err("both sides are on machines".to_owned()));
    }

    #[test]
    fn a_file_with_a_colon_stays_a_file() {
        assert_eq!(["A:b", "./a:b", "web:a", "plain"].map(for_scp), ["./A:b", "./a:b", "web:a", "plain"]);
    }
}
