//! The drafts of a person, and the way into a new booking.

use super::{Step, data_of, is_political, person};
use crate::http::{
    AppState,
    auth::Caller,
    console::{act, layout, ui},
    problem::Problem,
};
use crate::{t, th};
use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use maud::html;
use serde_json::json;

/// `GET /v1/drafts`: the drafts of who asks, as typed.
pub(super) async fn api(State(app): State<AppState>, caller: Caller) -> Result<Response, Problem> {
    let drafts = app.desk.drafts(person(&caller)?)?;
    let rows = drafts.iter().map(|draft| {
        json!({
            "id": draft.id, "changed_at": draft.changed_at, "name": data_of(draft, Step::Goal).text("name"),
            "is_political": is_political(draft), "steps": draft.content.steps, "booked": draft.content.made,
        })
    });
    Ok(Json(json!({ "drafts": rows.collect::<Vec<_>>() })).into_response())
}

pub(super) async fn list(State(app): State<AppState>, caller: Caller) -> layout::Html {
    let drafts = app.desk.drafts(person(&caller)?)?;
    let body = html! {
        p class="intro" { (t!("guide-about")) }
        ol class="steps" { @for (number, step) in Step::ALL.into_iter().enumerate() { li { (number + 1) ". " (step.title()) } } }
        form method="post" action="/console/book" {
            (layout::csrf(&caller))
            div class="buttons" { button class="primary" { (t!("guide-begin")) } a class="btn" href="/console/campaigns/new" { (t!("guide-one-form")) } }
        }
        section class="card flush" {
            h2 { (t!("guide-drafts")) }
            @if drafts.is_empty() { (ui::empty(t!("guide-no-draft"))) }
            @else { div class="scroll" { table {
                thead { tr { th { (t!("words-name")) } th { (t!("guide-last-change")) } th { (t!("guide-steps-filled")) } th {} } }
                tbody { @for draft in &drafts {
                    @let name = data_of(draft, Step::Goal).text("name");
                    tr {
                        th scope="row" { a href={ "/console/book/" (draft.id) "/goal" } { @if name.is_empty() { (t!("guide-unnamed")) } @else { (name) } } " " (ui::political(is_political(draft))) }
                        td { (ui::when(draft.changed_at, &act::zone(&app))) }
                        td { (draft.content.steps.len().min(Step::of(is_political(draft)).len() - 1)) " / " (Step::of(is_political(draft)).len() - 1) }
                        td { form method="post" action={ "/console/book/" (draft.id) "/launch" } { (layout::csrf(&caller)) button class="link small" name="go" value="discard" data-confirm=(t!("guide-discard-sure")) { (t!("guide-discard")) } } }
                    }
                } }
            } } }
            p class="small muted cardhead" { (th!("guide-drafts-kept", count = crate::desk::DRAFTS_COUNT_MAX)) }
        }
    };
    let frame = layout::Frame::new(t!("words-book-a-campaign"), "/console/campaigns")
        .crumb("/console/campaigns", t!("words-campaigns"));
    Ok(layout::console(&app, &caller, &frame, &body))
}
