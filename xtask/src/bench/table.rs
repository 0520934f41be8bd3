//! What a bench measured of several programs under the same load: a row for each figure, with ours, every peer's, and what
//! must hold between them.

use std::fmt;

use anyhow::Result;
use serde::Serialize;

use super::report::{Outcome, median};

/// The outcome of a bench with peers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Table {
    /// What was measured, in one line.
    pub(crate) title: String,
    /// How busy the machine was before the first run and after the last: its one-minute load averages.
    pub(crate) load: [f64; 2],
    /// Who was measured, ours first.
    pub(crate) programs: Vec<&'static str>,
    /// The figures.
    pub(crate) rows: Vec<Row>,
}

/// One figure of every program.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Row {
    /// Which load.
    pub(crate) name: String,
    /// Of the figures.
    pub(crate) unit: &'static str,
    /// In the order of the table's programs.
    pub(crate) figures: Vec<Figure>,
    /// What must hold.
    pub(crate) targets: Vec<Target>,
}

/// What was measured of one program.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Figure {
    /// In the order in which they were measured.
    pub(crate) runs: Vec<f64>,
    /// The middle one.
    pub(crate) median: f64,
}

/// A limit of our median, by itself or as a multiple of a peer's.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Target {
    /// The peer.
    pub(crate) of: Option<&'static str>,
    /// What was measured.
    pub(crate) value: f64,
    /// What is allowed.
    pub(crate) limit: Limit,
    /// Whether it is.
    pub(crate) holds: bool,
}

/// Which side is allowed.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Limit {
    /// Not less.
    AtLeast(f64),
    /// Not more.
    AtMost(f64),
}

impl Table {
    /// A table without rows.
    pub(crate) fn new(title: String, programs: Vec<&'static str>, load_before: f64) -> Self {
        Self { title, load: [load_before, load()], programs, rows: Vec::new() }
    }

    /// Adds a row: the runs of each program, and the limits of our median by itself (`None`) or over that of a peer.
    pub(crate) fn add(
        &mut self,
        name: &str,
        unit: &'static str,
        runs: Vec<Vec<f64>>,
        limits: &[(Option<&'static str>, Limit)],
    ) {
        let figures: Vec<_> = runs.into_iter().map(|runs| Figure { median: median(&runs), runs }).collect();
        let targets = limits.iter().map(|&(of, limit)| {
            let peer = of.map(|of| self.programs.iter().position(|&program| program == of));
            let over = peer.map_or(1.0, |peer| peer.map_or(f64::NAN, |peer| figures[peer].median));
            let value = figures[0].median / over;
            Target { of, value, limit, holds: limit.allows(value) }
        });
        let targets = targets.collect();
        self.rows.push(Row { name: name.to_owned(), unit, figures, targets });
    }
}

impl Limit {
    fn allows(self, value: f64) -> bool {
        match self {
            Self::AtLeast(limit) => value >= limit,
            Self::AtMost(limit) => value <= limit,
        }
    }
}

/// The machine's load average over the last minute (proc_loadavg(5)); not a number where it is not told.
pub(crate) fn load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(f64::NAN)
}

impl Outcome for Table {
    fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)?)
    }

    fn missed(&self) -> Vec<String> {
        let missed = |row: &Row| row.targets.iter().any(|target| !target.holds);
        self.rows.iter().filter(|row| missed(row)).map(|row| format!("{}, {}", row.name, row.unit)).collect()
    }
}

/// How wide the first column is, and each that follows.
const NAME: usize = 44;
const CELL: usize = 18;

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let runs = self.rows.first().and_then(|row| row.figures.first()).map_or(0, |figure| figure.runs.len());
        let [before, after] = self.load;
        writeln!(f, "{}\nMedians of {runs}; the machine's load was {before} before and {after} after.\n", self.title)?;
        write!(f, "{:<NAME$}", "")?;
        for program in &self.programs {
            write!(f, "{program:>CELL$}")?;
        }
        for Row { name, unit, figures, targets } in &self.rows {
            write!(f, "\n{:<NAME$}", format!("{name}, {unit}"))?;
            for figure in figures {
                match figure.runs[..] {
                    [] => write!(f, "{:>CELL$}", "–")?,
                    _ => write!(f, "{:>CELL$.3}", figure.median)?,
                }
            }
            for (number, target) in targets.iter().enumerate() {
                if number > 0 {
                    write!(f, "\n{:width$}", "", width = NAME + CELL * figures.len())?;
                }
                write!(f, "  {target}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { of, value, limit, holds } = self;
        let (sign, limit) = match limit {
            Limit::AtLeast(limit) => ("at least", limit),
            Limit::AtMost(limit) => ("at most", limit),
        };
        let verdict = if *holds { "holds" } else { "MISSED" };
        match of {
            Some(of) => write!(f, "{value:.2} × {of}, {sign} {limit}: {verdict}"),
            None => write!(f, "{sign} {limit}: {verdict}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_what_holds_between_us_and_whom() {
        let mut table =
            Table { title: "TFTP".to_owned(), load: [0.5, 1.5], programs: vec!["ours", "theirs"], rows: vec![] };

        table.add(
            "lock-step",
            "MiB/s",
            vec![vec![3.0, 1.0, 2.0], vec![4.0]],
            &[(Some("theirs"), Limit::AtLeast(1.0)), (None, Limit::AtMost(2.5))],
        );

        assert_eq!(table.missed(), ["lock-step, MiB/s"]);
        assert_eq!(
            table.to_string().lines().map(str::trim_end).collect::<Vec<_>>(),
            [
                "TFTP",
                "Medians of 3; the machine's load was 0.5 before and 1.5 after.",
                "",
                "                                                          ours            theirs",
                "lock-step, MiB/s                                         2.000             4.000  0.50 × theirs, at least 1: MISSED",
                "                                                                                  at most 2.5: holds",
            ]
        );
    }

    #[test]
    fn a_peer_that_was_not_measured_proves_nothing() {
        let mut table = Table::new(String::new(), vec!["ours", "theirs"], 0.0);

        table.add("", "s", vec![vec![1.0], vec![]], &[(Some("theirs"), Limit::AtMost(2.0))]);

        assert_eq!(table.missed().len(), 1);
    }
}
