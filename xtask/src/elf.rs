//! What kind of program an ELF file is: which processor it is for, whether it needs anything else to run, and whether it
//! carries symbols that nobody needs to run it.
//!
//! Only what our two targets are: 64-bit and little-endian.

use anyhow::{Context, Result, ensure};
use lab_model::Arch;

/// Checks that `program` is one that is released: it runs on `arch` by itself, without a loader or a library, and is stripped.
///
/// # Errors
/// It does not; the message says in what it differs.
pub(crate) fn check_released(program: &[u8], arch: Arch) -> Result<()> {
    const CLASS_64_LITTLE_ENDIAN: &[u8] = b"\x7fELF\x02\x01";
    const PT_INTERP: u32 = 3;
    const SHT_SYMTAB: u32 = 2;

    ensure!(program.starts_with(CLASS_64_LITTLE_ENDIAN), "it is no 64-bit little-endian ELF file");
    let machine = u16_at(program, 0x12)?;
    ensure!(machine == e_machine(arch), "it is for ELF machine {machine}, not {arch}");

    for segment in (Table { offset: 0x20, size: 0x36, count: 0x38 }).entries(program)? {
        ensure!(u32_at(program, segment)? != PT_INTERP, "it is not static: it names a dynamic loader");
    }
    for section in (Table { offset: 0x28, size: 0x3a, count: 0x3c }).entries(program)? {
        let kind = section.checked_add(4).context(OUTSIDE)?;
        ensure!(u32_at(program, kind)? != SHT_SYMTAB, "it is not stripped: it has a table of symbols");
    }
    Ok(())
}

/// Program headers or section headers, by where the ELF header says the table's place, an entry's size and their number.
struct Table {
    offset: u64,
    size: u64,
    count: u64,
}

impl Table {
    /// Where each entry begins.
    fn entries(&self, program: &[u8]) -> Result<Vec<u64>> {
        let (start, size) = (u64_at(program, self.offset)?, u64::from(u16_at(program, self.size)?));
        let count = u64::from(u16_at(program, self.count)?);
        (0..count).map(|number| start.checked_add(number * size).context(OUTSIDE)).collect()
    }
}

const OUTSIDE: &str = "its headers lie outside of it";

/// The processor, as the ELF header's field `e_machine` says it.
fn e_machine(arch: Arch) -> u16 {
    match arch {
        Arch::Aarch64 => 183,
        Arch::X86_64 => 62,
    }
}

fn u16_at(file: &[u8], at: u64) -> Result<u16> {
    Ok(u16::from_le_bytes(bytes_at(file, at)?))
}

fn u32_at(file: &[u8], at: u64) -> Result<u32> {
    Ok(u32::from_le_bytes(bytes_at(file, at)?))
}

fn u64_at(file: &[u8], at: u64) -> Result<u64> {
    Ok(u64::from_le_bytes(bytes_at(file, at)?))
}

fn bytes_at<const N: usize>(file: &[u8], at: u64) -> Result<[u8; N]> {
    let rest = usize::try_from(at).ok().and_then(|at| file.get(at..));
    rest.and_then(|rest| rest.first_chunk()).copied().context("it is cut short")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_static_program_of_its_architecture_passes() {
        let program = program(183, &[1, 4], &[1, 11]);

        assert_eq!(checked(&program, Arch::Aarch64), Ok(()));
        assert_eq!(checked(&program, Arch::X86_64), Err("it is for ELF machine 183, not x86_64".to_owned()));
    }

    #[test]
    fn a_program_that_names_a_loader_is_refused() {
        let refused = Err("it is not static: it names a dynamic loader".to_owned());

        assert_eq!(checked(&program(62, &[6, 3, 1], &[]), Arch::X86_64), refused);
    }

    #[test]
    fn a_program_with_symbols_is_refused() {
        let refused = Err("it is not stripped: it has a table of symbols".to_owned());

        assert_eq!(checked(&program(62, &[1], &[0, 1, 2, 3]), Arch::X86_64), refused);
    }

    #[test]
    fn what_is_no_whole_program_is_refused() {
        let whole = program(62, &[1, 1], &[0, 1]);

        for length in 0..whole.len() - 56 {
            assert!(checked(&whole[..length], Arch::X86_64).is_err(), "{length} bytes");
        }
        assert!(checked(b"#!/bin/sh\n", Arch::X86_64).is_err());
    }

    fn checked(program: &[u8], arch: Arch) -> Result<(), String> {
        check_released(program, arch).map_err(|error| error.to_string())
    }

    /// An ELF header, and behind it program headers of 56 bytes and section headers of 64 bytes of these kinds.
    fn program(machine: u16, segments: &[u32], sections: &[u32]) -> Vec<u8> {
        let mut file = vec![0; 64];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        file[0x12..0x14].copy_from_slice(&machine.to_le_bytes());
        file[0x20] = 64;
        file[0x36] = 56;
        file[0x38] = segments.len() as u8;
        file[0x28] = (64 + 56 * segments.len()) as u8;
        file[0x3a] = 64;
        file[0x3c] = sections.len() as u8;
        for kind in segments {
            file.extend(kind.to_le_bytes());
            file.extend([0; 52]);
        }
        for kind in sections {
            file.extend([0; 4]);
            file.extend(kind.to_le_bytes());
            file.extend([0; 56]);
        }
        file
    }
}
