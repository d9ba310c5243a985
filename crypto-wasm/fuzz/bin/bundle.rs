#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| talos_fuzz::bundle_targets::run("bundle", data));
