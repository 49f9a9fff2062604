//! `GET /v1/click/{ticket}`: counts the click and goes where the ad's own approved landing page says, nowhere else.

use super::{AppState, Route, problem::Problem};
use axum::{
    extract::{Path, State},
    http::{Method, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use regie_model::event::Event;
use std::time::Duration;

/// How long a visitor waits for the click to be durable before going on, in milliseconds.
const WAIT_MS: u64 = 250;

/// The module's routes.
pub fn routes() -> Vec<Route> {
    vec![Route::public("click", Method::GET, "/v1/click/{ticket}", get(click))]
}

async fn click(
    State(app): State<AppState>,
    method: Method,
    Path(text): Path<String>,
) -> Result<Response, Problem> {
    let ticket = app.platform.open_ticket(&text)?;
    let view = app.platform.current_view();
    let Some(ad) = view.ads.get(&ticket.ad) else {
        return Err(Problem::not_found("ad that this ticket was issued for"));
    };
    let placement = view.placements.get(&ticket.placement).map_or("", |p| p.name.as_str());
    let now = app.platform.now();
    let target =
        landing(&ad.landing_url, placement, ticket.id.sequence, &app.platform.click_id(&ticket, now));
    // A HEAD asks where it would lead: nobody goes there.
    if method != Method::HEAD {
        count(&app, Event::Click(ticket)).await;
    }
    let headers = [
        (header::LOCATION, target),
        (header::CACHE_CONTROL, "no-store".into()),
        (header::REFERRER_POLICY, "strict-origin-when-cross-origin".into()),
    ];
    Ok((StatusCode::FOUND, headers).into_response())
}

/// The visitor is not made to wait for the disk: the click is queued in order, and counted when durable.
async fn count(app: &AppState, click: Event) {
    let event = [click];
    let wait = super::events::durable(&app.platform, &event);
    if let Ok(Err(error)) = tokio::time::timeout(Duration::from_millis(WAIT_MS), wait).await {
        tracing::warn!(%error, "a click was not counted");
    }
}

/// The landing address with its macros and the signed click id (`regie_click`).
pub fn landing(template: &str, placement: &str, sequence: u64, click_id: &str) -> String {
    let filled = template.replace("{PLACEMENT}", placement).replace("{CACHEBUSTER}", &sequence.to_string());
    match url::Url::parse(&filled) {
        Ok(mut url) => {
            url.query_pairs_mut().append_pair("regie_click", click_id);
            url.into()
        }
        Err(_) => filled,
    }
}

#[cfg(test)]
mod tests {
    use super::landing;
    #[test]
    fn the_landing_page_gets_its_macros_and_the_click_id() {
        let got = landing("https://shop.example/p?from={PLACEMENT}#x", "top", 7, "abc");
        assert_eq!(got, "https://shop.example/p?from=top&regie_click=abc#x");
    }
}
