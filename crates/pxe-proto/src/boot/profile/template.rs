//! Templates, and what is said of one that cannot be rendered.

use minijinja::{Environment, ErrorKind, UndefinedBehavior, Value};

use super::{Files, PROFILE_FILE};

/// The templates of one profile, each under its file's name.
#[derive(Clone, Debug)]
pub(super) struct Templates {
    environment: Environment<'static>,
}

/// A template that cannot be rendered: `preseed.cfg line 3: undefined value: `machine.adress` is undefined`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct TemplateError {
    place: String,
    problem: String,
}

/// A template does a few thousand steps; one that does more than this goes round in circles.
const FUEL: u64 = 200_000;

impl Templates {
    /// Takes every file but `profile.toml` for a template, so that one can include another.
    pub(super) fn new(files: &Files) -> Result<Self, TemplateError> {
        let mut environment = Environment::new();
        // `{% if machine.address %}` may be asked, but nothing that is missing can be printed.
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        environment.set_fuel(Some(FUEL));
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment.set_debug(true);
        let mut templates = Self { environment };
        for (file, text) in files.iter().filter(|(file, _)| *file != PROFILE_FILE) {
            // The engine drops a template's last newline, and a document ends with one.
            let text = if text.ends_with('\n') { format!("{text}\n") } else { text.clone() };
            templates.add(file, text)?;
        }
        Ok(templates)
    }

    pub(super) fn add(&mut self, name: &str, text: String) -> Result<(), TemplateError> {
        self.environment.add_template_owned(name.to_owned(), text).map_err(|error| TemplateError::new(name, &error))
    }

    pub(super) fn render(&self, name: &str, values: Value) -> Result<String, TemplateError> {
        let rendered = self.environment.get_template(name).and_then(|template| template.render(values));
        rendered.map_err(|error| TemplateError::new(name, &error))
    }
}

impl TemplateError {
    fn new(name: &str, error: &minijinja::Error) -> Self {
        let name = error.name().unwrap_or(name);
        let line = error.line().map(|line| format!(" line {line}")).unwrap_or_default();
        let problem = match (error.kind(), error.detail()) {
            (ErrorKind::OutOfFuel, _) => "it does not end: a loop goes round too often".to_owned(),
            (kind, Some(detail)) => format!("{kind}: {detail}"),
            (kind, None) => kind.to_string(),
        };
        Self { place: format!("{name}{line}"), problem }
    }
}
