//! This Regie as a mirror of other logs, over HTTP (C2SP tlog-mirror): what is submitted, and the copies. For anybody.
//!
//! A request's bytes are taken in as they come, compressed or not, with no more than one package waiting. Refuses encodings but
//! gzip, and waits for a silent sender no longer than half a minute.

use super::{
    AppState, Route,
    console::layout,
    log::{BRIEF, TEXT, open, told},
    problem::Problem,
};
use crate::platform::log::own_mirror::{OwnMirror, Told, standing_of};
use axum::{
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, Path, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use flate2::read::MultiGzDecoder;
use http_body_util::BodyExt;
use maud::html;
use regie_record::log::{mirror::folder_of, read::CHECKPOINT_PATH, upload::INFO_TYPE};
use std::{io::Read, sync::Arc, time::Duration};
use tokio::sync::mpsc;

/// Bytes of a checkpoint with its proof at most.
const REQUEST_BYTES_MAX: usize = 64 << 10;
/// How long a sender may be silent.
const SILENCE: Duration = Duration::from_secs(30);
/// Chunks of a body that wait to be read.
const CHUNKS: usize = 4;

/// The module's routes.
pub fn routes() -> Vec<Route> {
    let public = |method, path, handler| Route::public("mirror", method, path, handler);
    vec![
        public(Method::GET, "/mirror", get(about)),
        public(Method::GET, "/mirror/key", get(key)),
        public(Method::GET, "/mirror/{origin}/{*path}", get(file)),
        public(
            Method::POST,
            "/mirror/add-checkpoint",
            post(add_checkpoint).layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX)),
        ),
        public(Method::POST, "/mirror/add-entries", post(add_entries).layer(DefaultBodyLimit::disable())),
    ]
}

fn mirror(app: &AppState) -> Result<Arc<OwnMirror>, Problem> {
    app.mirror.clone().ok_or_else(|| Problem::not_found("mirror here: `mirror_logs` is not set"))
}

async fn key(State(app): State<AppState>) -> Result<Response, Problem> {
    Ok(open(TEXT, BRIEF, format!("{}\n", mirror(&app)?.key()).into_bytes()))
}

async fn about(State(app): State<AppState>) -> Result<Response, Problem> {
    let mirror = mirror(&app)?;
    let key = mirror.key();
    let logs = tokio::task::spawn_blocking(move || standing_of(&mirror)).await.map_err(Problem::internal)?;
    let body = html! {
        h1 { "Records that are mirrored here" }
        p { "This server keeps whole copies of other publishers' records, so that they can be read and checked when their own server is gone.
            It signs a copy's checkpoint once it has every entry that the checkpoint covers." }
        dl { dt { "Key of this mirror" } dd { code { (key) } } }
        table {
            thead { tr { th scope="col" { "Record" } th scope="col" { "Entries" } th scope="col" { "Copy" } } }
            tbody {
                @for (origin, checkpoint) in &logs {
                    tr {
                        th scope="row" { code { (origin) } }
                        td { @match checkpoint { Some(checkpoint) => { (checkpoint.size) } None => { "none yet" } } }
                        td { a href={ "/mirror/" (folder_of(origin)) "/checkpoint" } { "checkpoint" } }
                    }
                }
            }
        }
        pre { "regie verify " (app.config.public_url) "/mirror/FOLDER --key ..." }
    };
    Ok(layout::page(StatusCode::OK, &layout::public(&app, "Mirrored records", &body)))
}

async fn file(
    State(app): State<AppState>,
    Path((origin, path)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let mirror = mirror(&app)?;
    let asked = path.clone();
    let found = tokio::task::spawn_blocking(move || mirror.file(&origin, &asked));
    let found = found.await.map_err(Problem::internal)?.map_err(Problem::internal)?;
    let bytes = found.ok_or_else(|| Problem::not_found("file of a mirrored log"))?;
    Ok(match path.as_str() {
        CHECKPOINT_PATH => open(TEXT, BRIEF, bytes),
        path if path.starts_with("object/") => open("application/octet-stream", BRIEF, bytes),
        _ => open("application/octet-stream", "public, max-age=31536000, immutable", bytes),
    })
}

async fn add_checkpoint(State(app): State<AppState>, body: Bytes) -> Result<Response, Problem> {
    let mirror = mirror(&app)?;
    let work = move || told(mirror.add_checkpoint(&body).map_err(Problem::internal)?);
    tokio::task::spawn_blocking(work).await.map_err(Problem::internal)?
}

/// A body's chunks, for a thread that reads them.
struct Chunks {
    from: mpsc::Receiver<Bytes>,
    chunk: Bytes,
}
impl Read for Chunks {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        while self.chunk.is_empty() {
            match self.from.blocking_recv() {
                Some(chunk) => self.chunk = chunk,
                None => return Ok(0),
            }
        }
        let count = self.chunk.len().min(into.len());
        into[..count].copy_from_slice(&self.chunk.split_to(count));
        Ok(count)
    }
}

async fn add_entries(
    State(app): State<AppState>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let mirror = mirror(&app)?;
    let encoding = headers.get(header::CONTENT_ENCODING).map_or("identity", |v| v.to_str().unwrap_or("?"));
    let gzip = match encoding {
        "identity" => false,
        "gzip" => true,
        _ => return Ok(answer(StatusCode::UNSUPPORTED_MEDIA_TYPE, TEXT, "gzip alone is read here\n".into())),
    };
    let (send, from) = mpsc::channel(CHUNKS);
    let platform = Arc::clone(&app.platform);
    let work = tokio::task::spawn_blocking(move || {
        let chunks = Chunks { from, chunk: Bytes::new() };
        let mut reader: Box<dyn Read> =
            if gzip { Box::new(MultiGzDecoder::new(chunks)) } else { Box::new(chunks) };
        mirror.add_entries(&mut reader, &|| platform.now())
    });
    feed(body, send).await;
    let told = work.await.map_err(Problem::internal)?.map_err(Problem::internal)?;
    Ok(match told {
        Told::Cosigned(lines) => answer(StatusCode::OK, TEXT, lines),
        Told::Partly(info) => answer(StatusCode::ACCEPTED, INFO_TYPE, info.to_text()),
        Told::Conflict(info) => answer(StatusCode::CONFLICT, INFO_TYPE, info.to_text()),
        Told::BadRequest(why) => answer(StatusCode::BAD_REQUEST, TEXT, format!("{why}\n")),
        Told::UnknownLog => answer(StatusCode::NOT_FOUND, TEXT, "this log is not mirrored here\n".into()),
        Told::Unprocessable(why) => answer(StatusCode::UNPROCESSABLE_ENTITY, TEXT, format!("{why}\n")),
        Told::Busy => {
            let text = "too many uploads at once: try again in a minute\n".into();
            answer(StatusCode::SERVICE_UNAVAILABLE, TEXT, text)
        }
    })
}

/// Hands a body on, as far as it comes and somebody reads it: an answer does not wait for the rest.
async fn feed(mut body: Body, to: mpsc::Sender<Bytes>) {
    while let Ok(Some(Ok(frame))) = tokio::time::timeout(SILENCE, body.frame()).await {
        if let Ok(chunk) = frame.into_data()
            && to.send(chunk).await.is_err()
        {
            return;
        }
    }
}

fn answer(status: StatusCode, kind: &'static str, text: String) -> Response {
    let mut response = (status, [(header::CONTENT_TYPE, kind)], text).into_response();
    response.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    response
}
