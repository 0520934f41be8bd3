use std::collections::BTreeSet;
use std::io::Read as _;
use std::os::fd::AsFd as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Command;

use lab_model::MacAddr;
#[cfg(target_os = "linux")]
use {
    crate::network::bridge::{self, BridgeName},
    nix::sched::{CloneFlags, unshare},
    nix::sys::socket::{SetSockOpt as _, sockopt},
    std::net::UdpSocket,
};

use super::*;
use crate::hardware::BootOrder;
use crate::network::Lan;
use crate::network::switch;
use crate::network::switch::forward::Switch;
use crate::qemu::accelerator::Accelerator;
use crate::qemu::command_line::OnReboot;

#[test]
fn two_machines_are_heard_on_the_lab_network() {
    let (_folder, home) = Home::in_a_temporary_folder();
    let (lan, _switch_runs) = plug_in_a_switch(&home);
    let mut ear = ear(&lan);
    let (platform, interrupt) = (platform(), Interrupt::hold());
    let guests = [1, 2].map(|number| guest(number, &home, lan.clone()));

    let _ended_in_any_case = Machines { home: &home, guests: &guests };
    let lock = home.lock().expect("locked");
    for guest in &guests {
        on(guest, &platform, &home, &lock, &interrupt).expect("on");
    }
    let twice = on(&guests[0], &platform, &home, &lock, &interrupt).expect_err("it is on");

    let mut left: BTreeSet<_> = guests.iter().map(|guest| guest.mac).collect();
    while !left.is_empty() {
        left.remove(&sender(&mut ear));
    }
    let at_once = OffPatience { after_button: Duration::ZERO, after_term: Duration::from_secs(60) };
    for guest in &guests {
        assert_eq!(off(&home, &guest.name, at_once).expect("off"), Off::Terminated);
        assert_eq!(off(&home, &guest.name, at_once).expect("off"), Off::Already);
        assert!(!guest.monitor.exists() && !guest.console.exists());
    }
    assert_eq!(twice.kind(), Kind::Conflict);
}

#[cfg(target_os = "linux")]
#[test]
fn two_machines_are_heard_on_a_bridge() {
    unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace: run as root, or by `cargo xtask test`");
    let (_folder, home) = Home::in_a_temporary_folder();
    let bridge = BridgeName::new("pvm-test").expect("a name");
    bridge::ensure(&bridge).expect("made");
    bridge::ensure(&bridge).expect("there already");
    let ear = UdpSocket::bind("0.0.0.0:67").expect("a port of this namespace");
    sockopt::BindToDevice.set(&ear, &"pvm-test".into()).expect("the bridge");
    ear.set_read_timeout(Some(HEARING_LIMIT)).expect("a limit");
    let (platform, interrupt) = (platform(), Interrupt::hold());
    let guests = [1, 2].map(|number| {
        let mac = MacAddr::new([0x52, 0x54, 0, 0x77, 0, number]);
        guest(number, &home, Lan::Tap { device: bridge::tap_name(mac), bridge: bridge.clone() })
    });

    let _ended_in_any_case = Machines { home: &home, guests: &guests };
    let lock = home.lock().expect("locked");
    for guest in &guests {
        on(guest, &platform, &home, &lock, &interrupt)
            .expect("on: QEMU makes a tap device, which takes root and /dev/net/tun");
    }

    let mut left: BTreeSet<_> = guests.iter().map(|guest| guest.mac).collect();
    while !left.is_empty() {
        let mut request = [0; 1500];
        ear.recv(&mut request).expect("firmware asks for an address within minutes");
        // RFC 2131 §2: `chaddr` is at octet 28.
        left.remove(&MacAddr::new(request[28..34].try_into().expect("six bytes")));
    }
    let at_once = OffPatience { after_button: Duration::ZERO, after_term: Duration::from_secs(60) };
    for guest in &guests {
        assert_eq!(off(&home, &guest.name, at_once).expect("off"), Off::Terminated);
        let gone = bridge::plug(&bridge::tap_name(guest.mac), &bridge).expect_err("its tap device ended with it");
        assert!(gone.to_string().contains("there is no interface"), "{gone}");
    }
    let conflict = bridge::ensure(&BridgeName::new("lo").expect("a name")).expect_err("the loopback is no bridge");
    assert_eq!(conflict.kind(), Kind::Conflict);
}

