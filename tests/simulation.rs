//! Elections of two to seven routers with seeded loss, delay, partition, sleep, crash and restart: what must never happen does not.

use keepalived_rs::sim::{cluster, scenario};

/// Seeds that are played each time; `SIM_SEEDS=1000000 cargo test --test simulation` plays more.
const SEEDS: u64 = 3_000;

fn seeds(usual: u64) -> u64 {
    std::env::var("SIM_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// After every step all instances of a host are in one state, which is the one that people were told; in the end one host
/// is master of all.
#[test]
fn the_members_of_a_sync_group_are_never_in_two_states() {
    for seed in 0..seeds(SEEDS / 8) {
        if let Err((violation, _)) = cluster::play(seed, false) {
            let story = cluster::play(seed, true).err().map(|(_, story)| story).unwrap_or_default();
            panic!("seed {seed}: {violation}\n{story}");
        }
    }
}

#[test]
fn every_seed_ends_with_one_right_master_and_no_claim_before_its_time() {
    for seed in 0..seeds(SEEDS) {
        if let Err(violation) = scenario::play(seed, false).result {
            panic!("seed {seed}: {violation}\n{}", scenario::play(seed, true));
        }
    }
}
