//! GRUB's script in statements of words (GNU GRUB manual §6.3.2 and §6.3.3).

use super::Environment;

/// One command with its arguments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Statement(Vec<Word>);

/// Text with variables in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Word {
    pieces: Vec<Piece>,
    /// An empty word in quotes is a word; a variable outside of quotes is as many words as it holds.
    quoted: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Letter(char),
    Variable(String),
}

impl Statement {
    /// The words with the variables put in; one that is not set is empty.
    pub(super) fn expanded(&self, environment: &Environment) -> Vec<String> {
        let mut words = Vec::new();
        for Word { pieces, quoted } in &self.0 {
            let mut text = String::new();
            for piece in pieces {
                match piece {
                    Piece::Letter(letter) => text.push(*letter),
                    // Set by GRUB itself, and only that an identifier follows.
                    Piece::Variable(name) if name == "menuentry_id_option" => text.push_str("--id"),
                    Piece::Variable(name) => text.push_str(environment.get(name).map_or("", String::as_str)),
                }
            }
            let is_variable = matches!(pieces[..], [Piece::Variable(_)]);
            match (quoted, is_variable) {
                (false, true) => words.extend(text.split_ascii_whitespace().map(str::to_owned)),
                (false, false) if text.is_empty() => {}
                _ => words.push(text),
            }
        }
        words
    }
}

/// Cuts a script into statements. Words that only introduce a command, such as `then`, are left out.
pub(super) fn statements(script: &str) -> Vec<Statement> {
    let mut reader = Reader::default();
    let mut letters = script.chars().peekable();
    while let Some(letter) = letters.next() {
        match (reader.quote, letter) {
            (Quote::Single, '\'') | (Quote::Double, '"') => reader.quote = Quote::None,
            (Quote::Single, _) => reader.letter(letter),
            (_, '\\') => match letters.next() {
                // A line that goes on.
                Some('\n') | None => {}
                Some(escaped) => reader.letter(escaped),
            },
            (_, '$') => {
                let braces = letters.next_if_eq(&'{').is_some();
                let belongs = |letter: &char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '?' | '@' | '#');
                let name = std::iter::from_fn(|| letters.next_if(belongs)).collect();
                if braces {
                    letters.next_if_eq(&'}');
                }
                reader.word().pieces.push(Piece::Variable(name));
            }
            (Quote::Double, _) => reader.letter(letter),
            (Quote::None, '\'') => reader.quoted(Quote::Single),
            (Quote::None, '"') => reader.quoted(Quote::Double),
            (Quote::None, '#') if reader.word.is_none() => while letters.next_if(|letter| *letter != '\n').is_some() {},
            (Quote::None, '\n' | ';') => reader.end_statement(),
            (Quote::None, letter) if letter.is_whitespace() => reader.end_word(),
            (Quote::None, letter) => reader.letter(letter),
        }
    }
    reader.end_statement();
    reader.statements
}

#[derive(Default)]
struct Reader {
    statements: Vec<Statement>,
    statement: Statement,
    word: Option<Word>,
    quote: Quote,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Quote {
    #[default]
    None,
    Single,
    Double,
}

impl Reader {
    fn word(&mut self) -> &mut Word {
        self.word.get_or_insert_default()
    }

    fn letter(&mut self, letter: char) {
        self.word().pieces.push(Piece::Letter(letter));
    }

    fn quoted(&mut self, quote: Quote) {
        self.quote = quote;
        self.word().quoted = true;
    }

    fn end_word(&mut self) {
        let Some(word) = self.word.take() else {
            return;
        };
        let is = |text: &str| {
            !word.quoted && word.pieces.iter().eq(text.chars().map(Piece::Letter).collect::<Vec<_>>().iter())
        };
        // What stands before a command on its line, and what ends a statement without a semicolon.
        let alone = ["then", "do"].into_iter().any(is);
        let (is_else, closes, opens) = (is("else"), is("}"), is("{"));
        if self.statement.0.is_empty() && alone {
            return;
        }
        self.statement.0.push(word);
        if opens || (self.statement.0.len() == 1 && (is_else || closes)) {
            self.statements.push(std::mem::take(&mut self.statement));
        }
    }

    fn end_statement(&mut self) {
        self.end_word();
        if !self.statement.0.is_empty() {
            self.statements.push(std::mem::take(&mut self.statement));
        }
    }
}
