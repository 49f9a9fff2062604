//! From catalogue and ledger to entries: search, one ad, what a sponsor spent. For threads that may block.

use crate::{
    http::{App, problem::Problem},
    platform::{Platform, view::View},
    publication::db::{BRIEFLY, Filters, Query},
};
use regie_ledger::{Counters, Ledger};
use regie_model::{
    AdId, AdSetId, CampaignId, Currency, Day, Nanos, PartyId, UtcHour, VersionId, Zone,
    booking::Shape,
    catalogue::Catalogue,
    creative::{Creative, ObjectHash},
};
use regie_record::{Entry, Figures, PublicParty, Sources, Subject};
use std::{collections::BTreeMap, time::Instant};

/// A search.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// As typed: every word must be found.
    pub words: String,
    /// Only this sponsor.
    pub sponsor: Option<PartyId>,
    /// Only this payer.
    pub payer: Option<PartyId>,
    /// Only political ads.
    pub political: bool,
    /// Linked to this vote or process, by its name.
    pub election: String,
    /// The sponsor is established there.
    pub country: String,
    /// Targeted by this dimension, or by a value of it (`topic war`).
    pub targeted: String,
    /// Meant to run in these months (`2026-11`); none: any.
    pub months: Vec<String>,
    /// Only ads that the record had at this size.
    pub size: Option<u64>,
    /// Only ads booked before this one.
    pub before: Option<AdId>,
}

/// A party as the record may show it.
pub fn public_party(view: &View, id: PartyId) -> PublicParty {
    crate::publication::public_party(id, view.parties.get(&id).cloned().unwrap_or_default())
}

pub(super) fn was_shown(ledger: &Ledger, ad: AdId) -> bool {
    ledger.totals(ad).impressions_count > 0
}
/// Whether an ad was ever shown: before that nothing about it is told.
pub fn is_shown(app: &App, ad: AdId) -> bool {
    was_shown(&app.platform.folds().ledger, ad)
}
/// How many ads the record has.
pub fn shown_count(app: &App) -> u64 {
    app.publication.found_count()
}

/// The newest ads that a search finds, and where the next answer begins. It takes as long as it takes.
///
/// # Errors
/// SQLite's error.
pub fn search(app: &App, wanted: &Wanted, limit: usize) -> Result<(Vec<AdId>, Option<AdId>), Problem> {
    search_until(app, wanted, limit, None)
}
/// The same, for a page: where few of very many ads are found, it ends early with fewer, and the next answer goes on from there.
///
/// # Errors
/// SQLite's error.
pub fn search_briefly(
    app: &App,
    wanted: &Wanted,
    limit: usize,
) -> Result<(Vec<AdId>, Option<AdId>), Problem> {
    search_until(app, wanted, limit, Some(Instant::now() + BRIEFLY))
}
fn search_until(
    app: &App,
    wanted: &Wanted,
    limit: usize,
    until: Option<Instant>,
) -> Result<(Vec<AdId>, Option<AdId>), Problem> {
    let mut query = Query {
        until,
        words: wanted.words.clone(),
        before: wanted.before,
        size: wanted.size,
        limit,
        ..Query::default()
    };
    if wanted.political {
        query.filters.add("political", "1");
    }
    for (name, party) in [("sponsor", wanted.sponsor), ("payer", wanted.payer)] {
        if let Some(party) = party {
            query.filters.add(name, &party.to_string());
        }
    }
    for (name, value) in [("linked", &wanted.election), ("country", &wanted.country)] {
        if !value.trim().is_empty() {
            query.filters.add(name, value);
        }
    }
    let (mut targeted, mut months) = (Filters::default(), Filters::default());
    if !wanted.targeted.trim().is_empty() {
        targeted.add("targeted", &wanted.targeted);
        targeted.add("target", &wanted.targeted);
    }
    wanted.months.iter().for_each(|month| months.add("month", month));
    query.any = vec![targeted, months];
    let db = app.publication.fresh_reading().map_err(Problem::internal)?;
    let found = db.search(&query).map_err(Problem::internal)?;
    Ok((found.ads, found.next))
}

