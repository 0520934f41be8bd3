//! ISC dhcpd's lease file, `dhcpd.leases(5)`: declarations in braces, statements that end with a semicolon. It is appended to: a
//! later declaration of the same address replaces an earlier one.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use jiff::{Timestamp, civil, tz::TimeZone};

use super::{
    DECLINED, Entry, FOR_EVER, Fault, Lease, LeaseRecord, NOT_ETHERNET, PREFIX, TEMPORARY, UnixSeconds, address, bound,
    colon_hex, ended, hostname, mac, no, number, seconds,
};
use crate::dhcp6;

/// How a file can begin that has no comment at its beginning.
pub(super) const BEGINNINGS: [&str; 6] = ["lease", "authoring-byte-order", "server-duid", "ia-na", "ia-ta", "ia-pd"];

pub(super) fn read(text: &[u8], now: UnixSeconds) -> Vec<Entry> {
    let mut reader = Reader { text, line: 1, now };
    let mut entries = Vec::new();
    while let Some(Statement { line, tokens, end }) = reader.statement() {
        if end != End::Open {
            // A statement at this level tells of the server, not of a lease; half of one is what a crash left.
            if end == End::Nothing {
                entries.push(Entry { line, lease: Err(Fault::Unreadable("cut off".to_owned())) });
            }
            continue;
        }
        match &tokens[..] {
            [Token::Word("lease"), Token::Word(ip)] => {
                let block = reader.block();
                entries.push(Entry { line, lease: block.and_then(|block| lease4(ip, &block, now)) });
            }
            [Token::Word("ia-na"), client] => reader.association(line, client, &mut entries),
            [Token::Word(kind @ ("ia-ta" | "ia-pd")), ..] => {
                let fault = if *kind == "ia-ta" { TEMPORARY } else { PREFIX };
                entries.push(Entry { line, lease: Err(reader.skip().err().unwrap_or(fault)) });
            }
            // Of failover, of hosts, of classes.
            _ => {
                if let Err(fault) = reader.skip() {
                    entries.push(Entry { line, lease: Err(fault) });
                }
            }
        }
    }
    entries
}

struct Reader<'a> {
    text: &'a [u8],
    line: usize,
    now: UnixSeconds,
}

#[derive(Debug, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    /// In quotation marks, with what is escaped in it resolved.
    Text(Vec<u8>),
    /// Neither ASCII nor UTF-8, or text that does not end.
    Damaged,
    End(End),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Semicolon,
    Open,
    Close,
    Nothing,
}

/// Some words, and what is behind them.
struct Statement<'a> {
    line: usize,
    tokens: Vec<Token<'a>>,
    end: End,
}

/// More words than any statement of a lease has; the rest of a longer one is left out.
const LONGEST: usize = 16;

