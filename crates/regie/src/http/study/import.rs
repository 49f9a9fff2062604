//! Importing through the browser: a file streamed to disk, imported in the background, watched until it has ended.

use super::{apart, frame, jobs::Said, refused};
use crate::http::{
    AppState,
    auth::Caller,
    console::{layout, ui},
    problem::Problem,
};
use crate::{i18n::rooms::say, t};
use axum::{
    extract::FromRequest,
    extract::{Multipart, Path, Request, State},
    http::{HeaderValue, StatusCode, header},
};
use maud::{Markup, html};
use regie_study::import::{Outcome, PartOutcome, layouts::LAYOUTS};
use std::sync::Arc;
use tokio::io::AsyncWriteExt;

/// Largest file that may be sent through a browser, in bytes; the command line takes any size.
pub const FILE_BYTES_MAX: u64 = 8 << 30;
/// Largest of the other fields, in bytes.
const FIELD_BYTES_MAX: usize = 64 << 10;
/// Seconds between two looks at an import that runs.
const LOOK_SECONDS: &str = "2";

/// `GET /console/study/import`.
pub(super) async fn form(State(app): State<AppState>, caller: Caller) -> layout::Html {
    let field = |name: &str, label: &str, hint: &str, kind: &str| {
        html! { div class="field" { label for=(name) { (label) " " span class="opt" { (t!("study-optional")) } } p class="hint" id={ (name) "-hint" } { (hint) } input id=(name) name=(name) type=(kind) aria-describedby={ (name) "-hint" }; } }
    };
    let body = html! {
        @if !caller.may_operate() { div class="note warn" { p { (t!("study-only-ad-operations-and-the-owner")) } } }
        form method="post" action="/console/study/import" enctype="multipart/form-data" {
            (layout::csrf(&caller))
            fieldset {
                legend { (t!("study-what-the-file-does-not-say")) }
                p { (t!("study-most-files-say-everything-by-their")) }
                div class="row" {
                    (field("known_on", t!("study-published-or-fetched-on"), t!("study-wins-over-the-file-s-name"), "date"))
                    (field("country", t!("study-country"), t!("study-two-letters-such-as-nl"), "text"))
                    (field("currency", t!("study-currency"), t!("study-three-letters-where-the-file-states"), "text"))
                    div class="field" { label for="window" { (t!("study-window-of-a-report")) " " span class="opt" { (t!("study-optional")) } } p class="hint" { (t!("study-which-days-it-covers")) }
                        select id="window" name="window" { option value="" { (t!("study-as-its-name-says")) } @for w in ["yesterday", "last_7_days", "last_30_days", "last_90_days", "lifelong"] { option value=(w) { (w) } } } }
                    div class="field" { label for="encoding" { (t!("study-encoding")) " " span class="opt" { (t!("study-optional")) } } p class="hint" { (t!("study-when-it-is-not-utf-8")) }
                        select id="encoding" name="encoding" { option value="" { (t!("study-as-it-is-marked")) } @for e in ["windows-1252", "utf-16le", "utf-16be"] { option value=(e) { (e) } } } }
                }
                div class="field" { label for="mapping" { (t!("study-mapping")) " " span class="opt" { (t!("study-for-a-csv-of-a-layout")) } }
                    textarea id="mapping" name="mapping" class="code" rows="6" placeholder="platform = \"x\"\nrule = \"exact\"\ncurrency = \"EUR\"\n[columns]\nname = \"sponsor\"\nspend = \"amount\"" {} }
            }
            fieldset {
                legend { (t!("study-the-file")) }
                div class="field" { label for="file" { (t!("study-zip-gz-csv-json-or-sqlite")) } p class="hint" { (t!("study-it-is-streamed-to-disk-at")) " " (ui::count(FILE_BYTES_MAX >> 30)) " " (t!("study-gib-larger-ones-regie-study-store")) " " code { "study.db" } " " (t!("study-import-file-in-the-data-folder")) }
                    input id="file" name="file" type="file" required; }
                div class="buttons" { button class="primary" { (t!("study-import")) } }
            }
        }
        @if caller.may_operate() {
            section class="card" {
                h2 { (t!("study-this-publisher-s-own-record")) }
                p { (t!("study-exact-figures-day-by-day-as")) }
                form method="post" action="/console/study/own" { (layout::csrf(&caller)) button { (t!("study-take-our-own-record")) } }
            }
        }
        section class="card" {
            h2 { (t!("study-layouts-that-are-read")) }
            dl class="facts" { @for (name, what) in LAYOUTS { dt { code { (name) } } dd { (say(what)) } } }
        }
    };
    Ok(frame(&app, &caller, t!("study-import"), &body))
}

