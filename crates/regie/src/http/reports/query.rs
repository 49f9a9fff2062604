//! From the hourly rows to the rows of a report. Sums are exact integers; currencies are kept apart.

use crate::{
    http::{App, problem::Problem},
    platform::state_db::StateDb,
};
use axum::http::StatusCode;
use regie_ledger::{Counters, Loss};
use regie_model::{
    AdId, AdSetId, CampaignId, Currency, Nanos, PlacementId, UtcHour, UtcMs, VersionId, Zone,
    booking::{Element, TemplateSpec},
    catalogue::{AdState, Catalogue},
    ticket::DeviceClass,
};
use rusqlite::Connection;
use std::collections::{BTreeMap, HashMap};

/// Rows held in memory for one report at most.
const GROUPS_MAX: usize = 200_000;

macro_rules! dimensions {
    ($($(#[$doc:meta])* $name:ident $word:literal $column:literal;)*) => {
        /// By what rows are grouped.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Dimension { $($(#[$doc])* $name,)* }
        impl Dimension {
            /// Its word in requests and answers.
            pub fn word(self) -> &'static str {
                match self { $(Dimension::$name => $word,)* }
            }
            /// The column it comes from.
            fn column(self) -> &'static str {
                match self { $(Dimension::$name => $column,)* }
            }
            /// By its word.
            pub fn from_word(word: &str) -> Option<Dimension> {
                match word { $($word => Some(Dimension::$name),)* _ => None }
            }
            /// All words, for an error.
            pub fn words() -> String {
                [$($word),*].join(", ")
            }
        }
    };
}
dimensions! {
    /// UTC hour of the append.
    Hour "hour" "hour";
    /// Day in the report's zone.
    Day "day" "hour";
    /// Hour of the day in the report's zone, 0 to 23.
    HourOfDay "hour_of_day" "hour";
    /// Campaign.
    Campaign "campaign" "campaign";
    /// Ad set.
    AdSet "ad_set" "ad_set";
    /// Ad.
    Ad "ad" "ad";
    /// Version.
    Version "version" "version";
    /// Element of a template: an asset in its slot. An impression of a template counts once in each of its slots, so that
    /// rows of different slots overlap; totals count it once.
    Element "element" "version";
    /// Placement.
    Placement "placement" "placement";
    /// Country, empty when unknown.
    Country "country" "country";
    /// Device class.
    Device "device" "device";
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// First hour.
    pub from: UtcHour,
    /// First hour after the end.
    pub to: UtcHour,
    /// Zone of days.
    pub zone: Zone,
    /// Grouping, in the order of the answer.
    pub by: Vec<Dimension>,
    /// Only this campaign.
    pub campaign: Option<u32>,
    /// Only this ad set.
    pub ad_set: Option<u32>,
    /// Only this ad.
    pub ad: Option<u32>,
    /// Only this version.
    pub version: Option<u32>,
    /// Only this placement.
    pub placement: Option<u32>,
    /// Only this advertiser.
    pub advertiser: Option<u32>,
    /// The caller sees the whole house.
    pub sees_all: bool,
    /// Rows of the answer.
    pub limit: usize,
    /// Rows to pass over.
    pub after: usize,
    /// CSV instead of JSON.
    pub csv: bool,
}

/// Figures in one currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sums {
    /// Of the money.
    pub currency: Currency,
    /// Everything counted.
    pub counters: Counters,
}
impl Sums {
    /// Net charge of a thousand impressions, rounded down.
    pub fn ecpm(&self) -> Option<Nanos> {
        let shown = i128::from(self.counters.impressions_count);
        (shown > 0).then(|| Nanos((self.counters.net_nanos().0 * 1_000).div_euclid(shown)))
    }
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its place, by dimension.
    pub keys: Vec<(Dimension, String)>,
    /// Its figures.
    pub sums: Sums,
}

