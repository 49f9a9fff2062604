//! From a command to changes: every rule of booking, applied against the catalogue. Pure.

use super::{Change, Command, EntityRef, Refusal, Stop, Verdict};
use crate::{
    AdId, AdvertiserId, CampaignId, Faults, PartyId, VersionId,
    booking::*,
    catalogue::{Catalogue, Kept, Review},
    creative::ObjectHash,
    limits::{NAME_CHARS_MAX, TEXT_CHARS_MAX, VERSIONS_PER_AD_SET_COUNT_MAX},
    personal::{Identity, Sealed},
    targeting::{Dimension, Political},
};
use std::collections::BTreeMap;

/// Seals an identity under the person's key (an existing one when given). Given by the caller, who holds the keys.
pub type Sealer<'a> = dyn FnMut(&Identity, Option<crate::PersonKeyId>) -> Sealed + 'a;

/// What an accepted command does.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Planned {
    /// Changes to journal, in order.
    pub changes: Vec<Change>,
    /// Objects to store durably before the changes are journalled.
    pub objects: Vec<(ObjectHash, Vec<u8>)>,
    /// Id of what was created or changed, in text form.
    pub id: String,
}

fn next<K: Copy + Ord, V>(map: &BTreeMap<K, V>, number: impl Fn(K) -> u32) -> u32 {
    map.last_key_value().map_or(1, |(k, _)| number(*k) + 1)
}
fn revision<T>(
    kept: Option<&Kept<T>>,
    given: Option<u32>,
    what: impl std::fmt::Display,
) -> Result<(), Refusal> {
    let kept = kept.ok_or_else(|| Refusal::NotFound(what.to_string()))?;
    match given {
        Some(given) if given != kept.revision => Err(Refusal::Conflict { current: kept.revision, given }),
        _ => Ok(()),
    }
}
fn refuse(faults: Faults) -> Result<(), Refusal> {
    faults.into_result().map_err(Refusal::Faults)
}

