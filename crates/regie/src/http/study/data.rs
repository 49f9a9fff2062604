//! The study room's data under `/v1`: what its pages show, from the same questions and answers.
//!
//! For the publisher's own people and their programs; what is published, for anybody. Refuses to change anything.

use super::{apart, ask, form, library, slug};
use crate::http::{AppState, auth::Caller, console::whole_house, problem::Problem};
use axum::{
    Json,
    extract::{Path, RawQuery, State},
    response::{IntoResponse, Response},
};
use regie_study::{
    Day, ask as questions, check as checks,
    diff::{self, DiffQuestion},
    group::{self, Status, quality as measured},
};
use serde_json::{Value, json};
use std::sync::Arc;

fn answer(value: Value) -> Response {
    Json(value).into_response()
}

/// `GET /v1/study/snapshots`: files in the store, the latest first.
pub(super) async fn snapshots(State(app): State<AppState>, caller: Caller) -> Result<Response, Problem> {
    whole_house(&caller)?;
    let study = Arc::clone(&app.study);
    let mut all = apart(move || study.desk.store()?.snapshots()).await?;
    all.reverse();
    Ok(answer(json!({ "snapshots": all })))
}

/// `GET /v1/study/snapshots/{id}`: one file, with the first rows of it that were kept aside.
pub(super) async fn snapshot(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<i64>,
) -> Result<Response, Problem> {
    whole_house(&caller)?;
    let (snapshot, bad) = library::file_of(&app, id).await?;
    let bad = bad.iter().map(|row| json!({ "line": row.line, "reason": row.reason }));
    Ok(answer(json!({ "snapshot": snapshot, "kept_aside": bad.collect::<Vec<_>>() })))
}

/// `GET /v1/study/imports/{id}`: how far an import is.
pub(super) async fn import(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<u64>,
) -> Result<Response, Problem> {
    whole_house(&caller)?;
    let job = app.study.job(id).ok_or_else(|| Problem::not_found("import of this number here"))?;
    let (part, size_bytes, read_bytes, rows_count) = job.at();
    let (finished, error) = match job.result() {
        None => (false, None),
        Some(Ok(_)) => (true, None),
        Some(Err(why)) => (true, Some(why)),
    };
    Ok(answer(json!({
        "file": job.said.file, "by": job.said.by, "part": part, "size_bytes": size_bytes, "read_bytes": read_bytes,
        "rows_count": rows_count, "finished": finished, "error": error,
    })))
}

/// `GET /v1/study/ranking`: a question's answer; the query is the one of the page.
pub(super) async fn ranking(
    State(app): State<AppState>,
    caller: Caller,
    RawQuery(raw): RawQuery,
) -> Result<Response, Problem> {
    whole_house(&caller)?;
    let pairs = form::pairs(&raw.unwrap_or_default());
    form::group(&pairs)?;
    let study = Arc::clone(&app.study);
    let ranking = apart(move || Ok(ask::answer(&study.desk, &pairs, true)?.0)).await?;
    Ok(answer(json!(ranking)))
}

/// `GET /v1/study/comparison`: what was known on `first` beside what was known on `second`.
pub(super) async fn comparison(
    State(app): State<AppState>,
    caller: Caller,
    RawQuery(raw): RawQuery,
) -> Result<Response, Problem> {
    whole_house(&caller)?;
    let raw = raw.unwrap_or_default();
    let day = |name: &str| {
        Day::parse(&form::one(&raw, name))
            .ok_or_else(|| Problem::bad_request(format!("`{name}` is a day, such as 2026-11-20.")))
    };
    let (first, second, pairs) = (day("first")?, day("second")?, form::pairs(&raw));
    let study = Arc::clone(&app.study);
    let work = move || {
        let scope = questions::scope(&pairs)?;
        diff::diff(&study.desk.store()?, &DiffQuestion { scope, first, second })
    };
    Ok(answer(json!(apart(work).await?)))
}

