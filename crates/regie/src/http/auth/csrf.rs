//! Cross-site request forgery: a browser's unsafe request must come from our own pages and carry its session's token.
//!
//! The guard checks both for every cookie-authenticated request, so a handler cannot forget. Requests with an API token
//! need none: a browser never adds one by itself.

use crate::http::{App, problem::Problem};
use axum::{
    body::{Body, Bytes, HttpBody},
    extract::{Form, FromRequest, Multipart, Request},
    http::{HeaderMap, HeaderValue, header},
};
use http_body_util::BodyExt;
use regie_model::limits::{COMMAND_BODY_BYTES_MAX, UPLOAD_BYTES_MAX};

/// A body up to so many times its limit is read to its end before it is refused.
const DRAIN_FACTOR: u64 = 4;

/// Header of a script's request.
pub const HEADER: &str = "x-regie-csrf";
/// Field of a form.
pub const FIELD: &str = "csrf";
/// Room for the other fields of an upload.
const UPLOAD_FIELDS_BYTES: usize = 64 * 1024;

/// Refuses a request that another site's page caused.
///
/// # Errors
/// 403, when the browser says so, or does not say where the request comes from.
pub fn check_origin(app: &App, headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
    let ours = match (text("sec-fetch-site"), text("origin")) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => {
            let host = text("host").unwrap_or("");
            let of_host = origin.split_once("://").is_some_and(|(_, rest)| !host.is_empty() && rest == host);
            origin == app.config.public_url || of_host
        }
        (None, None) => false,
    };
    if ours {
        Ok(())
    } else {
        Err(Problem::forbidden("The request does not come from this server's own pages."))
    }
}

/// Checks the session's token in header or form field; gives the request back whole.
///
/// # Errors
/// 403 without the right token, 413 for a body over its limit.
pub async fn check_token(request: Request, wanted: &str) -> Result<Request, Problem> {
    if let Some(given) = request.headers().get(HEADER) {
        return if same(given.as_bytes(), wanted.as_bytes()) { Ok(request) } else { Err(wrong()) };
    }
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
    let multipart = kind.starts_with("multipart/form-data");
    let streamed = [crate::http::study::UPLOAD_PATH, crate::http::bulk::UPLOAD_PATH];
    if multipart && streamed.contains(&request.uri().path()) {
        return check_first_field(request, wanted).await;
    }
    let max = match kind.split(';').next() {
        Some("application/x-www-form-urlencoded") => COMMAND_BODY_BYTES_MAX,
        Some("multipart/form-data") => UPLOAD_BYTES_MAX + UPLOAD_FIELDS_BYTES,
        _ => return Err(wrong()),
    };
    let (parts, body) = request.into_parts();
    let bytes = read(body, max).await?;
    let found = if multipart {
        let copy = Request::from_parts(parts.clone(), Body::from(bytes.clone()));
        multipart_field(copy).await.is_some_and(|given| same(given.as_bytes(), wanted.as_bytes()))
    } else {
        let mut pairs = url::form_urlencoded::parse(&bytes);
        pairs.any(|(name, value)| name == FIELD && same(value.as_bytes(), wanted.as_bytes()))
    };
    if found { Ok(Request::from_parts(parts, Body::from(bytes))) } else { Err(wrong()) }
}

/// Bytes of a streamed form within which its token must have come.
const FIRST_FIELD_BYTES_MAX: usize = 16 * 1024;

/// Checks the token of a form whose body may be large: it is the first field, and the rest is not held in memory. What
/// was read is given back before the rest; how large that may be is the handler's to say.
async fn check_first_field(request: Request, wanted: &str) -> Result<Request, Problem> {
    let (parts, mut body) = request.into_parts();
    let mut head = Vec::new();
    let found = loop {
        if let Some(found) = first_field(&head) {
            break found;
        }
        let frame = match body.frame().await {
            Some(frame) if head.len() <= FIRST_FIELD_BYTES_MAX => frame,
            _ => return Err(wrong()),
        };
        let frame = frame.map_err(|_| Problem::bad_request("The body broke off."))?;
        if let Ok(data) = frame.into_data() {
            head.extend_from_slice(&data);
        }
    };
    if !same(found.as_bytes(), wanted.as_bytes()) {
        return Err(wrong());
    }
    Ok(Request::from_parts(parts, Body::new(Again { head: Some(head.into()), rest: body })))
}

