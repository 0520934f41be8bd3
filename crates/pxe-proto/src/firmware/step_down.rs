//! What is tried next when firmware fails.
//!
//! Firmware that loses a transfer is served more gently the next time, and goes on being so: that it succeeds then does not tell whether the
//! gentler way was needed, or a cable was loose the first time, and to try the old way again would be to fail every other time. The cost
//! is small, a second for a boot program. So only time ends it: a machine that was just switched off in the middle is not treated so for
//! ever.
//!
//! Each step is chosen by the terms on which a transfer failed, so two transfers that fail on the same terms are one step, and none is
//! ever taken back before its time.

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use lab_model::{Event, FetchedFile, Firmware, TransferTerms, What};

use super::Treatment;

/// One step towards what every firmware can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// TFTP without windows (RFC 7440).
    NoWindow,
    /// TFTP with blocks of 1024 bytes at most, which pass every tunnel and VLAN in one piece.
    SmallBlocks,
    /// TFTP as RFC 1350 has it, with blocks of 512 bytes.
    SmallestBlocks,
    /// PXE in place of UEFI HTTP Boot.
    NoHttpBoot,
}

/// How gently a machine's firmware is served; it follows from the machine's events alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepDown {
    /// The furthest for TFTP.
    tftp: Option<Step>,
    no_http_boot: bool,
    /// When the latest step was taken.
    taken: Option<Timestamp>,
    /// Whether it was offered a URL as UEFI HTTP Boot when it asked last.
    url_offered: bool,
    /// Whether it took that offer, and has fetched nothing from the URL yet.
    url_unused: bool,
    /// Whether it boots by PXE too: without that, nothing would be left to it.
    knows_pxe: bool,
}

/// How long a machine is treated so after the latest step.
const KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);

impl StepDown {
    /// Takes note of what happened. Returns the step that it leads to, with the reason, where it does; `has_program` is whether the machine
    /// had its boot program in this boot already.
    pub(crate) fn record(&mut self, event: &Event, has_program: bool) -> Option<(Step, String)> {
        if !self.counts(event.at) {
            (self.tftp, self.no_http_boot, self.taken) = (None, false, None);
        }
        let step = match &event.what {
            What::TransferFailed { file, reason, terms: Some(terms) } if !has_program => {
                let next = Step::gentler_than(*terms).filter(|step| self.tftp.is_none_or(|taken| *step > taken));
                next.map(|step| (step, format!("{file}: {reason}")))
            }
            // Firmware that fails over IPv4 may try IPv6 next: only what it does after that tells.
            What::Offer { firmware, address: IpAddr::V4(_) } | What::Directed { firmware } => self.asks(*firmware),
            What::Url => {
                self.url_offered = true;
                None
            }
            What::Ack { firmware, address: IpAddr::V4(_) } | What::Elsewhere { firmware, .. }
                if is_http_boot(*firmware) =>
            {
                self.url_unused = self.url_offered;
                None
            }
            What::Ack { firmware: Firmware::Ipxe, .. }
            | What::Elsewhere { firmware: Firmware::Ipxe, .. }
            | What::Script { .. }
            | What::Fetch { file: FetchedFile::BootProgram, .. } => {
                self.forget_url();
                None
            }
            What::Offer { .. } | What::Ack { .. } | What::Elsewhere { .. } | What::Class { .. } => None,
            What::TransferFailed { .. } | What::Nak { .. } | What::Decline { .. } | What::Transfer { .. } => None,
            What::Quirk { .. } | What::StepDown { .. } | What::Once { .. } => None,
            What::Fetch { .. } | What::FetchAborted { .. } | What::FetchRefused { .. } => None,
            What::Installer(_) | What::Up => None,
        };
        if let Some((step, _)) = &step {
            self.taken = Some(event.at);
            match step {
                Step::NoWindow | Step::SmallBlocks | Step::SmallestBlocks => self.tftp = Some(*step),
                Step::NoHttpBoot => self.no_http_boot = true,
            }
        }
        step
    }

    /// How the machine's firmware is to be answered.
    pub fn treatment(&self, now: Timestamp) -> Treatment {
        if !self.counts(now) {
            return Treatment::default();
        }
        let tftp = self.tftp.map(Step::treatment).unwrap_or_default();
        Treatment { no_http_boot: self.no_http_boot, ..tftp }
    }

    /// The latest step for a machine that asks `firmware`'s way, if it is in force.
    pub fn step(&self, firmware: Option<Firmware>, now: Timestamp) -> Option<Step> {
        let by_url = firmware.is_some_and(is_http_boot);
        let step = if by_url { self.no_http_boot.then_some(Step::NoHttpBoot) } else { self.tftp };
        step.filter(|_| self.counts(now))
    }

    /// Whether the steps that were taken are in force. A clock that was put back ends nothing.
    fn counts(&self, now: Timestamp) -> bool {
        self.taken.is_none_or(|taken| now.duration_since(taken) < KEPT)
    }

    /// Forgets the URL: it was used, or is told anew.
    fn forget_url(&mut self) {
        (self.url_offered, self.url_unused) = (false, false);
    }

    /// Takes note of firmware that begins a boot.
    fn asks(&mut self, firmware: Firmware) -> Option<(Step, String)> {
        let by_pxe = match firmware {
            Firmware::Bios | Firmware::UefiX64 | Firmware::UefiArm64 => true,
            Firmware::HttpX64 | Firmware::HttpArm64 => false,
            Firmware::Ipxe | Firmware::Installer | Firmware::Os | Firmware::Unsupported => return None,
        };
        self.knows_pxe |= by_pxe;
        let failed = self.url_unused;
        self.forget_url();
        let reason = || "it has asked again without having fetched anything from its URL".to_owned();
        (failed && self.knows_pxe && !self.no_http_boot).then(|| (Step::NoHttpBoot, reason()))
    }
}

impl Step {
    /// The first step that makes a difference to a transfer on these terms; none where it failed on the gentlest.
    fn gentler_than(terms: TransferTerms) -> Option<Self> {
        let steps = [Self::NoWindow, Self::SmallBlocks, Self::SmallestBlocks];
        steps.into_iter().find(|step| {
            let Treatment { block_size, window, .. } = step.treatment();
            window.is_some_and(|most| terms.window_blocks > most)
                || block_size.is_some_and(|most| terms.block_bytes > most)
        })
    }

    fn treatment(self) -> Treatment {
        let tftp = |block_size| Treatment { block_size, window: Some(1), ..Treatment::default() };
        match self {
            Self::NoWindow => tftp(None),
            Self::SmallBlocks => tftp(Some(1024)),
            Self::SmallestBlocks => tftp(Some(512)),
            Self::NoHttpBoot => Treatment { no_http_boot: true, ..Treatment::default() },
        }
    }

    /// The step in one word, for events and logs.
    pub fn word(self) -> &'static str {
        match self {
            Self::NoWindow => "no-window",
            Self::SmallBlocks => "blocks-of-1024",
            Self::SmallestBlocks => "blocks-of-512",
            Self::NoHttpBoot => "no-http-boot",
        }
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NoWindow => "TFTP without windows",
            Self::SmallBlocks => "TFTP without windows, in blocks of 1024 bytes",
            Self::SmallestBlocks => "TFTP without windows, in blocks of 512 bytes",
            Self::NoHttpBoot => "PXE in place of HTTP Boot",
        })
    }
}

fn is_http_boot(firmware: Firmware) -> bool {
    matches!(firmware, Firmware::HttpX64 | Firmware::HttpArm64)
}

#[cfg(test)]
mod tests;
