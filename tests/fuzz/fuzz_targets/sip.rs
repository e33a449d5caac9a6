#![no_main]

libfuzzer_sys::fuzz_target!(init: najda_fuzz::prepare(), |bytes: &[u8]| najda_fuzz::answer(bytes));
