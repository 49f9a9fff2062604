//! Users and tokens: who may sign in, and which programs may. Their names live apart from the journal.

use super::{
    OWNER, PEOPLE, action,
    form::{Data, Form},
    layout, page, ui,
};
use crate::http::{
    AppState, Route,
    accounts::people::{check_person, check_role, make_token, put_record},
    auth::{Caller, links},
    problem::Problem,
};
use crate::i18n::rooms::say;
use crate::{t, th};
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::Response,
    routing::{get, post},
};
use maud::{Markup, html};
use regie_model::{
    AdvertiserId, Faults, TokenId, UserId,
    booking::{Role, Scope, TokenRecord, UserRecord},
    command::Change,
    limits::NAME_CHARS_MAX,
};

/// The module's routes.
pub fn routes() -> Vec<Route> {
    vec![
        page("/console/users", PEOPLE, get(users)),
        action("/console/users", OWNER, post(add_user)),
        action("/console/users/{id}", OWNER, post(edit_user)),
        page("/console/tokens", PEOPLE, get(tokens)),
        action("/console/tokens", OWNER, post(add_token)),
        action("/console/tokens/{id}/revoke", OWNER, post(revoke)),
    ]
}

const ROLES: [(&str, &str, Role); 5] = [
    ("owner", "Owner: everything, users and settings included", Role::Owner),
    ("ad_operations", "Ad operations: inventory, bookings, approvals, billing", Role::AdOperations),
    ("advertiser", "Advertiser: books and reads for one advertiser", Role::Advertiser),
    ("read_only", "Read-only: reads everything but users", Role::ReadOnly),
    ("auditor", "Auditor: reads everything, history and users included", Role::Auditor),
];
const SCOPES: [(&str, &str, Scope); 6] = [
    ("read", "Read bookings and reports", Scope::Read),
    ("book", "Send booking commands", Scope::Book),
    ("operate", "Approve, stop, bill", Scope::Operate),
    ("conversions", "Report conversions", Scope::Conversions),
    ("decide", "Ask for decisions with facts about the visitor", Scope::Decide),
    ("metrics", "Read metrics", Scope::Metrics),
];

fn advertisers(app: &AppState) -> Vec<(String, String)> {
    let catalogue = app.platform.catalogue();
    let of = catalogue.advertisers.iter().map(|(id, a)| (id.to_string(), format!("{} ({id})", a.spec.name)));
    std::iter::once((String::new(), "none".to_owned())).chain(of).collect()
}

async fn users(State(app): State<AppState>, caller: Caller) -> layout::Html {
    users_page(&app, &caller, StatusCode::OK, &Data::default(), &Faults::new(), &ui::nothing())
}

fn users_page(
    app: &AppState,
    caller: &Caller,
    status: StatusCode,
    data: &Data,
    faults: &Faults,
    note: &Markup,
) -> layout::Html {
    let people = app.platform.secrets.users().map_err(Problem::internal)?;
    let records = app.platform.catalogue().users.clone();
    let owner = caller.is_one_of(&[Role::Owner], None);
    let form = Form { data, faults, theirs: None };
    let body = html! {
        (note)
        div class="card flush" { div class="scroll" { table {
            thead { tr { th { (t!("words-who")) } th { (t!("console-role")) } th { (t!("words-second-factor")) } th { (t!("console-state")) } th {} } }
            tbody { @for (id, record) in &records { @let person = people.iter().find(|p| p.id == *id);
                tr {
                    th scope="row" { (person.map_or("", |p| p.name.as_str())) span class="small muted" { (person.map_or("", |p| p.email.as_str())) " " (id) } }
                    td { (say(layout::role_word(Some(record.role)))) @if let Some(advertiser) = record.advertiser { span class="small muted" { (advertiser) } } }
                    td { (if person.is_some_and(|p| p.totp_on) { t!("console-switched-on") } else { t!("console-switched-off") }) }
                    td { @if !record.active { (ui::badge("", t!("console-closed"))) } @else if person.is_some_and(|p| p.password.is_some()) { (ui::badge("good", t!("console-active"))) } @else { (ui::badge("warn", t!("console-invited"))) } }
                    td class="right" { @if owner { (user_buttons(caller, *id, record.active)) } }
                }
            } }
        } } }
        @if owner {
            form class="card" method="post" action="/console/users" data-guard="" novalidate {
                h2 { (t!("console-invite-somebody")) }
                (form.summary()) (layout::csrf(caller))
                div class="row" { (form.field("email", t!("words-e-mail")).required()) (form.field("name", t!("words-name"))) }
                (form.field("role", t!("console-role")).select(ROLES.map(|(v, w, _)| (v, w))).required())
                (form.field("advertiser", t!("words-advertiser")).select(advertisers(app)).hint(t!("console-only-for-the-role-advertiser")))
                button class="primary" { (t!("console-make-the-invitation")) }
            }
        }
    };
    Ok(layout::console_with(
        status,
        app,
        caller,
        &layout::Frame::new(t!("console-users"), "/console/users"),
        &body,
    ))
}
fn user_buttons(caller: &Caller, id: UserId, active: bool) -> Markup {
    html! {
        form class="inline" method="post" action={ "/console/users/" (id) } data-confirm=[active.then_some(t!("console-close-this-account-its-sessions"))] {
            (layout::csrf(caller)) button name="do" value=(if active { "close" } else { "open" }) { (if active { t!("console-close") } else { t!("console-open-again") }) }
        } " "
        form class="inline" method="post" action={ "/console/users/" (id) } { (layout::csrf(caller)) button name="do" value="link" { (t!("console-new-link")) } }
    }
}
fn link_note(link: &str) -> Markup {
    html! { div class="note good" role="status" { p { (th!("console-it-is-good-once-for", strong = html! { strong { (t!("console-give-them-this-link")) } }, links = links::LINK_HOURS)) } pre id="link" { (link) } p { button data-copy="#link" data-copied=(t!("frame-copied")) { (t!("words-copy")) } } } }
}

