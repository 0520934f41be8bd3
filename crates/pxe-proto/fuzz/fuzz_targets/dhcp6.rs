#![no_main]
//! See `pxe_fuzz::dhcp6`.

libfuzzer_sys::fuzz_target!(|input: &[u8]| pxe_fuzz::dhcp6::run(input));
