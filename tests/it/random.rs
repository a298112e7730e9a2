//! Random tests that print how to repeat a failure.

use std::{
    fmt::Debug,
    hash::{BuildHasher, RandomState},
    thread,
};

use proptest::{
    strategy::Strategy,
    test_runner::{Config, RngSeed, TestCaseResult, TestRunner},
};

/// Runs the test on so many random values. A failure says which value it was, and the seed that
/// repeats it.
pub fn check<S: Strategy<Value: Debug>>(
    cases: u32,
    values: &S,
    test: impl Fn(S::Value) -> TestCaseResult,
) {
    let config = Config::default(); // with the seed that the environment gives
    let seed = match config.rng_seed {
        RngSeed::Fixed(seed) => seed,
        RngSeed::Random => RandomState::new().hash_one(()),
    };
    let config = Config {
        cases,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(seed),
        ..config
    };
    if let Err(failure) = TestRunner::new(config).run(values, test) {
        let thread = thread::current();
        let name = thread.name().unwrap_or_default();
        panic!("{failure}\nrepeat it with PROPTEST_RNG_SEED={seed} cargo test {name}");
    }
}