impl<'a> Reader<'a> {
    /// The next statement; `None` at the end of the text.
    fn statement(&mut self) -> Option<Statement<'a>> {
        let mut tokens = Vec::new();
        let mut line = None;
        loop {
            let token = self.token();
            let line = *line.get_or_insert(self.line);
            match token {
                Token::End(End::Nothing) if tokens.is_empty() => return None,
                Token::End(end) => return Some(Statement { line, tokens, end }),
                token if tokens.len() < LONGEST => tokens.push(token),
                _ => (),
            }
        }
    }

    /// The statements up to the end of the block; blocks within it are left out.
    fn block(&mut self) -> Result<Vec<Vec<Token<'a>>>, Fault> {
        let mut statements = Vec::new();
        while let Some(Statement { tokens, end, .. }) = self.statement() {
            match end {
                End::Semicolon => statements.push(tokens),
                End::Open => self.skip()?,
                End::Close => return Ok(statements),
                End::Nothing => break,
            }
        }
        Err(Fault::Unreadable("cut off".to_owned()))
    }

    /// Goes to the end of the block, over the blocks within it.
    fn skip(&mut self) -> Result<(), Fault> {
        let mut depth = 1_usize;
        while depth > 0 {
            match self.token() {
                Token::End(End::Open) => depth += 1,
                Token::End(End::Close) => depth -= 1,
                Token::End(End::Nothing) => return Err(Fault::Unreadable("cut off".to_owned())),
                Token::End(End::Semicolon) | Token::Word(_) | Token::Text(_) | Token::Damaged => (),
            }
        }
        Ok(())
    }

    /// The addresses of a client's association (RFC 8415 §12).
    fn association(&mut self, line: usize, client: &Token<'_>, entries: &mut Vec<Entry>) {
        let client = match client {
            Token::Text(bytes) => Some(bytes.clone()),
            Token::Word(word) => colon_hex(word),
            Token::Damaged | Token::End(_) => None,
        };
        // First the IAID, in the byte order of the machine that wrote it, which nothing here depends on.
        let duid = client.as_deref().and_then(|client| client.split_at_checked(4)).map(|(_, duid)| duid);
        let mut renewed = None;
        while let Some(Statement { line, tokens, end }) = self.statement() {
            match (&tokens[..], end) {
                (_, End::Close) => return,
                ([Token::Word("cltt"), date @ ..], End::Semicolon) => renewed = moment(date).ok().flatten(),
                ([Token::Word("iaaddr"), Token::Word(ip)], End::Open) => {
                    let lease = self.block().and_then(|block| {
                        let duid = duid.ok_or_else(|| Fault::Unreadable("no DUID of a client".to_owned()))?;
                        lease6(ip, duid, renewed, &block, self.now)
                    });
                    entries.push(Entry { line, lease });
                }
                (_, End::Open) => {
                    if let Err(fault) = self.skip() {
                        entries.push(Entry { line, lease: Err(fault) });
                        return;
                    }
                }
                (_, End::Semicolon | End::Nothing) => (),
            }
        }
        entries.push(Entry { line, lease: Err(Fault::Unreadable("cut off".to_owned())) });
    }

    fn token(&mut self) -> Token<'a> {
        loop {
            match self.text {
                [] => return Token::End(End::Nothing),
                [b'\n', ..] => {
                    self.line += 1;
                    self.text = &self.text[1..];
                }
                [b'#', ..] => self.text = &self.text[self.until(|byte| byte == b'\n')..],
                [byte, ..] if byte.is_ascii_whitespace() => self.text = &self.text[1..],
                [b'"', rest @ ..] => {
                    self.text = rest;
                    return self.quoted();
                }
                [first @ (b';' | b'{' | b'}'), rest @ ..] => {
                    self.text = rest;
                    return Token::End(match first {
                        b';' => End::Semicolon,
                        b'{' => End::Open,
                        _ => End::Close,
                    });
                }
                _ => {
                    let ends = |byte: u8| byte.is_ascii_whitespace() || b";{}\"#".contains(&byte);
                    let (word, rest) = self.text.split_at(self.until(ends));
                    self.text = rest;
                    return str::from_utf8(word).map_or(Token::Damaged, Token::Word);
                }
            }
        }
    }

    fn until(&self, ends: impl Fn(u8) -> bool) -> usize {
        self.text.iter().position(|byte| ends(*byte)).unwrap_or(self.text.len())
    }

    /// Text up to its quotation mark. It is all on one line: dhcpd escapes what cannot be printed, as three octal digits.
    fn quoted(&mut self) -> Token<'a> {
        let mut bytes = Vec::new();
        loop {
            let (byte, length) = match self.text {
                [b'"', rest @ ..] => {
                    self.text = rest;
                    return Token::Text(bytes);
                }
                [] | [b'\n', ..] | [b'\\'] | [b'\\', b'\n', ..] => return Token::Damaged,
                [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] => {
                    ((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'), 4)
                }
                [b'\\', byte, ..] => (*byte, 2),
                [byte, ..] => (*byte, 1),
            };
            bytes.push(byte);
            self.text = &self.text[length..];
        }
    }
}

type Block<'a> = [Vec<Token<'a>>];

/// What is behind the word or words with which one of the block's statements begins.
fn find<'a, 'b>(block: &'b Block<'a>, words: &[&str]) -> Option<&'b [Token<'a>]> {
    block.iter().find_map(|statement| {
        let (first, rest) = statement.split_at_checked(words.len())?;
        first.iter().zip(words).all(|(token, word)| *token == Token::Word(word)).then_some(rest)
    })
}

