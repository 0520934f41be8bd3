#![no_main]
//! See `pxe_fuzz::definition`.

libfuzzer_sys::fuzz_target!(|input: &[u8]| pxe_fuzz::definition::run(input));