/// A report.
#[derive(Clone, Debug)]
pub struct Report {
    /// Start.
    pub from: UtcMs,
    /// End, not included.
    pub to: UtcMs,
    /// Zone of days.
    pub zone: Zone,
    /// Journal position that the figures are exact at.
    pub position: u64,
    /// Grouping.
    pub by: Vec<Dimension>,
    /// The rows of this answer.
    pub rows: Vec<Row>,
    /// Rows in all.
    pub rows_count: usize,
    /// Rows of an answer.
    pub limit: usize,
    /// Where the next answer begins.
    pub cursor: Option<usize>,
    /// Of all rows, each currency apart.
    pub totals: Vec<Sums>,
    /// Events that were not counted: kind, reason, count. Only for the house.
    pub refused: Vec<(String, String, u64)>,
    /// Estimated loss of impressions, since the start.
    pub loss: Loss,
}

/// A value that sorts as it should and prints as it is named.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Part {
    Number(i64),
    Text(String),
}

/// Takes a report. For threads that may block.
///
/// # Errors
/// 422 when it has too many rows to hold, SQLite's errors.
pub fn run(app: &App, wanted: &Wanted, position: u64) -> Result<Report, Problem> {
    let (currencies, campaigns, loss) = scope(app, wanted);
    let path = app.platform.state().path().to_path_buf();
    let templates = templates(app, wanted);
    let asked = Asked { wanted, campaigns: &campaigns, currencies: &currencies, templates: &templates };
    let (groups, totals);
    let refused;
    if path.as_os_str().is_empty() {
        let state = app.platform.state();
        (groups, totals) = grouped(state.connection(), &asked)?;
        refused = refusals(state.connection(), wanted)?;
    } else {
        let reader = StateDb::reader(&path).map_err(Problem::internal)?;
        (groups, totals) = grouped(&reader, &asked)?;
        refused = refusals(&reader, wanted)?;
    }
    let rows_count = groups.len();
    let shown = groups.into_iter().skip(wanted.after).take(wanted.limit);
    let rows: Vec<Row> = shown
        .map(|((parts, currency), counters)| Row {
            keys: wanted.by.iter().zip(parts).map(|(d, part)| (*d, printed(*d, &part))).collect(),
            sums: Sums { currency, counters },
        })
        .collect();
    let next = wanted.after + rows.len();
    Ok(Report {
        from: wanted.from.start(),
        to: wanted.to.start(),
        zone: wanted.zone.clone(),
        position,
        by: wanted.by.clone(),
        rows,
        rows_count,
        limit: wanted.limit,
        cursor: (next < rows_count).then_some(next),
        totals: totals.into_iter().map(|(currency, counters)| Sums { currency, counters }).collect(),
        refused,
        loss,
    })
}

/// Currency by campaign, the campaigns that may be counted (none: all), and the loss of theirs.
fn scope(app: &App, wanted: &Wanted) -> (HashMap<u32, Currency>, Option<Vec<u32>>, Loss) {
    let catalogue = app.platform.catalogue();
    let mut currencies = HashMap::new();
    let mut own = Vec::new();
    for (id, campaign) in &catalogue.campaigns {
        let currency =
            catalogue.advertisers.get(&campaign.spec.advertiser).map_or(Currency::EUR, |a| a.spec.currency);
        currencies.insert(id.0, currency);
        let fits = wanted.advertiser.is_none_or(|a| campaign.spec.advertiser.0 == a);
        if fits && wanted.campaign.is_none_or(|c| id.0 == c) {
            own.push(id.0);
        }
    }
    let limited = wanted.advertiser.is_some() || wanted.campaign.is_some();
    let loss = loss(app, &catalogue, &own, wanted);
    (currencies, limited.then_some(own), loss)
}
fn loss(app: &App, catalogue: &Catalogue, campaigns: &[u32], wanted: &Wanted) -> Loss {
    let folds = app.platform.folds();
    let mut sum = Loss::default();
    for set in campaigns.iter().filter_map(|c| catalogue.ad_sets_of.get(&CampaignId(*c))).flatten() {
        if wanted.ad_set.is_none_or(|s| s == set.0) {
            let own = folds.ledger.loss(*set);
            sum.served_count += own.served_count;
            sum.impressions_count += own.impressions_count;
        }
    }
    sum
}

type Groups = BTreeMap<(Vec<Part>, Currency), Counters>;

/// What the rows are read by.
struct Asked<'a> {
    wanted: &'a Wanted,
    campaigns: &'a Option<Vec<u32>>,
    currencies: &'a HashMap<u32, Currency>,
    templates: &'a HashMap<u32, TemplateSpec>,
}

