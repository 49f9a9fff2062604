//! Meta's JSON: answers of the Ad Library API (any version) and of the archive's 2018 search.
//!
//! A file is one answer, an array of ads, or JSON Lines of either. Objects are cut out by a scanner, so
//! memory is bounded by one object ([`OBJECT_BYTES_MAX`]). Creative texts and media are not stored.

use super::{record, shares};
use crate::amount::{self, Amount};
use crate::day::Day;
use crate::error::{Error, Result};
use crate::store::{Fact, Resume, Writer};
use crate::subject::Subject;
use serde_json::Value;
use std::cell::Cell;
use std::io::Read;

/// Largest single JSON value of a file (an API answer holds at most a few thousand ads).
pub const OBJECT_BYTES_MAX: usize = 64 << 20;

/// Cuts top-level values, or the elements of a top-level array, out of a stream.
pub struct Values<R> {
    input: R,
    buffer: Vec<u8>,
    at: usize,
    filled: usize,
    /// Bytes read before `buffer[0]`.
    base: u64,
    in_array: bool,
    is_first: bool,
    /// Index of the next value, from 1.
    pub index: u64,
}

impl<R: Read> Values<R> {
    /// Reads from the start of a file.
    pub fn new(input: R) -> Values<R> {
        Values {
            input,
            buffer: vec![0; 1 << 18],
            at: 0,
            filled: 0,
            base: 0,
            in_array: false,
            is_first: true,
            index: 0,
        }
    }
    /// Bytes consumed so far.
    pub fn offset(&self) -> u64 {
        self.base + self.at as u64
    }
    /// Goes on at an offset that [`Values::offset`] gave after a value of the same stream.
    ///
    /// # Errors
    /// Those of the stream, and one that is shorter now.
    pub fn skip_to(&mut self, offset: u64) -> std::io::Result<()> {
        self.open()?;
        while self.offset() < offset {
            let wanted = usize::try_from(offset - self.offset()).unwrap_or(usize::MAX);
            self.at += wanted.min(self.filled - self.at);
            if self.offset() < offset && !self.fill()? {
                return Err(std::io::Error::other("the file is shorter than when its import began"));
            }
        }
        Ok(())
    }
    /// Passes what stands before the first value.
    fn open(&mut self) -> std::io::Result<()> {
        while self.is_first {
            while self.at < self.filled && is_gap(self.buffer[self.at], false, true) {
                self.at += 1;
            }
            if self.at < self.filled {
                self.in_array = self.buffer[self.at] == b'[';
                self.at += usize::from(self.in_array);
                self.is_first = false;
            } else if !self.fill()? {
                return Ok(());
            }
        }
        Ok(())
    }
    fn fill(&mut self) -> std::io::Result<bool> {
        self.buffer.copy_within(self.at..self.filled, 0);
        self.filled -= self.at;
        self.base += self.at as u64;
        self.at = 0;
        if self.filled == self.buffer.len() {
            self.buffer.resize((self.buffer.len() * 2).min(OBJECT_BYTES_MAX + (1 << 18)), 0);
        }
        let count = self.input.read(&mut self.buffer[self.filled..])?;
        self.filled += count;
        Ok(count > 0)
    }
    /// The next value's bytes; `Err` text when the rest cannot be cut into values.
    pub fn step(&mut self) -> std::io::Result<Option<std::result::Result<&[u8], &'static str>>> {
        self.open()?;
        loop {
            while self.at < self.filled && is_gap(self.buffer[self.at], self.in_array, false) {
                self.at += 1;
            }
            if self.at == self.filled {
                if self.fill()? {
                    continue;
                }
                return Ok(None);
            }
            match extent(&self.buffer[self.at..self.filled]) {
                Extent::Whole(len) => {
                    let from = self.at;
                    self.at += len;
                    self.index += 1;
                    return Ok(Some(Ok(&self.buffer[from..from + len])));
                }
                Extent::Open if self.filled - self.at <= OBJECT_BYTES_MAX => {
                    if !self.fill()? {
                        self.at = self.filled;
                        self.index += 1;
                        return Ok(Some(Err("the file ends inside a JSON value")));
                    }
                }
                Extent::Open => {
                    self.at = self.filled;
                    self.index += 1;
                    return Ok(Some(Err(
                        "a JSON value is larger than 64 MiB; turn the file into one ad a line",
                    )));
                }
                Extent::NoValue => {
                    // Skip to the next line: JSON Lines files recover there.
                    let rest = &self.buffer[self.at..self.filled];
                    self.at += memchr::memchr(b'\n', rest).map_or(rest.len(), |n| n + 1);
                    self.index += 1;
                    return Ok(Some(Err("not a JSON object")));
                }
            }
        }
    }
}

