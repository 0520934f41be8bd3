//! A Linux kernel as a file: for which processor it is, and how it is unwrapped to what a network boot program can start.

use std::io::{self, Read};

use lab_model::Arch;

use crate::read_at::{le16, le32};

/// A kernel that iPXE starts: a bzImage, or an uncompressed `Image` with an EFI stub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// What it runs on, as it says itself.
    pub arch: Arch,
    /// The file.
    pub image: Vec<u8>,
}

/// The file is no kernel that could be started here.
#[derive(Debug, thiserror::Error)]
pub enum NotKernel {
    /// Nothing about it says what it is.
    #[error("it is neither a bzImage nor an arm64 `Image`")]
    Unknown,
    /// For processors of 32 bits.
    #[error("it is a kernel for 32-bit processors")]
    Narrow,
    /// Wrapped in a way that nothing here unwraps.
    #[error("it is compressed with {0}: expected gzip or zstd")]
    Compression(String),
    /// Its compressed content is damaged.
    #[error("it cannot be decompressed: {0}")]
    Damaged(io::Error),
    /// It decompresses to more than any kernel has.
    #[error("it decompresses to more than {} MiB", KERNEL_MAX >> 20)]
    Long,
}

impl Kernel {
    /// Reads `file`, and decompresses what has to be.
    ///
    /// # Errors
    /// It is no kernel, none for 64 bits, or wrapped in a way that is not known.
    pub fn read(file: Vec<u8>) -> Result<Self, NotKernel> {
        if file.starts_with(GZIP) {
            return Self::bare(unpack(flate2::read::MultiGzDecoder::new(&file[..]))?);
        }
        if let Some((compression, payload)) = zboot(&file)? {
            return Self::bare(match compression {
                "gzip" => unpack(flate2::read::MultiGzDecoder::new(payload))?,
                // Called `zstd22` where it was made, after the level.
                _ if compression.starts_with("zstd") => {
                    unpack(zstd::Decoder::with_buffer(payload).map_err(NotKernel::Damaged)?)?
                }
                _ => return Err(NotKernel::Compression(compression.to_owned())),
            });
        }
        Self::bare(file)
    }

    fn bare(image: Vec<u8>) -> Result<Self, NotKernel> {
        let arch = match image.get(..HEADER) {
            None => return Err(NotKernel::Unknown),
            Some(header) if header[0x38..0x3c] == ARM64 => Arch::Aarch64,
            Some(header) if header[0x202..0x206] == *b"HdrS" && le16(header, 0x1fe) == 0xaa55 => {
                // Protocol 2.12 brought the flags, and every 64-bit kernel since 2013 has them.
                let is_wide = le16(header, 0x206) >= 0x20c && le16(header, 0x236) & XLF_KERNEL_64 != 0;
                if !is_wide {
                    return Err(NotKernel::Narrow);
                }
                Arch::X86_64
            }
            Some(_) => return Err(NotKernel::Unknown),
        };
        Ok(Self { arch, image })
    }
}

/// The payload of an EFI program that decompresses a kernel, and how it is compressed
/// (drivers/firmware/efi/libstub/zboot-header.S).
fn zboot(file: &[u8]) -> Result<Option<(&str, &[u8])>, NotKernel> {
    let Some(header) = file.get(..HEADER).filter(|header| header.starts_with(b"MZ") && header[4..8] == *b"zimg") else {
        return Ok(None);
    };
    let name = header[0x18..0x38].split(|byte| *byte == 0).next().unwrap_or_default();
    let name = str::from_utf8(name).map_err(|_| NotKernel::Unknown)?;
    let (start, length) = (le32(header, 8) as usize, le32(header, 12) as usize);
    let payload = start.checked_add(length).and_then(|end| file.get(start..end));
    let cut = || NotKernel::Damaged(io::Error::new(io::ErrorKind::UnexpectedEof, "it is cut short"));
    Ok(Some((name, payload.ok_or_else(cut)?)))
}

