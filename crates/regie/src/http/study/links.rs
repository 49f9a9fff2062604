//! One grouping: its entities and links, proposals to accept or reject, anything undone again, each with its author.

use super::{apart, form, frame, groupings, slug, today};
use crate::http::{
    AppState,
    auth::{Caller, csrf::CsrfForm},
    console::{layout, ui},
};
use crate::t;
use axum::extract::{Path, RawQuery, State};
use maud::{Markup, html};
use regie_study::{
    Day, Store,
    desk::Slug,
    group::{
        Grouping, Link, Match, Status, Unmapped,
        auto::{self, ProposeOptions},
    },
};
use serde::Deserialize;
use std::{collections::BTreeMap, sync::Arc};

/// Links on a page.
const LINKS: usize = 100;
/// Entities shown first.
const ENTITIES: usize = 60;

/// `GET /console/study/groupings/{name}`.
pub(super) async fn show(
    State(app): State<AppState>,
    caller: Caller,
    Path(name): Path<String>,
    RawQuery(raw): RawQuery,
) -> layout::Html {
    let name = slug(&name, "grouping of this name")?;
    let raw = raw.unwrap_or_default();
    let (study, wanted) = (Arc::clone(&app.study), name.clone());
    let (grouping, mark, others) = apart(move || {
        let (grouping, mark) = study.desk.grouping(&wanted)?;
        Ok((grouping, mark, study.desk.groupings()?))
    })
    .await?;
    let waiting = groupings::count(&grouping, Status::Proposed);
    let asked = form::one(&raw, "status");
    let status = match asked.as_str() {
        "" if waiting > 0 => t!("study-proposed-2"),
        "" => t!("study-accepted"),
        other => other,
    };
    let page: usize = form::one(&raw, "page").parse().unwrap_or(1).clamp(1, 100_000);
    let fits = |(_, l): &(usize, &Link)| l.status.code() == status;
    let links: Vec<(usize, &Link)> = grouping.links.iter().enumerate().filter(fits).collect();
    let shown: Vec<_> = links.iter().skip((page - 1) * LINKS).take(LINKS).collect();
    let here = format!("/console/study/groupings/{name}");
    let body = html! {
        @if !grouping.cite.is_empty() { p { (t!("study-to-be-cited-as")) " " (grouping.cite) } }
        p {
            a class="btn" href={ (here) "/file" } { (t!("study-download-csv")) } " "
            a class="btn" href={ "/console/study/ask?go=1&group=" (name) } { (t!("study-rank-with-it")) } " "
            a class="btn" href={ (here) "/quality" } { (t!("study-quality-of-automatic-links")) }
        }
        (entities(&grouping))
        nav aria-label=(t!("study-links-by-status")) { ul class="steps" {
            @for (code, words) in [(t!("study-proposed-2"), t!("study-proposed-2")), (t!("study-accepted"), t!("study-accepted")), (t!("study-rejected"), t!("study-rejected")), (t!("study-undone"), t!("study-undone"))] {
                @let count = grouping.links.iter().filter(|l| l.status.code() == code).count();
                li { a href={ (here) "?status=" (code) } aria-current=[(status == code).then_some("page")] { (words) " (" (count) ")" } }
            }
        } }
        @if shown.is_empty() { (ui::empty(t!("study-no-link-of-this-kind"))) }
        @for (index, link) in &shown { (one(&caller, &here, &mark, *index, link)) }
        @if links.len() > page * LINKS { p { a class="btn" href={ (here) "?status=" (status) "&page=" (page + 1) } { (t!("study-more-2")) } } }
        @if caller.may_operate() { (more(&caller, &here, &mark)) }
        (compare(&here, &name, &others))
    };
    Ok(frame(&app, &caller, &groupings::title(&grouping, &name), &body))
}

