//! Where others do otherwise, and why ours does not.

use super::subject::Subject::{self, Dhcpd, Dnsmasq, Kea};
use crate::Difference;

/// All of them.
pub(crate) const DIFFERENCES: &[Difference<Subject>] = &[
    // Who a client is.
    Difference {
        whose: &[Dnsmasq, Kea, Dhcpd],
        exchange: "discover with another client identifier",
        theirs: "OFFER another address",
        why: "a client is its hardware address: firmware, iPXE and the installed system send different identifiers",
    },
    Difference {
        whose: &[Dhcpd],
        exchange: "discover without the client identifier",
        theirs: "OFFER another address",
        why: "as with another client identifier",
    },
    Difference {
        whose: &[Dnsmasq, Dhcpd],
        exchange: "client identifier is echoed",
        theirs: "false",
        why: "RFC 6842 §3 has it echoed, and a client may ignore an answer without it",
    },
    // Who may have which address.
    Difference {
        whose: &[Dhcpd],
        exchange: "request for another server",
        theirs: "ACK that address",
        why: "RFC 2131 §3.1: the client has declined our offer by it, so the address is the other server's promise",
    },
    Difference {
        whose: &[Dnsmasq],
        exchange: "request for another server",
        theirs: "NAK",
        why: "the client takes up another server's offer: a refusal would have it start anew for ever",
    },
    Difference {
        whose: &[Dhcpd],
        exchange: "init-reboot with another's address",
        theirs: "silence",
        why: "RFC 2131 §4.3.2: who asks for what it cannot have is told at once, and does not wait until it gives up",
    },
    Difference {
        whose: &[Kea],
        exchange: "init-reboot of an unknown client",
        theirs: "NAK",
        why: "nobody has the address, and ours alone gives any here: after a loss of its leases machines keep their addresses",
    },
    Difference {
        whose: &[Dnsmasq, Kea, Dhcpd],
        exchange: "rebind on another network",
        theirs: "silence",
        why: "an authoritative server knows that no client has such an address here: told so, it asks for one that works",
    },
    Difference {
        whose: &[Kea],
        exchange: "discover after release",
        theirs: "OFFER another address",
        why: "RFC 2131 §4.3.1: a client gets the address that it had, if nobody else has it",
    },
    Difference {
        whose: &[Kea],
        exchange: "inform from another network",
        theirs: "ACK",
        why: "the sender may be anybody, anywhere: ours answers its own networks alone",
    },
    // What an answer has.
    Difference {
        whose: &[Dnsmasq],
        exchange: "discover: told",
        theirs: "1 3 6 15 28 51 53 54 58 59",
        why: "the broadcast address follows from the mask, so only who asks for it is told",
    },
    Difference {
        whose: &[Dnsmasq],
        exchange: "request: told",
        theirs: "1 3 6 15 28 51 53 54 58 59",
        why: "as in the offer",
    },
    Difference {
        whose: &[Dnsmasq],
        exchange: "renew: told",
        theirs: "1 3 6 15 28 51 53 54 58 59",
        why: "as in the offer",
    },
    Difference {
        whose: &[Kea, Dhcpd],
        exchange: "discover: told",
        theirs: "1 3 6 15 51 53 54",
        why: "RFC 2131 §4.4.5: T1 and T2 unasked, so clients renew when the server says and not when they guess",
    },
    Difference { whose: &[Kea, Dhcpd], exchange: "request: told", theirs: "1 3 6 15 51 53 54", why: "as in the offer" },
    Difference { whose: &[Kea, Dhcpd], exchange: "renew: told", theirs: "1 3 6 15 51 53 54", why: "as in the offer" },
    Difference {
        whose: &[Kea, Dhcpd],
        exchange: "discover without a parameter list: told",
        theirs: "1 3 6 15 51 53 54",
        why: "who asks for nothing in particular is told all that a client needs, as by dnsmasq",
    },
    Difference {
        whose: &[Kea],
        exchange: "init-reboot on another network: told",
        theirs: "53 54",
        why: "RFC 2132 §9.9: the reason stands in the client's log",
    },
    Difference {
        whose: &[Kea],
        exchange: "relayed init-reboot on another network: refused",
        theirs: "without the broadcast flag",
        why: "RFC 2131 §4.3.2: the relay agent is to broadcast it, since the client cannot have the address that it asked for",
    },
    Difference {
        whose: &[Kea],
        exchange: "an answer has at least 300 bytes",
        theirs: "false",
        why: "RFC 1542 §2.1, and firmware that drops shorter ones",
    },
    // What firmware is told.
    Difference {
        whose: &[Dnsmasq],
        exchange: "firmware: file",
        theirs: "",
        why: "the field is where firmware looks that knows no option for it; the option is sent too, since it was asked for",
    },
    Difference {
        whose: &[Kea, Dhcpd],
        exchange: "firmware: option 67",
        theirs: "",
        why: "it was asked for, and stands beside the field",
    },
    Difference {
        whose: &[Dnsmasq, Kea, Dhcpd],
        exchange: "firmware: option 66",
        theirs: "",
        why: "it was asked for, and stands beside the field",
    },
];
