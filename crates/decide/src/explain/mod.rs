//! Why each ad set was shown or not: every ad set of the catalogue, for every placement of a request.
//!
//! Runs the same decision as [`crate::decide`], exhaustively, so that what it says is what happened; targeting
//! that did not match is then evaluated clause by clause from the clauses themselves, not from the index.

mod clauses;
mod learned;
mod words;

use crate::{
    decide::{resolve, run},
    facts::{Contextual, Everything},
    gate::BudgetGate,
    outcome::{Decision, Elimination, Fill, JointAuction, JointMethod, NoFill, Slot},
    rates::PPB,
    request::Request,
    snapshot::Snapshot,
    tables::{Row, Tables},
};
use regie_model::{
    AdSetId, PlacementId,
    booking::{ContextFacts, FULL_WEIGHT_PPM, TierKind},
    ticket::Billing,
};
use serde::Serialize;
use std::collections::BTreeMap;

/// What became of an ad set at a placement.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is shown.
    Won,
    /// It is not, for this reason.
    Eliminated(Elimination),
}

/// One ad set at one placement.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AdSetExplanation {
    /// Which.
    pub ad_set: AdSetId,
    /// Won, or why not, with the numbers.
    pub verdict: Verdict,
    /// Stable machine word: `won`, or the reason's [`Elimination::code`].
    pub code: &'static str,
    /// The same in plain words, with the numbers.
    pub sentence: String,
}

/// One placement of the request.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlacementExplanation {
    /// Which.
    pub placement: PlacementId,
    /// Why it got no ad; `None` when it got one.
    pub no_fill: Option<NoFill>,
    /// What happened in one sentence.
    pub sentence: String,
    /// Every ad set of the catalogue, by id; empty where the placement itself could not be served.
    pub ad_sets: Vec<AdSetExplanation>,
}

/// A decision with all its reasons.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// The decision itself, as [`crate::decide`] makes it.
    pub decision: Decision,
    /// One for each slot, in the same order.
    pub placements: Vec<PlacementExplanation>,
}

/// Decides one request and says of every ad set why it was not shown, or how its price came about.
/// Takes time in proportion to ad sets x placements: for people, not for serving.
pub fn explain(
    snapshot: &Snapshot,
    tables: &Tables,
    request: &Request,
    gate: &dyn BudgetGate,
) -> Explanation {
    let mut reasons: Vec<Reasons> = vec![Reasons::new(); request.placements.len()];
    let decision = run(snapshot, tables, request, gate, true, &mut |slot, index, why| {
        reasons[slot].insert(index, why);
    });
    let placements = decision.slots.iter().zip(reasons).enumerate();
    let placements = placements.map(|(slot, (answer, reasons))| {
        let at = Slotted { snapshot, tables, request, slot, answer, joint: joint_of(&decision, slot) };
        at.explain(reasons)
    });
    let placements = placements.collect();
    Explanation { decision, placements }
}

/// Why ad sets were eliminated, by their index.
type Reasons = BTreeMap<usize, Elimination>;

/// The sale of several places that a slot's answer came from.
fn joint_of(decision: &Decision, slot: usize) -> Option<&JointAuction> {
    let political = match &decision.slots[slot] {
        Slot::Fill(fill) if fill.tier != TierKind::Auction => return None,
        Slot::Fill(fill) => fill.political,
        Slot::NoFill { .. } => false,
    };
    decision.joint.iter().find(|j| j.contextual == political && j.slots.contains(&(slot as u32)))
}

