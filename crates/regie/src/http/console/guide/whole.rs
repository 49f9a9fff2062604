//! What a draft would book: read from its steps, tried on a copy of the catalogue, each fault beside the step and the
//! field that it belongs to. The forecast is asked of the same copy, as if the campaign stood there.

use super::{Step, aside, data_of};
use crate::desk::Draft;
use crate::http::{
    AppState,
    auth::Caller,
    booking::send::Rehearsal,
    console::{act, book_ad, book_campaign, book_set, form::Data, learning::template},
    forecast,
    preview::fits,
    problem::Problem,
};
use crate::t;
use maud::Markup;
use regie_model::{
    AdId, AdSetId, CampaignId, Fault, Faults,
    booking::{AdSetSpec, AdSpec, CampaignSpec, Format, Shape, Status, VersionSpec},
    catalogue::Catalogue,
    command::{Change, Command, Refusal},
    creative::{Creative, Size},
    targeting::{Clause, Dimension, Op, Targeting},
};
use std::collections::BTreeMap;

/// Fields of a version's row that make it one.
pub const VERSION_FIELDS: &[&str] =
    &["creative.asset", "creative.title", "creative.body", "creative.markup", "creative.call_to_action"];
/// Device classes that can be ticked.
pub const DEVICES: [&str; 3] = ["desktop", "phone", "tablet"];

/// What a draft would book.
pub struct Whole {
    /// The campaign.
    pub campaign: CampaignSpec,
    /// Its one ad set.
    pub set: AdSetSpec,
    /// Its one ad, with its template where it has one.
    pub ad: AdSpec,
    /// Its versions, when it has no template.
    pub versions: Vec<VersionSpec>,
    /// What is wrong, by step.
    pub faults: BTreeMap<Step, Faults>,
    /// What the audience comes to.
    pub forecast: Markup,
}

impl Whole {
    /// What a version shows: by its row, or by its code in the template.
    pub fn creative(&self, number: u32) -> Option<Creative> {
        match &self.ad.template {
            Some(template) => template.creative(number),
            None => self.versions.get(number as usize).map(|v| v.creative.clone()),
        }
    }
    /// The numbers of what can be looked at, at most so many.
    pub fn shown(&self, max: usize) -> Vec<u32> {
        match &self.ad.template {
            Some(template) => template::example_codes(template).into_iter().take(max).collect(),
            None => (0u32..).take(self.versions.len().min(max)).collect(),
        }
    }
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.faults.values().all(Faults::is_empty)
    }
}

/// Reads a draft on a thread that may block.
///
/// # Errors
/// When the thread fails.
pub async fn take(app: &AppState, caller: &Caller, draft: &Draft) -> Result<Whole, Problem> {
    let draft = draft.clone();
    aside(app, caller, move |app, caller| read(app, caller, &draft)).await
}

