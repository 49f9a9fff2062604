//! Elections, referendums and legislative processes, with the political ads that were shown for each: now, or as known at a size of the log.
//!
//! Present figures are the ledger's, of every ad; earlier ones are the published figures of closed days. Refuses to leave ads out unsaid.

use super::{data, known, limits::Fair, open_json};
use crate::http::{
    App, AppState,
    console::{layout, ui},
    problem::Problem,
};
use crate::i18n::rooms::say;
use crate::{t, th};
use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::Response,
};
use maud::{Markup, html};
use regie_model::{
    AdId, Currency, Day, ElectionId, Nanos, UtcMs,
    booking::{ElectionSpec, LinkedProcess},
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc};

/// Political ads that an earlier overview is made of at most.
const ADS_MAX: usize = 10_000;

/// A vote or process with what was shown for it.
#[derive(Default)]
struct Overview {
    id: Option<ElectionId>,
    name: String,
    held_on: Option<Day>,
    spec: Option<ElectionSpec>,
    ads: usize,
    spend: BTreeMap<Currency, Nanos>,
    impressions: u64,
}
/// What one ad adds.
struct Share {
    impressions_count: u64,
    net: Nanos,
    currency: Currency,
}
/// All of them, and the size and time of the log that they stand for.
struct Found {
    list: Vec<Overview>,
    size: u64,
    at: UtcMs,
    /// Of an earlier size, of which there were more ads than are summed.
    cut: bool,
}

/// Adds ads to the processes that they are linked to.
struct Sums<'a> {
    app: &'a App,
    found: BTreeMap<(Option<ElectionId>, String, Option<Day>), Overview>,
}
impl Sums<'_> {
    /// Every vote that the publisher keeps, with nothing shown.
    fn of(app: &App) -> Sums<'_> {
        let mut sums = Sums { app, found: BTreeMap::new() };
        for (id, kept) in &app.platform.catalogue().elections {
            let spec = &kept.spec;
            sums.at(Some(*id), spec.name.clone(), Some(spec.held_on)).spec = Some(spec.clone());
        }
        sums
    }
    fn at(&mut self, id: Option<ElectionId>, name: String, held_on: Option<Day>) -> &mut Overview {
        let key = (id, name.clone(), held_on);
        self.found.entry(key).or_insert_with(|| Overview { id, name, held_on, ..Overview::default() })
    }
    fn add(&mut self, linked: &[LinkedProcess], share: &Share) {
        for process in linked {
            let kept = process.election.and_then(|id| {
                let catalogue = self.app.platform.catalogue();
                catalogue.elections.get(&id).map(|kept| (id, kept.spec.name.clone(), kept.spec.held_on))
            });
            let of = match kept {
                Some((id, name, held_on)) => self.at(Some(id), name, Some(held_on)),
                None => self.at(None, process.name.clone(), process.held_on),
            };
            of.ads += 1;
            of.impressions += share.impressions_count;
            *of.spend.entry(share.currency).or_default() += share.net;
        }
    }
    fn list(self) -> Vec<Overview> {
        let mut list: Vec<Overview> = self.found.into_values().collect();
        list.sort_by(|a, b| b.held_on.cmp(&a.held_on).then_with(|| a.name.cmp(&b.name)));
        list
    }
}

fn now(app: &App) -> Result<Found, Problem> {
    let mut sums = Sums::of(app);
    let shares: Vec<(Vec<LinkedProcess>, Share)> = {
        let catalogue = app.platform.catalogue();
        let folds = app.platform.folds();
        let political =
            catalogue.campaigns.iter().filter_map(|(id, c)| Some((id, c, c.spec.political.as_ref()?)));
        let mut shares = Vec::new();
        for (id, campaign, declaration) in political {
            let currency = crate::http::console::campaigns::currency(&catalogue, campaign.spec.advertiser);
            for set in catalogue.ad_sets_of.get(id).into_iter().flatten() {
                for ad in catalogue.ads_of.get(set).into_iter().flatten() {
                    if data::was_shown(&folds.ledger, *ad) {
                        let impressions_count = folds.ledger.totals(*ad).impressions_count;
                        let net = data::net(&catalogue, &folds.ledger, *ad, *set);
                        shares.push((declaration.linked.clone(), Share { impressions_count, net, currency }));
                    }
                }
            }
        }
        shares
    };
    shares.iter().for_each(|(linked, share)| sums.add(linked, share));
    let db = app.publication.reading().map_err(Problem::internal)?;
    let size = db.size().map_err(Problem::internal)?;
    let at = db.time_of(size).map_err(Problem::internal)?;
    Ok(Found { list: sums.list(), size, at, cut: false })
}