/// Checks `command` against the catalogue and says what it would change.
///
/// # Errors
/// [`Refusal`], with every fault named by field.
pub fn plan(catalogue: &Catalogue, command: Command, sealer: &mut Sealer<'_>) -> Result<Planned, Refusal> {
    macro_rules! simple {
        ($map:ident, $id:ident, $revision:ident, $spec:ident, $kind:ident, $change:ident, $check:expr) => {{
            let id = match $id {
                Some(id) => {
                    revision(catalogue.$map.get(&id), $revision, id)?;
                    id
                }
                None => crate::$kind(next(&catalogue.$map, |k| k.0)),
            };
            let mut faults = Faults::new();
            #[allow(clippy::redundant_closure_call)]
            ($check)(&mut faults, id);
            refuse(faults)?;
            Ok(one(id, Change::$change { id, spec: $spec }))
        }};
    }
    match command {
        Command::PutPublisher { revision: given, spec } => {
            if catalogue.publisher.is_some() {
                revision(catalogue.publisher.as_ref(), given, "publisher")?;
            }
            let mut faults = Faults::new();
            spec.check(&mut faults);
            let fixed = catalogue.publisher.as_ref().filter(|_| !catalogue.campaigns.is_empty());
            let moved = fixed.is_some_and(|p| p.spec.auction_currency != spec.auction_currency);
            faults.when(
                moved,
                "auction_currency",
                "fixed",
                "The auction currency cannot change once a campaign is booked.",
            );
            refuse(faults)?;
            Ok(one("publisher", Change::PublisherPut { spec }))
        }
        Command::PutSite { id, revision: given, spec } => {
            simple!(sites, id, given, spec, SiteId, SitePut, |f: &mut Faults, _| spec.check(f))
        }
        Command::PutPlacement { id, revision: given, spec } => {
            simple!(placements, id, given, spec, PlacementId, PlacementPut, |f: &mut Faults, id| {
                spec.check(f);
                f.when(
                    !catalogue.sites.contains_key(&spec.site),
                    "site",
                    "unknown",
                    format!("There is no site {}.", spec.site),
                );
                let taken = catalogue.placement_named(spec.site, &spec.name).is_some_and(|other| other != id);
                f.when(taken, "name", "taken", "Another placement of this site has this name.");
            })
        }
        Command::PutSegment { id, revision: given, spec } => {
            simple!(segments, id, given, spec, SegmentId, SegmentPut, |f: &mut Faults, _| spec.check(f))
        }
        Command::PutAdvertiser { id, revision: given, spec } => {
            simple!(advertisers, id, given, spec, AdvertiserId, AdvertiserPut, |f: &mut Faults, id| {
                spec.check(f);
                check_account(catalogue, id, &spec, f);
            })
        }
        Command::PutParty { id, revision: given, spec } => plan_party(catalogue, id, given, spec, sealer),
        Command::PutCampaign { id, revision: given, spec } => {
            let id = id.or_else(|| {
                spec.external_id.as_ref().and_then(|e| catalogue.external_campaigns.get(e).copied())
            });
            simple!(campaigns, id, given, spec, CampaignId, CampaignPut, |f: &mut Faults, id| {
                spec.check(f);
                check_campaign(catalogue, id, &spec, f);
            })
        }
        Command::PutAdSet { id, revision: given, mut spec } => {
            let id = id.or_else(|| {
                spec.external_id.as_ref().and_then(|e| catalogue.external_ad_sets.get(e).copied())
            });
            let mut faults = Faults::new();
            spec.check(&mut faults);
            simple!(ad_sets, id, given, spec, AdSetId, AdSetPut, |f: &mut Faults, id| {
                f.0.append(&mut faults.0);
                check_ad_set(catalogue, id, &spec, f);
            })
        }
        Command::PutAd { id, revision: given, spec } => {
            let id =
                id.or_else(|| spec.external_id.as_ref().and_then(|e| catalogue.external_ads.get(e).copied()));
            let id = match id {
                Some(id) => {
                    revision(catalogue.ads.get(&id).map(|a| &a.kept), given, id)?;
                    id
                }
                None => AdId(next(&catalogue.ads, |k| k.0)),
            };
            let mut faults = Faults::new();
            spec.check(&mut faults);
            let known = catalogue.ad_sets.contains_key(&spec.ad_set);
            faults.when(!known, "ad_set", "unknown", format!("There is no ad set {}.", spec.ad_set));
            let before = catalogue.ads.get(&id).map(|ad| &ad.kept.spec);
            super::adapt::check_template(catalogue, before, &spec, &mut faults);
            let moved = catalogue.ads.get(&id).is_some_and(|ad| ad.kept.spec.ad_set != spec.ad_set);
            faults.when(moved, "ad_set", "fixed", "An ad stays in its ad set; duplicate it instead.");
            refuse(faults)?;
            Ok(one(id, Change::AdPut { id, spec }))
        }
        Command::PutVersion { id, revision: given, spec } => plan_version(catalogue, id, given, spec),
        Command::SetStatus { entity, status } => plan_status(catalogue, entity, status),
        Command::Review { ads, versions, verdict, reason } => {
            plan_review(catalogue, &ads, &versions, verdict, reason)
        }
        Command::SetStop { what, on, reason } => {
            let known = match what {
                Stop::AllPaid => true,
                Stop::Sponsor(id) => catalogue.parties.contains_key(&id),
                Stop::Ad(id) => catalogue.ads.contains_key(&id),
            };
            let mut faults = Faults::new();
            faults.when(!known, "what.id", "unknown", "There is no such sponsor or ad.");
            faults.optional_text("reason", &reason, TEXT_CHARS_MAX);
            refuse(faults)?;
            Ok(one("stop", Change::StopSet { what, on, reason }))
        }
        Command::PutElection { id, revision: given, spec } => {
            simple!(elections, id, given, spec, ElectionId, ElectionPut, |f: &mut Faults, _| spec.check(f))
        }
        Command::DecideReport { report, decision } => {
            let mut faults = Faults::new();
            let Some(known) = catalogue.reports.get(&report) else {
                return Err(Refusal::NotFound(report.to_string()));
            };
            faults.when(known.decided.is_some(), "report", "decided", "This report has its decision.");
            faults.text("decision.reason", &decision.reason, TEXT_CHARS_MAX);
            refuse(faults)?;
            Ok(one(report, Change::ReportDecided { id: report, decision }))
        }
        Command::Adapt { campaign, step } => super::adapt::plan_adapt(catalogue, campaign, step),
        Command::Deposit { advertiser, amount_micros, reference } => {
            let mut faults = Faults::new();
            let known = catalogue.advertisers.contains_key(&advertiser);
            faults.when(!known, "advertiser", "unknown", format!("There is no advertiser {advertiser}."));
            check_amount("amount_micros", amount_micros.0, 1, &mut faults);
            faults.optional_text("reference", &reference, NAME_CHARS_MAX);
            refuse(faults)?;
            Ok(one(advertiser, Change::Deposited { advertiser, amount_micros, reference }))
        }
    }
}

