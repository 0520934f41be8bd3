//! Boot scripts: a decision in iPXE's words.
//!
//! iPXE splits a line at white space and knows no quotes; a word that is `||`, `&&` or `;` or starts with `#` ends the
//! command, and `${…}` is replaced anywhere. What is written into a script here is of a type that can hold none of these,
//! or is checked. No script waits for ever: each fetch has a limit and a number of attempts, and then the firmware goes on.
//! It does so only after a script that ends with a status other than zero (UEFI 2.10 §3.1.1).

use std::fmt::Write as _;

use lab_model::{
    Arch, CONFIG_ARGUMENT, EVENTS_ARGUMENT, ImageManifest, ImageName, Ipv4Net, MEMORY_ARGUMENT, MacAddr, Machine,
    MachineName, SHELL_ARGUMENT,
};

use super::profile::{Kind, Menu, Setting};
use super::{BaseUrl, Boot, Profile, Profiles};

/// The script that iPXE on UEFI fetches first, from where it was loaded itself.
pub fn autoexec(base: BaseUrl) -> String {
    // iPXE's words for an address of the server's family, and for how it gets one.
    let (address, configurator) = if base.address().is_ipv4() { ("ip", "dhcp") } else { ("ip6", "ipv6") };
    let text = include_str!("../../../../ipxe/autoexec.ipxe").replace("{base}", &base.to_string());
    text.replace("{address}", address).replace("{configurator}", configurator)
}

/// Whom a script is for, and what it can be made of.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// The hardware address of whoever asks.
    pub mac: MacAddr,
    /// What the inventory has of it.
    pub machine: Option<&'a Machine>,
    /// The manifest of the image that the decision names; `None` where the server does not have it: then the script says so.
    pub manifest: Option<&'a ImageManifest>,
    /// The profiles, for what a menu says of them.
    pub profiles: &'a Profiles,
    /// The server's address on the machine's network, with its prefix.
    pub server: Ipv4Net,
    /// How the boot program that asks reaches the server.
    pub base: BaseUrl,
    /// How what it starts does: no installer knows whom our own TLS is certified by.
    pub plain: BaseUrl,
    /// The account that the machine's keys open.
    pub user: &'a str,
}

/// The script that makes iPXE carry out `boot`.
pub fn script(boot: &Boot, scene: &Scene<'_>) -> String {
    match boot {
        Boot::Install { machine, image, arch, shell } => match scene.manifest {
            Some(manifest) => install(machine, manifest, shell.then(|| SHELL_ARGUMENT.to_owned()), scene),
            None => missing(machine, image, *arch),
        },
        Boot::Memory { machine, image, arch } => match scene.manifest {
            Some(manifest) => in_memory(machine, manifest, scene),
            None => missing(machine, image, *arch),
        },
        Boot::Profile { machine, profile, image, arch } => match (&profile.kind, image, scene.manifest) {
            (Kind::Installer(_) | Kind::Live(_), Some(image), None) => missing(machine, image, *arch),
            _ => by_profile(profile, image.as_ref(), scene)
                .unwrap_or_else(|problem| message(&[&format!("the profile {} of {machine}: {problem}", profile.name)])),
        },
        Boot::Menu { machine, menu } => choice(machine, menu, scene),
        Boot::Local => "#!ipxe\necho pvmlab: nothing to install, this machine boots from its disk\nexit 1\n".into(),
        Boot::Unknown => unknown(scene.mac),
        Boot::Refuse(refusal) => message(&[&format!("{refusal}.")]),
    }
}

/// The name of the installer in the initial RAM file system that the kernel starts with.
const INSTALLER: &str = "/pvmlab-installer";

/// What such a script comes to, in bytes, unless names and arguments are long.
const LENGTH: usize = 2048;

/// After how many milliseconds without a byte iPXE gives up a fetch.
const STALL: u32 = 30_000;

/// How often a fetch that failed is tried.
const ATTEMPTS: u32 = 3;

/// How many seconds a message stays on the console before the firmware goes on.
const READING: u32 = 10;

