//! Recognises the published CSV layouts of Meta, Google and Snap by their headers, not by their files:
//! columns may come, go, change case or order. Sources: the platforms' own field descriptions.

use super::plan::{Money, Plan};
use crate::amount::{Currency, Rounding, Rule, UNIT};
use crate::day::{self, Day};
use crate::store::{Dataset, KnownBasis, Window};

/// A header line, normalised: lower case, one space between words, no byte-order mark.
pub struct Header {
    /// Normalised names.
    pub names: Vec<String>,
    /// Names as written.
    pub raw: Vec<String>,
}

impl Header {
    /// From the fields of the first record.
    pub fn new(raw: Vec<String>) -> Header {
        let names = raw.iter().map(|name| normal(name)).collect();
        Header { names, raw }
    }
    /// The first column that bears one of the names, tried in order.
    pub fn find(&self, names: &[&str]) -> Option<usize> {
        names.iter().find_map(|name| self.names.iter().position(|n| n == name))
    }
    /// Columns that start with a prefix and go on with a currency code: `spend usd`.
    fn money(&self, prefix: &str) -> Vec<Money> {
        let read = |(lower, name): (usize, &String)| {
            let currency = Currency::parse(name.strip_prefix(prefix)?.strip_prefix(' ')?)?;
            Some(Money { lower, upper: None, currency: Some(currency), name: None })
        };
        self.names.iter().enumerate().filter_map(read).collect()
    }
}

fn normal(name: &str) -> String {
    let spaced: String = name
        .trim_start_matches('\u{feff}')
        .chars()
        .map(|c| if c.is_alphanumeric() { c.to_ascii_lowercase() } else { ' ' })
        .collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Names of the layouts, with what tells them.
pub const LAYOUTS: [(&str, &str); 14] = [
    (
        "meta-report-advertisers",
        "CSV: Page ID, Page name, Disclaimer, Amount spent (CUR), Number of ads in Library",
    ),
    ("meta-report-region", "the same without the number of ads, region in the file's name"),
    ("meta-report-locations", "CSV: Location name, Amount spent (CUR)"),
    (
        "meta-api-csv",
        "CSV of API answers: ad_id or id, page_id, spend_min/max or spend_lower/upper, impressions likewise",
    ),
    (
        "meta-api-json",
        "JSON or JSON Lines of the Ad Library API: id, page_id, spend of lower_bound and upper_bound, currency",
    ),
    (
        "meta-ajax-2018",
        "JSON of the archive's 2018 search: payload.results with adArchiveID, pageID, snapshot.byline",
    ),
    ("google-weekly", "CSV: Advertiser_ID, Week_Start_Date, Spend_CUR (one column a currency)"),
    ("google-totals", "CSV: Advertiser_ID, Total_Creatives, Total_Spend_CUR or Spend_CUR"),
    (
        "google-geo",
        "CSV: State or Country, subdivisions, Spend_CUR; with Advertiser_ID: per advertiser and region",
    ),
    (
        "google-creatives",
        "CSV: Ad_ID, Date_Range_Start, Spend_Range_Min_CUR, Spend_Range_Max_CUR, Impressions",
    ),
    ("google-keywords", "CSV: Election_Cycle, Report_Date, Keyword_1, Spend_1 ..."),
    ("google-detail", "CSV without amounts: campaign targeting, declared names"),
    (
        "snap-political-ads",
        "CSV: ADID, Currency Code, Spend, Impressions, StartDate, EndDate, PayingAdvertiserName",
    ),
    ("ira-sqlite", "SQLite with table ads: spend_amount, spend_currency, impressions, created, ended"),
];

/// Recognises a header; `file` is the member's name with the archive's before it, without folders.
pub fn recognise(header: &Header, file: &str) -> Option<Plan> {
    let mut plan = snap(header)
        .or_else(|| meta_api_csv(header))
        .or_else(|| meta_report(header, file))
        .or_else(|| google(header))?;
    plan.fields_count = header.names.len();
    if plan.known_on.is_none() {
        plan.known_on = day::find_in(file).map(|(_, day)| (day, KnownBasis::FileName));
    }
    Some(plan)
}

const META_CITE: &str = "Meta, Ad Library Report";

fn meta_report(header: &Header, file: &str) -> Option<Plan> {
    let mut spend = [header.money("amount spent"), header.money("spend")].concat();
    // A report whose header names no currency: the importer asks for it.
    let plain = header.find(&["amount spent", "amount spent in local currency"]);
    spend.extend(plain.map(|lower| Money { lower, upper: None, currency: None, name: None }));
    let money = spend.first()?.clone();
    let place = header.find(&["location name", "region name", "location"]);
    let account = header.find(&["page id", "advertiser page id"]);
    let ads = header.find(&["number of ads in library", "number of ads in archive", "number of ads"]);
    let (layout, dataset) = match (account, place, ads) {
        (Some(_), _, Some(_)) => ("meta-report-advertisers", Dataset::Advertiser),
        (Some(_), _, None) => ("meta-report-region", Dataset::Region),
        (None, Some(_), _) => ("meta-report-locations", Dataset::Location),
        _ => return None,
    };
    let mut plan = Plan::new(layout, "meta", dataset, Rule::Capped);
    plan.cite = META_CITE.into();
    plan.columns.account = account;
    plan.columns.name = header.find(&["page name", "advertiser name"]);
    plan.columns.payer = header.find(&["disclaimer", "byline"]).into_iter().collect();
    plan.columns.ads = ads;
    plan.columns.place = place.into_iter().collect();
    plan.columns.spend = vec![money];
    if dataset == Dataset::Location {
        plan.name = "(all advertisers)".into();
    }
    let name = ReportName::parse(file);
    if let Some(name) = name {
        plan.country = name.country;
        plan.window = Some(name.window);
        plan.known_on = Some((name.day, KnownBasis::FileName));
        if dataset == Dataset::Region {
            plan.place = name.rest;
        }
    }
    Some(plan)
}

/// What a report's file name says: `FacebookAdLibraryReport_2023-06-01_US_last_7_days_Alabama.csv`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportName {
    /// The last day covered (Meta dates a report by it), and the earliest day it was known.
    pub day: Day,
    /// Country code, or empty.
    pub country: String,
    /// Days covered.
    pub window: Window,
    /// What follows: `advertisers`, `locations`, or a region.
    pub rest: String,
}

