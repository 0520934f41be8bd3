//! What a server does in each exchange.

use std::time::Duration;

use super::client::{Answer, Clients, read, request};
use super::subject::{Files, PROGRAM, SCRIPT};
use crate::Seen;

/// Does everything with the server, each time as another client.
pub(crate) fn see_all(clients: &mut Clients, files: &Files) -> Seen {
    let mut seen = Seen::new();
    options(clients, files, &mut seen);
    names(clients, &mut seen);
    modes(clients, &mut seen);
    whole_files(clients, files, &mut seen);
    lost(clients, &mut seen);
    doubled(clients, &mut seen);
    others(clients, &mut seen);
    windows(clients, &mut seen);
    seen
}

/// Negotiation (RFC 2347, 2348, 2349, 7440).
fn options(clients: &mut Clients, files: &Files, seen: &mut Seen) {
    let size = format!("tsize={}", files.program.len());
    for options in [
        "",
        "blksize=1024",
        "blksize=8",
        "blksize=7",
        "blksize=0",
        "blksize=65464",
        "blksize=65465",
        "blksize=x",
        "blksize=1024 blksize=512",
        "BLKSIZE=1024",
        "tsize=0",
        "tsize=12345",
        "tsize=x",
        "timeout=1",
        "timeout=255",
        "timeout=0",
        "timeout=256",
        "windowsize=4",
        "windowsize=0",
        "windowsize=65535",
        "unknown=1",
        "unknown=1 tsize=0",
        "blksize=1024 tsize=0 timeout=3 windowsize=8",
    ] {
        let (_client, answer) = clients.ask(&read(PROGRAM, options));
        seen.insert(
            if options.is_empty() { "no options" } else { options },
            answer.said().replace(&size, "tsize=the size"),
        );
    }
}

/// Which file a name is.
fn names(clients: &mut Clients, seen: &mut Seen) {
    for name in [
        "missing",
        "",
        "/ipxe-x86_64.efi",
        "./ipxe-x86_64.efi",
        "\\ipxe-x86_64.efi",
        "IPXE-X86_64.EFI",
        "../secret",
        "/../secret",
        "..",
        "/etc/passwd",
    ] {
        let (_client, answer) = clients.ask(&read(name, ""));
        seen.insert(if name.is_empty() { "no name" } else { name }, answer.said());
    }
}

/// Modes, and writing (RFC 1350 §1, §5).
fn modes(clients: &mut Clients, seen: &mut Seen) {
    for (exchange, opcode, file, mode) in [
        ("mode OCTET", 1, PROGRAM, "OCTET"),
        ("mode netascii", 1, SCRIPT, "netascii"),
        ("mode mail", 1, SCRIPT, "mail"),
        ("mode binary", 1, SCRIPT, "binary"),
        ("write a new file", 2, "new", "octet"),
        ("write over a file", 2, SCRIPT, "octet"),
    ] {
        let (_client, answer) = clients.ask(&request(opcode, file, mode, ""));
        seen.insert(exchange, answer.said().split(" of ").next().unwrap_or_default().to_owned());
    }
}

/// Where files end (RFC 1350 §6), and what comes after block 65,535.
fn whole_files(clients: &mut Clients, files: &Files, seen: &mut Seen) {
    assert_eq!(files.program.len() % 512, 0, "it fills its last block");
    for (exchange, file, contents) in [
        ("a file of whole blocks", PROGRAM, &files.program),
        ("a file that ends within a block", SCRIPT, &files.script),
    ] {
        let (mut client, first) = clients.ask(&read(file, ""));
        let (read, last) = client.rest(first, 512);
        assert_eq!(&read, contents, "{exchange}");
        seen.insert(exchange, if last == 0 { "an empty block last" } else { "a short block last" }.to_owned());
    }

    let (mut client, options) = clients.ask(&read(PROGRAM, "blksize=8"));
    assert_eq!(options, Answer::OptionAck("blksize=8".to_owned()));
    let mut last = 0;
    client.acknowledge(0);
    let after = loop {
        match client.receive() {
            Answer::Data(block, payload) if u32::from(block) == last + 1 => {
                assert_eq!(payload, files.program[last as usize * 8..][..8]);
                last += 1;
                client.acknowledge(block);
            }
            // Sent again, for whoever was late on a busy machine.
            Answer::Data(block, _) if u32::from(block) == last && last > 0 => {}
            other => break other,
        }
    };
    seen.insert("after block 65535", format!("{} after {last}", after.said()));
}

