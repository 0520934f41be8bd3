//! `profile.toml` as it is written.

use std::collections::BTreeMap;

use lab_model::{FileName, ImageName, ProfileName};
use serde::Deserialize;

use super::{Files, Invalid, Kernel, Kind, Menu, Selector};

/// What `profile.toml` says, every key where it belongs.
pub(super) struct Written {
    pub(super) kind: Kind,
    pub(super) arguments: Option<String>,
    pub(super) documents: BTreeMap<FileName, FileName>,
    pub(super) description: String,
    pub(super) vars: BTreeMap<String, String>,
    pub(super) selector: Option<Selector>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Keys {
    kind: Word,
    #[serde(default)]
    description: String,
    image: Option<ImageName>,
    arguments: Option<String>,
    script: Option<FileName>,
    items: Option<Vec<ProfileName>>,
    default: Option<ProfileName>,
    timeout_seconds: Option<u16>,
    documents: Option<BTreeMap<FileName, FileName>>,
    #[serde(default)]
    vars: BTreeMap<String, String>,
    #[serde(rename = "match")]
    selector: Option<Selector>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Word {
    Image,
    Installer,
    Live,
    Memory,
    Script,
    Local,
    Menu,
}

impl Written {
    /// Reads `profile.toml`; `files` are all of the profile's.
    pub(super) fn parse(text: &str, files: &Files) -> Result<Self, Invalid> {
        let mut keys: Keys =
            toml::from_str(text).map_err(|error| Invalid::Malformed(error.to_string().trim_end().to_owned()))?;
        let kind = keys.kind()?;
        keys.refuse_the_rest(kind.word())?;
        let mut named: Vec<_> =
            keys.documents.iter().flat_map(BTreeMap::values).map(|file| ("documents", file)).collect();
        if let Kind::Script(file) = &kind {
            named.push(("script", file));
        }
        if let Some((key, file)) = named.into_iter().find(|(_, file)| !files.contains_key(file.as_str())) {
            return Err(Invalid::NoFile { key, file: file.clone() });
        }
        let Keys { arguments, documents, description, vars, selector, .. } = keys;
        Ok(Self { kind, arguments, documents: documents.unwrap_or_default(), description, vars, selector })
    }
}

impl Keys {
    /// Takes out the keys that the kind consists of.
    fn kind(&mut self) -> Result<Kind, Invalid> {
        let needed = |key, kind| Invalid::Needed { key, kind };
        Ok(match self.kind {
            Word::Image => Kind::Image,
            Word::Local => Kind::Local,
            Word::Memory => Kind::Memory,
            Word::Installer => Kind::Installer(Kernel { image: self.image.take() }),
            Word::Live => Kind::Live(Kernel { image: self.image.take() }),
            Word::Script => Kind::Script(self.script.take().ok_or(needed("script", "script"))?),
            Word::Menu => {
                let items = self.items.take().ok_or(needed("items", "menu"))?;
                let first = items.first().ok_or(Invalid::Menu("items: empty: expected the names of profiles"))?;
                let default = self.default.take().unwrap_or_else(|| first.clone());
                if !items.contains(&default) {
                    return Err(Invalid::Menu("default: expected one of `items`"));
                }
                Kind::Menu(Menu {
                    items,
                    default,
                    timeout_seconds: self.timeout_seconds.take().unwrap_or(TIMEOUT_SECONDS),
                })
            }
        })
    }

    /// What is left would have no effect, and whoever wrote it expects one.
    fn refuse_the_rest(&self, kind: &'static str) -> Result<(), Invalid> {
        let boots_a_kernel = matches!(self.kind, Word::Installer | Word::Live);
        if boots_a_kernel && self.arguments.is_none() {
            return Err(Invalid::Needed { key: "arguments", kind });
        }
        let serves = boots_a_kernel || matches!(self.kind, Word::Script);
        let left = [
            ("image", self.image.is_some()),
            ("arguments", self.arguments.is_some() && !boots_a_kernel),
            ("script", self.script.is_some()),
            ("items", self.items.is_some()),
            ("default", self.default.is_some()),
            ("timeout-seconds", self.timeout_seconds.is_some()),
            ("documents", self.documents.is_some() && !serves),
        ];
        match left.into_iter().find(|(_, is_there)| *is_there) {
            Some((key, _)) => Err(Invalid::Meaningless { key, kind }),
            None => Ok(()),
        }
    }
}

/// Long enough to read a short menu.
const TIMEOUT_SECONDS: u16 = 20;
