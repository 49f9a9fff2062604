//! libFuzzer over `regie_fuzz_targets::booking_body` (docs/FUZZING.md).
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| regie_fuzz_targets::booking_body(bytes));