/// `POST /console/study/import`: the fields first, the file last.
pub(super) async fn upload(State(app): State<AppState>, caller: Caller, request: Request) -> layout::Html {
    let form = Multipart::from_request(request, &app).await;
    let form = form.map_err(|e| Problem::bad_request(e.body_text()))?;
    let study = Arc::clone(&app.study);
    let (id, folder) = apart(move || study.new_upload()).await?;
    match receive(&app, &caller, form, &folder).await {
        Ok(said) => {
            let study = Arc::clone(&app.study);
            apart(move || study.begin(id, said)).await?;
            Ok(layout::go(format!("/console/study/imports/{id}")))
        }
        Err(problem) => {
            app.study.drop_upload(id);
            Err(problem.into())
        }
    }
}

async fn receive(
    app: &AppState,
    caller: &Caller,
    mut form: Multipart,
    folder: &std::path::Path,
) -> Result<Said, Problem> {
    let mut said = Said { by: caller.name.clone(), ..Said::default() };
    while let Some(field) = form.next_field().await.map_err(|e| Problem::bad_request(e.body_text()))? {
        let name = field.name().unwrap_or("").to_owned();
        if name == "file" {
            said.file = plain_name(field.file_name().unwrap_or(""));
            said.options().map_err(Problem::bad_request)?;
            stream(app, field, &folder.join(&said.file)).await?;
            return Ok(said);
        }
        let text = field.text().await.map_err(|e| Problem::bad_request(e.body_text()))?;
        if text.len() > FIELD_BYTES_MAX {
            return Err(Problem::too_large(FIELD_BYTES_MAX));
        }
        let slot = match name.as_str() {
            "known_on" => &mut said.known_on,
            "country" => &mut said.country,
            "window" => &mut said.window,
            "currency" => &mut said.currency,
            "encoding" => &mut said.encoding,
            "mapping" => &mut said.mapping,
            _ => continue,
        };
        text.trim().clone_into(slot);
    }
    Err(Problem::bad_request("The form has no field `file`, or it is not the last."))
}

/// Writes a field to a file, never more than a part of it in memory.
async fn stream(
    app: &AppState,
    mut field: axum::extract::multipart::Field<'_>,
    path: &std::path::Path,
) -> Result<(), Problem> {
    let free_min = app.config.disk_free_bytes_min;
    let study = Arc::clone(&app.study);
    let free = tokio::task::spawn_blocking(move || study.free_bytes()).await.map_err(Problem::internal)?;
    // The store needs about as much again as the file.
    let room = free.map_or(FILE_BYTES_MAX, |free| free.saturating_sub(free_min) / 2).min(FILE_BYTES_MAX);
    let mut file = tokio::fs::File::create(path).await.map_err(Problem::internal)?;
    let mut count = 0u64;
    while let Some(part) = field.chunk().await.map_err(|e| Problem::bad_request(e.body_text()))? {
        count += part.len() as u64;
        if count > room {
            let title = format!("The file is larger than {room} bytes, for which there is room here.");
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", title));
        }
        file.write_all(&part).await.map_err(Problem::internal)?;
    }
    file.sync_all().await.map_err(Problem::internal)?;
    if count == 0 { Err(Problem::bad_request("Choose a file; the one sent is empty.")) } else { Ok(()) }
}

/// A file's name without folders and without what a path could hide.
fn plain_name(name: &str) -> String {
    let base = name.rsplit(['/', '\\']).next().unwrap_or("");
    let clean = |c: char| if c.is_control() || c == ':' { '_' } else { c };
    let name: String = base.chars().take(150).map(clean).collect();
    let name = name.trim_matches(['.', ' ']).to_owned();
    if name.is_empty() || name == "said.json" { "file".into() } else { name }
}

/// `POST /console/study/own`.
pub(super) async fn own(State(app): State<AppState>, caller: Caller) -> layout::Html {
    let (study, platform) = (Arc::clone(&app.study), Arc::clone(&app.platform));
    let read = move || crate::http::record::own_entries(&platform).map_err(|e| format!("{e:#}"));
    let id = apart(move || study.begin_own(caller.name, read)).await?;
    Ok(layout::go(format!("/console/study/imports/{id}")))
}

