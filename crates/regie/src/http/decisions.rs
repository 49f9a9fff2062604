//! `POST /v1/decisions` and its batch form: JSON in, ads with sealed tickets out. Never a 500: no fill, with a reason.

use super::{AppState, Route, facts, labels, problem::Problem};
use crate::platform::{deciding::Answer, view::View};
use axum::{
    body::Bytes,
    extract::{ConnectInfo, Query, State, rejection::QueryRejection},
    http::{HeaderMap, HeaderValue, Method, header},
    response::{IntoResponse, Response},
    routing::{options, post},
};
use regie_decide::{FrequencyView, Location, PageFacts, Request};
use regie_model::{
    PlacementId, SegmentId, SiteId,
    booking::{Role, Scope},
    creative::Creative,
    limits::*,
    ticket::DeviceClass,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, net::SocketAddr};

/// The module's routes.
pub fn routes() -> Vec<Route> {
    vec![
        Route::public("decisions", Method::POST, "/v1/decisions", post(one)),
        Route::public("decisions", Method::OPTIONS, "/v1/decisions", options(preflight)),
        Route::public("decisions", Method::POST, "/v1/decisions/batch", post(batch)),
    ]
}

/// A place asked for: by its name on the site, or by id.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum PlacementRef {
    /// `{"id": "plc_1"}`
    Id {
        /// Placement id.
        id: PlacementId,
    },
    /// `{"name": "front-top"}`
    Name {
        /// Name on the site.
        name: String,
    },
}

/// What is known of the page.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PageInput {
    /// Its address.
    pub url: String,
    /// Its language.
    pub language: Option<String>,
    /// Keywords.
    pub keywords: Vec<String>,
    /// Topics.
    pub topics: Vec<String>,
    /// Key-values.
    pub key_values: BTreeMap<String, Vec<String>>,
}

/// Facts about the visitor that the publisher's own server states (token with scope `decide`).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VisitorInput {
    /// Where.
    pub location: Location,
    /// Device class by its word.
    pub device: Option<String>,
    /// User agent, used in memory and dropped.
    pub user_agent: Option<String>,
}

/// A request for ads.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecisionInput {
    /// On which site.
    pub site: SiteId,
    /// For which places.
    pub placements: Vec<PlacementRef>,
    /// The page.
    #[serde(default)]
    pub page: PageInput,
    /// Publisher's segments.
    #[serde(default)]
    pub segments: Vec<SegmentId>,
    /// Consents that the page proves.
    #[serde(default)]
    pub consents: Vec<String>,
    /// What this page view showed already.
    #[serde(default)]
    pub frequency: FrequencyView,
    /// Facts about the visitor, only with a token.
    #[serde(default)]
    pub visitor: Option<VisitorInput>,
}

/// Several requests.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BatchInput {
    requests: Vec<DecisionInput>,
}

/// An ad as the page receives it.
#[derive(Serialize)]
struct AdOutput<'a> {
    ticket: &'a str,
    decision: String,
    campaign: String,
    ad_set: String,
    ad: String,
    version: String,
    kind: &'static str,
    width: u16,
    height: u16,
    frame_path: String,
    click_path: String,
    sandbox: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    native: Option<NativeOutput<'a>>,
    label: labels::Label,
}
#[derive(Serialize)]
struct NativeOutput<'a> {
    title: &'a str,
    body: &'a str,
    call_to_action: &'a str,
    image_path: Option<String>,
    alt: &'a str,
}
#[derive(Serialize)]
struct SlotOutput<'a> {
    placement: String,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ad: Option<AdOutput<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    no_fill: Option<&'static str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    fallback_html: &'a str,
    behaviour: regie_model::booking::Behaviour,
}
#[derive(Serialize)]
struct DecisionOutput<'a> {
    decisions: Vec<SlotOutput<'a>>,
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
fn explain(app: &AppState, view: &View, request: &Request, headers: &HeaderMap) -> Result<Response, Problem> {
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
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let view = app.platform.current_view();
    let answered = answer(&app, &view, query, (&headers, peer), &body);
    // A refusal says nothing secret: pages of any of the publisher's sites may read it.
    let (site, mut response) = match answered {
        Ok((site, response)) => (Some(site), response),
        Err(problem) => (None, problem.into_response()),
    };
    allow_origin(&view, site, &headers, &mut response);
    response
}

