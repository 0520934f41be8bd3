use std::ffi::OsStr;
use std::io::Write as _;

use anyhow::Context as _;
use clap_complete::CompletionCandidate;
use clap_complete::env::{Bash, EnvCompleter, Fish, Zsh};

use crate::distros::{self, Catalogue};
use crate::error::Result;
use crate::home::Home;
use crate::{images, profiles, store};

/// Prints what makes a shell complete this command, names of machines and images included.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  source <(pvmlab completion bash)     # in ~/.bashrc
  source <(pvmlab completion zsh)      # in ~/.zshrc
  pvmlab completion fish | source      # in ~/.config/fish/config.fish")]
pub(crate) struct Completion {
    /// For which shell.
    shell: Shell,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl Completion {
    pub(crate) fn run(self) -> Result<()> {
        let mut script = Vec::new();
        let completer: &dyn EnvCompleter = match self.shell {
            Shell::Bash => &Bash,
            Shell::Zsh => &Zsh,
            Shell::Fish => &Fish,
        };
        let written = completer.write_registration(VARIABLE, "pvmlab", "pvmlab", "pvmlab", &mut script);
        written.and_then(|()| std::io::stdout().write_all(&script)).context("cannot print the script")?;
        Ok(())
    }
}

/// By this variable the shell's script asks this program what there is.
pub(crate) const VARIABLE: &str = "PVMLAB_COMPLETE";

/// The names of the machines that begin so.
pub(crate) fn machines(begun: &OsStr) -> Vec<CompletionCandidate> {
    candidates(begun, Home::from_environment().map(|home| store::names(&home)).unwrap_or_default())
}

/// The names of the images that begin so.
pub(crate) fn images(begun: &OsStr) -> Vec<CompletionCandidate> {
    let images = Home::from_environment().and_then(|home| images::all(&home)).unwrap_or_default().0;
    let mut names: Vec<_> = images.iter().map(|image| image.manifest.name.to_string()).collect();
    names.dedup();
    candidates(begun, names)
}

/// The names of the profiles that begin so.
pub(crate) fn profiles(begun: &OsStr) -> Vec<CompletionCandidate> {
    let own = Home::from_environment().and_then(|home| profiles::read(&home)).unwrap_or_default();
    let own = own.all().map(|profile| profile.name.to_string());
    let shipped = profiles::Shipped::ALL.iter().map(|shipped| shipped.name.to_owned());
    let mut names: Vec<_> = own.chain(shipped).collect();
    names.sort();
    names.dedup();
    candidates(begun, names)
}

/// The names of the distributions that could be pulled and begin so.
pub(crate) fn distros(begun: &OsStr) -> Vec<CompletionCandidate> {
    candidates(begun, Home::from_environment().map(|home| Catalogue::names(&home)).unwrap_or_default())
}

/// The names of the images that were pulled and begin so.
pub(crate) fn pulled(begun: &OsStr) -> Vec<CompletionCandidate> {
    let pulled = Home::from_environment().map(|home| distros::all(&home)).unwrap_or_default();
    let mut names: Vec<_> = pulled.into_iter().map(|(name, _, _)| name.to_string()).collect();
    names.dedup();
    candidates(begun, names)
}

fn candidates(begun: &OsStr, names: Vec<String>) -> Vec<CompletionCandidate> {
    let begun = begun.to_string_lossy();
    names.into_iter().filter(|name| name.starts_with(&*begun)).map(CompletionCandidate::new).collect()
}
