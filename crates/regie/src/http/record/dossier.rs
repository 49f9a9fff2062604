//! Everything published about one sponsor or one vote, as one signed file (Regulation (EU) 2024/900, Art. 16 and 17). For anybody:
//! nothing is in it that is not public.

use super::limits::Fair;
use crate::{
    http::{App, AppState, problem::Problem},
    platform::log::{files::FolderFiles, files_of},
    publication::dossier::{From, document},
};
use axum::{
    extract::{Path, Query, State},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use regie_model::PartyId;
use regie_record::log::dossier::{About, Dossier};
use serde::Deserialize;
use std::sync::Arc;

/// Ads of one file that the server makes at most; `regie dossier` has no such limit.
const ADS_MAX: usize = 500;

/// `GET /record/sponsors/{id}/dossier.json`.
pub(super) async fn of_sponsor(
    State(app): State<AppState>,
    _: Fair,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let none = || Problem::not_found(&format!("sponsor {id} in the record"));
    let sponsor: PartyId = id.parse().map_err(|_| none())?;
    answer(app, About { sponsor: Some(sponsor), election: None }, format!("dossier-{sponsor}.json")).await
}

#[derive(Deserialize)]
pub(super) struct Wanted {
    election: String,
}

/// `GET /record/elections/dossier.json?election=NAME`.
pub(super) async fn of_election(
    State(app): State<AppState>,
    _: Fair,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Problem> {
    let about = About { sponsor: None, election: Some(wanted.election) };
    answer(app, about, "dossier-election.json".into()).await
}

async fn answer(app: AppState, about: About, name: String) -> Result<Response, Problem> {
    let reader = Arc::clone(&app);
    let bytes =
        tokio::task::spawn_blocking(move || make(&reader, about)).await.map_err(Problem::internal)??;
    let mut response = bytes.into_response();
    let out = response.headers_mut();
    out.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    out.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    out.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        out.insert(header::CONTENT_DISPOSITION, value);
    }
    Ok(response)
}

fn make(app: &App, about: About) -> Result<Vec<u8>, Problem> {
    app.publication.register().map_err(Problem::internal)?;
    let mut files = FolderFiles::new(&files_of(app.log.folder())).map_err(Problem::internal)?;
    let db = app.publication.reading().map_err(Problem::internal)?;
    let known = crate::publication::register::ads_about(&db, &about).map_err(Problem::internal)?;
    if known.is_empty() {
        return Err(Problem::not_found("sponsor, payer or vote of this name in the record"));
    }
    if known.len() > ADS_MAX {
        return Err(Problem::bad_request(format!(
            "{} ads are about it, and one answer holds {ADS_MAX}: ask the publisher, who makes the file with `regie dossier`.",
            known.len()
        )));
    }
    let places = |kind: &str, id: &str| app.log.places(kind, id);
    let mut from = From { db: &db, files: &mut files, places: &places };
    let now = app.platform.now();
    let made = document(&mut from, about, now, ADS_MAX, &mut |_, _| {}).map_err(Problem::internal)?;
    let by = app.log.signatory().ok_or_else(|| Problem::internal("the log has no key"))?;
    let dossier = Dossier::sign(made, by).map_err(Problem::internal)?;
    serde_json::to_vec(&dossier).map_err(Problem::internal)
}