fn entities(g: &Grouping) -> Markup {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let accepted = g.links.iter().filter(|l| l.status == Status::Accepted);
    accepted.for_each(|l| *counts.entry(&l.entity).or_default() += 1);
    let mut list: Vec<(&str, usize)> = counts.into_iter().collect();
    list.sort_by_key(|e| (std::cmp::Reverse(e.1), e.0));
    let row = |(name, count): &(&str, usize)| {
        let rest = g.residual.iter().any(|r| r == name);
        html! { tr { th scope="row" { (name) @if rest { " " (ui::badge("", t!("study-rest-never-ranked"))) } } td class="right" { (count) } } }
    };
    html! {
        details open[list.len() <= 12] { summary { (list.len()) " " (t!("study-entities-advertisers-in-none-stand")) " " @if g.unmapped == Unmapped::Apart { (t!("study-beside-the-ranking")) } @else { (t!("study-each-by-itself")) } }
            div class="scroll" { table {
                thead { tr { th scope="col" { (t!("study-entity")) } th class="right" scope="col" { (t!("study-links")) } } }
                tbody { @for e in list.iter().take(ENTITIES) { (row(e)) } }
                @if list.len() > ENTITIES { caption { (t!("study-and")) " " (list.len() - ENTITIES) " " (t!("study-more")) } }
            } }
        }
    }
}

fn one(caller: &Caller, here: &str, mark: &str, index: usize, link: &Link) -> Markup {
    let actions: &[(&str, &str)] = match link.status {
        Status::Proposed => &[("accept", t!("study-accept")), ("reject", t!("study-reject"))],
        Status::Accepted => &[("undo", t!("study-undo"))],
        Status::Rejected | Status::Undone => &[("accept", t!("study-accept"))],
    };
    let dated = match (link.from, link.until) {
        (None, None) => String::new(),
        (from, until) => {
            let text = |d: Option<Day>| d.map(|d| d.to_string()).unwrap_or_default();
            format!(", from {} until {}", text(from), text(until))
        }
    };
    html! {
        section class="card" id={ "link-" (index + 1) } {
            p { strong { (link.entity) } " ← " (crate::i18n::answers::say(link.by.code())) " " @if !link.platform.is_empty() { (link.platform) " " } code class="wrap-any" { (link.value) } (dated)
                @if let Some(score) = link.score_permille { " " (ui::badge("", &t!("study-score", score = score))) } @if !link.kind.is_empty() { " " (ui::badge("", &crate::i18n::answers::say(&link.kind))) } }
            p class="muted" { (link.evidence) @if !link.evidence.is_empty() { ". " } (link.author) ", " (link.date) "." }
            @if caller.may_operate() { form method="post" action=(here) {
                (layout::csrf(caller)) input type="hidden" name="mark" value=(mark); input type="hidden" name="number" value=(index + 1);
                @for (value, words) in actions { button name="what" value=(value) class=[(*value == "accept").then_some("primary")] { (words) } " " }
            } }
        }
    }
}

fn more(caller: &Caller, here: &str, mark: &str) -> Markup {
    let field = |name: &str, label: &str, hint: &str| html! { div class="field" { label for=(name) { (label) } p class="hint" { (hint) } input id=(name) name=(name); } };
    html! {
        form method="post" action=(here) {
            (layout::csrf(caller)) input type="hidden" name="mark" value=(mark);
            fieldset { legend { (t!("study-look-for-more")) } p { (t!("study-advertisers-of-the-store-that-no")) }
                button name="what" value="propose" { (t!("study-propose")) } }
        }
        form method="post" action=(here) {
            (layout::csrf(caller)) input type="hidden" name="mark" value=(mark); input type="hidden" name="what" value="add";
            fieldset {
                legend { (t!("study-add-a-link")) }
                div class="row" {
                    (field("entity", t!("study-entity"), t!("study-as-it-shall-stand-in-the")))
                    div class="field" { label for="by" { (t!("study-recognised-by")) } p class="hint" { (t!("study-what-the-archive-writes")) } select id="by" name="by" { @for by in Match::ALL { option value=(by.code()) { (crate::i18n::answers::say(by.code())) } } } }
                    (field("value", t!("study-value"), t!("study-the-id-identifier-fec-c00618371-or")))
                    (field("platform", t!("study-platform"), t!("study-empty-every-one")))
                    (field("kind", t!("study-kind"), t!("study-party-candidate-government-commercial")))
                }
                div class="row" { (field("from", t!("study-from"), t!("study-first-day-where-dated"))) (field("until", t!("study-until"), t!("study-last-day-where-dated"))) (field("evidence", t!("study-evidence"), t!("study-why-a-document-a-page-a"))) }
                div class="buttons" { button class="primary" { (t!("study-add")) } }
            }
        }
    }
}

