//! Asking: the form, the answer below it, the same answer as files, and the way to publish it.

use super::{apart, form, form::Pairs, frame, refused, slug};
use crate::http::{AppState, auth::Caller, console::layout, problem::Problem};
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
        @if found.snapshots.is_empty() { div class="note warn" { p { "The store is empty. " a href="/console/study/import" { "Import a file" } " first." } } }
        form method="get" action="/console/study/ask" {
            input type="hidden" name="go" value="1";
            (form::scope(&pairs, &found.snapshots))
            (form::manner(&pairs, &found.groupings))
            div class="buttons" { button class="primary" { "Rank" } a class="btn" href="/console/study/ask" { "Clear" } }
        }
        @match found.answer {
            Some(Ok(ranking)) => (shown(&caller, &pairs, &ranking)),
            Some(Err(error)) => div class="note bad" role="alert" { p { (refused(error).detail) } },
            None => {},
        }
    };
    Ok(frame(&app, &caller, "Ask", &body))
}

fn shown(caller: &Caller, pairs: &Pairs, ranking: &Ranking) -> Markup {
    let query = form::query(&ask::normal(pairs));
    html! {
        section aria-label="Answer" class="study" {
            (report::ranking("Answer", ranking))
        }
        p {
            "The same as " a href={ "/console/study/ask/ranking.csv?" (query) } { "CSV" } ", "
            a href={ "/console/study/ask/ranking.json?" (query) } { "JSON" } " or "
            a href={ "/console/study/ask/ranking.parquet?" (query) } { "Parquet" } "."
        }
        @if caller.may_operate() && !ranking.ranked.is_empty() {
            form method="post" action="/console/study/reports" {
                (layout::csrf(caller))
                input type="hidden" name="query" value=(query);
                fieldset {
                    legend { "Publish this answer" }
                    p { "It stays at its own address as it is now, with method, sources and files, for anybody. It can be withdrawn, with a reason, but not changed." }
                    div class="field" { label for="title" { "Title" } input id="title" name="title" required maxlength="200"; }
                    div class="field" { label for="lead" { "What to say first " span class="opt" { "optional" } } textarea id="lead" name="lead" maxlength="4000" {} }
                    div class="buttons" { button class="primary" { "Publish" } }
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
