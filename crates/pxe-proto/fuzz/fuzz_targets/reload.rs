#![no_main]
//! See `pxe_server::fuzz::reload`.

libfuzzer_sys::fuzz_target!(|input: &[u8]| pxe_server::fuzz::reload(input));