fn read(app: &AppState, caller: &Caller, draft: &Draft) -> Whole {
    let mut found: BTreeMap<Step, Faults> = BTreeMap::new();
    let mut data = data_of(draft, Step::Goal);
    data.add(&data_of(draft, Step::Declaration));
    let mut faults = Faults::new();
    let campaign = book_campaign::read(app, &mut data, &mut faults);
    let zone = act::account_zone(&app.platform.catalogue(), campaign.advertiser);
    let mut rehearsal = Rehearsal::new(&app.platform, caller);

    let booked: Option<CampaignId> = made(draft, "campaign");
    let campaign_id = booked.unwrap_or(CampaignId(next(&rehearsal.catalogue.campaigns, |k| k.0)));
    let command = Command::PutCampaign { id: booked, revision: None, spec: campaign.clone() };
    merge(&mut faults, rehearsal.play(command), "advertiser");
    // A faulty one stands there all the same, so that what lies in it can be tried too.
    if !rehearsal.catalogue.campaigns.contains_key(&campaign_id) {
        rehearsal.apply(&Change::CampaignPut { id: campaign_id, spec: campaign.clone() });
    }
    for fault in faults.0 {
        let declared = fault.field.starts_with("political") && fault.field != "political";
        found.entry(if declared { Step::Declaration } else { Step::Goal }).or_default().0.push(fault);
    }

    let (mut data, mut faults) = (data_of(draft, Step::Audience), Faults::new());
    let mut set = book_set::read_in(&zone, campaign.flight.starts_at, campaign_id, &mut data, &mut faults);
    if set.name.is_empty() {
        set.name = t!("guide-first-set").to_owned();
    }
    ticked(&data, &mut set);
    let booked: Option<AdSetId> = made(draft, "ad_set");
    let set_id = booked.unwrap_or(AdSetId(next(&rehearsal.catalogue.ad_sets, |k| k.0)));
    let command = Command::PutAdSet { id: booked, revision: None, spec: set.clone() };
    merge(&mut faults, rehearsal.play(command), "targeting");
    if !rehearsal.catalogue.ad_sets.contains_key(&set_id) {
        rehearsal.apply(&Change::AdSetPut { id: set_id, spec: set.clone() });
    }
    let forecast = forecast::panel_in(app, caller, &rehearsal.catalogue, &set);
    found.entry(Step::Audience).or_default().0.extend(faults.0);

    let (ad, versions, faults) = creative(app, draft, &campaign.name, set_id, &mut rehearsal);
    found.entry(Step::Creative).or_default().0.extend(faults.0);
    Whole { campaign, set, ad, versions, faults: found, forecast }
}

/// The ad and its versions, with what is wrong about them.
fn creative(
    app: &AppState,
    draft: &Draft,
    campaign_name: &str,
    set: AdSetId,
    rehearsal: &mut Rehearsal<'_>,
) -> (AdSpec, Vec<VersionSpec>, Faults) {
    let (mut data, mut faults) = (data_of(draft, Step::Creative), Faults::new());
    data.compact("versions", VERSION_FIELDS);
    let kind = data.get("kind").to_owned();
    let template = (kind == "template").then(|| template::read(app, None, &data, &mut faults));
    let name = data.text("name");
    let ad = AdSpec {
        template,
        ad_set: set,
        name: if name.is_empty() { campaign_name.to_owned() } else { name },
        landing_url: data.text("landing_url"),
        third_party_origins: data.line_list("third_party_origins"),
        external_id: None,
    };
    let booked: Option<AdId> = made(draft, "ad");
    let ad_id = booked.unwrap_or(AdId(next(&rehearsal.catalogue.ads, |k| k.0)));
    let command = Command::PutAd { id: booked, revision: None, spec: ad.clone() };
    merge(&mut faults, rehearsal.play(command), "landing_url");
    faults = template::named(faults);
    if !rehearsal.catalogue.ads.contains_key(&ad_id) {
        rehearsal.apply(&Change::AdPut { id: ad_id, spec: ad.clone() });
    }
    let versions = if ad.template.is_some() { Vec::new() } else { versions(app, &data, &kind, ad_id) };
    for (row, (spec, own)) in versions.iter().enumerate() {
        let mut own = own.clone();
        let command = Command::PutVersion { id: None, revision: None, spec: spec.clone() };
        merge(&mut own, rehearsal.play(command), "creative");
        faults
            .0
            .extend(own.0.into_iter().map(|f| Fault { field: format!("versions[{row}].{}", f.field), ..f }));
    }
    if versions.is_empty() && ad.template.is_none() {
        let (field, words) = match kind.as_str() {
            "html" => ("versions[0].creative.markup", t!("guide-needs-markup")),
            "native" | "text" => ("versions[0].creative.title", t!("guide-needs-headline")),
            _ => ("file", t!("booking-choose-a-picture-png-jpeg")),
        };
        faults.add(field, "missing", words);
    }
    (ad, versions.into_iter().map(|(spec, _)| spec).collect(), faults)
}

fn versions(app: &AppState, data: &Data, kind: &str, ad: AdId) -> Vec<(VersionSpec, Faults)> {
    let row = |row: usize| {
        let (mut own, mut faults) = (data.within(&format!("versions[{row}]")), Faults::new());
        own.set("kind", kind);
        let creative = book_ad::read_creative(app, &own, &mut faults);
        (VersionSpec { ad, name: own.text("name"), creative, weight: 1, external_id: None }, faults)
    };
    (0..data.rows("versions")).map(row).collect()
}

