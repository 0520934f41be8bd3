#![no_main]
//! See `pxe_fuzz::cloud_init`.

libfuzzer_sys::fuzz_target!(|input: &[u8]| pxe_fuzz::cloud_init::run(input));
