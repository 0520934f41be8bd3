//! What kind of program a Mach-O file is: which processor and macOS it is for, what it needs to run, and whether its
//! signature is that of its content, without which arm64 Macs kill it at once.
//!
//! Only what our one target is: a 64-bit program for one processor. No Mac is here to ask, so this is what stands for it.

use anyhow::{Context, Result, ensure};
use sha2::{Digest as _, Sha256};

/// Checks that `program` is one that an arm64 Mac starts: for macOS `oldest` such as `11.0`, signed, in need of nothing but
/// the system's own library.
///
/// # Errors
/// It is not; the message says in what it differs.
pub(crate) fn check_released(program: &[u8], oldest: &str) -> Result<()> {
    ensure!(word(program, 0)? == MH_MAGIC_64, "it is no 64-bit Mach-O file");
    ensure!(word(program, 4)? == CPU_TYPE_ARM64, "it is not for arm64");
    ensure!(word(program, 12)? == MH_EXECUTE, "it is no program");
    ensure!(word(program, 24)? & MH_PIE != 0, "its addresses are fixed, and arm64 Macs refuse that");

    let commands = commands(program)?;
    let built_for = only(&commands, LC_BUILD_VERSION).context("it does not say which system it is for")?;
    ensure!(word(built_for, 8)? == PLATFORM_MACOS, "it is not for macOS");
    let found = word(built_for, 12)?;
    let found = format!("{}.{}", found >> 16, found >> 8 & 0xff);
    ensure!(found == oldest, "it is for macOS {found} and newer, not {oldest}");

    ensure!(commands.iter().any(|(kind, _)| *kind == LC_MAIN), "it does not say where it starts");
    for (_, command) in commands.iter().filter(|(kind, _)| LIBRARIES.contains(kind)) {
        let library = text(command, word(command, 8)?)?;
        ensure!(library == SYSTEM_LIBRARY, "it needs the library {library}");
    }

    let symbols = only(&commands, LC_DYSYMTAB).context("it names no symbols")?;
    let local = word(symbols, 12)?;
    ensure!(local <= LOCAL_SYMBOLS, "it is not stripped: it has {local} local symbols");

    let signature = only(&commands, LC_CODE_SIGNATURE).context("it is not signed")?;
    let start = word(signature, 8)?;
    let signature = part(program, start, word(signature, 12)?)?;
    check_signature(part(program, 0, start)?, signature).context("its signature is not good")
}

/// Checks an ad-hoc signature: the digest of each page of what lies before it.
fn check_signature(signed: &[u8], signature: &[u8]) -> Result<()> {
    ensure!(big_word(signature, 0)? == CSMAGIC_EMBEDDED_SIGNATURE, "it does not begin as one");
    ensure!(big_word(signature, 12)? == CSSLOT_CODEDIRECTORY, "its first part is no code directory");
    let directory = rest(signature, big_word(signature, 16)?)?;
    ensure!(big_word(directory, 0)? == CSMAGIC_CODEDIRECTORY, "its code directory does not begin as one");
    ensure!(big_word(directory, 12)? & CS_ADHOC != 0, "it is not made ad hoc");
    ensure!(big_word(directory, 84)? & CS_EXECSEG_MAIN_BINARY != 0, "it is not that of a program");
    let [digest_size, digest_kind, _, page_bits] = array(directory, 36)?;
    ensure!((digest_size, digest_kind) == (32, CS_HASHTYPE_SHA256), "its digests are not SHA-256");
    ensure!((12..=16).contains(&page_bits), "its pages are of 2^{page_bits} bytes");

    let limit = big_word(directory, 32)?;
    ensure!(limit as usize == signed.len(), "it is for {limit} bytes, and {} lie before it", signed.len());
    let pages = signed.chunks(1 << page_bits);
    let count = big_word(directory, 28)?;
    ensure!(count as usize == pages.len(), "it is for {count} pages of {}", pages.len());
    let digests = rest(directory, big_word(directory, 16)?)?;
    for (number, page) in pages.enumerate() {
        let digest = digests.get(number * 32..).and_then(<[u8]>::first_chunk::<32>).context(CUT_SHORT)?;
        ensure!(Sha256::digest(page)[..] == digest[..], "page {number} is not what was signed");
    }
    Ok(())
}

