//! What was published, for anybody: the list, each report at its own address, its files and how to cite it.
//!
//! Reads only what was published; asks nothing of the store. Refuses to show what was withdrawn, and says why.

use super::{apart, form, slug};
use crate::http::{
    AppState,
    console::{layout, ui},
    problem::Problem,
};
use crate::{i18n::answers, t};
use axum::{
    extract::{Path, State},
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use maud::{Markup, PreEscaped, html};
use regie_study::desk::{FILES, Published, Slug};
use std::sync::Arc;

/// `GET /study`.
pub(super) async fn home(State(app): State<AppState>) -> layout::Html {
    let study = Arc::clone(&app.study);
    let reports = apart(move || study.desk.reports()).await?;
    let shown: Vec<_> = reports.iter().filter(|(_, r)| r.withdrawn.is_none()).collect();
    let body = html! {
        h1 { (t!("study-who-pays-for-political-advertising")) }
        p class="intro" { (t!("study-studies-of-other-platforms-public-advertising")) }
        @if shown.is_empty() { (ui::empty(t!("study-nothing-is-published-yet"))) }
        @for (slug, r) in shown { section class="card" {
            h2 { a href={ "/study/" (slug) } { (r.title) } }
            p { (answers::say(&r.headline)) }
            p class="muted small" { (t!("study-published-on-2")) " " (r.published_on) }
        } }
    };
    Ok(layout::page(StatusCode::OK, &layout::public_with(&app, t!("study-studies"), &body, true)))
}

/// `GET /study/{slug}`.
pub(super) async fn report(State(app): State<AppState>, Path(name): Path<String>) -> layout::Html {
    let name = slug(&name, "report of this name")?;
    let (study, wanted) = (Arc::clone(&app.study), name.clone());
    let found = apart(move || {
        let report = study.desk.report(&wanted)?;
        let page = study.desk.report_file(&wanted, "page.html")?.unwrap_or_default();
        let has_grouping = study.desk.report_file(&wanted, "grouping.csv")?.is_some();
        Ok(report.map(|r| (r, String::from_utf8_lossy(&page).into_owned(), has_grouping)))
    })
    .await?;
    let (report, page, has_grouping) = found.ok_or_else(|| Problem::not_found("report of this name"))?;
    let (status, body) = match &report.withdrawn {
        Some((day, why)) => (StatusCode::GONE, withdrawn(&report, &day.to_string(), why)),
        None => (StatusCode::OK, whole(&app, &name, &report, &page, has_grouping)),
    };
    let mut response = layout::page(status, &layout::public_with(&app, &report.title, &body, true));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}

fn withdrawn(report: &Published, day: &str, why: &str) -> Markup {
    html! {
        p class="crumbs" { a href="/study" { (t!("study-studies")) } }
        h1 { (report.title) }
        div class="note bad" role="alert" { p { strong { (t!("study-withdrawn-on")) " " (day) ". " } (why) } }
        p class="muted" { (t!("study-it-was-published-on")) " " (report.published_on) "." }
    }
}

fn whole(app: &AppState, name: &Slug, report: &Published, page: &str, has_grouping: bool) -> Markup {
    let publisher = layout::publisher_name(app);
    let address = format!("{}/study/{name}", app.config.public_url);
    let year = report.published_on.to_string().get(..4).unwrap_or("").to_owned();
    let words = |file: &str| match file {
        "ranking.csv" => t!("study-ranking-csv"),
        "ranking.json" => t!("study-everything-json"),
        "ranking.parquet" => t!("study-ranking-parquet"),
        _ => t!("study-grouping-csv"),
    };
    html! {
        p class="crumbs" { a href="/study" { (t!("study-studies")) } span { (report.published_on) } }
        h1 { (report.title) }
        @if !report.lead.is_empty() { p class="intro" { (ui::lines(&report.lead)) } }
        // Made by this program when it was published, from escaped text only.
        div class="study" { (PreEscaped(answers::document(page))) }
        section class="card" {
            h2 { (t!("study-data-and-citation")) }
            p { @for (file, _) in FILES.iter().filter(|f| f.0 != "grouping.csv" || has_grouping) { a class="btn" href={ "/study/" (name) "/" (file) } { (words(file)) } " " } }
            p { (t!("study-amounts-in-files-are-integer-millionths")) }
            p class="wrap-any" { (publisher) " (" (year) "): " em { (report.title) } (t!("study-published-on")) " " (report.published_on) ", " a href=(address) { (address) } (t!("study-blake3-of-its-json")) " " code { (report.content_hash) } "." }
            details { summary { (t!("study-the-question-as-asked")) } p { code class="wrap-any" { "regie study rank" @for (n, v) in &report.question { @if n != "group" { " --" (n) " " (v) } } @if has_grouping { " --group grouping.csv" } } } p class="muted small" { code class="wrap-any" { (form::query(&report.question)) } } }
        }
    }
}

/// `GET /study/{slug}/{file}`.
pub(super) async fn file(
    State(app): State<AppState>,
    Path((name, file)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let name = slug(&name, "report of this name")?;
    let media_type =
        FILES.iter().find(|f| f.0 == file).ok_or_else(|| Problem::not_found("file of this name"))?.1;
    let (study, wanted, part) = (Arc::clone(&app.study), name.clone(), file.clone());
    let found = apart(move || {
        let is_shown = study.desk.report(&wanted)?.is_some_and(|r| r.withdrawn.is_none());
        if is_shown { study.desk.report_file(&wanted, &part) } else { Ok(None) }
    })
    .await?;
    let bytes = found.ok_or_else(|| Problem::not_found("file of this name"))?;
    let mut response = super::download(&format!("{name}-{file}"), media_type, bytes);
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}
