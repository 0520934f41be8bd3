//! Boot scripts: a decision in iPXE's words.
//!
//! iPXE splits a line at white space and knows no quotes; a word that is `||`, `&&` or `;` or starts with `#` ends the
//! command, and `${…}` is replaced anywhere. What is written into a script here is of a type that can hold none of these,
//! or is checked. No script waits for ever: each fetch has a limit and a number of attempts, and then the firmware goes on.
//! It does so only after a script that ends with a status other than zero (UEFI 2.10 §3.1.1).

use std::fmt::Write as _;

use lab_model::{Arch, CONFIG_ARGUMENT, EVENTS_ARGUMENT, ImageManifest, MacAddr, MachineName, SHELL_ARGUMENT};

use super::{BaseUrl, Boot};

/// The script that iPXE on UEFI fetches first, from where it was loaded itself.
pub fn autoexec(base: BaseUrl) -> String {
    include_str!("../../../../ipxe/autoexec.ipxe").replace("{base}", &base.to_string())
}

/// The script that makes iPXE carry out `boot` on the machine at `mac`.
///
/// `image` is the manifest of the image to be installed; `None` where the server does not have it: then the script says so.
pub fn script(boot: &Boot, mac: MacAddr, image: Option<&ImageManifest>, base: BaseUrl) -> String {
    match (boot, image) {
        (Boot::Install { machine, shell, .. }, Some(manifest)) => install(machine, mac, manifest, *shell, base),
        (Boot::Install { machine, image, arch, .. }, None) => message(&[
            &format!("{machine} should get the image {image} for {arch}, but the server does not have it."),
            &format!("Put it into images/{image}/{arch}/ with its manifest.json, then start this machine again."),
        ]),
        (Boot::Local, _) => {
            "#!ipxe\necho pvmlab: nothing to install, this machine boots from its disk\nexit 1\n".into()
        }
        (Boot::Unknown, _) => unknown(mac),
        (Boot::Refuse(refusal), _) => message(&[&format!("{refusal}.")]),
    }
}

/// The name of the installer in the initial RAM file system that the kernel starts with.
const INSTALLER: &str = "/pvmlab-installer";

/// After how many milliseconds without a byte iPXE gives up a fetch.
const STALL: u32 = 30_000;

/// How often a fetch that failed is tried.
const ATTEMPTS: u32 = 3;

/// How many seconds a message stays on the console before the firmware goes on.
const READING: u32 = 10;

/// The kernel and initrd of the image, with the installer laid over it: iPXE makes its cpio header itself, and gives EFI
/// kernels all of it as `initrd.magic`.
fn install(machine: &MachineName, mac: MacAddr, manifest: &ImageManifest, shell: bool, base: BaseUrl) -> String {
    if let Some(word) = manifest.kernel_arguments.iter().find(|word| !is_plain_word(word)) {
        return message(&[
            &format!("the image {} cannot be started: a boot script cannot carry its kernel argument", manifest.name),
            &word.escape_default().to_string(),
        ]);
    }
    let file = |file| base.image(&manifest.name, manifest.arch, file, mac);
    let (config, events) = (base.config(mac), base.events(mac));
    let mut arguments =
        format!("initrd=initrd.magic rdinit={INSTALLER} {CONFIG_ARGUMENT}={config} {EVENTS_ARGUMENT}={events}");
    // The definition speaks last: of a word that comes twice, the last counts.
    for word in manifest.kernel_arguments.iter().map(String::as_str).chain(shell.then_some(SHELL_ARGUMENT)) {
        arguments.push(' ');
        arguments.push_str(word);
    }
    let fetches = [
        ("kernel", format!("kernel --timeout {STALL} {} {arguments}", file(&manifest.kernel.file))),
        ("initrd", format!("initrd --timeout {STALL} {}", file(&manifest.initrd.file))),
        ("installer", format!("initrd --timeout {STALL} {} {INSTALLER} mode=755", base.installer(manifest.arch, mac))),
    ];

    let mut script = format!(
        "#!ipxe\necho pvmlab: {machine} gets {} for {} from {base}\nset tries:int32 0\n:again\n",
        manifest.name, manifest.arch
    );
    for (what, fetch) in fetches {
        let _ = writeln!(script, "set what the {what} could not be fetched\n{fetch} || goto failed");
    }
    let _ = write!(
        script,
        "set what the kernel could not be started\n\
         boot || goto failed\n\
         :failed\n\
         echo pvmlab: ${{what}}\n\
         imgfree\n\
         inc tries\n\
         iseq ${{tries}} {ATTEMPTS} && goto fail ||\n\
         sleep 2\n\
         goto again\n\
         :fail\n\
         echo pvmlab: nothing was changed on this machine, next boot device in {READING} seconds\n\
         sleep {READING}\n\
         exit 1\n"
    );
    script
}

fn unknown(mac: MacAddr) -> String {
    message(&[
        &format!("nobody has defined this machine, {mac}."),
        "To have it installed, put a file such as new.toml beside the other definitions on the server:",
        "name = 'new'",
        &format!("arch = '{}' or '{}'", Arch::Aarch64, Arch::X86_64),
        &format!("mac = '{mac}'"),
        "pxeboot = true",
        "distro = 'the name of an image'",
        "ssh_key = 'ssh-ed25519 AAAA...'",
        "Then start this machine again.",
    ])
}

