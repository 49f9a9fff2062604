//! Who changed what: the journal's booked changes, newest first, of everything or of one thing.

mod changes;

use super::{act, layout, page, ui};
use crate::http::{Access, App, AppState, Route, auth::Caller, booking, problem::Problem};
use crate::t;
use axum::{
    extract::{Query, State},
    routing::get,
};
use maud::{Markup, html};
use regie_model::{
    booking::Role,
    command::Change,
    event::{Actor, Booked, Event},
};
use rusqlite::params;
use serde::Deserialize;
use std::sync::Arc;

/// Changes on one page.
const ROWS_MAX: usize = 50;

/// Who reads the history: those who act, and the auditor.
const READS: Access = Access::Signed {
    roles: &[Role::Owner, Role::AdOperations, Role::Advertiser, Role::Auditor],
    scope: None,
};

/// The module's routes.
pub fn routes() -> Vec<Route> {
    vec![page("/console/history", READS, get(show))]
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct HistoryQuery {
    entity: String,
    before: Option<u64>,
}

/// Booked changes before a position, newest first: of one thing, or of everything.
///
/// # Errors
/// SQLite's error. For threads that may block.
pub fn changes(
    app: &App,
    entity: Option<&str>,
    before: u64,
    max: usize,
) -> anyhow::Result<Vec<(u64, Booked)>> {
    app.platform.flush(false)?;
    let state = app.platform.state();
    let sql = match entity {
        Some(_) => {
            "SELECT position, body FROM changes WHERE entity = ?1 AND position < ?2 ORDER BY position DESC LIMIT ?3"
        }
        None => {
            "SELECT position, body FROM changes WHERE ?1 = '' AND position < ?2 ORDER BY position DESC LIMIT ?3"
        }
    };
    let mut statement = state.connection().prepare_cached(sql)?;
    let before = i64::try_from(before).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![entity.unwrap_or(""), before, max as i64])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        if let Event::Booked(booked) = Event::decode(row.get_ref(1)?.as_blob()?)? {
            found.push((row.get::<_, i64>(0)? as u64, *booked));
        }
    }
    Ok(found)
}

async fn show(
    State(app): State<AppState>,
    caller: Caller,
    Query(query): Query<HistoryQuery>,
) -> layout::Html {
    let entity = query.entity.trim().to_owned();
    if !caller.sees_everything() {
        let named = booking::kind::parse_any(&entity);
        let own = named.is_some_and(|e| booking::scope::may_see(&app.platform.catalogue(), &caller, e));
        if !own {
            return Err(
                Problem::forbidden("Open the history of one of your own campaigns, ad sets or ads.").into()
            );
        }
    }
    let reader = Arc::clone(&app);
    let wanted = entity.clone();
    let before = query.before.unwrap_or(u64::MAX);
    let read =
        move || changes(&reader, (!wanted.is_empty()).then_some(wanted.as_str()), before, ROWS_MAX + 1);
    let found =
        tokio::task::spawn_blocking(read).await.map_err(Problem::internal)?.map_err(Problem::internal)?;
    let zone = act::zone(&app);
    let body = html! {
        form class="filters" method="get" action="/console/history" {
            div class="field" { label for="entity" { (t!("console-of-one-thing-by-its")) } input id="entity" name="entity" value=(entity) placeholder=(t!("console-cam-1")); }
            button { (t!("words-show")) }
        }
        div class="card flush" {
            @if found.is_empty() { (ui::empty(t!("console-nothing-was-changed-here"))) } @else {
                div class="scroll" { table {
                    thead { tr { th { (t!("words-when")) } th { (t!("words-who")) } th { (t!("words-what")) } th {} th class="right" { (t!("console-journal-position")) } } }
                    tbody {
                        @for (position, booked) in found.iter().take(ROWS_MAX) {
                            tr {
                                td class="nowrap" { (ui::when(booked.at, &zone)) }
                                td { (who(&app, &caller, &booked.by)) }
                                td { (what(&app, &booked.change)) } td class="nowrap" { (undo_button(&caller, *position, &booked.change)) }
                                td class="right" { (position) }
                            }
                        }
                    }
                } }
            }
        }
        @if found.len() > ROWS_MAX {
            @if let Some((last, _)) = found.get(ROWS_MAX - 1) { p { a href={ "?entity=" (entity) "&before=" (last) } { (t!("console-earlier-changes")) } } }
        }
    };
    Ok(layout::console(&app, &caller, &layout::Frame::new(t!("words-history"), "/console/history"), &body))
}

/// Offered for what can be taken back; whether something later stands in the way is said when it is tried.
fn undo_button(caller: &Caller, position: u64, change: &Change) -> Markup {
    html! {
        @if super::undo::is_offered(caller, change) {
            form class="inline" method="post" action="/console/history/undo" data-confirm=(t!("console-undo-sure")) {
                (layout::csrf(caller))
                input type="hidden" name="position" value=(position);
                input type="hidden" name="entity" value=(super::undo::subject(change).unwrap_or_default());
                button class="link small" { (t!("console-undo")) }
            }
        }
    }
}

fn who(app: &App, caller: &Caller, actor: &Actor) -> String {
    match actor {
        Actor::User(id) => {
            let known =
                caller.sees_everything().then(|| app.platform.secrets.user(*id).ok().flatten()).flatten();
            known.map_or_else(|| id.to_string(), |u| if u.name.is_empty() { u.email } else { u.name })
        }
        Actor::Token(id) => t!("changes-token", id = id),
        Actor::Operator => t!("console-the-operator").into(),
        Actor::Job(name) => t!("console-regie", name = name),
    }
}

/// A change in words: what was done, to what by its name, with its page; all of it below.
fn what(app: &App, change: &Change) -> Markup {
    let json = serde_json::to_value(change).unwrap_or_default();
    let sealed =
        matches!(change, Change::PartyPut { .. } | Change::ReportFiled { .. } | Change::GroupingPut { .. });
    html! {
        (changes::words(app, change))
        @if !sealed {
            details { summary class="small" { (t!("console-all-of-it")) } pre { (serde_json::to_string_pretty(&json).unwrap_or_default()) } }
        }
    }
}
