//! Groupings of sponsors that the publisher keeps: which belong to one person, party or organisation, by what evidence, who says so.
//! What is said is sealed before it is journalled (J1), published in the record, and may be disputed there by anybody.

use super::{
    HOUSE, HOUSE_READ, OPERATES, act, action,
    form::{Data, Form},
    layout, page, twin, ui, whole_house,
};
use crate::http::{AppState, Route, auth::Caller, problem::Problem};
use crate::platform::commands::CommandError;
use crate::t;
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use maud::{Markup, html};
use regie_model::{
    Faults, GroupingId, PartyId,
    booking::{GroupingSpec, GroupingWords, check_grouped},
    catalogue::{Catalogue, Kept},
    command::{Change, Refusal},
    limits::TEXT_CHARS_MAX,
};
use serde_json::json;

/// Groupings at most.
pub const GROUPINGS_MAX: usize = 10_000;

/// The module's routes.
pub fn routes() -> Vec<Route> {
    vec![
        page("/console/groupings", HOUSE, get(show)),
        twin("console", "/v1/groupings", HOUSE_READ, get(api)),
        action("/console/groupings", OPERATES, post(save)),
        action("/console/groupings/{id}/withdraw", OPERATES, post(withdraw)),
    ]
}

/// `GET /v1/groupings`: every grouping with its words, unless they were withdrawn and erased.
async fn api(State(app): State<AppState>, caller: Caller) -> Result<Response, Problem> {
    whole_house(&caller)?;
    let kept: Vec<(GroupingId, Kept<GroupingSpec>)> =
        app.platform.catalogue().groupings.iter().map(|(id, kept)| (*id, kept.clone())).collect();
    let mut rows = Vec::with_capacity(kept.len());
    for (id, kept) in kept {
        let words = words_of(&app, &kept.spec)?;
        rows.push(json!({
            "id": id, "sponsors": kept.spec.sponsors, "changed_at": kept.changed_at, "withdrawn": kept.spec.withdrawn,
            "said": words.map(|w| json!({ "name": w.name, "evidence": w.evidence, "evidence_url": w.evidence_url, "author": w.author })),
        }));
    }
    Ok(Json(json!({ "groupings": rows })).into_response())
}

async fn show(State(app): State<AppState>, caller: Caller) -> layout::Html {
    render(&app, &caller, &Data::default(), &Faults::new())
}

fn words_of(app: &AppState, spec: &GroupingSpec) -> Result<Option<GroupingWords>, Problem> {
    app.platform.secrets.unseal_as(&spec.said).map_err(Problem::internal)
}

fn render(app: &AppState, caller: &Caller, data: &Data, faults: &Faults) -> layout::Html {
    let kept: Vec<(GroupingId, Kept<GroupingSpec>)> =
        app.platform.catalogue().groupings.iter().map(|(id, kept)| (*id, kept.clone())).collect();
    let mut lines = Vec::new();
    for (id, kept) in kept.iter().rev() {
        lines.push(line(app, caller, *id, kept, words_of(app, &kept.spec)?));
    }
    let body = html! {
        p class="lead" { (t!("groupings-lead")) }
        div class="card flush" {
            @if lines.is_empty() { (ui::empty(t!("groupings-none"))) }
            @else { div class="scroll" { table {
                thead { tr { th { (t!("groupings-whose")) } th { (t!("groupings-sponsors")) } th { (t!("groupings-evidence")) } th { (t!("groupings-author")) } th { (t!("groupings-since")) } th {} } }
                tbody { @for line in &lines { (line) } }
            } } }
        }
        @if caller.may_operate() { (form(caller, data, faults)) }
    };
    let frame = layout::Frame::new(t!("groupings-title"), "/console/groupings");
    let status = if faults.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    Ok(layout::console_with(status, app, caller, &frame, &body))
}

fn line(
    app: &AppState,
    caller: &Caller,
    id: GroupingId,
    kept: &Kept<GroupingSpec>,
    words: Option<GroupingWords>,
) -> Markup {
    let zone = act::zone(app);
    let words = words.unwrap_or_default();
    html! { tr {
        th scope="row" { @if words.name.is_empty() { (t!("groupings-erased")) } @else { (words.name) } " " span class="small muted" { (id) } }
        td { @for sponsor in &kept.spec.sponsors { div { a href={ "/record/sponsors/" (sponsor) } { (sponsor) } } } }
        td { (words.evidence) @if !words.evidence_url.is_empty() { " " a href=(words.evidence_url) rel="noopener" { (t!("groupings-where")) } } }
        td { (words.author) }
        td class="nowrap" { (ui::when(kept.changed_at, &zone)) }
        td { @match &kept.spec.withdrawn {
            Some(why) => { (ui::badge("warn", t!("groupings-withdrawn"))) " " (why) },
            None if caller.may_operate() => form method="post" action={ "/console/groupings/" (id) "/withdraw" } data-confirm=(t!("groupings-withdraw-sure")) {
                (layout::csrf(caller))
                label class="small" { (t!("groupings-why")) " " input name="reason" required maxlength="200"; }
                " " button class="danger" { (t!("groupings-withdraw")) }
            },
            None => {},
        } }
    } }
}

