//! The record's log over HTTP: its static files, proofs, and this Regie as a witness of others. For anybody.
//!
//! Everything below `/record/log` but the page and the proofs is a file of the data folder's `record/`, byte for byte: a web
//! server or object storage can serve it instead. Refuses paths that no log has.

use super::{
    AppState, Route,
    auth::Caller,
    billing::{Month, invoice},
    console::layout,
    problem::Problem,
};
use crate::platform::log::payers;
use crate::t;
use axum::{
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, Path, State},
    http::{HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use maud::html;
use regie_model::AdvertiserId;
use regie_record::log::{read::CHECKPOINT_PATH, witness::Answer};
use std::sync::Arc;

/// Bytes of a request to cosign at most.
const REQUEST_BYTES_MAX: usize = 64 << 10;
/// The page that verifies one entry in a browser; the same bytes wherever it is hosted.
pub const VERIFY_PAGE: &str = include_str!("../../assets/verify.html");

/// The module's routes.
pub fn routes() -> Vec<Route> {
    let public = |method, path, handler| Route::public("log", method, path, handler);
    vec![
        public(Method::GET, "/record/log", get(about)),
        public(Method::GET, "/record/log/{*path}", get(file)),
        public(Method::GET, "/record/verify.html", get(verify_page)),
        Route {
            owner: "log",
            method: Method::GET,
            path: "/v1/invoices/{advertiser}/{month}/audit",
            access: super::reports::READERS,
            handler: get(audit_file),
        },
        public(Method::GET, "/witness", get(witness_key)),
        public(
            Method::POST,
            "/witness/add-checkpoint",
            post(add_checkpoint).layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX)),
        ),
    ]
}

