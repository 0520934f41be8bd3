//! What can be known of somebody's cloud-init document before a machine gets it.
//!
//! cloud-init says what it thinks of a document on the machine itself, where nobody can log in then, or nothing at all. What
//! it would not understand is an error here; what it would do though hardly anybody means it is a warning.

mod cloud_config;
mod network_config;
mod value;

use std::fmt;

use lab_model::{CloudInit, Document};

use self::value::Value;
use crate::UserName;
use crate::multipart::{BOUNDARY, is_multipart};

/// Which of a machine's documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// What the machine is to be.
    UserData,
    /// What user-data may override.
    VendorData,
    /// How it reaches its networks.
    NetworkConfig,
}

/// Something to say about a document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Finding {
    /// The line that it is about, from 1 on; `None`: the whole document.
    pub line: Option<usize>,
    /// What it is, and what to do.
    pub text: String,
}

/// Checks a document; `user` is the account that the lab's keys open. Returns the warnings.
///
/// # Errors
/// The first thing by which the document would not do what is meant.
pub fn check(purpose: Purpose, document: &Document, user: &UserName) -> Result<Vec<Finding>, Finding> {
    let text = document.text();
    if text.len() > Document::MAX_BYTES {
        let problem = format!(
            "{} bytes: expected at most {}; fetch what is large by `#include`",
            text.len(),
            Document::MAX_BYTES
        );
        return Err(Finding::whole(problem));
    }
    if text.trim().is_empty() {
        return Err(Finding::whole("it is empty"));
    }
    match purpose {
        Purpose::NetworkConfig => network_config::check(text),
        Purpose::UserData | Purpose::VendorData => by_first_line(text, user),
    }
}

/// Checks all documents of a machine; each warning comes with whose it is.
///
/// # Errors
/// The first thing that is wrong, and with which document.
pub fn check_all(documents: &CloudInit, user: &UserName) -> Result<Vec<(Purpose, Finding)>, (Purpose, Finding)> {
    let CloudInit { user_data, vendor_data, network_config } = documents;
    let mut warnings = Vec::new();
    for (purpose, document) in
        [(Purpose::UserData, user_data), (Purpose::VendorData, vendor_data), (Purpose::NetworkConfig, network_config)]
    {
        let Some(document) = document else { continue };
        let found = check(purpose, document, user).map_err(|finding| (purpose, finding))?;
        warnings.extend(found.into_iter().map(|finding| (purpose, finding)));
    }
    Ok(warnings)
}

/// cloud-init knows what a document is by how it begins.
fn by_first_line(text: &str, user: &UserName) -> Result<Vec<Finding>, Finding> {
    if is_multipart(text) {
        return check_multipart(text);
    }
    let first = text.lines().next().unwrap_or_default();
    let kind = first.trim().to_lowercase();
    let begins = |with: &str| kind.starts_with(with);
    match () {
        () if begins("#cloud-config-archive") => Value::parse(text)?
            .list()
            .map(|_| Vec::new())
            .ok_or_else(|| Finding::whole("a `#cloud-config-archive` is a list: expected items that begin with `- `")),
        () if begins("#cloud-config-jsonp") => Ok(Vec::new()),
        () if begins("#cloud-config") => cloud_config::check(text, user),
        () if begins("## template: jinja") => check_template(text),
        () if begins("#include") => check_include(text),
        () if begins("#!") => check_script(text),
        () if begins("#part-handler") || begins("#cloud-boothook") => Ok(Vec::new()),
        () if begins("# cloud-config") => Err(Finding::at(1, "`# cloud-config` is a comment: write `#cloud-config`")),
        () => Err(Finding::at(1, format!("cloud-init would not know what this is: expected one of {KINDS}"))),
    }
}

/// What a document begins with.
const KINDS: &str = "`#cloud-config`, `#!`, `#include`, `## template: jinja`, `#cloud-boothook`, `#cloud-config-archive`, \
     `#cloud-config-jsonp`, `#part-handler`, or `MIME-Version: 1.0` in the head of a message";

