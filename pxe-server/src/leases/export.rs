//! Who has which address, for other servers to start from.

use std::time::SystemTime;

use clap::ValueEnum;
use pxe_proto::lease_file::{self, Format};

use super::book::{Book, is_current};
use crate::config::Config;

/// Whose file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// This server's: a JSON object a line, both families.
    Json,
    /// Kea's memfile for IPv4.
    Kea,
    /// Kea's memfile for IPv6; each client's DUID is taken to be made of its hardware address.
    Kea6,
    /// dnsmasq's, IPv4 only.
    Dnsmasq,
    /// ISC dhcpd's, IPv4 only.
    Isc,
}

/// Prints every lease that has not ended.
///
/// # Errors
/// They cannot be read.
pub(crate) fn export(config: &Config, format: ExportFormat) -> anyhow::Result<()> {
    let book = Book::read(config)?;
    let now = SystemTime::now().into();
    let leases: Vec<_> = book.leases.leases().filter(|lease| is_current(lease, now)).cloned().collect();
    let leases6: Vec<_> = book.all6().filter(|lease| is_current(lease, now)).cloned().collect();
    let ipv6 = |format| lease_file::write6(&leases6, format).unwrap_or_default();
    let text = match format {
        ExportFormat::Json => lease_file::write(&leases, Format::Json) + &ipv6(Format::Json),
        ExportFormat::Kea => lease_file::write(&leases, Format::Kea),
        ExportFormat::Kea6 => ipv6(Format::Kea),
        ExportFormat::Dnsmasq => lease_file::write(&leases, Format::Dnsmasq),
        ExportFormat::Isc => lease_file::write(&leases, Format::Isc),
    };
    print!("{text}");
    Ok(())
}
