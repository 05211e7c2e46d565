//! Whatever bytes arrive from outside, nothing panics and what must hold holds: a target for every door.
//!
//! `cargo test --test fuzz` gives each target known-good messages, then the same with random damage, for about a second. Who
//! has an engine that follows coverage drives the same targets for as long as they like: `cargo bolero test --test fuzz TARGET`
//! (cargo-bolero, with libFuzzer, AFL or honggfuzz). An input that broke something once belongs in
//! `tests/fuzz/__fuzz__/TARGET/crashes`, with which every later run begins.

#![expect(clippy::unwrap_used, reason = "a test may")]

/// Runs `$target` on the seeds, then on inputs made of them. It gets an input and the recipe, to cut a stream into reads.
macro_rules! feed {
    ($seeds:expr, $target:expr) => {{
        let (seeds, target): (Vec<Vec<u8>>, _) = ($seeds, $target);
        for seed in &seeds {
            target(seed, &crate::recipe::Recipe::default());
        }
        bolero::check!()
            .with_type::<crate::recipe::Recipe>()
            .with_test_time(crate::TIME)
            .with_iterations(crate::INPUTS)
            .for_each(|recipe| target(&recipe.bytes(&seeds), recipe));
    }};
}

mod answers;
mod inside;
mod recipe;

use std::time::Duration;

/// How long one target may take in an ordinary run, and the most inputs that it gets.
const TIME: Duration = Duration::from_millis(1200);
const INPUTS: usize = 20_000;

/// Bytes written as pairs of hex digits.
fn hex(text: &str) -> Vec<u8> {
    text.as_bytes().chunks_exact(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}
