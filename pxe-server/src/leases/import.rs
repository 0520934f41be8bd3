//! Another server's leases, taken over.
//!
//! All or nothing: each family's journal is written anew with what was there and what came, and takes the old one's place by rename. The
//! state folder is locked meanwhile, so no server gives away an address of which it is about to hear.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::Context;
use clap::{Args, ValueEnum};
use pxe_proto::dhcp::NotTakenOver;
use pxe_proto::lease_file::{self, Entry, Fault, Format, Lease};

use super::Leases;
use super::book::Book;
use crate::config::{Config, Durability};
use crate::state::State;

/// Another server's leases.
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// Kea's memfile, dnsmasq's or ISC dhcpd's leases, or what `export` wrote.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Who wrote the file; found out by its content where it is not given.
    #[arg(long, value_name = "FORMAT")]
    format: Option<ImportFormat>,
    /// Says what would be imported, and changes nothing; a server may be running.
    #[arg(long)]
    dry_run: bool,
    /// Imports the rest where some lines cannot be read; without it nothing is imported then.
    #[arg(long)]
    skip_bad_lines: bool,
}

/// Who wrote a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ImportFormat {
    /// This server.
    Json,
    /// Kea, IPv4 or IPv6.
    Kea,
    /// dnsmasq.
    Dnsmasq,
    /// ISC dhcpd, IPv4 or IPv6.
    Isc,
}

impl From<ImportFormat> for Format {
    fn from(format: ImportFormat) -> Self {
        match format {
            ImportFormat::Json => Self::Json,
            ImportFormat::Kea => Self::Kea,
            ImportFormat::Dnsmasq => Self::Dnsmasq,
            ImportFormat::Isc => Self::Isc,
        }
    }
}

/// Longer than the file of a million leases; what is longer is something else.
const LONGEST_BYTES: u64 = 512 << 20;

