//! iPXE that trusts another root than its own.
//!
//! iPXE has the SHA-256 fingerprints of the roots that it trusts among its data: with the build parameter `TRUST=` those that it is given,
//! without it the one of the project's own root. Its setting `trust` is read before any script runs, so no script and no DHCP server can
//! say it (`rootcert.c`). Where the fingerprint is in the program in plain sight, another one in its place is the same as another
//! build. `undionly.kpxe` is compressed: there is none to be found, and it stays as it is.

use bytes::Bytes;
use rustls::pki_types::CertificateDer;
use sha2::{Digest as _, Sha256};

/// The fingerprint of "iPXE root CA", from `rootcert.c`.
const IPXE_ROOT: [u8; 32] = [
    0x9f, 0xaf, 0x71, 0x7b, 0x7f, 0x8c, 0xa2, 0xf9, 0x3c, 0x25, 0x6c, 0x79, 0xf8, 0xac, 0x55, 0x91, 0x89, 0x5d, 0x66,
    0xd1, 0xff, 0x3b, 0xee, 0x63, 0x97, 0xa7, 0x0d, 0x29, 0xc6, 0x5e, 0xed, 0x1a,
];

/// The program, with this root in place of iPXE's; nothing where that is not in it exactly once.
pub(super) fn trusting(program: &[u8], root: &CertificateDer<'_>) -> Option<Bytes> {
    let mut found = program.windows(IPXE_ROOT.len()).enumerate().filter(|(_, window)| *window == IPXE_ROOT);
    let (at, _) = found.next()?;
    if found.next().is_some() {
        return None;
    }
    let mut program = program.to_vec();
    program[at..at + IPXE_ROOT.len()].copy_from_slice(&Sha256::digest(root));
    Some(program.into())
}

#[cfg(test)]
mod tests {
    use pxe_proto::boot::BootProgram;

    use super::*;
    use crate::boot_files::BootFile;
    use crate::boot_files::tests::embedded;

    #[test]
    fn the_uefi_programs_have_one_root_and_get_another() {
        let root = CertificateDer::from(b"a root".to_vec());

        for program in BootProgram::ALL {
            let own = embedded(BootFile::Program(program));
            let changed = trusting(own, &root);
            match program {
                BootProgram::UndionlyKpxe => assert_eq!(changed, None, "it is compressed"),
                BootProgram::IpxeArm64Efi | BootProgram::IpxeX86_64Efi => {
                    let changed = changed.expect("a root");
                    let different = own.iter().zip(&changed).filter(|(own, changed)| own != changed).count();
                    assert!(changed.len() == own.len() && different <= 32, "{different}");
                    let fingerprint = Sha256::digest(b"a root");
                    assert!(changed.windows(32).any(|window| window == &fingerprint[..]));
                }
            }
        }
    }

    #[test]
    fn a_program_in_which_it_is_not_plain_what_to_change_stays() {
        let root = CertificateDer::from(b"a root".to_vec());

        assert_eq!(trusting(b"no iPXE", &root), None);
        assert_eq!(trusting(&[IPXE_ROOT, IPXE_ROOT].concat(), &root), None);
    }
}
