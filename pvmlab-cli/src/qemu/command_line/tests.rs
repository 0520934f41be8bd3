use super::*;
use crate::network::bridge::BridgeName;
use crate::qemu::accelerator::Accelerator;

#[test]
fn a_provisioner_has_an_uplink_and_the_labs_folders() {
    insta::assert_snapshot!(
        "linux_provisioner_aarch64_switch",
        shown(&provisioner(Arch::Aarch64), &linux(Arch::Aarch64))
    );
    insta::assert_snapshot!("linux_provisioner_x86_64_switch", shown(&provisioner(Arch::X86_64), &linux(Arch::X86_64)));
}

#[test]
fn a_target_is_on_the_lab_network_alone() {
    insta::assert_snapshot!("linux_target_aarch64_switch", shown(&target(Arch::Aarch64), &linux(Arch::Aarch64)));
    insta::assert_snapshot!("linux_target_x86_64_switch", shown(&target(Arch::X86_64), &linux(Arch::X86_64)));
}

#[test]
fn on_a_bridge_a_machine_has_a_tap_device() {
    let lan = Lan::Tap { device: "pvm525400770010".to_owned(), bridge: BridgeName::default() };

    let [target, provisioner] =
        [target(Arch::X86_64), provisioner(Arch::Aarch64)].map(|guest| Guest { lan: lan.clone(), ..guest });

    insta::assert_snapshot!("linux_target_x86_64_bridge", shown(&target, &linux(Arch::X86_64)));
    insta::assert_snapshot!("linux_provisioner_aarch64_bridge", shown(&provisioner, &linux(Arch::Aarch64)));
}

#[test]
fn on_macos_qemu_connects_to_socket_vmnet() {
    let lan = Lan::Stream { socket: PathBuf::from("/var/run/vmlab.socket_vmnet") };

    for (arch, name) in [(Arch::Aarch64, "aarch64"), (Arch::X86_64, "x86_64")] {
        let [target, provisioner] = [target(arch), provisioner(arch)].map(|guest| Guest { lan: lan.clone(), ..guest });
        insta::assert_snapshot!(format!("macos_target_{name}_socket_vmnet"), shown(&target, &macos(arch)));
        insta::assert_snapshot!(format!("macos_provisioner_{name}_socket_vmnet"), shown(&provisioner, &macos(arch)));
    }
}

#[test]
fn on_macos_a_client_may_connect_for_qemu() {
    let lan = Lan::Client {
        program: PathBuf::from("/opt/socket_vmnet/bin/socket_vmnet_client"),
        socket: PathBuf::from("/var/run/vmlab.socket_vmnet"),
    };

    let guest = Guest { lan, ..target(Arch::Aarch64) };

    insta::assert_snapshot!("macos_target_aarch64_socket_vmnet_client", shown(&guest, &macos(Arch::Aarch64)));
}

#[test]
fn the_boot_order_is_the_firmwares() {
    let indices = |boot, network_boot| {
        let guest = Guest { boot, network_boot, ..target(Arch::X86_64) };
        let line = command_line(&guest, &linux(Arch::X86_64));
        let devices = line.arguments.iter().filter_map(|word| word.split_once(",bootindex="));
        devices.map(|(device, at)| format!("{}={at}", device.split(',').next().unwrap_or_default())).collect::<Vec<_>>()
    };

    assert_eq!(indices(BootOrder::Disk, true), ["virtio-blk-pci=1", "virtio-net-pci=2"]);
    assert_eq!(indices(BootOrder::Disk, false), ["virtio-blk-pci=1"]);
    assert_eq!(indices(BootOrder::Pxe, true), ["virtio-blk-pci=2", "virtio-net-pci=1"]);
    assert_eq!(indices(BootOrder::Pxe, false), ["virtio-blk-pci=2", "virtio-net-pci=1"]);
}

#[test]
fn a_machine_may_be_switched_off_where_it_would_reboot() {
    let guest = Guest { on_reboot: OnReboot::PowerOff, ..target(Arch::X86_64) };

    assert!(command_line(&guest, &linux(Arch::X86_64)).arguments.contains(&"-no-reboot".to_owned()));
}

