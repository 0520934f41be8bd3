//! `cargo xtask bench all`: every bench of the services that ours is compared by, one after the other, as one outcome.
//!
//! Deliberately not here: the benches that boot or install machines under emulation, which take an hour.

use std::{collections::BTreeMap, fmt};

use anyhow::{Context as _, Result};
use lab_tests::Supplies;

use super::{dhcp, footprint, http, leases, report::Outcome, storm, table::Table, tftp};

/// Runs them all.
///
/// # Errors
/// Those of the first that fails; the message says which.
pub(crate) fn measure(runs: u8, supplies: &Supplies) -> Result<All> {
    let measure = |(name, measure): (&'static str, Measure)| {
        // Each says how far it is by steps of its own.
        eprintln!("bench {name}");
        Ok((name, measure(runs, supplies).with_context(|| format!("bench {name}"))?))
    };
    Ok(All(BENCHES.into_iter().map(measure).collect::<Result<_>>()?))
}

type Measure = fn(u8, &Supplies) -> Result<Table>;

const BENCHES: [(&str, Measure); 6] = [
    ("dhcp", dhcp::measure),
    ("tftp", tftp::measure),
    ("http", http::measure),
    ("storm", storm::measure),
    ("footprint", footprint::measure),
    ("leases", leases::measure),
];

/// What came of each.
pub(crate) struct All(Vec<(&'static str, Table)>);

impl Outcome for All {
    fn json(&self) -> Result<String> {
        let tables: BTreeMap<_, _> = self.0.iter().map(|(name, table)| (name, table)).collect();
        Ok(serde_json::to_string_pretty(&tables)?)
    }

    fn missed(&self) -> Vec<String> {
        let each = self.0.iter().flat_map(|(name, table)| table.missed().into_iter().map(move |row| (name, row)));
        each.map(|(name, row)| format!("{name}: {row}")).collect()
    }
}

impl fmt::Display for All {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (name, table)) in self.0.iter().enumerate() {
            let gap = if number == 0 { "" } else { "\n\n" };
            write!(f, "{gap}{name}: {table}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::table::Limit;

    #[test]
    fn what_is_missed_says_in_which_bench() {
        let table = |title: &str, figure| {
            let mut table = Table::new(title.to_owned(), vec!["ours"], 0.0);
            table.add("row", "s", vec![vec![figure]], &[(None, Limit::AtMost(1.0))]);
            table
        };
        let all = All(vec![("dhcp", table("addresses", 1.0)), ("tftp", table("files", 2.0))]);

        assert_eq!(all.missed(), ["tftp: row, s"]);
        let json: serde_json::Value = serde_json::from_str(&all.json().unwrap()).unwrap();
        assert_eq!(json["tftp"]["title"], "files");
        let text = all.to_string();
        assert!(text.starts_with("dhcp: addresses\n") && text.contains("\n\ntftp: files\n"), "{text}");
    }
}
