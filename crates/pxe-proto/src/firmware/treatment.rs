//! How one machine's firmware is answered.

use crate::tftp::Limits;

/// What is done otherwise than for everybody. By default nothing is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Treatment {
    /// The most octets of file in one packet of TFTP. At 512 the option is not acknowledged at all (RFC 2348).
    pub block_size: Option<u16>,
    /// The most packets of TFTP in flight. At 1 the option is not acknowledged at all (RFC 7440).
    pub window: Option<u16>,
    /// It gets no URL when it asks for one as UEFI HTTP Boot, and so goes on to PXE.
    pub no_http_boot: bool,
    /// What it is told in option 43 (RFC 2132 §8.4), with `PXEClient` as vendor class, if it boots by TFTP.
    pub vendor_options: Option<&'static [u8]>,
}

impl Treatment {
    /// Both at once: of each limit the lower one.
    pub fn and(self, other: Self) -> Self {
        let lower = |one: Option<u16>, other: Option<u16>| one.into_iter().chain(other).min();
        Self {
            block_size: lower(self.block_size, other.block_size),
            window: lower(self.window, other.window),
            no_http_boot: self.no_http_boot || other.no_http_boot,
            vendor_options: self.vendor_options.or(other.vendor_options),
        }
    }

    /// What a client so treated may negotiate, where others may have `limits`.
    pub fn limits(self, limits: Limits) -> Limits {
        Limits {
            block_size: self.block_size.map_or(limits.block_size, |most| most.min(limits.block_size)),
            window: self.window.map_or(limits.window, |most| most.min(limits.window)),
        }
    }

    /// Whether it makes a difference where everybody has these limits.
    pub fn is_felt(self, limits: Limits) -> bool {
        self.no_http_boot || self.vendor_options.is_some() || self.limits(limits) != limits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_treatments_the_lower_limits_count() {
        let one = Treatment { block_size: Some(1024), no_http_boot: true, ..Treatment::default() };
        let other = Treatment { block_size: Some(512), window: Some(1), ..Treatment::default() };

        let both = one.and(other);

        assert_eq!(
            both,
            Treatment { block_size: Some(512), window: Some(1), no_http_boot: true, vendor_options: None }
        );
        assert_eq!(both, other.and(one));
        assert_eq!(both.limits(Limits::default()), Limits { block_size: 512, window: 1 });
        assert_eq!(Treatment::default().limits(Limits::default()), Limits::default());
    }

    #[test]
    fn a_limit_above_everybodys_makes_no_difference() {
        let treatment = Treatment { block_size: Some(1468), ..Treatment::default() };

        assert!(!treatment.is_felt(Limits::default()));
        assert!(treatment.is_felt(Limits { block_size: 8192, ..Limits::default() }));
        assert!(Treatment { no_http_boot: true, ..Treatment::default() }.is_felt(Limits::default()));
    }
}
