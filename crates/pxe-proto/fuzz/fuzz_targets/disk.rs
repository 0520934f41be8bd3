#![no_main]
//! See `pxe_fuzz::disk`.

libfuzzer_sys::fuzz_target!(|input: &[u8]| pxe_fuzz::disk::run(input));