fn is_gap(byte: u8, in_array: bool, is_first: bool) -> bool {
    byte.is_ascii_whitespace()
        || (in_array && matches!(byte, b',' | b']'))
        || (is_first && matches!(byte, 0xef | 0xbb | 0xbf))
}

enum Extent {
    Whole(usize),
    Open,
    NoValue,
}

/// Length of the object at the front, by counting brackets outside strings.
fn extent(bytes: &[u8]) -> Extent {
    if bytes.first() != Some(&b'{') {
        return Extent::NoValue;
    }
    let (mut depth, mut at) = (0u32, 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Extent::Whole(at + 1);
                }
            }
            b'"' => {
                at += 1;
                loop {
                    match memchr::memchr2(b'"', b'\\', bytes.get(at..).unwrap_or_default()) {
                        None => return Extent::Open,
                        Some(n) if bytes[at + n] == b'"' => {
                            at += n;
                            break;
                        }
                        Some(n) => at += n + 2,
                    }
                }
            }
            _ => {}
        }
        at += 1;
    }
    Extent::Open
}

/// Whether an answer is of the 2018 search rather than of the API.
pub fn is_ajax(head: &str) -> bool {
    head.contains("\"adArchiveID\"") || (head.contains("\"payload\"") && head.contains("\"__ar\""))
}

/// What of the ads a pass stores; each is a snapshot of its own, since a row is one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pass {
    /// One fact an ad.
    Ads,
    /// One fact an ad and region, where shares by region are published.
    Regions,
    /// One fact an ad and group of age and gender, where such shares are published.
    Audience,
}

/// What the importer settles beforehand.
pub(crate) struct JsonRun<'a> {
    /// When the answers were fetched: the end of ads that still ran.
    pub known_on: Day,
    /// Currency for ads that state none.
    pub currency: Option<&'a str>,
    /// What is stored.
    pub pass: Pass,
    /// Where an interrupted import stopped.
    pub resume: Option<Resume>,
    /// What the first pass saw: shares by region, by age and gender.
    pub seen: [Cell<bool>; 2],
}

/// Ads between two commits.
const COMMIT_ADS: u64 = 10_000;

/// Reads a stream into the writer, from its beginning or where an import stopped; gives where it ended.
/// `each` watches bytes and ads at every commit and may stop.
///
/// # Errors
/// Those of the store and the stream; being stopped.
pub(crate) fn run<R: Read>(
    input: R,
    run: &JsonRun<'_>,
    writer: &mut Writer<'_>,
    mut each: impl FnMut(u64, u64) -> bool,
) -> Result<Resume> {
    let mut values = Values::new(input);
    let mut ads_count = 0;
    if let Some(resume) = run.resume {
        values.skip_to(resume.offset)?;
        ads_count = resume.line.saturating_sub(1);
    }
    let mut committed = ads_count;
    loop {
        let Some(step) = values.step()? else {
            return Ok(Resume { offset: values.offset(), line: ads_count + 1 });
        };
        let parsed = match step {
            Ok(bytes) => serde_json::from_slice::<Value>(bytes)
                .map_err(|e| (format!("not JSON: {e}"), bytes[..bytes.len().min(200)].to_vec())),
            Err(reason) => Err((reason.to_owned(), Vec::new())),
        };
        match parsed {
            Err((reason, raw)) => {
                ads_count += 1;
                writer.bad_of(run.pass == Pass::Ads, ads_count, &reason, &raw)?;
            }
            Ok(value) => {
                for ad in ads_of(&value) {
                    ads_count += 1;
                    let stored = match run.pass {
                        Pass::Ads if record::is_entry(ad) => record::store(ad, writer)?,
                        Pass::Ads => {
                            run.seen[0].set(run.seen[0].get() || shares::has(ad, Pass::Regions));
                            run.seen[1].set(run.seen[1].get() || shares::has(ad, Pass::Audience));
                            ad_fact(ad, run, writer)?
                        }
                        Pass::Regions | Pass::Audience => shares::store(ad, run, writer)?,
                    };
                    if let Err(reason) = stored {
                        writer.bad(ads_count, &reason, ad.to_string().as_bytes())?;
                    }
                    if writer.is_full() {
                        writer.flush_only()?;
                    }
                }
            }
        }
        // Only between two values of the stream is there a place to go on from.
        if ads_count - committed >= COMMIT_ADS {
            committed = ads_count;
            writer.commit_at(Resume { offset: values.offset(), line: ads_count + 1 })?;
            if !each(values.offset(), ads_count) {
                return Err(super::reading::stopped());
            }
        }
    }
}

