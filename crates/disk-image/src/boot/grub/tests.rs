use proptest::prelude::*;

use super::*;

#[test]
fn the_default_of_an_ubuntu_cloud_image_is_its_first_entry_with_its_initrd() {
    let menu = Menu::read(UBUNTU, Environment::new());

    let entries = menu.entries();

    assert_eq!(
        entries[0],
        entry(
            "/vmlinuz-6.8.0-31-generic",
            "/initrd.img-6.8.0-31-generic",
            "root=LABEL=cloudimg-rootfs ro console=tty1 console=ttyS0"
        )
    );
    assert_eq!(entries.len(), 4, "the default, and every entry as it stands");
    assert!(!menu.has_bls);
}

#[test]
fn an_entry_is_the_default_by_index_title_or_identifier() {
    let first = |saved: &str| {
        let environment = Environment::from([("next_entry".to_owned(), saved.to_owned())]);
        Menu::read(UBUNTU, environment).entries()[0].kernel.clone()
    };

    for name in [
        "1>1",
        "Advanced options for Ubuntu>Ubuntu, with Linux 6.5.0-9-generic",
        "gnulinux-advanced-8d9a>gnulinux-6.5.0-9-generic-advanced-8d9a",
        "gnulinux-6.5.0-9-generic-advanced-8d9a",
    ] {
        assert_eq!(first(name), "/vmlinuz-6.5.0-9-generic", "{name}");
    }
    for name in ["0", "Ubuntu", "gnulinux-simple-8d9a", "1", "no such entry", "7>1", ">"] {
        assert_eq!(first(name), "/vmlinuz-6.8.0-31-generic", "{name}");
    }
}

#[test]
fn fedoras_configuration_leads_to_entries_of_their_own() {
    let saved = Environment::from([("saved_entry".to_owned(), "3c1f-6.10".to_owned())]);

    let menu = Menu::read(FEDORA, saved);

    assert!(menu.has_bls && menu.entries().is_empty());
    assert_eq!(menu.default_entry(), Some("3c1f-6.10"));
    assert_eq!(menu.environment["kernelopts"], "root=UUID=7 ro ");
}

#[test]
fn a_variable_of_the_environment_block_is_not_overwritten_where_the_script_asks_for_it() {
    let block = Environment::from([("kernelopts".to_owned(), "root=UUID=8".to_owned())]);

    assert_eq!(Menu::read(FEDORA, block).environment["kernelopts"], "root=UUID=8");
}

#[test]
fn a_script_by_hand_is_read_as_well() {
    let script = "set timeout=0 # soon
menuentry \"Debian GNU/Linux\" { linux ($root)/vmlinuz root=UUID=1 \\
  ro \"a b\" '$x' $unset ${y}z; initrd /early.img /initrd.img; }
menuentry 'No kernel' { chainloader /EFI/memtest.efi
}
set y=never";

    let entries = Menu::read(script, Environment::from([("y".to_owned(), "why".to_owned())])).entries();

    let expected = Entry {
        kernel: "/vmlinuz".to_owned(),
        initrds: vec!["/early.img".to_owned(), "/initrd.img".to_owned()],
        arguments: Some("root=UUID=1 ro a b $x whyz".to_owned()),
    };
    assert_eq!(entries, [expected]);
}

proptest! {
    #[test]
    fn no_script_makes_it_panic(script in "(menuentry|submenu|function|if|elif|else|fi|then|linux|initrd|set|default=|\\[|\\]|[ \n;{}\"'$\\\\#>=é]|a|1){0,60}") {
        let _ = Menu::read(&script, Environment::new()).entries();
    }

    #[test]
    fn no_change_of_a_script_makes_it_panic(at in any::<prop::sample::Index>(), length in 0_usize..40) {
        let letters: Vec<_> = UBUNTU.chars().collect();
        let at = at.index(letters.len());
        let without: String = letters[..at].iter().chain(letters.iter().skip(at + length)).collect();
        let _ = Menu::read(&without, Environment::new()).entries();
    }
}

fn entry(kernel: &str, initrd: &str, arguments: &str) -> Entry {
    Entry { kernel: kernel.to_owned(), initrds: vec![initrd.to_owned()], arguments: Some(arguments.to_owned()) }
}

/// In the shape that Ubuntu's `grub-mkconfig` writes for its cloud images, with the conditions that it has there.
const UBUNTU: &str = r#"
if [ -s $prefix/grubenv ]; then
  set have_grubenv=true
  load_env
fi
if [ "${initrdfail}" = 2 ]; then
   set initrdfail=
elif [ "${initrdfail}" = 1 ]; then
   set next_entry="${prev_entry}"
   set prev_entry=
   save_env prev_entry
fi
if [ "${next_entry}" ] ; then
   set default="${next_entry}"
   set next_entry=
   save_env next_entry
   set boot_once=true
else
   set default="0"
fi
if [ x"${feature_menuentry_id}" = xy ]; then
  menuentry_id_option="--id"
else
  menuentry_id_option=""
fi
export menuentry_id_option
function savedefault {
  if [ -z "${boot_once}" ]; then
    saved_entry="${chosen}"
    save_env saved_entry
  fi
}
menuentry 'Ubuntu' --class ubuntu --class os $menuentry_id_option 'gnulinux-simple-8d9a' {
	recordfail
	if [ x$grub_platform = xxen ]; then insmod xzio; insmod lzopio; fi
	search --no-floppy --fs-uuid --set=root 8d9a
	if [ "${initrdfail}" = 1 ]; then
	  echo	'attempting initrdless boot.'
	  linux	/vmlinuz-6.8.0-31-generic root=PARTUUID=0d ro console=tty1 console=ttyS0 panic=-1
	else
	  echo	'booting with initrd'
	  linux	/vmlinuz-6.8.0-31-generic root=LABEL=cloudimg-rootfs ro  console=tty1 console=ttyS0 $vt_handoff
	  initrd	/initrd.img-6.8.0-31-generic
	fi
	initrdfail
}
submenu 'Advanced options for Ubuntu' $menuentry_id_option 'gnulinux-advanced-8d9a' {
	menuentry 'Ubuntu, with Linux 6.8.0-31-generic' --class os $menuentry_id_option 'gnulinux-6.8.0-31-generic-advanced-8d9a' {
	  linux	/vmlinuz-6.8.0-31-generic root=LABEL=cloudimg-rootfs ro
	  initrd	/initrd.img-6.8.0-31-generic
	}
	menuentry 'Ubuntu, with Linux 6.5.0-9-generic' --class os $menuentry_id_option 'gnulinux-6.5.0-9-generic-advanced-8d9a' {
	  linux	/vmlinuz-6.5.0-9-generic root=LABEL=cloudimg-rootfs ro
	  initrd	/initrd.img-6.5.0-9-generic
	}
}
if [ "$grub_platform" = "efi" ]; then
menuentry 'UEFI Firmware Settings' $menuentry_id_option 'uefi-firmware' {
	fwsetup
}
fi
"#;

/// In the shape of Fedora's.
const FEDORA: &str = r#"
if [ -f ${config_directory}/grubenv ]; then
  load_env -f ${config_directory}/grubenv
elif [ -s $prefix/grubenv ]; then
  load_env
fi
if [ "${next_entry}" ] ; then
   set default="${next_entry}"
else
   set default="${saved_entry}"
fi
if [ -z "${kernelopts}" ]; then
  set kernelopts="root=UUID=7 ro "
fi
insmod blscfg
blscfg
"#;
