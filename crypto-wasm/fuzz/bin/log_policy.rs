#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| talos_fuzz::log_targets::run("log_policy", data));