/// What is sent again when an acknowledgement is lost.
fn lost(clients: &mut Clients, seen: &mut Seen) {
    let (mut client, options) = clients.ask(&read(SCRIPT, "timeout=1"));
    if options == Answer::OptionAck("timeout=1".to_owned()) {
        let again = client.receive();
        seen.insert("the acknowledgement of options is lost", again.said());
    }

    let (mut client, first) = clients.ask(&read(PROGRAM, ""));
    let again = client.receive();
    seen.insert("an acknowledgement is lost", same(&again, &first));

    let (mut client, mut answer) = clients.ask(&read(SCRIPT, ""));
    loop {
        let Answer::Data(block, payload) = &answer else { panic!("{answer:?} instead of a block") };
        if payload.len() < 512 {
            break;
        }
        client.acknowledge(*block);
        answer = client.receive();
    }
    let again = client.receive();
    seen.insert("the last acknowledgement is lost", same(&again, &answer));
}

/// What comes twice (RFC 1123 §4.2.3.1).
fn doubled(clients: &mut Clients, seen: &mut Seen) {
    let (mut client, mut answer) = clients.ask(&read(PROGRAM, ""));
    let (mut next, mut copies) = (1, 0);
    // In the order in which they come: behind the first block after these there is no answer to one of them.
    while next <= 20 {
        match answer {
            Answer::Data(block, _) if block == next => {
                client.acknowledge(block);
                client.acknowledge(block);
                next += 1;
            }
            Answer::Data(..) => copies += 1,
            other => panic!("{other:?} instead of block {next}"),
        }
        answer = client.receive();
    }
    let said = if copies < 10 { "each block once" } else { "blocks are doubled" };
    seen.insert("each acknowledgement comes twice", said.to_owned());

    let (mut client, first) = clients.ask(&read(PROGRAM, ""));
    let port = client.server;
    client.server.set_port(69);
    client.send(&read(PROGRAM, ""));
    let second = client.receive();
    let whence = if client.server == port { "the same port" } else { "another port" };
    seen.insert("the request comes twice", format!("{} from {whence}", same(&second, &first)));
}

/// Packets that do not belong to the transfer (RFC 1350 §4).
fn others(clients: &mut Clients, seen: &mut Seen) {
    for (exchange, answered, packet) in [
        ("another port acknowledges", "another port acknowledges: it is told", &b"\0\x04\0\x01"[..]),
        ("another port sends an error", "another port sends an error: it is told", b"\0\x05\0\0stop\0"),
    ] {
        let (mut client, first) = clients.ask(&read(PROGRAM, ""));
        let mut other = clients.client();
        other.connect_to(client.server);
        other.send(packet);
        client.acknowledge(1);
        seen.insert(exchange, client.receive_after(&first).said());
        // The server has read this one's packet before the other's.
        let told = other.receive_for(Duration::from_millis(200));
        seen.insert(answered, told.map_or("nothing".to_owned(), |answer| answer.said()));
    }

    for (exchange, packet) in [
        ("a block is acknowledged that was never sent", [0, 4, 0, 7]),
        ("a packet of no known kind in a transfer", [0, 9, 0, 1]),
    ] {
        let (mut client, first) = clients.ask(&read(PROGRAM, ""));
        client.send(&packet);
        client.acknowledge(1);
        seen.insert(exchange, client.receive_after(&first).said());
    }
}

/// A window that came in part (RFC 7440 §4).
fn windows(clients: &mut Clients, seen: &mut Seen) {
    let (mut client, options) = clients.ask(&read(PROGRAM, "timeout=9 windowsize=4"));
    if options != Answer::OptionAck("timeout=9 windowsize=4".to_owned()) {
        return;
    }
    let mut blocks = |acknowledged| {
        client.acknowledge(acknowledged);
        let blocks = [(); 4].map(|()| match client.receive() {
            Answer::Data(block, _) => block.to_string(),
            other => other.said(),
        });
        blocks.join(" ")
    };
    seen.insert("the first window", blocks(0));
    seen.insert("the window after half of it came", blocks(2));
}

fn same(answer: &Answer, before: &Answer) -> String {
    if answer == before { "the same again".to_owned() } else { answer.said() }
}
