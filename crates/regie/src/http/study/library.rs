//! What the store holds: the study's home in the console, and one file with the rows kept aside.

use super::{apart, frame};
use crate::http::{
    AppState,
    auth::Caller,
    console::{layout, ui},
    problem::Problem,
};
use axum::extract::{Path, State};
use maud::{Markup, html};
use regie_study::store::{KnownBasis, Snapshot, SnapshotId};
use std::sync::Arc;

/// Rows kept aside on a page.
const BAD_MAX: usize = 200;
/// Files on the home.
const SNAPSHOTS_MAX: usize = 300;

/// `GET /console/study`.
pub(super) async fn show(State(app): State<AppState>, caller: Caller) -> layout::Html {
    let study = Arc::clone(&app.study);
    let (snapshots, left) = apart(move || Ok((study.desk.store()?.snapshots()?, study.left_over()))).await?;
    let jobs = app.study.jobs();
    let running: Vec<_> = jobs.iter().filter(|(_, j)| j.result().is_none()).collect();
    let actions = html! {
        a class="btn primary" href="/console/study/ask" { "Ask" }
        @if caller.may_operate() { " " a class="btn" href="/console/study/import" { "Import" } }
    };
    let body = html! {
        p class="lead" { "Other platforms' advertising archives, and our own record, ranked with the certainty they allow." }
        ul class="steps" {
            li { a href="/console/study/import" { "Import" } } li { a href="/console/study/ask" { "Ask" } }
            li { a href="/console/study/groupings" { "Groupings" } } li { a href="/console/study/compare" { "Compare two days" } }
            li { a href="/console/study/check" { "Check parts against the whole" } } li { a href="/console/study/reports" { "Published reports" } }
        }
        @for (id, job) in running { div class="note" role="status" { p { "Importing " (job.said.file) ". " a href={ "/console/study/imports/" (id) } { "Watch" } } } }
        @for (id, said) in &left { div class="note warn" {
            p { "The import of " strong { (said.file) } " (sent by " (said.by) ") was interrupted." }
            @if caller.may_operate() { form method="post" action={ "/console/study/imports/" (id) } { (layout::csrf(&caller))
                button class="primary" name="what" value="go" { "Go on" } " " button name="what" value="drop" { "Drop it" } } }
        } }
        @if snapshots.is_empty() { (ui::empty("Nothing is imported yet. Import a report of Meta, Google's bundle, Snap's file, another publisher's record, or any CSV with a mapping.")) }
        @else { (table(&snapshots)) }
    };
    let frame = layout::Frame::new("Study", "/console/study").actions(actions);
    Ok(layout::console(&app, &caller, &frame, &body))
}

fn table(snapshots: &[Snapshot]) -> Markup {
    let rows: u64 = snapshots.iter().map(|s| s.rows_count).sum();
    let bad: u64 = snapshots.iter().map(|s| s.bad_rows_count).sum();
    html! {
        dl class="figures" {
            (ui::figure("Files", &ui::count(snapshots.len() as u64), "")) (ui::figure("Rows", &ui::count(rows), "")) (ui::figure("Kept aside", &ui::count(bad), ""))
        }
        section class="card flush" { div class="scroll" tabindex="0" role="region" aria-label="Files in the store" { table {
            caption { "The latest " (snapshots.len().min(SNAPSHOTS_MAX)) " of " (snapshots.len()) ". Nothing is ever overwritten: a later file stands beside the earlier." }
            thead { tr { th scope="col" { "File" } th scope="col" { "Source" } th scope="col" { "Covers" } th scope="col" { "Known on" } th class="right" scope="col" { "Rows" } th class="right" scope="col" { "Kept aside" } } }
            tbody { @for s in snapshots.iter().rev().take(SNAPSHOTS_MAX) { tr {
                th scope="row" class="wrap-any" { a href={ "/console/study/snapshots/" (s.id.0) } { (s.file) } @if !s.is_done { " " (ui::badge("warn", "unfinished")) } }
                td { (s.platform) " " (s.country) span class="small muted" { (s.dataset.code()) @if !s.place.is_empty() { ", " (s.place) } } }
                td { (window(s)) } td { (s.known_on) }
                td class="right" { (ui::count(s.rows_count)) } td class="right" { (ui::count(s.bad_rows_count)) }
            } } }
        } } }
    }
}

fn window(s: &Snapshot) -> Markup {
    html! { (s.window.name) span class="small muted" { @if s.window.from.is_stated() { (s.window.from) " to " } @else { "to " } (s.window.to) } }
}

/// `GET /console/study/snapshots/{id}`: one file and the rows of it that were kept aside.
pub(super) async fn snapshot(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<i64>,
) -> layout::Html {
    let study = Arc::clone(&app.study);
    let found = apart(move || {
        let store = study.desk.store()?;
        let snapshot = store.snapshots()?.into_iter().find(|s| s.id == SnapshotId(id));
        snapshot.map(|s| store.bad_rows(s.id, BAD_MAX).map(|bad| (s, bad))).transpose()
    })
    .await?;
    let (s, bad) = found.ok_or_else(|| Problem::not_found("file of this number in the store"))?;
    let body = html! {
        dl class="facts" {
            dt { "Source" } dd { (s.platform) " (" (s.layout) "), " (s.dataset.code()) " figures " (s.country) " " (s.place) }
            dt { "To be cited as" } dd { (s.cite) }
            dt { "Covers" } dd { (window(&s)) }
            dt { "Known on" } dd { (s.known_on) @if s.known_basis == KnownBasis::FileTime { " (by the file's own time: state it when you import)" } }
            dt { "Amounts" } dd { (s.rule.sentence()) }
            dt { "Contents" } dd { "BLAKE3 " code class="wrap-any" { (s.content_hash) } }
            dt { "Rows" } dd { (ui::count(s.rows_count)) ", " (ui::count(s.bad_rows_count)) " kept aside" }
            @for note in &s.notes { dt { "Noticed" } dd { (note) } }
        }
        @if !s.is_done { div class="note warn" { p { "The import of this file has not ended; it is in no answer. Import the same file again to go on." } } }
        h2 { "Rows kept aside" }
        @if bad.is_empty() { p class="muted" { "None: every row is a fact." } }
        @else { section class="card flush" { div class="scroll" { table {
            caption { "The first " (bad.len()) ", with the line in the file. The rows themselves are shown on the command line only: they may hold private data." }
            thead { tr { th class="right" scope="col" { "Line" } th scope="col" { "Why" } } }
            tbody { @for row in &bad { tr { td class="right" { (row.line) } td { (row.reason) } } } }
        } } } }
    };
    Ok(frame(&app, &caller, &s.file, &body))
}