/// `GET /console/study/imports/{id}`: how far it is; looks again by itself while it runs.
pub(super) async fn watch(State(app): State<AppState>, caller: Caller, Path(id): Path<u64>) -> layout::Html {
    let job = app.study.job(id).ok_or_else(|| Problem::not_found("import of this number here"))?;
    let result = job.result();
    let running = result.is_none();
    let (part, size, bytes, rows) = job.at();
    let body = html! {
        p class="muted" { (t!("study-sent-by-2")) " " (job.said.by) "." }
        @match result {
            None => section class="card" role="status" {
                h2 { @if part.is_empty() { (t!("study-waiting-for-its-turn")) } @else { (t!("study-reading")) " " (part) } }
                @match size { Some(size) if size > 0 => (ui::bar(i128::from(bytes), i128::from(size), t!("study-bytes-read"), "")), _ => {} }
                p { (ui::count(bytes)) @if let Some(size) = size { " " (t!("study-of")) " " (ui::count(size)) } " " (t!("study-bytes")) " " (ui::count(rows)) " " (t!("study-rows-this-page-looks-again-every")) " " (LOOK_SECONDS) " " (t!("study-seconds")) }
            },
            Some(Err(why)) => div class="note bad" role="alert" { p { strong { (t!("study-not-imported")) " " } (super::words_for_the_web(&why)) } },
            Some(Ok(outcome)) => (outcome_of(&outcome)),
        }
        p { a class="btn" href="/console/study/ask" { (t!("study-ask")) } " " a class="btn" href="/console/study/import" { (t!("study-import-another")) } " " a class="btn" href="/console/study" { (t!("study-what-is-there")) } }
    };
    let mut response = frame(&app, &caller, &format!("Import of {}", job.said.file), &body);
    if running {
        response.headers_mut().insert(header::REFRESH, HeaderValue::from_static(LOOK_SECONDS));
    }
    Ok(response)
}

fn outcome_of(outcome: &Outcome) -> Markup {
    let (rows, bad) = outcome.rows_count();
    html! {
        div class="note good" role="status" { p { (ui::count(rows)) " " (t!("study-rows-are-in-the-store")) " " (ui::count(bad)) " " (t!("study-were-kept-aside")) } }
        section class="card flush" { div class="scroll" { table {
            thead { tr { th scope="col" { (t!("study-part")) } th scope="col" { (t!("study-what-became-of-it")) } th class="right" scope="col" { (t!("study-rows")) } th class="right" scope="col" { (t!("study-kept-aside-2")) } } }
            tbody { @for part in &outcome.parts { @match part {
                PartOutcome::Imported { file, snapshot, rows_count, bad_rows_count, resumed_at_line } => tr {
                    th scope="row" { a href={ "/console/study/snapshots/" (snapshot.0) } { (file) } }
                    td { (t!("study-imported")) @if let Some(line) = resumed_at_line { (t!("study-gone-on-with-at-line")) " " (line) } }
                    td class="right" { (ui::count(*rows_count)) }
                    td class="right" { @if *bad_rows_count > 0 { a href={ "/console/study/snapshots/" (snapshot.0) } { (ui::count(*bad_rows_count)) } } @else { "0" } }
                },
                PartOutcome::Known { file, snapshot } => tr { th scope="row" { a href={ "/console/study/snapshots/" (snapshot.0) } { (file) } } td { (t!("study-was-there-already-nothing-changed")) } td {} td {} },
                PartOutcome::Skipped { file, reason } => tr { th scope="row" { (file) } td { (t!("study-not-imported-2")) " " (super::words_for_the_web(reason)) } td {} td {} },
            } } }
        } } }
    }
}

/// `POST /console/study/imports/{id}`: go on with what an earlier process left, or drop it.
pub(super) async fn go_on(
    State(app): State<AppState>,
    Path(id): Path<u64>,
    crate::http::auth::csrf::CsrfForm(what): crate::http::auth::csrf::CsrfForm<What>,
) -> layout::Html {
    let study = Arc::clone(&app.study);
    let left = tokio::task::spawn_blocking(move || study.left_over()).await.map_err(Problem::internal)?;
    let said = left.into_iter().find(|(n, _)| *n == id).map(|(_, said)| said);
    let said = said.ok_or_else(|| Problem::not_found("interrupted import of this number"))?;
    if what.what == "drop" {
        app.study.drop_upload(id);
        return Ok(layout::go("/console/study"));
    }
    app.study.begin(id, said).map_err(refused)?;
    Ok(layout::go(format!("/console/study/imports/{id}")))
}

/// What to do with it.
#[derive(Debug, serde::Deserialize)]
pub(super) struct What {
    what: String,
}

#[cfg(test)]
mod tests {
    use super::plain_name;
    #[test]
    fn names_of_files_hold_no_path() {
        for (given, kept) in [
            ("../../etc/passwd", "passwd"),
            ("C:\\x\\report.zip", "report.zip"),
            ("..", "file"),
            ("", "file"),
            ("a\u{0}b.csv", "a_b.csv"),
            ("said.json", "file"),
        ] {
            assert_eq!(plain_name(given), kept, "{given}");
        }
    }
}