/// The ads of an answer: `data`, `payload.results`, `results`, or the object itself.
fn ads_of(value: &Value) -> Vec<&Value> {
    let list = value
        .get("data")
        .or_else(|| value.pointer("/payload/results"))
        .or_else(|| value.get("results"))
        .or_else(|| value.get("entries"));
    match list.and_then(Value::as_array) {
        Some(list) => {
            list.iter().flat_map(|v| v.as_array().map_or_else(|| vec![v], |a| a.iter().collect())).collect()
        }
        None => vec![value],
    }
}

pub(super) type Checked = std::result::Result<(), String>;

/// Everything an ad says of itself.
pub(super) struct Ad {
    pub item: String,
    account: String,
    name: String,
    payer: String,
    place: String,
    pub currency: String,
    from: Day,
    to: Day,
    pub spend: Option<Amount>,
    pub views: Amount,
}

impl Ad {
    /// The fact it is, with these amounts.
    pub fn fact<'a>(
        &'a self,
        place: &'a str,
        item: &'a str,
        spend: Amount,
        views: Amount,
        ads: i64,
    ) -> Fact<'a> {
        let subject = Subject {
            platform: "meta",
            account: &self.account,
            name: &self.name,
            payer: &self.payer,
            ids: "",
        };
        let (from, to, currency) = (self.from, self.to, self.currency.as_str());
        Fact { subject, place, election: "", currency, from, to, spend, views, ads, item }
    }
}

fn ad_fact(ad: &Value, run: &JsonRun<'_>, writer: &mut Writer<'_>) -> Result<Checked> {
    match read_ad(ad, run) {
        Ok(ad) => {
            let spend = ad.spend.unwrap_or(Amount::UNSTATED);
            writer.push(&ad.fact(&ad.place, &ad.item, spend, ad.views, 1))?;
            Ok(Ok(()))
        }
        Err(reason) => Ok(Err(reason)),
    }
}

/// Reads an ad of any version of the API, or why it is none.
pub(super) fn read_ad(ad: &Value, run: &JsonRun<'_>) -> std::result::Result<Ad, String> {
    let get = |names: &[&str]| -> String {
        names
            .iter()
            .map(|n| ad.pointer(n))
            .find_map(|v| v.map(text).filter(|t| !t.is_empty()))
            .unwrap_or_default()
    };
    let item = get(&["/ad_archive_id", "/adArchiveID", "/adArchiveId", "/id", "/_id", "/adid"]);
    let account = get(&["/page_id", "/pageID", "/pageId", "/snapshot/page_id"]);
    let name = get(&["/page_name", "/pageName", "/snapshot/page_name"]);
    if item.is_empty() {
        return Err("the ad has no id".into());
    }
    if account.is_empty() && name.is_empty() {
        return Err("the ad names no page".into());
    }
    let payer = get(&[
        "/bylines",
        "/byline",
        "/funding_entity",
        "/disclaimer",
        "/snapshot/byline",
        "/beneficiary_payers/0/payer",
    ]);
    let start = ["/ad_delivery_start_time", "/startDate", "/ad_creation_time", "/snapshot/creation_time"];
    let Some(from) = start.iter().find_map(|p| ad.pointer(p).and_then(day)) else {
        return Err("no valid first day".into());
    };
    let stop = ["/ad_delivery_stop_time", "/endDate"];
    let to = stop.iter().find_map(|p| ad.pointer(p).and_then(day)).unwrap_or_else(|| run.known_on.max(from));
    // The money of an ad is certain even where its days are not.
    let (from, to) = if to < from { (to, from) } else { (from, to) };
    let spend = range(ad, &["/spend", "/snapshot/spend"], amount::UNIT)
        .map_err(|reason| format!("spend: {reason}"))?;
    let views = range(ad, &["/impressions", "/impressionsWithIndex/impressionsText"], 1)
        .map_err(|reason| format!("impressions: {reason}"))?
        .unwrap_or(Amount::UNSTATED);
    let stated = get(&["/currency", "/snapshot/currency"]);
    let currency = match (spend, stated.as_str(), run.currency) {
        (None, "", _) => "",
        (_, "", Some(currency)) => currency,
        (Some(_), "", None) => return Err("no currency stated; say it with --currency".into()),
        (_, stated, _) if amount::Currency::parse(stated).is_none() => {
            return Err("the currency is no three letters".into());
        }
        (_, stated, _) => stated,
    };
    let (currency, place) = (currency.to_ascii_uppercase(), get(&["/snapshot/country_iso_code"]));
    Ok(Ad { item, account, name, payer, place, currency, from, to, spend, views })
}