async fn add_user(State(app): State<AppState>, caller: Caller, data: Data) -> layout::Html {
    let mut faults = Faults::new();
    let role = ROLES.iter().find(|(v, _, _)| *v == data.get("role")).map(|(_, _, r)| *r);
    faults.when(role.is_none(), "role", "missing", t!("console-choose-a-role"));
    let advertiser: Option<AdvertiserId> = data.get("advertiser").parse().ok();
    check_person(&app, data.get("email"), data.get("name"), None, &mut faults);
    let role = role.unwrap_or(Role::ReadOnly);
    check_role(&app.platform.catalogue(), role, advertiser, &mut faults);
    if !faults.is_empty() {
        return users_page(&app, &caller, StatusCode::UNPROCESSABLE_ENTITY, &data, &faults, &ui::nothing());
    }
    let (platform, by) = (app.platform.clone(), caller.actor.clone());
    let record = UserRecord { role, advertiser, active: true };
    let made = tokio::task::spawn_blocking(move || links::add_user(&platform, by, record));
    let id = made.await.map_err(Problem::internal)?.map_err(Problem::internal)?;
    let secrets = &app.platform.secrets;
    secrets
        .add_user(id, &data.text("email"), &data.text("name"), app.platform.now())
        .map_err(Problem::internal)?;
    let link = links::make(&app.platform, &app.config, id, "setup").map_err(Problem::internal)?;
    users_page(&app, &caller, StatusCode::OK, &Data::default(), &Faults::new(), &link_note(&link))
}

async fn edit_user(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    data: Data,
) -> layout::Html {
    let id: UserId = id.parse().map_err(|_| super::act::missing(&id))?;
    let record = app.platform.catalogue().users.get(&id).cloned().ok_or_else(|| super::act::missing(id))?;
    if data.get("do") == "link" {
        let link = links::make(&app.platform, &app.config, id, "reset").map_err(Problem::internal)?;
        return users_page(
            &app,
            &caller,
            StatusCode::OK,
            &Data::default(),
            &Faults::new(),
            &link_note(&link),
        );
    }
    let active = data.get("do") == "open";
    put_record(&app, &caller, id, UserRecord { active, ..record }).await?;
    Ok(layout::go("/console/users"))
}

async fn tokens(State(app): State<AppState>, caller: Caller) -> Response {
    tokens_page(&app, &caller, StatusCode::OK, &Data::default(), &Faults::new(), &ui::nothing())
}