fn unpack(packed: impl Read) -> Result<Vec<u8>, NotKernel> {
    let mut image = Vec::new();
    packed.take(KERNEL_MAX + 1).read_to_end(&mut image).map_err(NotKernel::Damaged)?;
    if image.len() as u64 > KERNEL_MAX { Err(NotKernel::Long) } else { Ok(image) }
}

/// Longer than any distribution's kernel, compressed or not.
pub(crate) const KERNEL_MAX: u64 = 256 << 20;

/// RFC 1952 §2.3.1, and 8 for deflate.
const GZIP: &[u8] = &[0x1f, 0x8b, 8];
/// Enough for every field that is looked at.
const HEADER: usize = 0x260;
/// Documentation/arch/arm64/booting.rst: "ARM\x64" at 0x38.
const ARM64: [u8; 4] = *b"ARM\x64";
/// Documentation/arch/x86/boot.rst, `xloadflags`.
const XLF_KERNEL_64: u16 = 1;

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_kernel_says_what_it_runs_on() {
        let arch = |image: &[u8]| Kernel::read(image.to_vec()).map(|kernel| kernel.arch).ok();

        assert_eq!(arch(&arm64()), Some(Arch::Aarch64));
        assert_eq!(arch(&x86(XLF_KERNEL_64)), Some(Arch::X86_64));
        assert!(matches!(Kernel::read(x86(0)), Err(NotKernel::Narrow)));
        for file in [&b""[..], b"MZ", &[0; 4096]] {
            assert!(matches!(Kernel::read(file.to_vec()), Err(NotKernel::Unknown)));
        }
    }

    #[test]
    fn what_is_wrapped_is_unwrapped() {
        let expected = Kernel { arch: Arch::Aarch64, image: arm64() };

        let wrapped = [
            gzip(&arm64()),
            in_zboot("gzip", &gzip(&arm64())),
            in_zboot("zstd22", &zstd::encode_all(&arm64()[..], 3).expect("packed")),
        ];
        for file in wrapped {
            assert_eq!(Kernel::read(file).expect("a kernel"), expected);
        }
        let error = Kernel::read(in_zboot("lzma", &arm64())).expect_err("unknown").to_string();
        assert_eq!(error, "it is compressed with lzma: expected gzip or zstd");
        let mut cut = in_zboot("gzip", &gzip(&arm64()));
        cut.pop();
        assert!(matches!(Kernel::read(cut), Err(NotKernel::Damaged(_))));
    }

    proptest! {
        #[test]
        fn no_file_makes_it_panic(which in 0_usize..3, changes in prop::collection::vec((0_usize..700, any::<u8>()), 0..6), length in 0_usize..5000) {
            let mut file = vec![gzip(&arm64()), in_zboot("zstd", &arm64()), x86(1)].swap_remove(which);
            for (at, byte) in changes {
                if let Some(place) = file.get_mut(at) {
                    *place = byte;
                }
            }
            file.truncate(length);

            let _ = Kernel::read(file);
        }
    }

    fn arm64() -> Vec<u8> {
        let mut image: Vec<u8> = (0..4096_u32).map(|at| ((at * at) >> 5) as u8).collect();
        image[..2].copy_from_slice(b"MZ");
        image[0x38..0x3c].copy_from_slice(&ARM64);
        image
    }

    fn x86(flags: u16) -> Vec<u8> {
        let mut image = vec![0; 4096];
        image[0x1fe..0x200].copy_from_slice(&[0x55, 0xaa]);
        image[0x202..0x206].copy_from_slice(b"HdrS");
        image[0x206..0x208].copy_from_slice(&[0x0f, 0x02]);
        image[0x236..0x238].copy_from_slice(&flags.to_le_bytes());
        image
    }

    fn in_zboot(compression: &str, payload: &[u8]) -> Vec<u8> {
        let mut file = vec![0; 0x1000];
        file[..8].copy_from_slice(b"MZ\0\0zimg");
        file[8..12].copy_from_slice(&0x1000_u32.to_le_bytes());
        file[12..16].copy_from_slice(&(payload.len() as u32).to_le_bytes());
        file[0x18..0x18 + compression.len()].copy_from_slice(compression.as_bytes());
        file.extend(payload);
        file
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).expect("packed");
        encoder.finish().expect("packed")
    }
}
