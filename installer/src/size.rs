//! Amounts of bytes, written for people.

use std::fmt;

/// An amount of bytes, shown in the unit that keeps it under four digits: `1.5 GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut unit = 0;
        let mut rest = self.0;
        while rest >= 1024 && unit + 1 < UNITS.len() {
            rest /= 1024;
            unit += 1;
        }
        if unit == 0 {
            return write!(f, "{} bytes", self.0);
        }
        // In tenths, rounded down: a disk never looks larger than it is.
        let tenths = (u128::from(self.0) * 10) >> (10 * unit);
        match tenths % 10 {
            0 => write!(f, "{} {}", tenths / 10, UNITS[unit]),
            tenth => write!(f, "{}.{tenth} {}", tenths / 10, UNITS[unit]),
        }
    }
}

const UNITS: [&str; 6] = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_short_and_never_too_large() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1 KiB"),
            (1_610_612_736, "1.5 GiB"),
            ((1 << 30) - 1, "1023.9 MiB"),
            (u64::MAX, "16383.9 PiB"),
        ] {
            assert_eq!(Size(bytes).to_string(), text);
        }
    }
}