/// Places and devices that are ticked, as conditions.
fn ticked(data: &Data, set: &mut AdSetSpec) {
    let places: Vec<String> = data
        .pairs()
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix("place.")?, value)))
        .filter(|(_, value)| !value.is_empty())
        .map(|(id, _)| id.to_owned())
        .collect();
    let devices: Vec<String> =
        DEVICES.iter().filter(|d| data.has(&format!("device.{d}"))).map(|d| (*d).to_owned()).collect();
    for (dimension, values) in [(Dimension::Placement, places), (Dimension::Device, devices)] {
        if !values.is_empty() {
            set.targeting.clauses.push(Clause { dimension, op: Op::In, values, zone: None });
        }
    }
}

/// What a launch that stopped halfway has booked already.
fn made<T: std::str::FromStr>(draft: &Draft, what: &str) -> Option<T> {
    draft.content.made.get(what).and_then(|id| id.parse().ok())
}
/// The number that the next thing gets.
fn next<K: Copy + Ord, V>(map: &BTreeMap<K, V>, number: impl Fn(K) -> u32) -> u32 {
    map.last_key_value().map_or(1, |(k, _)| number(*k) + 1)
}
/// Adds what booking said besides. A refusal without a field stands at the one given; what is wrong with the thing around
/// is said where that is typed.
fn merge(faults: &mut Faults, played: Result<String, Refusal>, field: &str) {
    let refused = match played {
        Ok(_) => return,
        Err(Refusal::Faults(refused)) => refused.0,
        Err(other) => vec![Fault { field: field.into(), code: "refused".into(), message: other.to_string() }],
    };
    for fault in refused {
        let around = ["campaign", "ad_set", "ad"].contains(&fault.field.as_str());
        if !around && !faults.0.iter().any(|f| f.field == fault.field) {
            faults.0.push(fault);
        }
    }
}

/// Active placements that take a creative, with their sites.
#[derive(Debug, Default, PartialEq)]
pub struct Places {
    /// Those that the audience admits.
    pub chosen: Vec<String>,
    /// Those that it leaves out.
    pub others: Vec<String>,
}
/// Where a creative fits.
pub fn places(
    catalogue: &Catalogue,
    creative: &Creative,
    targeting: &Targeting,
    is_political: bool,
) -> Places {
    let (shape, open) = (Shape::of(creative), |status: Status| status == Status::Active);
    let mut found = Places::default();
    for (id, kept) in catalogue.placements.iter().filter(|(_, p)| open(p.status)) {
        let (spec, site) = (&kept.spec, catalogue.sites.get(&kept.spec.site).filter(|s| open(s.status)));
        let takes = fits(&spec.format, shape) && (spec.political || !is_political);
        let Some(site) = site.filter(|_| takes) else { continue };
        let is_chosen = targeting.clauses.iter().all(|clause| {
            let named = match clause.dimension {
                Dimension::Placement => id.to_string(),
                Dimension::Site => spec.site.to_string(),
                _ => return true,
            };
            clause.values.contains(&named) == (clause.op == Op::In)
        });
        let name = format!("{}, {}", spec.name, site.spec.name);
        if is_chosen { found.chosen.push(name) } else { found.others.push(name) }
    }
    found
}
/// Sizes that active placements take, the most frequent first.
pub fn sizes(catalogue: &Catalogue) -> Vec<Size> {
    let mut counted: BTreeMap<(u16, u16), usize> = BTreeMap::new();
    for placement in catalogue.placements.values().filter(|p| p.status == Status::Active) {
        if let Format::Banner { sizes } = &placement.spec.format {
            sizes.iter().for_each(|s| *counted.entry((s.width, s.height)).or_default() += 1);
        }
    }
    let mut all: Vec<_> = counted.into_iter().collect();
    all.sort_by_key(|(size, count)| (std::cmp::Reverse(*count), *size));
    all.into_iter().map(|((width, height), _)| Size { width, height }).collect()
}
