//! The transparency notice of one ad: in the reader's language, as HTML to read and print, as JSON and as JSON-LD.

use super::{data, known, open_json};
use crate::http::{App, AppState, console::layout, problem::Problem};
use crate::t;
use axum::{
    extract::{Path, Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use maud::{Markup, html};
use regie_model::AdId;
use regie_record::{
    Entry, NoticeItem,
    export::{Around, repository, who_targets_me},
    texts::{Text, Texts, languages, notice_in},
};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

/// In which language.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    lang: Option<String>,
    size: Option<String>,
    on: Option<String>,
}

/// The texts for a page.
pub(super) fn texts(app: &App, wanted: Option<&str>, headers: &HeaderMap) -> Texts {
    let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|v| v.to_str().ok());
    let first = accepted.and_then(|t| t.split(',').next()).map(|t| t.split(';').next().unwrap_or(t).trim());
    choose(app, wanted.or(first))
}

/// The texts in a language of the pages.
pub(super) fn texts_in(app: &App, language: &str) -> Texts {
    choose(app, Some(language))
}

fn choose(app: &App, wanted: Option<&str>) -> Texts {
    let opted = app
        .platform
        .catalogue()
        .publisher
        .as_ref()
        .map(|p| p.spec.label_languages.clone())
        .unwrap_or_default();
    Texts::choose(wanted, &opted)
}

/// What an export says around an entry: its version is that of the facts and figures together.
pub(super) fn around<'a>(app: &'a App, publisher: &'a str, id: AdId) -> Result<Around<'a>, Problem> {
    let db = app.publication.reading().map_err(Problem::internal)?;
    let versions = db.versions(id, None).map_err(Problem::internal)?;
    let modified = versions.last().map_or_else(String::new, |v| v.leaf.at.to_string());
    Ok(Around {
        base_url: &app.config.public_url,
        publisher,
        language: None,
        version: u32::try_from(versions.len()).unwrap_or(u32::MAX).max(1),
        modified,
    })
}