/// The kernel and initrd of the image, with the installer laid over it: iPXE makes its cpio header itself, and gives EFI
/// kernels all of it as `initrd.magic`.
fn install(
    machine: &MachineName,
    manifest: &ImageManifest,
    more: impl IntoIterator<Item = String>,
    scene: &Scene<'_>,
) -> String {
    let Scene { mac, base, plain, .. } = *scene;
    let (config, events) = (plain.config(mac), plain.events(mac));
    let ours =
        [format!("rdinit={INSTALLER}"), format!("{CONFIG_ARGUMENT}={config}"), format!("{EVENTS_ARGUMENT}={events}")];
    // The definition speaks last: of a word that comes twice, the last counts.
    let theirs = manifest.kernel_arguments.iter().cloned().chain(more);
    let arguments: Vec<_> = ours.into_iter().chain(theirs).collect();
    if let Some(word) = arguments.iter().find(|word| !is_plain_word(word)) {
        return message(&[
            &format!("the image {} cannot be started: a boot script cannot carry its kernel argument", manifest.name),
            &word.escape_default().to_string(),
        ]);
    }
    let installer = format!("initrd --timeout {STALL} {} {INSTALLER} mode=755", base.installer(manifest.arch, mac));
    let title = format!("{machine} gets {} for {} from {base}", manifest.name, manifest.arch);
    kernel(&title, mac, manifest, &arguments, Some(("installer", installer)), base)
}

/// The same, with what the image's system is started with: the installer hands over to its initial RAM file system.
fn in_memory(machine: &MachineName, manifest: &ImageManifest, scene: &Scene<'_>) -> String {
    let Some(arguments) = &manifest.installed_arguments else {
        return message(&[
            &format!("the image {} does not say how its system is started, so it cannot run in memory.", manifest.name),
            "Its manifest needs `installed-arguments`.",
        ]);
    };
    let theirs = arguments.split_whitespace().map(str::to_owned);
    install(machine, manifest, theirs.chain([MEMORY_ARGUMENT.to_owned()]), scene)
}

/// What the profile says, rendered for the machine.
fn by_profile(profile: &Profile, image: Option<&ImageName>, scene: &Scene<'_>) -> Result<String, String> {
    let Scene { mac, base, plain, server, user, .. } = *scene;
    let machine = scene.machine.ok_or("nobody has defined this machine")?;
    let setting = Setting { machine, image, server, base: plain, user };
    if let Kind::Script(file) = &profile.kind {
        return profile.file(file, &setting).map_err(|error| error.to_string());
    }
    let manifest = scene.manifest.ok_or("the server does not have its image")?;
    let arguments = profile.arguments(&setting).map_err(|error| error.to_string())?;
    if let Some(word) = arguments.iter().find(|word| !is_plain_word(word)) {
        return Err(format!("a boot script cannot carry the kernel argument {}", word.escape_default()));
    }
    let title = format!("{} boots {} from {base}", machine.name, profile.name);
    Ok(kernel(&title, mac, manifest, &arguments, None, base))
}

