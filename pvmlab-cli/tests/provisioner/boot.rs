//! What happens at each boot of a provisioner.

use std::fs;

use crate::guest::{Fate, Guest};

#[test]
fn the_first_boot_puts_the_seeds_release_to_work() {
    let guest = Guest::new();

    guest.boot(&guest.release("seed", Fate::Serves));

    assert_eq!(guest.at_work(), ("seed".to_owned(), "seed".to_owned()));
    assert_eq!(guest.read("etc/pxe-server/config.toml"), "[lab]\ninterface = \"enp0s2\"\n");
    assert!(guest.path("etc/systemd/system/multi-user.target.wants/pxe-server.service").exists());
}

#[test]
fn the_first_release_of_all_serves_before_it_is_judged_and_goes_on() {
    let guest = Guest::new();
    let seed = guest.release("seed", Fate::Serves);
    let good = guest.path("usr/local/lib/pxe-server/good");

    guest.provision(&["boot", seed.to_str().unwrap()]);
    let before = (guest.at_work().1, good.exists());
    guest.provision(&["install", guest.read("run/started").trim()]);

    assert_eq!(before, ("seed".to_owned(), false));
    assert_eq!((guest.at_work().1, good.exists()), ("seed".to_owned(), true));
    assert_eq!(guest.read("run/starts").lines().count(), 1);
}

#[test]
fn a_first_release_that_does_not_serve_gives_way_to_that_of_another_seed() {
    let guest = Guest::new();
    guest.boot(&guest.release("seed", Fate::Dies));
    assert!(!guest.path("usr/local/lib/pxe-server/good").exists());

    guest.boot(&guest.release("newer", Fate::Serves));

    assert_eq!(guest.at_work(), ("newer".to_owned(), "newer".to_owned()));
    assert!(guest.path("usr/local/lib/pxe-server/good").exists());
}

#[test]
fn the_next_boot_with_the_same_seed_installs_nothing() {
    let guest = Guest::new();
    let seed = guest.release("seed", Fate::Serves);
    guest.boot(&seed);

    guest.boot(&seed);

    assert!(!guest.path("run/started").exists());
    assert_eq!(guest.at_work(), ("seed".to_owned(), "seed".to_owned()));
}

#[test]
fn what_was_deployed_stays_until_the_seed_becomes_another() {
    let guest = Guest::new();
    let seed = guest.release("seed", Fate::Serves);
    guest.boot(&seed);
    guest.deploy(&guest.release("deployed", Fate::Serves));

    guest.boot(&seed);
    let with_the_old = guest.at_work().0;
    guest.boot(&guest.release("newer", Fate::Serves));
    let with_another = guest.at_work().0;

    assert_eq!((with_the_old.as_str(), with_another.as_str()), ("deployed", "newer"));
}

#[test]
fn a_configuration_that_somebody_changed_stays_until_the_seeds_becomes_another() {
    let guest = Guest::new();
    let seed = guest.release("seed", Fate::Serves);
    guest.boot(&seed);
    fs::write(guest.path("etc/pxe-server/config.toml"), "changed").unwrap();

    guest.boot(&seed);
    let with_the_old = guest.read("etc/pxe-server/config.toml");
    fs::write(seed.join("config.toml"), "another").unwrap();
    guest.boot(&seed);
    let with_another = guest.read("etc/pxe-server/config.toml");

    assert_eq!((with_the_old.as_str(), with_another.as_str()), ("changed", "another"));
}

#[test]
fn after_a_crash_in_the_middle_of_a_deployment_the_good_release_is_back() {
    let guest = Guest::new();
    let seed = guest.release("seed", Fate::Serves);
    guest.boot(&seed);
    let unit = guest.read("etc/systemd/system/pxe-server.service");
    let tried = guest.release("tried", Fate::Dies);
    fs::write(tried.join("pxe-server.service"), "[Service]\n").unwrap();
    let received = guest.provision(&["receive", tried.to_str().unwrap()]).stdout;
    // The unit and the program are the new ones, and the power fails before anybody saw them serve.
    let program = guest.path("usr/local/lib/pxe-server").join(String::from_utf8(received).unwrap().trim());
    fs::write(guest.path("etc/systemd/system/pxe-server.service"), "[Service]\n").unwrap();
    fs::remove_file(guest.path("usr/local/bin/pxe-server")).unwrap();
    std::os::unix::fs::symlink(program.join("pxe-server"), guest.path("usr/local/bin/pxe-server")).unwrap();

    guest.boot(&seed);

    assert_eq!(guest.at_work(), ("seed".to_owned(), "seed".to_owned()));
    assert_eq!(guest.read("etc/systemd/system/pxe-server.service"), unit);
}

#[test]
fn a_first_boot_that_was_cut_short_is_done_again() {
    let guest = Guest::new();
    let seed = guest.release("seed", Fate::Serves);
    let output = guest.provision(&["boot", seed.to_str().unwrap()]);
    assert!(output.status.success());
    fs::write(guest.path("usr/local/lib/pxe-server/.new-cut"), "").unwrap();

    guest.boot(&seed);

    assert_eq!(guest.at_work(), ("seed".to_owned(), "seed".to_owned()));
    assert!(!guest.path("usr/local/lib/pxe-server/.new-cut").exists());
}

#[test]
fn the_hosts_folders_are_mounted_where_the_kernel_can_and_pushed_elsewhere() {
    let guest = Guest::new();
    let seed = guest.release("seed", Fate::Serves);

    guest.boot(&seed);
    let without = guest.read("run/pvmlab/share");
    fs::write(guest.path("has-9p"), "").unwrap();
    guest.boot(&seed);
    let with = guest.read("run/pvmlab/share");

    assert_eq!((without.as_str(), with.as_str()), ("push\n", "9p\n"));
    let root = guest.path("");
    let mounts = guest.read("mounts").replace(root.to_str().unwrap(), "/");
    insta::assert_snapshot!(mounts, @r"
    -t 9p -o ro,trans=virtio,version=9p2000.L,msize=262144 host_share_vms /mnt/host/vms
    -t 9p -o ro,trans=virtio,version=9p2000.L,msize=262144 host_share_images /mnt/host/images
    -t 9p -o ro,trans=virtio,version=9p2000.L,msize=262144 host_share_profiles /mnt/host/profiles
    ");
}
