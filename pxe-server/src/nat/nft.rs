//! The program `nft`, which tells the kernel (nft(8)).

use std::ffi::OsStr;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::{env, thread};

use anyhow::{Context as _, bail};
use serde::Deserialize;

use super::ruleset::Transaction;

/// Carries out a transaction.
///
/// # Errors
/// There is no such program, or the kernel refuses: then nothing has changed.
pub(super) fn apply(transaction: &Transaction) -> anyhow::Result<()> {
    nft(&["-j", "-f", "-"], &json(transaction)).map(drop)
}

/// Has a transaction looked at and not carried out.
///
/// # Errors
/// As [`apply`].
pub(super) fn try_out(transaction: &Transaction) -> anyhow::Result<()> {
    nft(&["-c", "-j", "-f", "-"], &json(transaction)).map(drop)
}

/// Looks for the program.
///
/// # Errors
/// There is none.
pub(super) fn is_there() -> anyhow::Result<()> {
    nft(&["--version"], &[]).map(drop)
}

/// Whether the kernel has this table of the `inet` family.
///
/// # Errors
/// There is no such program, or the kernel refuses.
pub(super) fn has_table(name: &str) -> anyhow::Result<bool> {
    let listing = nft(&["-j", "list", "tables", "inet"], &[])?;
    let listing: Listing = serde_json::from_slice(&listing).context("nft lists tables in an unknown form")?;
    Ok(listing.nftables.into_iter().filter_map(|entry| entry.table).any(|table| table.name == name))
}

/// The chains of others that drop what they are not told to forward, as `ip filter FORWARD`. Without an answer there are none.
pub(super) fn other_gates(own_table: &str) -> Vec<String> {
    let listing = nft(&["-j", "list", "chains"], &[]).ok();
    listing.map(|listing| gates(&listing, own_table)).unwrap_or_default()
}

fn gates(listing: &[u8], own_table: &str) -> Vec<String> {
    let Ok(listing) = serde_json::from_slice::<Listing>(listing) else { return Vec::new() };
    let chains = listing.nftables.into_iter().filter_map(|entry| entry.chain);
    let gates = chains.filter(|chain| {
        chain.hook.as_deref() == Some("forward") && chain.policy.as_deref() == Some("drop") && chain.table != own_table
    });
    gates.map(|Chain { family, table, name, .. }| format!("{family} {table} {name}")).collect()
}

/// What `nft -j list` prints, as far as it matters here; it has more in every version.
#[derive(Deserialize)]
struct Listing {
    nftables: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    table: Option<Table>,
    chain: Option<Chain>,
}

#[derive(Deserialize)]
struct Table {
    name: String,
}

#[derive(Deserialize)]
struct Chain {
    family: String,
    table: String,
    name: String,
    hook: Option<String>,
    policy: Option<String>,
}

fn json(transaction: &Transaction) -> Vec<u8> {
    serde_json::to_vec(transaction).expect("a transaction has a JSON form")
}

/// Runs the program to its end and returns what it printed.
fn nft(arguments: &[&str], input: &[u8]) -> anyhow::Result<Vec<u8>> {
    let Some(program) = find(env::var_os("PATH").as_deref()) else {
        bail!("there is no program `nft`: install it (`apt install nftables`), or leave [nat] out of the configuration")
    };
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot run {command:?}"))?;
    let mut stdin = child.stdin.take().expect("it is piped");
    let (written, output) = thread::scope(|scope| {
        // Beside reading: neither side waits for the other, however much there is.
        let writer = scope.spawn(move || stdin.write_all(input));
        let output = child.wait_with_output();
        (writer.join().unwrap_or_else(|_| Err(io::ErrorKind::Other.into())), output)
    });
    let output = output.with_context(|| format!("cannot run {command:?}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.trim().lines().collect::<Vec<_>>().join(" ");
        bail!(
            "nft refuses ({}): {said}: the kernel must have nf_tables, nft_ct, nft_chain_nat and nft_masq \
             (`modprobe nft_masq`; in a container, on its host)",
            output.status
        );
    }
    // A program that needs no input may be gone before it took any.
    match written {
        Err(error) if !input.is_empty() => Err(error).context("cannot talk to nft"),
        _ => Ok(output.stdout),
    }
}

/// The program in one of these folders, or where it lies for root: an ordinary user's path often lacks that.
fn find(path: Option<&OsStr>) -> Option<PathBuf> {
    let folders = path.map(|path| env::split_paths(path).collect::<Vec<_>>()).unwrap_or_default();
    let folders = folders.into_iter().chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join("nft")).find(|program| program.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_firewall_that_drops_what_it_does_not_know_is_seen() {
        let listing = br#"{"nftables": [
            {"metainfo": {"version": "1.0.6", "json_schema_version": 1}},
            {"chain": {"family": "ip", "table": "filter", "name": "FORWARD", "handle": 1, "type": "filter", "hook": "forward", "prio": 0, "policy": "drop"}},
            {"chain": {"family": "ip", "table": "filter", "name": "DOCKER", "handle": 2}},
            {"chain": {"family": "inet", "table": "other", "name": "forward", "handle": 2, "type": "filter", "hook": "forward", "prio": 0, "policy": "accept"}},
            {"chain": {"family": "inet", "table": "other", "name": "input", "handle": 2, "type": "filter", "hook": "input", "prio": 0, "policy": "drop"}},
            {"chain": {"family": "inet", "table": "pvmlab-lab", "name": "forward", "handle": 2, "type": "filter", "hook": "forward", "prio": 0, "policy": "drop"}}
        ]}"#;

        assert_eq!(gates(listing, "pvmlab-lab"), ["ip filter FORWARD"]);
        assert_eq!(gates(b"", "pvmlab-lab"), Vec::<String>::new());
    }

    #[test]
    fn an_ordinary_users_path_is_enough() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("nft"), "").expect("a file");

        assert_eq!(find(Some(folder.path().as_os_str())), Some(folder.path().join("nft")));
        assert_eq!(find(Some(OsStr::new("/nowhere"))), find(None));
    }
}