fn compare(here: &str, name: &Slug, others: &[Slug]) -> Markup {
    let others: Vec<&Slug> = others.iter().filter(|o| *o != name).collect();
    html! { @if !others.is_empty() {
        form method="get" action={ (here) "/diff" } class="filters" {
            div class="field" { label for="with" { (t!("study-compare-with")) } select id="with" name="with" { @for o in &others { option value=(o) { (o) } } } }
            button { (t!("study-compare")) }
        }
    } }
}

/// What to do with a grouping.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Act {
    mark: String,
    what: String,
    number: usize,
    entity: String,
    by: String,
    value: String,
    platform: String,
    kind: String,
    from: String,
    until: String,
    evidence: String,
}

/// `POST /console/study/groupings/{name}`.
pub(super) async fn act(
    State(app): State<AppState>,
    caller: Caller,
    Path(name): Path<String>,
    CsrfForm(act): CsrfForm<Act>,
) -> layout::Html {
    let name = slug(&name, "grouping of this name")?;
    let (study, today, author) = (Arc::clone(&app.study), today(&app), caller.name.clone());
    let (wanted, what) = (name.clone(), act.what.clone());
    let number = act.number;
    apart(move || {
        let _one = study.changing.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (mut grouping, _) = study.desk.grouping(&wanted)?;
        change(&mut grouping, &act, &author, today, || study.desk.store())?;
        study.desk.save(&wanted, &grouping, Some(&act.mark))
    })
    .await?;
    let to = match what.as_str() {
        "accept" | "reject" => format!("/console/study/groupings/{name}"),
        "undo" => format!("/console/study/groupings/{name}?status=undone#link-{number}"),
        "propose" => format!("/console/study/groupings/{name}?status=proposed"),
        _ => format!("/console/study/groupings/{name}?status=accepted"),
    };
    Ok(layout::go(to))
}

fn change(
    grouping: &mut Grouping,
    act: &Act,
    author: &str,
    today: Day,
    store: impl FnOnce() -> regie_study::Result<Store>,
) -> regie_study::Result<()> {
    let status = match act.what.as_str() {
        "accept" => Status::Accepted,
        "reject" => Status::Rejected,
        "undo" => Status::Undone,
        "propose" => {
            let options = ProposeOptions::new(today);
            let found = auto::propose(&store()?, grouping, &options)?;
            let is_new = |l: &Link, known: &[Link]| {
                !known.iter().any(|k| k.by == l.by && k.value == l.value && k.entity == l.entity)
            };
            let new: Vec<Link> = found.links.into_iter().filter(|l| is_new(l, &grouping.links)).collect();
            grouping.links.extend(new);
            return Ok(());
        }
        "add" => {
            grouping.links.push(link(act, author, today)?);
            return Ok(());
        }
        other => return Err(regie_study::Error::Question(format!("nothing is called {other:?} here"))),
    };
    grouping.decide(act.number, status, author, today)
}

fn link(act: &Act, author: &str, today: Day) -> regie_study::Result<Link> {
    let wrong = |text: String| regie_study::Error::Question(text);
    let text = |text: &str| text.trim().to_owned();
    let day = |text: &str| match text.trim() {
        "" => Ok(None),
        text => {
            Day::parse(text).map(Some).ok_or_else(|| wrong(format!("{text:?} is no day; write YYYY-MM-DD")))
        }
    };
    let by = Match::ALL.into_iter().find(|m| m.code() == act.by);
    let by = by.ok_or_else(|| wrong("choose by what it is recognised".into()))?;
    let (entity, value) = (text(&act.entity), text(&act.value));
    if entity.is_empty() || value.is_empty() {
        return Err(wrong("a link needs an entity and a value".into()));
    }
    Ok(Link {
        entity,
        by,
        platform: text(&act.platform),
        value,
        from: day(&act.from)?,
        until: day(&act.until)?,
        kind: text(&act.kind),
        status: Status::Accepted,
        score_permille: None,
        evidence: text(&act.evidence),
        author: author.to_owned(),
        date: today.to_string(),
    })
}