fn check_multipart(text: &str) -> Result<Vec<Finding>, Finding> {
    if !text.is_ascii() {
        let line = text.lines().position(|line| !line.is_ascii()).map_or(1, |at| at + 1);
        return Err(Finding::at(line, "cloud-init garbles what is not ASCII in a message: encode that part in base64"));
    }
    if text.contains(BOUNDARY) {
        return Err(Finding::whole(format!("the boundary `{BOUNDARY}` is the lab's own: choose another")));
    }
    let boundary = text.split_once("boundary=").map(|(_, rest)| rest.trim_start_matches('"'));
    let boundary = boundary.and_then(|rest| rest.split(['"', ';', '\n', '\r']).next()).unwrap_or_default();
    if boundary.is_empty() || !text.lines().any(|line| line.trim_end() == format!("--{boundary}")) {
        return Err(Finding::whole(
            "no part begins with the message's boundary: make it with `cloud-init devel make-mime`",
        ));
    }
    Ok(Vec::new())
}

/// What a template becomes is known on the machine alone, but not what kind of thing.
fn check_template(text: &str) -> Result<Vec<Finding>, Finding> {
    let second = text.lines().nth(1).unwrap_or_default().to_lowercase();
    if second.starts_with("#cloud-config") || second.starts_with("#!") || second.starts_with("#cloud-boothook") {
        return Ok(Vec::new());
    }
    Err(Finding::at(
        2,
        "cloud-init would not know what the template makes: expected `#cloud-config`, `#!` or `#cloud-boothook`",
    ))
}

fn check_include(text: &str) -> Result<Vec<Finding>, Finding> {
    let mut urls = 0;
    for (at, line) in text.lines().enumerate() {
        let lower = line.to_lowercase();
        let rest =
            ["#include-once", "#include"].iter().find_map(|word| lower.strip_prefix(word)).unwrap_or(&lower).trim();
        if rest.is_empty() || rest.starts_with('#') {
            continue;
        }
        if !["http://", "https://", "ftp://", "file://"].iter().any(|scheme| rest.starts_with(scheme)) {
            return Err(Finding::at(at + 1, "expected a URL, such as `https://…`"));
        }
        urls += 1;
    }
    if urls == 0 {
        return Err(Finding::whole("it includes nothing: expected a URL on a line of its own"));
    }
    Ok(vec![Finding::whole(
        "where the machine cannot fetch it, cloud-init does nothing at all, and nobody can log in: see its console",
    )])
}

fn check_script(text: &str) -> Result<Vec<Finding>, Finding> {
    let first = text.split('\n').next().unwrap_or_default();
    if first.ends_with('\r') {
        return Err(Finding::at(
            1,
            "the line ends as on Windows: the kernel would look for an interpreter with that in its name",
        ));
    }
    if !first[2..].trim_start().starts_with('/') {
        return Err(Finding::at(1, "expected the absolute path of an interpreter, as in `#!/bin/sh`"));
    }
    Ok(Vec::new())
}

impl Finding {
    fn at(line: usize, text: impl Into<String>) -> Self {
        Self { line: Some(line), text: text.into() }
    }

    fn whole(text: impl Into<String>) -> Self {
        Self { line: None, text: text.into() }
    }

    /// About a key at the left margin.
    fn of_key(document: &str, key: &str, text: impl Into<String>) -> Self {
        let is_key = |line: &str| line.strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with(':'));
        Self { line: document.lines().position(is_key).map(|at| at + 1), text: text.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.text),
            None => f.write_str(&self.text),
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::UserData => "user-data",
            Self::VendorData => "vendor-data",
            Self::NetworkConfig => "network-config",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_user_data_is_known() {
        for text in [
            "#cloud-config\npackages: [nginx]\n",
            "#cloud-config\nusers:\n  - default\n  - name: ann\n    ssh_authorized_keys: [ssh-ed25519 AAAA ann]\n",
            "#!/bin/sh\necho ü\n",
            "#! /usr/bin/env python3\n",
            "## template: jinja\n#cloud-config\nhostname: {{ v1.local_hostname }}-x\n",
            "#cloud-config-archive\n- type: text/x-shellscript\n  content: |\n    #!/bin/sh\n",
            "#cloud-config-jsonp\n[{ \"op\": \"add\", \"path\": \"/packages\", \"value\": [\"nginx\"] }]\n",
            "#cloud-boothook\necho early\n",
            "#part-handler\ndef list_types(): return []\n",
            "Content-Type: multipart/mixed; boundary=\"x\"\nMIME-Version: 1.0\n\n--x\n\n#!/bin/sh\n--x--\n",
        ] {
            assert_eq!(checked(text), Ok(vec![]), "{text}");
        }
    }

