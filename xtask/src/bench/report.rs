//! What a bench measured: columns of runs, their medians, and the targets that they are held against.

use std::fmt;

use anyhow::Result;
use serde::Serialize;

/// What a bench found out: shown as text, written as JSON, and held against its targets.
pub(crate) trait Outcome: fmt::Display {
    /// All of it, for programs.
    ///
    /// # Errors
    /// It has no JSON form.
    fn json(&self) -> Result<String>;

    /// The names of the targets that do not hold.
    fn missed(&self) -> Vec<String>;
}

/// The outcome of a bench that has columns of runs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Report {
    /// What was measured, in one line.
    pub(crate) title: String,
    /// Who was measured, in the order of the table.
    pub(crate) columns: Vec<Column>,
    /// What must hold.
    pub(crate) targets: Vec<Target>,
}

/// One thing that was measured several times.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Column {
    /// Whose figures, or which.
    pub(crate) name: &'static str,
    /// Of the figures.
    pub(crate) unit: &'static str,
    /// In the order in which they were measured; never empty.
    pub(crate) runs: Vec<f64>,
    /// The middle one.
    pub(crate) median: f64,
}

/// An upper limit.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Target {
    /// What is limited.
    pub(crate) name: &'static str,
    /// What was measured.
    pub(crate) value: f64,
    /// What is allowed.
    pub(crate) at_most: f64,
    /// Whether it is.
    pub(crate) holds: bool,
}

impl Column {
    /// A column of at least one run.
    pub(crate) fn new(name: &'static str, unit: &'static str, runs: Vec<f64>) -> Self {
        let median = median(&runs);
        Self { name, unit, runs, median }
    }
}

impl Target {
    /// Holds `value` against its limit.
    pub(crate) fn new(name: &'static str, value: f64, at_most: f64) -> Self {
        Self { name, value, at_most, holds: value <= at_most }
    }
}

impl Outcome for Report {
    fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)?)
    }

    fn missed(&self) -> Vec<String> {
        self.targets.iter().filter(|target| !target.holds).map(|target| target.name.to_owned()).collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n", self.title)?;
        let line = |f: &mut fmt::Formatter<'_>, name: &str, cell: &dyn Fn(&Column) -> String| {
            write!(f, "{name:<10}")?;
            for column in &self.columns {
                write!(f, "{:>24}", cell(column))?;
            }
            writeln!(f)
        };
        line(f, "", &|column| format!("{} ({})", column.name, column.unit))?;
        let runs = self.columns.iter().map(|column| column.runs.len()).max().unwrap_or(0);
        for run in 0..runs {
            let cell = |column: &Column| column.runs.get(run).map(|figure| format!("{figure:.3}")).unwrap_or_default();
            line(f, &format!("run {}", run + 1), &cell)?;
        }
        line(f, "median", &|column| format!("{:.3}", column.median))?;
        for Target { name, value, at_most, holds } in &self.targets {
            let verdict = if *holds { "holds" } else { "MISSED" };
            write!(f, "\n{name}: {value:.3}, at most {at_most}: {verdict}")?;
        }
        Ok(())
    }
}

/// The middle one, or what is between the two; not a number where there is none.
pub(crate) fn median(runs: &[f64]) -> f64 {
    let mut sorted = runs.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_run_or_between_the_two() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
    }

    #[test]
    fn a_report_says_which_target_is_missed() {
        let report = Report {
            title: "boot".to_owned(),
            columns: vec![Column::new("dnsmasq+nginx", "s", vec![8.0]), Column::new("pxe-server", "s", vec![4.0])],
            targets: vec![Target::new("ratio", 0.5, 0.35)],
        };

        assert_eq!(report.missed(), ["ratio"]);
        assert_eq!(
            report.to_string().lines().map(str::trim_end).collect::<Vec<_>>(),
            [
                "boot",
                "",
                "                 dnsmasq+nginx (s)          pxe-server (s)",
                "run 1                        8.000                   4.000",
                "median                       8.000                   4.000",
                "",
                "ratio: 0.500, at most 0.35: MISSED",
            ]
        );
    }

    #[test]
    fn a_target_that_could_not_be_measured_does_not_hold() {
        assert!(!Target::new("ratio", f64::NAN, 0.35).holds);
    }
}