/// `GET /record/ads/{id}/notice`, also `.json` and `.jsonld`; and the entry for Who Targets Me (`.wtm.json`).
pub(super) async fn show(
    State(app): State<AppState>,
    Path((id, form)): Path<(String, String)>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Result<Response, Response> {
    let page = form == "notice";
    let refuse = |problem: Problem| {
        if page { layout::PageError(problem).into_response() } else { problem.into_response() }
    };
    let missing = || Problem::not_found("such page of this ad");
    let ad: AdId = id.parse().map_err(|_| refuse(super::ad_page::not_here(&id)))?;
    let reader = Arc::clone(&app);
    let when = known::When { size: wanted.size.clone(), on: wanted.on.clone() };
    let read = move || -> Result<Option<Entry>, Problem> {
        if !data::is_shown(&reader, ad) {
            return Ok(None);
        }
        let db = reader.publication.reading().map_err(Problem::internal)?;
        match when.size(&db)? {
            Some(size) => Ok(known::entry_at(&reader, &db, ad, size)?.map(|(_, entry)| entry)),
            None => data::entry(&reader, ad),
        }
    };
    let entry = tokio::task::spawn_blocking(read).await.map_err(|e| refuse(Problem::internal(e)))?;
    let entry = entry.map_err(refuse)?.ok_or_else(|| refuse(super::ad_page::not_here(&id)))?;
    let texts = texts(&app, wanted.lang.as_deref(), &headers);
    let items = notice_in(&entry.notice, &texts);
    let publisher = layout::publisher_name(&app);
    match form.as_str() {
        "notice" => Ok(layout::page(StatusCode::OK, &document(&app, &entry, &items, &texts, &publisher))),
        "notice.json" => Ok(open_json(&json!({
            "ad": entry.id, "language": texts.code, "political": entry.political, "items": items,
            "label": label_words(&entry, &texts),
        }))),
        "notice.jsonld" | "entry.jsonld" => {
            let around = around(&app, &publisher, ad).map_err(refuse)?;
            let mut told = entry.clone();
            told.notice = items;
            let around = Around { language: Some(texts.code), ..around };
            let mut response = open_json(&repository(&told, &around));
            response
                .headers_mut()
                .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/ld+json"));
            Ok(response)
        }
        "wtm.json" => {
            let around = around(&app, &publisher, ad).map_err(refuse)?;
            Ok(open_json(&who_targets_me(&entry, &around)))
        }
        _ => Err(refuse(missing())),
    }
}

/// The label's words.
fn label_words(entry: &Entry, texts: &Texts) -> Vec<String> {
    let first = if entry.political { Text::PoliticalAdvertisement } else { Text::Advertisement };
    let mut words = vec![
        texts.get(first).to_owned(),
        texts.with(Text::OnBehalfOf, &entry.sponsor.name),
        texts.with(Text::PaidBy, &entry.payer.name),
    ];
    if entry.political && !entry.sponsor.controller.is_empty() {
        words.push(texts.with(Text::ControlledBy, &entry.sponsor.controller));
    }
    words
}

fn document(app: &App, entry: &Entry, items: &[NoticeItem], texts: &Texts, publisher: &str) -> Markup {
    // The notice may be in another language than the page around it.
    let language = crate::i18n::Lang::parse(texts.code).unwrap_or(crate::i18n::Lang::En);
    let told = |words: &str| crate::i18n::within(language, || crate::i18n::rooms::say(words));
    let title = texts.get(if entry.political { Text::TransparencyNotice } else { Text::WhoPaid });
    let body = html! {
        p class="crumbs noprint" { a href="/record" { (t!("words-record")) } a href={ "/record/ads/" (entry.id) } { (entry.id) } span { (title) } }
        article lang=(texts.code) {
            h1 { (title) }
            p class="adlabel" { b { (label_words(entry, texts).join(" \u{b7} ")) } }
            @if items.is_empty() {
                dl class="facts" {
                    dt { (texts.get(Text::A)) } dd { (entry.sponsor.name) }
                    dt { (texts.get(Text::B)) } dd { (entry.payer.name) }
                    dt { (texts.get(Text::F)) } dd { (told(&entry.price.words)) }
                    dt { (texts.get(Text::L)) } dd { (told(&entry.targeting.words)) }
                    dt { (texts.get(Text::M)) } dd { (entry.figures.impressions_count) }
                }
            } @else {
                ol class="notice" type="a" {
                    @for item in items { li {
                        h2 { (item.title) }
                        dl class="facts" { @for value in &item.values { dt { (value.label) } dd { @if value.value.starts_with("https://") { a href=(value.value) rel="noopener noreferrer nofollow" { (value.value) } } @else { (told(&value.value)) } } } }
                        p class="small muted" { (item.source) }
                    } }
                }
            }
            p { a href={ "/record/ads/" (entry.id) "/report" } { (texts.get(Text::ReportThisAd)) } " \u{b7} " a href={ "/record/ads/" (entry.id) "/versions" } { (texts.get(Text::EarlierVersions)) } }
            p class="small muted" { (publisher) ", " (entry.id) }
        }
        nav class="noprint languages" aria-label=(t!("record-languages")) {
            @let opted = app.platform.catalogue().publisher.as_ref().map(|p| p.spec.label_languages.clone()).unwrap_or_default();
            @for (code, language) in languages() {
                @if language.reviewed || opted.contains(code) { a lang=(code) hreflang=(code) href={ "/record/ads/" (entry.id) "/notice?lang=" (code) } { (language.name) } " " }
            }
            a href={ "/record/ads/" (entry.id) "/notice.json" } { (t!("words-json")) } " " a href={ "/record/ads/" (entry.id) "/notice.jsonld" } { (t!("words-json-ld")) }
        }
    };
    layout::public(app, title, &body)
}
