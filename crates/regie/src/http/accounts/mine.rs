//! One's own account: password and second factor.

use super::{ANYBODY, hash, open_session, pages, verify};
use crate::{
    http::{
        AppState, Route,
        auth::{Caller, CsrfForm, Who, attempts::Attempts, password, second_factor},
        console::layout,
        problem::Problem,
    },
    platform::secrets::UserSecret,
};
use crate::{t, th};
use axum::{
    Extension, Json,
    extract::State,
    http::{HeaderMap, Method, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use maud::{Markup, html};
use regie_model::Faults;
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

/// The module's routes.
pub fn routes(attempts: &Arc<Attempts>) -> Vec<Route> {
    let row = |method, path, handler: axum::routing::MethodRouter<AppState>| {
        let handler = handler.route_layer(Extension(Arc::clone(attempts)));
        Route { owner: "accounts", method, path, access: ANYBODY, handler }
    };
    vec![
        row(Method::GET, "/console/account", get(show)),
        row(Method::GET, "/v1/account", get(api)),
        row(Method::POST, "/console/account/password", post(change_password)),
        row(Method::POST, "/console/account/totp/begin", post(begin)),
        row(Method::POST, "/console/account/totp/confirm", post(confirm)),
        row(Method::POST, "/console/account/totp/off", post(switch_off)),
    ]
}

fn me(app: &AppState, caller: &Caller) -> Result<UserSecret, Problem> {
    let Who::User(id) = caller.who else { return Err(Problem::unauthorized()) };
    app.platform.secrets.user(id).map_err(Problem::internal)?.ok_or_else(Problem::unauthorized)
}

/// `GET /v1/account`: who is signed in.
async fn api(State(app): State<AppState>, caller: Caller) -> Result<Response, Problem> {
    let own = me(&app, &caller)?;
    let told = json!({
        "email": own.email, "name": own.name, "role": caller.role, "advertiser": caller.advertiser,
        "second_factor": own.totp_on,
    });
    Ok(Json(told).into_response())
}

fn page(app: &AppState, caller: &Caller, message: &str, status: StatusCode) -> Result<Response, Problem> {
    let me = me(app, caller)?;
    let field = pages::csrf_field(caller);
    let body = html! {
        @if !message.is_empty() { p role=(if status.is_success() { "status" } else { "alert" }) { (message) } }
        p { (th!("accounts-you-sign-in-as", strong = html! { strong { (me.email) } })) }
        h2 { (t!("words-password")) }
        form method="post" action="/console/account/password" {
            (field)
            p { label for="current" { (t!("accounts-current-password")) } br; input id="current" name="current" type="password" required autocomplete="current-password"; }
            p { label for="new" { (th!("words-new-password-at-least-characters", password = password::PASSWORD_CHARS_MIN)) } br;
                input id="new" name="new" type="password" required minlength=(password::PASSWORD_CHARS_MIN) autocomplete="new-password"; }
            p { button { (t!("accounts-change-the-password")) } " " (t!("accounts-you-stay-signed-in-here")) }
        }
        h2 { (t!("words-second-factor")) }
        (factor(app, &me, &field))
    };
    let frame = layout::Frame::new(t!("words-your-account"), "/console/account");
    Ok(layout::console_with(status, app, caller, &frame, &body))
}

fn factor(app: &AppState, me: &UserSecret, field: &Markup) -> Markup {
    let issuer = app
        .platform
        .catalogue()
        .publisher
        .as_ref()
        .map_or(t!("words-regie").to_owned(), |p| p.spec.name.clone());
    match (&me.totp, me.totp_on) {
        (_, true) => html! {
            p { (t!("accounts-a-code-from-your-authenticator")) }
            form method="post" action="/console/account/totp/off" {
                (field)
                p { label for="off" { (t!("words-password")) } br; input id="off" name="password" type="password" required autocomplete="current-password"; }
                p { button { (t!("accounts-switch-it-off")) } }
            }
        },
        (Some(secret), false) => html! {
            p { (t!("accounts-add-this-to-your-authenticator")) }
            p { a href=(second_factor::uri(secret, &issuer, &me.email)) { (t!("accounts-open-in-an-authenticator-on")) } }
            p { (th!("accounts-or-type-this-key", code = html! { code { (second_factor::base32(secret)) } })) }
            form method="post" action="/console/account/totp/confirm" {
                (field)
                p { label for="code" { (t!("accounts-code")) } br; input id="code" name="code" inputmode="numeric" required autocomplete="one-time-code"; }
                p { button { (t!("accounts-switch-it-on")) } }
            }
        },
        (None, false) => html! {
            p { (t!("accounts-with-a-second-factor-a")) }
            form method="post" action="/console/account/totp/begin" { (field) p { button { (t!("accounts-set-it-up")) } } }
        },
    }
}

async fn show(State(app): State<AppState>, caller: Caller) -> Result<Response, Problem> {
    page(&app, &caller, "", StatusCode::OK)
}

#[derive(Deserialize)]
struct Change {
    current: String,
    new: String,
}

async fn change_password(
    State(app): State<AppState>,
    Extension(attempts): Extension<Arc<Attempts>>,
    caller: Caller,
    headers: HeaderMap,
    CsrfForm(form): CsrfForm<Change>,
) -> Result<Response, Problem> {
    let me = me(&app, &caller)?;
    if !verify(&attempts, form.current, me.password.clone()).await? {
        return page(
            &app,
            &caller,
            t!("accounts-the-current-password-is-not"),
            StatusCode::UNPROCESSABLE_ENTITY,
        );
    }
    let mut faults = Faults::new();
    password::check(&form.new, &mut faults);
    if let Some(fault) = faults.0.first() {
        return page(&app, &caller, &fault.message, StatusCode::UNPROCESSABLE_ENTITY);
    }
    let hash = hash(&attempts, form.new).await?;
    app.platform.secrets.set_password(me.id, &hash).map_err(Problem::internal)?;
    open_session(&app, &headers, me.id, "/console/account")
}

async fn begin(State(app): State<AppState>, caller: Caller) -> Result<Response, Problem> {
    let me = me(&app, &caller)?;
    if me.totp_on {
        return page(&app, &caller, t!("accounts-it-is-on-already-switch"), StatusCode::CONFLICT);
    }
    let secret = second_factor::new_secret().map_err(Problem::internal)?;
    app.platform.secrets.set_totp(me.id, Some(&secret), false).map_err(Problem::internal)?;
    page(&app, &caller, "", StatusCode::OK)
}

#[derive(Deserialize)]
struct Confirm {
    code: String,
}

async fn confirm(
    State(app): State<AppState>,
    caller: Caller,
    CsrfForm(form): CsrfForm<Confirm>,
) -> Result<Response, Problem> {
    let me = me(&app, &caller)?;
    let Some(secret) = me.totp.clone().filter(|_| !me.totp_on) else {
        return page(&app, &caller, t!("accounts-nothing-waits-to-be-confirmed"), StatusCode::CONFLICT);
    };
    if !second_factor::take(&app.platform, me.id, &secret, &form.code) {
        let message = t!("accounts-the-code-is-not-right");
        return page(&app, &caller, message, StatusCode::UNPROCESSABLE_ENTITY);
    }
    app.platform.secrets.set_totp(me.id, Some(&secret), true).map_err(Problem::internal)?;
    page(&app, &caller, t!("accounts-the-second-factor-is-on"), StatusCode::OK)
}

#[derive(Deserialize)]
struct SwitchOff {
    password: String,
}

async fn switch_off(
    State(app): State<AppState>,
    Extension(attempts): Extension<Arc<Attempts>>,
    caller: Caller,
    CsrfForm(form): CsrfForm<SwitchOff>,
) -> Result<Response, Problem> {
    let me = me(&app, &caller)?;
    if !verify(&attempts, form.password, me.password.clone()).await? {
        return page(
            &app,
            &caller,
            t!("accounts-the-password-is-not-right"),
            StatusCode::UNPROCESSABLE_ENTITY,
        );
    }
    app.platform.secrets.set_totp(me.id, None, false).map_err(Problem::internal)?;
    page(&app, &caller, t!("accounts-the-second-factor-is-off"), StatusCode::OK)
}