fn one(id: impl std::fmt::Display, change: Change) -> Planned {
    Planned { changes: vec![change], objects: Vec::new(), id: id.to_string() }
}

fn check_account(catalogue: &Catalogue, id: AdvertiserId, spec: &AdvertiserSpec, faults: &mut Faults) {
    let Some(before) = catalogue.advertisers.get(&id) else { return };
    let booked = catalogue.campaigns.values().any(|c| c.spec.advertiser == id);
    let (currency, zone) = (before.spec.currency != spec.currency, before.spec.zone != spec.zone);
    faults.when(
        booked && currency,
        "currency",
        "fixed",
        "The currency cannot change once a campaign is booked.",
    );
    faults.when(booked && zone, "zone", "fixed", "The time zone cannot change once a campaign is booked.");
}

fn plan_party(
    catalogue: &Catalogue,
    id: Option<PartyId>,
    given: Option<u32>,
    spec: PartySpec,
    sealer: &mut Sealer<'_>,
) -> Result<Planned, Refusal> {
    let mut faults = Faults::new();
    spec.check(&mut faults);
    let (id, key) = match id {
        Some(id) => {
            revision(catalogue.parties.get(&id), given, id)?;
            let key = catalogue
                .parties
                .get(&id)
                .map(|p| p.spec.identity.key)
                .filter(|k| !catalogue.erased.contains(k));
            (id, key)
        }
        None => (PartyId(next(&catalogue.parties, |k| k.0)), None),
    };
    let needed = catalogue
        .campaigns
        .values()
        .any(|c| c.spec.political.is_some() && (c.spec.sponsor == id || c.spec.payer == id));
    for gap in spec.political_gaps().iter().filter(|_| needed) {
        faults.add(
            gap.clone(),
            "missing",
            "A political ad of this party is booked: its notice needs this (Art. 12(1)).",
        );
    }
    let known = spec.advertiser.is_none_or(|owner| catalogue.advertisers.contains_key(&owner));
    faults.when(!known, "advertiser", "unknown", "There is no such advertiser.");
    refuse(faults)?;
    let sealed = SealedParty {
        kind: spec.kind,
        advertiser: spec.advertiser,
        identity: sealer(&spec.identity, key),
        political_gaps: spec.political_gaps(),
        established_in: spec.established_in,
        may_sponsor_before_votes: spec.may_sponsor_before_votes,
    };
    Ok(one(id, Change::PartyPut { id, spec: sealed }))
}

