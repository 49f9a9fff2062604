//! Propensities against lists of all versions and against many draws.

use super::*;
use crate::template::{Constraint, Slot};
use std::collections::BTreeMap;

fn space() -> Space {
    let slot = |capacity, active: &[bool]| Slot { capacity, active: active.to_vec() };
    let slots = vec![slot(4, &[true, true, false, true]), slot(3, &[true; 3]), slot(5, &[true; 5])];
    let never = |first, second| Constraint { first, second };
    Space::new(slots, 2, vec![never((0, 1), (1, 2)), never((1, 0), (2, 4)), never((0, 0), (2, 1))]).unwrap()
}
fn versions(space: &Space) -> Vec<Assets> {
    (0..60).map(|code| space.decode(Code(code)).unwrap()).filter(|assets| space.may_show(assets)).collect()
}
fn table(explore_ppm: u32) -> Allocation {
    let space = space();
    let all = versions(&space);
    let codes = [0usize, 0, 0, 3, 3, 7, 9, 9].map(|at| space.encode(&all[at]));
    let contexts = vec![tally(codes.into_iter()), tally(codes.into_iter().rev().take(8))];
    Allocation::of_record(&space, &AllocationRecord { explore_ppm, contexts }).unwrap()
}

#[test]
fn propensities_sum_to_one_over_all_versions() {
    for explore in [0, 10_000, 300_000] {
        let table = table(explore);
        for context in 0..2 {
            let sum: f64 =
                versions(table.space()).iter().map(|assets| table.propensity(context, assets)).sum();
            assert!((sum - 1.0).abs() < 1e-12, "{explore}: {sum}");
        }
    }
}

#[test]
fn propensities_match_many_draws() {
    // Chi-squared over every version that can be drawn; the critical value at p = 1e-6 for k degrees of freedom is below
    // k + 5 sqrt(2k) + 25.
    let table = table(300_000);
    let draws = 400_000;
    let mut counts: BTreeMap<Code, f64> = BTreeMap::new();
    let mut stream = Stream::new(11, 1);
    for _ in 0..draws {
        let drawn = table.draw(0, stream.bits());
        assert!(drawn.propensity > 0.0);
        assert!(table.space().may_show(&drawn.assets));
        assert_eq!(drawn.propensity, table.propensity(0, &drawn.assets));
        *counts.entry(drawn.code).or_default() += 1.0;
    }
    let (mut chi, mut freedom) = (0.0, -1.0);
    for assets in versions(table.space()) {
        let expected = table.propensity(0, &assets) * f64::from(draws);
        let seen = counts.remove(&table.space().encode(&assets)).unwrap_or(0.0);
        if expected > 0.0 {
            chi += (seen - expected).powi(2) / expected;
            freedom += 1.0;
        } else {
            assert_eq!(seen, 0.0);
        }
    }
    assert!(counts.is_empty());
    assert!(freedom > 8.0 && chi < freedom + 5.0 * (2.0f64 * freedom).sqrt() + 25.0, "{chi} {freedom}");
}

#[test]
fn a_record_gives_the_same_table_again_and_a_wrong_one_none() {
    let table = table(10_000);
    let record = table.to_record();
    assert_eq!(Allocation::of_record(table.space(), &record).as_ref(), Some(&table));
    let mut retired = record.clone();
    retired.contexts[0][0].code = table.space().encode(&[2, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(Allocation::of_record(table.space(), &retired), None);
    let mut fewer = record.clone();
    fewer.contexts.pop();
    assert_eq!(Allocation::of_record(table.space(), &fewer), None);
    let mut uneven = record;
    uneven.contexts[0][0].won += 1;
    assert_eq!(Allocation::of_record(table.space(), &uneven), None);
}

#[test]
fn the_same_bits_draw_the_same_version() {
    let table = table(300_000);
    for bits in 0..200 {
        assert_eq!(table.draw(1, bits), table.draw(1, bits));
    }
}

#[test]
fn an_even_table_shows_every_asset() {
    let space = space();
    let table = Allocation::even(&space, 20_000, 64, 5);
    let mut seen = [[false; 5]; 3];
    let mut stream = Stream::new(2, 2);
    for _ in 0..20_000 {
        let drawn = table.draw(0, stream.bits());
        (0..3).for_each(|slot| seen[slot][usize::from(drawn.assets[slot])] = true);
    }
    assert_eq!(seen[0], [true, true, false, true, false]);
    assert!(seen[1][..3].iter().chain(&seen[2]).all(|s| *s));
}
