//! Where the logs of a lab go that a test starts: into a folder that outlives the test, however it ends.
//!
//! A test that fails says so on its way out; one that is killed says nothing. So the logs are written where they stay, and
//! the next run of the same test writes them anew.

use std::{
    env, fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    thread,
};

use anyhow::{Context, Result};

/// Names the folder that has one folder for each test; without it logs go with their lab.
pub const LOGS_VARIABLE: &str = "PVMLAB_TEST_LOGS";

/// The folder of the test that this thread runs; `None` where nobody keeps logs.
pub(crate) fn folder() -> Option<PathBuf> {
    let all = env::var_os(LOGS_VARIABLE).filter(|folder| !folder.is_empty())?;
    Some(of_test(Path::new(&all), thread::current().name()))
}

/// The same folder, empty.
///
/// # Errors
/// It cannot be made, or what an earlier run left cannot be removed.
pub(crate) fn fresh() -> Result<Option<PathBuf>> {
    let Some(folder) = folder() else { return Ok(None) };
    let failed = || format!("cannot make {} anew", folder.display());
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error).with_context(failed),
        Ok(()) | Err(_) => fs::create_dir_all(&folder).with_context(failed)?,
    }
    Ok(Some(folder))
}

/// The test harness gives each test's thread the name of the test.
fn of_test(all: &Path, thread: Option<&str>) -> PathBuf {
    all.join(thread.unwrap_or("unnamed").replace("::", "."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_the_name_of_its_test() {
        let name = "logs::tests::a_folder_has_the_name_of_its_test";

        assert_eq!(thread::current().name(), Some(name));
        assert_eq!(of_test(Path::new("/logs"), Some("bios::boots")), Path::new("/logs/bios.boots"));
    }
}
