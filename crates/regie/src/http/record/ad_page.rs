//! One ad in the record: as it ran, with its label, facts, notice and figures.

use super::{data, known, open_json, wants_json};
use crate::i18n::rooms::say;
use crate::{
    http::{
        App, AppState,
        console::{act, layout, ui},
        frames,
        problem::Problem,
    },
    publication::decisions,
};
use crate::{t, th};
use axum::{
    extract::{Path, Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use maud::{Markup, html};
use regie_model::{AdId, Nanos, VersionId};
use regie_record::{Entry, PublicParty, RunStatus};
use std::sync::Arc;

/// Versions shown as frames; the JSON lists all.
const FRAMES_MAX: usize = 6;

pub(super) fn not_here(id: &str) -> Problem {
    Problem::not_found(&t!("record-ad-in-the-record-an", id = id))
}

/// `GET /record/ads/{id}`, also with `.json`.
pub(super) async fn show(
    State(app): State<AppState>,
    Path(text): Path<String>,
    Query(when): Query<known::When>,
    headers: HeaderMap,
) -> Result<Response, Response> {
    use axum::response::IntoResponse;
    let (json, bare) = wants_json(&text, &headers);
    let refuse = |problem: Problem| {
        if json { problem.into_response() } else { layout::PageError(problem).into_response() }
    };
    let id: AdId = bare.parse().map_err(|_| refuse(not_here(bare)))?;
    let reader = Arc::clone(&app);
    let found = tokio::task::spawn_blocking(move || collect(&reader, id, &when))
        .await
        .map_err(|e| refuse(Problem::internal(e)))?;
    let found = found.map_err(refuse)?.ok_or_else(|| refuse(not_here(bare)))?;
    let entry = &found.entry;
    if json {
        let value = serde_json::to_value(entry).map_err(|e| refuse(Problem::internal(e)))?;
        return Ok(open_json(&value));
    }
    let title = t!("record-ad-on-behalf-of", name = entry.sponsor.name);
    let body = page(&app, &found);
    Ok(layout::page(StatusCode::OK, &layout::public(&app, &title, &body)))
}

/// What a page tells of an ad, and from when.
struct Found {
    entry: Entry,
    /// Of the record: what the page stands for.
    size: u64,
    /// When the last of these entries was made.
    at: regie_model::UtcMs,
    /// The page tells what was known then, and not what is known now.
    then: bool,
    /// The facts in force: index and version.
    facts: Option<(u64, u32)>,
    /// Decisions on reports of it.
    decisions: Vec<decisions::Line>,
}

fn collect(app: &App, id: AdId, when: &known::When) -> Result<Option<Found>, Problem> {
    if !data::is_shown(app, id) {
        return Ok(None);
    }
    let size = {
        let db = app.publication.fresh_reading().map_err(Problem::internal)?;
        when.size(&db)?
    };
    let entry = match size {
        None => data::entry(app, id)?,
        Some(_) => None,
    };
    let db = app.publication.reading().map_err(Problem::internal)?;
    let whole = db.size().map_err(Problem::internal)?;
    let at = |size| db.time_of(size).map_err(Problem::internal);
    let decisions = decisions::of(&db, id, size).map_err(Problem::internal)?;
    match (size, entry) {
        (Some(size), _) => {
            let known = known::entry_at(app, &db, id, size)?;
            let at = at(size)?;
            Ok(known.map(|(known, entry)| Found {
                entry,
                size,
                at,
                then: size < whole,
                facts: Some((known.facts_index, known.facts_version)),
                decisions,
            }))
        }
        (None, Some(entry)) => {
            let facts = known::ad_at(&db, id, whole)?.map(|k| (k.facts_index, k.facts_version));
            Ok(Some(Found { entry, size: whole, at: at(whole)?, then: false, facts, decisions }))
        }
        (None, None) => Ok(None),
    }
}

/// `GET /record/ads/{id}/versions/{version}/frame`: the creative in a sandbox; its links lead nowhere.
pub(super) async fn frame(
    State(app): State<AppState>,
    Path((id, version)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let id: AdId = id.parse().map_err(|_| not_here(&id))?;
    let version: VersionId = version.parse().map_err(|_| act::missing(&version))?;
    let shown = app.platform.folds().ledger.totals(id).impressions_count > 0;
    if !shown {
        return Err(not_here(&id.to_string()));
    }
    let reader = Arc::clone(&app);
    let found = tokio::task::spawn_blocking(move || creative_of(&reader, id, version)).await;
    let creative = found.map_err(Problem::internal)??;
    let document = frames::document(&creative, "#", "record", 0);
    // In the record an ad loads nothing from elsewhere: a reader of the record is no visitor of the ad.
    let mut response = frames::framed(document, &creative, &[]);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}

/// What a version shows: from the record's own objects where a closed day has shown it, else as it is booked.
fn creative_of(app: &App, ad: AdId, version: VersionId) -> Result<regie_model::creative::Creative, Problem> {
    if let Some((found, _)) = super::version_page::find(app, ad, version)? {
        return found.creative.ok_or_else(|| Problem::not_found("creative of this version: it is withheld"));
    }
    let missing = || not_here(&ad.to_string());
    let catalogue = app.platform.catalogue();
    if let Some(code) = version.template_code() {
        let template = catalogue.ads.get(&ad).and_then(|state| state.approved.as_ref()?.template.clone());
        return template.and_then(|t| t.creative(code)).ok_or_else(missing);
    }
    let state = catalogue.versions.get(&version).filter(|v| v.kept.spec.ad == ad).ok_or_else(missing)?;
    let rejected = matches!(state.review, regie_model::catalogue::Review::Rejected { .. });
    let hash = state.approved.map(|(hash, _)| hash).or_else(|| rejected.then_some(state.kept.spec.creative));
    let hash = hash.ok_or_else(missing)?;
    drop(catalogue);
    data::document(app, &hash).ok_or_else(|| Problem::not_found("creative of this version"))
}

fn page(app: &AppState, found: &Found) -> Markup {
    let zone = act::zone(app);
    let entry = &found.entry;
    let path = format!("/record/ads/{}", entry.id);
    html! {
        p class="crumbs" { a href="/record" { (t!("words-record")) } span { (entry.id) } }
        @if found.then {
            div class="note warn" role="status" { p { (th!("record-this-is-the-record-as", size = found.size, at = found.at, link = html! { a href=(path) { (t!("words-see-it-as-it-is")) } })) } }
        }
        div class="head" {
            h1 { (th!("record-on-behalf-of", name = entry.sponsor.name)) }
            div class="actions" { (state(entry)) (ui::political(entry.political)) a class="btn" href={ (path) "/notice" } { (t!("record-notice")) } a class="btn" href={ (path) ".json" } { (t!("words-json")) } }
        }
        p class="intro" {
            (th!("record-paid-for-by-shown-times", strong = html! { strong { (entry.payer.name) } }, strong2 = html! { strong class="num" { (ui::count(entry.figures.impressions_count)) } }, strong3 = html! { strong class="num" { (amount(&entry.figures.spend_nanos, entry.figures.currency)) } }))
        }
        (as_it_ran(entry))
        div class="grid" { (who(entry)) (when(entry, &zone)) }
        (reach(entry))
        (money(entry))
        @if !entry.notice.is_empty() { (notice(app, entry)) }
        (history(entry, &zone))
        (decided(&found.decisions, &zone))
        (more(found, &path))
        (known::citation(app, &path, &t!("record-ad-on-behalf-of-2", id = entry.id, name = entry.sponsor.name), found.size, found.at))
    }
}

/// Other ways to see the same ad.
fn more(found: &Found, path: &str) -> Markup {
    html! {
        section class="card" {
            h2 { (t!("record-this-ad-over-time")) }
            @if let Some((index, version)) = found.facts { p class="muted" { (th!("record-its-facts-are-version-entry", version = version, index = index)) } }
            form class="filters" method="get" action=(path) {
                div class="field" { label for="on" { (t!("record-as-known-on")) } input id="on" type="date" name="on" required; }
                button { (t!("words-show")) }
            }
            p {
                a href={ (path) "/versions" } { (t!("record-every-version")) } " \u{b7} " a href={ "/record/changes?ad=" (found.entry.id) } { (t!("words-what-changed")) } " \u{b7} "
                a href={ (path) "/report" } { (t!("words-report-this-ad")) } " \u{b7} " a href={ (path) "/entry.jsonld" } { (t!("words-json-ld")) } " \u{b7} " a href={ (path) "/wtm.json" } { (t!("record-who-targets-me")) }
            }
        }
    }
}

fn amount(nanos: &str, currency: regie_model::Currency) -> String {
    ui::money(Nanos(nanos.parse().unwrap_or(0)), currency)
}

fn state(entry: &Entry) -> Markup {
    match entry.status {
        RunStatus::Running => ui::badge("good", t!("words-running")),
        RunStatus::Stopped => ui::badge("bad", entry.status.word()),
        RunStatus::Scheduled | RunStatus::Paused | RunStatus::Ended => ui::badge("", entry.status.word()),
    }
}

fn as_it_ran(entry: &Entry) -> Markup {
    let label =
        if entry.political { t!("record-political-advertisement") } else { t!("words-advertisement") };
    html! {
        section aria-label=(t!("record-the-ad-as-it-ran")) {
            @for version in entry.content.versions.iter().take(FRAMES_MAX) {
                @let (width, height) = (version.width.unwrap_or(320), version.height.unwrap_or(if version.kind == "text" { 160 } else { 380 }));
                div class="adbox" {
                    p class="adlabel" { (th!("record-on-behalf-of-paid-for", strong = html! { b { (label) } }, name = entry.sponsor.name, name2 = entry.payer.name)) }
                    @if version.kind.is_empty() { p class="muted" { (th!("record-the-creative-is-not-held", code = html! { code { (version.creative) } })) } }
                    @else {
                        iframe class="adframe" src={ "/record/ads/" (entry.id) "/versions/" (version.version) "/frame" } width=(width) height=(height)
                            sandbox=(if version.kind == "html" { "allow-scripts" } else { "" }) loading="lazy" title={ (th!("record-the-ad", version = version.version)) } {}
                    }
                }
            }
            @if let Some(template) = &entry.content.template {
                div class="note" {
                    p { (t!("proofs-template", count = template.combinations_count, never = template.never_count)) }
                    ul { @for slot in &template.slots { li { (slot.name) ": " (ui::count(slot.assets_count)) } } }
                }
            }
            @if entry.content.versions.len() > FRAMES_MAX { p class="muted" { (th!("record-and-more-versions-listed-in", versions = entry.content.versions.len() - FRAMES_MAX)) } }
            p { span class="muted" { (t!("record-a-click-leads-to")) " " } span class="mono wrap-any" { (entry.content.landing_url) } }
        }
    }
}

fn party(title: &str, party: &PublicParty) -> Markup {
    html! {
        dt { (title) } dd {
            a href={ "/record/sponsors/" (party.id) } { (party.name) }
            @if !party.controller.is_empty() { div class="small" { (th!("record-controlled-by", controller = party.controller)) } }
            @if !party.established_in.is_empty() { div class="small muted" { (th!("record-established-in", established_in = party.established_in)) } }
            @if !party.register_id.is_empty() { div class="small muted" { (party.register_id) } }
        }
    }
}

fn who(entry: &Entry) -> Markup {
    html! {
        section class="card" {
            h2 { (t!("words-who")) }
            dl class="facts" {
                (party(t!("words-sponsor"), &entry.sponsor))
                @if entry.payer.id == entry.sponsor.id { dt { (t!("words-payer")) } dd { (t!("record-the-sponsor-itself")) } } @else { (party(t!("words-payer"), &entry.payer)) }
            }
        }
    }
}

fn when(entry: &Entry, zone: &regie_model::Zone) -> Markup {
    let period = &entry.period;
    html! {
        section class="card" {
            h2 { (t!("words-when")) }
            dl class="facts" {
                dt { (t!("record-intended")) } dd { (th!("record-to", starts_at = ui::when(period.starts_at, zone))) " " @match period.ends_at { Some(end) => (ui::when(end, zone)), None => (t!("words-until-stopped")) } }
                dt { (t!("record-first-shown")) } dd { @match period.first_day { Some(day) => (ui::date(&day)), None => (t!("record-not-yet")) } }
                dt { (t!("record-last-shown")) } dd { @match period.last_day { Some(day) => (ui::date(&day)), None => (t!("record-not-yet")) } }
                dt { (t!("record-days-of")) } dd { (period.zone) }
            }
        }
    }
}

fn reach(entry: &Entry) -> Markup {
    html! {
        section class="card" {
            h2 { (t!("record-by-what-it-was-targeted")) }
            p { (say(&entry.targeting.words)) }
            @if !entry.targeting.clauses.is_empty() {
                ul { @for clause in &entry.targeting.clauses { li { @if clause.op == "not_in" { (ui::badge("warn", t!("record-excluded"))) " " } (crate::i18n::rooms::say_part(&clause.words)) } } }
            }
            @for cap in &entry.targeting.caps { p class="small muted" { (th!("record-cap", cap = say(cap))) } }
            (audience(entry))
            @if entry.targeting.learned { p class="small muted" { (t!("record-it-has-several-versions-how")) } }
        }
    }
}

fn money(entry: &Entry) -> Markup {
    let figures = &entry.figures;
    let points: Vec<ui::Point> = figures
        .days
        .iter()
        .map(|d| ui::Point {
            label: d.day.to_string().get(5..).unwrap_or("").to_owned(),
            value: d.impressions_count as f64,
            words: t!(
                "record-day-in-words",
                count = ui::count(d.impressions_count),
                spend = amount(&d.spend_nanos, figures.currency)
            ),
        })
        .collect();
    html! {
        section class="card" {
            h2 { (t!("record-what-it-cost-and-how")) }
            p { (say(&entry.price.words)) }
            @if points.len() > 1 { h3 { (t!("record-impressions-a-day")) } (ui::line_chart(t!("record-impressions-a-day-the-table"), &points, "")) }
            div class="scroll" { table {
                thead { tr { th { (t!("words-day")) } th class="right" { (t!("words-impressions")) } th class="right" { (th!("record-spend", figures = figures.currency)) } } }
                tbody { @for day in &figures.days { tr { th scope="row" { (ui::date(&day.day)) } td class="right" { (ui::count(day.impressions_count)) } td class="right" { (ui::decimal(&day.spend)) } } } }
                tfoot {
                    tr { th scope="row" { (t!("record-this-ad-in-all")) } td class="right" { (ui::count(figures.impressions_count)) } td class="right" { (ui::decimal(&figures.spend)) } }
                    tr { th scope="row" { (t!("record-its-whole-campaign")) } td class="right" { (ui::count(entry.campaign_figures.impressions_count)) } td class="right" { (ui::decimal(&entry.campaign_figures.spend)) } }
                }
                caption { (t!("record-exact-spend-is-what-was")) @if figures.credited_nanos != "0" { (th!("record-less", figures = amount(&figures.gross_nanos, figures.currency), figures2 = amount(&figures.credited_nanos, figures.currency))) } "." }
            } }
        }
    }
}

/// Delivered against eligible.
fn audience(entry: &Entry) -> Markup {
    let shown = entry.figures.impressions_count;
    let strong = |count: u64| html! { strong { (ui::count(count)) } };
    html! { @if let Some(matched) = entry.figures.matched_count.filter(|count| *count > 0) {
        h3 { (t!("proofs-delivered")) }
        @if shown <= matched {
            p { (th!("proofs-matched-share", shown = strong(shown), matched = strong(matched), share = html! { strong { (ui::percent(shown, matched)) } })) }
        } @else { p { (th!("proofs-matched", shown = strong(shown), matched = strong(matched))) } }
        p class="small muted" { (t!("proofs-matched-means")) }
    } }
}

fn decided(lines: &[decisions::Line], zone: &regie_model::Zone) -> Markup {
    html! { @if !lines.is_empty() {
        section class="card flush" {
            div class="cardhead" { h2 { (t!("proofs-reports-decided")) } }
            div class="scroll" { table {
                thead { tr { th { (t!("proofs-decided")) } th { (t!("proofs-reported")) } th { (t!("proofs-ground")) } th { (t!("proofs-found")) } th { (t!("proofs-reason")) } th { (t!("proofs-entry")) } } }
                tbody { @for line in lines { tr {
                    @match &line.decided {
                        Some(d) => {
                            td class="nowrap" { (ui::when(d.decided_at, zone)) } td class="nowrap" { (ui::when(d.filed_at, zone)) }
                            td { @for ground in &d.grounds { div { (say(ground_words(ground))) } } } td { (say(d.outcome.word())) }
                        },
                        None => { td colspan="4" class="muted" { (t!("proofs-withheld")) } },
                    }
                    td { (line.reason) } td { (line.index) }
                } } }
            } }
        }
    } }
}
/// A ground of a report, in words.
fn ground_words(ground: &str) -> &str {
    let known = regie_model::booking::REPORT_GROUNDS.iter().find(|(word, _)| *word == ground);
    known.map_or(ground, |(_, told)| *told)
}

fn notice(app: &AppState, entry: &Entry) -> Markup {
    let texts = super::notice::texts_in(app, crate::i18n::lang().code());
    let items = regie_record::texts::notice_in(&entry.notice, &texts);
    html! {
        section class="card" id="notice" {
            h2 { (t!("record-transparency-notice")) }
            p class="muted" { (t!("record-items-of-art-12-1")) }
            ol class="notice" {
                @for item in &items {
                    li {
                        h3 { (item.title) }
                        dl class="facts" { @for value in &item.values { dt { (value.label) } dd { @if value.value.starts_with("https://") { a href=(value.value) rel="noopener noreferrer nofollow" { (value.value) } } @else { (say(&value.value)) } } } }
                        p class="small muted" { (item.source) }
                    }
                }
            }
        }
    }
}

/// What a line of the history is about; a version by its id.
fn about(what: &str) -> String {
    if what.starts_with("ver_") { what.to_owned() } else { what.replace('_', " ") }
}

fn history(entry: &Entry, zone: &regie_model::Zone) -> Markup {
    html! {
        section class="card flush" {
            div class="cardhead" { h2 { (t!("record-approvals-and-suspensions")) } }
            @if entry.history.is_empty() { (ui::empty(t!("record-none"))) } @else {
                table {
                    thead { tr { th { (t!("words-when")) } th { (t!("words-what")) } th { (t!("record-of")) } th { (t!("words-reason")) } } }
                    tbody { @for line in &entry.history { tr { td class="nowrap" { (ui::when(line.at, zone)) } td { (say(&line.event.replace('_', " "))) } td { (say(&about(&line.about))) } td { (line.reason) } } } }
                }
            }
        }
    }
}