    #[test]
    fn what_cloud_init_would_not_understand_is_told_with_its_line() {
        let tab = "#cloud-config\nruncmd:\n\t- ls\n";
        let large = format!("#!/bin/sh\n{}", "x".repeat(Document::MAX_BYTES));
        let texts = [
            "",
            "# cloud-config\na: 1\n",
            "packages: [nginx]\n",
            "#!bash\n",
            "#!/bin/sh\r\necho\r\n",
            tab,
            "#cloud-config\npackages: [nginx\nhostname: web\n",
            "#cloud-config\npackages:\n  - a\n  b\n",
            "#cloud-config\n- a\n",
            "#cloud-config\n# nothing\n",
            "#cloud-config\npackages: [a]\nhostname: web\npackages: [b]\n",
            "#cloud-config\nhostname: web\nnetwork:\n  version: 2\n",
            "#cloud-config\nusers:\n  ann: true\n",
            "## template: jinja\nhostname: x\n",
            "#include\nftp.example/a\n",
            "#include\n# nothing\n",
            "#cloud-config-archive\na: 1\n",
            "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"x\"\n\n--y\n",
            "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"x\"\n\n--x\n\n#!/bin/sh\necho ü\n--x--\n",
            &large,
        ];

        let said = texts.map(|text| {
            let shown: String = text.chars().take(60).collect();
            format!("{shown:?}\n  {}\n", checked(text).expect_err(text))
        });

        insta::assert_snapshot!(said.concat());
    }

    #[test]
    fn what_hardly_anybody_means_is_a_warning() {
        let texts = [
            "#cloud-config\npassword: secret\n",
            "#cloud-config\nchpasswd:\n  list: |\n    ann:secret\n",
            "#cloud-config\nchpasswd:\n  users:\n    - {name: ann, password: secret, type: text}\n",
            "#cloud-config\nusers:\n  - name: ann\n    plain_text_passwd: secret\n",
            "#cloud-config\nusers:\n  - name: lab\n    ssh_authorized_keys: [ssh-ed25519 AAAA ann]\n",
            "#cloud-config\nssh_authorized_keys: [ssh-ed25519 AAAA ann]\n",
            "#cloud-config\nphone_home: {url: http://example.com/}\n",
            "#cloud-config\nvendor_data: {enabled: false}\n",
            "#include https://example.com/a\n",
        ];

        let said = texts.map(|text| {
            let warnings = checked(text).expect(text);
            assert!(!warnings.is_empty(), "{text}");
            format!("{text:?}\n{}", warnings.iter().map(|warning| format!("  {warning}\n")).collect::<String>())
        });

        insta::assert_snapshot!(said.concat());
    }

    #[test]
    fn what_is_meant_so_is_no_warning() {
        for text in [
            "#cloud-config\npassword: $6$salt$hash\nchpasswd: {expire: false}\n",
            "#cloud-config\nchpasswd:\n  list: |\n    ann:$6$salt$hash\n    bob:R\n",
            "#cloud-config\nusers: [default]\nssh_authorized_keys: [ssh-ed25519 AAAA ann]\n",
            "#cloud-config\nusers: []\n",
            "#cloud-config\nwrite_files:\n  - path: /etc/makefile\n    content: |\n      a:\n      \tb\n",
        ] {
            assert_eq!(checked(text), Ok(vec![]), "{text}");
        }
    }

    #[test]
    fn a_network_configuration_says_its_version() {
        let check = |text: &str| check(Purpose::NetworkConfig, &text.to_owned().into(), &UserName::default());
        for text in [
            "version: 2\nethernets:\n  lab:\n    match: {name: 'e*'}\n    dhcp4: true\n",
            "network:\n  version: 2\n  renderer: networkd\n  ethernets: {}\n",
            "version: 1\nconfig:\n  - type: physical\n    name: eth0\n",
            "version: 1\nconfig: disabled\n",
        ] {
            assert_eq!(check(text), Ok(vec![]), "{text}");
        }

        let said = [
            "ethernets: {}\n",
            "version: 3\n",
            "version: 1\nethernets: {}\n",
            "version: 2\nconfig: []\n",
            "version: 2\nethernet: {}\n",
            "version: 2\nethernets: []\n",
            "- version: 2\n",
            "version: 2\nethernets:\n\tlab: {}\n",
            "#!/bin/sh\n",
        ]
        .map(|text| {
            let said = match check(text) {
                Err(error) => error.to_string(),
                Ok(warnings) => format!("warning: {}", warnings.first().expect(text)),
            };
            format!("{text:?}\n  {said}\n")
        });

        insta::assert_snapshot!(said.concat());
    }

    fn checked(text: &str) -> Result<Vec<Finding>, Finding> {
        check(Purpose::UserData, &text.to_owned().into(), &UserName::default())
    }
}