/// One slot with its answer.
struct Slotted<'a> {
    snapshot: &'a Snapshot,
    tables: &'a Tables,
    request: &'a Request,
    slot: usize,
    answer: &'a Slot,
    joint: Option<&'a JointAuction>,
}
impl Slotted<'_> {
    fn explain(&self, reasons: Reasons) -> PlacementExplanation {
        let (placement, fill, no_fill) = match self.answer {
            Slot::Fill(fill) => (fill.placement, Some(fill), None),
            Slot::NoFill { placement, reason } => (*placement, None, Some(*reason)),
        };
        let ad_sets = match resolve(self.snapshot, self.request, self.slot) {
            Ok(_) => self.ad_sets(placement, fill, &reasons),
            Err(_) => Vec::new(),
        };
        let mut sentence = match (fill, no_fill) {
            (Some(fill), _) => format!("Shows {} of {}.", fill.version, fill.ad_set),
            (None, Some(reason)) => words::no_fill(reason).to_owned(),
            (None, None) => String::new(),
        };
        if let Some(joint) = self.joint {
            sentence = format!("{sentence} {}", words::together(joint));
        }
        PlacementExplanation { placement, no_fill, sentence, ad_sets }
    }

    fn ad_sets(
        &self,
        placement: PlacementId,
        fill: Option<&Fill>,
        reasons: &Reasons,
    ) -> Vec<AdSetExplanation> {
        let contextual = Contextual::of(self.snapshot, self.request, placement);
        let everything = Everything::of(self.snapshot, self.request, placement);
        let mut all: Vec<AdSetExplanation> = Vec::new();
        for index in self.snapshot.indices() {
            let reason = reasons.get(&index).copied();
            let ad_set = self.snapshot.ad_set(index);
            if let Some(fill) = fill.filter(|fill| fill.ad_set == ad_set.id) {
                let runner_up = self.runner_up(fill, reasons);
                let row = self.row(fill);
                let here = self.snapshot.placement(placement);
                let floor = here.map_or(0, |p| p.reserve_nanos(ad_set));
                let together = self.joint.filter(|joint| joint.method != JointMethod::InOrder);
                let sale = words::Sale {
                    kind: here.map(|p| p.auction).unwrap_or_default(),
                    weight_ppm: here.map_or(FULL_WEIGHT_PPM, |p| p.weight_ppm),
                    together_count: together.map_or(0, |joint| joint.slots.len()),
                };
                let floor = (floor, self.snapshot.auction_currency());
                let sentence = words::won(fill, ad_set, row, runner_up, floor, sale, &self.why(fill));
                all.push(AdSetExplanation {
                    ad_set: ad_set.id,
                    verdict: Verdict::Won,
                    code: "won",
                    sentence,
                });
                continue;
            }
            let cold = self.snapshot.cold(index);
            let values: &dyn crate::index::Values = if ad_set.political { &contextual } else { &everything };
            let failed = || {
                let clause = clauses::first_failed(cold, values)?;
                Some(Elimination::Targeting { clause })
            };
            // Every live ad set whose targeting fits was reported by the run, so one of the three has it.
            let why =
                self.snapshot.standing_at(index).or(reason).or_else(failed).unwrap_or(Elimination::NoAds);
            let said = match why {
                Elimination::Targeting { clause } | Elimination::PoliticalTargeting { clause } => {
                    clauses::sentence(
                        cold,
                        clause,
                        values,
                        matches!(why, Elimination::PoliticalTargeting { .. }),
                    )
                }
                _ => words::eliminated(&why, ad_set, fill, self.snapshot.auction_currency()),
            };
            let (verdict, code) = (Verdict::Eliminated(why), why.code());
            all.push(AdSetExplanation { ad_set: ad_set.id, verdict, code, sentence: said });
        }
        all.sort_by_key(|one| one.ad_set);
        all
    }

    /// The winner's numbers, at the rate that it was expected to have here.
    fn row(&self, fill: &Fill) -> Row {
        let row = self.tables.row(fill.ad_set);
        if self.joint.is_some() || self.tables.learned().set(fill.ad_set).is_none() {
            return row;
        }
        let here_ppb = (f64::from(fill.predicted_rate) * f64::from(PPB)).round() as u32;
        match fill.billing {
            Billing::Click => Row { click_ppb: here_ppb, ..row },
            Billing::Conversion => Row { conversion_ppb: here_ppb, ..row },
            Billing::Impression | Billing::None => row,
        }
    }
    /// Why this version, as far as something was learned.
    fn why(&self, fill: &Fill) -> String {
        let located = !fill.political || self.snapshot.political_location();
        let country = self.request.location.country.filter(|_| located).unwrap_or_default();
        let Request { device, at, .. } = *self.request;
        let facts = ContextFacts { placement: fill.placement, device, at, country };
        let set = self.tables.learned().set(fill.ad_set);
        let of_set = set.and_then(|set| learned::of_set(set, fill, &facts));
        let of_template = fill.version.template_code().and_then(|code| {
            let template = self.snapshot.template(fill.ad_set, fill.ad)?;
            Some(learned::of_template(template, self.tables.learned().template(fill.ad), code, &facts))
        });
        [of_set, of_template].into_iter().flatten().collect::<Vec<_>>().join(" ")
    }
    /// Who set the price of an auction: the best loser of another advertiser, with its value.
    fn runner_up(&self, fill: &Fill, reasons: &Reasons) -> Option<(AdSetId, i64)> {
        let values = reasons.iter().filter_map(|(index, reason)| match reason {
            Elimination::Outbid { value_nanos, .. } => Some((*index, *value_nanos)),
            _ => None,
        });
        let others = values.filter(|(index, _)| self.snapshot.ad_set(*index).advertiser != fill.advertiser);
        let others = others.map(|(index, value)| (self.snapshot.ad_set(index).id, value));
        others.max_by_key(|(id, value)| (*value, std::cmp::Reverse(*id)))
    }
}
