//! Boot loader entries, one file each (UAPI group's Boot Loader Specification, type 1), as Fedora's GRUB and systemd-boot read them.

use std::cmp::Ordering;

use super::Entry;
use super::grubenv::Environment;
use super::version::compare;

/// One entry's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bls {
    /// The file's name without `.conf`, by which a default is named.
    id: String,
    title: String,
    version: String,
    pub(crate) entry: Entry,
}

impl Bls {
    /// Reads the file called `name`. `None` when it starts no kernel, such as an entry for an EFI program.
    ///
    /// GRUB puts the variables of `environment` in; one that it does not have is empty.
    pub(crate) fn read(name: &str, text: &str, environment: &Environment) -> Option<Self> {
        let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
        let pairs = lines.filter_map(|line| line.split_once(|letter: char| letter.is_ascii_whitespace()));
        let mut options = Vec::new();
        let mut bls = Self {
            id: name.trim_end_matches(".conf").to_owned(),
            title: String::new(),
            version: String::new(),
            entry: Entry::default(),
        };
        for (key, value) in pairs {
            let value = value.trim();
            match key {
                "title" => value.clone_into(&mut bls.title),
                "version" => value.clone_into(&mut bls.version),
                "linux" => value.clone_into(&mut bls.entry.kernel),
                // GRUB takes several on one line, and variables that were never set.
                "initrd" => {
                    let paths = value.split_ascii_whitespace().filter(|path| path.starts_with('/'));
                    bls.entry.initrds.extend(paths.map(str::to_owned));
                }
                "options" => options.extend(words(value, environment)),
                _ => {}
            }
        }
        bls.entry.arguments = Some(options.join(" "));
        (!bls.entry.kernel.is_empty()).then_some(bls)
    }

    fn is_called(&self, name: &str) -> bool {
        self.id == name || self.title == name
    }
}

/// Puts the entries in the order in which they are tried: the saved one, then newer versions before older ones.
pub(crate) fn choose(mut entries: Vec<Bls>, saved: Option<&str>) -> Vec<Bls> {
    entries.sort_by(|left, right| {
        let saved = |bls: &Bls| saved.is_some_and(|name| bls.is_called(name));
        saved(right).cmp(&saved(left)).then_with(|| newer_first(left, right))
    });
    entries
}

/// By version, and by name where versions are the same or not there.
fn newer_first(left: &Bls, right: &Bls) -> Ordering {
    compare(&right.version, &left.version).then_with(|| compare(&right.id, &left.id))
}

fn words(value: &str, environment: &Environment) -> Vec<String> {
    let words = value.split_ascii_whitespace().map(|word| match word.strip_prefix('$') {
        Some(name) => environment.get(name.trim_matches(['{', '}'])).cloned().unwrap_or_default(),
        None => word.to_owned(),
    });
    words.filter(|word| !word.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_an_entry_as_fedora_writes_it() {
        let text = "title Fedora Linux (6.10.14-200.fc40.x86_64) 40 (Cloud Edition)
version 6.10.14-200.fc40.x86_64
linux /vmlinuz-6.10.14-200.fc40.x86_64
initrd /initramfs-6.10.14-200.fc40.x86_64.img $tuned_initrd
options root=UUID=7 ro $kernelopts console=ttyS0 ${none} $tuned_params
grub_users $grub_users
";
        let environment = Environment::from([("kernelopts".to_owned(), "quiet x=1".to_owned())]);

        let bls = Bls::read("3c1f-6.10.14-200.fc40.x86_64.conf", text, &environment).expect("an entry");

        let entry = Entry {
            kernel: "/vmlinuz-6.10.14-200.fc40.x86_64".to_owned(),
            initrds: vec!["/initramfs-6.10.14-200.fc40.x86_64.img".to_owned()],
            arguments: Some("root=UUID=7 ro quiet x=1 console=ttyS0".to_owned()),
        };
        assert_eq!(bls.entry, entry);
        assert!(bls.is_called("3c1f-6.10.14-200.fc40.x86_64"));
    }

    #[test]
    fn the_saved_entry_comes_first_and_a_rescue_kernel_last() {
        let entries = || {
            let versions = ["6.9.0-1", "0-rescue-3c1f", "6.10.0-1"];
            let read =
                |version| Bls::read(version, &format!("version {version}\nlinux /{version}"), &Environment::new());
            versions.into_iter().filter_map(read).collect()
        };
        let order = |saved| choose(entries(), saved).into_iter().map(|bls| bls.id).collect::<Vec<_>>();

        assert_eq!(order(None), ["6.10.0-1", "6.9.0-1", "0-rescue-3c1f"]);
        assert_eq!(order(Some("6.9.0-1")), ["6.9.0-1", "6.10.0-1", "0-rescue-3c1f"]);
        assert_eq!(order(Some("gone")), ["6.10.0-1", "6.9.0-1", "0-rescue-3c1f"]);
    }

    #[test]
    fn an_entry_that_starts_no_kernel_is_none() {
        assert_eq!(Bls::read("memtest.conf", "title Memtest\nefi /memtest.efi\n", &Environment::new()), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(linux|options|initrd|[$ \t\n{}é/]|a){0,40}") {
            let _ = Bls::read("a.conf", &text, &Environment::new());
        }
    }
}
