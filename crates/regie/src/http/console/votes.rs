//! Elections, referendums and legislative processes that the publisher keeps: list, form, import from a file.

use super::{
    HOUSE, HOUSE_READ, OPERATES, act, action,
    form::{Data, Form},
    layout, page, twin, ui, whole_house,
};
use crate::http::{AppState, Route, auth::Caller, problem::Problem};
use crate::i18n::rooms::say;
use crate::{t, th};
use axum::{
    Json,
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use maud::{Markup, html};
use regie_model::{
    Day, ElectionId, Faults,
    booking::{ElectionSpec, VoteKind},
    command::Command,
};
use serde::Deserialize;
use serde_json::json;

/// Lines of one import at most.
pub const IMPORT_COUNT_MAX: usize = 2_000;
/// Columns of an import.
pub const COLUMNS: &str = "name,kind,country,held_on,restricted_from,silent_from,official_url";

/// The module's routes.
pub fn routes() -> Vec<Route> {
    vec![
        page("/console/elections", HOUSE, get(show)),
        twin("console", "/v1/elections", HOUSE_READ, get(api)),
        action("/console/elections", OPERATES, post(save)),
        action("/console/elections/import", OPERATES, post(import)),
    ]
}

/// `GET /v1/elections`: the publisher's list; a command `put_election` adds to it or changes one.
async fn api(State(app): State<AppState>, caller: Caller) -> Result<Response, Problem> {
    whole_house(&caller)?;
    let catalogue = app.platform.catalogue();
    let rows = catalogue.elections.iter().map(|(id, kept)| {
        json!({
            "id": id, "revision": kept.revision, "changed_at": kept.changed_at, "spec": kept.spec,
            "restricted_from": kept.spec.restricted_from(),
        })
    });
    let rows: Vec<_> = rows.collect();
    Ok(Json(json!({ "elections": rows })).into_response())
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Editing {
    /// The vote to change.
    edit: String,
}

async fn show(State(app): State<AppState>, caller: Caller, Query(query): Query<Editing>) -> layout::Html {
    let data = match query.edit.as_str() {
        "" => Data::default(),
        id => current(&app, id.parse().map_err(|_| act::missing(id))?)?,
    };
    Ok(render(&app, &caller, StatusCode::OK, &data, &Faults::new(), None))
}

/// A vote as its form shows it.
fn current(app: &AppState, id: ElectionId) -> Result<Data, Problem> {
    let kept = app.platform.catalogue().elections.get(&id).cloned().ok_or_else(|| act::missing(id))?;
    let spec = kept.spec;
    let mut data = Data::default();
    data.set("id", id);
    data.set("revision", kept.revision);
    data.set("name", spec.name);
    data.set("kind", kind_word(spec.kind));
    data.set("country", spec.country);
    data.set("held_on", spec.held_on);
    data.set_some("restricted_from", spec.restricted_from);
    data.set_some("silent_from", spec.silent_from);
    data.set_some("official_url", spec.official_url);
    Ok(data)
}
fn kind_word(kind: VoteKind) -> &'static str {
    match kind {
        VoteKind::Election => "election",
        VoteKind::Referendum => "referendum",
        VoteKind::LegislativeProcess => "legislative_process",
    }
}

fn render(
    app: &AppState,
    caller: &Caller,
    status: StatusCode,
    data: &Data,
    faults: &Faults,
    theirs: Option<&Data>,
) -> Response {
    let elections = app.platform.catalogue().elections.clone();
    let may = caller.may_operate();
    let body = html! {
        p class="lead" { (t!("console-votes-and-laws-that-political")) }
        div class="card flush" {
            @if elections.is_empty() { (ui::empty(t!("console-none-yet"))) }
            @else { div class="scroll" { table {
                thead { tr { th { (t!("words-day")) } th { (t!("words-name")) } th { (t!("words-kind")) } th { (t!("console-where")) } th { (t!("console-restricted-from")) } th { (t!("console-silent-from")) } th {} } }
                tbody { @for (id, kept) in &elections { tr {
                    td class="nowrap" { (ui::day(kept.spec.held_on)) } th scope="row" { (kept.spec.name) " " span class="small muted" { (id) } }
                    td { (say(kept.spec.kind.word())) } td { (kept.spec.country) } td class="nowrap" { (ui::day(kept.spec.restricted_from())) }
                    td class="nowrap" { @match kept.spec.silent_from { Some(day) => (ui::day(day)), None => "\u{2013}" } }
                    td { @if may { a class="btn" href={ "/console/elections?edit=" (id) "#vote" } { (t!("words-edit")) } } }
                } } }
            } } }
        }
        @if may { div class="grid" { (form(caller, &Form { data, faults, theirs })) (import_form(caller, data, faults)) } }
    };
    let frame = layout::Frame::new(t!("words-elections"), "/console/elections");
    layout::console_with(status, app, caller, &frame, &body)
}

fn form(caller: &Caller, form: &Form<'_>) -> Markup {
    let kinds = [
        ("election", t!("console-election")),
        ("referendum", t!("console-referendum")),
        ("legislative_process", t!("console-legislative-process")),
    ];
    let is_import = form.faults.0.iter().any(|fault| is_of_import(&fault.field));
    let fields = html! {
        @if form.data.has("id") { input type="hidden" name="id" value=(form.data.get("id")); }
        (form.field("name", t!("words-name")).required())
        (form.field("kind", t!("words-kind")).select(kinds).required())
        (form.field("country", t!("console-country-such-as-fr-or")).required())
        (form.field("held_on", t!("console-day-of-the-vote")).date().required())
        (form.field("restricted_from", t!("console-only-some-sponsors-from")).date())
        (form.field("silent_from", t!("console-no-linked-ad-from")).date())
        (form.field("official_url", t!("words-official-information-on-taking-part")).url())
    };
    html! {
        section class="card" id="vote" {
            h2 { @if form.data.has("id") { (t!("console-change-the-vote", id = form.data.get("id"))) } @else { (t!("console-add-a-vote")) } }
            @if is_import {
                (Form { data: &Data::default(), faults: &Faults::new(), theirs: None }.wrap(caller, "/console/elections", &fields, t!("words-save"), "/console/elections"))
            } @else { (form.wrap(caller, "/console/elections", &fields, t!("words-save"), "/console/elections")) }
        }
    }
}
/// Faults of an import name lines, those of the form its fields.
fn is_of_import(field: &str) -> bool {
    !["name", "kind", "country", "held_on", "restricted_from", "silent_from", "official_url", "id"]
        .contains(&field)
}
fn import_form(caller: &Caller, data: &Data, faults: &Faults) -> Markup {
    let wrong: Vec<_> = faults.0.iter().filter(|fault| is_of_import(&fault.field)).collect();
    html! {
        form class="card" method="post" action="/console/elections/import" enctype="multipart/form-data" {
            (layout::csrf(caller))
            h2 { (t!("console-import-from-a-file")) }
            @if !wrong.is_empty() { div class="note bad" role="alert" { ul { @for fault in &wrong { li { (fault.field) ": " (say(&fault.message)) } } } } }
            p { (th!("console-csv-with-the-columns-the", code = html! { code class="wrap-any" { (COLUMNS) } })) }
            div class="field" { label for="v-file" { (t!("console-file")) } input id="v-file" type="file" name="file" accept=".csv,text/csv"; }
            div class="field" { label for="v-text" { (t!("console-or-its-lines")) } textarea id="v-text" name="text" rows="4" { "\n" (data.get("text")) } }
            button class="primary" { (t!("console-import")) }
        }
    }
}

/// An election of named texts.
fn spec(text: &dyn Fn(&str) -> String, faults: &mut Faults) -> ElectionSpec {
    let mut day = |name: &str, needed: bool| {
        let given = text(name);
        let parsed = Day::parse(&given);
        let wrong = parsed.is_none() && (needed || !given.is_empty());
        faults.when(wrong, name, "malformed", t!("console-a-day-such-as-2027"));
        parsed
    };
    let (held_on, restricted_from, silent_from) =
        (day("held_on", true).unwrap_or_default(), day("restricted_from", false), day("silent_from", false));
    let kind = match text("kind").as_str() {
        "referendum" => VoteKind::Referendum,
        "legislative_process" => VoteKind::LegislativeProcess,
        "election" | "" => VoteKind::Election,
        _ => {
            faults.add("kind", "unknown", t!("console-election-referendum-or-legislative-process"));
            VoteKind::Election
        }
    };
    ElectionSpec {
        name: text("name"),
        kind,
        country: text("country"),
        held_on,
        restricted_from,
        silent_from,
        official_url: Some(text("official_url")).filter(|t| !t.is_empty()),
    }
}

async fn save(State(app): State<AppState>, caller: Caller, mut data: Data) -> layout::Html {
    let mut faults = Faults::new();
    let spec = spec(&|name| data.text(name), &mut faults);
    let id: Option<ElectionId> = data.get("id").trim().parse().ok();
    let command = Command::PutElection { id, revision: data.get("revision").parse().ok(), spec };
    match act::submit(&app, &caller, command, faults).await? {
        act::Sent::Done(_) => Ok(layout::go("/console/elections")),
        act::Sent::Faults(faults) => {
            Ok(render(&app, &caller, StatusCode::UNPROCESSABLE_ENTITY, &data, &faults, None))
        }
        act::Sent::Conflict => {
            let theirs = current(&app, id.unwrap_or_default())?;
            data.set("revision", theirs.get("revision"));
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            Ok(render(&app, &caller, status, &data, &Faults::new(), Some(&theirs)))
        }
    }
}

/// The commands of an import's lines: known ones are changed, others made.
///
/// # Errors
/// Every line that cannot be read, by its number.
pub fn commands(
    known: &std::collections::BTreeMap<ElectionId, regie_model::catalogue::Kept<ElectionSpec>>,
    text: &str,
) -> Result<Vec<Command>, Faults> {
    let mut faults = Faults::new();
    let mut reader =
        csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(text.as_bytes());
    let names: Vec<String> =
        reader.headers().map(|h| h.iter().map(str::to_owned).collect()).unwrap_or_default();
    for needed in ["name", "country", "held_on"] {
        faults.when(
            !names.iter().any(|n| n == needed),
            "file",
            "missing",
            t!("console-the-column-is-missing", needed = needed),
        );
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let mut commands = Vec::new();
    for (index, record) in reader.records().enumerate().take(IMPORT_COUNT_MAX + 1) {
        let line = index + 2;
        let Ok(record) = record else {
            faults.add(format!("line {line}"), "malformed", t!("console-it-cannot-be-read-as"));
            continue;
        };
        let value = |name: &str| {
            let at = names.iter().position(|n| n == name);
            at.and_then(|at| record.get(at)).unwrap_or("").to_owned()
        };
        let mut own = Faults::new();
        let spec = spec(&value, &mut own);
        spec.check(&mut own);
        own.0.into_iter().for_each(|f| {
            faults.add(t!("console-line", line = line, field = f.field), "malformed", f.message)
        });
        let same =
            |s: &ElectionSpec| s.name == spec.name && s.country == spec.country && s.held_on == spec.held_on;
        let id = known.iter().find(|(_, kept)| same(&kept.spec)).map(|(id, _)| *id);
        commands.push(Command::PutElection { id, revision: None, spec });
    }
    faults.when(commands.is_empty(), "file", "missing", t!("console-there-is-no-line-below"));
    let full = commands.len() > IMPORT_COUNT_MAX;
    faults.when(full, "file", "too_many", t!("console-at-most-lines", IMPORT_COUNT_MAX = IMPORT_COUNT_MAX));
    if faults.is_empty() { Ok(commands) } else { Err(faults) }
}

async fn import(State(app): State<AppState>, caller: Caller, data: Data) -> layout::Html {
    let text = match data.file("file") {
        Some(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        None => data.text("text"),
    };
    let known = app.platform.catalogue().elections.clone();
    match commands(&known, &text) {
        Ok(commands) => {
            act::run(&app, &caller, commands).await?;
            Ok(layout::go("/console/elections"))
        }
        Err(faults) => Ok(render(&app, &caller, StatusCode::UNPROCESSABLE_ENTITY, &data, &faults, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_import_names_every_line_that_is_wrong() {
        let none = std::collections::BTreeMap::new();
        let good = format!(
            "{COLUMNS}\nMunicipal election,election,FR,2029-03-15,,2029-03-14,https://vote.example/\n"
        );
        let made = commands(&none, &good).unwrap();
        let [Command::PutElection { id: None, spec, .. }] = made.as_slice() else { panic!("{made:?}") };
        assert_eq!((spec.silent_from, spec.restricted_from), (Day::parse("2029-03-14"), None));
        assert_eq!(spec.restricted_from().to_string(), "2028-12-13");
        let bad = format!(
            "{COLUMNS}\n,plebiscite,France,soon,,,\nX,election,FR,2029-03-15,2029-04-01,,http://vote.example/\n"
        );
        let told = commands(&none, &bad).unwrap_err().to_string();
        for part in [
            "line 2, name",
            "line 2, kind",
            "line 2, country",
            "line 2, held_on",
            "line 3, restricted_from",
            "line 3, official_url",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
        assert!(commands(&none, "name;country\n").is_err());
        assert!(commands(&none, COLUMNS).is_err());
    }
}
