#![no_main]
//! See `pxe_fuzz::lease_file`.

libfuzzer_sys::fuzz_target!(|input: &[u8]| pxe_fuzz::lease_file::run(input));