/// A script that shows these lines, leaves time to read them, and lets the firmware go on to its next device.
fn message(lines: &[&str]) -> String {
    let mut script = "#!ipxe\n".to_owned();
    for line in lines {
        let _ = writeln!(script, "echo pvmlab: {}", printable(line));
    }
    let _ = write!(script, "echo pvmlab: next boot device in {READING} seconds\nsleep {READING}\nexit 1\n");
    script
}

/// The same words, as far as iPXE prints them and does nothing else.
fn printable(text: &str) -> String {
    let words = text.split_whitespace().map(|word| {
        let word: String = word.chars().filter(|c| c.is_ascii_graphic() && *c != '$').collect();
        if is_plain_word(&word) { word } else { "?".to_owned() }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Whether iPXE hands the word on as it is.
fn is_plain_word(word: &str) -> bool {
    let graphic = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_graphic());
    graphic && !word.contains("${") && !word.starts_with('#') && !["||", "&&", ";"].contains(&word)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;
    use crate::boot::Refusal;

    #[test]
    fn autoexec_goes_straight_to_the_script_on_the_firmwares_lease() {
        insta::assert_snapshot!(autoexec(BASE));
    }

    #[test]
    fn install_lays_the_installer_over_the_images_initrd() {
        insta::assert_snapshot!(script(&web(), MAC, Some(&manifest(&["console=ttyAMA0"])), BASE));
    }

    #[test]
    fn a_shell_that_a_definition_asks_for_has_the_last_word() {
        let Boot::Install { machine, image, arch, .. } = web() else { panic!("web gets an image") };
        let boot = Boot::Install { machine, image, arch, shell: true };

        let script = script(&boot, MAC, Some(&manifest(&["initrd.mode=auto"])), BASE);

        assert!(script.contains(" initrd.mode=auto initrd.mode=shell || goto failed\n"), "{script}");
    }

    #[test]
    fn a_machine_whose_image_is_missing_says_where_it_belongs() {
        insta::assert_snapshot!(script(&web(), MAC, None, BASE));
    }

    #[test]
    fn a_stranger_says_on_its_console_how_to_define_it() {
        insta::assert_snapshot!(script(&Boot::Unknown, MAC, None, BASE));
    }

    #[test]
    fn a_refused_machine_says_why() {
        let machine = "web".parse().expect("a name");
        let refusal = Refusal::WrongArch { machine, defined: Arch::Aarch64, found: Arch::X86_64 };

        insta::assert_snapshot!(script(&Boot::Refuse(refusal), MAC, None, BASE));
    }

    #[test]
    fn a_machine_without_image_goes_on_to_its_disk() {
        insta::assert_snapshot!(script(&Boot::Local, MAC, None, BASE));
    }

    #[test]
    fn a_manifest_cannot_put_commands_into_a_script() {
        for word in ["||", "&&", ";", "#", "a\nexit", "a exit", "${net0/ip}", "", "\u{7}"] {
            let script = script(&web(), MAC, Some(&manifest(&[word])), BASE);

            assert!(!script.contains("kernel --timeout"), "{script}");
            assert!(script.contains("cannot carry its kernel argument"), "{script}");
        }
    }

    #[test]
    fn plus_and_ampersand_are_written_as_they_are() {
        let script = script(&web(), MAC, Some(&manifest(&["a=b+c&d<e>\"f\""])), BASE);

        assert!(script.contains(" a=b+c&d<e>\"f\"\n") || script.contains(" a=b+c&d<e>\"f\" "), "{script}");
    }

    proptest! {
        #[test]
        fn whatever_a_message_says_it_stays_one_harmless_line(text in ".*") {
            let script = message(&[&text]);

            prop_assert_eq!(script.lines().count(), 5);
            let words: Vec<_> = script.lines().nth(1).unwrap_or_default().split_whitespace().collect();
            prop_assert_eq!(&words[..2], ["echo", "pvmlab:"]);
            prop_assert!(words.iter().all(|word| is_plain_word(word)));
        }
    }

    const MAC: MacAddr = MacAddr::new([0x52, 0x54, 0, 0, 0, 1]);
    const BASE: BaseUrl = BaseUrl::new(Ipv4Addr::new(10, 77, 0, 1), 80);

    fn web() -> Boot {
        Boot::Install {
            machine: "web".parse().expect("a name"),
            image: "debian-12".parse().expect("a name"),
            arch: Arch::Aarch64,
            shell: false,
        }
    }

    fn manifest(arguments: &[&str]) -> ImageManifest {
        let digest = "0".repeat(64);
        let file = |name: &str| format!(r#"{{"file":"{name}","size":1,"sha256":"{digest}"}}"#);
        let text = format!(
            r#"{{"name":"debian-12","arch":"aarch64","kernel":{},"initrd":{},"disk":{{"file":"disk.zst","size":1,
               "sha256":"{digest}","compression":"zstd","raw-size":512,"raw-sha256":"{digest}"}}}}"#,
            file("vmlinuz"),
            file("initrd.img"),
        );
        let mut manifest = ImageManifest::from_json(&text).expect("a manifest");
        manifest.kernel_arguments = arguments.iter().map(|word| (*word).to_owned()).collect();
        manifest
    }
}
