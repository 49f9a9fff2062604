//! Groupings on the desk: made, taken in, handed out, compared, and measured.

use super::{apart, download, form, frame, said, slug, today};
use crate::http::{
    AppState,
    auth::{Caller, csrf::CsrfForm},
    console::{layout, ui},
    problem::Problem,
};
use crate::t;
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
        p class="lead" { (t!("study-who-belongs-to-whom-as-files")) }
        @if found.is_empty() { (ui::empty(t!("study-no-grouping-yet"))) } @else {
            section class="card flush" { div class="scroll" { table {
                thead { tr { th scope="col" { (t!("study-grouping")) } th class="right" scope="col" { (t!("study-entities")) } th class="right" scope="col" { (t!("study-links")) } th class="right" scope="col" { (t!("study-proposed")) } th scope="col" { (t!("study-file")) } } }
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
                    legend { (t!("study-a-new-one")) }
                    div class="field" { label for="name" { (t!("study-name")) } input id="name" name="name" required maxlength="80"; }
                    div class="field" { span class="label" { (t!("study-from-2")) }
                        label { input type="radio" name="from" value="auto" checked; " " (t!("study-the-store-public-identifiers-and-sure")) } br;
                        label { input type="radio" name="from" value="empty"; " " (t!("study-nothing")) } br;
                        label { input type="radio" name="from" value="text"; " " (t!("study-the-file-below")) }
                    }
                    div class="field" { label for="text" { (t!("study-a-grouping-file")) " " span class="opt" { (t!("study-as-text-it-begins-with-regie")) } } textarea id="text" name="text" class="code" rows="6" {} }
                    div class="buttons" { button class="primary" { (t!("study-make-it")) } }
                }
            }
        }
    };
    Ok(frame(&app, &caller, t!("study-groupings"), &body))
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
        html! { @if !rows.is_empty() { h2 { (words) " (" (rows.len()) ")" } ul { @for (what, entity) in rows.iter().take(200) { li { code class="wrap-any" { (what.trim()) } " " (t!("study-in")) " " (entity) } } } } }
    };
    let body = html! {
        p class="lead" { (found.same_count) " " (t!("study-links-are-the-same-in")) " " (first) " " (t!("study-and")) " " (second) "." }
        (list(t!("study-only-in-the-second"), &found.added)) (list(t!("study-only-in-the-first"), &found.removed))
        @if !found.moved.is_empty() { h2 { (t!("study-in-another-entity")) (found.moved.len()) ")" } ul { @for (what, a, b) in found.moved.iter().take(200) { li { code class="wrap-any" { (what.trim()) } ": " (a) (t!("study-now")) " " (b) } } } }
    };
    Ok(frame(&app, &caller, t!("study-two-groupings-compared"), &body))
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
        p class="lead" { (t!("study-the-program-s-own-links-measured")) }
        @match found {
            Ok(q) => section class="study" { (said(&report::quality(&q))) },
            Err(problem) => div class="note warn" { p { (crate::i18n::answers::say(&problem.detail)) } },
        }
        p { a class="btn" href={ "/console/study/groupings/" (name) } { (t!("study-back-to-the-grouping")) } }
    };
    Ok(frame(&app, &caller, t!("study-how-good-are-automatic-links"), &body))
}
