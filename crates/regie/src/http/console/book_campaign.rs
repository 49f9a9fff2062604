//! Booking a campaign: objective, money, dates, sponsor and payer, and the declaration of a political one.

use super::{
    BOOKS, act, action,
    form::{Data, Form, micros_text},
    layout, page,
};
use crate::http::{App, AppState, Route, auth::Caller, booking};
use crate::t;
use axum::{
    extract::{Path, State},
    http::StatusCode,
    routing::{get, post},
};
use maud::{Markup, html};
use regie_model::{
    CampaignId, Currency, Faults, UtcMs, Zone,
    booking::*,
    command::{Command, EntityRef},
};

/// The module's routes.
pub fn routes() -> Vec<Route> {
    vec![
        page("/console/campaigns/new", BOOKS, get(new)),
        action("/console/campaigns", BOOKS, post(create)),
        page("/console/campaigns/{id}/edit", BOOKS, get(edit)),
        action("/console/campaigns/{id}", BOOKS, post(save)),
    ]
}

/// What a campaign may be for: value, words, objective.
pub(super) const OBJECTIVES: [(&str, &str, Objective); 4] = [
    ("impressions", "To be shown", Objective::Impressions),
    ("viewable_impressions", "To be seen", Objective::ViewableImpressions),
    ("clicks", "To be clicked", Objective::Clicks),
    ("conversions", "To bring about an action", Objective::Conversions),
];
/// An objective in words.
pub fn objective_word(objective: Objective) -> &'static str {
    OBJECTIVES.iter().find(|(_, _, o)| *o == objective).map_or("", |(_, words, _)| words)
}

/// A campaign before anything is typed.
pub(super) fn blank(app: &App, caller: &Caller) -> Data {
    let mut data = Data::default();
    let zone = act::zone(app);
    let tomorrow = zone.day_start(regie_model::Day(zone.day(app.platform.now()).0 + 1));
    data.set("flight.starts_at", zone.input_text(tomorrow));
    data.set("objective", "impressions");
    if let Some(own) = caller.scope_filter() {
        data.set("advertiser", own);
    }
    data
}
async fn new(State(app): State<AppState>, caller: Caller) -> layout::Html {
    let data = blank(&app, &caller);
    Ok(show(&app, &caller, None, &data, &Faults::new(), None))
}

async fn edit(State(app): State<AppState>, caller: Caller, Path(id): Path<String>) -> layout::Html {
    let id: CampaignId = id.parse().map_err(|_| act::missing(&id))?;
    let data = current(&app, &caller, id)?;
    Ok(show(&app, &caller, Some(id), &data, &Faults::new(), None))
}

fn current(app: &App, caller: &Caller, id: CampaignId) -> Result<Data, layout::PageError> {
    let catalogue = app.platform.catalogue();
    let advertiser = act::see_campaign(&catalogue, caller, id)?;
    let kept = catalogue.campaigns.get(&id).ok_or_else(|| act::missing(id))?;
    let mut data = fill(&kept.spec, &act::account_zone(&catalogue, advertiser));
    data.set("revision", kept.revision);
    Ok(data)
}

fn fill(spec: &CampaignSpec, zone: &Zone) -> Data {
    let mut data = Data::default();
    data.set("advertiser", spec.advertiser);
    data.set("name", &spec.name);
    let objective = OBJECTIVES.iter().find(|(_, _, o)| *o == spec.objective).map_or("", |(v, _, _)| v);
    data.set("objective", objective);
    data.tick("roadblock", spec.roadblock);
    data.set("flight.starts_at", zone.input_text(spec.flight.starts_at));
    data.set_some("flight.ends_at", spec.flight.ends_at.map(|end| zone.input_text(end)));
    data.set_some("lifetime_budget_micros", spec.lifetime_budget_micros.map(micros_text));
    data.set_some("daily_budget_micros", spec.daily_budget_micros.map(micros_text));
    data.set("sponsor", spec.sponsor);
    data.set("payer", spec.payer);
    data.set_some("external_id", spec.external_id.as_ref());
    if let Some(declaration) = &spec.political {
        data.set("political", "on");
        fill_declaration(&mut data, declaration);
    }
    data
}
fn fill_declaration(data: &mut Data, declaration: &Declaration) {
    for (row, process) in declaration.linked.iter().enumerate() {
        let at = |field: &str| format!("political.linked[{row}].{field}");
        data.set(at("name"), &process.name);
        data.set_some(at("election"), process.election);
        data.set_some(at("held_on"), process.held_on);
        data.set_some(at("official_url"), process.official_url.as_ref());
    }
    for (row, other) in declaration.other_providers.iter().enumerate() {
        let at = |field: &str| format!("political.other_providers[{row}].{field}");
        data.set(at("provider"), &other.provider);
        data.set_some(at("amount_micros"), other.amount_micros.map(micros_text));
        data.set_some(at("currency"), other.currency);
        data.set(at("in_kind"), &other.in_kind);
    }
    data.set("political.right_missing", &declaration.right_missing);
    for (name, on) in [
        ("political.no_linked_process", declaration.no_linked_process),
        ("political.no_other_provider", declaration.no_other_provider),
        ("political.origin.public", declaration.origin.public),
        ("political.origin.private", declaration.origin.private),
        ("political.origin.inside_union", declaration.origin.inside_union),
        ("political.origin.outside_union", declaration.origin.outside_union),
        ("political.ai_used", declaration.ai_used),
        ("political.confirmed", declaration.confirmed),
    ] {
        data.tick(name, on);
    }
}

