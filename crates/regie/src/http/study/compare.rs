//! Comparing what was known on two days, and parts against their whole.

use super::{apart, form, frame, refused_words, said};
use crate::http::{AppState, auth::Caller, console::layout};
use crate::t;
use axum::extract::{RawQuery, State};
use maud::{Markup, html};
use regie_study::{
    Day, ask, check as checks,
    diff::{self, DiffQuestion},
    report,
};
use std::sync::Arc;

fn bad(error: regie_study::Error) -> Markup {
    html! { div class="note bad" role="alert" { p { (refused_words(error)) } } }
}

/// `GET /console/study/compare`.
pub(super) async fn show(
    State(app): State<AppState>,
    caller: Caller,
    RawQuery(raw): RawQuery,
) -> layout::Html {
    let raw = raw.unwrap_or_default();
    let (pairs, days) = (form::pairs(&raw), [form::one(&raw, "first"), form::one(&raw, "second")]);
    let (study, asked) = (Arc::clone(&app.study), pairs.clone());
    let both = Day::parse(&days[0]).zip(Day::parse(&days[1]));
    let (snapshots, found) = apart(move || {
        let store = study.desk.store()?;
        let compare = |(first, second)| {
            let scope = ask::scope(&asked)?;
            diff::diff(&store, &DiffQuestion { scope, first, second })
        };
        Ok((store.snapshots()?, both.map(compare)))
    })
    .await?;
    let mut known: Vec<Day> = snapshots.iter().map(|s| s.known_on).collect();
    known.sort_unstable();
    known.dedup();
    let day = |name: &str, label: &str, value: &str| html! { div class="field" { label for=(name) { (label) } input id=(name) name=(name) type="date" required value=(value) list="known"; } };
    let body = html! {
        p class="lead" { (t!("study-what-an-archive-restated-dropped-and")) }
        form method="get" action="/console/study/compare" {
            fieldset {
                legend { (t!("study-as-known-on")) }
                div class="row" { (day("first", t!("study-one-day"), &days[0])) (day("second", t!("study-and-another"), &days[1])) }
                datalist id="known" { @for day in &known { option value=(day) {} } }
            }
            (form::scope(&pairs, &snapshots))
            div class="buttons" { button class="primary" { (t!("study-compare")) } }
        }
        @match found {
            Some(Ok(found)) => section class="study" aria-label=(t!("study-comparison")) { (said(&report::diff("What changed", &found))) },
            Some(Err(error)) => (bad(error)),
            None => {},
        }
    };
    Ok(frame(&app, &caller, t!("study-compare-two-days"), &body))
}

/// `GET /console/study/check`: whether regional files agree with the national one.
pub(super) async fn check(
    State(app): State<AppState>,
    caller: Caller,
    RawQuery(raw): RawQuery,
) -> layout::Html {
    let raw = raw.unwrap_or_default();
    let pairs = form::pairs(&raw);
    let goes = !form::one(&raw, "go").is_empty();
    let (study, asked) = (Arc::clone(&app.study), pairs.clone());
    let (snapshots, found) = apart(move || {
        let store = study.desk.store()?;
        let check = || ask::scope(&asked).and_then(|scope| checks::reconcile(&store, &scope));
        let found = goes.then(check);
        Ok((store.snapshots()?, found))
    })
    .await?;
    let body = html! {
        form method="get" action="/console/study/check" { input type="hidden" name="go" value="1"; (form::scope(&pairs, &snapshots)) div class="buttons" { button class="primary" { (t!("study-check")) } } }
        @match found {
            None => p class="lead" { (t!("study-whether-regional-files-add-up-to")) },
            Some(Ok(list)) if list.is_empty() => p class="muted" { (t!("study-no-report-in-the-store-has")) },
            Some(Ok(list)) => @for one in &list { section class="study" { (said(&report::reconciliation(one))) } },
            Some(Err(error)) => (bad(error)),
        }
    };
    Ok(frame(&app, &caller, t!("study-check-parts-against-the-whole"), &body))
}