fn check_campaign(catalogue: &Catalogue, id: CampaignId, spec: &CampaignSpec, faults: &mut Faults) {
    let known = catalogue.advertisers.contains_key(&spec.advertiser);
    faults.when(!known, "advertiser", "unknown", format!("There is no advertiser {}.", spec.advertiser));
    let before = catalogue.campaigns.get(&id);
    let moved = before.is_some_and(|c| c.spec.advertiser != spec.advertiser);
    faults.when(moved, "advertiser", "fixed", "A campaign stays with its advertiser.");
    for (field, party) in [("sponsor", spec.sponsor), ("payer", spec.payer)] {
        let Some(kept) = catalogue.parties.get(&party) else {
            faults.add(field, "unknown", format!("There is no sponsor or payer {party}; an ad needs both."));
            continue;
        };
        if catalogue.erased.contains(&kept.spec.identity.key) {
            faults.add(field, "erased", format!("The identity of {party} was erased."));
        }
        for gap in kept.spec.political_gaps.iter().filter(|_| spec.political.is_some()) {
            faults.add(field, "incomplete", format!("The notice of a political ad needs {gap} of {party} (Art. 12(1)); complete the party first."));
        }
    }
    if let (Some(publisher), Some(advertiser)) =
        (&catalogue.publisher, catalogue.advertisers.get(&spec.advertiser))
    {
        let rated = publisher.spec.rate_nanos(advertiser.spec.currency).is_some();
        let why = format!(
            "The account is in {}, and the publisher has no dated rate for it.",
            advertiser.spec.currency
        );
        faults.when(!rated, "advertiser", "no_rate", why);
    }
    if catalogue.publisher.is_none() {
        faults.add("advertiser", "not_set_up", "The publisher's settings come first.");
    }
    for (index, process) in spec.political.iter().flat_map(|d| &d.linked).enumerate() {
        let unknown = process.election.is_some_and(|id| !catalogue.elections.contains_key(&id));
        faults.when(
            unknown,
            format!("political.linked[{index}].election"),
            "unknown",
            "There is no such election; the publisher keeps the list.",
        );
    }
    let political_now = before.is_some_and(|c| c.spec.political.is_some());
    let dropped = political_now && spec.political.is_none();
    faults.when(
        dropped,
        "political",
        "fixed",
        "A declared political campaign stays political; archive it and book anew if it was a mistake.",
    );
    let sets = || catalogue.ad_sets_of.get(&id).into_iter().flatten();
    let unfit = sets().filter_map(|id| catalogue.ad_sets.get(id)).any(|set| !may_roadblock(&set.spec));
    faults.when(spec.roadblock && unfit, "roadblock", "contradiction", ROADBLOCK_TIERS);
    if spec.political.is_some() {
        for ad_set in sets() {
            if let Some(kept) = catalogue.ad_sets.get(ad_set) {
                let mut inner = Faults::new();
                check_political_targeting(catalogue, &kept.spec, &mut inner);
                for fault in inner.0 {
                    faults.add(
                        "political",
                        "contradiction",
                        format!("Ad set {ad_set}, {}: {}", fault.field, fault.message),
                    );
                }
            }
        }
    }
}

/// What an experiment names is the ad set's own; a political one reads no region where location is off (law P1).
fn check_experiment(
    catalogue: &Catalogue,
    id: crate::AdSetId,
    experiment: &ExperimentSpec,
    political: bool,
    faults: &mut Faults,
) {
    let ads = catalogue.ads_of.get(&id).map(Vec::as_slice).unwrap_or_default();
    for (index, arm) in experiment.arms.iter().enumerate() {
        let foreign = arm.ads.iter().any(|ad| !ads.contains(ad));
        let own = |version: &VersionId| ads.iter().any(|ad| catalogue.versions_of(*ad).contains(version));
        let field = format!("experiment.arms[{index}]");
        let unknown = foreign || !arm.versions.iter().all(own);
        faults.when(
            unknown,
            field,
            "unknown",
            "Names an ad or version that is not of this ad set; book those first.",
        );
    }
    let located = catalogue.publisher.as_ref().is_some_and(|p| p.spec.political_location);
    let region = experiment.unit == ExperimentUnit::RegionDay && political && !located;
    let why = "Regions are not read for political ads here: the publisher has not switched that on (law P1).";
    faults.when(region, "experiment.unit", "not_offered", why);
}

