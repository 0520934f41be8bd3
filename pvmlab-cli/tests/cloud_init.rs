//! `pvmlab vm create --user-data` and what belongs to it.

mod bench;

use bench::Lab;

#[test]
fn what_its_owner_wrote_becomes_part_of_the_machine() {
    let lab = Lab::with_provisioner();
    let user_data = "#cloud-config\nhostname: ü\n";
    write(&lab, "user.yaml", user_data);
    write(&lab, "vendor.sh", "#!/bin/sh\n");
    write(&lab, "network.yaml", "version: 2\nethernets: {}\n");
    write(&lab, "ann.pub", "# Ann's\nssh-ed25519 AAAAC3 ann\n");

    let documents = ["--user-data", "user.yaml", "--vendor-data", "vendor.sh", "--network-config", "network.yaml"];
    let made = create(&lab, "web", &[&documents[..], &["--pxeboot", "--ssh-key", "ann.pub"]].concat());
    create(&lab, "db", &documents);

    assert!(made.ends_with("[exit 0]\n"), "{made}");
    let definition = std::fs::read_to_string(lab.home().join("vms/web.json")).expect("a definition");
    let definition: serde_json::Value = serde_json::from_str(&definition).expect("JSON");
    assert_eq!(definition["user_data"], user_data);
    assert_eq!(definition["vendor_data"], "#!/bin/sh\n");
    let keys: Vec<_> = definition["ssh_key"].as_str().expect("keys").lines().skip(1).collect();
    assert_eq!(keys, ["ssh-ed25519 AAAAC3 ann"]);
    let seed = lab.home().join("configs/cloud-init/db");
    let network = std::fs::read_to_string(seed.join("network-config")).expect("a document");
    assert_eq!(network, "version: 2\nethernets: {}\n");
    let merged = std::fs::read_to_string(seed.join("user-data")).expect("a document");
    assert!(merged.starts_with("Content-Type: multipart/mixed;"), "{merged}");
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&seed.join("user-data").metadata().expect("there").permissions());
    assert_eq!(mode & 0o777, 0o600, "it may hold secrets");
}

#[test]
fn what_cloud_init_would_not_understand_makes_no_machine() {
    let lab = Lab::with_provisioner();
    let before = lab.files();
    write(&lab, "comment.yaml", "# cloud-config\npackages: [nginx]\n");
    write(&lab, "broken.yaml", "#cloud-config\npackages: [nginx\nhostname: web\n");
    write(&lab, "network.yaml", "#cloud-config\nnetwork:\n  version: 2\n");
    write(&lab, "plain.yaml", "ethernets: {}\n");
    write(&lab, "private", "-----BEGIN OPENSSH PRIVATE KEY-----\n");
    write(&lab, "no-key", "ssh-ed25519 AAAA ann\npassword\n");
    std::fs::write(lab.folder().join("packed.gz"), [0x1f, 0x8b, 8]).expect("written");
    std::fs::write(lab.folder().join("latin"), b"#!/bin/sh\n\xe9\n").expect("written");
    write(&lab, "large", &format!("#!/bin/sh\n{}", "#\n".repeat(100_000)));

    let said = [
        create(&lab, "web", &["--user-data", "gone.yaml"]),
        create(&lab, "web", &["--user-data", "comment.yaml"]),
        create(&lab, "web", &["--user-data", "broken.yaml"]),
        create(&lab, "web", &["--vendor-data", "network.yaml"]),
        create(&lab, "web", &["--network-config", "plain.yaml"]),
        create(&lab, "web", &["--user-data", "packed.gz"]),
        create(&lab, "web", &["--user-data", "latin"]),
        create(&lab, "web", &["--user-data", "large"]),
        create(&lab, "web", &["--ssh-key", "private"]),
        create(&lab, "web", &["--ssh-key", "no-key"]),
    ];

    insta::assert_snapshot!("refused", said.join("\n"));
    assert_eq!(lab.files(), before);
}

#[test]
fn what_hardly_anybody_means_is_said_and_done() {
    let lab = Lab::with_provisioner();
    write(&lab, "user.yaml", "#cloud-config\npassword: secret\n");

    insta::assert_snapshot!("warned", create(&lab, "web", &["--pxeboot", "--user-data", "user.yaml"]));
}

#[test]
fn a_lab_file_names_files_beside_itself() {
    let lab = Lab::with_provisioner();
    let racks = lab.folder().join("racks");
    std::fs::create_dir(&racks).expect("made");
    write(&lab, "racks/user.yaml", "#cloud-config\npackages: [nginx]\n");
    write(&lab, "racks/ann.pub", "ssh-ed25519 AAAAC3 ann\n");
    let text = "[provisioner]\narch = 'aarch64'\nip = '10.77.0.1/24'\n[targets.web]\narch = 'aarch64'\n";
    write(&lab, "racks/before.toml", text);
    write(&lab, "racks/lab.toml", &format!("{text}user-data = 'user.yaml'\nssh-keys = ['ann.pub']\n"));
    write(&lab, "racks/wrong.toml", &format!("{text}user-data = 'gone.yaml'\n"));
    create(&lab, "web", &["--pxeboot"]);

    let said =
        ["racks/before.toml", "racks/lab.toml", "racks/wrong.toml"].map(|file| lab.run(&["up", file, "--dry-run"]));

    insta::assert_snapshot!("declared", said.join("\n"));
}

#[test]
fn every_shipped_example_is_good() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples/cloud-init");
    let lab = Lab::with_provisioner();
    let mut examples: Vec<_> =
        std::fs::read_dir(folder).expect("there").map(|entry| entry.expect("read").path()).collect();
    examples.sort();
    assert!(examples.len() > 5, "{examples:?}");

    for (number, path) in examples.iter().enumerate() {
        let file = path.file_name().and_then(|name| name.to_str()).expect("text");
        let option = if file.starts_with("network") { "--network-config" } else { "--user-data" };
        let said = create(&lab, &format!("m{number}"), &["--pxeboot", option, path.to_str().expect("text")]);
        assert!(said.ends_with("[exit 0]\n") && !said.contains("warning"), "{said}");
    }
}

fn create(lab: &Lab, name: &str, more: &[&str]) -> String {
    lab.run(&[&["vm", "create", name, "--arch", "aarch64", "--mac", &mac(name)], more].concat())
}

/// One for each name.
fn mac(name: &str) -> String {
    let sum = name.bytes().fold(2_u16, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    format!("52:54:00:00:{:02x}:{:02x}", sum >> 8, sum & 0xff)
}

fn write(lab: &Lab, file: &str, text: &str) {
    std::fs::write(lab.folder().join(file), text).expect("written");
}