/// A creative document.
pub fn document(app: &App, hash: &ObjectHash) -> Option<Creative> {
    app.creatives.get(&app.platform.objects, &hash.short()).map(|c| Creative::clone(&c))
}
/// The entry of an ad; none when it was never shown.
///
/// # Errors
/// SQLite's error.
pub fn entry(app: &App, id: AdId) -> Result<Option<Entry>, Problem> {
    let Some(subject) = crate::publication::subject(&app.platform.catalogue(), id) else { return Ok(None) };
    if !was_shown(&app.platform.folds().ledger, id) {
        return Ok(None);
    }
    let history = app.publication.history(&subject).map_err(Problem::internal)?;
    let flat = flat_fee_days(&app.platform, subject.ad_set).map_err(Problem::internal)?;
    let view = app.platform.current_view();
    let catalogue = app.platform.catalogue();
    let (figures, campaign_figures) = {
        let folds = app.platform.folds();
        let figures = figures(&catalogue, &folds.ledger, &subject, flat);
        (figures, campaign(&catalogue, &folds.ledger, subject.campaign, app.platform.now()))
    };
    let matched_count = app
        .platform
        .state()
        .matched(subject.ad_set, UtcHour(i64::MIN), UtcHour(i64::MAX))
        .map_err(Problem::internal)?;
    let figures = Figures { matched_count, ..figures };
    let sources = Sources {
        catalogue: &catalogue,
        now: app.platform.now(),
        party: &|party| public_party(&view, party),
        creative: &|hash| document(app, hash),
        figures,
        campaign_figures,
        history,
    };
    Ok(regie_record::entry(id, &sources))
}