pub(super) fn open(kind: &'static str, caching: &'static str, body: Vec<u8>) -> Response {
    let mut response = Body::from(body).into_response();
    let out = response.headers_mut();
    out.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    out.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    out.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    out.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
pub(super) const TEXT: &str = "text/plain; charset=utf-8";
pub(super) const BRIEF: &str = "no-cache";

async fn file(State(app): State<AppState>, Path(path): Path<String>) -> Result<Response, Problem> {
    let work = move || -> Result<Response, Problem> {
        if let Some(rest) = path.strip_prefix("proof/") {
            return proof(&app, rest);
        }
        if path == "key" {
            let keys: String = app.log.verifiers().iter().map(|key| format!("{key}\n")).collect();
            return Ok(open(TEXT, BRIEF, keys.into_bytes()));
        }
        let found = app.log.file(&path).map_err(Problem::internal)?;
        let bytes = found.ok_or_else(|| Problem::not_found("file of the log"))?;
        Ok(match path.as_str() {
            CHECKPOINT_PATH => open(TEXT, BRIEF, bytes),
            // An object can be withheld; a tile never changes.
            path if path.starts_with("object/") => open("application/octet-stream", BRIEF, bytes),
            _ => open("application/octet-stream", "public, max-age=31536000, immutable", bytes),
        })
    };
    tokio::task::spawn_blocking(work).await.map_err(Problem::internal)?
}

/// `proof/INDEX` is the proof, `proof/INDEX/leaf` the leaf, `proof/KIND/ID` the newest version's place.
fn proof(app: &AppState, rest: &str) -> Result<Response, Problem> {
    let missing = || Problem::not_found("entry of the log");
    match rest.split('/').collect::<Vec<_>>().as_slice() {
        [index] => {
            let (_, proof) = app.log.proof(index.parse().map_err(|_| missing())?).map_err(|_| missing())?;
            Ok(open(TEXT, BRIEF, proof.to_text().into_bytes()))
        }
        [index, "leaf"] => {
            let (leaf, _) = app.log.proof(index.parse().map_err(|_| missing())?).map_err(|_| missing())?;
            Ok(open("application/json", BRIEF, leaf))
        }
        [kind, id] => {
            let places = app.log.places(kind, id).map_err(Problem::internal)?;
            let places: Vec<_> = places
                .iter()
                .map(|(version, place)| serde_json::json!({ "version": version, "index": place }))
                .collect();
            if places.is_empty() {
                return Err(missing());
            }
            Ok(open(
                "application/json",
                BRIEF,
                serde_json::json!({ "versions": places }).to_string().into_bytes(),
            ))
        }
        _ => Err(missing()),
    }
}

async fn about(State(app): State<AppState>) -> Result<Response, Problem> {
    let head = app.log.head();
    let keys = app.log.verifiers();
    let url = format!("{}/record/log", app.config.public_url);
    let body = html! {
        h1 { (t!("proofs-log")) }
        p class="intro" { (t!("proofs-log-intro")) }
        dl class="facts" {
            dt { (t!("proofs-log-origin")) } dd { code { (app.log.origin()) } }
            dt { (t!("proofs-log-entries")) } dd { (head.head.size) }
            dt { (t!("proofs-log-root")) } dd { code { (head.head.root) } }
            @for key in &keys { dt { (t!("proofs-log-key")) } dd { code { (key) } } }
        }
        p { (t!("proofs-log-take-the-key")) }
        h2 { (t!("proofs-log-verify")) }
        pre { "regie verify " (url) " --key '" (keys.first().map(ToString::to_string).unwrap_or_default()) "'\nregie mirror " (url) " --to FOLDER --key ..." }
        ul {
            li { a href="/record/log/checkpoint" { (t!("proofs-log-checkpoint")) } }
            li { a href="/record/log/key" { (t!("proofs-log-keys")) } }
            li { a href="/record/verify.html" { (t!("proofs-log-verify-one")) } }
        }
        @if let Some(why) = app.log.halted() { p role="alert" { (t!("proofs-log-halted", why = why)) } }
    };
    Ok(layout::page(StatusCode::OK, &layout::public(&app, t!("proofs-log"), &body)))
}

async fn verify_page() -> Response {
    let mut response = open("text/html; charset=utf-8", BRIEF, VERIFY_PAGE.as_bytes().to_vec());
    let policy = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src *; base-uri 'none'; form-action 'none'";
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    response
}

/// What a payer checks an invoice by, without this server: `regie audit --invoice FILE`.
async fn audit_file(
    State(app): State<AppState>,
    caller: Caller,
    Path((advertiser, month)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let advertiser: AdvertiserId =
        advertiser.parse().map_err(|_| Problem::not_found("advertiser of this id"))?;
    let month = Month::parse(&month).ok_or_else(|| Problem::bad_request("A month is written 2026-11."))?;
    super::reports::settle(&app).await?;
    let invoice = payers::invoice_of(&invoice(&app, &caller, advertiser, month)?);
    let work = move || {
        let payers = payers::Payers::open(app.log.folder())?;
        payers.audit_file(&app.log, invoice, advertiser)
    };
    let file =
        tokio::task::spawn_blocking(work).await.map_err(Problem::internal)?.map_err(Problem::internal)?;
    Ok(axum::Json(file).into_response())
}

async fn witness_key(State(app): State<AppState>) -> Result<Response, Problem> {
    let witness =
        app.witness.as_ref().ok_or_else(|| Problem::not_found("witness here: `witness_logs` is not set"))?;
    Ok(open(TEXT, BRIEF, format!("{}\n", witness.key()).into_bytes()))
}

async fn add_checkpoint(State(app): State<AppState>, body: Bytes) -> Result<Response, Problem> {
    let work = move || -> Result<Response, Problem> {
        let witness = app.witness.as_ref().ok_or_else(|| Problem::not_found("witness here"))?;
        told(witness.answer(&body, app.platform.now()).map_err(Problem::internal)?)
    };
    tokio::task::spawn_blocking(work).await.map_err(Problem::internal)?
}

/// The answer of a witness, or of a mirror to a checkpoint.
pub(super) fn told(answer: Answer) -> Result<Response, Problem> {
    let status = StatusCode::from_u16(answer.status()).map_err(Problem::internal)?;
    let (kind, text) = match answer {
        Answer::Cosigned { body, .. } => (TEXT, body),
        Answer::Conflict(size) => ("text/x.tlog.size", format!("{size}\n")),
        Answer::BadRequest(why) => (TEXT, format!("{why}\n")),
        Answer::Forbidden => (TEXT, "no key that is trusted here has signed this checkpoint\n".into()),
        Answer::UnknownLog => (TEXT, "this log is not known here\n".into()),
        Answer::Unprocessable => {
            (TEXT, "the proof does not lead from what was seen last to this checkpoint\n".into())
        }
    };
    Ok((status, [(header::CONTENT_TYPE, kind)], text).into_response())
}

/// What handlers need of this module.
pub type Shared = Arc<crate::platform::log::RecordLog>;