/// What a form says of a campaign; faults by field.
pub(super) fn read(app: &App, data: &mut Data, faults: &mut Faults) -> CampaignSpec {
    data.compact("political.linked", &["name", "held_on", "official_url"]);
    data.compact("political.other_providers", &["provider", "amount_micros", "in_kind"]);
    let advertiser = data.id("advertiser", faults);
    let zone = act::account_zone(&app.platform.catalogue(), advertiser);
    let starts_at = data.time_opt("flight.starts_at", &zone, faults).unwrap_or_else(|| {
        if !data.has("flight.starts_at") {
            faults.add("flight.starts_at", "missing", t!("booking-when-shall-it-begin"));
        }
        UtcMs(0)
    });
    let objective = OBJECTIVES.iter().find(|(v, _, _)| *v == data.get("objective")).map(|(_, _, o)| *o);
    faults.when(objective.is_none(), "objective", "missing", t!("booking-choose-what-the-campaign-is"));
    CampaignSpec {
        advertiser,
        name: data.text("name"),
        objective: objective.unwrap_or(Objective::Impressions),
        flight: Flight { starts_at, ends_at: data.time_opt("flight.ends_at", &zone, faults) },
        lifetime_budget_micros: data.micros_opt("lifetime_budget_micros", faults),
        daily_budget_micros: data.micros_opt("daily_budget_micros", faults),
        sponsor: data.id("sponsor", faults),
        payer: data.id("payer", faults),
        political: data.has("political").then(|| read_declaration(data, faults)),
        roadblock: data.has("roadblock"),
        adapt: None,
        external_id: Some(data.text("external_id")).filter(|t| !t.is_empty()),
    }
}
fn read_declaration(data: &Data, faults: &mut Faults) -> Declaration {
    let mut linked = Vec::new();
    // What is typed below a ticked "none" is hidden, and does not count.
    let rows = |none: &str, list: &str| if data.has(none) { 0 } else { data.rows(list) };
    for row in 0..rows("political.no_linked_process", "political.linked") {
        let at = |field: &str| format!("political.linked[{row}].{field}");
        let day = data.text(&at("held_on"));
        let held_on = regie_model::Day::parse(&day);
        faults.when(
            !day.is_empty() && held_on.is_none(),
            at("held_on"),
            "malformed",
            t!("booking-a-day-as-2027-03"),
        );
        let official_url = Some(data.text(&at("official_url"))).filter(|t| !t.is_empty());
        let election = data.get(&at("election")).trim().parse().ok();
        linked.push(LinkedProcess { name: data.text(&at("name")), election, held_on, official_url });
    }
    let mut other_providers = Vec::new();
    for row in 0..rows("political.no_other_provider", "political.other_providers") {
        let at = |field: &str| format!("political.other_providers[{row}].{field}");
        let code = data.text(&at("currency"));
        let currency = code.parse::<Currency>().ok();
        faults.when(
            !code.is_empty() && currency.is_none(),
            at("currency"),
            "malformed",
            t!("words-three-capital-letters-such-as"),
        );
        let amount_micros = data.micros_opt(&at("amount_micros"), faults);
        other_providers.push(OtherProvider {
            provider: data.text(&at("provider")),
            amount_micros,
            currency,
            in_kind: data.text(&at("in_kind")),
        });
    }
    Declaration {
        linked,
        no_linked_process: data.has("political.no_linked_process"),
        other_providers,
        no_other_provider: data.has("political.no_other_provider"),
        origin: Origin {
            public: data.has("political.origin.public"),
            private: data.has("political.origin.private"),
            inside_union: data.has("political.origin.inside_union"),
            outside_union: data.has("political.origin.outside_union"),
        },
        ai_used: data.has("political.ai_used"),
        right_missing: data.text("political.right_missing"),
        confirmed: data.has("political.confirmed"),
    }
}