fn tokens_page(
    app: &AppState,
    caller: &Caller,
    status: StatusCode,
    data: &Data,
    faults: &Faults,
    note: &Markup,
) -> Response {
    let records = app.platform.catalogue().tokens.clone();
    let owner = caller.is_one_of(&[Role::Owner], None);
    let form = Form { data, faults, theirs: None };
    let body = html! {
        (note)
        div class="card flush" {
            @if records.is_empty() { (ui::empty(t!("console-no-token-yet-a-program"))) } @else {
                table {
                    thead { tr { th { (t!("console-what-for")) } th { (t!("console-may")) } th { (t!("console-state")) } th {} } }
                    tbody { @for (id, record) in &records { tr {
                        th scope="row" { (record.name) span class="small muted" { (id) @if let Some(a) = record.advertiser { (th!("console-only", a = a)) } } }
                        td { @for scope in &record.scopes { (ui::badge("", scope_word(*scope))) " " } }
                        td { @if record.active { (ui::badge("good", t!("console-active"))) } @else { (ui::badge("", t!("console-revoked"))) } }
                        td class="right" { @if owner && record.active { form method="post" action={ "/console/tokens/" (id) "/revoke" } data-confirm=(t!("console-revoke-this-token-programs-that")) { (layout::csrf(caller)) button class="danger" { (t!("console-revoke")) } } } }
                    } } }
                }
            }
        }
        @if owner {
            form class="card" method="post" action="/console/tokens" data-guard="" novalidate {
                h2 { (t!("console-make-a-token")) }
                (form.summary()) (layout::csrf(caller))
                (form.field("name", t!("console-what-it-is-for")).required())
                fieldset { legend { (t!("console-what-it-may-do")) } @for (value, words, _) in SCOPES { (form.field(format!("scope_{value}"), &say(words)).check()) } }
                (form.field("advertiser", t!("console-limited-to-one-advertiser")).select(advertisers(app)))
                button class="primary" { (t!("console-make-the-token")) }
            }
        }
    };
    layout::console_with(
        status,
        app,
        caller,
        &layout::Frame::new(t!("console-tokens"), "/console/tokens"),
        &body,
    )
}
fn scope_word(scope: Scope) -> &'static str {
    SCOPES.iter().find(|(_, _, s)| *s == scope).map_or("?", |(v, _, _)| v)
}

async fn add_token(State(app): State<AppState>, caller: Caller, data: Data) -> layout::Html {
    let scopes: Vec<Scope> =
        SCOPES.iter().filter(|(v, _, _)| data.has(&format!("scope_{v}"))).map(|(_, _, s)| *s).collect();
    let advertiser: Option<AdvertiserId> = data.get("advertiser").parse().ok();
    let mut faults = Faults::new();
    faults.text("name", data.get("name"), NAME_CHARS_MAX);
    faults.when(scopes.is_empty(), "scope_read", "missing", t!("console-tick-at-least-one"));
    if !faults.is_empty() {
        return Ok(tokens_page(
            &app,
            &caller,
            StatusCode::UNPROCESSABLE_ENTITY,
            &data,
            &faults,
            &ui::nothing(),
        ));
    }
    let record = TokenRecord { name: data.text("name"), scopes, advertiser, active: true };
    let (platform, by) = (app.platform.clone(), caller.actor.clone());
    let made = tokio::task::spawn_blocking(move || make_token(&platform, by, record));
    let (_, secret) = made.await.map_err(Problem::internal)?.map_err(Problem::internal)?;
    let note = html! { div class="note good" role="status" { p { (th!("console-it-is-not-shown-again", strong = html! { strong { (t!("console-this-is-the-token")) } })) } pre id="token" { (secret) } p { button data-copy="#token" data-copied=(t!("frame-copied")) { (t!("words-copy")) } } } };
    Ok(tokens_page(&app, &caller, StatusCode::OK, &Data::default(), &Faults::new(), &note))
}

async fn revoke(State(app): State<AppState>, caller: Caller, Path(id): Path<String>) -> layout::Html {
    let id: TokenId = id.parse().map_err(|_| super::act::missing(&id))?;
    let record = app.platform.catalogue().tokens.get(&id).cloned().ok_or_else(|| super::act::missing(id))?;
    app.platform.secrets.revoke_token(id).map_err(Problem::internal)?;
    let (platform, by) = (app.platform.clone(), caller.actor.clone());
    let changes = vec![Change::TokenPut { id, record: TokenRecord { active: false, ..record } }];
    let done = tokio::task::spawn_blocking(move || links::record(&platform, by, changes));
    done.await.map_err(Problem::internal)?.map_err(Problem::internal)?;
    Ok(layout::go("/console/tokens"))
}