/// Names of window families and their length in days (0: since the beginning).
const WINDOWS: [(&str, i32); 12] = [
    ("last_7_days", 7),
    ("last_30_days", 30),
    ("last_90_days", 90),
    ("last-7-days", 7),
    ("last-30-days", 30),
    ("last-90-days", 90),
    ("yesterday", 1),
    ("lifelong", 0),
    ("lifetime", 0),
    ("all_dates", 0),
    ("all-dates", 0),
    ("1_day", 1),
];

impl ReportName {
    /// Reads a name; `None` when it holds no day and window. The last day in the name counts.
    pub fn parse(file: &str) -> Option<ReportName> {
        let lower = file.to_ascii_lowercase();
        let (at, name, days) = WINDOWS
            .iter()
            .filter_map(|(name, days)| lower.rfind(name).map(|at| (at, *name, *days)))
            .max_by_key(|w| w.0)?;
        let (mut day_at, mut day) = day::find_in(file)?;
        while let Some((next, later)) = file.get(day_at + 10..at).and_then(day::find_in) {
            (day_at, day) = (day_at + 10 + next, later);
        }
        let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
        let rest = stem.get(at + name.len()..).unwrap_or("").trim_start_matches(['_', '-', ' ']).to_owned();
        let between = file.get(day_at + 10..at).unwrap_or("");
        let country = between
            .split(['_', '-', ' ', '.'])
            .find(|p| p.len() == 2 && p.bytes().all(|b| b.is_ascii_uppercase()));
        let window = window_of(name, days, day);
        Some(ReportName { day, country: country.unwrap_or("").to_owned(), window, rest })
    }
}

/// The window of a family that ends on `day`.
pub fn window(name: &str, day: Day) -> Option<Window> {
    WINDOWS.iter().find(|(n, _)| *n == name).map(|(name, days)| window_of(name, *days, day))
}

