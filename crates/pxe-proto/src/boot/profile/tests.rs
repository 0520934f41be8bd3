use super::*;
use crate::boot::BaseUrl;

#[test]
fn an_installer_gets_its_command_line_and_its_documents() {
    let profile = profile(&[
        (PROFILE_FILE, INSTALLER),
        ("preseed.cfg.j2", "d-i netcfg/get_hostname string {{ machine.name }}\n{% include 'keys.j2' %}"),
        ("keys.j2", "{% for key in machine.ssh_keys %}# {{ key }}\n{% endfor %}"),
    ])
    .expect("a profile");
    let machine = machine("ip = '10.77.0.10'\nssh_key = 'ssh-ed25519 AAAA a+b&c'\nvars = { disk = '/dev/sdb' }");

    let setting = setting(&machine);

    assert_eq!(profile.kind, Kind::Installer(Kernel { image: Some("netboot".parse().expect("a name")) }));
    let arguments = profile.arguments(&setting).expect("rendered");
    assert_eq!(
        arguments,
        ["auto=true", "url=http://10.77.0.1/profiles/web/preseed.cfg", "disk=/dev/sdb", "arch=arm64"]
    );
    let preseed = profile.document("preseed.cfg", &setting).expect("there is one").expect("rendered");
    assert_eq!(preseed, "d-i netcfg/get_hostname string web\n# ssh-ed25519 AAAA a+b&c\n");
    assert!(profile.document("keys.j2", &setting).is_none(), "only what is named is a document");
}

#[test]
fn what_is_wrong_names_file_line_and_value() {
    let wrong: &[&[(&str, &str)]] = &[
        &[],
        &[(PROFILE_FILE, "kind = 'installer'\nimage = '../x'\narguments = ''")],
        &[(PROFILE_FILE, "kind = 'installer'\nargumnets = ''")],
        &[(PROFILE_FILE, "kind = 'live'")],
        &[(PROFILE_FILE, "kind = 'local'\narguments = 'quiet'")],
        &[(PROFILE_FILE, "kind = 'script'\nscript = 'boot.ipxe'")],
        &[(PROFILE_FILE, "kind = 'script'\nscript = 'boot.ipxe'"), ("boot.ipxe", "chain http://example.org/")],
        &[(PROFILE_FILE, "kind = 'menu'\nitems = []")],
        &[(PROFILE_FILE, "kind = 'menu'\nitems = ['a']\ndefault = 'b'")],
        &[(PROFILE_FILE, "kind = 'live'\narguments = 'a={{ machine.nmae }}'")],
        &[(PROFILE_FILE, INSTALLER), ("preseed.cfg.j2", "one\ntwo {{ server.addres }}\n")],
        &[(PROFILE_FILE, INSTALLER), ("preseed.cfg.j2", "one\n{% if %}\n")],
        &[(PROFILE_FILE, INSTALLER), ("preseed.cfg.j2", "{{ machine.address }}")],
        &[(PROFILE_FILE, INSTALLER), ("preseed.cfg.j2", "{{ vars.nobody_sets_it }}")],
        &[(PROFILE_FILE, INSTALLER), ("preseed.cfg.j2", "{% include 'gone.j2' %}")],
        &[
            (PROFILE_FILE, INSTALLER),
            ("preseed.cfg.j2", "{% for a in range(1000) %}{% for b in range(1000) %}x{% endfor %}{% endfor %}"),
        ],
        &[(PROFILE_FILE, INSTALLER), ("preseed.cfg.j2", "{{ machine.name | uppr }}")],
    ];

    let said: Vec<_> = wrong.iter().map(|files| profile(files).expect_err("wrong").to_string()).collect();

    insta::assert_snapshot!(said.join("\n---\n"));
}

const INSTALLER: &str = "kind = 'installer'\nimage = 'netboot'
arguments = '''auto=true url={{ documents }}/preseed.cfg
  disk={{ vars.disk }} arch={{ machine.debian_arch }}'''
[documents]
'preseed.cfg' = 'preseed.cfg.j2'
[vars]
disk = '/dev/vda'";

fn profile(files: &[(&str, &str)]) -> Result<Profile, Invalid> {
    let files = files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    Profile::new("test".parse().expect("a name"), files)
}

pub(in crate::boot) fn setting(machine: &Machine) -> Setting<'_> {
    let server: lab_model::Ipv4Net = "10.77.0.1/24".parse().expect("a network");
    Setting {
        machine,
        image: machine.image.as_ref(),
        server,
        base: BaseUrl::new(server.address().into(), 80),
        user: "lab",
    }
}

pub(in crate::boot) fn machine(more: &str) -> Machine {
    let text = format!(
        "name = 'web'\narch = 'aarch64'\nmac = '52:54:00:00:00:01'\npxeboot = true\ndistro = 'debian-12'\n{more}"
    );
    let definition = lab_model::Definition::parse(&text, lab_model::Format::Toml).expect("a definition");
    Machine::new(&definition, "10.77.0.1/24".parse::<lab_model::Ipv4Net>().expect("a network")).expect("a machine")
}
