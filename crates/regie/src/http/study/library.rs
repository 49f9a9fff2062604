//! What the store holds: the study's home in the console, and one file with the rows kept aside.

use super::{apart, frame};
use crate::http::{
    AppState,
    auth::Caller,
    console::{layout, ui},
    problem::Problem,
};
use crate::t;
use axum::extract::{Path, State};
use maud::{Markup, html};
use regie_study::store::{BadRow, KnownBasis, Snapshot, SnapshotId};
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
        a class="btn primary" href="/console/study/ask" { (t!("study-ask")) }
        @if caller.may_operate() { " " a class="btn" href="/console/study/import" { (t!("study-import")) } }
    };
    let body = html! {
        p class="lead" { (t!("study-other-platforms-advertising-archives-and-our")) }
        ul class="steps" {
            li { a href="/console/study/import" { (t!("study-import")) } } li { a href="/console/study/ask" { (t!("study-ask")) } }
            li { a href="/console/study/groupings" { (t!("study-groupings")) } } li { a href="/console/study/compare" { (t!("study-compare-two-days")) } }
            li { a href="/console/study/check" { (t!("study-check-parts-against-the-whole")) } } li { a href="/console/study/reports" { (t!("study-published-reports")) } }
        }
        @for (id, job) in running { div class="note" role="status" { p { (t!("study-importing")) " " (job.said.file) ". " a href={ "/console/study/imports/" (id) } { (t!("study-watch")) } } } }
        @for (id, said) in &left { div class="note warn" {
            p { (t!("study-the-import-of")) " " strong { (said.file) } " " (t!("study-sent-by")) " " (said.by) (t!("study-was-interrupted")) }
            @if caller.may_operate() { form method="post" action={ "/console/study/imports/" (id) } { (layout::csrf(&caller))
                button class="primary" name="what" value="go" { (t!("study-go-on")) } " " button name="what" value="drop" { (t!("study-drop-it")) } } }
        } }
        @if snapshots.is_empty() { (ui::empty(t!("study-nothing-is-imported-yet-import-a"))) }
        @else { (table(&snapshots)) }
    };
    let frame = layout::Frame::new(t!("study-study"), "/console/study").actions(actions);
    Ok(layout::console(&app, &caller, &frame, &body))
}

fn table(snapshots: &[Snapshot]) -> Markup {
    let rows: u64 = snapshots.iter().map(|s| s.rows_count).sum();
    let bad: u64 = snapshots.iter().map(|s| s.bad_rows_count).sum();
    html! {
        dl class="figures" {
            (ui::figure(t!("study-files"), &ui::count(snapshots.len() as u64), "")) (ui::figure(t!("study-rows"), &ui::count(rows), "")) (ui::figure(t!("study-kept-aside-2"), &ui::count(bad), ""))
        }
        section class="card flush" { div class="scroll" tabindex="0" role="region" aria-label=(t!("study-files-in-the-store")) { table {
            caption { (t!("study-the-latest")) " " (snapshots.len().min(SNAPSHOTS_MAX)) " " (t!("study-of")) " " (snapshots.len()) (t!("study-nothing-is-ever-overwritten-a-later")) }
            thead { tr { th scope="col" { (t!("study-file")) } th scope="col" { (t!("study-source")) } th scope="col" { (t!("study-covers")) } th scope="col" { (t!("study-known-on")) } th class="right" scope="col" { (t!("study-rows")) } th class="right" scope="col" { (t!("study-kept-aside-2")) } } }
            tbody { @for s in snapshots.iter().rev().take(SNAPSHOTS_MAX) { tr {
                th scope="row" class="wrap-any" { a href={ "/console/study/snapshots/" (s.id.0) } { (s.file) } @if !s.is_done { " " (ui::badge("warn", t!("study-unfinished"))) } }
                td { (s.platform) " " (s.country) span class="small muted" { (crate::i18n::answers::say(s.dataset.code())) @if !s.place.is_empty() { ", " (s.place) } } }
                td { (window(s)) } td { (s.known_on) }
                td class="right" { (ui::count(s.rows_count)) } td class="right" { (ui::count(s.bad_rows_count)) }
            } } }
        } } }
    }
}

fn window(s: &Snapshot) -> Markup {
    html! { (s.window.name) span class="small muted" { @if s.window.from.is_stated() { (s.window.from) " " (t!("study-to")) " " } @else { (t!("study-to-2")) " " } (s.window.to) } }
}

/// One file of the store, with the first rows of it that were kept aside.
pub(super) async fn file_of(app: &AppState, id: i64) -> Result<(Snapshot, Vec<BadRow>), Problem> {
    let study = Arc::clone(&app.study);
    let found = apart(move || {
        let store = study.desk.store()?;
        let snapshot = store.snapshots()?.into_iter().find(|s| s.id == SnapshotId(id));
        snapshot.map(|s| store.bad_rows(s.id, BAD_MAX).map(|bad| (s, bad))).transpose()
    });
    found.await?.ok_or_else(|| Problem::not_found("file of this number in the store"))
}

/// `GET /console/study/snapshots/{id}`: one file and the rows of it that were kept aside.
pub(super) async fn snapshot(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<i64>,
) -> layout::Html {
    let (s, bad) = file_of(&app, id).await?;
    let body = html! {
        dl class="facts" {
            dt { (t!("study-source")) } dd { (s.platform) " (" (s.layout) "), " (t!("study-figures-of", kind = crate::i18n::answers::say(s.dataset.code()))) " " (s.country) " " (s.place) }
            dt { (t!("study-to-be-cited-as-2")) } dd { (s.cite) }
            dt { (t!("study-covers")) } dd { (window(&s)) }
            dt { (t!("study-known-on")) } dd { (s.known_on) @if s.known_basis == KnownBasis::FileTime { " " (t!("study-by-the-file-s-own-time")) } }
            dt { (t!("study-amounts")) } dd { (crate::i18n::answers::say(&s.rule.sentence())) }
            dt { (t!("study-contents")) } dd { "BLAKE3 " code class="wrap-any" { (s.content_hash) } }
            dt { (t!("study-rows")) } dd { (ui::count(s.rows_count)) ", " (ui::count(s.bad_rows_count)) " " (t!("study-kept-aside")) }
            @for note in &s.notes { dt { (t!("study-noticed")) } dd { (note) } }
        }
        @if !s.is_done { div class="note warn" { p { (t!("study-the-import-of-this-file-has")) } } }
        h2 { (t!("study-rows-kept-aside")) }
        @if bad.is_empty() { p class="muted" { (t!("study-none-every-row-is-a-fact")) } }
        @else { section class="card flush" { div class="scroll" { table {
            caption { (t!("study-the-first")) " " (bad.len()) (t!("study-with-the-line-in-the-file")) }
            thead { tr { th class="right" scope="col" { (t!("study-line")) } th scope="col" { (t!("study-why")) } } }
            tbody { @for row in &bad { tr { td class="right" { (row.line) } td { (crate::i18n::answers::say(&row.reason)) } } } }
        } } } }
    };
    Ok(frame(&app, &caller, &s.file, &body))
}
