//! `distros.yaml`: the distributions that a person listed, in the first pvmlab's form.

use std::collections::BTreeMap;
use std::fs;
use std::io;

use lab_model::{Arch, ImageName};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::error::{Failure, Kind, Result};
use crate::home::Home;

/// The names and architectures that the catalogue lists; none where there is no catalogue.
///
/// Where each is to be had is not read here: nothing is downloaded yet.
///
/// # Errors
/// The file cannot be read, or is no list of distributions.
pub(crate) fn catalogue(home: &Home) -> Result<Vec<(ImageName, Arch)>> {
    let path = home.catalogue();
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(anyhow::Error::from(error).context(format!("cannot read {}", path.display())).into()),
    };
    let entries = parse(&text).map_err(|problem| {
        Failure::new(Kind::Failed, format!("{}: {problem}", path.display()))
            .hinted("correct it, or move it away: it only lists what could be had")
    })?;
    Ok(entries
        .into_iter()
        .flat_map(|Entry { name, arch }| arch.into_keys().map(move |arch| (name.clone(), arch)))
        .collect())
}

#[derive(Deserialize)]
struct Entry {
    name: ImageName,
    arch: BTreeMap<Arch, IgnoredAny>,
}

fn parse(text: &str) -> Result<Vec<Entry>, String> {
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(Vec::new());
    }
    serde_saphyr::from_str(text).map_err(|error| error.to_string().trim_start_matches("error: ").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_first_pvmlabs_form() {
        let text = "
# A comment.
- name: ubuntu-24.04
  distro_name: ubuntu
  version: \"24.04\"
  arch:
    aarch64: {iso_url: \"https://example.org/a.iso\", iso_name: a.iso, kernel_file: casper/vmlinuz}
    x86_64:
      iso_url: \"https://example.org/x.iso\"
";

        let entries = parse(text).expect("a catalogue");

        assert_eq!(entries.len(), 1);
        assert_eq!(entries[0].name.as_str(), "ubuntu-24.04");
        assert_eq!(entries[0].arch.keys().copied().collect::<Vec<_>>(), Arch::ALL);
    }

    #[test]
    fn an_empty_file_lists_nothing() {
        assert_eq!(parse("# nothing yet\n").map(|entries| entries.len()), Ok(0));
        assert!(parse("ubuntu: 1\n").is_err());
    }
}