async fn create(State(app): State<AppState>, caller: Caller, data: Data) -> layout::Html {
    put(&app, &caller, None, data).await
}
async fn save(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    data: Data,
) -> layout::Html {
    let id: CampaignId = id.parse().map_err(|_| act::missing(&id))?;
    put(&app, &caller, Some(id), data).await
}
async fn put(app: &AppState, caller: &Caller, id: Option<CampaignId>, mut data: Data) -> layout::Html {
    let mut faults = Faults::new();
    let mut spec = read(app, &mut data, &mut faults);
    // Booked on a page of its own: an edit here keeps it.
    spec.adapt = id.and_then(|id| app.platform.catalogue().campaigns.get(&id)?.spec.adapt.clone());
    let command = Command::PutCampaign { id, revision: data.get("revision").parse().ok(), spec };
    match act::submit(app, caller, command, faults).await? {
        act::Sent::Done(done) => {
            if id.is_none() && data.has("draft") {
                let entity = regie_model::command::EntityRef::Campaign(done.parse().unwrap_or_default());
                let status = regie_model::booking::Status::Draft;
                act::run(app, caller, vec![Command::SetStatus { entity, status }]).await?;
            }
            Ok(layout::go(format!("/console/campaigns/{done}")))
        }
        act::Sent::Faults(faults) => Ok(show(app, caller, id, &data, &faults, None)),
        act::Sent::Conflict => {
            let theirs = current(app, caller, id.unwrap_or_default())?;
            data.set("revision", theirs.get("revision"));
            Ok(show(app, caller, id, &data, &Faults::new(), Some(&theirs)))
        }
    }
}

/// What a list offers: (value, words).
pub(super) type Options = Vec<(String, String)>;

/// Advertisers and parties that the caller may choose.
pub(super) fn choices(app: &App, caller: &Caller) -> (Options, Options) {
    let catalogue = app.platform.catalogue();
    let named = |id: String, name: &str| (id.clone(), format!("{name} ({id})"));
    let advertisers = catalogue.advertisers.iter().filter(|(id, _)| caller.may_see(**id));
    let advertisers = advertisers.map(|(id, a)| named(id.to_string(), &a.spec.name)).collect();
    let seen = |id| booking::scope::may_see(&catalogue, caller, EntityRef::Party(id));
    let parties = catalogue.parties.keys().filter(|id| seen(**id));
    (advertisers, parties.map(|id| named(id.to_string(), &act::party_name(app, *id))).collect())
}

/// Votes and processes that the publisher keeps, for a list; empty where it keeps none.
pub(super) fn votes(app: &App) -> Options {
    let catalogue = app.platform.catalogue();
    let words = |spec: &ElectionSpec| format!("{}, {}", spec.name, spec.held_on);
    let mut all: Options =
        catalogue.elections.iter().map(|(id, e)| (id.to_string(), words(&e.spec))).collect();
    if !all.is_empty() {
        all.insert(0, (String::new(), t!("booking-choose").to_owned()));
    }
    all
}

fn show(
    app: &AppState,
    caller: &Caller,
    id: Option<CampaignId>,
    data: &Data,
    faults: &Faults,
    theirs: Option<&Data>,
) -> axum::response::Response {
    let form = Form { data, faults, theirs };
    let fields = html! {
        (basics(&form, &choices(app, caller)))
        (declaration(&form, &votes(app)))
        @if id.is_none() { (form.field("draft", t!("booking-keep-as-a-draft")).check().hint(t!("booking-a-draft-is-not-served"))) }
        details { summary { (t!("words-for-imports")) } (form.field("external_id", t!("words-your-own-id")).hint(t!("booking-sending-the-same-id-again"))) }
    };
    let (title, to, back) = match id {
        Some(id) => (
            t!("booking-edit-the-campaign"),
            format!("/console/campaigns/{id}"),
            format!("/console/campaigns/{id}"),
        ),
        None => {
            (t!("words-book-a-campaign"), "/console/campaigns".to_owned(), "/console/campaigns".to_owned())
        }
    };
    let body = form.wrap(
        caller,
        &to,
        &fields,
        if id.is_some() { t!("booking-save-the-campaign") } else { t!("booking-book-the-campaign") },
        &back,
    );
    let status =
        if faults.is_empty() && theirs.is_none() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let frame =
        layout::Frame::new(title, "/console/campaigns").crumb("/console/campaigns", t!("words-campaigns"));
    layout::console_with(status, app, caller, &frame, &body)
}