#[test]
fn of_a_machine_that_does_not_start_nothing_is_left() {
    let (_folder, home) = Home::in_a_temporary_folder();
    let guest = guest(1, &home, Lan::Stream { socket: home.root().join("nobody-listens") });
    std::fs::remove_file(&guest.disk).expect("removed");
    let (lock, interrupt) = (home.lock().expect("locked"), Interrupt::hold());

    let failure = on(&guest, &platform(), &home, &lock, &interrupt).expect_err("no disk");

    assert!(failure.to_string().contains("web1.qcow2"), "{failure}");
    assert!(running(&home, &guest.name).expect("read").is_none());
    assert!(!guest.monitor.exists() && !guest.console.exists());
    assert!(!home.pid_file(guest.name.as_str()).exists());
}

/// Machines that no failing test leaves behind.
struct Machines<'a> {
    home: &'a Home,
    guests: &'a [Guest],
}

impl Drop for Machines<'_> {
    fn drop(&mut self) {
        let at_once = OffPatience { after_button: Duration::ZERO, after_term: Duration::from_secs(10) };
        for guest in self.guests {
            let _ = off(self.home, &guest.name, at_once);
        }
    }
}

/// The lab's switch, on a thread that ends when what comes with it is dropped.
fn plug_in_a_switch(home: &Home) -> (Lan, UnixStream) {
    let socket = switch::socket(home);
    let mut switch = Switch::new(UnixListener::bind(&socket).expect("bound")).expect("a switch");
    let (end, ended) = UnixStream::pair().expect("a pair");
    std::thread::spawn(move || switch.run(ended.as_fd()).expect("ran"));
    (Lan::Stream { socket }, end)
}

/// Hears what every machine says to all.
fn ear(lan: &Lan) -> UnixStream {
    let Lan::Stream { socket } = lan else {
        unreachable!("plugged into a switch");
    };
    let ear = UnixStream::connect(socket).expect("plugged in");
    ear.set_read_timeout(Some(HEARING_LIMIT)).expect("a limit");
    ear
}

/// Many times what firmware takes under emulation.
const HEARING_LIMIT: Duration = Duration::from_secs(240);

/// Who sent the next frame.
fn sender(ear: &mut UnixStream) -> MacAddr {
    let mut length = [0; 4];
    ear.read_exact(&mut length).expect("firmware asks for an address within minutes");
    let mut frame = vec![0; usize::try_from(u32::from_be_bytes(length)).expect("small")];
    ear.read_exact(&mut frame).expect("a frame");
    MacAddr::new(frame[6..12].try_into().expect("six bytes"))
}

fn guest(number: u8, home: &Home, lan: Lan) -> Guest {
    let name: MachineName = format!("web{number}").parse().expect("a name");
    let disk = home.disk(&name);
    let made = Command::new("qemu-img").args(["create", "-q", "-f", "qcow2"]).arg(&disk).arg("1M").status();
    assert!(made.expect("qemu-img is installed").success());
    Guest {
        arch: Arch::X86_64,
        mac: MacAddr::new([0x52, 0x54, 0, 0x77, 0, number]),
        memory_mib: 192,
        cpus: 1,
        boot: BootOrder::Pxe,
        network_boot: true,
        on_reboot: OnReboot::Restart,
        disk,
        seed: None,
        variables: home.firmware_variables(&name),
        monitor: socket::monitor(home, &name),
        console: socket::console(home, &name),
        console_log: home.console_log(&name),
        lan,
        uplink: None,
        shares: Vec::new(),
        name,
    }
}

fn platform() -> Platform {
    let host = Host::here().expect("a host");
    let acceleration = Acceleration {
        accelerator: Accelerator::Tcg,
        argument: "tcg,thread=multi".to_owned(),
        why: "it is everywhere".to_owned(),
        is_asked: true,
    };
    Platform {
        emulator: Emulator::find(Arch::X86_64, &host).expect("QEMU for x86_64"),
        firmware: Firmware::find(Arch::X86_64, &host).expect("firmware for x86_64"),
        acceleration,
    }
}
