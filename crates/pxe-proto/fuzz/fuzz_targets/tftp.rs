#![no_main]
//! See `pxe_fuzz::tftp`.

libfuzzer_sys::fuzz_target!(|input: &[u8]| pxe_fuzz::tftp::run(input));