/// The load commands: the kind of each, and all of its bytes.
fn commands(program: &[u8]) -> Result<Vec<(u32, &[u8])>> {
    let mut commands = Vec::new();
    let mut left = part(program, HEADER_SIZE, word(program, 20)?)?;
    for _ in 0..word(program, 16)? {
        let size = word(left, 4)? as usize;
        ensure!(size >= 8, "a load command of it has {size} bytes");
        let (command, behind) = left.split_at_checked(size).context(CUT_SHORT)?;
        commands.push((word(command, 0)?, command));
        left = behind;
    }
    Ok(commands)
}

/// The command of this kind, if there is just one.
fn only<'a>(commands: &[(u32, &'a [u8])], kind: u32) -> Option<&'a [u8]> {
    let mut found = commands.iter().filter(|(found, _)| *found == kind);
    let (_, command) = found.next()?;
    found.next().is_none().then_some(*command)
}

/// The text at `start`, up to the zero behind it.
fn text(command: &[u8], start: u32) -> Result<&str> {
    let bytes = rest(command, start)?.split(|byte| *byte == 0).next().context(CUT_SHORT)?;
    str::from_utf8(bytes).context("the name of a library is no text")
}

fn word(bytes: &[u8], at: usize) -> Result<u32> {
    Ok(u32::from_le_bytes(array(bytes, at)?))
}

/// Signatures are big-endian on every machine.
fn big_word(bytes: &[u8], at: usize) -> Result<u32> {
    Ok(u32::from_be_bytes(array(bytes, at)?))
}

fn array(bytes: &[u8], at: usize) -> Result<[u8; 4]> {
    bytes.get(at..).and_then(<[u8]>::first_chunk).copied().context(CUT_SHORT)
}

fn part(bytes: &[u8], start: u32, size: u32) -> Result<&[u8]> {
    rest(bytes, start)?.get(..size as usize).context(CUT_SHORT)
}

fn rest(bytes: &[u8], start: u32) -> Result<&[u8]> {
    bytes.get(start as usize..).context(CUT_SHORT)
}

const CUT_SHORT: &str = "it is cut short";

// <mach-o/loader.h>, <mach/machine.h>
const MH_MAGIC_64: u32 = 0xfeed_facf;
const CPU_TYPE_ARM64: u32 = 0x0100_000c;
const MH_EXECUTE: u32 = 2;
const MH_PIE: u32 = 0x20_0000;
const HEADER_SIZE: u32 = 32;
const LC_DYSYMTAB: u32 = 0xb;
const LC_MAIN: u32 = 0x8000_0028;
const LC_CODE_SIGNATURE: u32 = 0x1d;
const LC_BUILD_VERSION: u32 = 0x32;
const PLATFORM_MACOS: u32 = 1;

/// The commands that name a library: loaded, weak, reexported, upward, lazy.
const LIBRARIES: [u32; 5] = [0xc, 0x8000_0018, 0x8000_001f, 0x8000_0023, 0x20];

/// The interface of the system: macOS promises no other, not even its system calls.
const SYSTEM_LIBRARY: &str = "/usr/lib/libSystem.B.dylib";

/// A linker leaves a few of its own.
const LOCAL_SYMBOLS: u32 = 16;

