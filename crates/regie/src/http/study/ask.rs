//! Asking: the form, the answer below it, the same answer as files, and the way to publish it.

use super::{apart, form, form::Pairs, frame, refused_words, said, slug};
use crate::http::{AppState, auth::Caller, console::layout, problem::Problem};
use crate::t;
use axum::{
    extract::{Path, RawQuery, State},
    response::Response,
};
use maud::{Markup, html};
use regie_study::{
    ask, desk::Desk, export, group::Grouping, rank, rank::Ranking, report, store::Snapshot, table,
};
use std::sync::Arc;

/// Answers a question's pairs from a desk.
///
/// # Errors
/// What cannot be answered, and why.
pub(super) fn answer(
    desk: &Desk,
    pairs: &Pairs,
    split: bool,
) -> Result<(Ranking, Option<Grouping>), regie_study::Error> {
    let mut question = ask::question(pairs)?;
    question.with_split |= split;
    let name = form::get(pairs, "group");
    let grouping = match regie_study::desk::Slug::parse(name) {
        Some(name) => Some(desk.grouping(&name)?.0),
        None => None,
    };
    Ok((rank::rank(&desk.store()?, &question, grouping.as_ref())?, grouping))
}

struct Found {
    snapshots: Vec<Snapshot>,
    groupings: Vec<regie_study::desk::Slug>,
    answer: Option<Result<Ranking, regie_study::Error>>,
}

/// `GET /console/study/ask`.
pub(super) async fn show(
    State(app): State<AppState>,
    caller: Caller,
    RawQuery(raw): RawQuery,
) -> layout::Html {
    let raw = raw.unwrap_or_default();
    let pairs = form::pairs(&raw);
    form::group(&pairs)?;
    let goes = !form::one(&raw, "go").is_empty();
    let (study, asked) = (Arc::clone(&app.study), pairs.clone());
    let found = apart(move || {
        let snapshots = study.desk.store()?.snapshots()?;
        let groupings = study.desk.groupings()?;
        let answer = goes.then(|| answer(&study.desk, &asked, true).map(|a| a.0));
        Ok(Found { snapshots, groupings, answer })
    })
    .await?;
    let body = html! {
        @if found.snapshots.is_empty() { div class="note warn" { p { (t!("study-the-store-is-empty")) " " a href="/console/study/import" { (t!("study-import-a-file")) } " " (t!("study-first")) } } }
        form method="get" action="/console/study/ask" {
            input type="hidden" name="go" value="1";
            (form::scope(&pairs, &found.snapshots))
            (form::manner(&pairs, &found.groupings))
            div class="buttons" { button class="primary" { (t!("study-rank")) } a class="btn" href="/console/study/ask" { (t!("study-clear")) } }
        }
        @match found.answer {
            Some(Ok(ranking)) => (shown(&caller, &pairs, &ranking)),
            Some(Err(error)) => div class="note bad" role="alert" { p { (refused_words(error)) } },
            None => {},
        }
    };
    Ok(frame(&app, &caller, t!("study-ask"), &body))
}

fn shown(caller: &Caller, pairs: &Pairs, ranking: &Ranking) -> Markup {
    let query = form::query(&ask::normal(pairs));
    html! {
        section aria-label=(t!("study-answer")) class="study" { (said(&report::ranking("Answer", ranking))) }
        p {
            (t!("study-the-same-as")) " " a href={ "/console/study/ask/ranking.csv?" (query) } { "CSV" } ", "
            a href={ "/console/study/ask/ranking.json?" (query) } { "JSON" } " " (t!("study-or")) " "
            a href={ "/console/study/ask/ranking.parquet?" (query) } { "Parquet" } "."
        }
        @if caller.may_operate() && !ranking.ranked.is_empty() {
            form method="post" action="/console/study/reports" {
                (layout::csrf(caller))
                input type="hidden" name="query" value=(query);
                fieldset {
                    legend { (t!("study-publish-this-answer")) }
                    p { (t!("study-it-stays-at-its-own-address")) }
                    div class="field" { label for="title" { (t!("study-title")) } input id="title" name="title" required maxlength="200"; }
                    div class="field" { label for="lead" { (t!("study-what-to-say-first")) " " span class="opt" { (t!("study-optional")) } } textarea id="lead" name="lead" maxlength="4000" {} }
                    div class="buttons" { button class="primary" { (t!("study-publish")) } }
                }
            }
        }
    }
}

/// `GET /console/study/ask/{file}`: the answer as a file.
pub(super) async fn file(
    State(app): State<AppState>,
    Path(name): Path<String>,
    RawQuery(raw): RawQuery,
) -> Result<Response, Problem> {
    let pairs = form::pairs(&raw.unwrap_or_default());
    if let Some((_, group)) = pairs.iter().find(|(n, _)| n == "group") {
        slug(group, "grouping of this name")?;
    }
    let media_type = regie_study::desk::FILES.iter().find(|f| f.0 == name && f.0 != "grouping.csv");
    let media_type = media_type.ok_or_else(|| Problem::not_found("file of this name"))?.1;
    let (study, wanted) = (Arc::clone(&app.study), name.clone());
    let bytes = apart(move || {
        let (ranking, _) = answer(&study.desk, &pairs, true)?;
        Ok(match wanted.as_str() {
            "ranking.csv" => table::ranking_csv(&ranking).into_bytes(),
            "ranking.json" => serde_json::to_vec_pretty(&ranking)?,
            _ => {
                let mut bytes = Vec::new();
                export::ranking_parquet(&ranking, &mut bytes)?;
                bytes
            }
        })
    })
    .await?;
    Ok(super::download(&name, media_type, bytes))
}