/// Fetches the kernel and initrd of an image, and what is laid over it, and starts them.
fn kernel(
    title: &str,
    mac: MacAddr,
    manifest: &ImageManifest,
    arguments: &[String],
    over: Option<(&'static str, String)>,
    base: BaseUrl,
) -> String {
    let file = |file| base.image(&manifest.name, manifest.arch, file, mac);
    let mut command_line = "initrd=initrd.magic".to_owned();
    for word in arguments {
        command_line.push(' ');
        command_line.push_str(word);
    }
    let mut fetches = vec![
        ("kernel", format!("kernel --timeout {STALL} {} {command_line}", file(&manifest.kernel.file))),
        ("initrd", format!("initrd --timeout {STALL} {}", file(&manifest.initrd.file))),
    ];
    fetches.extend(over);

    let mut script = String::with_capacity(LENGTH);
    let _ = write!(script, "#!ipxe\necho pvmlab: {title}\nset tries:int32 0\n:again\n");
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

/// A menu, which has the script of what was chosen fetched.
fn choice(machine: &MachineName, menu: &Menu, scene: &Scene<'_>) -> String {
    let mut script = format!("#!ipxe\nmenu pvmlab: what {machine} boots\n");
    for item in &menu.items {
        let described = scene.profiles.named(item).map(|profile| printable(&profile.description));
        let text = described.filter(|text| !text.is_empty()).unwrap_or_else(|| item.to_string());
        let _ = writeln!(script, "item {item} {text}");
    }
    let milliseconds = u32::from(menu.timeout_seconds) * 1000;
    let _ = write!(
        script,
        "choose --default {} --timeout {milliseconds} chosen || exit 1\n\
         chain --replace {} || exit 1\n",
        menu.default,
        scene.base.chosen(scene.mac)
    );
    script
}

fn missing(machine: &MachineName, image: &ImageName, arch: Arch) -> String {
    message(&[
        &format!("{machine} should get the image {image} for {arch}, but the server does not have it."),
        &format!("Put it into images/{image}/{arch}/ with its manifest.json, then start this machine again."),
    ])
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
pub(super) mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use proptest::prelude::*;

    use super::*;
    use crate::boot::profile::tests::machine;
    use crate::boot::{Asker, Refusal, decide};

    #[test]
    fn autoexec_goes_straight_to_the_script_on_the_firmwares_lease() {
        insta::assert_snapshot!(autoexec(BASE));
    }

    #[test]
    fn install_lays_the_installer_over_the_images_initrd() {
        insta::assert_snapshot!(of(&web(), Some(&manifest(&["console=ttyAMA0"]))));
    }

    #[test]
    fn a_system_in_memory_gets_what_it_is_started_with() {
        let Boot::Install { machine, image, arch, .. } = web() else { panic!("web gets an image") };
        let boot = Boot::Memory { machine, image, arch };
        let silent = manifest(&["console=ttyAMA0"]);
        let told = ImageManifest { installed_arguments: Some("root=UUID=1 ro".to_owned()), ..silent.clone() };

        let (refused, script) =
            (of(&boot, Some(&ImageManifest { installed_arguments: None, ..silent })), of(&boot, Some(&told)));

        assert!(refused.contains("does not say how its system is started"), "{refused}");
        assert!(script.contains(" console=ttyAMA0 root=UUID=1 ro initrd.mode=memory ||"), "{script}");
    }

    #[test]
    fn a_shell_that_a_definition_asks_for_has_the_last_word() {
        let Boot::Install { machine, image, arch, .. } = web() else { panic!("web gets an image") };
        let boot = Boot::Install { machine, image, arch, shell: true };

        let script = of(&boot, Some(&manifest(&["initrd.mode=auto"])));

        assert!(script.contains(" initrd.mode=auto initrd.mode=shell || goto failed\n"), "{script}");
    }

    #[test]
    fn a_machine_whose_image_is_missing_says_where_it_belongs() {
        insta::assert_snapshot!(of(&web(), None));
    }

    #[test]
    fn a_stranger_says_on_its_console_how_to_define_it() {
        insta::assert_snapshot!(of(&Boot::Unknown, None));
    }

    #[test]
    fn a_refused_machine_says_why() {
        let machine = "web".parse().expect("a name");
        let refusal = Refusal::WrongArch { machine, defined: Arch::Aarch64, found: Arch::X86_64 };

        insta::assert_snapshot!(of(&Boot::Refuse(refusal), None));
    }

    #[test]
    fn a_machine_without_image_goes_on_to_its_disk() {
        insta::assert_snapshot!(of(&Boot::Local, None));
    }

    #[test]
    fn a_manifest_cannot_put_commands_into_a_script() {
        for word in ["||", "&&", ";", "#", "a\nexit", "a exit", "${net0/ip}", "", "\u{7}"] {
            let script = of(&web(), Some(&manifest(&[word])));

            assert!(!script.contains("kernel --timeout"), "{script}");
            assert!(script.contains("cannot carry its kernel argument"), "{script}");
        }
    }

    #[test]
    fn plus_and_ampersand_are_written_as_they_are() {
        let script = of(&web(), Some(&manifest(&["a=b+c&d<e>\"f\""])));

        assert!(script.contains(" a=b+c&d<e>\"f\"\n") || script.contains(" a=b+c&d<e>\"f\" "), "{script}");
    }

    #[test]
    fn what_came_by_tls_fetches_by_tls_and_starts_what_does_not() {
        let (profiles, manifest) = (Profiles::default(), manifest(&[]));
        let scene = Scene { base: BASE.secure(443), manifest: Some(&manifest), ..scene(&profiles) };

        let script = script(&web(), &scene);

        for fetched in ["kernel --timeout 30000 https://10.77.0.1/images/", "0 https://10.77.0.1/installer/aarch64"] {
            assert!(script.contains(fetched), "{fetched}: {script}");
        }
        for told in ["=http://10.77.0.1/config/", "=http://10.77.0.1/events/"] {
            assert!(script.contains(told), "{told}: {script}");
        }
    }

    #[test]
    fn a_profile_boots_a_kernel_with_the_command_line_that_it_renders() {
        let profiles = profiles("kind = 'installer'\narguments = 'auto=true url={{ documents }}/preseed.cfg'");

        let script = by(&profiles, "", &["console=ttyAMA0"]);

        insta::assert_snapshot!(script);
    }

    #[test]
    fn a_command_line_that_a_script_cannot_carry_is_said_instead() {
        let profiles = profiles("kind = 'live'\narguments = 'a={{ vars.a }}'\n[vars]\na = ''");

        let script = by(&profiles, "vars = { a = '1 || shell' }", &[]);

        insta::assert_snapshot!(script);
    }

    #[test]
    fn a_menu_fetches_what_was_chosen() {
        let profiles = profiles("kind = 'menu'\nitems = ['test', 'gone']\ndescription = 'again ${x} || exit'");

        let script = by(&profiles, "", &[]);

        insta::assert_snapshot!(script);
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
    const BASE: BaseUrl = BaseUrl::new(IpAddr::V4(Ipv4Addr::new(10, 77, 0, 1)), 80);

    fn of(boot: &Boot, manifest: Option<&ImageManifest>) -> String {
        script(boot, &Scene { manifest, ..scene(&Profiles::default()) })
    }

    /// The script of a machine that has the profile `test`, and of whose definition there is more.
    fn by(profiles: &Profiles, more: &str, arguments: &[&str]) -> String {
        let machine = machine(&format!("profile = 'test'\n{more}"));
        let boot = decide(Some(&machine), profiles, &Asker::default());
        let manifest = manifest(arguments);
        script(&boot, &Scene { machine: Some(&machine), manifest: Some(&manifest), ..scene(profiles) })
    }

    fn scene(profiles: &Profiles) -> Scene<'_> {
        let server = "10.77.0.1/24".parse().expect("a network");
        Scene { mac: MAC, machine: None, manifest: None, profiles, server, base: BASE, plain: BASE, user: "lab" }
    }

    fn profiles(text: &str) -> Profiles {
        let files = [("profile.toml".to_owned(), text.to_owned())].into();
        let profiles = Profiles::build([("test".parse().expect("a name"), files)].into(), &Profiles::default());
        assert_eq!(profiles.problems(), []);
        profiles
    }

    fn web() -> Boot {
        Boot::Install {
            machine: "web".parse().expect("a name"),
            image: "debian-12".parse().expect("a name"),
            arch: Arch::Aarch64,
            shell: false,
        }
    }

    /// The manifest of an image that can be installed.
    pub(in crate::boot) fn manifest(arguments: &[&str]) -> ImageManifest {
        let digest = "0".repeat(64);
        let file = |name: &str| format!(r#"{{"file":"{name}","size":1,"sha256":"{digest}"}}"#);
        let text = format!(
            r#"{{"name":"debian-12","arch":"aarch64","kernel":{},"initrd":{},"disk":{{"file":"disk.zst","size":1,
               "sha256":"{digest}","compression":"zstd","raw-size":512,
               "chunk-size":1048576,"chunks":[{{"size":1,"sha256":"{digest}"}}]}}}}"#,
            file("vmlinuz"),
            file("initrd.img"),
        );
        let mut manifest = ImageManifest::from_json(&text).expect("a manifest");
        manifest.kernel_arguments = arguments.iter().map(|word| (*word).to_owned()).collect();
        manifest
    }
}