impl Import {
    /// Imports the file; says what was left out, and why. The exit code is that of a failure if lines could not be read.
    ///
    /// # Errors
    /// The file cannot be read, or a server is running.
    pub(crate) fn run(&self, config: &Config) -> anyhow::Result<ExitCode> {
        let text = read(&self.file)?;
        let format = match self.format {
            Some(format) => format.into(),
            None => Format::of(&text).with_context(|| {
                format!("{}: neither Kea, dnsmasq nor ISC dhcpd writes leases like that", self.file.display())
            })?,
        };
        let locked = match self.dry_run {
            true => None,
            false => Some(State::open(&config.state()).context("leases are imported while no server runs")?),
        };
        let mut book = Book::read(config)?;
        let now = SystemTime::now();
        let entries = lease_file::read(&text, format, now.into());
        let report = Report::of(&entries, &mut book, now);
        report.faults.iter().for_each(|(line, what)| eprintln!("{}:{line}: {what}", self.file.display()));
        if report.unreadable > 0 && !self.skip_bad_lines {
            anyhow::bail!(
                "nothing is imported: {} of {} entries cannot be read; --skip-bad-lines imports the rest",
                report.unreadable,
                entries.len()
            );
        }
        if let Some(state) = locked {
            let Report { imported, imported6, .. } = report;
            if imported > 0 {
                write(&state.leases(), book.leases.leases())?;
            }
            if imported6 > 0 {
                write(&state.leases6(), book.all6())?;
            }
        }
        report.print(format, self.dry_run);
        Ok(if report.unreadable > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

/// What became of a file.
#[derive(Debug, Default)]
struct Report {
    imported: usize,
    imported6: usize,
    /// How many entries were left out for what reason.
    skipped: BTreeMap<String, usize>,
    unreadable: usize,
    /// What somebody may want to look at, with the line.
    faults: Vec<(usize, String)>,
}

impl Report {
    /// Has the engines take over what they can.
    fn of(entries: &[Entry], book: &mut Book, now: SystemTime) -> Self {
        let mut report = Self::default();
        let latest = lease_file::latest(entries);
        let readable = entries.iter().filter(|entry| entry.lease.is_ok()).count();
        if readable > latest.len() {
            report.skipped.insert("replaced by a later entry".to_owned(), readable - latest.len());
        }
        for Entry { line, lease } in entries {
            match lease {
                Ok(_) => (),
                Err(fault @ Fault::Unreadable(_)) => {
                    report.unreadable += 1;
                    report.faults.push((*line, fault.to_string()));
                }
                Err(fault @ Fault::Foreign(_)) => report.skip(*line, &fault.to_string(), None),
            }
        }
        for Entry { line, lease } in latest.into_iter().map(|at| &entries[at]) {
            let Ok(lease) = lease else { continue };
            match lease {
                Lease::V4(record) => match book.leases.take_over(record.clone(), now) {
                    Ok(()) => report.imported += 1,
                    Err(reason) => report.skip_lease(*line, lease, reason),
                },
                Lease::V6(record) => match &mut book.leases6 {
                    None => report.skip_lease(*line, lease, NotTakenOver::<std::net::Ipv6Addr>::Outside),
                    Some(leases6) => match leases6.take_over(record.clone(), now) {
                        Ok(()) => report.imported6 += 1,
                        Err(reason) => report.skip_lease(*line, lease, reason),
                    },
                },
            }
        }
        report.faults.sort_unstable();
        report
    }

    fn skip_lease<A: pxe_proto::dhcp::Address>(&mut self, line: usize, lease: &Lease, reason: NotTakenOver<A>) {
        match reason {
            // Of these a file has thousands, and nobody can do anything about them.
            NotTakenOver::Ended | NotTakenOver::Known => *self.skipped.entry(reason.to_string()).or_default() += 1,
            NotTakenOver::Taken(_) => {
                self.skip(line, "another machine has the address", Some((lease, &reason.to_string())))
            }
            NotTakenOver::Has(_) => {
                self.skip(line, "the machine has another address", Some((lease, &reason.to_string())))
            }
            NotTakenOver::Outside
            | NotTakenOver::NotInPool
            | NotTakenOver::ReservedForAnother
            | NotTakenOver::OnProbation => {
                let reason = reason.to_string();
                self.skip(line, &reason, Some((lease, &reason)));
            }
        }
    }

    fn skip(&mut self, line: usize, reason: &str, lease: Option<(&Lease, &str)>) {
        *self.skipped.entry(reason.to_owned()).or_default() += 1;
        let what = match lease {
            Some((lease, detail)) => format!("{} of {}: {detail}", lease.address(), lease.mac()),
            None => reason.to_owned(),
        };
        self.faults.push((line, what));
    }

    fn print(&self, format: Format, dry_run: bool) {
        let verb = if dry_run { "would import" } else { "imported" };
        println!("{verb} {} IPv4 and {} IPv6 leases of {}", self.imported, self.imported6, format.name());
        for (reason, count) in &self.skipped {
            println!("left out {count}: {reason}");
        }
        if self.unreadable > 0 {
            println!("left out {}: cannot be read", self.unreadable);
        }
    }
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let failed = || format!("cannot read {}", path.display());
    let length = fs::metadata(path).with_context(failed)?.len();
    anyhow::ensure!(length <= LONGEST_BYTES, "{} is no file of leases: it has {length} bytes", path.display());
    fs::read(path).with_context(failed)
}

fn write<'a, A: serde::Serialize + serde::de::DeserializeOwned + 'a>(
    path: &Path,
    leases: impl Iterator<Item = &'a pxe_proto::dhcp::LeaseRecord<A>>,
) -> anyhow::Result<()> {
    let (mut journal, _) = Leases::open::<A>(path, Durability::Synced)?;
    journal.replace_all(leases).with_context(|| format!("cannot write the leases to {}", path.display()))
}