fn answer(
    app: &AppState,
    view: &View,
    query: Result<Query<DecisionQuery>, QueryRejection>,
    (headers, peer): (&HeaderMap, SocketAddr),
    body: &[u8],
) -> Result<(SiteId, Response), Problem> {
    let Query(query) = query.map_err(|e| Problem::bad_request(e.body_text()))?;
    if body.len() > DELIVERY_BODY_BYTES_MAX {
        return Err(Problem::too_large(DELIVERY_BODY_BYTES_MAX));
    }
    let input: DecisionInput =
        serde_json::from_slice(body).map_err(|e| Problem::bad_request(e.to_string()))?;
    let site = input.site;
    let trusted = input.visitor.is_none() || super::auth::token_has(app, headers, Scope::Decide);
    if !trusted {
        return Err(Problem::forbidden("Facts about the visitor need a token with the scope `decide`."));
    }
    let request = to_request(app, view, input, headers, peer)?;
    if query.explain != 0 {
        return Ok((site, explain(app, view, &request, headers)?));
    }
    let answers = app.platform.decide(view, &request);
    let json = render(app, view, &request, &answers);
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    Ok((site, (headers, json).into_response()))
}

async fn batch(
    State(app): State<AppState>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    if body.len() > BATCH_BODY_BYTES_MAX {
        return Err(Problem::too_large(BATCH_BODY_BYTES_MAX));
    }
    let input: BatchInput = serde_json::from_slice(&body).map_err(|e| Problem::bad_request(e.to_string()))?;
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
    // Every request is read before the first is decided: a refusal serves and counts nothing.
    let mut requests = Vec::with_capacity(count);
    for (index, input) in input.requests.into_iter().enumerate() {
        let request = to_request(&app, &view, input, &headers, peer);
        requests.push(request.map_err(|problem| {
            let detail = format!("requests[{index}]: {}", problem.detail);
            problem.detail(detail)
        })?);
    }
    let mut json = Vec::with_capacity(count * 1_024);
    json.extend_from_slice(b"{\"answers\":[");
    for (index, request) in requests.into_iter().enumerate() {
        if index > 0 {
            json.push(b',');
        }
        let answers = app.platform.decide(&view, &request);
        json.extend_from_slice(&render(&app, &view, &request, &answers));
    }
    json.extend_from_slice(b"]}");
    Ok(([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")], json)
        .into_response())
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

/// The decision's request from what was sent and what is derived in memory.
///
/// # Errors
/// A placement name that the site does not have, too many placements, an unknown device class.
pub fn to_request(
    app: &AppState,
    view: &View,
    input: DecisionInput,
    headers: &HeaderMap,
    peer: SocketAddr,
) -> Result<Request, Problem> {
    let count = input.placements.len();
    if count == 0 || count > REQUEST_PLACEMENTS_COUNT_MAX {
        let detail =
            format!("Ask for 1 to {REQUEST_PLACEMENTS_COUNT_MAX} placements; this asks for {count}.");
        return Err(Problem::bad_request(detail));
    }
    let placements = input.placements.iter().map(|place| match place {
        PlacementRef::Id { id } => Ok(*id),
        PlacementRef::Name { name } => {
            view.by_name.get(&(input.site, name.clone())).copied().ok_or_else(|| {
                Problem::bad_request(format!(
                    "The site {} has no placement named \"{}\".",
                    input.site,
                    cut(name)
                ))
            })
        }
    });
    let placements = placements.collect::<Result<Vec<_>, _>>()?;
    let given = input.visitor.unwrap_or_default();
    let (mut device, machine) = match &given.user_agent {
        Some(text) => facts::machine_of(text),
        None => facts::machine(headers),
    };
    if let Some(word) = given.device.as_deref() {
        device = DeviceClass::from_word(word).ok_or_else(|| {
            Problem::bad_request("A device class is one of desktop, phone, tablet, tv, other.")
        })?;
    }
    let known = given.location.country.is_some();
    let location =
        if known { given.location } else { facts::location(app, facts::client_ip(app, headers, peer)) };
    let pairs = input.page.key_values.into_iter();
    let key_values =
        pairs.flat_map(|(key, values)| values.into_iter().map(move |v| (key.clone(), v))).collect();
    let mut request = Request {
        at: app.platform.now(),
        seed: app.platform.seed(),
        site: input.site,
        placements,
        page: PageFacts {
            url: input.page.url,
            language: input.page.language.or_else(|| facts::language(headers)),
            keywords: input.page.keywords,
            topics: input.page.topics,
            key_values,
        },
        device,
        location,
        machine,
        segments: input.segments,
        consents: input.consents,
        // A count by visitor needs a token that the page keeps with consent; a page cannot simply state one.
        frequency: FrequencyView { visitor: None, ..input.frequency },
    };
    request.normalise();
    Ok(request)
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(64)]
}

/// The answer as JSON bytes.
pub fn render(app: &AppState, view: &View, request: &Request, answers: &[Answer]) -> Vec<u8> {
    let creatives: Vec<_> = answers
        .iter()
        .map(|answer| match answer {
            Answer::Fill { ticket, .. } => app.creatives.get(&app.platform.objects, &ticket.creative),
            Answer::NoFill { .. } => None,
        })
        .collect();
    let language = request.page.language.as_deref();
    app.metrics.count(answers);
    let decisions = answers.iter().zip(&creatives).map(|(answer, creative)| {
        let place = match answer {
            Answer::Fill { ticket, .. } => ticket.placement,
            Answer::NoFill { placement, .. } => *placement,
        };
        let spec = view.placements.get(&place);
        let mut slot = SlotOutput {
            placement: place.to_string(),
            name: spec.map_or("", |s| s.name.as_str()),
            ad: None,
            no_fill: None,
            fallback_html: "",
            behaviour: spec.map(|s| s.behaviour).unwrap_or_default(),
        };
        match (answer, creative) {
            (Answer::Fill { ticket, sealed, .. }, Some(creative)) if view.ads.contains_key(&ticket.ad) => {
                slot.ad =
                    view.ads.get(&ticket.ad).map(|ad| ad_output(sealed, ticket, creative, ad, language));
            }
            (Answer::Fill { .. }, _) => slot.no_fill = Some("creative_missing"),
            (Answer::NoFill { reason, .. }, _) => slot.no_fill = Some(reason.code()),
        }
        if slot.ad.is_none() {
            slot.fallback_html = spec.map_or("", |s| s.fallback_html.as_str());
        }
        slot
    });
    let output = DecisionOutput { decisions: decisions.collect() };
    serde_json::to_vec(&output).unwrap_or_default()
}

fn ad_output<'a>(
    sealed: &'a str,
    ticket: &regie_model::ticket::Ticket,
    creative: &'a Creative,
    ad: &crate::platform::view::AdView,
    language: Option<&str>,
) -> AdOutput<'a> {
    let size = creative.size();
    let native = match creative {
        Creative::Native { title, body, call_to_action, asset, alt } => {
            let image_path = asset.as_ref().map(|a| format!("/v1/assets/{}", a.hash));
            Some(NativeOutput { title, body, call_to_action, image_path, alt })
        }
        Creative::Text { title, body } => {
            Some(NativeOutput { title, body, call_to_action: "", image_path: None, alt: "" })
        }
        Creative::Image { .. } | Creative::Html { .. } => None,
    };
    AdOutput {
        ticket: sealed,
        decision: ticket.id.to_string(),
        campaign: ticket.campaign.to_string(),
        ad_set: ticket.ad_set.to_string(),
        ad: ticket.ad.to_string(),
        version: ticket.version.to_string(),
        kind: creative.kind(),
        width: size.map_or(0, |s| s.width),
        height: size.map_or(0, |s| s.height),
        frame_path: format!("/v1/frames/{sealed}"),
        click_path: format!("/v1/click/{sealed}"),
        sandbox: super::frames::sandbox(creative),
        native,
        label: labels::label(ad, language),
    }
}
