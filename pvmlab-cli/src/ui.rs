//! What a command says: data to standard output, as text or JSON; messages to standard error.

use serde::Serialize;

use crate::error::Result;

/// How this command speaks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ui {
    /// Data as JSON, for programs.
    pub(crate) json: bool,
    /// No messages but errors.
    pub(crate) quiet: bool,
}

impl Ui {
    /// Prints data: as one JSON document, or as `text` has it for people.
    ///
    /// # Errors
    /// The data has no JSON form, which tests exclude.
    pub(crate) fn data<T: Serialize>(self, data: &T, text: impl FnOnce(&T) -> String) -> Result<()> {
        let text =
            if self.json { serde_json::to_string_pretty(data).map_err(anyhow::Error::from)? } else { text(data) };
        anstream::println!("{}", text.trim_end());
        Ok(())
    }

    /// Tells a person what was done, unless they asked for silence.
    pub(crate) fn say(self, message: impl std::fmt::Display) {
        if !self.quiet {
            anstream::eprintln!("{message}");
        }
    }
}
