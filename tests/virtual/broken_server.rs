//! Builds of the server as they should not be.

use std::{fs, path::Path, process::Command};

use lab_model::Arch;

/// The same server as another build: what an ELF file holds after its last section is nobody's business.
pub(crate) fn other_build(server: &Path, to: &Path) {
    let mut contents = fs::read(server).unwrap();
    contents.extend(b"another build");
    write(to, &contents);
}

/// A program that finds every configuration sound, and ends as soon as it is to serve.
pub(crate) fn that_ends(arch: Arch, to: &Path) {
    let source = to.with_extension("c");
    fs::write(&source, "int main(int c, char **v) { return c > 1 && v[1][0] == 's'; }\n").unwrap();
    let compiler = match arch {
        Arch::Aarch64 if !cfg!(target_arch = "aarch64") => "aarch64-linux-gnu-gcc",
        Arch::X86_64 if !cfg!(target_arch = "x86_64") => "x86_64-linux-gnu-gcc",
        Arch::Aarch64 | Arch::X86_64 => "cc",
    };
    let status = Command::new(compiler).args(["-static", "-o"]).arg(to).arg(&source).status();
    assert!(status.unwrap().success(), "{compiler} failed: `cargo xtask setup` installs what it needs");
}

/// The first half of a build: what an interrupted copy leaves.
pub(crate) fn torn(server: &Path, to: &Path) {
    let contents = fs::read(server).unwrap();
    write(to, &contents[..contents.len() / 2]);
}

fn write(to: &Path, contents: &[u8]) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::write(to, contents).unwrap();
    fs::set_permissions(to, fs::Permissions::from_mode(0o755)).unwrap();
}
