//! `POST /v1/decisions` and its batch form: JSON in, ads with sealed tickets out. Never a 500: no fill, with a reason.

mod answer;
pub(super) mod input;

pub use input::{Asker, DecisionInput, PageInput, PlacementRef, VisitorInput, to_request};

use super::{App, AppState, Route, problem::Problem};
use crate::platform::{frequency::Visit, view::View};
use axum::{
    body::Bytes,
    extract::{ConnectInfo, Query, State, rejection::QueryRejection},
    http::{HeaderMap, HeaderValue, Method, header},
    response::{IntoResponse, Response},
    routing::{options, post},
};
use hyper::body::Body;
use regie_decide::{Decision, Request};
use regie_model::{
    SiteId,
    booking::{Role, Scope},
    limits::*,
};
use serde::Deserialize;
use std::net::SocketAddr;

/// The module's routes.
pub fn routes() -> Vec<Route> {
    vec![
        Route::public("decisions", Method::POST, "/v1/decisions", post(one)),
        Route::public("decisions", Method::OPTIONS, "/v1/decisions", options(preflight)),
        Route::public("decisions", Method::POST, "/v1/decisions/batch", post(batch)),
    ]
}

/// Several requests.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BatchInput {
    requests: Vec<DecisionInput>,
}

async fn preflight(State(app): State<AppState>, headers: HeaderMap) -> Response {
    let mut response = axum::http::StatusCode::NO_CONTENT.into_response();
    allow_origin(&app.platform.current_view(), None, &headers, &mut response);
    let out = response.headers_mut();
    out.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
    out.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("content-type"));
    out.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
    response
}

#[derive(Deserialize)]
struct DecisionQuery {
    /// 1: for signed-in operators, why each ad set is shown or not. Nothing is served, counted or held then.
    #[serde(default)]
    explain: u8,
}

/// Why each ad set would be shown or not, now, for a request: only for those who see everything.
fn explain(app: &App, view: &View, request: &Request, headers: &HeaderMap) -> Result<Response, Problem> {
    const OPERATORS: [Role; 4] = [Role::Owner, Role::AdOperations, Role::ReadOnly, Role::Auditor];
    let caller = super::auth::caller::authenticate(app, headers)?.ok_or_else(Problem::unauthorized)?;
    if !caller.sees_everything() || !caller.is_one_of(&OPERATORS, Some(Scope::Read)) {
        return Err(Problem::forbidden(
            "Explanations name every advertiser's ad sets; they are for the publisher's operators.",
        ));
    }
    let tables = app.platform.tables.load();
    let explanation = regie_decide::explain(&view.snapshot, &tables, request, &app.platform.gate);
    Ok(axum::Json(explanation).into_response())
}

async fn one(
    State(app): State<AppState>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    query: Result<Query<DecisionQuery>, QueryRejection>,
    request: axum::extract::Request,
) -> Response {
    // The head is taken apart here: an extractor would copy every header.
    let (head, body) = request.into_parts();
    respond(&app, peer, query, &head.headers, body).await
}

/// Whether a request is one for a decision, and nothing else about it matters.
pub(super) fn is_hot<B>(request: &hyper::Request<B>) -> bool {
    request.method() == Method::POST
        && request.uri().path_and_query().is_some_and(|asked| asked.as_str() == "/v1/decisions")
}

/// Answers what [`is_hot`]; the same as the route does.
pub(super) async fn hot<B>(app: &App, peer: SocketAddr, headers: &HeaderMap, body: B) -> Response
where
    B: Body<Data = Bytes>,
    B::Error: std::fmt::Display,
{
    respond(app, peer, Ok(Query(DecisionQuery { explain: 0 })), headers, body).await
}

async fn respond<B>(
    app: &App,
    peer: SocketAddr,
    query: Result<Query<DecisionQuery>, QueryRejection>,
    headers: &HeaderMap,
    body: B,
) -> Response
where
    B: Body<Data = Bytes>,
    B::Error: std::fmt::Display,
{
    let body = super::serve::read(body, DELIVERY_BODY_BYTES_MAX).await;
    let view = app.platform.current_view();
    let answered = body.and_then(|body| answer(app, &view, query, (headers, peer), &body));
    // A refusal says nothing secret: pages of any of the publisher's sites may read it.
    let (site, mut response) = match answered {
        Ok((site, response)) => (Some(site), response),
        Err(problem) => (None, problem.into_response()),
    };
    allow_origin(&view, site, headers, &mut response);
    response
}

