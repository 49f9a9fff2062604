//! Fair limits of the open API: the same for everybody, and an answer that says when to come back.
//!
//! Addresses are kept in memory for as long as their bucket is not full again, and nowhere else (J1).

use crate::http::{AppState, facts, problem::Problem};
use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Mutex, PoisonError},
};

/// Addresses remembered at most; then those that asked longest ago are forgotten.
const ADDRESSES_MAX: usize = 20_000;

/// A bucket for each address: it holds a minute's requests and fills evenly.
#[derive(Default)]
pub struct Limits(Mutex<HashMap<IpAddr, (i64, i64)>>);

impl Limits {
    /// Takes one request of `ip`, of `per_minute`; or the milliseconds to wait.
    pub fn take(&self, ip: IpAddr, now_ms: i64, per_minute: u32) -> Result<(), i64> {
        let (full, per_minute) = (60_000i64, i64::from(per_minute.max(1)));
        let cost = full / per_minute;
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= ADDRESSES_MAX {
            buckets.retain(|_, (left, at)| *left + (now_ms - *at) < full);
            if buckets.len() >= ADDRESSES_MAX {
                buckets.clear();
            }
        }
        let (left, at) = buckets.entry(ip).or_insert((full, now_ms));
        *left = (*left + (now_ms - *at).max(0)).min(full);
        *at = now_ms;
        if *left < cost {
            return Err(cost - *left);
        }
        *left -= cost;
        Ok(())
    }
}

/// Proof that the caller is within the limits.
pub struct Fair;

impl FromRequestParts<AppState> for Fair {
    type Rejection = Response;
    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Fair, Response> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|c| c.0);
        let Some(peer) = peer else { return Ok(Fair) };
        let ip = facts::client_ip(app, &parts.headers, peer);
        let per_minute = app.config.record_requests_per_minute;
        match app.record_limits.take(ip, app.platform.now().0, per_minute) {
            Ok(()) => Ok(Fair),
            Err(wait_ms) => Err(too_many(per_minute, wait_ms)),
        }
    }
}

fn too_many(per_minute: u32, wait_ms: i64) -> Response {
    let seconds = ((wait_ms + 999) / 1_000).max(1);
    let detail = format!(
        "At most {per_minute} requests a minute from one address; come back in {seconds} s. The bulk files have everything at once."
    );
    let problem =
        Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", "Too many requests.").detail(detail);
    let mut response = problem.into_response();
    if let Ok(value) = HeaderValue::from_str(&seconds.to_string()) {
        response.headers_mut().insert(header::RETRY_AFTER, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_says_when_to_come_back_and_fills_again() {
        let limits = Limits::default();
        let ip: IpAddr = "192.0.2.1".parse().unwrap();
        for _ in 0..60 {
            assert_eq!(limits.take(ip, 0, 60), Ok(()));
        }
        assert_eq!(limits.take(ip, 0, 60), Err(1_000));
        assert_eq!(limits.take(ip, 400, 60), Err(600));
        assert_eq!(limits.take(ip, 1_000, 60), Ok(()));
        assert_eq!(limits.take("192.0.2.2".parse().unwrap(), 1_000, 60), Ok(()), "each address has its own");
    }
}