/// The value of a form's first field, when it is all there and is the token's (RFC 7578, section 4).
fn first_field(head: &[u8]) -> Option<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let find = |from: usize, what: &[u8]| {
        head.get(from..)?.windows(what.len()).position(|w| w == what).map(|at| from + at)
    };
    let line_end = find(0, b"\r\n")?;
    let headers_end = find(line_end, b"\r\n\r\n")?;
    let headers = text(&head[line_end..headers_end]).to_ascii_lowercase();
    let boundary = [b"\r\n".as_slice(), &head[..line_end]].concat();
    let value_end = find(headers_end + 4, &boundary)?;
    let named = headers.contains(&format!("name=\"{FIELD}\""));
    Some(if named { text(&head[headers_end + 4..value_end]) } else { String::new() })
}

/// A body of which the beginning was read already.
struct Again {
    head: Option<Bytes>,
    rest: Body,
}
impl HttpBody for Again {
    type Data = Bytes;
    type Error = axum::Error;
    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, axum::Error>>> {
        match self.head.take() {
            Some(head) => std::task::Poll::Ready(Some(Ok(hyper::body::Frame::data(head)))),
            None => std::pin::Pin::new(&mut self.rest).poll_frame(context),
        }
    }
    fn is_end_stream(&self) -> bool {
        self.head.is_none() && self.rest.is_end_stream()
    }
}

/// A body in memory, up to a limit.
///
/// # Errors
/// 413 over the limit, 400 when the body breaks off.
pub async fn read(mut body: Body, max: usize) -> Result<Bytes, Problem> {
    let declared = body.size_hint().lower();
    let drained_max = max as u64 * DRAIN_FACTOR;
    if declared > drained_max {
        return Err(Problem::too_large(max));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(declared).unwrap_or(max).min(max));
    let mut count = 0u64;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::bad_request("The body broke off."))?;
        let Ok(data) = frame.into_data() else { continue };
        count += data.len() as u64;
        // What is somewhat over the limit is read and dropped, or the sender would not hear the answer.
        if count > drained_max {
            break;
        }
        if count <= max as u64 {
            bytes.extend_from_slice(&data);
        }
    }
    if count > max as u64 { Err(Problem::too_large(max)) } else { Ok(bytes.into()) }
}

async fn multipart_field(request: Request) -> Option<String> {
    let mut form = Multipart::from_request(request, &()).await.ok()?;
    while let Ok(Some(field)) = form.next_field().await {
        if field.name() == Some(FIELD) {
            return field.text().await.ok();
        }
    }
    None
}

fn wrong() -> Problem {
    let detail = format!(
        "Send the session's token as the form field `{FIELD}` or the header `{HEADER}`; load the page again if it is old."
    );
    Problem::forbidden(detail)
}
/// Compares without telling by its time where the texts differ.
pub fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0u8, |d, (x, y)| d | (x ^ y)) == 0
}

/// A urlencoded form without its CSRF field, which the guard has checked.
#[derive(Debug)]
pub struct CsrfForm<T>(pub T);

impl<S: Send + Sync, T: serde::de::DeserializeOwned> FromRequest<S> for CsrfForm<T> {
    type Rejection = Problem;
    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let bytes = read(body, COMMAND_BODY_BYTES_MAX).await?;
        let pairs = url::form_urlencoded::parse(&bytes).filter(|(name, _)| name != FIELD);
        let rest = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        parts
            .headers
            .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        parts.headers.remove(header::CONTENT_LENGTH);
        let copy = Request::from_parts(parts, Body::from(rest));
        let form = Form::<T>::from_request(copy, state).await;
        form.map(|Form(value)| CsrfForm(value)).map_err(|e| Problem::bad_request(e.body_text()))
    }
}

#[cfg(test)]
mod tests {
    use super::{first_field, same};

    #[test]
    fn the_first_field_of_a_form_is_the_token_or_nothing() {
        let form = |name: &str| {
            format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\nsecret\r\n--b\r\nContent")
        };
        let whole = form("csrf");
        assert_eq!(first_field(whole.as_bytes()).as_deref(), Some("secret"));
        assert_eq!(first_field(form("file").as_bytes()).as_deref(), Some(""));
        let value_end = whole.find("\r\n--b\r\nC").unwrap() + 5;
        for cut in 0..value_end {
            assert_eq!(first_field(&whole.as_bytes()[..cut]), None, "{cut}");
        }
    }
    #[test]
    fn tokens_are_compared_whole() {
        assert!(same(b"abc", b"abc"));
        for other in [&b"abd"[..], b"ab", b"", b"abcd"] {
            assert!(!same(b"abc", other));
        }
    }
}
