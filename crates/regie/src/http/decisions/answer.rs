//! The answer as JSON bytes, written straight into one buffer.
//!
//! What does not change between two showings of an ad (kind, size, native parts, label) or of a place (name, behaviour)
//! is written once on each worker and copied from then on. A kept part is used only while the picture of the catalogue
//! holds the very object that it was written from. Refuses to decide anything.

use crate::{
    http::{App, creatives, frames, labels},
    platform::{
        deciding::Answer,
        view::{AdView, View},
    },
};
use regie_decide::Request;
use regie_model::{
    AdId, PlacementId,
    booking::PlacementSpec,
    creative::Creative,
    ticket::{TICKET_TEXT_CHARS, Ticket},
};
use serde::Serialize;
use std::{cell::RefCell, collections::HashMap, sync::Arc};

/// Parts of ads kept on each worker.
const ADS_COUNT_MAX: usize = 8_192;
/// Parts of places kept on each worker.
const PLACES_COUNT_MAX: usize = 4_096;
/// Room for one filled place.
const SLOT_BYTES: usize = 1_024 + 3 * TICKET_TEXT_CHARS;

type Map<K, V> = HashMap<K, V, foldhash::fast::FixedState>;
type Language = [u8; 3];
type KeptAd = (Arc<AdView>, Box<[u8]>);
type KeptPlace = (Arc<PlacementSpec>, Box<[u8]>, Box<[u8]>);

/// What of an answer stays the same.
#[derive(Default)]
struct Parts {
    /// By ad, creative and language: the ad as it was, and its bytes.
    ads: Map<(AdId, [u8; 16], Language), KeptAd>,
    /// By place: the place as it was, its bytes before and after the ad.
    places: Map<PlacementId, KeptPlace>,
}

thread_local! { static PARTS: RefCell<Parts> = RefCell::default(); }

/// The part of an ad's answer that only ad, creative and language decide.
#[derive(Serialize)]
struct AdPart<'a> {
    kind: &'static str,
    width: u16,
    height: u16,
    sandbox: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    native: Option<NativePart<'a>>,
    label: labels::Label,
}
#[derive(Serialize)]
struct NativePart<'a> {
    title: &'a str,
    body: &'a str,
    call_to_action: &'a str,
    image_path: Option<String>,
    alt: &'a str,
}

/// Adds the answer to one request: `{"decisions":[...]}`.
pub(super) fn write(app: &App, view: &View, request: &Request, answers: &[Answer], out: &mut Vec<u8>) {
    app.metrics.count(answers);
    out.reserve(answers.len() * SLOT_BYTES);
    let language = request.page.language.as_deref();
    PARTS.with_borrow_mut(|parts| {
        out.extend_from_slice(b"{\"decisions\":[");
        for (index, answer) in answers.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            slot(app, view, parts, language, answer, out);
        }
        out.extend_from_slice(b"]}");
    });
}

fn slot(
    app: &App,
    view: &View,
    parts: &mut Parts,
    language: Option<&str>,
    answer: &Answer,
    out: &mut Vec<u8>,
) {
    let id = match answer {
        Answer::Fill(filled) => filled.ticket.placement,
        Answer::NoFill { placement, .. } => *placement,
    };
    let spec = view.placements.get(&id);
    let start = out.len();
    place_head(parts, id, spec, out);
    let no_fill = match answer {
        Answer::Fill(filled) => {
            let shown = shown(app, view, parts, language, &filled.ticket, &filled.sealed, out);
            (!shown).then_some("creative_missing")
        }
        Answer::NoFill { reason, .. } => Some(reason.code()),
    };
    if let Some(code) = no_fill {
        out.extend_from_slice(b",\"no_fill\":\"");
        out.extend_from_slice(code.as_bytes());
        out.push(b'"');
        if let Some(html) = spec.map(|s| s.fallback_html.as_str()).filter(|html| !html.is_empty()) {
            out.extend_from_slice(b",\"fallback_html\":");
            json(out, &html);
        }
    }
    debug_assert!(out.len() > start);
    place_tail(parts, id, spec, out);
}

