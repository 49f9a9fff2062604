//! Groupings on the desk: made, taken in, handed out, compared, and measured.

use super::{apart, download, form, frame, slug, today};
use crate::http::{
    AppState,
    auth::{Caller, csrf::CsrfForm},
    console::{layout, ui},
    problem::Problem,
};
use axum::{
    extract::{Path, RawQuery, State},
    response::Response,
};
use maud::html;
use regie_study::{
    desk::Slug,
    group::{self, Grouping, Status, auto, quality},
    report,
};
use serde::Deserialize;
use std::sync::Arc;

/// Least score of a proposal, in thousandths.
pub(super) const PROPOSAL_PERMILLE: u32 = 600;

/// `GET /console/study/groupings`.
pub(super) async fn list(State(app): State<AppState>, caller: Caller) -> layout::Html {
    let study = Arc::clone(&app.study);
    let found = apart(move || {
        let names = study.desk.groupings()?;
        Ok(names.into_iter().map(|n| (study.desk.grouping(&n).map(|g| g.0), n)).collect::<Vec<_>>())
    })
    .await?;
    let body = html! {
        p class="lead" { "Who belongs to whom, as files to share, cite and compare. Every link says by what, why, who says so and when; none is ever deleted." }
        @if found.is_empty() { (ui::empty("No grouping yet.")) } @else {
            section class="card flush" { div class="scroll" { table {
                thead { tr { th scope="col" { "Grouping" } th class="right" scope="col" { "Entities" } th class="right" scope="col" { "Links" } th class="right" scope="col" { "Proposed" } th scope="col" { "File" } } }
                tbody { @for (grouping, name) in &found { tr { @match grouping {
                    Ok(g) => {
                        th scope="row" { a href={ "/console/study/groupings/" (name) } { (title(g, name)) } span class="small muted" { (name) } }
                        td class="right" { (entities(g)) } td class="right" { (ui::count(count(g, Status::Accepted) as u64)) }
                        td class="right" { (ui::count(count(g, Status::Proposed) as u64)) }
                        td { a href={ "/console/study/groupings/" (name) "/file" } { "CSV" } }
                    },
                    Err(error) => { th scope="row" { (name) } td colspan="4" { (error) } },
                } } } }
            } } }
        }
        @if caller.may_operate() {
            form method="post" action="/console/study/groupings" {
                (layout::csrf(&caller))
                fieldset {
                    legend { "A new one" }
                    div class="field" { label for="name" { "Name" } input id="name" name="name" required maxlength="80"; }
                    div class="field" { span class="label" { "From" }
                        label { input type="radio" name="from" value="auto" checked; " the store: public identifiers and sure names are linked, likeness is proposed" } br;
                        label { input type="radio" name="from" value="empty"; " nothing" } br;
                        label { input type="radio" name="from" value="text"; " the file below" }
                    }
                    div class="field" { label for="text" { "A grouping file " span class="opt" { "as text; it begins with # regie-grouping 1" } } textarea id="text" name="text" class="code" rows="6" {} }
                    div class="buttons" { button class="primary" { "Make it" } }
                }
            }
        }
    };
    Ok(frame(&app, &caller, "Groupings", &body))
}

pub(super) fn title(g: &Grouping, name: &Slug) -> String {
    if g.title.is_empty() { name.to_string() } else { g.title.clone() }
}
pub(super) fn count(g: &Grouping, status: Status) -> usize {
    g.links.iter().filter(|l| l.status == status).count()
}
fn entities(g: &Grouping) -> usize {
    let accepted = g.links.iter().filter(|l| l.status == Status::Accepted);
    accepted.map(|l| l.entity.as_str()).collect::<std::collections::BTreeSet<_>>().len()
}

/// A new grouping.
#[derive(Debug, Deserialize)]
pub(super) struct New {
    name: String,
    from: String,
    #[serde(default)]
    text: String,
}

