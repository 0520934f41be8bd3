//! Option negotiation: what a client asks for, and what it gets (RFC 2347, 2348, 2349, 7440).

use super::Options;
use super::packet::{begin_option_ack, put_option};

/// The most that a server agrees to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Octets of file in one DATA packet.
    pub block_size: u16,
    /// DATA packets in flight.
    pub window: u16,
}

impl Default for Limits {
    /// A block that Ethernet carries unfragmented, because boot firmware that reassembles is rare and a lost fragment
    /// loses the block; and a window of which 1,500-octet packets fit into a socket's default send buffer.
    fn default() -> Self {
        Self { block_size: 1468, window: 64 }
    }
}

/// The options of a request that this server knows and that have a legal value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// `blksize` (RFC 2348), 8 to 65,464.
    pub block_size: Option<u16>,
    /// `tsize` (RFC 2349): the client wants to know the file's length.
    pub transfer_size: bool,
    /// `timeout` (RFC 2349), 1 to 255 seconds.
    pub timeout: Option<u8>,
    /// `windowsize` (RFC 7440), at least 1.
    pub window: Option<u16>,
}

impl Asked {
    /// Reads a request's options.
    ///
    /// Numbers above an option's range count as its maximum, since the answer may be lower in any case; other values
    /// that are no decimal number in range make the option unasked, as RFC 2347 has it for unknown options. Of an
    /// option given twice the first counts.
    pub fn read(options: Options<'_>) -> Self {
        let number = |name| options.value(name).and_then(decimal);
        let capped = |name, least, most: u16| {
            number(name)
                .filter(|&value| value >= least)
                .map(|value| u16::try_from(value).map_or(most, |value| value.min(most)))
        };
        Self {
            block_size: capped("blksize", 8, BLOCK_SIZE_MAX),
            transfer_size: number("tsize").is_some(),
            timeout: number("timeout").and_then(|seconds| u8::try_from(seconds).ok()).filter(|&seconds| seconds > 0),
            window: capped("windowsize", 1, u16::MAX),
        }
    }
}

/// What holds for a transfer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Agreed {
    block_size: Option<u16>,
    transfer_size: Option<u64>,
    timeout: Option<u8>,
    window: Option<u16>,
}

impl Agreed {
    /// Grants what was asked for, within the limits, for a file of `length` octets.
    ///
    /// An option that could only be granted as what holds without it is not acknowledged: a client is limited to that because its
    /// firmware is no good with it.
    pub fn grant(asked: &Asked, limits: Limits, length: u64) -> Self {
        Self {
            block_size: asked
                .block_size
                .map(|size| size.min(limits.block_size.max(BLOCK_SIZE_MIN)))
                .filter(|size| limits.block_size != BLOCK_SIZE || *size != BLOCK_SIZE),
            transfer_size: asked.transfer_size.then_some(length),
            timeout: asked.timeout,
            window: asked.window.filter(|_| limits.window > 1).map(|window| window.min(limits.window.min(WINDOW_MAX))),
        }
    }

    /// Octets of file in each DATA packet but the last.
    pub fn block_size(&self) -> u16 {
        self.block_size.unwrap_or(BLOCK_SIZE)
    }

    /// DATA packets that may be in flight.
    pub fn window(&self) -> u16 {
        self.window.unwrap_or(1)
    }

    /// Seconds to wait before sending again, when the client chose them.
    pub fn timeout(&self) -> Option<u8> {
        self.timeout
    }

    /// Whether nothing was granted: then there is no option acknowledgement, and the first packet is DATA (RFC 2347).
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    /// Replaces the buffer's contents by the option acknowledgement.
    pub(super) fn write_option_ack(&self, buffer: &mut Vec<u8>) {
        begin_option_ack(buffer);
        if let Some(size) = self.block_size {
            put_option("blksize", size, buffer);
        }
        if let Some(length) = self.transfer_size {
            put_option("tsize", length, buffer);
        }
        if let Some(seconds) = self.timeout {
            put_option("timeout", seconds, buffer);
        }
        if let Some(window) = self.window {
            put_option("windowsize", window, buffer);
        }
    }
}

/// A decimal number; one too long for the type counts as its maximum.
fn decimal(text: &[u8]) -> Option<u64> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    digits.then(|| {
        text.iter().fold(0_u64, |value, digit| value.saturating_mul(10).saturating_add(u64::from(digit - b'0')))
    })
}

