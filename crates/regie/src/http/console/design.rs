//! The design system on one page: tokens and components as the pages use them.

use super::{
    HOUSE,
    form::{Data, Form},
    layout, page, ui,
};
use crate::http::{AppState, Route, auth::Caller};
use crate::t;
use axum::{extract::State, response::Response, routing::get};
use maud::html;
use regie_model::{Fault, Faults, booking::Status, catalogue::Review};

/// The module's routes.
pub fn routes() -> Vec<Route> {
    vec![page("/console/design", HOUSE, get(show))]
}

async fn show(State(app): State<AppState>, caller: Caller) -> Response {
    let mut data = Data::default();
    data.set("name", t!("console-a-name"));
    let faults = Faults(vec![Fault {
        field: "amount".into(),
        code: "missing".into(),
        message: t!("words-please-fill-in-the-amount").into(),
    }]);
    let form = Form { data: &data, faults: &faults, theirs: None };
    let points: Vec<ui::Point> = [3.0, 5.0, 4.0, 9.0, 12.0, 10.0, 16.0]
        .into_iter()
        .enumerate()
        .map(|(i, value)| ui::Point { label: format!("day {}", i + 1), value, words: format!("{value}") })
        .collect();
    let body = html! {
        p class="lead" { (t!("console-every-page-is-made-of")) }
        section class="card" {
            h2 { (t!("console-badges")) }
            p { (ui::status(Status::Active)) " " (ui::status(Status::Paused)) " " (ui::status(Status::Draft)) " " (ui::review(&Review::Approved)) " " (ui::review(&Review::Pending)) " " (ui::review(&Review::Rejected { reason: String::new() })) " " (ui::political(true)) }
            h2 { (t!("console-notes")) }
            div class="note" { p { (t!("console-something-to-know")) } } div class="note good" { p { (t!("console-something-went-well")) } } div class="note warn" { p { (t!("console-something-to-look-at")) } } div class="note bad" { p { (t!("console-something-is-wrong")) } }
        }
        dl class="figures" { (ui::figure(t!("words-impressions"), "12\u{202f}400", "")) (ui::figure("CTR", "0.42\u{a0}%", "")) (ui::figure(t!("words-spent"), "1\u{202f}204.50\u{a0}EUR", "")) }
        section class="card" { h2 { (t!("console-bar")) } (ui::bar(3, 10, t!("console-three-of-ten"), "")) h2 { (t!("console-chart")) } (ui::line_chart(t!("console-example"), &points, t!("console-a-day-2"))) }
        section class="card" {
            h2 { (t!("console-form")) }
            (form.field("name", t!("words-text")).hint(t!("console-a-sentence-that-says-what")).required())
            (form.field("amount", t!("words-amount")).amount().unit("EUR").required())
            (form.field("kind", t!("console-choice")).select([("a", t!("console-one")), ("b", t!("console-another"))]))
            (form.field("tick", t!("console-a-box-to-tick")).check())
            div class="buttons" { button class="primary" { (t!("console-main-action")) } button { (t!("console-other-action")) } button class="danger" { (t!("console-what-cannot-be-taken-back")) } }
        }
        section class="card" { h2 { (t!("console-nothing-yet")) } (ui::empty(t!("console-says-what-will-stand-here"))) }
    };
    layout::console(&app, &caller, &layout::Frame::new(t!("console-design-system"), "/console/design"), &body)
}
