//! A DHCP server that gives every client the address of its number, and remembers nothing: what the clients could do if a server
//! cost nothing.

use std::{
    net::{Ipv4Addr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::Result;
use lab_tests::{BRIDGE, SERVER};
use nix::sys::socket::{setsockopt, sockopt};

use crate::bench::burst::{Burst, SLOTS};

/// The server, until this is dropped.
pub(super) struct Yes {
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Yes {
    /// Answers on the lab's bridge.
    ///
    /// # Errors
    /// Another server does.
    pub(super) fn start() -> Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 67))?;
        socket.set_broadcast(true)?;
        socket.set_read_timeout(Some(LOOK))?;
        setsockopt(&socket, sockopt::BindToDevice, &BRIDGE.into())?;
        let ended = Arc::new(AtomicBool::new(false));
        let end = ended.clone();
        let thread = thread::spawn(move || {
            let mut burst = Burst::new();
            while !end.load(Ordering::Relaxed) {
                // Waits for one, and takes all.
                let _ = socket.peek(&mut [0]);
                let questions = burst.receive(&socket, SLOTS).into_iter().flatten();
                for answer in questions.filter_map(answer) {
                    let _ = socket.send_to(&answer, (Ipv4Addr::BROADCAST, 68));
                }
            }
        });
        Ok(Self { ended, thread: Some(thread) })
    }
}

impl Drop for Yes {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

const LOOK: Duration = Duration::from_millis(50);

/// The client's own message, sent back with what makes an answer of it.
fn answer(question: &[u8]) -> Option<Vec<u8>> {
    // The clients here write the message type first.
    let kind = match question.get(240..243)? {
        [53, 1, 1] => 2,
        [53, 1, 3] => 5,
        _ => return None,
    };
    let mut answer = question[..240].to_vec();
    answer[0] = 2;
    let client = u32::from_be_bytes(answer[30..34].try_into().ok()?);
    answer[16..20].copy_from_slice(&Ipv4Addr::from_bits(u32::from(POOL) + client % (1 << 14)).octets());
    answer.extend([53, 1, kind, 54, 4]);
    answer.extend(SERVER.octets());
    answer.push(255);
    answer.resize(300, 0);
    Some(answer)
}

const POOL: Ipv4Addr = Ipv4Addr::new(10, 77, 8, 0);
