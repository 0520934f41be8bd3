//! Failures that the server has not heard of, from one attempt to the next.
//!
//! An attempt is a process of its own, and one that gets no address can tell nobody. What it could not deliver stays in a file in the
//! initrd's memory, and the first attempt with a network delivers it.

use std::fs;
use std::path::Path;

use lab_model::InstallerReport;

/// Keeps the failures among `undelivered` in the file at `path`; the latest ones, where there are many.
///
/// A file that cannot be written costs a report and nothing else.
pub fn keep(path: &Path, undelivered: &[InstallerReport]) {
    let failures: Vec<_> = undelivered.iter().filter(|report| report.failure.is_some()).collect();
    let latest = &failures[failures.len().saturating_sub(MOST)..];
    let lines = latest.iter().filter_map(|report| {
        let late = InstallerReport { detail: Some(LATE.to_owned()), ..(*report).clone() };
        serde_json::to_string(&late).ok()
    });
    let text: String = lines.map(|line| line + "\n").collect();
    let _ = fs::write(path, text);
}

/// Takes what was kept at `path`, in its order; nothing where there is none.
pub fn take(path: &Path) -> Vec<InstallerReport> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let _ = fs::remove_file(path);
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// As many as there are attempts.
const MOST: usize = 8;

const LATE: &str = "reported late, because the server could not be reached";

#[cfg(test)]
mod tests {
    use lab_model::Phase;

    use super::*;

    #[test]
    fn failures_are_kept_once_and_progress_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("backlog");
        let progress = InstallerReport { phase: Phase::Start, percent: None, failure: None, detail: None };
        let failure =
            InstallerReport { phase: Phase::Network, failure: Some("no answer".to_owned()), ..progress.clone() };

        keep(&path, &[progress, failure.clone()]);

        assert_eq!(take(&path), [InstallerReport { detail: Some(LATE.to_owned()), ..failure }]);
        assert_eq!(take(&path), []);
    }

    #[test]
    fn of_many_failures_the_latest_are_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("backlog");
        let failure = |number: usize| InstallerReport {
            phase: Phase::Network,
            percent: None,
            failure: Some(number.to_string()),
            detail: None,
        };

        keep(&path, &(0..20).map(failure).collect::<Vec<_>>());

        let reasons: Vec<_> = take(&path).into_iter().filter_map(|report| report.failure).collect();
        assert_eq!(reasons, ["12", "13", "14", "15", "16", "17", "18", "19"]);
    }
}