/// Templates by ad, where elements are asked for.
fn templates(app: &App, wanted: &Wanted) -> HashMap<u32, TemplateSpec> {
    if !wanted.by.contains(&Dimension::Element) {
        return HashMap::new();
    }
    let catalogue = app.platform.catalogue();
    let of = |(id, ad): (&AdId, &AdState)| Some((id.0, ad.kept.spec.template.clone()?));
    catalogue.ads.iter().filter_map(of).collect()
}

fn grouped(db: &Connection, asked: &Asked<'_>) -> Result<(Groups, BTreeMap<Currency, Counters>), Problem> {
    let Asked { wanted, campaigns, currencies, .. } = *asked;
    let mut columns = vec!["campaign"];
    if wanted.by.contains(&Dimension::Element) {
        columns.push("ad");
    }
    for dimension in &wanted.by {
        if !columns.contains(&dimension.column()) {
            columns.push(dimension.column());
        }
    }
    let sql = format!(
        "SELECT {0}, sum(served), sum(impressions), sum(viewable), sum(clicks), sum(conversions), sum(spend_nanos), \
         sum(credited_nanos), sum(free_nanos) FROM rollups WHERE hour >= ?1 AND hour < ?2 \
         AND (?3 IS NULL OR campaign IN (SELECT value FROM json_each(?3))) AND (?4 IS NULL OR ad_set = ?4) \
         AND (?5 IS NULL OR ad = ?5) AND (?6 IS NULL OR version = ?6) AND (?7 IS NULL OR placement = ?7) GROUP BY {0}",
        columns.join(", ")
    );
    let listed = campaigns.as_ref().map(|ids| serde_json::to_string(ids).unwrap_or_default());
    let mut statement = db.prepare(&sql).map_err(Problem::internal)?;
    let mut rows = statement
        .query(rusqlite::params![
            wanted.from.0,
            wanted.to.0,
            listed,
            wanted.ad_set,
            wanted.ad,
            wanted.version,
            wanted.placement
        ])
        .map_err(Problem::internal)?;
    let (mut groups, mut totals) = (Groups::new(), BTreeMap::new());
    while let Some(row) = rows.next().map_err(Problem::internal)? {
        let (parts, campaign, counters) = read(row, asked, &columns).map_err(Problem::internal)?;
        let currency = currencies.get(&campaign).copied().unwrap_or(Currency::EUR);
        let total: &mut Counters = totals.entry(currency).or_default();
        total.add(&counters);
        for parts in parts {
            groups.entry((parts, currency)).or_default().add(&counters);
        }
        if groups.len() > GROUPS_MAX {
            let title = format!("The report has more than {GROUPS_MAX} rows.");
            let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "too_many_rows", title);
            return Err(problem.detail("Ask for fewer days, or by less."));
        }
    }
    Ok((groups, totals))
}

/// The elements of a version of a template, one a slot; one empty text for what has none.
fn elements(asked: &Asked<'_>, ad: u32, version: u32) -> Vec<Part> {
    let template = asked.templates.get(&ad).zip(VersionId(version).template_code());
    let assets = template.and_then(|(template, code)| template.decode(code));
    let Some(assets) = assets else { return vec![Part::Text(String::new())] };
    let slots = (0u8..).zip(assets);
    slots.map(|(slot, asset)| Part::Text(element_key(AdId(ad), Element { slot, asset }))).collect()
}
/// An element in reports: `ad_3:1.2` is the second asset of the first slot.
pub fn element_key(ad: AdId, element: Element) -> String {
    format!("{ad}:{}.{}", u16::from(element.slot) + 1, u32::from(element.asset) + 1)
}
/// The ad and the element of a key.
pub fn element_of(key: &str) -> Option<(AdId, Element)> {
    let (ad, element) = key.split_once(':')?;
    let (slot, asset) = element.split_once('.')?;
    let (slot, asset) =
        (slot.parse::<u8>().ok()?.checked_sub(1)?, asset.parse::<u16>().ok()?.checked_sub(1)?);
    Some((ad.parse().ok()?, Element { slot, asset }))
}

