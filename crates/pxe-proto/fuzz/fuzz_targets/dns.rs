#![no_main]
//! See `pxe_fuzz::dns`.

libfuzzer_sys::fuzz_target!(|input: &[u8]| pxe_fuzz::dns::run(input));
