use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::thread::JoinHandle;

use super::super::port::{MAX_FRAME, MAX_QUEUE};
use super::*;

#[test]
fn a_broadcast_reaches_everybody_else() {
    let lab = Lab::new();
    let [mut web, mut db, mut cache] = lab.plug([WEB, DB, CACHE]);

    web.send(EVERYBODY, b"who has db?");

    let frame = frame(EVERYBODY, WEB, b"who has db?");
    assert_eq!((db.receive(), cache.receive()), (frame.clone(), frame));
}

#[test]
fn two_machines_talk_without_a_third_hearing_it() {
    let lab = Lab::new();
    let [mut web, mut db, mut cache] = lab.plug([WEB, DB, CACHE]);
    web.send(EVERYBODY, b"who has db?");
    assert_eq!([db.receive(), cache.receive()].len(), 2);

    db.send(WEB, b"db is here");
    web.receive();
    web.send(DB, b"hello");
    db.receive();
    web.send(EVERYBODY, b"last");

    assert_eq!(cache.receive(), frame(EVERYBODY, WEB, b"last"), "what came between was for others");
}

#[test]
fn a_frame_for_somebody_unknown_reaches_everybody_else() {
    let lab = Lab::new();
    let [mut web, mut db] = lab.plug([WEB, DB]);

    web.send(CACHE, b"are you there?");

    assert_eq!(db.receive(), frame(CACHE, WEB, b"are you there?"));
}

#[test]
fn frames_keep_their_bounds_however_the_bytes_come() {
    let lab = Lab::new();
    let [mut web, mut db] = lab.plug([WEB, DB]);
    let long = vec![0x5a; MAX_FRAME - 14];
    let frames = [frame(DB, WEB, b"short"), frame(DB, WEB, &long), frame(DB, WEB, b"")];
    let bytes: Vec<u8> = frames.iter().flat_map(|frame| on_wire(frame)).collect();

    let sender = std::thread::spawn(move || {
        for piece in bytes.chunks(1021) {
            web.stream.write_all(piece).expect("sent");
        }
        web
    });

    for frame in &frames {
        assert_eq!(&db.receive(), frame);
    }
    sender.join().expect("sent all");
}

#[test]
fn who_announces_an_impossible_length_is_unplugged_and_nobody_else() {
    let lab = Lab::new();
    for length in [0, 13, u32::try_from(MAX_FRAME).expect("small") + 1, u32::MAX] {
        let [mut web, mut db, mut hostile] = lab.plug([WEB, DB, CACHE]);

        hostile.stream.write_all(&length.to_be_bytes()).expect("sent");

        assert_eq!(hostile.stream.read(&mut [0]).expect("an end"), 0);
        web.send(EVERYBODY, b"still there");
        assert_eq!(db.receive(), frame(EVERYBODY, WEB, b"still there"));
    }
}

#[test]
fn who_does_not_read_loses_frames_and_delays_nobody() {
    let lab = Lab::new();
    let [mut web, mut db, mut deaf] = lab.plug([WEB, DB, CACHE]);
    let payload = vec![0x5a; 60_000];
    let count = 4 * MAX_QUEUE / payload.len();

    for _ in 0..count {
        web.send(EVERYBODY, &payload);
        assert_eq!(db.receive().len(), 14 + payload.len());
    }

    drop((web, db));
    lab.stop();
    let mut kept = Vec::new();
    deaf.stream.read_to_end(&mut kept).expect("the rest");
    assert!(kept.len() < 2 * MAX_QUEUE, "{} bytes were kept", kept.len());
}

#[test]
fn a_machine_that_comes_back_is_found_at_its_new_port() {
    let lab = Lab::new();
    let [mut web, db] = lab.plug([WEB, DB]);
    drop(db);

    let [mut db] = lab.plug([DB]);
    web.hear(DB);
    web.send(DB, b"welcome");

    assert_eq!(db.receive(), frame(DB, WEB, b"welcome"));
}

#[test]
fn a_switch_whose_machines_are_gone_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("switch");
    let mut switch = Switch::new(UnixListener::bind(&path).expect("bound")).expect("a switch");
    let (end, _keeps_it_open) = UnixStream::pair().expect("a pair");
    drop(UnixStream::connect(&path).expect("plugged in"));

    assert_eq!(switch.run(end.as_fd()).expect("ran"), Pause::Deserted);
}

const WEB: [u8; 6] = [0x52, 0x54, 0, 0, 0, 1];
const DB: [u8; 6] = [0x52, 0x54, 0, 0, 0, 2];
const CACHE: [u8; 6] = [0x52, 0x54, 0, 0, 0, 3];
const EVERYBODY: [u8; 6] = [0xff; 6];

/// A switch on a thread of its own.
struct Lab {
    path: PathBuf,
    end: UnixStream,
    switch: JoinHandle<Pause>,
    _folder: tempfile::TempDir,
}

/// A machine that is plugged in.
struct Machine {
    mac: [u8; 6],
    stream: UnixStream,
}

impl Lab {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("switch");
        let mut switch = Switch::new(UnixListener::bind(&path).expect("bound")).expect("a switch");
        let (end, ended) = UnixStream::pair().expect("a pair");
        let switch = std::thread::spawn(move || switch.run(ended.as_fd()).expect("ran"));
        Self { path, end, switch, _folder: folder }
    }

    /// Plugs machines in, one after the other, and has each heard by those before it.
    fn plug<const COUNT: usize>(&self, macs: [[u8; 6]; COUNT]) -> [Machine; COUNT] {
        let mut plugged: Vec<Machine> = Vec::new();
        for mac in macs {
            let stream = UnixStream::connect(&self.path).expect("plugged in");
            stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a limit");
            let mut machine = Machine { mac, stream };
            machine.send(EVERYBODY, b"here I am");
            for earlier in &mut plugged {
                earlier.hear(mac);
            }
            plugged.push(machine);
        }
        plugged.try_into().unwrap_or_else(|_| unreachable!("as many as were asked for"))
    }

    fn stop(self) {
        drop(self.end);
        assert_eq!(self.switch.join().expect("no panic"), Pause::Asked);
    }
}

impl Machine {
    fn send(&mut self, destination: [u8; 6], payload: &[u8]) {
        self.stream.write_all(&on_wire(&frame(destination, self.mac, payload))).expect("sent");
    }

    /// Waits until the machine with this address is plugged in and was heard.
    fn hear(&mut self, mac: [u8; 6]) {
        while self.receive_any() != frame(EVERYBODY, mac, b"here I am") {}
    }

    /// The next frame that is not of somebody's being plugged in: those come when they come.
    fn receive(&mut self) -> Vec<u8> {
        loop {
            let frame = self.receive_any();
            if !frame.ends_with(b"here I am") {
                return frame;
            }
        }
    }

    fn receive_any(&mut self) -> Vec<u8> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).expect("a length");
        let mut frame = vec![0; usize::try_from(u32::from_be_bytes(length)).expect("small")];
        self.stream.read_exact(&mut frame).expect("a frame");
        frame
    }
}

fn frame(destination: [u8; 6], source: [u8; 6], payload: &[u8]) -> Vec<u8> {
    [&destination[..], &source, &[0x88, 0xb5], payload].concat()
}

fn on_wire(frame: &[u8]) -> Vec<u8> {
    [&u32::try_from(frame.len()).expect("small").to_be_bytes(), frame].concat()
}