fn check_ad_set(catalogue: &Catalogue, id: crate::AdSetId, spec: &AdSetSpec, faults: &mut Faults) {
    let before = catalogue.ad_sets.get(&id);
    let moved = before.is_some_and(|s| s.spec.campaign != spec.campaign);
    faults.when(moved, "campaign", "fixed", "An ad set stays in its campaign; duplicate it instead.");
    let Some(campaign) = catalogue.campaigns.get(&spec.campaign) else {
        faults.add("campaign", "unknown", format!("There is no campaign {}.", spec.campaign));
        return;
    };
    if let Some(experiment) = &spec.experiment {
        check_experiment(catalogue, id, experiment, campaign.spec.political.is_some(), faults);
    }
    if let Some(learning) = &spec.learning {
        super::adapt::check_learning(catalogue, id, learning, campaign.spec.political.is_some(), faults);
    }
    let flight = spec.flight_in(&campaign.spec);
    let early = flight.starts_at < campaign.spec.flight.starts_at;
    faults.when(early, "flight.starts_at", "contradiction", "Starts before its campaign.");
    let late = match (flight.ends_at, campaign.spec.flight.ends_at) {
        (Some(end), Some(last)) => end > last,
        (None, Some(_)) => true,
        _ => false,
    };
    faults.when(late, "flight.ends_at", "contradiction", "Ends after its campaign.");
    let open = flight.ends_at.is_none();
    let goal = matches!(spec.tier, Tier::Guaranteed { .. });
    faults.when(
        goal && open,
        "flight.ends_at",
        "missing",
        "A guaranteed goal needs an end date, here or on the campaign.",
    );
    let flat = matches!(spec.bid, Bid::FlatFee { .. });
    faults.when(
        flat && open,
        "flight.ends_at",
        "missing",
        "A flat fee accrues over the flight's days: give an end, here or on the campaign.",
    );
    for (field, own, whole) in [
        ("lifetime_budget_micros", spec.lifetime_budget_micros, campaign.spec.lifetime_budget_micros),
        ("daily_budget_micros", spec.daily_budget_micros, campaign.spec.daily_budget_micros),
    ] {
        let more = matches!((own, whole), (Some(own), Some(whole)) if own > whole);
        faults.when(more, field, "contradiction", "More than its campaign's.");
    }
    if let (Bid::FlatFee { total_micros }, Some(budget)) =
        (&spec.bid, spec.lifetime_budget_micros.or(campaign.spec.lifetime_budget_micros))
    {
        faults.when(
            *total_micros > budget,
            "bid.total_micros",
            "contradiction",
            "The flat fee is more than the budget.",
        );
    }
    for (index, clause) in spec.targeting.clauses.iter().enumerate() {
        check_references(catalogue, index, clause, faults);
    }
    if campaign.spec.political.is_some() {
        check_political_targeting(catalogue, spec, faults);
    }
    faults.when(campaign.spec.roadblock && !may_roadblock(spec), "tier", "contradiction", ROADBLOCK_TIERS);
}

const ROADBLOCK_TIERS: &str =
    "A roadblock campaign takes all places of a request: its ad sets are sponsorships or guaranteed.";
fn may_roadblock(spec: &AdSetSpec) -> bool {
    matches!(spec.tier, Tier::Sponsorship { .. } | Tier::Guaranteed { .. })
}

fn check_references(
    catalogue: &Catalogue,
    index: usize,
    clause: &crate::targeting::Clause,
    faults: &mut Faults,
) {
    for (at, value) in clause.values.iter().enumerate() {
        let known = match clause.dimension {
            Dimension::Site => value.parse().is_ok_and(|id| catalogue.sites.contains_key(&id)),
            Dimension::Placement => value.parse().is_ok_and(|id| catalogue.placements.contains_key(&id)),
            Dimension::Segment => value.parse().is_ok_and(|id| catalogue.segments.contains_key(&id)),
            _ => true,
        };
        faults.when(
            !known,
            format!("targeting[{index}].values[{at}]"),
            "unknown",
            format!("There is no {value}."),
        );
    }
}

/// Law P1 at booking: a political ad set may name only facts about the page, the language, the time and the device class.
fn check_political_targeting(catalogue: &Catalogue, spec: &AdSetSpec, faults: &mut Faults) {
    let publisher = catalogue.publisher.as_ref().map(|p| &p.spec);
    for (index, clause) in spec.targeting.clauses.iter().enumerate() {
        let fits = match clause.dimension.political() {
            Political::Allowed => true,
            Political::Never => false,
            Political::WhereSwitchedOn => publisher.is_some_and(|p| p.political_location),
            Political::WherePageKey => {
                matches!(&clause.dimension, Dimension::Key(key) if publisher.is_some_and(|p| p.page_keys.contains(key)))
            }
        };
        let why = format!(
            "A political ad may not be targeted by {} here (law P1; Regulation (EU) 2024/900, Art. 18).",
            clause.dimension
        );
        faults.when(!fits, format!("targeting[{index}].dimension"), "political", why);
    }
}

