//! What was found, and what to do about it.

use serde::Serialize;

use crate::error::Failure;
use crate::table::table;

/// One thing that was looked at.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    pub(super) check: String,
    pub(super) state: State,
    pub(super) found: String,
    pub(super) fix: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    Ok,
    Warning,
    Missing,
}

impl Finding {
    pub(super) fn ok(check: &str, found: impl Into<String>) -> Self {
        Self { check: check.to_owned(), state: State::Ok, found: found.into(), fix: None }
    }

    pub(super) fn warning(check: &str, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { check: check.to_owned(), state: State::Warning, found: found.into(), fix: Some(fix.into()) }
    }

    pub(super) fn missing(check: &str, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { state: State::Missing, ..Self::warning(check, found, fix) }
    }

    /// What a command would fail with.
    pub(super) fn of(check: &str, state: State, failure: &Failure) -> Self {
        let fix = Some(failure.hints().join("; ")).filter(|fix| !fix.is_empty());
        Self { check: check.to_owned(), state, found: failure.to_string(), fix }
    }
}

/// The findings for people.
pub(super) fn show(findings: &[Finding]) -> String {
    let rows: Vec<_> = findings
        .iter()
        .map(|finding| {
            let state = match finding.state {
                State::Ok => "ok",
                State::Warning => "warning",
                State::Missing => "missing",
            };
            [state.to_owned(), finding.check.clone(), finding.found.clone()]
        })
        .collect();
    let mut text = table(["STATE", "CHECK", "FOUND"], &rows);
    for finding in findings {
        if let Some(fix) = &finding.fix {
            text.push_str(&format!("\n{}: {fix}", finding.check));
        }
    }
    text
}
