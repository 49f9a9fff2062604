//! The public record's data under `/v1` as well: the record's own handlers behind a second address, so that one document
//! says where the data of every page is. `/record/` stays the address to cite.
//!
//! Refuses an answer of its own: a twin asks its handler for JSON, and changes nothing in what it says.

use super::{Route, record};
use axum::{
    extract::Request,
    http::{HeaderValue, Method, Uri, header},
    middleware::map_request,
};

/// Twin, and the record's own address.
const TWINS: [(&str, &str); 12] = [
    ("/v1/record/ads", "/record/ads.json"),
    ("/v1/record/ads/{id}", "/record/ads/{id}"),
    ("/v1/record/ads/{id}/{form}", "/record/ads/{id}/{form}"),
    ("/v1/record/ads/{id}/versions", "/record/ads/{id}/versions.json"),
    ("/v1/record/ads/{id}/versions/{version}", "/record/ads/{id}/versions/{version}"),
    ("/v1/record/changes", "/record/changes.json"),
    ("/v1/record/days", "/record/days.json"),
    ("/v1/record/elections", "/record/elections.json"),
    ("/v1/record/completeness", "/record/completeness.json"),
    ("/v1/record/fields", "/record/data.json"),
    ("/v1/record/spenders", "/record/spenders.json"),
    ("/v1/record/sponsors/{id}", "/record/sponsors/{id}"),
];

/// The twins of the record's routes.
pub fn routes() -> Vec<Route> {
    let own = record::routes();
    let twin = |(path, of): (&'static str, &'static str)| {
        let found = own.iter().find(|route| route.path == of && route.method == Method::GET)?;
        Some(Route::public("record", Method::GET, path, found.handler.clone().layer(map_request(as_json))))
    };
    TWINS.into_iter().filter_map(twin).collect()
}

/// Asks for JSON in both ways that the record's handlers know: by header, and by the end of the address.
async fn as_json(mut request: Request) -> Request {
    request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    let query = request.uri().query().map_or(String::new(), |query| format!("?{query}"));
    if let Ok(uri) = format!("{}.json{query}", request.uri().path()).parse::<Uri>() {
        *request.uri_mut() = uri;
    }
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_twin_finds_its_handler() {
        assert_eq!(routes().len(), TWINS.len());
    }
}