fn plan_version(
    catalogue: &Catalogue,
    id: Option<VersionId>,
    given: Option<u32>,
    spec: VersionSpec,
) -> Result<Planned, Refusal> {
    let id = id.or_else(|| spec.external_id.as_ref().and_then(|e| catalogue.versions.by_external(e)));
    let id = match id {
        Some(id) => {
            revision(catalogue.versions.get(&id).as_ref().map(|v| &v.kept), given, id)?;
            id
        }
        None => VersionId(catalogue.versions.last_id().map_or(1, |last| last.0 + 1)),
    };
    let mut faults = Faults::new();
    match catalogue.ads.get(&spec.ad) {
        Some(ad) => {
            spec.check(&ad.kept.spec.third_party_origins, &mut faults);
            let count = catalogue.versions_of(spec.ad).len();
            let full = count >= VERSIONS_PER_AD_SET_COUNT_MAX && !catalogue.versions.contains_key(&id);
            faults.when(
                full,
                "ad",
                "too_many",
                format!("An ad has at most {VERSIONS_PER_AD_SET_COUNT_MAX} versions."),
            );
        }
        None => faults.add("ad", "unknown", format!("There is no ad {}.", spec.ad)),
    }
    let moved = catalogue.versions.brief(id).is_some_and(|v| v.ad != spec.ad);
    faults.when(moved, "ad", "fixed", "A version stays with its ad.");
    refuse(faults)?;
    let record = spec.to_record();
    let objects = vec![(record.creative, spec.creative.to_bytes())];
    Ok(Planned { changes: vec![Change::VersionPut { id, record }], objects, id: id.to_string() })
}

fn plan_status(catalogue: &Catalogue, entity: EntityRef, status: Status) -> Result<Planned, Refusal> {
    let (known, name) = match entity {
        EntityRef::Site(id) => (catalogue.sites.contains_key(&id), id.to_string()),
        EntityRef::Placement(id) => (catalogue.placements.contains_key(&id), id.to_string()),
        EntityRef::Segment(id) => (catalogue.segments.contains_key(&id), id.to_string()),
        EntityRef::Advertiser(id) => (catalogue.advertisers.contains_key(&id), id.to_string()),
        EntityRef::Party(id) => (catalogue.parties.contains_key(&id), id.to_string()),
        EntityRef::Campaign(id) => (catalogue.campaigns.contains_key(&id), id.to_string()),
        EntityRef::AdSet(id) => (catalogue.ad_sets.contains_key(&id), id.to_string()),
        EntityRef::Ad(id) => (catalogue.ads.contains_key(&id), id.to_string()),
        EntityRef::Version(id) => (catalogue.versions.contains_key(&id), id.to_string()),
    };
    if known { Ok(one(name, Change::StatusSet { entity, status })) } else { Err(Refusal::NotFound(name)) }
}

fn plan_review(
    catalogue: &Catalogue,
    ads: &[AdId],
    versions: &[VersionId],
    verdict: Verdict,
    reason: String,
) -> Result<Planned, Refusal> {
    let mut faults = Faults::new();
    faults.when(
        ads.is_empty() && versions.is_empty(),
        "ads",
        "missing",
        "Name the ads or versions that were reviewed.",
    );
    let silent = verdict == Verdict::Rejected && reason.trim().is_empty();
    faults.when(silent, "reason", "missing", "Say why, so that the advertiser can mend it.");
    faults.optional_text("reason", &reason, TEXT_CHARS_MAX);
    let (mut ad_list, mut version_list) = (Vec::new(), Vec::new());
    for (index, id) in ads.iter().enumerate() {
        let Some(ad) = catalogue.ads.get(id) else {
            faults.add(format!("ads[{index}]"), "unknown", format!("There is no ad {id}."));
            continue;
        };
        ad_list.push((*id, ad.kept.revision));
        for version in catalogue.versions_of(*id) {
            if let Some(state) = catalogue.versions.get(version).filter(|v| v.review == Review::Pending) {
                version_list.push((*version, state.kept.spec.creative));
            }
        }
    }
    for (index, id) in versions.iter().enumerate() {
        match catalogue.versions.get(id) {
            Some(version) => version_list.push((*id, version.kept.spec.creative)),
            None => faults.add(format!("versions[{index}]"), "unknown", format!("There is no version {id}.")),
        }
    }
    refuse(faults)?;
    Ok(one("review", Change::Reviewed { ads: ad_list, versions: version_list, verdict, reason }))
}
