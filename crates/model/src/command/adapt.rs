//! What learns and adapts, planned: templates that keep what their codes mean, learning that reads nothing forbidden, and steps of
//! adapting within the limits that the advertiser set. Pure.

use super::{Change, EntityRef, Planned, Refusal};
use crate::{
    AdSetId, CampaignId, Faults, Micros,
    booking::{AdSetSpec, AdSpec, AdaptSpec, AdaptStep, LearningContext, LearningSpec, Status},
    catalogue::Catalogue,
};

/// The note of the step, and the changes that it makes, in one batch.
pub(super) fn plan_adapt(
    catalogue: &Catalogue,
    campaign: CampaignId,
    step: AdaptStep,
) -> Result<Planned, Refusal> {
    let kept = catalogue.campaigns.get(&campaign).ok_or_else(|| Refusal::NotFound(campaign.to_string()))?;
    let mut faults = Faults::new();
    step.check(&mut faults);
    let Some(adapt) = &kept.spec.adapt else {
        faults.add("campaign", "not_offered", "The advertiser lets nothing be changed in this campaign.");
        return Err(Refusal::Faults(faults));
    };
    let mut changes = vec![Change::Adapted { campaign, step: step.clone() }];
    match step {
        AdaptStep::BudgetMoved { from, to, amount_micros, .. } => {
            for (field, id, signed) in
                [("step.from", from, -amount_micros.0), ("step.to", to, amount_micros.0)]
            {
                match moved(catalogue, campaign, adapt, id, signed) {
                    Ok(spec) => changes.push(Change::AdSetPut { id, spec }),
                    Err(why) => faults.add(field, "out_of_range", why),
                }
            }
        }
        AdaptStep::VersionPaused { ad_set, version, .. } => {
            let own = catalogue.versions.brief(version).and_then(|v| catalogue.ads.get(&v.ad));
            let own = own.is_some_and(|ad| ad.kept.spec.ad_set == ad_set)
                && catalogue.ad_sets.get(&ad_set).is_some_and(|set| set.spec.campaign == campaign);
            faults.when(!own, "step.version", "unknown", "Not a version of this campaign's ad set.");
            faults.when(
                !adapt.pause_losers,
                "step",
                "not_offered",
                "The advertiser lets no loser be paused.",
            );
            changes.push(Change::StatusSet { entity: EntityRef::Version(version), status: Status::Paused });
        }
        AdaptStep::ElementRetired { ad, element, .. } => {
            faults.when(
                !adapt.pause_losers,
                "step",
                "not_offered",
                "The advertiser lets no loser be paused.",
            );
            let own = catalogue.parents_of(ad).is_some_and(|(of, _)| of == campaign);
            let spec = catalogue.ads.get(&ad).filter(|_| own).map(|ad| ad.kept.spec.clone());
            let spec = spec.and_then(|mut spec| {
                let template = spec.template.as_mut()?;
                let slot = template.slots.get_mut(usize::from(element.slot))?;
                slot.assets.get_mut(usize::from(element.asset))?.retired = true;
                template.some_version().is_some().then_some(spec)
            });
            match spec {
                Some(spec) => changes.push(Change::AdPut { id: ad, spec }),
                None => faults.add(
                    "step.element",
                    "unknown",
                    "No such element, or nothing would be left to show.",
                ),
            }
        }
    }
    faults.into_result().map_err(Refusal::Faults)?;
    Ok(Planned { changes, objects: Vec::new(), id: campaign.to_string() })
}

/// The ad set with its daily budget moved by so much, or why not.
fn moved(
    catalogue: &Catalogue,
    campaign: CampaignId,
    adapt: &AdaptSpec,
    id: AdSetId,
    by_micros: i64,
) -> Result<AdSetSpec, String> {
    let kept = catalogue.ad_sets.get(&id).filter(|set| set.spec.campaign == campaign);
    let kept = kept.ok_or_else(|| format!("{id} is not of this campaign."))?;
    let limits = adapt.limits.iter().find(|limits| limits.ad_set == id);
    let limits = limits.ok_or_else(|| format!("The advertiser set no limits for {id}: its budget stays."))?;
    let before = kept.spec.daily_budget_micros.ok_or_else(|| format!("{id} has no daily budget."))?;
    let after = before.0.saturating_add(by_micros);
    if after < limits.least_micros.0 || after > limits.most_micros.0 {
        return Err(format!(
            "{id} would have {after} micros a day, outside {} to {}.",
            limits.least_micros.0, limits.most_micros.0
        ));
    }
    let whole = catalogue.campaigns.get(&campaign).and_then(|c| c.spec.daily_budget_micros);
    if whole.is_some_and(|whole| after > whole.0) {
        return Err(format!("{id} would have more a day than its campaign."));
    }
    Ok(AdSetSpec { daily_budget_micros: Some(Micros(after)), ..kept.spec.clone() })
}

/// An edit of a template keeps what every code means, or there would be no history.
pub(super) fn check_template(
    catalogue: &Catalogue,
    before: Option<&AdSpec>,
    spec: &AdSpec,
    faults: &mut Faults,
) {
    let of = catalogue.ad_sets.get(&spec.ad_set).and_then(|set| catalogue.campaigns.get(&set.spec.campaign));
    let political = of.is_some_and(|campaign| campaign.spec.political.is_some());
    if let Some(template) = &spec.template {
        check_context(catalogue, "template.context", template.context, political, faults);
    }
    let Some(before) = before.and_then(|b| b.template.as_ref()) else { return };
    match &spec.template {
        None => faults.add(
            "template",
            "fixed",
            "A template stays; pause its ad, or retire its assets, to show it no more.",
        ),
        Some(now) => {
            if let Err(field) = now.is_continuation_of(before) {
                let why = "Layout, context, slots, their room and the assets booked so far are fixed: add assets, or retire them.";
                faults.add(format!("template.{field}"), "fixed", why);
            }
        }
    }
}

/// A guardrail names one of the ad set's own versions; a political ad set reads no country where location is off (law P1).
pub(super) fn check_learning(
    catalogue: &Catalogue,
    id: AdSetId,
    learning: &LearningSpec,
    political: bool,
    faults: &mut Faults,
) {
    if let Some(guardrail) = &learning.guardrail {
        let of = catalogue.versions.brief(guardrail.control).and_then(|v| catalogue.ads.get(&v.ad));
        let own = of.is_some_and(|ad| ad.kept.spec.ad_set == id);
        let why = "Control is an uploaded version of this ad set; book it first.";
        faults.when(!own, "learning.guardrail.control", "unknown", why);
    }
    check_context(catalogue, "learning.context", learning.context, political, faults);
}

fn check_context(
    catalogue: &Catalogue,
    field: &str,
    context: LearningContext,
    political: bool,
    faults: &mut Faults,
) {
    let located = catalogue.publisher.as_ref().is_some_and(|p| p.spec.political_location);
    let country = context == LearningContext::Country && political && !located;
    let why =
        "Countries are not read for political ads here: the publisher has not switched that on (law P1).";
    faults.when(country, field, "not_offered", why);
}
