//! Which version a winner shows: drawn after the win from the ad set's current allocation over what may be shown here (law D2).
//!
//! With probability e (the exploration) by booked weight over all that may be shown; otherwise by the draws that the learner's table
//! says each won, over those of them that may be shown. So the probability of a version is exactly
//! `e * weight / weights + (1 - e) * won / wins`, above zero for whatever may be shown; without a table it is by weight alone. A
//! template's place in this is its ad's; which combination is then drawn is its own table's. Refuses to read anything of the
//! visitor: the context is page, machine and time, and a country only where it may be read (law P1).

use crate::{
    chance::{self, Purpose},
    eligibility::{Context, Open, group_refused, groups_here},
    learned::LearnedSet,
    snapshot::{AdSetFacts, Group},
    tables::PPM,
    turn::Turn,
};
use regie_model::{
    AdId, VersionId,
    booking::{ContextFacts, Shape},
    creative::ObjectHash,
};

/// What is shown.
pub(crate) struct DrawnVersion {
    pub(crate) ad: AdId,
    pub(crate) version: VersionId,
    pub(crate) propensity: f64,
    pub(crate) creative: ObjectHash,
    pub(crate) shape: Shape,
}

/// The facts that an ad set's context may be read from, here.
pub(crate) fn context_facts(context: &Context<'_>, open: &Open<'_>, political: bool) -> ContextFacts {
    // Beside political ads nothing is known of the visitor; where a country may be read, the ticket carries it.
    let located = !(political || context.contextual) || context.snapshot.political_location();
    ContextFacts {
        placement: open.here.id,
        device: context.request.device,
        at: context.request.at,
        country: context.request.location.country.filter(|_| located).unwrap_or_default(),
    }
}

/// Draws the version of an ad set that has won.
pub(crate) fn draw(turn: &Turn<'_>, index: usize, ad_set: &AdSetFacts) -> Option<DrawnVersion> {
    let context = turn.context;
    let may = |group: &&Group| group_refused(context, turn.open, turn.shown, ad_set, group).is_none();
    let groups = groups_here(context, turn.open, ad_set);
    let sum: u64 = groups.iter().filter(may).map(|g| g.weight).sum();
    let learned = context.aligned.learned_at(index);
    let facts = context_facts(context, turn.open, ad_set.political);
    let (group, version, propensity) = match learned.map(|l| wins(l, &facts, groups, &may)) {
        Some((learned, wins)) if wins > 0 => {
            let explore_ppm = learned.explore_ppm.clamp(1, PPM);
            let explores = chance::below(turn.draw(Purpose::Explore, ad_set.id.0), u64::from(PPM))
                < u64::from(explore_ppm);
            let (group, version) = if explores {
                by_weight(turn, ad_set, groups, &may, sum)?
            } else {
                by_wins(turn, ad_set, learned, &facts, groups, &may, wins)?
            };
            let explore = f64::from(explore_ppm) / f64::from(PPM);
            let weight = group.weight_of(version)? as f64 / sum as f64;
            let own = learned.winners(&facts).iter().find(|w| w.ad == group.ad && w.version == version);
            let won = own.map_or(0.0, |w| f64::from(w.won)) / wins as f64;
            (group, version, explore * weight + (1.0 - explore) * won)
        }
        _ => {
            let (group, version) = by_weight(turn, ad_set, groups, &may, sum)?;
            (group, version, group.weight_of(version)? as f64 / sum as f64)
        }
    };
    let shape = context.snapshot.shape(group);
    if let Some(template) = &group.template {
        let bits = turn.draw(Purpose::Combination, ad_set.id.0);
        let drawn = template.draw(context.aligned.template(group.ad), &facts, bits)?;
        let version = VersionId::of_template(drawn.code);
        let propensity = propensity * drawn.propensity;
        return Some(DrawnVersion { ad: group.ad, version, propensity, creative: drawn.creative, shape });
    }
    let creative = context.snapshot.creative(version)?;
    Some(DrawnVersion { ad: group.ad, version, propensity, creative, shape })
}

/// Draws won by what may be shown here.
fn wins<'l>(
    learned: &'l LearnedSet,
    facts: &ContextFacts,
    groups: &[Group],
    may: &impl Fn(&&Group) -> bool,
) -> (&'l LearnedSet, u64) {
    let shown = |ad: AdId, version: VersionId| {
        groups.iter().filter(|group| group.ad == ad && group.has(version)).any(|group| may(&group))
    };
    let winners = learned.winners(facts).iter().filter(|w| shown(w.ad, w.version));
    (learned, winners.map(|w| u64::from(w.won)).sum())
}

fn by_wins<'g>(
    turn: &Turn<'_>,
    ad_set: &AdSetFacts,
    learned: &LearnedSet,
    facts: &ContextFacts,
    groups: &'g [Group],
    may: &impl Fn(&&Group) -> bool,
    wins: u64,
) -> Option<(&'g Group, VersionId)> {
    let mut drawn = chance::below(turn.draw(Purpose::Version, ad_set.id.0), wins);
    for winner in learned.winners(facts) {
        let holds = |group: &&Group| group.ad == winner.ad && group.has(winner.version);
        let Some(group) = groups.iter().filter(holds).find(may) else { continue };
        if drawn < u64::from(winner.won) {
            return Some((group, winner.version));
        }
        drawn -= u64::from(winner.won);
    }
    None
}

fn by_weight<'g>(
    turn: &Turn<'_>,
    ad_set: &AdSetFacts,
    groups: &'g [Group],
    may: &impl Fn(&&Group) -> bool,
    sum: u64,
) -> Option<(&'g Group, VersionId)> {
    let mut drawn = chance::below(turn.draw(Purpose::Version, ad_set.id.0), sum);
    for group in groups.iter().filter(may) {
        if drawn < group.weight {
            return group.draw(drawn).map(|(version, _)| (group, version));
        }
        drawn -= group.weight;
    }
    None
}