/// `GET /v1/study/check`: whether regional files agree with the whole.
pub(super) async fn check(
    State(app): State<AppState>,
    caller: Caller,
    RawQuery(raw): RawQuery,
) -> Result<Response, Problem> {
    whole_house(&caller)?;
    let pairs = form::pairs(&raw.unwrap_or_default());
    let study = Arc::clone(&app.study);
    let work = move || checks::reconcile(&study.desk.store()?, &questions::scope(&pairs)?);
    Ok(answer(json!({ "reports": apart(work).await? })))
}

/// `GET /v1/study/groupings`: the groupings on the desk.
pub(super) async fn groupings(State(app): State<AppState>, caller: Caller) -> Result<Response, Problem> {
    whole_house(&caller)?;
    let study = Arc::clone(&app.study);
    let rows = apart(move || {
        let count = |g: &group::Grouping, status| g.links.iter().filter(|l| l.status == status).count();
        let names = study.desk.groupings()?.into_iter();
        let rows = names.map(|name| match study.desk.grouping(&name) {
            Ok((g, _)) => json!({
                "name": name.as_str(), "title": g.title, "accepted_count": count(&g, Status::Accepted),
                "proposed_count": count(&g, Status::Proposed),
            }),
            Err(error) => json!({ "name": name.as_str(), "error": error.to_string() }),
        });
        Ok(rows.collect::<Vec<_>>())
    })
    .await?;
    Ok(answer(json!({ "groupings": rows })))
}

/// `GET /v1/study/groupings/{name}`: a grouping with every link and its evidence.
pub(super) async fn grouping(
    State(app): State<AppState>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    whole_house(&caller)?;
    let (study, name) = (Arc::clone(&app.study), slug(&name, "grouping of this name")?);
    Ok(answer(json!(apart(move || Ok(study.desk.grouping(&name)?.0)).await?)))
}

/// `GET /v1/study/groupings/{name}/quality`: how good automatic links are, by what people decided here.
pub(super) async fn quality(
    State(app): State<AppState>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    whole_house(&caller)?;
    let (study, name) = (Arc::clone(&app.study), slug(&name, "grouping of this name")?);
    let work = move || {
        let grouping = study.desk.grouping(&name)?.0;
        measured::by_grouping(&study.desk.store()?, &grouping)
    };
    Ok(answer(json!(apart(work).await?)))
}

/// `GET /v1/study/groupings/{name}/diff?with=`: what another grouping says otherwise.
pub(super) async fn grouping_diff(
    State(app): State<AppState>,
    caller: Caller,
    Path(name): Path<String>,
    RawQuery(raw): RawQuery,
) -> Result<Response, Problem> {
    whole_house(&caller)?;
    let first = slug(&name, "grouping of this name")?;
    let second = slug(&form::one(&raw.unwrap_or_default(), "with"), "grouping to compare with")?;
    let study = Arc::clone(&app.study);
    let work = move || Ok(group::diff(&study.desk.grouping(&first)?.0, &study.desk.grouping(&second)?.0));
    let found = apart(work).await?;
    Ok(answer(json!({
        "same_count": found.same_count, "added": found.added, "removed": found.removed, "moved": found.moved,
    })))
}

/// `GET /v1/study/reports`: every report that was published, with those withdrawn since.
pub(super) async fn reports(State(app): State<AppState>, caller: Caller) -> Result<Response, Problem> {
    whole_house(&caller)?;
    listed(&app, true).await
}
/// `GET /v1/study/published`: the reports that anybody can read.
pub(super) async fn published(State(app): State<AppState>) -> Result<Response, Problem> {
    listed(&app, false).await
}
async fn listed(app: &AppState, with_withdrawn: bool) -> Result<Response, Problem> {
    let study = Arc::clone(&app.study);
    let reports = apart(move || study.desk.reports()).await?;
    let rows =
        reports.iter().filter(|(_, r)| with_withdrawn || r.withdrawn.is_none()).map(|(slug, report)| {
            let mut row = json!(report);
            row["slug"] = slug.as_str().into();
            row
        });
    Ok(answer(json!({ "reports": rows.collect::<Vec<_>>() })))
}
