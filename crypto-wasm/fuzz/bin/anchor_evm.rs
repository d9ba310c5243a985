#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| talos_fuzz::anchor_targets::run("anchor_evm", data));
