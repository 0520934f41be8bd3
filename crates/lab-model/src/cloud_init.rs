//! What a definition's owner tells cloud-init beside what the lab tells it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The cloud-init documents of one machine that its owner wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CloudInit {
    /// What the machine is to be, merged with the lab's own; its keys go before the lab's.
    pub user_data: Option<Document>,
    /// What user-data may override, merged with the lab's own.
    pub vendor_data: Option<Document>,
    /// How it reaches its networks, in place of the lab's own.
    pub network_config: Option<Document>,
}

/// A document as it was written. It may hold secrets, so it shows its text only to who asks for that: no log has it by accident.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Document(String);

impl Document {
    /// Three of them, with every line break and quotation mark escaped, fit into a definition of a mebibyte.
    pub const MAX_BYTES: usize = 128 << 10;

    /// The text.
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl From<String> for Document {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Document({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_written_whole_and_printed_never() {
        let document = Document::from("#cloud-config\npassword: secret\n".to_owned());

        assert_eq!(format!("{document:?}"), "Document(31 bytes)");
        let written = serde_json::to_string(&document).expect("a document has a JSON form");
        assert_eq!(serde_json::from_str::<Document>(&written).expect("its own form"), document);
    }
}