fn window_of(name: &str, days: i32, day: Day) -> Window {
    let from = if days == 0 { Day::OPEN_START } else { day.plus(1 - days) };
    let name = match name {
        "lifetime" | "all_dates" | "all-dates" => "lifelong".into(),
        "1_day" => "yesterday".into(),
        other => other.replace('-', "_"),
    };
    Window { name, from, to: day }
}

fn meta_api_csv(header: &Header) -> Option<Plan> {
    let item = header.find(&["ad id", "id", "ad archive id", "adid archive"])?;
    let account = header.find(&["page id"])?;
    let lower = header.find(&["spend min", "spend lower", "spend lower bound", "min spend", "spend"])?;
    let upper = header.find(&["spend max", "spend upper", "spend upper bound", "max spend"]);
    let mut plan = Plan::new("meta-api-csv", "meta", Dataset::Ad, Rule::Range);
    plan.cite = "Meta, Ad Library API".into();
    let columns = &mut plan.columns;
    (columns.item, columns.account) = (Some(item), Some(account));
    columns.name = header.find(&["page name"]);
    columns.payer = header.find(&["bylines", "byline", "funding entity", "disclaimer"]).into_iter().collect();
    columns.from = header.find(&["ad delivery start time", "start date", "ad creation time"]);
    columns.to = header.find(&["ad delivery stop time", "end date"]);
    columns.currency = header.find(&["currency"]);
    columns.spend = vec![Money { lower, upper, currency: None, name: None }];
    let views = header.find(&[
        "impressions min",
        "impressions lower",
        "impressions lower bound",
        "min impressions",
        "impressions",
    ]);
    let views_upper =
        header.find(&["impressions max", "impressions upper", "impressions upper bound", "max impressions"]);
    columns.views = views.map(|lower| (lower, views_upper));
    plan.coverage = crate::store::Coverage::Selection;
    Some(plan)
}

const GOOGLE_STEP: Rule = Rule::Step { step_micros: 100 * UNIT, rounding: Rounding::Unknown };

fn google(header: &Header) -> Option<Plan> {
    let plan = google_creatives(header)
        .or_else(|| google_keywords(header))
        .or_else(|| google_spend(header))
        .or_else(|| google_detail(header))?;
    Some(Plan { cite: "Google, political advertising transparency report (bundle)".into(), ..plan })
}

fn google_spend(header: &Header) -> Option<Plan> {
    let spend = [header.money("spend"), header.money("total spend")].concat();
    let account = header.find(&["advertiser id"]);
    let week = header.find(&["week start date"]);
    let creatives = header.find(&["total creatives"]);
    let places = [
        "state",
        "country",
        "country subdivision primary",
        "congressional district",
        "country subdivision secondary",
    ];
    let place: Vec<usize> = places.iter().filter_map(|name| header.find(&[name])).collect();
    if spend.is_empty() {
        return None;
    }
    let (layout, dataset) = match (account, week, creatives, place.is_empty()) {
        (Some(_), Some(_), _, _) => ("google-weekly", Dataset::Weekly),
        (Some(_), None, Some(_), _) => ("google-totals", Dataset::Totals),
        (Some(_), None, None, false) => ("google-geo", Dataset::Region),
        (None, None, None, false) => ("google-geo", Dataset::Geo),
        _ => return None,
    };
    let mut plan = Plan::new(layout, "google", dataset, GOOGLE_STEP);
    plan.parallel_currencies = spend.len() > 1;
    let columns = &mut plan.columns;
    columns.account = account;
    columns.name = header.find(&["advertiser name"]);
    columns.ids = header.find(&["public ids list"]);
    columns.ads = creatives;
    columns.election = header.find(&["election cycle", "elections"]);
    columns.from = week;
    columns.days = week.map(|_| 7);
    columns.place = if matches!(dataset, Dataset::Region | Dataset::Geo) { place } else { Vec::new() };
    columns.spend = spend;
    if dataset == Dataset::Geo {
        plan.name = "(all advertisers)".into();
    }
    let known = [
        "advertiser id",
        "advertiser name",
        "public ids list",
        "total creatives",
        "election cycle",
        "elections",
        "week start date",
        "regions",
    ];
    let extra: Vec<&str> = (0..header.names.len())
        .filter(|i| {
            let name = header.names[*i].as_str();
            !known.contains(&name) && !places.contains(&name) && !name.contains("spend ")
        })
        .map(|i| header.raw[i].as_str())
        .collect();
    if !extra.is_empty() {
        plan.notes.push(format!("columns not used: {}", extra.join(", ")));
    }
    Some(plan)
}

