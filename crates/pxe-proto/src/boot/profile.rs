//! What machines boot, as people write it: a profile.
//!
//! A profile is a folder `profiles/<name>/` with a `profile.toml` and the templates that it names. Everything that can be
//! wrong with it is found when it is read: each template is rendered for made-up machines, so what a booting machine gets was
//! rendered before. `docs/profiles.md` has the keys and the values.

mod selector;
mod template;
mod values;
mod written;

use std::collections::BTreeMap;

use lab_model::{FileName, ImageName, Machine, ProfileName};

pub use self::selector::Selector;
pub use self::template::TemplateError;
use self::template::Templates;
pub use self::values::Setting;
use self::values::{samples, values};
use self::written::Written;

/// The name of the file that says what the others are for.
pub const PROFILE_FILE: &str = "profile.toml";

/// What a machine boots that has this profile.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Its name, which is that of its folder.
    pub name: ProfileName,
    /// One line for people.
    pub description: String,
    /// Which machines have it without naming it.
    pub selector: Option<Selector>,
    /// What they boot.
    pub kind: Kind,
    documents: BTreeMap<FileName, FileName>,
    vars: BTreeMap<String, String>,
    templates: Templates,
    /// What it was read from: two profiles of the same text are the same.
    source: Files,
}

/// The files of a profile's folder: what each is called, and its text.
pub type Files = BTreeMap<String, String>;

/// What a profile's machines boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Our installer, which writes the image that their definition names.
    Image,
    /// A vendor's installer, which is told what to do by documents.
    Installer(Kernel),
    /// A system that runs from memory and leaves the disk alone.
    Live(Kernel),
    /// The system of their definition's image, in memory: as it would be installed, on no disk of theirs.
    Memory,
    /// A boot script of somebody's own.
    Script(FileName),
    /// Their disk.
    Local,
    /// What somebody chooses on the console.
    Menu(Menu),
}

/// A kernel that is started over the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// The image whose kernel and initial RAM file system these are; `None`: the one that the machine's definition names.
    pub image: Option<ImageName>,
}

/// A choice between profiles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Menu {
    /// What can be chosen, in this order.
    pub items: Vec<ProfileName>,
    /// What is taken when nobody chooses.
    pub default: ProfileName,
    /// After how many seconds.
    pub timeout_seconds: u16,
}

/// What is wrong with a profile; the message names the file, the line or the key, and what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// There is none in the folder.
    #[error("{PROFILE_FILE}: missing: it says what the profile boots")]
    Missing,
    /// Not TOML of the right shape.
    #[error("{PROFILE_FILE}: {0}")]
    Malformed(String),
    /// A key that a profile of this kind needs.
    #[error("{PROFILE_FILE}: {key}: missing: a profile of kind `{kind}` needs it")]
    Needed {
        /// The key.
        key: &'static str,
        /// The kind.
        kind: &'static str,
    },
    /// A key that means nothing for a profile of this kind.
    #[error("{PROFILE_FILE}: {key}: a profile of kind `{kind}` has none: remove it")]
    Meaningless {
        /// The key.
        key: &'static str,
        /// The kind.
        kind: &'static str,
    },
    /// A template that is named and not there.
    #[error("{PROFILE_FILE}: {key}: there is no file `{file}` in the profile's folder")]
    NoFile {
        /// The key that names it.
        key: &'static str,
        /// The file's name.
        file: FileName,
    },
    /// A menu that cannot be shown.
    #[error("{PROFILE_FILE}: {0}")]
    Menu(&'static str),
    /// A script that iPXE would not take for one.
    #[error("{0} line 1: expected `#!ipxe`, by which iPXE knows a script")]
    NoScript(FileName),
    /// A template that cannot be rendered.
    #[error("{0}")]
    Template(#[from] TemplateError),
}

/// The template of the kernel's command line, by the name that messages call it.
const ARGUMENTS: &str = "profile.toml: arguments";

impl Profile {
    /// Reads a profile from the files of its folder.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn new(name: ProfileName, files: Files) -> Result<Self, Invalid> {
        let text = files.get(PROFILE_FILE).ok_or(Invalid::Missing)?;
        let Written { kind, arguments, documents, description, vars, selector } = Written::parse(text, &files)?;
        let mut templates = Templates::new(&files)?;
        if let Some(arguments) = arguments {
            templates.add(ARGUMENTS, arguments)?;
        }
        let profile = Self { name, description, selector, kind, documents, vars, templates, source: files };
        profile.rehearse()?;
        Ok(profile)
    }

    /// The kernel's command line in words, for a profile that has a kernel.
    ///
    /// # Errors
    /// The template cannot be rendered for this machine.
    pub fn arguments(&self, setting: &Setting<'_>) -> Result<Vec<String>, TemplateError> {
        let text = self.templates.render(ARGUMENTS, values(setting, &self.vars))?;
        Ok(text.split_whitespace().map(str::to_owned).collect())
    }

    /// One of the template files, such as a boot script.
    ///
    /// # Errors
    /// The template cannot be rendered for this machine.
    pub fn file(&self, file: &FileName, setting: &Setting<'_>) -> Result<String, TemplateError> {
        self.templates.render(file.as_str(), values(setting, &self.vars))
    }

    /// The document that machines fetch by this name; `None` where the profile has none of that name.
    ///
    /// # Errors
    /// The template cannot be rendered for this machine.
    pub fn document(&self, name: &str, setting: &Setting<'_>) -> Option<Result<String, TemplateError>> {
        let (_, file) = self.documents.iter().find(|(document, _)| document.as_str() == name)?;
        Some(self.file(file, setting))
    }

    /// The names of the documents that machines fetch.
    pub fn documents(&self) -> impl Iterator<Item = &FileName> {
        self.documents.keys()
    }

    /// The image whose kernel the machine boots: the profile's, else its own.
    pub fn image<'a>(&'a self, machine: &'a Machine) -> Option<&'a ImageName> {
        match &self.kind {
            Kind::Installer(Kernel { image }) | Kind::Live(Kernel { image }) => {
                image.as_ref().or(machine.image.as_ref())
            }
            Kind::Image | Kind::Memory | Kind::Script(_) | Kind::Local | Kind::Menu(_) => machine.image.as_ref(),
        }
    }

    /// Everything that a machine could get, for machines of every sort: what cannot be rendered is found here.
    fn rehearse(&self) -> Result<(), Invalid> {
        for sample in samples() {
            let setting = sample.setting();
            match &self.kind {
                Kind::Installer(_) | Kind::Live(_) => drop(self.arguments(&setting)?),
                Kind::Script(file) if !self.file(file, &setting)?.starts_with("#!ipxe\n") => {
                    return Err(Invalid::NoScript(file.clone()));
                }
                Kind::Script(_) | Kind::Image | Kind::Memory | Kind::Local | Kind::Menu(_) => {}
            }
            for file in self.documents.values() {
                self.file(file, &setting)?;
            }
        }
        Ok(())
    }
}

impl Kind {
    /// Whether a kernel of an image's is started.
    pub(super) fn has_kernel(&self) -> bool {
        matches!(self, Self::Installer(_) | Self::Live(_))
    }

    /// The word for it in `profile.toml`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Installer(_) => "installer",
            Self::Live(_) => "live",
            Self::Memory => "memory",
            Self::Script(_) => "script",
            Self::Local => "local",
            Self::Menu(_) => "menu",
        }
    }
}

impl PartialEq for Profile {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, &self.source) == (&other.name, &other.source)
    }
}

impl Eq for Profile {}

#[cfg(test)]
pub(super) mod tests;