/// Accrued days of a flat fee, which belongs to an ad set and to no ad.
pub(super) fn flat_fee_days(platform: &Platform, set: AdSetId) -> anyhow::Result<Vec<(UtcHour, Nanos)>> {
    let campaign = platform.catalogue().ad_sets.get(&set).map_or(0, |s| s.spec.campaign.0);
    let sql = "SELECT hour, sum(spend_nanos - credited_nanos) FROM rollups WHERE campaign = ?2 AND ad_set = ?1 AND ad = 0 GROUP BY hour";
    let state = platform.state();
    let mut statement = state.connection().prepare_cached(sql)?;
    let rows = statement
        .query_map([set.0, campaign], |r| Ok((UtcHour(r.get(0)?), Nanos(i128::from(r.get::<_, i64>(1)?)))))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Totals of an ad, with the flat fee of its ad set where that is stated with it.
pub(super) fn figures(
    catalogue: &Catalogue,
    ledger: &Ledger,
    subject: &Subject,
    flat: Vec<(UtcHour, Nanos)>,
) -> Figures {
    let total: Counters = ledger.totals(subject.ad);
    let mut figures = Figures {
        impressions_count: total.impressions_count,
        clicks_count: total.clicks_count,
        conversions_count: total.conversions_count,
        gross: total.gross_nanos,
        credited: total.credited_nanos,
        matched_count: None,
        days: Vec::new(),
    };
    let mut days: BTreeMap<Day, (u64, Nanos)> = BTreeMap::new();
    for (day, counters) in ledger.ad_days(subject.ad) {
        days.insert(*day, (counters.impressions_count, counters.net_nanos()));
    }
    let (gross, credited) = flat_fee(catalogue, ledger, subject.ad, subject.ad_set);
    if gross != Nanos::ZERO {
        let zone = zone_of(catalogue, subject.campaign);
        for (hour, nanos) in flat {
            days.entry(zone.day(hour.start())).or_default().1 += nanos;
        }
        figures.gross += gross;
        figures.credited += credited;
    }
    figures.days = days
        .into_iter()
        .filter(|(_, (n, net))| *n > 0 || net.0 != 0)
        .map(|(d, (n, net))| (d, n, net))
        .collect();
    figures
}
fn zone_of(catalogue: &Catalogue, campaign: CampaignId) -> Zone {
    let advertiser = catalogue.campaigns.get(&campaign).map(|c| c.spec.advertiser);
    advertiser.map_or_else(Zone::utc, |a| crate::http::console::act::account_zone(catalogue, a))
}

fn campaign(catalogue: &Catalogue, ledger: &Ledger, id: CampaignId, now: regie_model::UtcMs) -> Figures {
    let counts = crate::http::console::campaigns::counts(catalogue, ledger, id);
    let budget = ledger.campaign_budget(id, now);
    Figures {
        impressions_count: counts.impressions_count,
        clicks_count: counts.clicks_count,
        conversions_count: counts.conversions_count,
        gross: budget.map_or(Nanos::ZERO, |b| b.gross),
        credited: budget.map_or(Nanos::ZERO, |b| b.credited),
        matched_count: None,
        days: Vec::new(),
    }
}

/// What a flat fee brought of an ad set, before and after credits: it belongs to no ad, and is stated with the ad
/// set's first one, always, so that a figure once published never moves to another ad.
fn flat_fee(catalogue: &Catalogue, ledger: &Ledger, ad: AdId, set: AdSetId) -> (Nanos, Nanos) {
    let ads = catalogue.ads_of.get(&set).map_or(&[][..], Vec::as_slice);
    let budget = ledger.ad_set_budget(set, regie_model::UtcMs(0)).filter(|_| ads.first() == Some(&ad));
    let Some(budget) = budget else { return (Nanos::ZERO, Nanos::ZERO) };
    let mut of_ads = Counters::default();
    ads.iter().for_each(|ad| of_ads.add(&ledger.totals(*ad)));
    (budget.gross - of_ads.gross_nanos, budget.credited - of_ads.credited_nanos)
}

/// What an ad cost, flat fee included.
pub(super) fn net(catalogue: &Catalogue, ledger: &Ledger, ad: AdId, set: AdSetId) -> Nanos {
    let flat = flat_fee(catalogue, ledger, ad, set);
    ledger.totals(ad).net_nanos() + flat.0 - flat.1
}

/// A line of a list.
#[derive(Clone, Debug)]
pub struct Line {
    /// The ad.
    pub id: AdId,
    /// On whose behalf.
    pub sponsor: PartyId,
    /// Its name.
    pub sponsor_name: String,
    /// Who pays.
    pub payer_name: String,
    /// Declared as political.
    pub political: bool,
    /// Its first approved version, and its shape.
    pub version: Option<(VersionId, Shape)>,
    /// Times shown.
    pub impressions_count: u64,
    /// Net charge.
    pub net: Nanos,
    /// Of the money.
    pub currency: Currency,
    /// First and last day with an impression.
    pub days: Option<(Day, Day)>,
    /// It may run now.
    pub running: bool,
}

/// The lines of these ads.
pub fn lines(app: &App, ids: &[AdId]) -> Vec<Line> {
    let view = app.platform.current_view();
    let catalogue = app.platform.catalogue();
    let folds = app.platform.folds();
    let now = app.platform.now();
    let one = |id: &AdId| {
        let (campaign_id, set) = catalogue.parents_of(*id)?;
        let campaign = &catalogue.campaigns.get(&campaign_id)?.spec;
        let kept = catalogue.ads.get(id)?;
        let total = folds.ledger.totals(*id);
        let mut shown =
            folds.ledger.ad_days(*id).iter().filter(|(_, c)| c.impressions_count > 0).map(|(d, _)| *d);
        let first = shown.next();
        let last = shown.next_back().or(first);
        let active = |status| status == regie_model::booking::Status::Active;
        let parents = catalogue
            .ad_sets
            .get(&set)
            .is_some_and(|s| active(s.status) && s.spec.flight_in(campaign).contains(now))
            && catalogue.campaigns.get(&campaign_id).is_some_and(|c| active(c.status));
        let versions = catalogue.versions_of(*id);
        Some(Line {
            id: *id,
            sponsor: campaign.sponsor,
            sponsor_name: public_party(&view, campaign.sponsor).name,
            payer_name: public_party(&view, campaign.payer).name,
            political: campaign.political.is_some(),
            version: versions
                .iter()
                .copied()
                .find_map(|v| catalogue.versions.get(&v)?.approved.map(|(_, shape)| (v, shape))),
            impressions_count: total.impressions_count,
            net: net(&catalogue, &folds.ledger, *id, set),
            currency: crate::http::console::campaigns::currency(&catalogue, campaign.advertiser),
            days: first.zip(last),
            running: parents && active(kept.kept.status) && kept.approved.is_some(),
        })
    };
    ids.iter().filter_map(one).collect()
}

/// The lines of these ads as the record knew them at a size of the log: published figures of closed days.
///
/// # Errors
/// SQLite's error.
pub fn lines_at(app: &App, ids: &[AdId], size: u64) -> Result<Vec<Line>, Problem> {
    let db = app.publication.reading().map_err(Problem::internal)?;
    let at = db.time_of(size).map_err(Problem::internal)?;
    let mut lines = Vec::new();
    for id in ids {
        let Some(known) = super::known::ad_at(&db, *id, size)? else { continue };
        let total = known.total();
        let mut shown =
            known.days.iter().filter(|(_, f)| f.amounts.impressions_count > 0).map(|(day, _)| *day);
        let first = shown.next();
        let last = shown.next_back().or(first);
        lines.push(Line {
            id: *id,
            sponsor: known.facts.sponsor.id,
            sponsor_name: known.facts.sponsor.name.clone(),
            payer_name: known.facts.payer.name.clone(),
            political: known.facts.political,
            version: None,
            impressions_count: total.impressions_count,
            net: total.net(),
            currency: known.facts.currency,
            days: first.zip(last),
            running: known.facts.status(at) == regie_record::RunStatus::Running,
        });
    }
    Ok(lines)
}

/// What sponsors of shown ads spent since an hour: (sponsor, currency, net), the largest first. Flat fees included.
///
/// # Errors
/// SQLite's error.
pub fn spenders(app: &App, since: UtcHour) -> Result<Vec<(PartyId, Currency, Nanos)>, Problem> {
    let by_campaign = {
        let state = app.platform.state();
        crate::platform::spend::since(state.connection(), since).map_err(Problem::internal)?
    };
    let catalogue = app.platform.catalogue();
    let folds = app.platform.folds();
    let mut sums: BTreeMap<(PartyId, Currency), Nanos> = BTreeMap::new();
    for (id, net) in by_campaign {
        if let Some((sponsor, currency)) = spender(&catalogue, &folds.ledger, id) {
            *sums.entry((sponsor, currency)).or_default() += net;
        }
    }
    Ok(in_order(sums))
}
/// What sponsors of shown ads spent in all.
pub fn spenders_ever(app: &App) -> Vec<(PartyId, Currency, Nanos)> {
    let catalogue = app.platform.catalogue();
    let folds = app.platform.folds();
    let now = app.platform.now();
    let mut sums: BTreeMap<(PartyId, Currency), Nanos> = BTreeMap::new();
    for id in catalogue.campaigns.keys() {
        if let (Some(key), Some(budget)) =
            (spender(&catalogue, &folds.ledger, *id), folds.ledger.campaign_budget(*id, now))
        {
            *sums.entry(key).or_default() += budget.gross - budget.credited;
        }
    }
    in_order(sums)
}
/// Whose a campaign's spending is, and in which currency; none where nothing of it was shown.
fn spender(catalogue: &Catalogue, ledger: &Ledger, id: CampaignId) -> Option<(PartyId, Currency)> {
    let campaign = &catalogue.campaigns.get(&id)?.spec;
    let mut sets = catalogue.ad_sets_of.get(&id).into_iter().flatten();
    let shown = sets.any(|set| ledger.counts(*set).impressions_count > 0);
    let currency = crate::http::console::campaigns::currency(catalogue, campaign.advertiser);
    shown.then_some((campaign.sponsor, currency))
}
fn in_order(sums: BTreeMap<(PartyId, Currency), Nanos>) -> Vec<(PartyId, Currency, Nanos)> {
    let mut rows: Vec<_> =
        sums.into_iter().filter(|(_, net)| net.0 > 0).map(|((p, c), net)| (p, c, net)).collect();
    rows.sort_by(|a, b| a.1.cmp(&b.1).then(b.2.cmp(&a.2)).then(a.0.cmp(&b.0)));
    rows
}
/// What a sponsor's ads that were shown cost on each day of their account's zone.
pub fn days_of_sponsor(app: &App, sponsor: PartyId) -> BTreeMap<(Currency, Day), Nanos> {
    let catalogue = app.platform.catalogue();
    let folds = app.platform.folds();
    let mut days: BTreeMap<(Currency, Day), Nanos> = BTreeMap::new();
    for (id, campaign) in catalogue.campaigns.iter().filter(|(_, c)| c.spec.sponsor == sponsor) {
        let currency = crate::http::console::campaigns::currency(&catalogue, campaign.spec.advertiser);
        let sets = catalogue.ad_sets_of.get(id).into_iter().flatten();
        for ad in sets.filter_map(|set| catalogue.ads_of.get(set)).flatten() {
            if was_shown(&folds.ledger, *ad) {
                for (day, counters) in folds.ledger.ad_days(*ad) {
                    *days.entry((currency, *day)).or_default() += counters.net_nanos();
                }
            }
        }
    }
    days
}