/// RFC 1350 §2: without negotiation a block has 512 octets.
const BLOCK_SIZE: u16 = 512;

/// RFC 2348: "valid values range between 8 and 65464 octets, inclusive".
const BLOCK_SIZE_MIN: u16 = 8;

/// RFC 2348: "valid values range between 8 and 65464 octets, inclusive".
const BLOCK_SIZE_MAX: u16 = 65464;

/// Half the block numbers: an acknowledgement is then either of this window or of an earlier one, never of both.
const WINDOW_MAX: u16 = 0x7fff;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_what_is_asked_within_its_limits() {
        for (asked, answer) in [
            ("", ""),
            ("blksize=1432 tsize=0", "blksize=1432 tsize=1000000"),
            ("tsize=0 blksize=1468 windowsize=4", "blksize=1468 tsize=1000000 windowsize=4"),
            ("BLKSIZE=1024 TSize=0", "blksize=1024 tsize=1000000"),
            ("blksize=8", "blksize=8"),
            ("blksize=7", ""),
            ("blksize=0", ""),
            ("blksize=1469", "blksize=1468"),
            ("blksize=65464", "blksize=1468"),
            ("blksize=65465", "blksize=1468"),
            ("blksize=99999999999999999999999999", "blksize=1468"),
            ("blksize=-1", ""),
            ("blksize=+512", ""),
            ("blksize=0x200", ""),
            ("blksize=", ""),
            ("blksize=0512", "blksize=512"),
            ("blksize=512 blksize=1024", "blksize=512"),
            ("timeout=1", "timeout=1"),
            ("timeout=255", "timeout=255"),
            ("timeout=0", ""),
            ("timeout=256", ""),
            ("windowsize=1", "windowsize=1"),
            ("windowsize=0", ""),
            ("windowsize=65", "windowsize=64"),
            ("windowsize=65535", "windowsize=64"),
            ("windowsize=65536", "windowsize=64"),
            ("tsize=12345", "tsize=1000000"),
            ("tsize=x", ""),
            ("multicast= rollover=0 blksize2=1024", ""),
            ("rollover=0 tsize=0", "tsize=1000000"),
        ] {
            assert_eq!(negotiate(asked, Limits::default()), answer, "{asked}");
        }
    }

    #[test]
    fn grants_jumbo_blocks_where_the_limit_is_raised() {
        let limits = Limits { block_size: u16::MAX, window: u16::MAX };
        assert_eq!(negotiate("blksize=65464 windowsize=65535", limits), "blksize=65464 windowsize=32767");
        assert_eq!(negotiate("blksize=99999", limits), "blksize=65464");
    }

    #[test]
    fn a_limit_of_zero_is_the_least_that_is_legal() {
        let limits = Limits { block_size: 0, window: 0 };
        assert_eq!(negotiate("blksize=512 windowsize=9", limits), "blksize=8");
    }

    #[test]
    fn what_holds_without_an_option_is_granted_without_it() {
        let limits = Limits { block_size: 512, window: 1 };
        assert_eq!(negotiate("tsize=0 blksize=1468 windowsize=4", limits), "tsize=1000000");
        assert_eq!(negotiate("blksize=256", limits), "blksize=256");
        assert_eq!(negotiate("blksize=1468 windowsize=4", Limits { block_size: 1024, ..limits }), "blksize=1024");
    }

    /// The answer to options written as `name=value name=value`, in the same form.
    fn negotiate(asked: &str, limits: Limits) -> String {
        let mut wire = Vec::new();
        for (name, value) in asked.split_terminator(' ').filter_map(|option| option.split_once('=')) {
            put_option(name, value, &mut wire);
        }
        let agreed = Agreed::grant(&Asked::read(Options::from_wire(&wire)), limits, 1_000_000);
        let mut packet = Vec::new();
        agreed.write_option_ack(&mut packet);
        let answer: Vec<_> = Options::from_wire(&packet[2..])
            .iter()
            .map(|(name, value)| format!("{}={}", name.escape_ascii(), value.escape_ascii()))
            .collect();
        assert_eq!(agreed.is_plain(), answer.is_empty());
        answer.join(" ")
    }
}
