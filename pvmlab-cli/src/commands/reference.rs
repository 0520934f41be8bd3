use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Arg, Command};

use crate::error::Result;
use crate::{cli, file};

/// Writes the manual: of the same definitions that the help is made of.
#[derive(Debug, clap::Args)]
#[group(required = true)]
pub(crate) struct Reference {
    /// Writes a man page for each command into this folder.
    #[arg(long, value_name = "FOLDER")]
    man: Option<PathBuf>,
    /// Writes one page of Markdown.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
}

impl Reference {
    pub(crate) fn run(self) -> Result<()> {
        let mut command = cli::command();
        // Programs that are built together disagree on how wide a terminal is.
        command = command.term_width(100);
        command.build();
        if let Some(folder) = self.man {
            std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
            clap_mangen::generate_to(cli::command(), &folder).context("cannot write the man pages")?;
        }
        if let Some(path) = self.markdown {
            write_markdown(&path, &command)?;
        }
        Ok(())
    }
}

fn write_markdown(path: &Path, command: &Command) -> Result<()> {
    let path = std::path::absolute(path).context("cannot tell the current folder")?;
    Ok(file::replace(&path, markdown(command).as_bytes())?)
}

fn markdown(command: &Command) -> String {
    let mut text = String::from(
        "# The command line of pvmlab\n\nWritten by `pvmlab reference --markdown`, of what `--help` says.\n",
    );
    describe(command, "", &mut text);
    text
}

fn describe(command: &Command, parents: &str, text: &mut String) {
    let name = format!("{parents}{}", command.get_name());
    let about = command.get_long_about().or(command.get_about()).map(ToString::to_string).unwrap_or_default();
    let _ = write!(text, "\n## {name}\n\n{}\n", about.trim_end());
    let is_leaf = command.get_subcommands().all(|sub| sub.is_hide_set() || sub.get_name() == "help");
    if is_leaf || parents.is_empty() {
        let usage = command.clone().render_usage().to_string();
        let _ = write!(text, "\n```\n{}\n```\n", usage.trim_start_matches("Usage: ").trim_end());
        let own = command
            .get_arguments()
            .filter(|arg| !arg.is_hide_set() && !["help", "version"].contains(&arg.get_id().as_str()));
        let own: Vec<_> = own.filter(|arg| parents.is_empty() || !arg.is_global_set()).collect();
        if !own.is_empty() {
            text.push('\n');
        }
        for arg in own {
            let _ = writeln!(text, "- `{}`: {}{}", signature(arg), help(arg), usual(arg));
        }
    }
    if let Some(after) = command.get_after_help() {
        let _ = write!(text, "\n```\n{}\n```\n", after.to_string().trim_end());
    }
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help") {
        describe(sub, &format!("{name} "), text);
    }
}

fn signature(arg: &Arg) -> String {
    arg.to_string()
}

fn help(arg: &Arg) -> String {
    arg.get_help().map(ToString::to_string).unwrap_or_default()
}

fn usual(arg: &Arg) -> String {
    let values: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
    if values.is_empty() || !arg.get_action().takes_values() {
        String::new()
    } else {
        format!(" (default: {})", values.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_is_up_to_date() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/cli.md");
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        let mut command = cli::command().term_width(100);
        command.build();

        assert!(
            written == markdown(&command),
            "docs/cli.md is not what the help says: run `cargo run -p pvmlab-cli -- reference --markdown docs/cli.md`"
        );
    }

    #[test]
    fn every_command_has_a_man_page() {
        let folder = tempfile::tempdir().expect("a folder");

        let reference = Reference { man: Some(folder.path().to_owned()), markdown: None };
        reference.run().expect("written");

        for page in ["pvmlab.1", "pvmlab-vm-create.1", "pvmlab-distro-add.1"] {
            assert!(folder.path().join(page).exists(), "{page}");
        }
    }
}
