//! What this process may do beyond an ordinary user's rights (capabilities(7)).

use std::fmt;
use std::fs;

/// A capability that the server has use for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::enum_variant_names, reason = "these are the kernel's names")]
pub(crate) enum Capability {
    /// Ports below 1024.
    NetBindService,
    /// nftables, and the kernel's switches for forwarding.
    NetAdmin,
    /// ICMPv6, for router advertisements, ARP, to ask whether somebody has an address, and frames to machines that have none yet.
    NetRaw,
}

/// How to give the program what it needs, for messages.
pub(crate) const REMEDY: &str = "start it from its systemd unit, or run \
    `sudo setcap cap_net_bind_service,cap_net_admin,cap_net_raw+ep` on the program";

impl Capability {
    /// Whether this process has it now.
    pub(crate) fn is_held(self) -> bool {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        effective(&status).is_some_and(|held| held & (1 << self.number()) != 0)
    }

    /// Its bit, as in the kernel's `linux/capability.h`.
    fn number(self) -> u32 {
        match self {
            Self::NetBindService => 10,
            Self::NetAdmin => 12,
            Self::NetRaw => 13,
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NetBindService => "CAP_NET_BIND_SERVICE",
            Self::NetAdmin => "CAP_NET_ADMIN",
            Self::NetRaw => "CAP_NET_RAW",
        })
    }
}

/// The effective set in a process's status (proc_pid_status(5)).
fn effective(status: &str) -> Option<u64> {
    let set = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(set.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_kernels_word() {
        assert_eq!(effective("Name:\tpxe-server\nCapPrm:\t0\nCapEff:\t0000000000001400\n"), Some(0x1400));
        assert_eq!(0x1400, 1 << Capability::NetBindService.number() | 1 << Capability::NetAdmin.number());
    }
}
