//! A sponsor or payer in the record: what it spent, on which ads.

use super::{data, open_json, wants_json};
use crate::http::{
    AppState,
    console::{layout, ui},
    problem::Problem,
};
use crate::publication::groupings::{self, Grouped};
use crate::{t, th};
use axum::{
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use maud::{Markup, html};
use regie_model::{AdId, Currency, Day, Nanos, PartyId};
use regie_record::PublicParty;
use serde::Deserialize;
use serde_json::json;
use std::{collections::BTreeMap, sync::Arc};

/// Ads on the page.
const ADS: usize = 50;
/// Ads of a sponsor whose figures an earlier view of it sums at most.
const ADS_THEN_MAX: usize = 10_000;
/// Ads of a sponsor in which the first declaration of its controller is looked for.
const GROUPING_ADS_MAX: usize = 200;

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct After {
    cursor: Option<AdId>,
    size: Option<u64>,
}

/// Another sponsor that this one is grouped with: what it spent, and what the grouping rests on.
struct Committee {
    id: PartyId,
    name: String,
    spent: Vec<(Currency, Nanos)>,
    /// Who was declared to be behind it.
    controller: String,
    /// Who declared it.
    author: String,
    /// Where and when it was first published: place in the log, ad, time.
    declared: Option<(u64, AdId, regie_model::UtcMs)>,
}

struct Found {
    party: PublicParty,
    /// Others that the same controller stands behind, as they declared.
    committees: Vec<Committee>,
    /// What the publisher says it belongs to, with the other sponsors.
    grouped: Vec<(Grouped, Vec<(PartyId, String)>)>,
    size: u64,
    at: regie_model::UtcMs,
    lines: Vec<data::Line>,
    next: Option<AdId>,
    totals: Vec<(Currency, Nanos)>,
    days: BTreeMap<(Currency, Day), Nanos>,
    /// Of an earlier size, of which it had more ads than are summed.
    cut: bool,
}

fn collect(app: &AppState, id: PartyId, after: &After) -> Result<Option<Found>, Problem> {
    if let Some(size) = after.size {
        return known_then(app, id, size);
    }
    let before = after.cursor;
    let wanted = data::Wanted { sponsor: Some(id), before, ..data::Wanted::default() };
    let (ids, next) = data::search(app, &wanted, ADS)?;
    let lines = data::lines(app, &ids);
    if lines.is_empty() && before.is_none() {
        return Ok(None);
    }
    let ever = data::spenders_ever(app);
    let of_its_own = ever.iter().filter(|(party, ..)| *party == id);
    let totals = of_its_own.map(|(_, currency, net)| (*currency, *net)).collect();
    let days = data::days_of_sponsor(app, id);
    let view = app.platform.current_view();
    let party = data::public_party(&view, id);
    let committees = committees(app, &view, &party, ever)?;
    let db = app.publication.reading().map_err(Problem::internal)?;
    let size = db.size().map_err(Problem::internal)?;
    let at = db.time_of(size).map_err(Problem::internal)?;
    let grouped = groupings::of(&db, id, None).map_err(Problem::internal)?;
    drop(db);
    let grouped = named(&view, id, grouped);
    Ok(Some(Found { party, committees, grouped, size, at, lines, next, totals, days, cut: false }))
}
/// The other sponsors of each grouping, by the names that they have now.
fn named(
    view: &crate::platform::view::View,
    id: PartyId,
    found: Vec<Grouped>,
) -> Vec<(Grouped, Vec<(PartyId, String)>)> {
    let name = |other: &PartyId| (*other, data::public_party(view, *other).name);
    let others = |g: &Grouped| g.sponsors.iter().filter(|other| **other != id).map(name).collect();
    found
        .into_iter()
        .map(|grouped| {
            let others = others(&grouped);
            (grouped, others)
        })
        .collect()
}

/// A sponsor as the record knew it at a size of the log: its ads then, their published figures, its name as declared then.
fn known_then(app: &AppState, id: PartyId, size: u64) -> Result<Option<Found>, Problem> {
    let wanted = data::Wanted { sponsor: Some(id), size: Some(size), ..data::Wanted::default() };
    let (ids, next) = data::search(app, &wanted, ADS)?;
    let (all, more) = data::search(app, &wanted, ADS_THEN_MAX)?;
    let mut party = None;
    let mut totals: BTreeMap<Currency, Nanos> = BTreeMap::new();
    let mut days: BTreeMap<(Currency, Day), Nanos> = BTreeMap::new();
    let (at, grouped) = {
        let db = app.publication.reading().map_err(Problem::internal)?;
        for ad in &all {
            let Some(known) = super::known::ad_at(&db, *ad, size)? else { continue };
            for (day, figures) in &known.days {
                *days.entry((known.facts.currency, *day)).or_default() += figures.amounts.net();
                *totals.entry(known.facts.currency).or_default() += figures.amounts.net();
            }
            party = Some(known.facts.sponsor);
        }
        let at = db.time_of(size).map_err(Problem::internal)?;
        (at, groupings::of(&db, id, Some(size)).map_err(Problem::internal)?)
    };
    let grouped = named(&app.platform.current_view(), id, grouped);
    let lines = data::lines_at(app, &ids, size)?;
    let totals = totals.into_iter().collect();
    Ok(party.map(|party| Found {
        party,
        committees: Vec::new(),
        grouped,
        size,
        at,
        lines,
        next,
        totals,
        days,
        cut: more.is_some(),
    }))
}

/// The sponsors that declared the same controller, or that this one controls, with what they spent.
fn committees(
    app: &AppState,
    view: &crate::platform::view::View,
    party: &PublicParty,
    spent: Vec<(PartyId, Currency, Nanos)>,
) -> Result<Vec<Committee>, Problem> {
    if party.withheld {
        return Ok(Vec::new());
    }
    let same =
        |text: &str, other: &str| !text.trim().is_empty() && text.trim().eq_ignore_ascii_case(other.trim());
    let mut found: BTreeMap<PartyId, (PublicParty, Vec<(Currency, Nanos)>)> = BTreeMap::new();
    for (id, currency, net) in spent.into_iter().filter(|(id, ..)| *id != party.id) {
        let other = data::public_party(view, id);
        let related = same(&other.controller, &party.controller)
            || same(&other.controller, &party.name)
            || same(&party.controller, &other.name);
        if related && !other.withheld {
            found.entry(id).or_insert_with(|| (other, Vec::new())).1.push((currency, net));
        }
    }
    found.into_iter().map(|(id, (other, spent))| committee(app, party, id, &other, spent)).collect()
}

/// On what a grouping rests: which of the two declared the other, or the same third, and when that was first published.
fn committee(
    app: &AppState,
    party: &PublicParty,
    id: PartyId,
    other: &PublicParty,
    spent: Vec<(Currency, Nanos)>,
) -> Result<Committee, Problem> {
    let by_other = !other.controller.trim().is_empty();
    let (by, author) = if by_other { (id, &other.name) } else { (party.id, &party.name) };
    let controller = if by_other { &other.controller } else { &party.controller };
    let wanted = data::Wanted { sponsor: Some(by), ..data::Wanted::default() };
    let (ads, _) = data::search(app, &wanted, 10_000)?;
    let db = app.publication.reading().map_err(Problem::internal)?;
    let mut declared: Option<(u64, AdId, regie_model::UtcMs)> = None;
    // Its oldest ads first: the declaration is as old as the first version that has it.
    for ad in ads.iter().rev().take(GROUPING_ADS_MAX) {
        let versions = db.versions(*ad, None).map_err(Problem::internal)?;
        let has = |v: &&regie_record::known::Version| {
            v.facts.as_ref().is_some_and(|f| f.sponsor.controller == *controller)
        };
        if let Some(first) = versions.iter().find(has)
            && declared.is_none_or(|(index, ..)| first.index < index)
        {
            declared = Some((first.index, *ad, first.leaf.at));
        }
    }
    Ok(Committee {
        id,
        name: other.name.clone(),
        spent,
        controller: controller.clone(),
        author: author.clone(),
        declared,
    })
}

/// `GET /record/sponsors/{id}`, also with `.json`.
pub(super) async fn show(
    State(app): State<AppState>,
    Path(text): Path<String>,
    Query(after): Query<After>,
    headers: HeaderMap,
) -> Result<Response, Response> {
    let (json, bare) = wants_json(&text, &headers);
    let refuse = |problem: Problem| {
        if json { problem.into_response() } else { layout::PageError(problem).into_response() }
    };
    let none = || refuse(Problem::not_found(&t!("record-sponsor-in-the-record", bare = bare)));
    let id: PartyId = bare.parse().map_err(|_| none())?;
    let reader = Arc::clone(&app);
    let found = tokio::task::spawn_blocking(move || collect(&reader, id, &after)).await;
    let found = found.map_err(|e| refuse(Problem::internal(e)))?.map_err(refuse)?.ok_or_else(none)?;
    if json {
        return Ok(open_json(&as_json(&found)));
    }
    let body = page(&app, &found);
    Ok(layout::page(StatusCode::OK, &layout::public(&app, &found.party.name, &body)))
}

fn as_json(found: &Found) -> serde_json::Value {
    let ads: Vec<_> = found
        .lines
        .iter()
        .map(|l| {
            json!({ "ad": l.id, "political": l.political, "impressions_count": l.impressions_count, "currency": l.currency,
                "spend_nanos": l.net.0.to_string(), "spend": l.net.display(l.currency, 9) })
        })
        .collect();
    let totals: Vec<_> = found
        .totals
        .iter()
        .map(|(currency, net)| json!({ "currency": currency, "spend_nanos": net.0.to_string(), "spend": net.display(*currency, 9) }))
        .collect();
    let related: Vec<_> = found
        .committees
        .iter()
        .map(|one| {
            let declared = one.declared.map(|(index, ad, at)| json!({ "entry_index": index, "ad": ad, "at": at }));
            let spent: Vec<_> = one.spent.iter().map(|(c, n)| json!({ "currency": c, "spend_nanos": n.0.to_string() })).collect();
            json!({ "id": one.id, "name": one.name, "evidence": format!("{} declared that {} controls it", one.author, one.controller), "author": one.author, "declared": declared, "spend": spent,
                "dispute": format!("/record/sponsors/{}/dispute", found.party.id) })
        })
        .collect();
    let grouped: Vec<_> = found
        .grouped
        .iter()
        .map(|(one, others)| {
            let others: Vec<_> = others.iter().map(|(id, name)| json!({ "id": id, "name": name })).collect();
            json!({ "id": one.id, "version": one.version, "entry_index": one.index, "at": one.at, "withheld": one.said.is_none(),
                "said": one.said, "others": others, "dispute": format!("/record/sponsors/{}/dispute", found.party.id) })
        })
        .collect();
    let mut told = json!({
        "schema_version": regie_record::SCHEMA_VERSION, "id": found.party.id, "name": found.party.name, "withheld": found.party.withheld,
        "groupings": grouped, "related": related, "established_in": found.party.established_in, "controller": found.party.controller, "totals": totals, "ads": ads,
        "cursor": found.next.map(|id| id.to_string()),
    });
    if found.cut {
        // So many of its newest ads are summed, and there were more.
        told["limit"] = ADS_THEN_MAX.into();
    }
    told
}

fn page(app: &AppState, found: &Found) -> Markup {
    let party = &found.party;
    html! {
        p class="crumbs" { a href="/record" { (t!("words-record")) } span { (party.id) } }
        h1 { (party.name) }
        @if party.withheld { div class="note warn" { p { (t!("record-the-identity-of-this-sponsor")) } } }
        p class="muted" {
            @if !party.established_in.is_empty() { (th!("record-established-in-2", established_in = party.established_in)) " " }
            @if !party.controller.is_empty() { (th!("record-controlled-by-2", controller = party.controller)) " " }
            @if !party.register_id.is_empty() { (party.register_id) ". " }
        }
        @if found.cut { p { (t!("record-only-the-newest-of-a-sponsor", count = ADS_THEN_MAX)) } }
        dl class="figures" {
            @for (currency, net) in &found.totals { (ui::figure(t!("record-spent-in-all"), &ui::money(*net, *currency), "")) }
            (ui::figure(t!("record-ads-in-the-record"), &if found.next.is_some() { format!("{}+", found.lines.len()) } else { found.lines.len().to_string() }, ""))
        }
        @for (currency, _) in &found.totals { (chart(found, *currency)) }
        (grouping_list(found))
        (committee_list(found))
        h2 { (t!("record-its-ads")) }
        (super::home::hits(&found.lines))
        @if let Some(next) = found.next { p { a class="btn" href={ "/record/sponsors/" (party.id) "?cursor=" (next) } { (t!("words-older-ads")) } } }
        p { a href={ "/record/sponsors/" (party.id) ".json" } { (t!("words-the-same-as-json")) } " \u{b7} " a href={ "/record/sponsors/" (party.id) "/dossier.json" } { (t!("proofs-dossier")) } " \u{b7} " a href={ "/record/feed.atom?sponsor=" (party.id) } { (t!("record-follow-atom")) } }
        (super::known::citation(app, &format!("/record/sponsors/{}", party.id), &format!("sponsor {}", party.name), found.size, found.at))
    }
}

/// What the publisher says, each with evidence, author and date.
fn grouping_list(found: &Found) -> Markup {
    html! { @if !found.grouped.is_empty() {
        section class="card" {
            h2 { (t!("groupings-public")) }
            p class="muted" { (th!("groupings-public-means", link = html! { a href={ "/record/sponsors/" (found.party.id) "/dispute" } { (t!("record-dispute-this-grouping")) } })) }
            div class="scroll" { table {
                thead { tr { th { (t!("groupings-whose")) } th { (t!("groupings-others")) } th { (t!("groupings-evidence")) } th { (t!("groupings-author")) } th { (t!("groupings-since")) } } }
                tbody { @for (one, others) in &found.grouped { tr {
                    @match &one.said {
                        Some(said) => {
                            th scope="row" { (said.name) } td { (others_of(others)) }
                            td { (said.evidence) @if !said.evidence_url.is_empty() { " " a href=(said.evidence_url) rel="nofollow noopener" { (t!("groupings-where")) } } }
                            td { (said.author) }
                        },
                        None => { th scope="row" { (t!("proofs-withheld")) } td { (others_of(others)) } td {} td {} },
                    }
                    td { a href={ "/record/log/proof/" (one.index) } { (t!("proofs-declared-at", at = one.at, index = one.index)) } }
                } } }
            } }
        }
    } }
}
fn others_of(others: &[(PartyId, String)]) -> Markup {
    html! { @for (id, name) in others { div { a href={ "/record/sponsors/" (id) } { (name) } } } }
}

fn committee_list(found: &Found) -> Markup {
    html! { @if !found.committees.is_empty() {
        section class="card" {
            h2 { (t!("record-related-sponsors")) }
            p class="muted" { (th!("proofs-grouping", link = html! { a href={ "/record/sponsors/" (found.party.id) "/dispute" } { (t!("record-dispute-this-grouping")) } })) }
            div class="scroll" { table {
                thead { tr { th { (t!("words-sponsor")) } th { (t!("proofs-evidence")) } th { (t!("proofs-author")) } th { (t!("proofs-since")) } th class="right" { (t!("words-spent")) } } }
                tbody { @for one in &found.committees { tr {
                    th scope="row" { a href={ "/record/sponsors/" (one.id) } { (one.name) } }
                    td { (t!("proofs-declared", author = one.author, controller = one.controller)) } td { (one.author) }
                    td { @match one.declared { Some((index, ad, at)) => a href={ "/record/ads/" (ad) "?size=" (index + 1) } { (t!("proofs-declared-at", at = at, index = index)) }, None => (t!("proofs-not-published")) } }
                    td class="right" { @for (currency, net) in &one.spent { div { (ui::money(*net, *currency)) } } }
                } } }
            } }
        }
    } }
}

fn chart(found: &Found, currency: Currency) -> Markup {
    let days: Vec<(Day, Nanos)> =
        found.days.iter().filter(|((c, _), _)| *c == currency).map(|((_, d), n)| (*d, *n)).collect();
    if days.len() < 2 {
        return ui::nothing();
    }
    let points: Vec<ui::Point> = days
        .iter()
        .map(|(day, net)| ui::Point {
            label: day.to_string().get(5..).unwrap_or("").to_owned(),
            value: net.0 as f64 / 1e9,
            words: ui::money(*net, currency),
        })
        .collect();
    html! {
        section class="card" {
            h2 { (th!("record-spend-a-day", value = currency)) }
            (ui::line_chart(t!("record-spend-a-day-the-table"), &points, ""))
            details { summary { (t!("record-as-a-table")) } table { tbody { @for (day, net) in &days { tr { th scope="row" { (ui::date(day)) } td class="right" { (ui::money(*net, currency)) } } } } } }
        }
    }
}
