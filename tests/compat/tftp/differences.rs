//! Where others do otherwise, and why ours does not.

use super::subject::Subject::{self, Atftpd, Dnsmasq, TftpdHpa};
use crate::Difference;

/// All of them.
pub(crate) const DIFFERENCES: &[Difference<Subject>] = &[
    // What is agreed on.
    Difference {
        whose: &[Atftpd, TftpdHpa],
        exchange: "blksize=65464",
        theirs: "options blksize=65464",
        why: "a block longer than the link carries in one piece comes in fragments, which boot firmware seldom puts together",
    },
    Difference {
        whose: &[Atftpd],
        exchange: "blksize=65465",
        theirs: "error 8",
        why: "RFC 2348: the answer may be any lesser value, so there is one that both can do",
    },
    Difference { whose: &[TftpdHpa], exchange: "blksize=65465", theirs: "options blksize=65464", why: "as for 65464" },
    Difference {
        whose: &[Atftpd, TftpdHpa],
        exchange: "blksize=7",
        theirs: "error 8",
        why: "RFC 2347: an option that cannot be granted is left out, and the client boots without it",
    },
    Difference { whose: &[Dnsmasq], exchange: "blksize=7", theirs: "options blksize=7", why: "RFC 2348 begins at 8" },
    Difference { whose: &[Atftpd, TftpdHpa], exchange: "blksize=0", theirs: "error 8", why: "as for 7" },
    Difference {
        whose: &[Dnsmasq],
        exchange: "blksize=0",
        theirs: "options blksize=1",
        why: "the answer may not be more than what was asked for, and RFC 2348 begins at 8",
    },
    Difference { whose: &[Atftpd], exchange: "blksize=x", theirs: "error 8", why: "as for 7" },
    Difference {
        whose: &[Dnsmasq],
        exchange: "blksize=x",
        theirs: "options blksize=1",
        why: "nobody asked for blocks of one octet: what is no number is no option",
    },
    Difference {
        whose: &[Atftpd, Dnsmasq],
        exchange: "blksize=1024 blksize=512",
        theirs: "options blksize=512",
        why: "RFC 2347 allows an option once: what comes behind it is noise",
    },
    Difference {
        whose: &[TftpdHpa],
        exchange: "blksize=1024 blksize=512",
        theirs: "options blksize=1024 blksize=512",
        why: "RFC 2347 allows an option once: an answer with two values says neither",
    },
    Difference {
        whose: &[TftpdHpa],
        exchange: "tsize=12345",
        theirs: "options tsize=12345",
        why: "RFC 2349: a reader is told the file's size, whatever it guessed",
    },
    Difference {
        whose: &[Atftpd, Dnsmasq],
        exchange: "tsize=x",
        theirs: "options tsize=the size",
        why: "RFC 2349 has a number there: what is none is no option",
    },
    Difference {
        whose: &[Dnsmasq],
        exchange: "timeout=1",
        theirs: "block 1 of 512 octets",
        why: "dnsmasq does not know the option (RFC 2349)",
    },
    Difference {
        whose: &[Dnsmasq],
        exchange: "timeout=255",
        theirs: "block 1 of 512 octets",
        why: "dnsmasq does not know the option (RFC 2349)",
    },
    Difference {
        whose: &[Dnsmasq],
        exchange: "the acknowledgement of options is lost",
        theirs: "not seen",
        why: "dnsmasq does not know the option that this is tried with",
    },
    Difference {
        whose: &[Atftpd, TftpdHpa],
        exchange: "timeout=0",
        theirs: "error 8",
        why: "RFC 2347: an option that cannot be granted is left out, and the client boots without it",
    },
    Difference { whose: &[Atftpd, TftpdHpa], exchange: "timeout=256", theirs: "error 8", why: "as for 0" },
    Difference {
        whose: &[TftpdHpa, Dnsmasq],
        exchange: "windowsize=4",
        theirs: "block 1 of 512 octets",
        why: "they do not know the option (RFC 7440)",
    },
    Difference {
        whose: &[Atftpd],
        exchange: "windowsize=0",
        theirs: "error 8",
        why: "RFC 2347: an option that cannot be granted is left out, and the client boots without it",
    },
    Difference {
        whose: &[Atftpd],
        exchange: "windowsize=65535",
        theirs: "options windowsize=65535",
        why: "RFC 7440 §3 lets a server grant less: one lost packet is to cost no more than what fits a socket's buffer",
    },
    Difference {
        whose: &[TftpdHpa, Dnsmasq],
        exchange: "windowsize=65535",
        theirs: "block 1 of 512 octets",
        why: "they do not know the option (RFC 7440)",
    },
    Difference {
        whose: &[TftpdHpa],
        exchange: "blksize=1024 tsize=0 timeout=3 windowsize=8",
        theirs: "options blksize=1024 timeout=3 tsize=the size",
        why: "tftpd-hpa does not know windows (RFC 7440)",
    },
    Difference {
        whose: &[Dnsmasq],
        exchange: "blksize=1024 tsize=0 timeout=3 windowsize=8",
        theirs: "options blksize=1024 tsize=the size",
        why: "dnsmasq knows neither windows (RFC 7440) nor the client's timeout (RFC 2349)",
    },
    // Which file a name is.
    Difference {
        whose: &[Atftpd, TftpdHpa],
        exchange: "\\ipxe-x86_64.efi",
        theirs: "error 1",
        why: "firmware that thinks in Windows' paths means that file",
    },
    Difference {
        whose: &[Atftpd, Dnsmasq],
        exchange: "../secret",
        theirs: "error 2",
        why: "there is no path that could lead anywhere, just a table without that name",
    },
    Difference {
        whose: &[Atftpd, Dnsmasq],
        exchange: "/../secret",
        theirs: "error 2",
        why: "there is no path that could lead anywhere, just a table without that name",
    },
    Difference {
        whose: &[Atftpd],
        exchange: "..",
        theirs: "block 1 of 0 octets",
        why: "a folder is no file, and no empty one either",
    },
    Difference {
        whose: &[TftpdHpa, Dnsmasq],
        exchange: "..",
        theirs: "error 0",
        why: "it is a name like any other that no file has, and code 1 says so to programs",
    },
    Difference {
        whose: &[Atftpd],
        exchange: "no name",
        theirs: "block 1 of 0 octets",
        why: "a folder is no file, and no empty one either",
    },
    Difference {
        whose: &[TftpdHpa, Dnsmasq],
        exchange: "no name",
        theirs: "error 4",
        why: "the request is well formed: just no file has that name",
    },
    // Modes, and writing.
    Difference {
        whose: &[Atftpd, TftpdHpa, Dnsmasq],
        exchange: "mode netascii",
        theirs: "block 1",
        why: "it would rewrite every line end in a boot program; the error says which mode to ask for",
    },
    Difference {
        whose: &[Atftpd],
        exchange: "mode mail",
        theirs: "block 1",
        why: "RFC 1350 §1: mail is obsolete, and never was for reading",
    },
    Difference {
        whose: &[TftpdHpa, Dnsmasq],
        exchange: "mode mail",
        theirs: "error 4",
        why: "the request is well formed, so it is no illegal operation; the error says which mode to ask for",
    },
    Difference {
        whose: &[Atftpd],
        exchange: "mode binary",
        theirs: "block 1",
        why: "RFC 1350 §5 has no such mode: octets that were sent in one that nobody knows are a guess",
    },
    Difference { whose: &[TftpdHpa, Dnsmasq], exchange: "mode binary", theirs: "error 4", why: "as for mail" },
    Difference {
        whose: &[Atftpd],
        exchange: "write a new file",
        theirs: "acknowledgement 0",
        why: "a boot server has nothing to receive",
    },
    Difference {
        whose: &[TftpdHpa],
        exchange: "write a new file",
        theirs: "error 1",
        why: "no file can be written, whether there is one or not",
    },
    Difference {
        whose: &[Dnsmasq],
        exchange: "write a new file",
        theirs: "error 4",
        why: "a write request is legal; what it wants is not allowed",
    },
    Difference {
        whose: &[Atftpd],
        exchange: "write over a file",
        theirs: "acknowledgement 0",
        why: "a boot server has nothing to receive, least of all what it serves",
    },
    Difference {
        whose: &[Dnsmasq],
        exchange: "write over a file",
        theirs: "error 4",
        why: "a write request is legal; what it wants is not allowed",
    },
    // What is lost, and what comes twice or from elsewhere.
    Difference {
        whose: &[Atftpd],
        exchange: "an acknowledgement is lost",
        theirs: "no answer: \\x00\\x03\\x00",
        why: "the block is sent again, and not its first three octets",
    },
    Difference {
        whose: &[Atftpd],
        exchange: "each acknowledgement comes twice",
        theirs: "blocks are doubled",
        why: "RFC 1123 §4.2.3.1: the Sorcerer's Apprentice doubles the traffic to the end of the file",
    },
    Difference {
        whose: &[Atftpd, TftpdHpa, Dnsmasq],
        exchange: "the request comes twice",
        theirs: "the same again from another port",
        why: "the network made the copy, and the client may have heard of the first port already: two transfers are one too many",
    },
    Difference {
        whose: &[Atftpd],
        exchange: "a block is acknowledged that was never sent",
        theirs: "block 8 of 512 octets",
        why: "nobody can have that block, so the rest of the file would have a hole",
    },
    Difference {
        whose: &[Dnsmasq],
        exchange: "another port acknowledges: it is told",
        theirs: "error 5",
        why: "RFC 1350 §4 asks for the error; ours has a socket connected to the client, and the kernel tells others that it is not theirs",
    },
    Difference {
        whose: &[Dnsmasq],
        exchange: "another port sends an error: it is told",
        theirs: "error 5",
        why: "RFC 1350 §4 asks for the error; ours has a socket connected to the client, and the kernel tells others that it is not theirs",
    },
    Difference {
        whose: &[TftpdHpa, Dnsmasq],
        exchange: "the first window",
        theirs: "not seen",
        why: "they do not know windows (RFC 7440)",
    },
    Difference {
        whose: &[TftpdHpa, Dnsmasq],
        exchange: "the window after half of it came",
        theirs: "not seen",
        why: "they do not know windows (RFC 7440)",
    },
];
