//! A rehearsal: the whole installation as an ordinary process, with a file in the disk's place.
//!
//! It differs from the real thing in three ways only: modules and network are as they are, the disk is the file that one
//! names, and nothing is booted afterwards. The file has to be there, as long as the disk is to be.

use std::path::Path;

use lab_model::Phase;

use crate::install::{Failure, Surroundings, install};
use crate::{Patience, Reports, config, http};

/// Fetches the configuration at `url` and installs what it says on the file `disk`.
///
/// # Errors
/// Any phase failed; the failure has been reported to the server too, where its address was known.
pub fn rehearse(url: &str, disk: &Path, patience: Patience) -> Result<(), Failure> {
    let agent = http::agent(patience.silence);
    let reports = Reports::start(patience);
    let around = Surroundings { agent: &agent, patience, reports: &reports };
    let outcome = (|| {
        if std::fs::metadata(disk).is_ok_and(|disk| !disk.is_file()) {
            let reason = format!("{}: expected a plain file, a rehearsal writes to no disk", disk.display());
            return Err(Failure { phase: Phase::Disk, reason });
        }
        let config = config::fetch(&agent, url, patience).map_err(Failure::of(Phase::Config))?;
        reports.deliver_to(&config.events_url);
        reports.reached(Phase::Config, format_args!("machine {}", config.machine));
        install(&config, disk, &around)?;
        reports.reached(Phase::Boot, "only a rehearsal, nothing is booted");
        Ok(())
    })();
    if let Err(Failure { phase, reason }) = &outcome {
        reports.failed(*phase, reason);
    }
    reports.finish();
    outcome
}