fn google_creatives(header: &Header) -> Option<Plan> {
    let item = header.find(&["ad id"])?;
    let account = header.find(&["advertiser id"])?;
    let lowers = header.money("spend range min");
    let uppers = header.money("spend range max");
    let joined = lowers.into_iter().map(|money| {
        let upper = uppers.iter().find(|u| u.currency == money.currency).map(|u| u.lower);
        Money { upper, ..money }
    });
    let mut spend: Vec<Money> = joined.collect();
    if spend.is_empty() {
        spend = header.money("spend");
    }
    let mut plan = Plan::new("google-creatives", "google", Dataset::Ad, Rule::Range);
    plan.parallel_currencies = spend.len() > 1;
    let columns = &mut plan.columns;
    (columns.item, columns.account) = (Some(item), Some(account));
    columns.name = header.find(&["advertiser name"]);
    columns.from = header.find(&["date range start", "first served timestamp"]);
    columns.to = header.find(&["date range end", "last served timestamp"]);
    columns.place = header.find(&["regions"]).into_iter().collect();
    columns.views = header.find(&["impressions"]).map(|c| (c, None));
    columns.spend = spend;
    Some(plan)
}

fn google_keywords(header: &Header) -> Option<Plan> {
    let from = header.find(&["report date"])?;
    let pairs = (1..=50).map_while(|n| {
        let name = header.find(&[&format!("keyword {n}")])?;
        let lower = header.find(&[&format!("spend {n}")])?;
        Some(Money { lower, upper: None, currency: Some(Currency(*b"USD")), name: Some(name) })
    });
    let spend: Vec<Money> = pairs.collect();
    if spend.is_empty() {
        return None;
    }
    let mut plan = Plan::new("google-keywords", "google", Dataset::Keyword, GOOGLE_STEP);
    plan.columns.election = header.find(&["election cycle"]);
    plan.columns.place = header.find(&["region"]).into_iter().collect();
    plan.columns.from = Some(from);
    plan.columns.days = Some(7);
    plan.columns.spend = spend;
    plan.name = "(keywords)".into();
    plan.notes.push("keyword spending is in US dollars, as Google's field description says".into());
    Some(plan)
}

fn google_detail(header: &Header) -> Option<Plan> {
    let account = header.find(&["advertiser id"])?;
    let name = header.find(&["advertiser declared name", "advertiser name"]);
    let ids = header.find(&["advertiser declared regulatory id", "public ids list"]);
    let item = header.find(&["campaign id"]);
    if header.find(&["advertiser declared name"]).is_none() && item.is_none() {
        return None;
    }
    let mut plan = Plan::new("google-detail", "google", Dataset::Detail, Rule::Exact);
    plan.columns.account = Some(account);
    (plan.columns.name, plan.columns.ids, plan.columns.item) = (name, ids, item);
    plan.columns.from = header.find(&["start date"]);
    plan.columns.to = header.find(&["end date"]);
    Some(plan)
}