/// `POST /console/study/groupings`.
pub(super) async fn create(State(app): State<AppState>, CsrfForm(new): CsrfForm<New>) -> layout::Html {
    let (study, today) = (Arc::clone(&app.study), today(&app));
    let name = Slug::of(&new.name);
    let made = name.clone();
    apart(move || {
        let mut grouping = match new.from.as_str() {
            "auto" => auto::group(&study.desk.store()?, today, PROPOSAL_PERMILLE)?,
            "text" => Grouping::parse(&new.text.replace("\r\n", "\n"), "the text")?,
            _ => Grouping::default(),
        };
        if new.from != "text" {
            new.name.trim().clone_into(&mut grouping.title);
        }
        let _one = study.changing.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        study.desk.save(&made, &grouping, None)
    })
    .await?;
    Ok(layout::go(format!("/console/study/groupings/{name}")))
}

/// `GET /console/study/groupings/{name}/file`.
pub(super) async fn file(State(app): State<AppState>, Path(name): Path<String>) -> Result<Response, Problem> {
    let name = slug(&name, "grouping of this name")?;
    let (study, wanted) = (Arc::clone(&app.study), name.clone());
    let text = apart(move || Ok(study.desk.grouping(&wanted)?.0.write())).await?;
    Ok(download(&format!("{name}.csv"), "text/csv; charset=utf-8", text.into_bytes()))
}

/// `GET /console/study/groupings/{name}/diff?with=`.
pub(super) async fn diff(
    State(app): State<AppState>,
    caller: Caller,
    Path(name): Path<String>,
    RawQuery(raw): RawQuery,
) -> layout::Html {
    let first = slug(&name, "grouping of this name")?;
    let second = slug(&form::one(&raw.unwrap_or_default(), "with"), "grouping to compare with")?;
    let (study, names) = (Arc::clone(&app.study), [first.clone(), second.clone()]);
    let found = apart(move || {
        Ok(group::diff(&study.desk.grouping(&names[0])?.0, &study.desk.grouping(&names[1])?.0))
    })
    .await?;
    let list = |words: &str, rows: &[(String, String)]| {
        html! { @if !rows.is_empty() { h2 { (words) " (" (rows.len()) ")" } ul { @for (what, entity) in rows.iter().take(200) { li { code class="wrap-any" { (what.trim()) } " in " (entity) } } } } }
    };
    let body = html! {
        p class="lead" { (found.same_count) " links are the same in " (first) " and " (second) "." }
        (list("Only in the second", &found.added)) (list("Only in the first", &found.removed))
        @if !found.moved.is_empty() { h2 { "In another entity (" (found.moved.len()) ")" } ul { @for (what, a, b) in found.moved.iter().take(200) { li { code class="wrap-any" { (what.trim()) } ": " (a) ", now " (b) } } } }
    };
    Ok(frame(&app, &caller, "Two groupings compared", &body))
}

/// `GET /console/study/groupings/{name}/quality`: how good automatic links are, by what people decided here.
pub(super) async fn quality(
    State(app): State<AppState>,
    caller: Caller,
    Path(name): Path<String>,
) -> layout::Html {
    let name = slug(&name, "grouping of this name")?;
    let (study, wanted) = (Arc::clone(&app.study), name.clone());
    let found = apart(move || {
        let grouping = study.desk.grouping(&wanted)?.0;
        quality::by_grouping(&study.desk.store()?, &grouping)
    })
    .await;
    let body = html! {
        p class="lead" { "The program's own links, measured against the entities of this grouping: chosen on one half and reported on the other, both ways round." }
        @match found {
            Ok(q) => section class="study" { (report::quality(&q)) },
            Err(problem) => div class="note warn" { p { (problem.detail) } },
        }
        p { a class="btn" href={ "/console/study/groupings/" (name) } { "Back to the grouping" } }
    };
    Ok(frame(&app, &caller, "How good are automatic links?", &body))
}
