//! Facts about a visitor, derived in memory and dropped: address to country, user agent to device class.
//!
//! IP addresses and full user agents never leave this module.

use super::App;
use axum::http::{HeaderMap, header};
use regie_decide::{Location, Machine};
use regie_model::ticket::DeviceClass;
use std::net::{IpAddr, SocketAddr};

/// Kinds of user agents remembered on each worker, by hash.
const KNOWN_AGENTS_MAX: usize = 4_096;

/// The visitor's address: the peer's, or what trusted proxies say.
pub fn client_ip(app: &App, headers: &HeaderMap, peer: SocketAddr) -> IpAddr {
    let mut address = peer.ip();
    if !app.config.is_trusted_proxy(address) {
        return address;
    }
    let forwarded = headers.get_all("x-forwarded-for").iter().filter_map(|v| v.to_str().ok());
    let hops: Vec<&str> = forwarded.flat_map(|v| v.split(',')).map(str::trim).collect();
    for hop in hops.iter().rev() {
        let Ok(hop) = hop.parse::<IpAddr>() else { break };
        address = hop;
        if !app.config.is_trusted_proxy(hop) {
            break;
        }
    }
    address
}

#[derive(serde::Deserialize)]
struct CityRecord<'a> {
    #[serde(borrow)]
    country: Option<CountryRecord<'a>>,
    #[serde(borrow)]
    subdivisions: Option<Vec<CountryRecord<'a>>>,
    #[serde(borrow)]
    city: Option<NamedRecord<'a>>,
}
#[derive(serde::Deserialize)]
struct CountryRecord<'a> {
    iso_code: Option<&'a str>,
}
#[derive(serde::Deserialize)]
struct NamedRecord<'a> {
    #[serde(borrow)]
    names: Option<std::collections::BTreeMap<&'a str, &'a str>>,
}

/// Country, region and city of an address; nothing when there is no database or no record.
pub fn location(app: &App, address: IpAddr) -> Location {
    app.geo.as_ref().map(|reader| location_in(reader, address)).unwrap_or_default()
}
/// As [`location`], in a database; nothing where it is damaged.
pub fn location_in(reader: &maxminddb::Reader<Vec<u8>>, address: IpAddr) -> Location {
    let mut location = Location::default();
    let Ok(found) = reader.lookup(address) else { return location };
    let Ok(Some(record)) = found.decode::<CityRecord<'_>>() else { return location };
    let country = record.country.and_then(|c| c.iso_code);
    location.country = country.and_then(|c| c.as_bytes().try_into().ok());
    let region = record.subdivisions.and_then(|s| s.first().and_then(|r| r.iso_code.map(str::to_owned)));
    location.region = country.zip(region).map(|(country, region)| format!("{country}-{region}"));
    location.city =
        record.city.and_then(|c| c.names).and_then(|n| n.get("en").map(|name| name.to_lowercase()));
    location
}

/// Device class, operating system and browser of a user agent.
pub fn machine(headers: &HeaderMap) -> (DeviceClass, Machine) {
    let text = headers.get(header::USER_AGENT).and_then(|v| v.to_str().ok()).unwrap_or("");
    machine_of(text)
}
/// As [`machine`], of a text. What was found is kept by a hash of the text, since reading one takes long; the text
/// itself is dropped.
pub fn machine_of(text: &str) -> (DeviceClass, Machine) {
    use std::{cell::RefCell, collections::HashMap, hash::BuildHasher};
    thread_local! { static KNOWN: RefCell<HashMap<u64, (DeviceClass, Machine)>> = RefCell::default(); }
    KNOWN.with_borrow_mut(|known| {
        let hash = known.hasher().hash_one(text);
        if known.len() >= KNOWN_AGENTS_MAX {
            known.clear();
        }
        known.entry(hash).or_insert_with(|| read_machine(text)).clone()
    })
}
fn read_machine(text: &str) -> (DeviceClass, Machine) {
    let text = &text[..text.floor_char_boundary(1_024)];
    let Some(found) = woothee::parser::Parser::new().parse(text) else {
        return (DeviceClass::Other, Machine::default());
    };
    let lower = text.to_ascii_lowercase();
    let tv =
        ["smart-tv", "smarttv", "appletv", "googletv", "hbbtv", "netcast"].iter().any(|w| lower.contains(w));
    let tablet = lower.contains("ipad")
        || lower.contains("tablet")
        || lower.contains("android") && !lower.contains("mobile");
    let device = match found.category {
        _ if tv => DeviceClass::Tv,
        _ if tablet => DeviceClass::Tablet,
        "pc" => DeviceClass::Desktop,
        "smartphone" | "mobilephone" => DeviceClass::Phone,
        _ => DeviceClass::Other,
    };
    let known = |word: &str| (word != "UNKNOWN" && !word.is_empty()).then(|| word.to_lowercase());
    (device, Machine { os: known(found.os), browser: known(found.name) })
}

/// Primary language that the browser asks for.
pub fn language(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::ACCEPT_LANGUAGE)?.to_str().ok()?;
    let first = text.split([',', ';']).next()?.split('-').next()?.trim().to_lowercase();
    ((2..=3).contains(&first.len()) && first.bytes().all(|b| b.is_ascii_lowercase())).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn device_classes() {
        let desktop = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36";
        let phone = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.0 Mobile/15E148 Safari/604.1";
        let tablet = "Mozilla/5.0 (iPad; CPU OS 16_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.0 Mobile/15E148 Safari/604.1";
        assert_eq!(machine_of(desktop).0, DeviceClass::Desktop);
        assert_eq!(machine_of(desktop).1.browser.as_deref(), Some("chrome"));
        assert_eq!(machine_of(phone).0, DeviceClass::Phone);
        assert_eq!(machine_of(tablet).0, DeviceClass::Tablet);
        assert_eq!(machine_of("").0, DeviceClass::Other);
    }
}