fn snap(header: &Header) -> Option<Plan> {
    let item = header.find(&["adid", "ad id"])?;
    let lower = header.find(&["spend"])?;
    let currency = header.find(&["currency code", "currencycode", "currency"]);
    let payer = header.find(&["payingadvertisername", "paying advertiser name"])?;
    let mut plan = Plan::new("snap-political-ads", "snap", Dataset::Ad, Rule::Exact);
    plan.cite = "Snap, Political Ads Library".into();
    plan.is_private = true;
    let columns = &mut plan.columns;
    (columns.item, columns.currency) = (Some(item), currency);
    columns.name = header.find(&["organizationname", "organization name"]);
    columns.payer = vec![payer];
    columns.payer.extend(header.find(&["committeename", "committee name"]));
    columns.payer.extend(header.find(&["disclosurenameofcommittee"]));
    columns.ids = header.find(&["committeeidentificationnumber", "committee identification number"]);
    columns.from = header.find(&["startdate", "start date"]);
    columns.to = header.find(&["enddate", "end date"]);
    columns.place = header.find(&["countrycode", "country code"]).into_iter().collect();
    columns.election = header.find(&["candidateballotinformation"]);
    columns.spend = vec![Money { lower, upper: None, currency: None, name: None }];
    columns.views = header.find(&["impressions"]).map(|c| (c, None));
    plan.notes.push("billing addresses are not read".into());
    Some(plan)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn report_names() {
        let name = ReportName::parse(
            "FacebookAdLibraryReport_2023-06-01_US_last_7_days_Washington, District of Columbia.csv",
        )
        .unwrap();
        assert_eq!(name.rest, "Washington, District of Columbia");
        assert_eq!(
            (name.country.as_str(), name.window.from, name.window.to),
            ("US", Day::new(2023, 5, 26).unwrap(), name.day)
        );
        let name = ReportName::parse("2023-03-03_NL_yesterday_advertisers.csv").unwrap();
        assert_eq!((name.window.from, name.rest.as_str()), (name.day, "advertisers"));
        let name = ReportName::parse("FacebookAdLibraryReport_2020-11-05_DE_lifelong.zip").unwrap();
        assert_eq!((name.window.from, name.window.name.as_str()), (Day::OPEN_START, "lifelong"));
        assert_eq!(ReportName::parse("report.csv"), None);
    }

    #[test]
    fn headers_of_other_years() {
        let plan = |names: &str| {
            recognise(&Header::new(names.split(',').map(str::to_owned).collect()), "x.csv")
                .map(|p| (p.layout, p.columns.spend.len()))
        };
        let is = |layout: &str, n| Some((layout.to_owned(), n));
        assert_eq!(
            plan("\u{feff}Page ID,Page Name,Disclaimer,Amount Spent (USD),Number of Ads in Library"),
            is("meta-report-advertisers", 1)
        );
        assert_eq!(
            plan("page_id,page_name,disclaimer,amount_spent_eur,number_of_ads_in_library"),
            is("meta-report-advertisers", 1)
        );
        assert_eq!(plan("Page ID,Page name,Disclaimer,Amount spent (EUR)"), is("meta-report-region", 1));
        assert_eq!(plan("Location name,Amount spent (USD)"), is("meta-report-locations", 1));
        assert_eq!(
            plan("Advertiser_ID,Advertiser_Name,Week_Start_Date,Spend_USD,Spend_EUR,Spend_INR"),
            is("google-weekly", 3)
        );
        assert_eq!(
            plan(
                "Advertiser_ID,Advertiser_Name,Public_IDs_List,Regions,Elections,Total_Creatives,Spend_USD,Spend_EUR"
            ),
            is("google-totals", 2)
        );
        assert_eq!(
            plan("Country,Country_Subdivision_Primary,Country_Subdivision_Secondary,Spend_USD,Spend_EUR"),
            is("google-geo", 2)
        );
        assert_eq!(
            plan("Advertiser_ID,Advertiser_Name,Country,Country_Subdivision_Primary,Spend_USD"),
            is("google-geo", 1)
        );
        assert_eq!(
            plan(
                "Ad_ID,Ad_URL,Ad_Type,Regions,Advertiser_ID,Advertiser_Name,Ad_Campaigns_List,Date_Range_Start,Date_Range_End,Num_of_Days,Impressions,Spend_USD,First_Served_Timestamp,Last_Served_Timestamp,Spend_Range_Min_USD,Spend_Range_Max_USD,Spend_Range_Min_EUR,Spend_Range_Max_EUR"
            ),
            is("google-creatives", 2)
        );
        assert_eq!(
            plan(
                "Campaign_ID,Age_Targeting,Gender_Targeting,Geo_Targeting_Included,Start_Date,End_Date,Advertiser_ID,Advertiser_Name"
            ),
            is("google-detail", 0)
        );
        assert_eq!(
            plan(
                "ADID,CreativeUrl,Currency Code,Spend,Impressions,StartDate,EndDate,OrganizationName,BillingAddress,CandidateBallotInformation,PayingAdvertiserName"
            ),
            is("snap-political-ads", 1)
        );
        assert_eq!(plan("name,age"), None);
    }
}