/// Goal, money and dates, and for whom.
pub(super) fn basics(form: &Form<'_>, (advertisers, parties): &(Options, Options)) -> Markup {
    html! {
        fieldset {
            legend { (t!("booking-what-and-for-whom")) }
            (form.field("name", t!("words-name")).hint(t!("words-for-you-readers-do-not")).required())
            (form.field("advertiser", t!("words-advertiser")).select(advertisers.clone()).hint(t!("booking-who-is-billed-cannot-change")).required())
            div class="row" {
                (form.field("sponsor", t!("words-sponsor")).select(parties.clone()).hint(t!("booking-on-whose-behalf-the-ads")).required())
                (form.field("payer", t!("words-payer")).select(parties.clone()).hint(t!("booking-who-pays-for-them-public")).required())
            }
            p { a href="/console/parties/new" { (t!("words-add-a-sponsor-or-payer")) } }
            (form.field("objective", t!("words-objective")).select(OBJECTIVES.map(|(v, w, _)| (v, w))).required())
            (form.field("roadblock", t!("booking-takes-all-places-of-a")).check().hint(t!("booking-a-roadblock-its-ad-sets")))
        }
        fieldset {
            legend { (t!("booking-when-and-how-much")) }
            p { (t!("booking-times-are-those-of-the")) }
            div class="row" { (form.field("flight.starts_at", t!("booking-starts")).time().required()) (form.field("flight.ends_at", t!("booking-ends")).time().hint(t!("booking-this-moment-is-not-included"))) }
            div class="row" {
                (form.field("lifetime_budget_micros", t!("words-budget-in-all")).amount().unit(t!("words-in-the-account-s-currency")))
                (form.field("daily_budget_micros", t!("words-budget-a-day")).amount().unit(t!("words-in-the-account-s-currency")))
            }
        }
    }
}

fn declaration(form: &Form<'_>, votes: &Options) -> Markup {
    html! {
        fieldset {
            legend { (t!("booking-political-advertising")) }
            p { (t!("booking-by-for-or-on-behalf")) }
            (is_political(form))
            div class="declaration" {
                h3 { (t!("booking-declaration")) }
                (declared(form, votes))
            }
        }
    }
}
/// The question that decides whether there is a declaration.
pub(super) fn is_political(form: &Form<'_>) -> Markup {
    html! { (form.field("political", t!("booking-this-campaign-is-political")).check().hint(t!("booking-cannot-be-taken-back-later"))) }
}
/// The facts of a declaration. Rows of what there is none of are hidden by style, and not read.
pub(super) fn declared(form: &Form<'_>, votes: &Options) -> Markup {
    let linked = form.data.rows("political.linked") + 1;
    let others = form.data.rows("political.other_providers") + 1;
    html! {
        h3 { (t!("booking-linked-elections-referendums-legislative-pro")) }
        div class="unless" {
            (form.field("political.no_linked_process", t!("booking-there-is-none")).check())
            div class="rows" { @for row in 0..linked {
                @let at = |field: &str| format!("political.linked[{row}].{field}");
                div class="row" {
                    (form.field(at("name"), t!("words-name")).hint(t!("booking-such-as-municipal-election-example")))
                    @if !votes.is_empty() { (form.field(at("election"), t!("booking-the-publisher-s-number-for")).select(votes.clone()).hint(t!("booking-such-as-vote-3-where"))) }
                    (form.field(at("held_on"), t!("words-day")).date())
                    (form.field(at("official_url"), t!("words-official-information-on-taking-part")).url())
                }
            } }
        }
        (form.faults_at("political.linked"))
        h3 { (t!("booking-what-other-providers-received")) }
        div class="unless" {
            (form.field("political.no_other_provider", t!("booking-nobody-else-received-anything")).check())
            div class="rows" { @for row in 0..others {
                @let at = |field: &str| format!("political.other_providers[{row}].{field}");
                div class="row" {
                    (form.field(at("provider"), t!("words-who"))) (form.field(at("amount_micros"), t!("words-amount")).amount()) (form.field(at("currency"), t!("words-currency")))
                    (form.field(at("in_kind"), t!("booking-benefit-in-kind")))
                }
            } }
        }
        (form.faults_at("political.other_providers"))
        h3 { (t!("booking-where-the-money-comes-from")) }
        (form.field("political.origin.public", t!("booking-public-money")).check()) (form.field("political.origin.private", t!("booking-private-money")).check())
        (form.field("political.origin.inside_union", t!("booking-from-inside-the-union")).check()) (form.field("political.origin.outside_union", t!("booking-from-outside-the-union")).check())
        (form.faults_at("political.origin"))
        (form.field("political.ai_used", t!("booking-ai-was-used-to-target")).check())
        (form.field("political.right_missing", t!("booking-a-right-to-be-shown")).hint(t!("booking-such-as-the-licence-of")))
        (form.field("political.confirmed", t!("booking-these-facts-are-complete-and")).check())
    }
}
