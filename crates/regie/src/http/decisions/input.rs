//! A request for ads as it is sent, and what it becomes: parsed, bounded, with what is derived in memory.
//!
//! Texts are borrowed from the body where they are written plainly. Refuses to state what a page cannot know of its
//! visitor without a token (law P1 reads nothing from here that the page did not prove).

use crate::{
    http::{App, facts, problem::Problem},
    platform::{frequency::FrequencyInput, view::View},
};
use axum::http::HeaderMap;
use regie_decide::{FrequencyView, Location, Machine, PageFacts, Request};
use regie_model::{PlacementId, SegmentId, SiteId, limits::*, ticket::DeviceClass};
use serde::{Deserialize, Deserializer, de};
use std::{cell::OnceCell, fmt, net::SocketAddr};

/// A place asked for: by its name on the site (`{"name": "front-top"}`), or by id (`{"id": "plc_1"}`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlacementRef {
    /// By id.
    Id(PlacementId),
    /// By its name on the site.
    Name(String),
}
impl<'de> Deserialize<'de> for PlacementRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<PlacementRef, D::Error> {
        // By hand: a derived untagged enum copies everything first, on the hottest path of the server.
        struct One;
        impl<'de> de::Visitor<'de> for One {
            type Value = PlacementRef;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(r#"a placement: {"id": "plc_1"} or {"name": "front-top"}"#)
            }
            fn visit_map<M: de::MapAccess<'de>>(self, mut map: M) -> Result<PlacementRef, M::Error> {
                #[derive(Deserialize)]
                #[serde(field_identifier, rename_all = "snake_case")]
                enum Key {
                    Id,
                    Name,
                }
                let mut found = None;
                while let Some(key) = map.next_key()? {
                    if found.is_some() {
                        return Err(de::Error::custom(
                            "a placement is asked for by `id` or by `name`, not by both",
                        ));
                    }
                    found = Some(match key {
                        Key::Id => PlacementRef::Id(map.next_value()?),
                        Key::Name => PlacementRef::Name(map.next_value()?),
                    });
                }
                found.ok_or_else(|| de::Error::custom("a placement needs its `id` or its `name`"))
            }
        }
        deserializer.deserialize_map(One)
    }
}

/// What is known of the page.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PageInput {
    /// Its address.
    pub url: String,
    /// Its language.
    pub language: Option<String>,
    /// Keywords.
    pub keywords: Vec<String>,
    /// Topics.
    pub topics: Vec<String>,
    /// Key-values, each key with its values; a key that stands twice has the values of both.
    pub key_values: KeyValues,
}

/// `{"section": ["politics", "europe"]}`: pairs, ascending by key, a key's values as they were sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyValues(pub Vec<(String, String)>);
impl<'de> Deserialize<'de> for KeyValues {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<KeyValues, D::Error> {
        // Straight into the form that decisions read: a map of lists would be built and taken apart for each request.
        struct Pairs;
        impl<'de> de::Visitor<'de> for Pairs {
            type Value = KeyValues;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map from keys to lists of values")
            }
            fn visit_map<M: de::MapAccess<'de>>(self, mut map: M) -> Result<KeyValues, M::Error> {
                let mut pairs = Vec::new();
                while let Some(key) = map.next_key::<String>()? {
                    map.next_value_seed(ValuesOf { key, pairs: &mut pairs })?;
                }
                // Stable, and nothing is moved where there is one key, as nearly always.
                pairs.sort_by(|a: &(String, String), b| a.0.cmp(&b.0));
                Ok(KeyValues(pairs))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}
/// Reads the values of one key.
struct ValuesOf<'p> {
    key: String,
    pairs: &'p mut Vec<(String, String)>,
}
impl<'de> de::DeserializeSeed<'de> for ValuesOf<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}
impl<'de> de::Visitor<'de> for ValuesOf<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of values")
    }
    fn visit_seq<S: de::SeqAccess<'de>>(self, mut seq: S) -> Result<(), S::Error> {
        let ValuesOf { key, pairs } = self;
        let mut next: Option<String> = seq.next_element()?;
        while let Some(value) = next {
            next = seq.next_element()?;
            // The last value takes the key itself.
            if next.is_some() {
                pairs.push((key.clone(), value));
            } else {
                pairs.push((key, value));
                break;
            }
        }
        Ok(())
    }
}

