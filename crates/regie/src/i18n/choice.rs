//! Which language a request gets: what its user chose before, else what the browser asks for, else English.
//!
//! The choice is a cookie that only says `en` or `fr`; nobody gets one who does not choose.

use super::{LANG, Lang, lang};
use crate::http::Route;
use axum::{
    extract::{Query, Request},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Deserialize;

/// Name of the cookie.
const COOKIE: &str = "regie_language";
/// How long a choice is kept.
const KEPT_S: u32 = 365 * 24 * 3_600;
/// Languages of a header that are looked at.
const WISHES_MAX: usize = 16;

tokio::task_local! {
    static HERE: String;
}

/// Path and query of the page that is being answered.
pub fn here() -> String {
    HERE.try_with(Clone::clone).unwrap_or_default()
}

/// The module's routes.
pub fn routes() -> Vec<Route> {
    vec![Route::public("languages", Method::GET, "/language", get(choose))]
}

/// The language of a request by its headers.
pub fn of(headers: &HeaderMap) -> Lang {
    chosen(headers).or_else(|| wished(headers)).unwrap_or(Lang::En)
}

fn chosen(headers: &HeaderMap) -> Option<Lang> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|v| v.to_str().ok());
    let mut pairs = cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).and_then(|(_, value)| Lang::parse(value))
}

/// RFC 9110, section 12.5.4: the known language with the largest weight; the first of equals.
fn wished(headers: &HeaderMap) -> Option<Lang> {
    let line = headers.get(header::ACCEPT_LANGUAGE)?.to_str().ok()?;
    let mut best: Option<(f32, Lang)> = None;
    for wish in line.split(',').take(WISHES_MAX) {
        let (tag, weight) = wish.split_once(';').unwrap_or((wish, ""));
        let weight = weight.trim().strip_prefix("q=").map_or(Some(1.0), |q| q.trim().parse::<f32>().ok());
        let (Some(found), Some(weight)) = (Lang::parse(tag), weight) else { continue };
        if weight > 0.0 && best.is_none_or(|(w, _)| weight > w) {
            best = Some((weight, found));
        }
    }
    best.map(|(_, found)| found)
}

/// Answers a request in its language.
pub async fn negotiate(request: Request, next: Next) -> Response {
    // Under `/v1` too: codes and data stay as they are, sentences for people are in the language asked for.
    let wanted = of(request.headers());
    let here = request.uri().path_and_query().map_or(String::new(), |p| p.as_str().to_owned());
    LANG.scope(wanted, HERE.scope(here, next.run(request))).await
}

/// Says on a page in which language it is, and that others would get another.
pub fn mark(response: &mut Response) {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(lang().code()));
    headers.append(header::VARY, HeaderValue::from_static("accept-language, cookie"));
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Choice {
    to: String,
    back: String,
}

async fn choose(Query(choice): Query<Choice>) -> Response {
    let back = own_path(&choice.back).unwrap_or("/record");
    let Some(to) = Lang::parse(&choice.to) else {
        return (StatusCode::SEE_OTHER, [(header::LOCATION, back.to_owned())]).into_response();
    };
    let cookie = format!("{COOKIE}={}; Path=/; Max-Age={KEPT_S}; SameSite=Lax; HttpOnly", to.code());
    let headers = [
        (header::LOCATION, back.to_owned()),
        (header::SET_COOKIE, cookie),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    (StatusCode::SEE_OTHER, headers).into_response()
}

/// A path of this server and nothing that leads elsewhere.
fn own_path(path: &str) -> Option<&str> {
    let plain = path.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    (path.starts_with('/') && !path.starts_with("//") && plain && path.len() < 2_000).then_some(path)
}

/// Links to the same page in the other languages.
pub fn links() -> maud::Markup {
    let back = here();
    maud::html! {
        nav class="languages" aria-label=(crate::t!("frame-language")) {
            @for other in Lang::ALL {
                @if other == lang() { span lang=(other.code()) aria-current="true" { (other.name()) } }
                @else {
                    @let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("to", other.code()).append_pair("back", &back).finish();
                    a href={ "/language?" (query) } lang=(other.code()) hreflang=(other.code()) rel="nofollow" { (other.name()) }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(accept: &str, cookie: &str) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in [(header::ACCEPT_LANGUAGE, accept), (header::COOKIE, cookie)] {
            if let (false, Ok(value)) = (value.is_empty(), HeaderValue::from_str(value)) {
                map.insert(name, value);
            }
        }
        map
    }
    #[test]
    fn a_choice_goes_before_the_browser() {
        for (accept, cookie, want) in [
            ("", "", Lang::En),
            ("fr-FR,fr;q=0.9,en;q=0.8", "", Lang::Fr),
            ("de,en;q=0.5,fr;q=0.7", "", Lang::Fr),
            ("fr;q=0, en;q=0.1", "", Lang::En),
            ("fr", "a=b; regie_language=en", Lang::En),
            ("en", "regie_language=fr", Lang::Fr),
            ("fr", "regie_language=xx", Lang::Fr),
            ("\u{7f}", "", Lang::En),
        ] {
            assert_eq!(of(&headers(accept, cookie)), want, "{accept} {cookie}");
        }
    }
    #[test]
    fn one_comes_back_only_to_this_server() {
        assert_eq!(own_path("/record?q=a"), Some("/record?q=a"));
        for bad in ["//elsewhere.example", "https://elsewhere.example", "/\\elsewhere", "", "/a\nb"] {
            assert_eq!(own_path(bad), None, "{bad:?}");
        }
    }
}
