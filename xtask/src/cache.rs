//! The folder outside of the clone where what takes long to build or fetch is kept.
//!
//! `$PVMLAB_CACHE`, or `$XDG_CACHE_HOME/pvmlab`, or `~/.cache/pvmlab`. An entry is a folder with a `recipe.json`: the text of
//! everything that determines its content. An entry whose recipe is the one asked for is used as it is; any other is built
//! anew, in a temporary folder beside it, and put in its place whole. So an interrupted build leaves nothing that looks
//! finished.

use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use nix::fcntl::{self, RenameFlags};

/// The cache of one user.
#[derive(Clone, Debug)]
pub(crate) struct Cache {
    root: PathBuf,
}

impl Cache {
    /// Finds the cache of this user; its folder need not exist.
    ///
    /// # Errors
    /// Neither `PVMLAB_CACHE` nor `HOME` is set.
    pub(crate) fn of_user() -> Result<Self> {
        let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let root = set("PVMLAB_CACHE")
            .or_else(|| set("XDG_CACHE_HOME").map(|caches| caches.join("pvmlab")))
            .or_else(|| set("HOME").map(|home| home.join(".cache/pvmlab")));
        match root {
            Some(root) => Ok(Self { root: std::path::absolute(root)? }),
            None => bail!("no folder to cache in: set PVMLAB_CACHE"),
        }
    }

    /// The folder `path` of the cache, whether it exists or not.
    pub(crate) fn folder(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// The folder `path`, as `recipe` describes it: the one that is there, or a new one that `build` filled.
    ///
    /// Waits while another process builds the same entry.
    ///
    /// # Errors
    /// Those of `build`, which leaves the previous entry as it was; or the cache cannot be written.
    pub(crate) fn entry(&self, path: &str, recipe: &str, build: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        let folder = self.folder(path);
        let (Some(parent), Some(name)) = (folder.parent(), folder.file_name().and_then(|name| name.to_str())) else {
            bail!("{path} is no folder of the cache");
        };
        fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
        let lock_path = parent.join(format!(".{name}.lock"));
        let lock = File::create(&lock_path).with_context(|| format!("cannot create {}", lock_path.display()))?;
        if lock.try_lock().is_err() {
            eprintln!("waiting for another process that builds {}", folder.display());
            lock.lock().with_context(|| format!("cannot lock {}", lock_path.display()))?;
        }
        if is_built(&folder, recipe) {
            return Ok(folder);
        }

        let work = tempfile::Builder::new()
            .prefix(&format!(".{name}."))
            .tempdir_in(parent)
            .with_context(|| format!("cannot create a folder in {}", parent.display()))?;
        let fresh = work.path().join("entry");
        fs::create_dir(&fresh)?;
        build(&fresh)?;
        fs::write(fresh.join(RECIPE_FILE), recipe)?;
        put(&fresh, &folder).with_context(|| format!("cannot put {} in its place", folder.display()))?;
        Ok(folder)
    }
}

/// The file of an entry that says what it was built from.
const RECIPE_FILE: &str = "recipe.json";

fn is_built(folder: &Path, recipe: &str) -> bool {
    fs::read_to_string(folder.join(RECIPE_FILE)).is_ok_and(|found| found == recipe)
}

/// Moves `fresh` to `folder`; what was there goes to the place of `fresh`, to be removed with its temporary folder.
fn put(fresh: &Path, folder: &Path) -> Result<()> {
    if folder.exists() {
        fcntl::renameat2(fcntl::AT_FDCWD, fresh, fcntl::AT_FDCWD, folder, RenameFlags::RENAME_EXCHANGE)?;
    } else {
        fs::rename(fresh, folder)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_an_entry_once() {
        let (_folder, cache) = empty_cache();

        let first = cache.entry("images/a", "1", |folder| write(folder, "first")).unwrap();
        let second = cache.entry("images/a", "1", |_| bail!("built twice")).unwrap();

        assert_eq!(first, second);
        assert_eq!(read(&second), "first");
    }

    #[test]
    fn builds_an_entry_anew_when_its_recipe_changed() {
        let (_folder, cache) = empty_cache();

        cache.entry("images/a", "1", |folder| write(folder, "first")).unwrap();
        let entry = cache.entry("images/a", "2", |folder| write(folder, "second")).unwrap();

        assert_eq!(read(&entry), "second");
    }

    #[test]
    fn keeps_the_previous_entry_when_a_build_fails() {
        let (_folder, cache) = empty_cache();

        let entry = cache.entry("images/a", "1", |folder| write(folder, "first")).unwrap();
        let failed = cache.entry("images/a", "2", |folder| {
            write(folder, "half")?;
            bail!("no space left")
        });

        assert_eq!(failed.map_err(|error| error.to_string()), Err("no space left".to_owned()));
        assert_eq!(read(&entry), "first");
        let left: Vec<_> =
            fs::read_dir(cache.folder("images")).unwrap().map(|file| file.unwrap().file_name()).collect();
        assert_eq!(left.len(), 2, "the entry and its lock: {left:?}");
    }

    fn empty_cache() -> (tempfile::TempDir, Cache) {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache { root: folder.path().to_owned() };
        (folder, cache)
    }

    fn write(folder: &Path, text: &str) -> Result<()> {
        Ok(fs::write(folder.join("content"), text)?)
    }

    fn read(folder: &Path) -> String {
        fs::read_to_string(folder.join("content")).unwrap()
    }
}
