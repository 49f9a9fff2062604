//! The study room on the web: the house imports archives, asks, groups and publishes; anybody reads what was published.
//!
//! Console pages are for the publisher's own people; whoever only reads may ask, ad operations and owner may change.
//! Nothing here touches the journal: a study is `study.db` and the folder `study/`. Works without scripts.

mod ask;
mod compare;
mod data;
mod form;
mod groupings;
mod import;
mod jobs;
mod library;
mod links;
mod public;
mod publish;

pub use jobs::Study;

use super::{
    AppState, Route,
    auth::Caller,
    console::{HOUSE, HOUSE_READ, OPERATES, layout},
    problem::Problem,
};
use crate::t;
use axum::{
    http::{Method, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get, post},
};
use maud::Markup;
use regie_study::{Day, desk::Slug};

/// Where files are sent; the one form whose body is not held in memory.
pub const UPLOAD_PATH: &str = "/console/study/import";

fn page(path: &'static str, handler: MethodRouter<AppState>) -> Route {
    Route { owner: "study", method: Method::GET, path, access: HOUSE, handler }
}
fn data(path: &'static str, handler: MethodRouter<AppState>) -> Route {
    Route { owner: "study", method: Method::GET, path, access: HOUSE_READ, handler }
}
fn act(path: &'static str, handler: MethodRouter<AppState>) -> Route {
    Route { owner: "study", method: Method::POST, path, access: OPERATES, handler }
}

/// The module's routes.
pub fn routes() -> Vec<Route> {
    let public = |path, handler| Route::public("study", Method::GET, path, handler);
    let unlimited = axum::extract::DefaultBodyLimit::disable();
    vec![
        page("/console/study", get(library::show)),
        page("/console/study/snapshots/{id}", get(library::snapshot)),
        page(UPLOAD_PATH, get(import::form)),
        act(UPLOAD_PATH, post(import::upload).layer(unlimited)),
        act("/console/study/own", post(import::own)),
        page("/console/study/imports/{id}", get(import::watch)),
        act("/console/study/imports/{id}", post(import::go_on)),
        page("/console/study/ask", get(ask::show)),
        page("/console/study/ask/{file}", get(ask::file)),
        page("/console/study/compare", get(compare::show)),
        page("/console/study/check", get(compare::check)),
        page("/console/study/groupings", get(groupings::list)),
        act("/console/study/groupings", post(groupings::create)),
        page("/console/study/groupings/{name}", get(links::show)),
        act("/console/study/groupings/{name}", post(links::act)),
        page("/console/study/groupings/{name}/file", get(groupings::file)),
        page("/console/study/groupings/{name}/quality", get(groupings::quality)),
        page("/console/study/groupings/{name}/diff", get(groupings::diff)),
        page("/console/study/reports", get(publish::list)),
        act("/console/study/reports", post(publish::publish)),
        act("/console/study/reports/{slug}", post(publish::withdraw)),
        data("/v1/study/snapshots", get(data::snapshots)),
        data("/v1/study/snapshots/{id}", get(data::snapshot)),
        data("/v1/study/imports/{id}", get(data::import)),
        data("/v1/study/ranking", get(data::ranking)),
        data("/v1/study/comparison", get(data::comparison)),
        data("/v1/study/check", get(data::check)),
        data("/v1/study/groupings", get(data::groupings)),
        data("/v1/study/groupings/{name}", get(data::grouping)),
        data("/v1/study/groupings/{name}/quality", get(data::quality)),
        data("/v1/study/groupings/{name}/diff", get(data::grouping_diff)),
        data("/v1/study/reports", get(data::reports)),
        public("/v1/study/published", get(data::published)),
        public("/v1/study/published/{slug}/{file}", get(public::file)),
        public("/study", get(public::home)),
        public("/study/{slug}", get(public::report)),
        public("/study/{slug}/{file}", get(public::file)),
    ]
}

/// Today in the publisher's zone.
fn today(app: &AppState) -> Day {
    Day(super::console::act::zone(app).day(app.platform.now()).0)
}

/// Runs what reads or writes the study's files, off the threads that answer requests.
async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, regie_study::Error> + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(Problem::internal)?.map_err(refused)
}

/// What the study room says, as an answer: the reader's question and the file are for the reader to mend.
fn refused(error: regie_study::Error) -> Problem {
    use regie_study::Error;
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    match error {
        Error::File { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            Problem::not_found("file of this name")
        }
        Error::File { .. } | Error::Io(_) | Error::Store(_) => Problem::internal(error),
        other => Problem::new(status, "study_refused", "The study room cannot do this.")
            .detail(words_for_the_web(&other.to_string())),
    }
}

/// An answer's fragment in the language of the page.
fn said(fragment: &Markup) -> Markup {
    maud::PreEscaped(crate::i18n::answers::document(&fragment.0))
}
/// Why a question cannot be answered, in the language of the page.
fn refused_words(error: regie_study::Error) -> String {
    crate::i18n::answers::say(&refused(error).detail)
}

/// The command line's options are fields here.
fn words_for_the_web(text: &str) -> String {
    text.replace("--known-on", "the field \u{201c}as known on\u{201d}")
        .replace("--window", "the field \u{201c}window\u{201d}")
        .replace("--currency", "the field \u{201c}currency\u{201d}")
        .replace("--from", "the field \u{201c}from\u{201d}")
        .replace("--to", "the field \u{201c}to\u{201d}")
        .replace("--mapping FILE", "the field \u{201c}mapping\u{201d}")
        .replace("--rate", "the field \u{201c}rates\u{201d}")
        .replace("--encoding", "the field \u{201c}encoding\u{201d}")
        .replace("`study diff`", "\u{201c}Compare\u{201d}")
}

/// A name of the address, or that there is nothing of it.
fn slug(text: &str, what: &str) -> Result<Slug, Problem> {
    Slug::parse(text).ok_or_else(|| Problem::not_found(what))
}

/// A page of the study in the console.
fn frame(app: &AppState, caller: &Caller, title: &str, body: &Markup) -> Response {
    let frame = layout::Frame::new(title, "/console/study").crumb("/console/study", t!("study-study"));
    layout::console(app, caller, &frame, body)
}

/// A file to keep.
fn download(name: &str, media_type: &'static str, bytes: Vec<u8>) -> Response {
    let disposition = format!("attachment; filename=\"{name}\"");
    let headers = [
        (header::CONTENT_TYPE, media_type.to_owned()),
        (header::CONTENT_DISPOSITION, disposition),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ];
    (headers, bytes).into_response()
}