/// Facts about the visitor that the publisher's own server states (token with scope `decide`).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VisitorInput {
    /// Where.
    pub location: Location,
    /// Device class by its word.
    pub device: Option<String>,
    /// User agent, used in memory and dropped.
    pub user_agent: Option<String>,
}

/// A request for ads.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecisionInput {
    /// On which site.
    pub site: SiteId,
    /// For which places.
    pub placements: Vec<PlacementRef>,
    /// The page.
    #[serde(default)]
    pub page: PageInput,
    /// Age band of the visitor; read only where the consent `age_band` is among the consents.
    #[serde(default)]
    pub age_band: Option<String>,
    /// Publisher's segments.
    #[serde(default)]
    pub segments: Vec<SegmentId>,
    /// Consents that the page proves.
    #[serde(default)]
    pub consents: Vec<String>,
    /// What this page view showed already.
    #[serde(default)]
    pub frequency: FrequencyInput,
    /// Facts about the visitor, only with a token.
    #[serde(default)]
    pub visitor: Option<VisitorInput>,
}

/// Who asks, as far as the connection tells: found out once for all requests of a batch, in memory, and dropped.
pub struct Asker<'a> {
    app: &'a App,
    headers: &'a HeaderMap,
    peer: SocketAddr,
    machine: OnceCell<(DeviceClass, Machine)>,
    language: OnceCell<Option<String>>,
    location: OnceCell<Location>,
}
impl<'a> Asker<'a> {
    /// The sender of a request.
    pub fn new(app: &'a App, headers: &'a HeaderMap, peer: SocketAddr) -> Asker<'a> {
        let (machine, language, location) = Default::default();
        Asker { app, headers, peer, machine, language, location }
    }
    fn machine(&self) -> (DeviceClass, Machine) {
        self.machine.get_or_init(|| facts::machine(self.headers)).clone()
    }
    fn language(&self) -> Option<String> {
        self.language.get_or_init(|| facts::language(self.headers)).clone()
    }
    fn location(&self) -> Location {
        let find = || facts::location(self.app, facts::client_ip(self.app, self.headers, self.peer));
        self.location.get_or_init(find).clone()
    }
}

/// The decision's request from what was sent and what is derived in memory.
///
/// # Errors
/// A placement name that the site does not have, too many placements, an unknown device class.
pub fn to_request(asker: &Asker<'_>, view: &View, input: DecisionInput) -> Result<Request, Problem> {
    let count = input.placements.len();
    if count == 0 || count > REQUEST_PLACEMENTS_COUNT_MAX {
        let detail =
            format!("Ask for 1 to {REQUEST_PLACEMENTS_COUNT_MAX} placements; this asks for {count}.");
        return Err(Problem::bad_request(detail));
    }
    let placements = input.placements.iter().map(|place| match place {
        PlacementRef::Id(id) => Ok(*id),
        PlacementRef::Name(name) => view.by_name.get(&(input.site, name.clone())).copied().ok_or_else(|| {
            Problem::bad_request(format!("The site {} has no placement named \"{}\".", input.site, cut(name)))
        }),
    });
    let placements = placements.collect::<Result<Vec<_>, _>>()?;
    let given = input.visitor.unwrap_or_default();
    let (mut device, machine) = match &given.user_agent {
        Some(text) => facts::machine_of(text),
        None => asker.machine(),
    };
    if let Some(word) = given.device.as_deref() {
        device = DeviceClass::from_word(word).ok_or_else(|| {
            Problem::bad_request("A device class is one of desktop, phone, tablet, tv, other.")
        })?;
    }
    let known = given.location.country.is_some();
    let location = if known { given.location } else { asker.location() };
    let mut request = Request {
        at: asker.app.platform.now(),
        seed: asker.app.platform.seed(),
        site: input.site,
        placements,
        page: PageFacts {
            url: input.page.url,
            language: input.page.language.or_else(|| asker.language()),
            keywords: input.page.keywords,
            topics: input.page.topics,
            key_values: input.page.key_values.0,
        },
        device,
        location,
        machine,
        age_band: input.age_band,
        segments: input.segments,
        consents: input.consents,
        // A count by visitor needs a token that the page keeps with consent; a page cannot simply state one.
        frequency: FrequencyView { page_view: input.frequency.page_view, ..FrequencyView::default() },
    };
    request.normalise();
    Ok(request)
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(64)]
}
