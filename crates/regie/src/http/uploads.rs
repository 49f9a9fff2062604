//! `POST /v1/assets`: pictures, checked by content and never by name, stored under their hash.
//!
//! The answer is the `asset` to put into a creative.

use super::{AppState, Route, auth::Caller, auth::csrf, booking::BOOK, problem::Problem};
use crate::uploads::image_type;
use axum::{
    Json,
    body::Body,
    extract::{DefaultBodyLimit, FromRequest, Multipart, Request, State},
    http::{Method, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use bytes::Bytes;
use regie_model::{
    Faults,
    creative::Asset,
    limits::{CREATIVE_WEIGHT_BYTES_MAX, UPLOAD_BYTES_MAX},
};

/// Room for the other fields of a form.
const FIELDS_BYTES: usize = 64 * 1024;

/// The module's routes.
pub fn routes() -> Vec<Route> {
    let handler = post(upload).layer(DefaultBodyLimit::max(UPLOAD_BYTES_MAX + FIELDS_BYTES));
    vec![Route { owner: "uploads", method: Method::POST, path: "/v1/assets", access: BOOK, handler }]
}

async fn upload(State(app): State<AppState>, _caller: Caller, request: Request) -> Result<Response, Problem> {
    let bytes = content(request).await?;
    let asset = store(&app, bytes).await?;
    Ok((StatusCode::CREATED, [(header::LOCATION, format!("/v1/assets/{}", asset.hash))], Json(asset))
        .into_response())
}

/// The file of a request: its whole body, or the field `file` of a form.
async fn content(request: Request) -> Result<Bytes, Problem> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
    if !kind.starts_with("multipart/form-data") {
        return csrf::read(request.into_body(), UPLOAD_BYTES_MAX).await;
    }
    let (parts, body) = request.into_parts();
    let bytes = csrf::read(body, UPLOAD_BYTES_MAX + FIELDS_BYTES).await?;
    let copy = Request::from_parts(parts, Body::from(bytes));
    let form = Multipart::from_request(copy, &()).await;
    let mut form = form.map_err(|e| Problem::bad_request(e.body_text()))?;
    while let Some(field) = form.next_field().await.map_err(|e| Problem::bad_request(e.body_text()))? {
        if field.name() == Some("file") {
            return field.bytes().await.map_err(|e| Problem::bad_request(e.body_text()));
        }
    }
    Err(Problem::bad_request("The form has no field `file`."))
}

/// Checks and stores a picture.
///
/// # Errors
/// 413 over the limit; 422 for what is no picture, or too heavy to be served.
pub async fn store(app: &AppState, bytes: Bytes) -> Result<Asset, Problem> {
    if bytes.len() > UPLOAD_BYTES_MAX {
        return Err(Problem::too_large(UPLOAD_BYTES_MAX));
    }
    let mut faults = Faults::new();
    let found = image_type(&bytes);
    faults.when(
        found.is_none(),
        "file",
        "no_picture",
        "This is no PNG, JPEG, GIF or WebP picture, or it is damaged.",
    );
    let heavy = format!(
        "The picture has {} bytes; a creative weighs at most {CREATIVE_WEIGHT_BYTES_MAX}.",
        bytes.len()
    );
    faults.when(bytes.len() > CREATIVE_WEIGHT_BYTES_MAX, "file", "too_heavy", heavy);
    let (Some(found), true) = (found, faults.is_empty()) else { return Err(Problem::faults(faults)) };
    let platform = app.platform.clone();
    let size_bytes = u32::try_from(bytes.len()).map_err(Problem::internal)?;
    let stored = tokio::task::spawn_blocking(move || platform.objects.put(&bytes));
    let hash = stored.await.map_err(Problem::internal)?.map_err(Problem::internal)?;
    Ok(Asset { hash, media_type: found.media_type.to_owned(), size_bytes, size: found.size })
}
