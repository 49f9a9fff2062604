//! The design system on one page: tokens and components as the pages use them.

use super::{
    HOUSE,
    form::{Data, Form},
    layout, page, ui,
};
use crate::http::{AppState, Route, auth::Caller};
use axum::{extract::State, response::Response, routing::get};
use maud::html;
use regie_model::{Fault, Faults, booking::Status, catalogue::Review};

/// The module's routes.
pub fn routes() -> Vec<Route> {
    vec![page("/console/design", HOUSE, get(show))]
}

async fn show(State(app): State<AppState>, caller: Caller) -> Response {
    let mut data = Data::default();
    data.set("name", "A name");
    let faults = Faults(vec![Fault {
        field: "amount".into(),
        code: "missing".into(),
        message: "Please fill in the amount.".into(),
    }]);
    let form = Form { data: &data, faults: &faults, theirs: None };
    let points: Vec<ui::Point> = [3.0, 5.0, 4.0, 9.0, 12.0, 10.0, 16.0]
        .into_iter()
        .enumerate()
        .map(|(i, value)| ui::Point { label: format!("day {}", i + 1), value, words: format!("{value}") })
        .collect();
    let body = html! {
        p class="lead" { "Every page is made of these. Nothing is loaded from elsewhere; all of it works without scripts." }
        section class="card" {
            h2 { "Badges" }
            p { (ui::status(Status::Active)) " " (ui::status(Status::Paused)) " " (ui::status(Status::Draft)) " " (ui::review(&Review::Approved)) " " (ui::review(&Review::Pending)) " " (ui::review(&Review::Rejected { reason: String::new() })) " " (ui::political(true)) }
            h2 { "Notes" }
            div class="note" { p { "Something to know." } } div class="note good" { p { "Something went well." } } div class="note warn" { p { "Something to look at." } } div class="note bad" { p { "Something is wrong." } }
        }
        dl class="figures" { (ui::figure("Impressions", "12\u{202f}400", "")) (ui::figure("CTR", "0.42\u{a0}%", "")) (ui::figure("Spent", "1\u{202f}204.50\u{a0}EUR", "")) }
        section class="card" { h2 { "Bar" } (ui::bar(3, 10, "three of ten", "")) h2 { "Chart" } (ui::line_chart("Example", &points, "a day")) }
        section class="card" {
            h2 { "Form" }
            (form.field("name", "Text").hint("A sentence that says what to write.").required())
            (form.field("amount", "Amount").amount().unit("EUR").required())
            (form.field("kind", "Choice").select([("a", "One"), ("b", "Another")]))
            (form.field("tick", "A box to tick").check())
            div class="buttons" { button class="primary" { "Main action" } button { "Other action" } button class="danger" { "What cannot be taken back" } }
        }
        section class="card" { h2 { "Nothing yet" } (ui::empty("Says what will stand here, and how it gets there.")) }
    };
    layout::console(&app, &caller, &layout::Frame::new("Design system", "/console/design"), &body)
}
