#![no_main]
//! See `pxe_fuzz::manifest`.

libfuzzer_sys::fuzz_target!(|input: &[u8]| pxe_fuzz::manifest::run(input));
