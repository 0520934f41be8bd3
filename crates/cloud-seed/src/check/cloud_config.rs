//! `#cloud-config`: what it means for a machine that the lab looks after.

use super::{Finding, Value};
use crate::UserName;

/// # Errors
/// cloud-init would not understand it, or leave out something that it says.
pub(super) fn check(text: &str, user: &UserName) -> Result<Vec<Finding>, Finding> {
    let config = Value::parse(text)?;
    match &config {
        Value::Nothing => return Err(Finding::whole("it says nothing: expected keys such as `packages:`")),
        Value::Map(_) => {}
        Value::Number(_) | Value::Other | Value::Text(_) | Value::List(_) => {
            return Err(Finding::whole("a `#cloud-config` has keys: expected lines such as `packages: [nginx]`"));
        }
    }
    let of = |key: &str, problem: &str| Finding::of_key(text, key, format!("{key}: {problem}"));
    if config.get("network").is_some() {
        return Err(of("network", "cloud-init takes no network from here: put it into a network-config of its own"));
    }
    let users = match config.get("users") {
        None | Some(Value::Nothing) => &[],
        Some(users) => {
            users.list().ok_or_else(|| of("users", "expected a list, so that the lab's own user can be added"))?
        }
    };

    let mut warnings = Vec::new();
    for key in plain_passwords(&config, users) {
        warnings.push(of(key, "a password in plain text: write its hash, as `mkpasswd -m sha-512` makes it"));
    }
    let takes_the_keys = |entry: &Value| {
        entry.get("name").and_then(Value::text) == Some(user.as_str()) && entry.get("ssh_authorized_keys").is_some()
    };
    if users.iter().any(takes_the_keys) {
        let problem =
            format!("the keys of `{user}` are these alone then: the lab itself cannot log in without one of them");
        warnings.push(of("users", &problem));
    }
    let makes_the_default = users.iter().any(|entry| entry.text() == Some("default"));
    if config.get("ssh_authorized_keys").is_some() && !makes_the_default {
        let problem = format!(
            "they are for the image's own user, which is made only where `users:` has `default`; keys of `{user}` belong into \
             the machine's `ssh_key`"
        );
        warnings.push(of("ssh_authorized_keys", &problem));
    }
    if config.get("phone_home").is_some() {
        warnings
            .push(of("phone_home", "it takes the place of the lab's, which never learns then that the machine is up"));
    }
    if config.get("vendor_data").is_some() {
        warnings.push(of("vendor_data", "the lab learns by vendor-data that a machine is up: do not disable it"));
    }
    Ok(warnings)
}

/// The keys that hold passwords as they are typed.
fn plain_passwords(config: &Value, users: &[Value]) -> Vec<&'static str> {
    let is_plain = |value: Option<&Value>| match value {
        // `R` and `RANDOM` ask for one that nobody knows yet.
        Some(Value::Text(text)) => !text.starts_with('$') && !["", "R", "RANDOM"].contains(&text.as_str()),
        Some(Value::Number(_)) => true,
        Some(Value::Nothing | Value::Other | Value::List(_) | Value::Map(_)) | None => false,
    };
    let line_is_plain = |line: &str| {
        line.split_once(':').is_some_and(|(_, password)| is_plain(Some(&Value::Text(password.trim().to_owned()))))
    };
    let changes = config.get("chpasswd");
    let list_is_plain = match changes.and_then(|changes| changes.get("list")) {
        Some(Value::Text(lines)) => lines.lines().any(line_is_plain),
        Some(Value::List(lines)) => lines.iter().filter_map(Value::text).any(line_is_plain),
        Some(Value::Nothing | Value::Number(_) | Value::Other | Value::Map(_)) | None => false,
    };
    let listed = changes.and_then(|changes| changes.get("users")).and_then(Value::list).unwrap_or_default();
    [
        ("password", is_plain(config.get("password"))),
        ("chpasswd", list_is_plain || listed.iter().any(|entry| is_plain(entry.get("password")))),
        ("users", users.iter().any(|entry| is_plain(entry.get("plain_text_passwd")))),
    ]
    .into_iter()
    .filter_map(|(key, is_plain)| is_plain.then_some(key))
    .collect()
}
