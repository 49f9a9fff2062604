//! The record as it was known: at a size of the log, on a date; what changed between two; permalinks and citations.

use crate::i18n::rooms::say;
use crate::{
    http::{App, AppState, console::layout, problem::Problem},
    publication::{concerns, db::RecordDb, register},
};
use crate::{t, th};
use axum::{
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use maud::{Markup, html};
use regie_model::{AdId, Day, UtcMs, time::DAY_MS};
use regie_record::{
    Entry, Figures,
    known::{KnownAd, Version, as_known, changes},
    leaf::{Kind, Leaf},
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// Ads of one answer about changes at most.
const CHANGES_MAX: usize = 200;

/// Where in the record's own time a page stands.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct When {
    /// So many leaves of the log.
    pub size: Option<String>,
    /// As known at the end of this day (UTC).
    pub on: Option<String>,
}
impl When {
    /// The size that is meant; `None`: now.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn size(&self, db: &RecordDb) -> Result<Option<u64>, Problem> {
        if let Some(text) = self.size.as_deref().filter(|t| !t.is_empty()) {
            let size: u64 =
                text.parse().map_err(|_| Problem::bad_request("`size` is a number of log entries."))?;
            return Ok(Some(size));
        }
        let Some(text) = self.on.as_deref().filter(|t| !t.is_empty()) else { return Ok(None) };
        let day =
            Day::parse(text).ok_or_else(|| Problem::bad_request("`on` is a day, such as 2026-11-20."))?;
        db.size_at(end_of(day)).map(Some).map_err(Problem::internal)
    }
}
/// The last millisecond of a UTC day.
pub fn end_of(day: Day) -> UtcMs {
    UtcMs((i64::from(day.0) + 1) * DAY_MS - 1)
}

/// An ad as known at a size.
///
/// # Errors
/// SQLite's error.
pub fn ad_at(db: &RecordDb, ad: AdId, size: u64) -> Result<Option<KnownAd>, Problem> {
    let versions = db.versions(ad, Some(size)).map_err(Problem::internal)?;
    Ok(as_known(&versions, UtcMs(i64::MAX)))
}
/// Its entry as known at a size, with its campaign's figures as known then.
///
/// # Errors
/// SQLite's error.
pub fn entry_at(app: &App, db: &RecordDb, ad: AdId, size: u64) -> Result<Option<(KnownAd, Entry)>, Problem> {
    let Some(known) = ad_at(db, ad, size)? else { return Ok(None) };
    let ads = concerns::of_campaign(&app.platform.catalogue(), known.facts.campaign);
    let mut campaign = Figures::default();
    for other in ads {
        if let Some(known) = ad_at(db, other, size)? {
            let total = known.total();
            campaign.impressions_count += total.impressions_count;
            campaign.clicks_count += total.clicks_count;
            campaign.conversions_count += total.conversions_count;
            campaign.gross += total.gross_nanos;
            campaign.credited += total.credited_nanos;
        }
    }
    let at = db.time_of(size).map_err(Problem::internal)?;
    let entry = known.entry(&campaign, at);
    Ok(Some((known, entry)))
}

/// A version as JSON: the leaf as it stands in the log, and what its objects say.
pub fn version_json(version: &Version, bytes: &[u8]) -> Value {
    json!({
        "index": version.index, "kind": version.leaf.kind, "version": version.leaf.version, "at": version.leaf.at,
        "sha256": regie_record::commit::Sha256Hash::of(bytes), "leaf_hash": Leaf::merkle_hash(bytes),
        "day": version.leaf.figures.as_ref().map(|f| f.day), "stage": version.leaf.figures.as_ref().map(|f| f.stage),
        "figures": version.leaf.figures, "facts": version.facts, "commitments": version.leaf.commitments,
        "withheld": version.leaf.kind == Kind::Facts && version.facts.is_none(),
    })
}

