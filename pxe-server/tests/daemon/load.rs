//! Many clients that want addresses, all the time: what a crash finds the server at.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use dhcproto::v4::{DhcpOption, Flags, Message, MessageType, OptionCode};
use dhcproto::{Decodable, Decoder, Encodable};
use lab_model::MacAddr;
use lab_tests::SERVER;

/// Numbers that look random and are the same for the same seed (SplitMix64).
#[derive(Clone, Debug)]
pub(crate) struct Chance(pub(crate) u64);

/// The clients.
pub(crate) struct Load {
    pub(crate) chance: Chance,
    /// Hears of every address that was confirmed.
    pub(crate) confirmed: Sender<(MacAddr, Ipv4Addr)>,
    pub(crate) end: Arc<AtomicBool>,
}

/// A client on its way to an address.
struct Seat {
    client: u32,
    question: Message,
    sent: Instant,
}

/// How many ask at a time.
const SEATS: u32 = 24;

/// How long a client waits before it asks again.
const PATIENCE: Duration = Duration::from_millis(200);

impl Chance {
    /// A number below this one.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) % limit
    }
}

impl Load {
    /// Has clients go from DHCPDISCOVER to DHCPACK until the end is asked for: half of them new, half of them known.
    pub(crate) fn run(mut self) {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 68)).unwrap();
        socket.set_broadcast(true).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let mut seats = BTreeMap::new();
        let mut clients = 0;
        let mut transaction = 0;
        let mut buffer = [0; 1500];
        while !self.end.load(Ordering::Relaxed) {
            while seats.len() < SEATS as usize {
                let client = if clients < SEATS || self.chance.below(2) == 0 {
                    clients += 1;
                    clients
                } else {
                    1 + self.chance.below(clients.into()) as u32
                };
                transaction += 1;
                let options = [DhcpOption::MessageType(MessageType::Discover)];
                let seat = Seat::ask(&socket, client, message(client, transaction, &options));
                seats.insert(transaction, seat);
            }
            if let Ok((length, _)) = socket.recv_from(&mut buffer) {
                let answer = Message::decode(&mut Decoder::new(&buffer[..length])).unwrap();
                self.take(&answer, &socket, &mut seats);
            }
            for seat in seats.values_mut().filter(|seat| seat.sent.elapsed() > PATIENCE) {
                seat.send(&socket);
            }
        }
    }

    fn take(&self, answer: &Message, socket: &UdpSocket, seats: &mut BTreeMap<u32, Seat>) {
        let transaction = answer.xid();
        let Some(seat) = seats.get(&transaction) else { return };
        let (client, address) = (seat.client, answer.yiaddr());
        match (kind(&seat.question), kind(answer)) {
            (MessageType::Discover, MessageType::Offer) => {
                let options = [
                    DhcpOption::MessageType(MessageType::Request),
                    DhcpOption::RequestedIpAddress(address),
                    DhcpOption::ServerIdentifier(SERVER),
                ];
                seats.insert(transaction, Seat::ask(socket, client, message(client, transaction, &options)));
            }
            (MessageType::Request, MessageType::Ack) => {
                seats.remove(&transaction);
                // Nobody listens any more at the end.
                let _ = self.confirmed.send((mac(client), address));
            }
            // An offer that a crash has made void: the client begins anew (RFC 2131 §3.1, step 5).
            (MessageType::Request, MessageType::Nak) => drop(seats.remove(&transaction)),
            _ => {}
        }
    }
}

impl Seat {
    fn ask(socket: &UdpSocket, client: u32, question: Message) -> Self {
        let mut seat = Self { client, question, sent: Instant::now() };
        seat.send(socket);
        seat
    }

    fn send(&mut self, socket: &UdpSocket) {
        self.sent = Instant::now();
        // What the network has no room for is sent again.
        let _ = socket.send_to(&self.question.to_vec().unwrap(), (Ipv4Addr::BROADCAST, 67));
    }
}

fn message(client: u32, transaction: u32, options: &[DhcpOption]) -> Message {
    let none = Ipv4Addr::UNSPECIFIED;
    let mut message = Message::new_with_id(transaction, none, none, none, none, &mac(client).bytes());
    message.set_flags(Flags::default().set_broadcast());
    for option in options {
        message.opts_mut().insert(option.clone());
    }
    message
}

fn kind(message: &Message) -> MessageType {
    match message.opts().get(OptionCode::MessageType) {
        Some(DhcpOption::MessageType(kind)) => *kind,
        other => panic!("{other:?} is no message type"),
    }
}

fn mac(client: u32) -> MacAddr {
    let [a, b, c, d] = client.to_be_bytes();
    MacAddr::new([0x52, 0x54, a, b, c, d])
}
