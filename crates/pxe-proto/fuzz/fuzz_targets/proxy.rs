#![no_main]
//! See `pxe_fuzz::proxy`.

libfuzzer_sys::fuzz_target!(|input: &[u8]| pxe_fuzz::proxy::run(input));