/// `GET /record/ads/{id}/versions`: every version ever published, oldest first.
pub(super) async fn versions(
    State(app): State<AppState>,
    _: super::limits::Fair,
    Path(text): Path<String>,
    uri: axum::http::Uri,
) -> Result<Response, Problem> {
    let json = uri.path().ends_with(".json");
    let id: AdId = text.parse().map_err(|_| super::ad_page::not_here(&text))?;
    let reader = Arc::clone(&app);
    let work = move || -> Result<Vec<(Version, Value)>, Problem> {
        if !super::data::is_shown(&reader, id) {
            return Err(super::ad_page::not_here(&id.to_string()));
        }
        reader.publication.register().map_err(Problem::internal)?;
        let db = reader.publication.fresh_reading().map_err(Problem::internal)?;
        let versions = db.versions(id, None).map_err(Problem::internal)?;
        let mut told = Vec::new();
        for version in versions {
            let bytes = db.leaf_bytes(version.index).map_err(Problem::internal)?.unwrap_or_default();
            let mut json = version_json(&version, &bytes);
            // Until when each personal field is held; then it is withheld, with a tombstone.
            let dates = register::kept_until(&db, &version.leaf).map_err(Problem::internal)?;
            if !dates.is_empty() {
                json["personal_kept_until"] = dates.into_iter().map(|(part, at)| (part, json!(at))).collect();
            }
            told.push((version, json));
        }
        Ok(told)
    };
    let told = tokio::task::spawn_blocking(work).await.map_err(Problem::internal)??;
    if json {
        let list: Vec<Value> = told.into_iter().map(|(_, json)| json).collect();
        return Ok(super::open_json(&json!({ "ad": id, "versions": list })));
    }
    let body = html! {
        p class="crumbs" { a href="/record" { (t!("words-record")) } a href={ "/record/ads/" (id) } { (id) } span { (t!("words-versions")) } }
        h1 { (th!("record-every-version-of", id = id)) }
        p class="intro" { (t!("record-nothing-here-is-ever-overwritten")) }
        div class="scroll" { table {
            thead { tr { th { (t!("record-made")) } th { (t!("words-what")) } th { (t!("record-version")) } th { (t!("record-says")) } th { (t!("record-entry")) } } }
            tbody { @for (version, _) in told.iter().rev() { (line(version)) } }
        } }
        p { a href={ "/record/ads/" (id) "/versions.json" } { (t!("record-the-same-as-json-with")) } }
    };
    Ok(layout::page(StatusCode::OK, &layout::public(&app, &t!("record-versions-of", id = id), &body)))
}

fn line(version: &Version) -> Markup {
    let leaf = &version.leaf;
    html! { tr {
        td class="nowrap" { (leaf.at) }
        td { @match &leaf.figures { Some(figures) => { (th!("record-figures-of", day = figures.day)) }, None if leaf.kind == Kind::Decision => (t!("proofs-decision")), None => (t!("record-facts")) } }
        td { (leaf.version) }
        td { @match (&leaf.figures, &version.facts) {
            (Some(figures), _) => {
                (th!("record-impressions", word = say(figures.stage.word()), impressions_count = figures.amounts.impressions_count, amounts = figures.amounts.net().display(figures.amounts.currency, 9))) " " (figures.amounts.currency)
                @if let Some(before) = &figures.before { (th!("record-before", impressions_count = before.impressions_count, before = before.net().display(before.currency, 9))) }
            },
            (None, Some(facts)) => { (facts.sponsor.name) ", " (format!("{:?}", facts.run).to_lowercase()) ", " (say(&facts.targeting.words)) },
            (None, None) if leaf.kind == Kind::Decision => (t!("proofs-decision-elsewhere")),
            (None, None) => (t!("record-withheld")),
        } }
        td { a href={ "/record/ads/" (leaf.ad) "?size=" (version.index + 1) } { (version.index) } }
    } }
}

/// Between which two moments.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Between {
    from: String,
    to: String,
    after: String,
    ad: String,
}

/// `GET /record/changes`: what the record says differently, between two dates or sizes.
pub(super) async fn between(
    State(app): State<AppState>,
    _: super::limits::Fair,
    Query(query): Query<Between>,
    uri: axum::http::Uri,
) -> Result<Response, Response> {
    let json = uri.path().ends_with(".json");
    let refuse = |problem: Problem| {
        if json { problem.into_response() } else { layout::PageError(problem).into_response() }
    };
    let reader = Arc::clone(&app);
    let asked = query.clone();
    let found = tokio::task::spawn_blocking(move || collect(&reader, &asked)).await;
    let found = found.map_err(|e| refuse(Problem::internal(e)))?.map_err(refuse)?;
    if json {
        return Ok(super::open_json(&found));
    }
    let body = changes_page(&app, &query, &found);
    Ok(layout::page(StatusCode::OK, &layout::public(&app, t!("words-what-changed"), &body)))
}

