#![no_main]
//! See `pxe_fuzz::profile`.

libfuzzer_sys::fuzz_target!(|input: &[u8]| pxe_fuzz::profile::run(input));