// <kern/cs_blobs.h> of Apple's kernel
const CSMAGIC_EMBEDDED_SIGNATURE: u32 = 0xfade_0cc0;
const CSMAGIC_CODEDIRECTORY: u32 = 0xfade_0c02;
const CSSLOT_CODEDIRECTORY: u32 = 0;
const CS_ADHOC: u32 = 2;
/// The lower half of the field, which has been there since version 0x20400.
const CS_EXECSEG_MAIN_BINARY: u32 = 1;
const CS_HASHTYPE_SHA256: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signed_program_for_macos_passes() {
        assert_eq!(checked(&Program::default()), Ok(()));
    }

    #[test]
    fn a_program_for_something_else_is_refused() {
        let refused = |change: fn(&mut Program)| {
            let mut program = Program::default();
            change(&mut program);
            checked(&program).expect_err("it is another")
        };

        assert_eq!(refused(|program| program.header[1] = 0x0100_0007), "it is not for arm64");
        assert_eq!(refused(|program| program.header[3] = 6), "it is no program");
        assert_eq!(refused(|program| program.header[6] = 0), "its addresses are fixed, and arm64 Macs refuse that");
        assert_eq!(refused(|program| program.platform = 2), "it is not for macOS");
        assert_eq!(refused(|program| program.oldest = 0x000e_0200), "it is for macOS 14.2 and newer, not 11.0");
        assert_eq!(refused(|program| program.local_symbols = 900), "it is not stripped: it has 900 local symbols");
        assert_eq!(
            refused(|program| program.library = "/usr/lib/libiconv.2.dylib"),
            "it needs the library /usr/lib/libiconv.2.dylib"
        );
    }

    #[test]
    fn a_byte_that_changed_behind_the_signature_is_found() {
        let mut file = Program::default().file();
        file[5000] ^= 1;

        let error = check_released(&file, "11.0").expect_err("page 1 is another");

        assert_eq!(format!("{error:#}"), "its signature is not good: page 1 is not what was signed");
    }

    #[test]
    fn what_is_no_whole_program_is_refused() {
        let whole = Program::default().file();

        for length in 0..whole.len() {
            assert!(check_released(&whole[..length], "11.0").is_err(), "{length} bytes");
        }
        assert!(check_released(b"#!/bin/sh\nexec true\n", "11.0").is_err());
    }

    fn checked(program: &Program) -> Result<(), String> {
        check_released(&program.file(), "11.0").map_err(|error| error.to_string())
    }

    struct Program {
        header: [u32; 8],
        platform: u32,
        oldest: u32,
        library: &'static str,
        local_symbols: u32,
    }

    impl Default for Program {
        fn default() -> Self {
            Self {
                header: [MH_MAGIC_64, CPU_TYPE_ARM64, 0, MH_EXECUTE, 0, 0, MH_PIE, 0],
                platform: PLATFORM_MACOS,
                oldest: 0x000b_0000,
                library: SYSTEM_LIBRARY,
                local_symbols: 2,
            }
        }
    }

    impl Program {
        /// The file: header and commands, zeroes up to [`SIGNED`], the signature.
        fn file(&self) -> Vec<u8> {
            let mut name = self.library.as_bytes().to_vec();
            name.resize(name.len() + 8 - name.len() % 8, 0);
            let mut library = command(0xc, &[24, 0, 0, 0], 24 + name.len());
            library.extend(name);
            let commands = [
                command(LC_BUILD_VERSION, &[self.platform, self.oldest, 0, 0], 24),
                command(LC_MAIN, &[0; 4], 24),
                command(LC_DYSYMTAB, &[0, self.local_symbols, 0, 0], 24),
                library,
                command(LC_CODE_SIGNATURE, &[SIGNED as u32, SIGNATURE as u32], 16),
            ];
            let mut header = self.header;
            header[4] = commands.len() as u32;
            header[5] = commands.concat().len() as u32;

            let mut file: Vec<u8> = header.iter().flat_map(|word| word.to_le_bytes()).collect();
            file.extend(commands.concat());
            file.resize(SIGNED, 0);
            let words = [CSMAGIC_EMBEDDED_SIGNATURE, SIGNATURE as u32, 1, CSSLOT_CODEDIRECTORY, 20];
            let directory = [CSMAGIC_CODEDIRECTORY, 0, 0x2_0400, CS_ADHOC, DIRECTORY as u32, 0, 0, 3, SIGNED as u32];
            let mut signature: Vec<u8> = words.iter().chain(&directory).flat_map(|word| word.to_be_bytes()).collect();
            signature.extend([32, CS_HASHTYPE_SHA256, 0, 12]);
            signature.extend([0; DIRECTORY - 40 - 4]);
            signature.extend(CS_EXECSEG_MAIN_BINARY.to_be_bytes());
            signature.extend(file.chunks(4096).flat_map(Sha256::digest));
            file.extend(signature);
            file
        }
    }

    /// Two whole pages and a part of one.
    const SIGNED: usize = 9000;
    const SIGNATURE: usize = 20 + DIRECTORY + 3 * 32;

    /// The code directory without its digests.
    const DIRECTORY: usize = 88;

    fn command(kind: u32, words: &[u32], size: usize) -> Vec<u8> {
        [kind, size as u32].iter().chain(words).flat_map(|word| word.to_le_bytes()).collect()
    }
}
