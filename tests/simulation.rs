//! Elections of two to seven routers with seeded loss, delay, partition, sleep, crash and restart: what must never happen does not.

use keepalived_rs::sim::scenario;

/// Seeds that are played each time; `SIM_SEEDS=1000000 cargo test --test simulation` plays more.
const SEEDS: u64 = 3_000;

#[test]
fn every_seed_ends_with_one_right_master_and_no_claim_before_its_time() {
    let seeds = std::env::var("SIM_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SEEDS);
    for seed in 0..seeds {
        if let Err(violation) = scenario::play(seed, false).result {
            panic!("seed {seed}: {violation}\n{}", scenario::play(seed, true));
        }
    }
}