pub(super) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    }
}

fn day(value: &Value) -> Option<Day> {
    match value {
        Value::Number(number) => number.as_i64().and_then(Day::from_unix_seconds),
        Value::String(text) => {
            Day::parse_prefix(text).or_else(|| text.parse().ok().and_then(Day::from_unix_seconds))
        }
        _ => None,
    }
}

/// A range as `{lower_bound, upper_bound}` (texts or numbers, the upper may be missing), a text, or a number.
fn range(ad: &Value, paths: &[&str], scale: i64) -> std::result::Result<Option<Amount>, &'static str> {
    let Some(value) = paths.iter().find_map(|p| ad.pointer(p)).filter(|v| !v.is_null()) else {
        return Ok(None);
    };
    let part = |key: &str| value.get(key).map(text).filter(|t| !t.is_empty());
    match value {
        Value::Object(_) => {
            let lower =
                part("lower_bound").map_or(Ok(0), |t| amount::parse_amount(&t, scale).map(|a| a.lower))?;
            let upper = part("upper_bound")
                .map(|t| amount::parse_amount(&t, scale).map(|a| a.upper))
                .transpose()?
                .flatten();
            if upper.is_some_and(|u| u < lower) {
                return Err("the lower bound is above the upper bound");
            }
            Ok(Some(Amount { lower, upper }))
        }
        Value::String(text) if text.trim().is_empty() => Ok(None),
        Value::String(text) => amount::parse_amount(text, scale).map(Some),
        Value::Number(number) => amount::parse_amount(&number.to_string(), scale).map(Some),
        _ => Err("neither a range nor a number"),
    }
}

/// The error for a file that is no JSON at all.
pub fn not_json(file: &str) -> Error {
    Error::Unrecognised { file: file.into(), reason: "begins like JSON but holds no ads".into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str) -> Vec<String> {
        let mut values = Values::new(text.as_bytes());
        let mut out = Vec::new();
        while let Some(step) = values.step().unwrap() {
            out.push(match step {
                Ok(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                Err(reason) => format!("! {reason}"),
            });
        }
        out
    }

    #[test]
    fn cuts_arrays_lines_and_damage() {
        assert_eq!(cut(r#"[{"a":"}\""}, {"b":[1]}]"#), [r#"{"a":"}\""}"#, r#"{"b":[1]}"#]);
        assert_eq!(
            cut("{\"a\":1}\nnot json\n{\"b\":2}\n"),
            ["{\"a\":1}", "! not a JSON object", "{\"b\":2}"]
        );
        assert_eq!(cut("{\"a\":"), ["! the file ends inside a JSON value"]);
        assert_eq!(cut(""), Vec::<String>::new());
    }

    #[test]
    fn any_text_is_cut_to_the_end() {
        use proptest::prelude::*;
        proptest!(|(text in "[\\[\\]{}\",:\\\\a1\n ]{0,200}")| { cut(&text); });
    }
}