fn lease4(ip: &str, block: &Block<'_>, now: UnixSeconds) -> Result<Lease, Fault> {
    let ip: Ipv4Addr = address(ip)?;
    // Without a state it is as versions before 3.0 have it.
    if find(block, &["abandoned"]).is_some() {
        return Err(DECLINED);
    }
    let ends = ends(block, now)?;
    let starts = ["starts", "cltt"].iter().find_map(|word| find(block, &[word])).map(moment).transpose()?.flatten();
    match state(block)? {
        State::Active => (),
        State::Over => return Ok(ended(ip, ends).into()),
        State::Abandoned => return Err(DECLINED),
    }
    let who = match find(block, &["hardware"]) {
        Some([Token::Word("ethernet"), Token::Word(who)]) => mac(who)?,
        _ => return Err(NOT_ETHERNET),
    };
    let name = match find(block, &["client-hostname"]) {
        Some([Token::Text(name)]) => str::from_utf8(name).ok().and_then(hostname),
        _ => None,
    };
    Ok(bound(who, ip, (starts.unwrap_or(now.0).min(ends), ends), name).into())
}

fn lease6(ip: &str, duid: &[u8], renewed: Option<u64>, block: &Block<'_>, now: UnixSeconds) -> Result<Lease, Fault> {
    let ip: Ipv6Addr = address(ip)?;
    let ends = ends(block, now)?;
    match state(block)? {
        State::Active => (),
        State::Over => return Ok(ended(ip, ends).into()),
        State::Abandoned => return Err(DECLINED),
    }
    Ok(bound(dhcp6::known_by(duid, None), ip, (renewed.unwrap_or(now.0).min(ends), ends), None).into())
}

enum State {
    Active,
    Over,
    Abandoned,
}

fn state(block: &Block<'_>) -> Result<State, Fault> {
    match find(block, &["binding", "state"]) {
        None | Some([Token::Word("active")]) => Ok(State::Active),
        Some([Token::Word("free" | "backup" | "expired" | "released" | "reset")]) => Ok(State::Over),
        Some([Token::Word("abandoned")]) => Ok(State::Abandoned),
        Some([Token::Word(other), ..]) => Err(no("state of a lease", other)),
        Some(_) => Err(Fault::Unreadable("no state of a lease".to_owned())),
    }
}

/// When the lease ends: seconds since 1970.
fn ends(block: &Block<'_>, now: UnixSeconds) -> Result<u64, Fault> {
    let date = find(block, &["ends"]).ok_or_else(|| Fault::Unreadable("no end".to_owned()))?;
    Ok(moment(date)?.unwrap_or(now.0.saturating_add(FOR_EVER.as_secs())))
}

/// `6 2026/11/28 13:35:37` in UTC, or `epoch 1795872937`; `None` for `never`.
fn moment(date: &[Token<'_>]) -> Result<Option<u64>, Fault> {
    match date {
        [Token::Word("never")] => Ok(None),
        [Token::Word("epoch"), Token::Word(seconds)] => number(seconds).map(Some),
        [Token::Word(_), Token::Word(day), Token::Word(time)] => {
            let parsed = || {
                let day: civil::Date = day.replace('/', "-").parse().ok()?;
                let time: civil::Time = time.parse().ok()?;
                u64::try_from(day.to_datetime(time).to_zoned(TimeZone::UTC).ok()?.timestamp().as_second()).ok()
            };
            parsed().map(Some).ok_or_else(|| no("time", &format!("{day} {time}")))
        }
        _ => Err(Fault::Unreadable("no time".to_owned())),
    }
}

pub(super) fn write(leases: &[LeaseRecord<Ipv4Addr>]) -> String {
    let mut text = "authoring-byte-order little-endian;\n".to_owned();
    for lease in leases {
        let LeaseRecord { mac, address, hostname, granted, expires, .. } = lease;
        let ends = seconds(lease).map_or("never".to_owned(), |_| date(*expires));
        let starts = date(*granted);
        let name = hostname.as_ref().map(|name| format!("  client-hostname \"{name}\";\n")).unwrap_or_default();
        write!(
            text,
            "lease {address} {{\n  starts {starts};\n  ends {ends};\n  cltt {starts};\n  binding state active;\n  \
             next binding state free;\n  hardware ethernet {mac};\n{name}}}\n"
        )
        .expect("a String takes it");
    }
    text
}

/// With the day of the week first, which dhcpd writes for people and does not read.
fn date(UnixSeconds(at): UnixSeconds) -> String {
    let time = i64::try_from(at).ok().and_then(|at| Timestamp::from_second(at).ok()).unwrap_or(Timestamp::MAX);
    let time = time.to_zoned(TimeZone::UTC);
    format!("{} {}", time.weekday().to_sunday_zero_offset(), time.strftime("%Y/%m/%d %H:%M:%S"))
}
