//! Every target over the committed corpus, every cut of each seed, and thousands of damaged and random inputs, on
//! stable and from a fixed seed. With `UPDATE_CORPUS=1` the seeds are written anew first.
#![allow(clippy::unwrap_used)]

mod seeds;

use regie_fuzz_targets::{TARGETS, Target};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
};

/// Inputs of each kind (flipped, spliced, random) for a target.
const INPUTS_COUNT: usize = 2_000;
/// Longest random input, in bytes.
const RANDOM_BYTES_MAX: u64 = 320;
/// A seed of more bytes is not cut at every one of them.
const SEED_BYTES_MAX: usize = 4_096;

/// SplitMix64: the same numbers on every run.
struct Random(u64);
impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    /// Below `end`; 0 when there is nothing below.
    fn below(&mut self, end: usize) -> usize {
        self.next().checked_rem(end as u64).unwrap_or(0) as usize
    }
}

fn folder(target: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target)
}

/// The committed seeds of a target, in order of name.
fn corpus(target: &Target) -> Vec<Vec<u8>> {
    let folder = folder(target.name);
    let found = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut paths: Vec<PathBuf> = found.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// Gives a target one input, and shows it should the target panic.
fn run(target: &Target, bytes: &[u8]) {
    let done = catch_unwind(AssertUnwindSafe(|| (target.run)(bytes)));
    assert!(done.is_ok(), "{} does not come back from \"{}\"", target.name, bytes.escape_ascii());
}

fn flipped(random: &mut Random, seed: &[u8]) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=random.below(3) {
        let at = random.below(bytes.len());
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= 1 << random.below(8);
        }
    }
    bytes
}

/// Part of one seed in place of a part of another: what is still whole, yet wrong.
fn spliced(random: &mut Random, into: &[u8], from: &[u8]) -> Vec<u8> {
    let part = |random: &mut Random, of: &[u8]| {
        let start = random.below(of.len() + 1);
        start..start + random.below((of.len() - start).min(64) + 1)
    };
    let (cut, taken) = (part(random, into), part(random, from));
    [&into[..cut.start], &from[taken], &into[cut.end..]].concat()
}

fn exercise(target: &Target, number: u64) {
    let seeds = corpus(target);
    assert!(seeds.len() >= 2, "{} has too few seeds", target.name);
    let mut random = Random(number);
    for seed in &seeds {
        assert!(
            seed.len() <= SEED_BYTES_MAX,
            "{}: a seed of {} bytes is no small one",
            target.name,
            seed.len()
        );
        run(target, seed);
        (0..seed.len()).for_each(|cut| run(target, &seed[..cut]));
    }
    for index in 0..INPUTS_COUNT {
        let seed = &seeds[index % seeds.len()];
        run(target, &flipped(&mut random, seed));
        let other = random.below(seeds.len());
        run(target, &spliced(&mut random, seed, &seeds[other]));
        let length = random.next() % RANDOM_BYTES_MAX;
        let bytes: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
        run(target, &bytes);
    }
}

#[test]
fn no_target_panics_whatever_the_bytes() {
    if std::env::var_os("UPDATE_CORPUS").is_some() {
        seeds::write(&folder);
    }
    // The targets' own panics would be printed twice.
    let mut slowest = (0, "");
    for (number, target) in TARGETS.iter().enumerate() {
        let start = std::time::Instant::now();
        exercise(target, number as u64);
        let ms = start.elapsed().as_millis();
        println!("{}: {ms} ms", target.name);
        slowest = slowest.max((ms, target.name));
    }
    println!("slowest: {slowest:?}");
}

#[test]
fn each_target_has_its_program_and_its_seeds() {
    let fuzz = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let manifest = std::fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
    for target in TARGETS {
        let program = fuzz.join("fuzz_targets").join(format!("{}.rs", target.name));
        let text = std::fs::read_to_string(&program).unwrap_or_default();
        assert!(text.contains(&format!("regie_fuzz_targets::{}(", target.name)), "{}", program.display());
        assert!(
            manifest.contains(&format!("name = \"{}\"", target.name)),
            "fuzz/Cargo.toml: {}",
            target.name
        );
    }
    let count = std::fs::read_dir(fuzz.join("corpus")).unwrap().count();
    assert_eq!(count, TARGETS.len(), "folders of the corpus and targets");
}
