//! One request in, one decision out.
//!
//! Political ads are decided first, in a pass that knows nothing of the visitor (law P1, docs/adr/0009): every ad
//! set takes part in it as far as it matches by what a political ad may read, and a place that a political ad wins
//! is settled. All other places are then decided by everything the request says, without political ads. Where no
//! political ad matches, there is one pass.
//!
//! Law D1: no clock, no state, no order of a hash map; every chance is [`crate::chance`]'s. Law D2: the version is
//! drawn for winners only, after the win. Refuses to fail: a place without an ad has a reason.

use crate::{
    chance::Place,
    eligibility::{Context, Open},
    facts::{Contextual, Everything},
    gate::BudgetGate,
    outcome::{Decision, Elimination, NoFill, Slot, Stage},
    pass::Pass,
    request::Request,
    snapshot::{Here, Snapshot},
    tables::Tables,
};
use regie_model::{AdSetId, limits::REQUEST_PLACEMENTS_COUNT_MAX};

/// Of our own numbers: a fast hash will do.
type HashSet<T> = std::collections::HashSet<T, foldhash::fast::FixedState>;

/// Decides one request.
///
/// `sink` gets each ad set that can deliver ([`Snapshot::standing`] has nothing against it), matched by
/// targeting and was then eliminated, once for each place. In the auction, one whose value can neither win nor
/// set the price is reported as outbid without further checks, and those that a proven bound keeps from both
/// are not looked at and not reported.
///
/// Never panics and never fails, whatever the request: a place without an ad has its reason.
pub fn decide(
    snapshot: &Snapshot,
    tables: &Tables,
    request: &Request,
    gate: &dyn BudgetGate,
    sink: &mut dyn FnMut(AdSetId, Elimination),
) -> Decision {
    let mut report = |_: usize, index: usize, why: Elimination| sink(snapshot.ad_set(index).id, why);
    run(snapshot, tables, request, gate, false, &mut report)
}

/// What a run reports: (slot, number of the ad set, reason).
pub(crate) type Report<'r> = dyn FnMut(usize, usize, Elimination) + 'r;

/// The place of a request's slot, or why there is none.
pub(crate) fn resolve<'a>(
    snapshot: &'a Snapshot,
    request: &Request,
    slot: usize,
) -> Result<Here<'a>, NoFill> {
    if !snapshot.is_set_up() {
        return Err(NoFill::NotSetUp);
    }
    let id = match request.placements.get(slot) {
        Some(id) if slot < REQUEST_PLACEMENTS_COUNT_MAX => *id,
        _ => return Err(NoFill::TooManyPlacements),
    };
    let facts = snapshot.placement(id).ok_or(NoFill::UnknownPlacement)?;
    if facts.site != request.site {
        return Err(NoFill::OtherSite);
    }
    if !snapshot.site_active(facts.site) {
        return Err(NoFill::SiteNotActive);
    }
    if !facts.active {
        return Err(NoFill::PlacementNotActive);
    }
    let occurrence = request.placements[..slot].iter().filter(|p| **p == id).count() as u32;
    Ok(Here { id, facts, place: Place { placement: id.0, occurrence } })
}

/// The decision. `exhaustive` looks at every ad set of every tier, for its reason; the answer is the same.
pub(crate) fn run(
    snapshot: &Snapshot,
    tables: &Tables,
    request: &Request,
    gate: &dyn BudgetGate,
    exhaustive: bool,
    report: &mut Report<'_>,
) -> Decision {
    let aligned = tables.for_snapshot(snapshot);
    let here: Vec<Result<Here<'_>, NoFill>> =
        (0..request.placements.len()).map(|slot| resolve(snapshot, request, slot)).collect();
    let mut furthest: Vec<Option<Stage>> = vec![None; here.len()];
    let first = political_pass(snapshot, request, &here).map(|open| {
        let context = Context { snapshot, aligned: &aligned, request, gate, contextual: true };
        let mut heard = Vec::new();
        let mut pass = Pass::new(&context, open, exhaustive);
        pass.run(&mut |slot, index, why| heard.push((slot, index, why)));
        let is_settled = |slot: usize| pass.fills[slot].as_ref().is_some_and(|fill| fill.political);
        // The gate's refusals are inputs (law D1): whoever listens hears of each.
        heard.retain(|(slot, index, why)| {
            snapshot.ad_set(*index).political || is_settled(*slot) || *why == Elimination::Budget
        });
        for (slot, index, why) in &heard {
            report(*slot, *index, *why);
            // Who lost to an ad of this pass says nothing of a place that the next one decides anew.
            if pass.fills[*slot].is_none() && snapshot.ad_set(*index).political {
                furthest[*slot] = furthest[*slot].max(Some(why.stage()));
            }
        }
        let known: HashSet<(usize, usize)> = heard.iter().map(|(slot, index, _)| (*slot, *index)).collect();
        (pass.outcome(), known)
    });
    let context = Context { snapshot, aligned: &aligned, request, gate, contextual: false };
    let mut pass = Pass::new(&context, open_all(snapshot, request, &here), exhaustive);
    let mut known = HashSet::default();
    if let Some((outcome, heard)) = first {
        pass.settle_political(outcome);
        known = heard;
    }
    pass.run(&mut |slot, index, why| {
        furthest[slot] = furthest[slot].max(Some(why.stage()));
        if !known.contains(&(slot, index)) {
            report(slot, index, why);
        }
    });
    let outcome = pass.outcome();
    let slots = here.into_iter().zip(outcome.fills).enumerate().map(|(slot, answer)| match answer {
        (_, Some(fill)) => Slot::Fill(fill),
        (Err(reason), None) => Slot::NoFill { placement: request.placements[slot], reason },
        (Ok(_), None) => {
            let reason = furthest[slot].map_or(NoFill::NothingMatches, NoFill::Eliminated);
            Slot::NoFill { placement: request.placements[slot], reason }
        }
    });
    Decision { slots: slots.collect(), joint: outcome.joint }
}

type Opened<'a> = Vec<Option<Open<'a>>>;

fn open_all<'a>(
    snapshot: &'a Snapshot,
    request: &'a Request,
    here: &[Result<Here<'a>, NoFill>],
) -> Opened<'a> {
    let open = |here: &Result<Here<'a>, NoFill>| {
        let here = *here.as_ref().ok()?;
        let contextual = Contextual::of(snapshot, request, here.id);
        let everything = Everything::of(snapshot, request, here.id);
        let candidates = snapshot.candidates(&everything, &contextual);
        Some(Open { here, contextual, candidates })
    };
    here.iter().map(open).collect()
}

/// The places as the first pass sees them; `None` when no political ad set matches at any.
fn political_pass<'a>(
    snapshot: &'a Snapshot,
    request: &'a Request,
    here: &[Result<Here<'a>, NoFill>],
) -> Option<Opened<'a>> {
    if !snapshot.has_political() {
        return None;
    }
    let open = |here: &Result<Here<'a>, NoFill>| {
        let here = *here.as_ref().ok()?;
        let contextual = Contextual::of(snapshot, request, here.id);
        let candidates = snapshot.contextual_candidates(&contextual);
        Some(Open { here, contextual, candidates })
    };
    let opened: Opened<'a> = here.iter().map(open).collect();
    opened.iter().flatten().any(|open| open.candidates.any_political()).then_some(opened)
}