fn size_of(db: &RecordDb, text: &str, absent: u64) -> Result<u64, Problem> {
    if text.is_empty() {
        return Ok(absent);
    }
    let last = db.size().map_err(Problem::internal)?;
    match (Day::parse(text), text.parse::<u64>()) {
        (Some(day), _) => db.size_at(end_of(day)).map_err(Problem::internal),
        (None, Ok(size)) => Ok(size.min(last)),
        (None, Err(_)) => {
            Err(Problem::bad_request("`from` and `to` are days (2026-11-20) or sizes of the log."))
        }
    }
}
fn collect(app: &App, query: &Between) -> Result<Value, Problem> {
    let db = app.publication.fresh_reading().map_err(Problem::internal)?;
    let last = db.size().map_err(Problem::internal)?;
    let (from, to) = (size_of(&db, &query.from, 0)?, size_of(&db, &query.to, last)?);
    if from > to {
        return Err(Problem::bad_request("`from` comes before `to`."));
    }
    let after: u32 = query.after.parse::<AdId>().map_or(0, |id| id.0);
    let ads = match query.ad.parse::<AdId>() {
        Ok(ad) => vec![ad],
        Err(_) => db.changed_between(from, to, after, CHANGES_MAX + 1).map_err(Problem::internal)?,
    };
    let mut told = Vec::new();
    for ad in ads.iter().take(CHANGES_MAX) {
        if !super::data::is_shown(app, *ad) {
            continue;
        }
        let (before, now) = (ad_at(&db, *ad, from)?, ad_at(&db, *ad, to)?);
        let found = match before.is_none() {
            // A new ad is one change, not one for each of its fields.
            true => json!([{ "path": "", "after": "published" }]),
            false => json!(changes(before.as_ref(), now.as_ref())),
        };
        told.push(json!({ "ad": ad, "changes": found }));
    }
    let next = (ads.len() > CHANGES_MAX).then(|| ads[CHANGES_MAX - 1]);
    let at = db.time_of(to).map_err(Problem::internal)?;
    Ok(json!({ "from_size": from, "to_size": to, "to_at_ms": at.0, "ads": told, "after": next }))
}

fn changes_page(app: &App, query: &Between, found: &Value) -> Markup {
    let words = |value: &Value| match value {
        Value::Null => t!("study-nothing").to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut permalink = format!("/record/changes?from={}&to={}", found["from_size"], found["to_size"]);
    if let Ok(ad) = query.ad.parse::<AdId>() {
        permalink.push_str(&format!("&ad={ad}"));
    }
    let (to, at) = (found["to_size"].as_u64().unwrap_or(0), UtcMs(found["to_at_ms"].as_i64().unwrap_or(0)));
    html! {
        h1 { (t!("words-what-changed")) }
        p class="intro" { (t!("record-the-record-as-it-was")) }
        form class="filters" method="get" action="/record/changes" {
            div class="field" { label for="from" { (t!("record-known-on")) } input id="from" type="date" name="from" value=(query.from); }
            div class="field" { label for="to" { (t!("record-and-on")) } input id="to" type="date" name="to" value=(query.to); }
            button { (t!("record-compare")) }
        }
        p class="muted" { (th!("record-log-sizes-and", found = found["from_size"], found2 = found["to_size"], link = html! { a href={ "/record/changes.json?from=" (found["from_size"]) "&to=" (found["to_size"]) } { (t!("words-as-json")) } })) }
        @if found["ads"].as_array().is_none_or(Vec::is_empty) { p { (t!("record-nothing-changed-between-the-two")) } }
        @for ad in found["ads"].as_array().into_iter().flatten() {
            @let id = ad["ad"].as_str().unwrap_or("");
            h2 { a href={ "/record/ads/" (id) } { (id) } }
            div class="scroll" { table {
                thead { tr { th { (t!("words-what")) } th { (t!("record-before-2")) } th { (t!("record-after")) } } }
                tbody { @for change in ad["changes"].as_array().into_iter().flatten().take(60) {
                    tr { th scope="row" { (change["path"].as_str().unwrap_or("")) } td class="wrap-any" { (words(&change["before"])) } td class="wrap-any" { (words(&change["after"])) } }
                } }
            } }
        }
        @if let Some(next) = found["after"].as_str() { p { a class="btn" href={ "/record/changes?from=" (found["from_size"]) "&to=" (found["to_size"]) "&after=" (next) } { (t!("record-more")) } } }
        (citation(app, &permalink, &t!("record-changes-between", from = found["from_size"], to = found["to_size"]), to, at))
    }
}

/// The permalink of a page at a size of the log, with the words to cite it by.
pub fn citation(app: &App, path_and_query: &str, title: &str, size: u64, at: UtcMs) -> Markup {
    let glue = if path_and_query.contains('?') { '&' } else { '?' };
    let link = format!("{}{path_and_query}{glue}size={size}", app.config.public_url);
    let publisher = layout::publisher_name(app);
    html! {
        section class="card cite" {
            h2 { (t!("record-cite-this")) }
            p { (th!("record-public-ad-record-as-known", publisher = publisher, part = html! { i { (title) } }, size = size, at = at, link = html! { a href=(format!("{path_and_query}{glue}size={size}")) rel="bookmark" class="wrap-any" { code { (link) } } })) }
        }
    }
}