#[test]
fn each_release_of_qemu_is_told_to_reconnect_in_its_own_way() {
    let netdev = |major, minor| lan(&Lan::Stream { socket: PathBuf::from("/s") }, Version { major, minor });

    let plain = "stream,id=lab,server=off,addr.type=unix,addr.path=/s";
    assert_eq!(netdev(7, 2), plain);
    assert_eq!(netdev(8, 0), format!("{plain},reconnect=1"));
    assert_eq!(netdev(9, 1), format!("{plain},reconnect=1"));
    assert_eq!(netdev(9, 2), format!("{plain},reconnect-ms=1000"));
    assert_eq!(netdev(10, 0), format!("{plain},reconnect-ms=1000"));
}

#[test]
fn kvm_takes_the_hosts_processor_and_interrupt_controller() {
    let mut platform = linux(Arch::Aarch64);
    platform.acceleration = acceleration(Accelerator::Kvm, "kvm");

    let line = command_line(&target(Arch::Aarch64), &platform).to_string();

    assert!(line.contains("-machine virt,gic-version=host -accel kvm -cpu host"), "{line}");
}

#[test]
fn a_comma_in_a_path_does_not_end_it() {
    let guest = Guest { disk: PathBuf::from("/home/a,b/web.qcow2"), ..target(Arch::X86_64) };

    let line = command_line(&guest, &linux(Arch::X86_64)).to_string();

    assert!(line.contains("file=/home/a,,b/web.qcow2"), "{line}");
}

/// One option a line.
fn shown(guest: &Guest, platform: &Platform) -> String {
    command_line(guest, platform).to_string().replace(" -", "\n-")
}

fn target(arch: Arch) -> Guest {
    let home = |file: &str| Path::new("/home/ada/.pvmlab").join(file);
    Guest {
        name: "web".parse().expect("a name"),
        arch,
        mac: MacAddr::new([0x52, 0x54, 0, 0x77, 0, 0x10]),
        memory_mib: 2048,
        cpus: 2,
        boot: BootOrder::Disk,
        network_boot: true,
        on_reboot: OnReboot::Restart,
        disk: home("vms/web.qcow2"),
        seed: None,
        variables: home("vms/web-vars.fd"),
        monitor: home("monitors/web.sock"),
        console: home("monitors/web.console"),
        console_log: home("logs/web.log"),
        lan: Lan::Stream { socket: home("network/switch.sock") },
        uplink: None,
        shares: Vec::new(),
    }
}

fn provisioner(arch: Arch) -> Guest {
    let home = |file: &str| Path::new("/home/ada/.pvmlab").join(file);
    let share = |tag, folder| Share { tag, folder: home(folder) };
    Guest {
        memory_mib: 4096,
        network_boot: false,
        seed: Some(home("configs/cloud-init/web.iso")),
        uplink: Some(Uplink { ssh_port: 2222 }),
        shares: vec![share("host_share_vms", "vms"), share("host_share_images", "images")],
        ..target(arch)
    }
}

fn linux(arch: Arch) -> Platform {
    let (code, variables) = match arch {
        Arch::Aarch64 => ("/usr/share/AAVMF/AAVMF_CODE.fd", "/usr/share/AAVMF/AAVMF_VARS.fd"),
        Arch::X86_64 => ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
    };
    let program = PathBuf::from(format!("/usr/bin/qemu-system-{arch}"));
    Platform {
        emulator: Emulator { program, version: Version { major: 7, minor: 2 } },
        firmware: Firmware { code: flash(code), variables: flash(variables) },
        acceleration: acceleration(Accelerator::Tcg, "tcg,thread=multi"),
    }
}

/// An Apple computer with Apple's processor: it accelerates aarch64 alone.
fn macos(arch: Arch) -> Platform {
    let (code, variables, acceleration) = match arch {
        Arch::Aarch64 => ("edk2-aarch64-code.fd", "edk2-arm-vars.fd", acceleration(Accelerator::Hvf, "hvf")),
        Arch::X86_64 => {
            ("edk2-x86_64-code.fd", "edk2-i386-vars.fd", acceleration(Accelerator::Tcg, "tcg,thread=multi"))
        }
    };
    let share = |file: &str| flash(&format!("/opt/homebrew/share/qemu/{file}"));
    let program = PathBuf::from(format!("/opt/homebrew/bin/qemu-system-{arch}"));
    Platform {
        emulator: Emulator { program, version: Version { major: 10, minor: 0 } },
        firmware: Firmware { code: share(code), variables: share(variables) },
        acceleration,
    }
}

fn flash(file: &str) -> Flash {
    Flash { file: PathBuf::from(file), format: "raw".to_owned() }
}

fn acceleration(accelerator: Accelerator, argument: &str) -> Acceleration {
    Acceleration { accelerator, argument: argument.to_owned(), why: String::new(), is_asked: false }
}
