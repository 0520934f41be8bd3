//! GRUB's configuration: which entries its menu has, and which is the default.
//!
//! It is a script for a shell (GNU GRUB manual §6.3). Understood is what `grub-mkconfig` and people write: variables,
//! entries, menus and simple conditions. Where a condition is not understood, both of its branches count.

mod words;

use super::Entry;
use super::grubenv::Environment;
use words::{Statement, statements};

/// A menu as it stands when the script has run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Menu {
    lines: Vec<Line>,
    default: String,
    /// Whether the entries are in files of their own.
    pub(crate) has_bls: bool,
    /// The variables in the end.
    pub(crate) environment: Environment,
}

/// An entry, and where in the menu it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    /// Of each menu that leads here and then of itself.
    path: Vec<Label>,
    entry: Entry,
}

/// By what a line of a menu can be named.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Label {
    index: usize,
    title: String,
    id: Option<String>,
}

impl Menu {
    /// Runs the script with the variables of `environment`, which GRUB loads from its environment block.
    pub(crate) fn read(script: &str, environment: Environment) -> Self {
        let mut run = Run { menu: Self { environment, ..Self::default() }, ..Run::default() };
        for statement in statements(script) {
            run.step(&statement);
        }
        let Menu { environment, .. } = &run.menu;
        let default = environment.get("default").cloned().unwrap_or_default();
        Self { default, ..run.menu }
    }

    /// The entries in the order in which they are tried: the default, then as they stand.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        let wanted: Vec<_> = self.default.split('>').collect();
        let is_default = |line: &&Line| {
            // A menu as the default means its first entry; an identifier is taken wherever it stands.
            let leads =
                line.path.len() >= wanted.len() && line.path.iter().zip(&wanted).all(|(label, name)| label.is(name));
            let is_it = || line.path.last().is_some_and(|label| label.id.as_deref() == Some(&*self.default));
            leads || is_it()
        };
        let default = self.lines.iter().find(is_default);
        default.into_iter().chain(&self.lines).map(|line| line.entry.clone()).collect()
    }

    /// What was saved as the default, for entries that are in files of their own.
    pub(crate) fn default_entry(&self) -> Option<&str> {
        Some(&*self.default).filter(|default| !default.is_empty())
    }
}

impl Label {
    fn is(&self, name: &str) -> bool {
        self.id.as_deref() == Some(name) || self.title == name || name.parse() == Ok(self.index)
    }
}

/// The script as it runs.
#[derive(Default)]
struct Run {
    menu: Menu,
    blocks: Vec<Block>,
    branches: Vec<Branch>,
    /// How many lines the top menu has so far.
    count: usize,
}

enum Block {
    /// A menu, with the number of lines in it so far.
    Menu(Label, usize),
    Entry(Label, Entry),
    /// A function, whose content is left out.
    Function,
}

/// A branch of a condition.
#[derive(Clone, Copy)]
struct Branch {
    runs: bool,
    /// Whether an earlier branch ran for certain.
    done: bool,
}

impl Run {
    fn step(&mut self, statement: &Statement) {
        let words = statement.expanded(&self.menu.environment);
        let Some((command, arguments)) = words.split_first() else {
            return;
        };
        let runs = self.branches.last().is_none_or(|branch| branch.runs);
        let outside = match self.branches.len().checked_sub(2).and_then(|at| self.branches.get(at)) {
            Some(branch) => branch.runs,
            None => true,
        };
        match command.as_str() {
            "if" => {
                let holds = condition(arguments);
                self.branches.push(Branch { runs: runs && holds != Some(false), done: holds == Some(true) });
            }
            "elif" => {
                let holds = condition(arguments);
                if let Some(branch) = self.branches.last_mut() {
                    branch.runs = outside && !branch.done && holds != Some(false);
                    branch.done |= holds == Some(true);
                }
            }
            "else" => {
                if let Some(branch) = self.branches.last_mut() {
                    branch.runs = outside && !branch.done;
                }
            }
            "fi" => {
                self.branches.pop();
            }
            "}" => self.close(),
            // What opens is closed, whether it runs or not.
            "menuentry" | "submenu" | "function" => self.open(command, arguments, runs),
            _ if runs => self.command(command, arguments),
            _ => {}
        }
    }

    fn command(&mut self, command: &str, arguments: &[String]) {
        match (command, self.blocks.last_mut()) {
            (_, Some(Block::Function)) => {}
            ("set", _) => {
                if let Some((name, value)) = arguments.first().and_then(|argument| argument.split_once('=')) {
                    self.menu.environment.insert(name.to_owned(), value.to_owned());
                }
            }
            ("blscfg", _) => self.menu.has_bls = true,
            // After the RAM file system comes nothing: what GRUB would start if this did not boot.
            ("linux" | "linux16" | "linuxefi", Some(Block::Entry(_, entry))) if entry.initrds.is_empty() => {
                let Some((kernel, arguments)) = arguments.split_first() else {
                    return;
                };
                entry.kernel = path(kernel);
                entry.arguments = Some(arguments.join(" "));
            }
            ("initrd" | "initrd16" | "initrdefi", Some(Block::Entry(_, entry))) => {
                entry.initrds.extend(arguments.iter().map(|argument| path(argument)));
            }
            _ => {}
        }
    }

    fn open(&mut self, command: &str, arguments: &[String], runs: bool) {
        if arguments.last().is_none_or(|last| last != "{") {
            return;
        }
        if command == "function" || !runs || matches!(self.blocks.last(), Some(Block::Function | Block::Entry(..))) {
            self.blocks.push(Block::Function);
            return;
        }
        let count = match self.blocks.last_mut() {
            Some(Block::Menu(_, count)) => count,
            _ => &mut self.count,
        };
        let index = *count;
        *count += 1;

        let id = arguments.iter().position(|word| word == "--id");
        let id = id.and_then(|at| arguments.get(at + 1)).cloned();
        let label = Label { index, title: arguments[0].clone(), id };
        self.blocks.push(match command {
            "submenu" => Block::Menu(label, 0),
            _ => Block::Entry(label, Entry::default()),
        });
    }

    fn close(&mut self) {
        if let Some(Block::Entry(label, entry)) = self.blocks.pop()
            && !entry.kernel.is_empty()
        {
            let menus = self.blocks.iter().filter_map(|block| match block {
                Block::Menu(label, _) => Some(label.clone()),
                Block::Entry(..) | Block::Function => None,
            });
            let path = menus.chain([label]).collect();
            self.menu.lines.push(Line { path, entry });
        }
    }
}

/// Whether it holds; `None` where only GRUB on the machine knows, such as what files there are.
fn condition(words: &[String]) -> Option<bool> {
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let ["[", inside @ .., "]"] = &words[..] else {
        return None;
    };
    match inside {
        [] => Some(false),
        [word] => Some(!word.is_empty()),
        ["-z", word] => Some(word.is_empty()),
        ["-n", word] => Some(!word.is_empty()),
        [left, "=" | "==", right] => Some(left == right),
        [left, "!=", right] => Some(left != right),
        _ => None,
    }
}

/// Without the device in front, such as `($root)`.
fn path(word: &str) -> String {
    match word.strip_prefix('(').and_then(|word| word.split_once(')')) {
        Some((_, path)) => path.to_owned(),
        None => word.to_owned(),
    }
}

#[cfg(test)]
mod tests;
