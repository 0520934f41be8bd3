#![no_main]
//! See `pxe_fuzz::radv`.

libfuzzer_sys::fuzz_target!(|input: &[u8]| pxe_fuzz::radv::run(input));
