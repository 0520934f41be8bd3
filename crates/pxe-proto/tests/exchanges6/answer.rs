//! A reply as its client reads it, with somebody else's decoder as the judge.

use std::fmt;
use std::net::Ipv6Addr;

use dhcproto::v6::{DhcpOption, DhcpOptions, Message, MessageType, OptionCode, Status};
use dhcproto::{Decodable, Decoder};
use pxe_proto::dhcp6::Reply;

#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) reply: Reply,
    pub(crate) message: Message,
}

impl Answer {
    pub(crate) fn of(reply: Reply) -> Self {
        let message = Message::decode(&mut Decoder::new(&reply.message)).expect("a message");
        Self { reply, message }
    }

    pub(crate) fn option(&self, code: OptionCode) -> Option<&DhcpOption> {
        self.message.opts().get(code)
    }

    /// The addresses of the first association, each with how long it is the client's.
    pub(crate) fn addresses(&self) -> Vec<(Ipv6Addr, u32)> {
        match self.option(OptionCode::IANA) {
            Some(DhcpOption::IANA(association)) => addresses(&association.opts),
            _ => Vec::new(),
        }
    }

    /// The status of the first association, else of the message.
    pub(crate) fn status(&self) -> Option<Status> {
        let own = match self.option(OptionCode::IANA) {
            Some(DhcpOption::IANA(association)) => association.opts.get(OptionCode::StatusCode),
            _ => None,
        };
        match own.or_else(|| self.option(OptionCode::StatusCode)) {
            Some(DhcpOption::StatusCode(status)) => Some(status.status),
            _ => None,
        }
    }

    pub(crate) fn is_reply(&self) -> bool {
        self.message.msg_type() == MessageType::Reply
    }

    pub(crate) fn boot_file(&self) -> Option<String> {
        match self.option(OptionCode::Unknown(59)) {
            Some(DhcpOption::Unknown(option)) => Some(String::from_utf8_lossy(option.data()).into_owned()),
            _ => None,
        }
    }
}

fn addresses(options: &DhcpOptions) -> Vec<(Ipv6Addr, u32)> {
    let each = options.iter().filter_map(|option| match option {
        DhcpOption::IAAddr(address) => Some((address.addr, address.valid_life)),
        _ => None,
    });
    each.collect()
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:?}, stage {:?}",
            self.message.msg_type(),
            self.reply.event.as_ref().and_then(|(_, what)| what.stage())
        )?;
        for option in self.message.opts().iter() {
            writeln!(f, "    {}", shown(option))?;
        }
        Ok(())
    }
}

fn shown(option: &DhcpOption) -> String {
    let hex = |data: &[u8]| data.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    match option {
        DhcpOption::ClientId(duid) => format!("client {}", hex(duid)),
        DhcpOption::ServerId(duid) => format!("server {}", hex(duid)),
        DhcpOption::IANA(association) => format!(
            "association {} after {} and {} s: {:?}",
            association.id,
            association.t1,
            association.t2,
            addresses(&association.opts)
        ),
        DhcpOption::Unknown(option) => {
            let code = u16::from(option.code());
            format!("{code} {:?}", String::from_utf8_lossy(option.data()))
        }
        other => format!("{other:?}"),
    }
}
