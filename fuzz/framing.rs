//! Connections of every kind, driven by what libFuzzer comes upon: see `backends::scripted`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| backends::scripted::fuzz(input));
