#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| najda_fuzz::answer(bytes));
