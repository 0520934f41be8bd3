//! A machine's serial console on this terminal: attached and detached while the machine runs.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use anyhow::Context as _;
use nix::errno::Errno;
use nix::sys::select::{FdSet, select};
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};

use crate::error::Result;

/// Ctrl-], as telnet has it.
pub(crate) const DETACH: u8 = 0x1d;

/// Why the terminal is the user's again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// They pressed Ctrl-], or there is no more input.
    Detached,
    /// The machine is off.
    Ended,
    /// A signal asked this command to end.
    Interrupted,
}

/// Carries keys to the machine and its output here, until one side has enough or `end` is readable. The terminal is as before afterwards.
///
/// # Errors
/// The terminal is gone.
pub(crate) fn attach(mut machine: &UnixStream, input: &File, output: &File, end: &UnixStream) -> Result<Left> {
    let _raw = Raw::set(input)?;
    let mut buffer = [0; 4096];
    loop {
        // Not poll(2), which on macOS does not know terminals.
        let mut ready = FdSet::new();
        for descriptor in [machine.as_fd(), input.as_fd(), end.as_fd()] {
            ready.insert(descriptor);
        }
        match select(None, &mut ready, None, None, None) {
            Ok(_) => {}
            Err(Errno::EINTR) => continue,
            Err(error) => return Err(anyhow::Error::from(error).context("cannot wait for the console").into()),
        }
        if ready.contains(end.as_fd()) {
            return Ok(Left::Interrupted);
        }
        if ready.contains(machine.as_fd()) {
            let Ok(length @ 1..) = machine.read(&mut buffer) else {
                return Ok(Left::Ended);
            };
            write(output, &buffer[..length])?;
        }
        if ready.contains(input.as_fd()) {
            let mut input = input;
            let length = input.read(&mut buffer).context("cannot read the terminal")?;
            let detach = buffer[..length].iter().position(|&byte| byte == DETACH);
            if machine.write_all(&buffer[..detach.unwrap_or(length)]).is_err() {
                return Ok(Left::Ended);
            }
            if detach.is_some() || length == 0 {
                return Ok(Left::Detached);
            }
        }
    }
}

fn write(mut output: &File, bytes: &[u8]) -> Result<()> {
    output.write_all(bytes).and_then(|()| output.flush()).context("cannot write to the terminal")?;
    Ok(())
}

/// A terminal that hands on every key as it is pressed; as it was once this is dropped.
struct Raw<'a> {
    terminal: BorrowedFd<'a>,
    before: Termios,
}

impl<'a> Raw<'a> {
    /// `None` where the input is no terminal, but a file or a pipe.
    fn set(input: &'a File) -> Result<Option<Self>> {
        let terminal = input.as_fd();
        if !io::IsTerminal::is_terminal(&terminal) {
            return Ok(None);
        }
        let before = tcgetattr(terminal).context("cannot ask how the terminal is set")?;
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        tcsetattr(terminal, SetArg::TCSANOW, &raw).context("cannot set the terminal")?;
        Ok(Some(Self { terminal, before }))
    }
}

impl Drop for Raw<'_> {
    fn drop(&mut self) {
        let _ = tcsetattr(self.terminal, SetArg::TCSADRAIN, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use nix::pty::openpty;
    use nix::sys::termios::LocalFlags;

    use super::*;

    #[test]
    fn keys_go_to_the_machine_and_its_output_comes_here() {
        let (mut bench, machine) = Bench::new();
        let (attached, _never) = bench.attach(machine);

        bench.machine.write_all(b"login: ").expect("printed");
        assert_eq!(bench.shows(7), b"login: ");
        bench.keyboard.write_all(b"ada\x03\r").expect("typed");
        let mut typed = [0; 5];
        bench.machine.read_exact(&mut typed).expect("keys");

        assert_eq!(&typed, b"ada\x03\r", "no key is the terminal's own");
        bench.keyboard.write_all(b"x\x1dignored").expect("typed");
        assert_eq!(attached.join().expect("no panic"), (Left::Detached, true));
    }

    #[test]
    fn a_machine_that_goes_off_gives_the_terminal_back() {
        let (bench, machine) = Bench::new();
        let (attached, _never) = bench.attach(machine);

        drop(bench.machine);

        assert_eq!(attached.join().expect("no panic"), (Left::Ended, true));
    }

    #[test]
    fn a_signal_gives_the_terminal_back() {
        let (bench, machine) = Bench::new();
        let (attached, end) = bench.attach(machine);

        drop(end);

        assert_eq!(attached.join().expect("no panic"), (Left::Interrupted, true));
    }

    #[test]
    fn input_that_is_no_terminal_ends_with_its_end() {
        let (machine, mut other) = UnixStream::pair().expect("a pair");
        let mut input = tempfile::tempfile().expect("a file");
        input.write_all(b"reboot\n").expect("written");
        io::Seek::rewind(&mut input).expect("a file");
        let (end, _never) = UnixStream::pair().expect("a pair");
        let output = tempfile::tempfile().expect("a file");

        let left = attach(&machine, &input, &output, &end).expect("attached");

        drop(machine);
        let mut sent = String::new();
        other.read_to_string(&mut sent).expect("keys");
        assert_eq!((left, sent.as_str()), (Left::Detached, "reboot\n"));
    }

    /// A terminal and a machine.
    struct Bench {
        machine: UnixStream,
        keyboard: File,
        terminal: File,
    }

    impl Bench {
        fn new() -> (Self, UnixStream) {
            let (machine, ours) = UnixStream::pair().expect("a pair");
            let terminal = openpty(None, None).expect("a terminal");
            (Self { machine, keyboard: terminal.master.into(), terminal: terminal.slave.into() }, ours)
        }

        /// Attaches on a thread of its own; why it came back, and whether the terminal is as before.
        fn attach(&self, machine: UnixStream) -> (thread::JoinHandle<(Left, bool)>, UnixStream) {
            let (end, ending) = UnixStream::pair().expect("a pair");
            let terminal = self.terminal.try_clone().expect("a descriptor");
            let before = tcgetattr(&terminal).expect("settings").local_flags;
            let watched = terminal.try_clone().expect("a descriptor");
            let attached = thread::spawn(move || {
                let left = attach(&machine, &terminal, &terminal, &end).expect("attached");
                (left, tcgetattr(&terminal).expect("settings").local_flags == before)
            });
            while tcgetattr(&watched).expect("settings").local_flags.contains(LocalFlags::ICANON) {
                thread::yield_now();
            }
            (attached, ending)
        }

        fn shows(&mut self, length: usize) -> Vec<u8> {
            let mut shown = vec![0; length];
            self.keyboard.read_exact(&mut shown).expect("output");
            shown
        }
    }
}
