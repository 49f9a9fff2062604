//! Publishing: an answer becomes a report at an address of its own; a withdrawal is a word beside it.

use super::{apart, ask, form, frame, slug, today};
use crate::http::{
    AppState,
    auth::{Caller, csrf::CsrfForm},
    console::{layout, ui},
};
use crate::t;
use axum::extract::{Path, State};
use maud::html;
use regie_study::desk::Publication;
use serde::Deserialize;
use std::sync::Arc;

/// What to publish.
#[derive(Debug, Deserialize)]
pub(super) struct New {
    query: String,
    title: String,
    #[serde(default)]
    lead: String,
}

/// `POST /console/study/reports`.
pub(super) async fn publish(
    State(app): State<AppState>,
    caller: Caller,
    CsrfForm(new): CsrfForm<New>,
) -> layout::Html {
    let pairs = form::pairs(&new.query);
    form::group(&pairs)?;
    let (study, today, author) = (Arc::clone(&app.study), today(&app), caller.name.clone());
    let slug = apart(move || {
        let (ranking, grouping) = ask::answer(&study.desk, &pairs, true)?;
        let _one = study.changing.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        study.desk.publish(&Publication {
            title: new.title.chars().take(200).collect::<String>().as_str(),
            lead: new.lead.chars().take(4_000).collect::<String>().as_str(),
            question: &pairs,
            ranking: &ranking,
            grouping: grouping.as_ref(),
            today,
            author: &author,
        })
    })
    .await?;
    Ok(layout::go(format!("/study/{slug}")))
}

/// `GET /console/study/reports`.
pub(super) async fn list(State(app): State<AppState>, caller: Caller) -> layout::Html {
    let study = Arc::clone(&app.study);
    let reports = apart(move || study.desk.reports()).await?;
    let body = html! {
        p class="lead" { (t!("study-what-anybody-can-read-at")) " " a href="/study" { "/study" } (t!("study-a-report-stays-as-it-was")) }
        @if reports.is_empty() { (ui::empty(t!("study-nothing-is-published-ask-and-publish"))) }
        @for (slug, r) in &reports {
            section class="card" {
                h2 { a href={ "/study/" (slug) } { (r.title) } @if r.withdrawn.is_some() { " " (ui::badge("bad", t!("study-withdrawn"))) } }
                p { (crate::i18n::answers::say(&r.headline)) }
                p class="muted" { (t!("study-published-on-2")) " " (r.published_on) " " (t!("study-by")) " " (r.published_by) ". " a href={ "/console/study/ask?go=1&" (form::query(&r.question)) } { (t!("study-ask-the-same-now")) } }
                @match &r.withdrawn {
                    Some((day, why)) => p { (t!("study-withdrawn-on")) " " (day) ": " (why) },
                    None => @if caller.may_operate() {
                        details { summary { (t!("study-withdraw")) }
                            form method="post" action={ "/console/study/reports/" (slug) } { (layout::csrf(&caller))
                                div class="field" { label for={ "why-" (slug) } { (t!("study-why-for-those-who-cite-it")) } input id={ "why-" (slug) } name="reason" required maxlength="1000"; }
                                button class="danger" { (t!("study-withdraw")) } }
                        }
                    },
                }
            }
        }
    };
    Ok(frame(&app, &caller, t!("study-published-reports"), &body))
}

/// Why.
#[derive(Debug, Deserialize)]
pub(super) struct Why {
    reason: String,
}

/// `POST /console/study/reports/{slug}`.
pub(super) async fn withdraw(
    State(app): State<AppState>,
    Path(name): Path<String>,
    CsrfForm(why): CsrfForm<Why>,
) -> layout::Html {
    let name = slug(&name, "report of this name")?;
    let (study, today) = (Arc::clone(&app.study), today(&app));
    apart(move || {
        let _one = study.changing.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        study.desk.withdraw(&name, &why.reason.chars().take(1_000).collect::<String>(), today)
    })
    .await?;
    Ok(layout::go("/console/study/reports"))
}