fn form(caller: &Caller, data: &Data, faults: &Faults) -> Markup {
    let form = Form { data, faults, theirs: None };
    let fields = html! {
        (form.field("id", t!("groupings-number")))
        (form.field("name", t!("groupings-name")).required())
        (form.field("sponsors", t!("groupings-sponsors-field")).required())
        (form.field("evidence", t!("groupings-evidence-field")).area(3).required())
        (form.field("evidence_url", t!("groupings-url")).url())
        (form.field("author", t!("groupings-author-field")).required())
    };
    html! {
        section class="card" {
            h2 { (t!("groupings-add")) }
            (form.wrap(caller, "/console/groupings", &fields, t!("groupings-save"), "/console/groupings"))
        }
    }
}

/// The sponsors of a text: numbers, apart by commas or spaces.
fn sponsors(text: &str, faults: &mut Faults) -> Vec<PartyId> {
    let mut found = Vec::new();
    for one in text.split([',', ' ', ';', '\n']).map(str::trim).filter(|one| !one.is_empty()) {
        match one.parse() {
            Ok(id) => found.push(id),
            Err(_) => faults.add("sponsors", "malformed", t!("groupings-no-sponsor", text = one)),
        }
    }
    found
}

async fn save(State(app): State<AppState>, caller: Caller, data: Data) -> layout::Html {
    let mut faults = Faults::new();
    let sponsors = sponsors(data.get("sponsors"), &mut faults);
    let words = GroupingWords {
        name: data.text("name"),
        evidence: data.text("evidence"),
        evidence_url: data.text("evidence_url"),
        author: data.text("author"),
    };
    words.check(&mut faults);
    let given: Option<GroupingId> = data.get("id").trim().parse().ok();
    faults.when(given.is_none() && data.has("id"), "id", "malformed", "A grouping is written grp_1.");
    {
        let catalogue = app.platform.catalogue();
        check_grouped(&sponsors, &|id| catalogue.parties.contains_key(&id), &mut faults);
        let live = |id: &GroupingId| catalogue.groupings.get(id).is_some_and(|g| g.spec.withdrawn.is_none());
        faults.when(given.is_some_and(|id| !live(&id)), "id", "unknown", t!("groupings-no-such"));
        let full = given.is_none() && catalogue.groupings.len() >= GROUPINGS_MAX;
        faults.when(full, "name", "too_many", t!("groupings-too-many", max = GROUPINGS_MAX));
    }
    if !faults.is_empty() {
        return render(&app, &caller, &data, &faults);
    }
    let platform = std::sync::Arc::clone(&app.platform);
    let make = move |catalogue: &Catalogue| {
        let key = given.and_then(|id| catalogue.groupings.get(&id)).map(|g| g.spec.said.key);
        let said = platform.secrets.seal(&words, key, catalogue.last_person_key);
        let said = said.map_err(|e| CommandError::Internal(e.to_string()))?;
        let next = || GroupingId(catalogue.groupings.last_key_value().map_or(1, |(id, _)| id.0 + 1));
        let id = given.unwrap_or_else(next);
        let spec = GroupingSpec { sponsors, said, withdrawn: None };
        Ok((vec![Change::GroupingPut { id, spec }], id.to_string()))
    };
    act::record(&app, &caller, make).await.map_err(Problem::from)?;
    Ok(layout::go("/console/groupings"))
}

async fn withdraw(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    data: Data,
) -> Result<Response, layout::PageError> {
    let missing = || Problem::not_found("grouping of this number");
    let id: GroupingId = id.parse().map_err(|_| missing())?;
    let mut faults = Faults::new();
    let reason = data.text("reason");
    faults.text("reason", &reason, TEXT_CHARS_MAX);
    if !faults.is_empty() {
        return render(&app, &caller, &Data::default(), &faults);
    }
    let key = app.platform.catalogue().groupings.get(&id).map(|g| g.spec.said.key).ok_or_else(missing)?;
    let make = move |catalogue: &Catalogue| {
        let kept = catalogue.groupings.get(&id).filter(|g| g.spec.withdrawn.is_none());
        let kept = kept.ok_or(CommandError::Refused(Refusal::NotFound(id.to_string())))?;
        let spec = GroupingSpec { withdrawn: Some(reason), ..kept.spec.clone() };
        // What it said goes with it: from the journal by its key, from the record under a tombstone.
        let erased = Change::PersonErased { key, reason: format!("words of {id}, withdrawn") };
        Ok((vec![Change::GroupingPut { id, spec }, erased], id.to_string()))
    };
    act::record(&app, &caller, make).await.map_err(Problem::from)?;
    app.platform.secrets.erase_person(key).map_err(Problem::internal)?;
    Ok(layout::go("/console/groupings"))
}