/// The groups that a row counts in (more than one only by element), its campaign, its figures.
fn read(
    row: &rusqlite::Row<'_>,
    asked: &Asked<'_>,
    columns: &[&str],
) -> rusqlite::Result<(Vec<Vec<Part>>, u32, Counters)> {
    let wanted = asked.wanted;
    let mut all: Vec<Vec<Part>> = vec![Vec::with_capacity(wanted.by.len())];
    for dimension in &wanted.by {
        let at = columns.iter().position(|c| *c == dimension.column()).unwrap_or(0);
        let part = match dimension {
            Dimension::Country => Part::Text(row.get(at)?),
            Dimension::Day => Part::Number(i64::from(wanted.zone.day(UtcHour(row.get(at)?).start()).0)),
            Dimension::HourOfDay => {
                let hour = wanted.zone.hour_of_week(UtcHour(row.get(at)?).start());
                Part::Number(i64::from(hour.0) % 24)
            }
            Dimension::Element => {
                let ad = columns.iter().position(|c| *c == "ad").unwrap_or(0);
                let own = elements(asked, row.get(ad)?, row.get(at)?);
                let with = |parts: &Vec<Part>| {
                    own.iter().map(|e| [parts.clone(), vec![e.clone()]].concat()).collect::<Vec<_>>()
                };
                all = all.iter().flat_map(with).collect();
                continue;
            }
            _ => Part::Number(row.get(at)?),
        };
        all.iter_mut().for_each(|parts| parts.push(part.clone()));
    }
    let first = columns.len();
    let count = |at: usize| row.get::<_, i64>(first + at).map(|n| u64::try_from(n).unwrap_or(0));
    let nanos = |at: usize| row.get::<_, i64>(first + at).map(|n| Nanos(i128::from(n)));
    let counters = Counters {
        served_count: count(0)?,
        impressions_count: count(1)?,
        viewable_count: count(2)?,
        clicks_count: count(3)?,
        conversions_count: count(4)?,
        gross_nanos: nanos(5)?,
        credited_nanos: nanos(6)?,
        free_nanos: nanos(7)?,
    };
    Ok((all, row.get(0)?, counters))
}

fn printed(dimension: Dimension, part: &Part) -> String {
    let number = match part {
        Part::Text(text) => return text.clone(),
        Part::Number(number) => *number,
    };
    let id = u32::try_from(number).unwrap_or(0);
    match dimension {
        Dimension::Hour => UtcHour(number).start().to_string(),
        Dimension::Day => regie_model::Day(i32::try_from(number).unwrap_or(0)).to_string(),
        Dimension::HourOfDay => format!("{number:02}"),
        Dimension::Campaign => CampaignId(id).to_string(),
        Dimension::AdSet => AdSetId(id).to_string(),
        // A flat fee belongs to its ad set, and to nothing below it.
        _ if id == 0 && !matches!(dimension, Dimension::Device) => String::new(),
        Dimension::Ad => AdId(id).to_string(),
        Dimension::Version => VersionId(id).to_string(),
        Dimension::Placement => PlacementId(id).to_string(),
        Dimension::Device => DeviceClass::from_u8(u8::try_from(number).unwrap_or(0)).word().to_owned(),
        Dimension::Country | Dimension::Element => String::new(),
    }
}

/// Events that were not counted, by kind and reason; they name no campaign, so only the house sees them.
fn refusals(db: &Connection, wanted: &Wanted) -> Result<Vec<(String, String, u64)>, Problem> {
    if !wanted.sees_all {
        return Ok(Vec::new());
    }
    let sql = "SELECT kind, reason, sum(count) FROM refusals WHERE hour >= ?1 AND hour < ?2 AND (?3 IS NULL OR placement = ?3) \
               GROUP BY kind, reason ORDER BY kind, reason";
    let mut statement = db.prepare(sql).map_err(Problem::internal)?;
    let read = |row: &rusqlite::Row<'_>| {
        Ok((row.get(0)?, row.get(1)?, u64::try_from(row.get::<_, i64>(2)?).unwrap_or(0)))
    };
    let rows = statement.query_map(rusqlite::params![wanted.from.0, wanted.to.0, wanted.placement], read);
    rows.map_err(Problem::internal)?.collect::<Result<_, _>>().map_err(Problem::internal)
}
