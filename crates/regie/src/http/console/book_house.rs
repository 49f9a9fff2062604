//! The publisher's own forms: settings, sites, placements, advertisers; and sponsors and payers, which advertisers edit too.

use super::{
    BOOKS, HOUSE, OPERATES, act, action,
    form::{Data, Form, micros_text},
    layout, page,
};
use crate::http::{App, AppState, Route, auth::Caller, booking};
use crate::t;
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::Response,
    routing::{get, post},
};
use maud::{Markup, html};
use regie_model::{
    AdvertiserId, Currency, Faults, Micros, PartyId, PlacementId, SiteId, Zone,
    booking::*,
    command::{Command, EntityRef},
    creative::Size,
    money::DatedRate,
    personal::Identity,
};

mod party;
mod publisher;
mod shelves;

/// The module's routes.
pub fn routes() -> Vec<Route> {
    vec![
        page("/console/settings", HOUSE, get(publisher::show)),
        action("/console/settings", OPERATES, post(publisher::save)),
        page("/console/sites/new", OPERATES, get(shelves::new_site)),
        action("/console/sites", OPERATES, post(shelves::create_site)),
        page("/console/sites/{id}/edit", OPERATES, get(shelves::edit_site)),
        action("/console/sites/{id}", OPERATES, post(shelves::save_site)),
        page("/console/sites/{id}/placements/new", OPERATES, get(shelves::new_placement)),
        action("/console/sites/{id}/placements", OPERATES, post(shelves::create_placement)),
        page("/console/placements/{id}/edit", HOUSE, get(shelves::edit_placement)),
        action("/console/placements/{id}", OPERATES, post(shelves::save_placement)),
        page("/console/advertisers/new", OPERATES, get(shelves::new_advertiser)),
        action("/console/advertisers", OPERATES, post(shelves::create_advertiser)),
        page("/console/advertisers/{id}/edit", OPERATES, get(shelves::edit_advertiser)),
        action("/console/advertisers/{id}", OPERATES, post(shelves::save_advertiser)),
        page("/console/parties/new", BOOKS, get(party::new)),
        action("/console/parties", BOOKS, post(party::create)),
        page("/console/parties/{id}/edit", BOOKS, get(party::edit)),
        action("/console/parties/{id}", BOOKS, post(party::save)),
    ]
}

/// A tier in one word.
pub fn tier_word(tier: TierKind) -> &'static str {
    match tier {
        TierKind::Sponsorship => "sponsorship",
        TierKind::Guaranteed => "guaranteed",
        TierKind::Auction => "auction",
        TierKind::House => "house",
    }
}

/// The kinds of auction in words.
const AUCTIONS: [(&str, &str); 3] = [
    ("second_price", "second price: the next bid sets it"),
    ("first_price", "first price: everyone pays their bid"),
    ("vcg", "together: each pays what it costs the others (VCG)"),
];

/// Where a form stands.
struct Place<'a> {
    title: &'a str,
    nav: &'a str,
    to: String,
    back: String,
    button: &'a str,
}

/// A whole page with one form.
fn form_page(
    app: &AppState,
    caller: &Caller,
    place: &Place<'_>,
    form: &Form<'_>,
    fields: &Markup,
) -> Response {
    let body = form.wrap(caller, &place.to, fields, place.button, &place.back);
    let clean = form.faults.is_empty() && form.theirs.is_none();
    let status = if clean { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    layout::console_with(status, app, caller, &layout::Frame::new(place.title, place.nav), &body)
}

fn read_currency(data: &Data, name: &str, faults: &mut Faults) -> Currency {
    let parsed = data.text(name).to_uppercase().parse();
    faults.when(parsed.is_err(), name, "malformed", t!("words-three-capital-letters-such-as"));
    parsed.unwrap_or(Currency::EUR)
}
fn read_zone(data: &Data, name: &str, faults: &mut Faults) -> Zone {
    let parsed = Zone::parse(&data.text(name));
    faults.when(parsed.is_none(), name, "unknown", t!("booking-a-time-zone-by-its"));
    parsed.unwrap_or_else(Zone::utc)
}
/// Percent such as 20 or 5.5 as parts per million.
fn read_percent(data: &Data, name: &str, default: u32, faults: &mut Faults) -> u32 {
    data.micros_opt(name, faults).map_or(default, |m| u32::try_from(m.0 / 100).unwrap_or(u32::MAX))
}
fn percent_text(ppm: u32) -> String {
    micros_text(Micros(i64::from(ppm) * 100))
}