/// Writes the ad; false, and nothing written, where its creative is not to be had.
fn shown(
    app: &App,
    view: &View,
    parts: &mut Parts,
    language: Option<&str>,
    ticket: &Ticket,
    sealed: &str,
    out: &mut Vec<u8>,
) -> bool {
    let Some(ad) = view.ads.get(&ticket.ad) else { return false };
    let opted_in = view.publisher.as_ref().map_or(&[][..], |p| p.label_languages.as_slice());
    let used = regie_record::texts::Texts::choose(language, opted_in).code;
    let key = (ticket.ad, ticket.creative, key_of(Some(used)));
    let kept = parts.ads.get(&key).is_some_and(|(of, _)| Arc::ptr_eq(of, ad));
    if !kept {
        let creative = creatives::shown(app, view, ticket.ad, ticket.version, &ticket.creative);
        let Some(creative) = creative else { return false };
        if parts.ads.len() >= ADS_COUNT_MAX {
            parts.ads.clear();
        }
        parts.ads.insert(
            key,
            (Arc::clone(ad), {
                let label = labels::Label {
                    promise: app.publication.promise(&app.log, ticket.ad),
                    ..labels::label(ad, language, opted_in)
                };
                ad_part(&creative, label)
            }),
        );
    }
    let Some((_, part)) = parts.ads.get(&key) else { return false };
    let mut number = itoa::Buffer::new();
    out.extend_from_slice(b",\"ad\":{\"ticket\":\"");
    out.extend_from_slice(sealed.as_bytes());
    out.extend_from_slice(b"\",\"decision\":\"");
    out.extend_from_slice(number.format(ticket.id.epoch).as_bytes());
    out.push(b'-');
    out.extend_from_slice(number.format(ticket.id.sequence).as_bytes());
    let ids: [(&[u8], u32); 4] = [
        (b"\",\"campaign\":\"cam_", ticket.campaign.0),
        (b"\",\"ad_set\":\"set_", ticket.ad_set.0),
        (b"\",\"ad\":\"ad_", ticket.ad.0),
        (b"\",\"version\":\"ver_", ticket.version.0),
    ];
    for (before, id) in ids {
        out.extend_from_slice(before);
        out.extend_from_slice(number.format(id).as_bytes());
    }
    out.extend_from_slice(b"\",\"frame_path\":\"/v1/frames/");
    out.extend_from_slice(sealed.as_bytes());
    out.extend_from_slice(b"\",\"click_path\":\"/v1/click/");
    out.extend_from_slice(sealed.as_bytes());
    out.extend_from_slice(b"\",");
    out.extend_from_slice(part);
    true
}

/// A language as far as labels tell them apart: at most three letters.
fn key_of(language: Option<&str>) -> Language {
    let mut key = Language::default();
    let bytes = language.unwrap_or_default().as_bytes();
    let count = bytes.len().min(key.len());
    key[..count].copy_from_slice(&bytes[..count]);
    key
}

/// Without its opening brace: it goes on where the ticket's part ends.
fn ad_part(creative: &Creative, label: labels::Label) -> Box<[u8]> {
    let size = creative.size();
    let native = match creative {
        Creative::Native { title, body, call_to_action, asset, alt } => {
            let image_path = asset.as_ref().map(|a| format!("/v1/assets/{}", a.hash));
            Some(NativePart { title, body, call_to_action, image_path, alt })
        }
        Creative::Text { title, body } => {
            Some(NativePart { title, body, call_to_action: "", image_path: None, alt: "" })
        }
        Creative::Image { .. } | Creative::Html { .. } => None,
    };
    let part = AdPart {
        kind: creative.kind(),
        width: size.map_or(0, |s| s.width),
        height: size.map_or(0, |s| s.height),
        sandbox: frames::sandbox(creative),
        native,
        label,
    };
    serde_json::to_vec(&part).unwrap_or_default().get(1..).unwrap_or_default().into()
}

fn place_head(parts: &mut Parts, id: PlacementId, spec: Option<&Arc<PlacementSpec>>, out: &mut Vec<u8>) {
    if let Some(spec) = spec {
        let kept = parts.places.get(&id).is_some_and(|(of, ..)| Arc::ptr_eq(of, spec));
        if !kept {
            if parts.places.len() >= PLACES_COUNT_MAX {
                parts.places.clear();
            }
            let (head, tail) = place_parts(id, Some(spec));
            parts.places.insert(id, (Arc::clone(spec), head, tail));
        }
        if let Some((_, head, _)) = parts.places.get(&id) {
            out.extend_from_slice(head);
        }
    } else {
        out.extend_from_slice(&place_parts(id, None).0);
    }
}
fn place_tail(parts: &Parts, id: PlacementId, spec: Option<&Arc<PlacementSpec>>, out: &mut Vec<u8>) {
    match parts.places.get(&id).filter(|_| spec.is_some()) {
        Some((_, _, tail)) => out.extend_from_slice(tail),
        None => out.extend_from_slice(&place_parts(id, None).1),
    }
}
fn place_parts(id: PlacementId, spec: Option<&PlacementSpec>) -> (Box<[u8]>, Box<[u8]>) {
    let mut head = format!("{{\"placement\":\"{id}\",\"name\":").into_bytes();
    json(&mut head, &spec.map_or("", |s| s.name.as_str()));
    let mut tail = b",\"behaviour\":".to_vec();
    json(&mut tail, &spec.map(|s| s.behaviour).unwrap_or_default());
    tail.push(b'}');
    (head.into(), tail.into())
}

fn json(out: &mut Vec<u8>, value: &impl Serialize) {
    // Text and plain structs cannot fail to become JSON.
    let _ = serde_json::to_writer(out, value);
}
