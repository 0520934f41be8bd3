//! Disks as distributions lay them out, a few MiB each, made by the programs that make real ones.

#![allow(dead_code, unreachable_pub, reason = "each test program uses its part")]
#![allow(clippy::disallowed_methods, clippy::panic, reason = "tests make their input with other programs")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

/// A partition of a disk.
pub struct Partition {
    /// As the table counts it.
    pub number: u32,
    pub mib: u64,
    pub content: Content,
}

/// What a partition holds.
pub enum Content {
    Ext4(Vec<(&'static str, Node)>),
    Fat(Vec<(&'static str, Node)>),
    /// These bytes at its beginning.
    Raw(Vec<u8>),
}

/// What lies at a path.
#[derive(Clone)]
pub enum Node {
    File(Vec<u8>),
    Link(&'static str),
}

/// Debian's: an EFI system partition that lies first, and a root with `/boot` in it and links to the newest kernel.
pub fn debian(kernel: Vec<u8>) -> Vec<u8> {
    disk(&[
        Partition {
            number: 15,
            mib: 4,
            content: Content::Fat(vec![("EFI/debian/grub.cfg", text("configfile $prefix/grub.cfg\n"))]),
        },
        Partition {
            number: 1,
            mib: 8,
            content: Content::Ext4(vec![
                ("boot/vmlinuz-6.1.0-9-cloud", Node::File(b"an older kernel".to_vec())),
                ("boot/initrd.img-6.1.0-9-cloud", text("an older initrd")),
                ("boot/vmlinuz-6.1.0-37-cloud", Node::File(kernel)),
                ("boot/initrd.img-6.1.0-37-cloud", text("the initrd")),
                (
                    "boot/grub/grub.cfg",
                    text(&grub_menu("/boot/vmlinuz-6.1.0-37-cloud", "/boot/initrd.img-6.1.0-37-cloud")),
                ),
                ("vmlinuz", Node::Link("boot/vmlinuz-6.1.0-37-cloud")),
                ("initrd.img", Node::Link("boot/initrd.img-6.1.0-37-cloud")),
            ]),
        },
    ])
}

/// Ubuntu's since 24.04: `/boot` on a partition of its own, which GRUB's paths begin at.
pub fn ubuntu(kernel: Vec<u8>) -> Vec<u8> {
    disk(&[
        Partition { number: 1, mib: 8, content: Content::Ext4(vec![("etc/os-release", text("NAME=Ubuntu\n"))]) },
        Partition {
            number: 16,
            mib: 8,
            content: Content::Ext4(vec![
                ("vmlinuz-6.8.0-31-generic", Node::File(kernel)),
                ("initrd.img-6.8.0-31-generic", text("the initrd")),
                ("grub/grub.cfg", text(&grub_menu("/vmlinuz-6.8.0-31-generic", "/initrd.img-6.8.0-31-generic"))),
            ]),
        },
    ])
}

/// Fedora's: the root is Btrfs, and `/boot` an ext4 with entries of their own, of which GRUB saved the default.
pub fn fedora(kernel: Vec<u8>, saved: &str) -> Vec<u8> {
    let entry = |version: &str| {
        text(&format!(
            "title Fedora ({version})\nversion {version}\nlinux /vmlinuz-{version}\ninitrd /initramfs-{version}.img\n\
             options root=UUID=7 ro rootflags=subvol=root console=tty1 console=ttyS0,115200n8\n"
        ))
    };
    let mut root = vec![0; 0x1_0048];
    root[0x1_0040..].copy_from_slice(b"_BHRfS_M");
    disk(&[
        Partition {
            number: 3,
            mib: 8,
            content: Content::Ext4(vec![
                ("vmlinuz-6.10.4-200.fc40", Node::File(kernel.clone())),
                ("initramfs-6.10.4-200.fc40.img", text("the older initrd")),
                ("vmlinuz-6.10.14-200.fc40", Node::File(kernel)),
                ("initramfs-6.10.14-200.fc40.img", text("the initrd")),
                ("loader/entries/3c1f-6.10.4-200.fc40.conf", entry("6.10.4-200.fc40")),
                ("loader/entries/3c1f-6.10.14-200.fc40.conf", entry("6.10.14-200.fc40")),
                ("grub2/grub.cfg", text("set default=\"${saved_entry}\"\ninsmod blscfg\nblscfg\n")),
                ("grub2/grubenv", text(&format!("# GRUB Environment Block\nsaved_entry={saved}\n####"))),
            ]),
        },
        Partition { number: 4, mib: 4, content: Content::Raw(root) },
    ])
}

/// A partition that holds this at its beginning, and an EFI system partition.
pub fn hidden(magic: &[u8]) -> Vec<u8> {
    disk(&[
        Partition { number: 1, mib: 4, content: Content::Fat(vec![("EFI/BOOT/BOOTX64.EFI", text("MZ"))]) },
        Partition { number: 2, mib: 4, content: Content::Raw(magic.to_vec()) },
    ])
}

/// What is enough of a bzImage to be taken for one.
pub fn x86_64() -> Vec<u8> {
    let mut image: Vec<u8> = (0..300_000_u32).map(|at| (at.wrapping_mul(at) >> 9) as u8).collect();
    image[0x1fe..0x200].copy_from_slice(&[0x55, 0xaa]);
    image[0x202..0x208].copy_from_slice(b"HdrS\x0f\x02");
    image[0x236] = 1;
    image
}

/// What is enough of an arm64 `Image` to be taken for one.
pub fn aarch64() -> Vec<u8> {
    let mut image = x86_64();
    image[0x38..0x3c].copy_from_slice(b"ARM\x64");
    image
}

/// A file of text.
pub fn text(text: &str) -> Node {
    Node::File(text.as_bytes().to_vec())
}

/// A disk with these partitions, one after the other.
pub fn disk(partitions: &[Partition]) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("disk");
    let mib: u64 = partitions.iter().map(|partition| partition.mib).sum();
    let mut disk = vec![0; ((mib + 2) << 20) as usize];
    fs::write(&path, &disk).expect("written");
    let (mut start, mut arguments) = (1, vec!["--clear".to_owned()]);
    for Partition { number, mib, .. } in partitions {
        arguments.push(format!("--new={number}:{}:{}", start << 11, ((start + mib) << 11) - 1));
        start += mib;
    }
    run(Command::new("sgdisk").args(arguments).arg(&path), "gdisk");
    disk.copy_from_slice(&fs::read(&path).expect("read"));
    let mut at = 1 << 20;
    for Partition { mib, content, .. } in partitions {
        let content = match content {
            Content::Ext4(nodes) => ext4(folder.path(), nodes, *mib),
            Content::Fat(nodes) => fat(folder.path(), nodes, *mib),
            Content::Raw(bytes) => bytes.clone(),
        };
        disk[at..at + content.len()].copy_from_slice(&content);
        at += (mib << 20) as usize;
    }
    disk
}

fn ext4(folder: &Path, nodes: &[(&str, Node)], mib: u64) -> Vec<u8> {
    let (tree, volume) = (folder.join("tree"), folder.join("volume"));
    fs::create_dir(&tree).expect("made");
    for (path, node) in nodes {
        let path = tree.join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        match node {
            Node::File(content) => fs::write(&path, content).expect("written"),
            Node::Link(target) => symlink(target, &path).expect("made"),
        }
    }
    run(
        Command::new("mke2fs").args(["-q", "-F", "-t", "ext4", "-d"]).args([&tree, &volume]).arg(format!("{mib}m")),
        "e2fsprogs",
    );
    take(&tree, &volume)
}

fn fat(folder: &Path, nodes: &[(&str, Node)], mib: u64) -> Vec<u8> {
    let (tree, volume) = (folder.join("tree"), folder.join("volume"));
    fs::create_dir(&tree).expect("made");
    fs::write(&volume, vec![0; (mib << 20) as usize]).expect("written");
    let on_volume = |program: &str| {
        let mut command = Command::new(program);
        command.arg("-i").arg(&volume);
        command
    };
    run(on_volume("mformat").args(["-T", &(mib << 11).to_string(), "::"]), "mtools");
    let mut made = Vec::new();
    for (path, node) in nodes {
        let Node::File(content) = node else { panic!("FAT has no links") };
        for (at, _) in path.match_indices('/') {
            if !made.contains(&&path[..at]) {
                run(on_volume("mmd").arg(format!("::/{}", &path[..at])), "mtools");
                made.push(&path[..at]);
            }
        }
        fs::write(tree.join("file"), content).expect("written");
        run(on_volume("mcopy").arg(tree.join("file")).arg(format!("::/{path}")), "mtools");
    }
    take(&tree, &volume)
}

fn take(tree: &Path, volume: &Path) -> Vec<u8> {
    let content = fs::read(volume).expect("read");
    fs::remove_dir_all(tree).expect("removed");
    fs::remove_file(volume).expect("removed");
    content
}

fn run(command: &mut Command, package: &str) {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().unwrap_or_else(|error| panic!("{program}: {error}: install {package}"));
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
}

fn grub_menu(kernel: &str, initrd: &str) -> String {
    format!(
        "set default=\"0\"\nmenuentry 'Linux' $menuentry_id_option 'simple' {{\n\
         \tlinux {kernel} root=UUID=1 ro console=tty1 console=ttyS0\n\tinitrd {initrd}\n}}\n"
    )
}