fn then(app: &App, size: u64) -> Result<Found, Problem> {
    let wanted = data::Wanted { political: true, size: Some(size), ..data::Wanted::default() };
    let (ads, next): (Vec<AdId>, _) = data::search(app, &wanted, ADS_MAX)?;
    let mut sums = Sums::of(app);
    let db = app.publication.reading().map_err(Problem::internal)?;
    for ad in ads {
        let Some(known) = known::ad_at(&db, ad, size)? else { continue };
        let Some(declaration) = &known.facts.declaration else { continue };
        let total = known.total();
        let (impressions_count, net) = (total.impressions_count, total.net());
        sums.add(&declaration.linked, &Share { impressions_count, net, currency: known.facts.currency });
    }
    let at = db.time_of(size).map_err(Problem::internal)?;
    Ok(Found { list: sums.list(), size, at, cut: next.is_some() })
}

/// `GET /record/elections`, also `.json`.
pub(super) async fn show(
    State(app): State<AppState>,
    _: Fair,
    Query(when): Query<known::When>,
    uri: axum::http::Uri,
) -> Result<Response, Problem> {
    let reader = Arc::clone(&app);
    let work = move || -> Result<(Found, bool), Problem> {
        let size = {
            let db = reader.publication.fresh_reading().map_err(Problem::internal)?;
            when.size(&db)?
        };
        let found = size.map_or_else(|| now(&reader), |size| then(&reader, size))?;
        Ok((found, size.is_some()))
    };
    let (found, earlier) = tokio::task::spawn_blocking(work).await.map_err(Problem::internal)??;
    if uri.path().ends_with(".json") {
        return Ok(open_json(&as_json(&found)));
    }
    let body = page(&app, &found, earlier);
    Ok(layout::page(StatusCode::OK, &layout::public(&app, t!("words-elections"), &body)))
}

fn as_json(found: &Found) -> Value {
    let one = |o: &Overview| {
        let spend: Vec<Value> =
            o.spend.iter().map(|(c, n)| json!({ "currency": c, "spend_nanos": n.0.to_string() })).collect();
        json!({ "id": o.id, "name": o.name, "held_on": o.held_on, "election": o.spec, "ads_count": o.ads,
            "impressions_count": o.impressions, "spend": spend })
    };
    let told: Vec<Value> = found.list.iter().map(one).collect();
    json!({ "elections": told, "size": found.size, "as_known_at": found.at, "newest_ads_only_count": found.cut.then_some(ADS_MAX) })
}

fn page(app: &AppState, found: &Found, earlier: bool) -> Markup {
    html! {
        h1 { (t!("record-elections-referendums-laws")) }
        p class="intro" { (t!("record-votes-and-legislative-processes-that")) }
        @if earlier {
            div class="note warn" role="status" { p { (th!("record-this-is-the-record-as-2", size = found.size, at = found.at, link = html! { a href="/record/elections" { (t!("words-see-it-as-it-is")) } })) } }
        }
        @if found.cut { p { (t!("record-only-the-newest-are-summed", count = ADS_MAX)) } }
        @if found.list.is_empty() { (ui::empty(t!("record-none-so-far"))) }
        @else { div class="scroll" { table {
            thead { tr { th { (t!("words-day")) } th { (t!("words-what")) } th class="right" { (t!("words-ads")) } th class="right" { (t!("record-shown")) } th class="right" { (t!("words-spent")) } } }
            tbody { @for o in &found.list { tr {
                td class="nowrap" { @match o.held_on { Some(day) => (day), None => (t!("record-no-day")) } }
                th scope="row" { (named(o)) }
                td class="right" { (o.ads) } td class="right" { (ui::count(o.impressions)) }
                td class="right" { @for (currency, net) in &o.spend { div { (ui::money(*net, *currency)) } } }
            } } }
        } } }
        p { a href="/record/elections.json" { (t!("words-the-same-as-json")) } }
        (known::citation(app, "/record/elections", t!("record-elections-referendums-laws"), found.size, found.at))
    }
}
fn named(o: &Overview) -> Markup {
    html! {
        a href={ "/record?" (linked_query(&o.name)) } { (o.name) }
        @if o.ads > 0 { " " a class="small" href={ "/record/elections/dossier.json?" (linked_query(&o.name)) } { (t!("proofs-dossier-short")) } }
        @if let Some(spec) = &o.spec {
            div class="small muted" {
                (th!("record-only-some-sponsors-from", word = say(spec.kind.word()), country = spec.country, restricted_from = spec.restricted_from()))
                @if let Some(day) = spec.silent_from { (th!("record-no-linked-ad-from", day = day)) }
                @if let Some(url) = &spec.official_url { "; " a href=(url) rel="noopener noreferrer nofollow" { (t!("record-how-to-take-part")) } }
            }
        }
    }
}
fn linked_query(name: &str) -> String {
    url::form_urlencoded::Serializer::new(String::new()).append_pair("election", name).finish()
}
