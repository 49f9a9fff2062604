//! The suite must fail on code that breaks a law on purpose, for every mutation of this crate, and
//! pass without one. Refuses to let a mutation go unnoticed.

mod common;

use common::suite;
use regie_journal::mutation::{self, Mutation};

fn violations(mutation: Option<Mutation>) -> suite::Found {
    mutation::set(mutation);
    let found = suite::whole(if mutation.is_none() { 7 } else { 5 });
    mutation::set(None);
    found
}

#[test]
fn without_a_mutation_nothing_is_found() {
    assert_eq!(violations(None), []);
}

#[test]
fn every_mutation_is_found() {
    for mutation in mutation::ALL {
        let found = violations(Some(mutation));
        println!("{mutation:?}: {} violations, the first: {:?}", found.len(), found.first());
        assert!(!found.is_empty(), "{mutation:?} went unnoticed");
    }
}
