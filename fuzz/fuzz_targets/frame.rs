//! libFuzzer over `regie_fuzz_targets::frame` (docs/FUZZING.md).
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| regie_fuzz_targets::frame(bytes));