/// Reads JSON: checked to be UTF-8 once as a whole, not text by text.
fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Problem> {
    let text = std::str::from_utf8(body).map_err(|e| Problem::bad_request(e.to_string()))?;
    serde_json::from_str(text).map_err(|e| Problem::bad_request(e.to_string()))
}

fn answer(
    app: &App,
    view: &View,
    query: Result<Query<DecisionQuery>, QueryRejection>,
    (headers, peer): (&HeaderMap, SocketAddr),
    body: &[u8],
) -> Result<(SiteId, Response), Problem> {
    let Query(query) = query.map_err(|e| Problem::bad_request(e.body_text()))?;
    let mut input: DecisionInput = parse(body)?;
    let site = input.site;
    let trusted = input.visitor.is_none() || super::auth::token_has(app, headers, Scope::Decide);
    if !trusted {
        return Err(Problem::forbidden("Facts about the visitor need a token with the scope `decide`."));
    }
    let frequency = input.frequency.take_visitor();
    let mut request = to_request(&Asker::new(app, headers, peer), view, input)?;
    let visit = app.platform.visit(&frequency, &mut request);
    if query.explain != 0 {
        return Ok((site, explain(app, view, &request, headers)?));
    }
    let mut json = Vec::new();
    decide(app, view, &request, visit, &mut json);
    Ok((site, of_json(json)))
}

/// JSON that nobody may keep. Its headers are values already: nothing is read or copied for them.
fn of_json(json: Vec<u8>) -> Response {
    let mut response = Response::new(axum::body::Body::from(json));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn batch(
    State(app): State<AppState>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: axum::extract::Request,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let headers = head.headers;
    let body = super::serve::read(body, BATCH_BODY_BYTES_MAX).await?;
    let input: BatchInput = parse(&body)?;
    let count = input.requests.len();
    if count > BATCH_REQUESTS_COUNT_MAX {
        return Err(Problem::bad_request(format!(
            "At most {BATCH_REQUESTS_COUNT_MAX} requests in a batch; this has {count}."
        )));
    }
    let visitor = input.requests.iter().any(|r| r.visitor.is_some());
    if visitor && !super::auth::token_has(&app, &headers, Scope::Decide) {
        return Err(Problem::forbidden("Facts about the visitor need a token with the scope `decide`."));
    }
    let view = app.platform.current_view();
    let asker = Asker::new(&app, &headers, peer);
    // Every request is read before the first is decided: a refusal serves and counts nothing.
    let mut requests = Vec::with_capacity(count);
    for (index, mut input) in input.requests.into_iter().enumerate() {
        let frequency = input.frequency.take_visitor();
        let request = to_request(&asker, &view, input).map(|request| (request, frequency));
        requests.push(request.map_err(|problem| {
            let detail = format!("requests[{index}]: {}", problem.detail);
            problem.detail(detail)
        })?);
    }
    let mut json = Vec::with_capacity(count * 2_048);
    json.extend_from_slice(b"{\"answers\":[");
    for (index, (mut request, frequency)) in requests.into_iter().enumerate() {
        if index > 0 {
            json.push(b',');
        }
        let visit = app.platform.visit(&frequency, &mut request);
        decide(&app, &view, &request, visit, &mut json);
    }
    json.extend_from_slice(b"]}");
    Ok(of_json(json))
}

/// Decides and writes the answer, with the frequency token that the page is to keep (`null`: none).
fn decide(app: &App, view: &View, request: &Request, visit: Visit, json: &mut Vec<u8>) {
    let mut admit = |decision: &Decision| app.platform.admit(&visit, decision);
    let answers = app.platform.decide_admitted(view, request, &[], &mut admit);
    answer::write(app, view, request, &answers, json);
    if visit.keeps_token() && json.last() == Some(&b'}') {
        json.pop();
        let token = app.platform.next_token(visit, &answers);
        // A token is base64url: nothing in it needs to be escaped.
        let text = token.map_or_else(|| "null".to_owned(), |token| format!("\"{token}\""));
        json.extend_from_slice(format!(",\"frequency_token\":{text}}}").as_bytes());
    }
}

/// Pages of the site's origins may read the answer.
pub(super) fn allow_origin(view: &View, site: Option<SiteId>, headers: &HeaderMap, response: &mut Response) {
    let Some(origin) = headers.get(header::ORIGIN) else { return };
    let text = origin.to_str().unwrap_or("");
    let listed = |id: &SiteId| view.sites.get(id).is_some_and(|s| s.origins.iter().any(|o| o == text));
    let allowed = match site {
        Some(site) => listed(&site),
        None => view.sites.keys().any(listed),
    };
    if allowed {
        response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    }
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("origin"));
}
