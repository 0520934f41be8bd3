#![no_main]
//! See `pxe_fuzz::dhcp`.

libfuzzer_sys::fuzz_target!(|input: &[u8]| pxe_fuzz::dhcp::run(input));
