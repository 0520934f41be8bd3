//! A reply as its client reads it, with somebody else's decoder as the judge.

use std::fmt;
use std::net::Ipv4Addr;

use dhcproto::Decodable;
use dhcproto::v4::{self, borrowed};
use pxe_proto::dhcp::{Destination, Reply, ReplyKind};

#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) reply: Reply,
    pub(crate) yours: Ipv4Addr,
    pub(crate) next_server: Ipv4Addr,
    pub(crate) file: String,
    pub(crate) options: Vec<(u8, Vec<u8>)>,
}

impl Answer {
    pub(crate) fn of(reply: Reply) -> Self {
        let message = borrowed::Message::new(&reply.message).expect("a message");
        let options: Vec<_> = message.opts().map(|option| (u8::from(option.code()), option.data().to_vec())).collect();
        let decoded = v4::Message::decode(&mut dhcproto::Decoder::new(&reply.message)).expect("a message");
        assert_eq!(decoded.opts().len(), options.len(), "an option is hidden, or there twice: {options:?}");
        assert_eq!(message.opcode(), v4::Opcode::BootReply);
        let mut options = options;
        let overload = options.iter().find(|(code, _)| *code == 52).map_or(0, |(_, data)| data[0]);
        // RFC 2131 §4.1: `file`, then `sname`.
        for (bit, area) in [(1, 108..236), (2, 44..108)] {
            if overload & bit != 0 {
                let more = borrowed::DhcpOptionIterator::new(&reply.message[area]);
                options.extend(more.map(|option| (u8::from(option.code()), option.data().to_vec())));
            }
        }
        let file = if overload & 1 == 0 { message.fname() } else { &[] };
        Self {
            yours: message.yiaddr(),
            next_server: message.siaddr(),
            file: String::from_utf8_lossy(file).into_owned(),
            options,
            reply,
        }
    }

    pub(crate) fn kind(&self) -> ReplyKind {
        self.reply.kind
    }

    pub(crate) fn destination(&self) -> Destination {
        self.reply.destination
    }

    pub(crate) fn option(&self, code: u8) -> Option<&[u8]> {
        self.options.iter().find(|(found, _)| *found == code).map(|(_, data)| data.as_slice())
    }

    pub(crate) fn codes(&self) -> Vec<u8> {
        self.options.iter().map(|(code, _)| *code).collect()
    }
}

impl Answer {
    /// What it tells the client, a line for each option; its kind is left out.
    pub(crate) fn contents(&self) -> String {
        let options = self.options.iter().filter(|(code, _)| *code != 53);
        let lines = options.map(|(code, data)| format!("    {code} {}\n", shown(*code, data)));
        format!("    siaddr {} file {:?}\n{}", self.next_server, self.file, lines.collect::<String>())
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = format!("{:?}", self.reply.kind).to_lowercase();
        let to = match self.reply.destination {
            Destination::Relay(address) => format!("relay {address}"),
            Destination::Unicast(address) => address.to_string(),
            Destination::Broadcast => "everyone".to_owned(),
            Destination::Sender(sender) => sender.to_string(),
            Destination::Hardware { mac, address } => format!("{address} at {mac}"),
        };
        let stage = self.reply.event.as_ref().and_then(|(_, what)| what.stage());
        let stage = stage.map(|stage| format!(", stage {stage}")).unwrap_or_default();
        write!(f, "{kind} {} to {to}, {} bytes{stage}", self.yours, self.reply.message.len())
    }
}

fn shown(code: u8, data: &[u8]) -> String {
    match code {
        1 | 3 | 6 | 28 | 54 => data
            .chunks(4)
            .map(|part| <[u8; 4]>::try_from(part).map(Ipv4Addr::from).expect("addresses").to_string())
            .collect::<Vec<_>>()
            .join(" "),
        51 | 58 | 59 => format!("{} s", u32::from_be_bytes(data.try_into().expect("a time"))),
        12 | 15 | 56 | 60 | 66 | 67 => String::from_utf8_lossy(data).into_owned(),
        _ => data.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" "),
    }
}
