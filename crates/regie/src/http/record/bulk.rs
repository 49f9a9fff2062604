//! Bulk files of the record: one CSV and one Parquet file for each closed day, with their hashes.
//!
//! A row is one ad's day as last published, with the ad's facts as known then. A correction makes a new file with a new hash, as does what
//! is withheld; the versions' entries tell what changed (`/record/changes`). The same for everybody, without sign-in.

use super::{limits::Fair, open_json};
use crate::{
    http::{App, AppState, problem::Problem},
    platform::lock,
    publication::{closed::ClosedDay, db::RecordDb},
};
use anyhow::{Context, Result};
use axum::{
    extract::{Path, State},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use parquet::{
    basic::Compression,
    data_type::{ByteArray, ByteArrayType, Int64Type},
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::parser::parse_message_type,
};
use regie_model::Day;
use regie_record::{Facts, commit::Sha256Hash, leaf::Leaf};
use serde_json::{Value, json};
use std::sync::Arc;

/// Columns of texts, then of numbers, with what each holds: the data dictionary of the bulk files.
pub const TEXTS: [(&str, &str); 16] = [
    ("day", "day of the account's time zone, YYYY-MM-DD"),
    ("ad", "the ad's id; its page is /record/ads/ID"),
    (
        "stage",
        "provisional at the close of the day, final on the seventh day, correction when restated later",
    ),
    ("published_at", "when this version was made, RFC 3339 in UTC"),
    ("campaign", "the campaign's id"),
    ("sponsor_id", "on whose behalf: id"),
    ("sponsor", "on whose behalf: name as declared; \"(withheld)\" where its object was lawfully deleted"),
    ("payer_id", "who paid: id"),
    ("payer", "who paid: name as declared"),
    ("country", "where the sponsor is established, ISO 3166-1"),
    ("targeting", "every condition and exclusion, in words"),
    ("price", "how the price is formed, in words"),
    ("linked", "linked votes and processes, separated by semicolons"),
    ("currency", "of the money, ISO 4217"),
    ("gross_nanos", "charged on that day, 10^-9 of a unit, as decimal text"),
    (
        "spend_nanos",
        "charged less what was given back of that day's charges, 10^-9 of a unit, as decimal text",
    ),
];
/// Columns of numbers.
pub const NUMBERS: [(&str, &str); 6] = [
    ("political", "1: declared as political advertising, 0: not"),
    ("figures_version", "1 for the first publication of this day"),
    ("entry_index", "place of this version in the log, from 0"),
    ("impressions_count", "times shown, exact"),
    ("clicks_count", "times clicked, exact"),
    ("conversions_count", "actions after clicks, exact"),
];

struct Row {
    texts: [String; 16],
    numbers: [i64; 6],
}

fn row(index: u64, leaf: &Leaf, facts: Option<&Facts>) -> Option<Row> {
    let figures = leaf.figures.as_ref()?;
    let of = |read: fn(&Facts) -> String| facts.map(read).unwrap_or_default();
    let linked = |f: &Facts| {
        let names = f.declaration.iter().flat_map(|d| &d.linked).map(|l| l.name.clone());
        names.collect::<Vec<_>>().join("; ")
    };
    let amounts = &figures.amounts;
    let stage = serde_json::to_value(figures.stage).ok()?.as_str().unwrap_or_default().to_owned();
    Some(Row {
        texts: [
            figures.day.to_string(),
            leaf.ad.to_string(),
            stage,
            leaf.at.to_string(),
            of(|f| f.campaign.to_string()),
            of(|f| f.sponsor.id.to_string()),
            of(|f| f.sponsor.name.clone()),
            of(|f| f.payer.id.to_string()),
            of(|f| f.payer.name.clone()),
            of(|f| f.sponsor.established_in.clone()),
            of(|f| f.targeting.words.clone()),
            of(|f| f.price.words.clone()),
            of(linked),
            amounts.currency.to_string(),
            amounts.gross_nanos.0.to_string(),
            amounts.net().0.to_string(),
        ],
        numbers: [
            i64::from(facts.is_some_and(|f| f.political)),
            i64::from(leaf.version),
            index as i64,
            amounts.impressions_count as i64,
            amounts.clicks_count as i64,
            amounts.conversions_count as i64,
        ],
    })
}

fn rows(db: &RecordDb, day: Day) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (index, leaf) in db.day(day)? {
        // As known then: a file says the same for as long as nothing of its day is published or withheld.
        let facts = db.facts_before(leaf.ad, index)?;
        rows.extend(row(index, &leaf, facts.as_ref()));
    }
    Ok(rows)
}

/// A day as CSV (RFC 4180, UTF-8, a header line).
///
/// # Errors
/// SQLite's error.
pub fn csv_of(db: &RecordDb, day: Day) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(TEXTS.iter().chain(&NUMBERS).map(|(name, _)| *name))?;
    for row in rows(db, day)? {
        let numbers = row.numbers.iter().map(i64::to_string);
        writer.write_record(row.texts.iter().cloned().chain(numbers))?;
    }
    writer.into_inner().map_err(|e| anyhow::anyhow!("{e}"))
}

/// A day as Parquet: the columns of [`csv_of`], in the same order.
///
/// # Errors
/// SQLite's error.
pub fn parquet_of(db: &RecordDb, day: Day) -> Result<Vec<u8>> {
    let mut schema = "message record_day_v1 {\n".to_owned();
    TEXTS.iter().for_each(|(name, _)| schema.push_str(&format!("  REQUIRED BYTE_ARRAY {name} (UTF8);\n")));
    NUMBERS.iter().for_each(|(name, _)| schema.push_str(&format!("  REQUIRED INT64 {name};\n")));
    schema.push('}');
    let rows = rows(db, day)?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_created_by("regie".into())
        .build();
    let mut bytes = Vec::new();
    let schema = Arc::new(parse_message_type(&schema)?);
    let mut writer = SerializedFileWriter::new(&mut bytes, schema, Arc::new(properties))?;
    let mut group = writer.next_row_group()?;
    for column in 0..TEXTS.len() {
        let values: Vec<ByteArray> = rows.iter().map(|r| r.texts[column].as_str().into()).collect();
        let mut out = group.next_column()?.context("a column is missing")?;
        out.typed::<ByteArrayType>().write_batch(&values, None, None)?;
        out.close()?;
    }
    for column in 0..NUMBERS.len() {
        let values: Vec<i64> = rows.iter().map(|r| r.numbers[column]).collect();
        let mut out = group.next_column()?.context("a column is missing")?;
        out.typed::<Int64Type>().write_batch(&values, None, None)?;
        out.close()?;
    }
    group.close()?;
    writer.close()?;
    Ok(bytes)
}

fn file_of(db: &RecordDb, day: Day, form: &str) -> Result<Vec<u8>> {
    if form == "csv" { csv_of(db, day) } else { parquet_of(db, day) }
}
/// The hash of a day's file, made when something of the day was published or withheld since it was last asked for. The file is made from a
/// reader's view of the record: nobody who publishes waits for it.
fn hash_of(app: &App, db: &RecordDb, of: &ClosedDay, form: &str) -> Result<String> {
    if let Some(known) = db.file_hash(of, form)? {
        return Ok(known);
    }
    let hash = Sha256Hash::of(&file_of(db, of.day, form)?);
    app.publication.db().keep_file_hash(of, form, &hash, db.withheld_count()?)?;
    Ok(hash.to_string())
}

/// `GET /record/days.json`: every day's files with their hashes, the newest first.
pub(super) async fn list(State(app): State<AppState>, _: Fair) -> Result<Response, Problem> {
    let reader = Arc::clone(&app);
    let told = tokio::task::spawn_blocking(move || index(&reader)).await.map_err(Problem::internal)?;
    Ok(open_json(&told.map_err(Problem::internal)?))
}
fn index(app: &App) -> Result<Value> {
    // One at a time: whoever asks next finds the hashes made.
    let _making = lock(&app.bulk_files);
    let db = app.publication.fresh_reading()?;
    let mut days = Vec::new();
    for of in db.days()? {
        let day = of.day;
        let file = |form: &str| -> Result<Value> {
            Ok(
                json!({ "path": format!("/record/days/{day}.{form}"), "sha256": hash_of(app, &db, &of, form)? }),
            )
        };
        days.push(json!({ "day": day, "ads_count": of.ads_count, "last_entry_index": of.last_index, "csv": file("csv")?, "parquet": file("parquet")? }));
    }
    Ok(json!({ "log_size": db.size()?, "days": days }))
}

/// `GET /record/days/{day}.csv` and `.parquet`.
pub(super) async fn file(
    State(app): State<AppState>,
    _: Fair,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let missing = || Problem::not_found("bulk file of this name; /record/days.json lists them");
    let (day, form) = name.rsplit_once('.').ok_or_else(missing)?;
    let day = Day::parse(day).ok_or_else(missing)?;
    let media = match form {
        "csv" => "text/csv; charset=utf-8",
        "parquet" => "application/vnd.apache.parquet",
        _ => return Err(missing()),
    };
    let (reader, form) = (Arc::clone(&app), form.to_owned());
    let work = move || -> Result<Option<Vec<u8>>> {
        let db = reader.publication.fresh_reading()?;
        match db.closed_day(day)? {
            Some(_) => file_of(&db, day, &form).map(Some),
            None => Ok(None),
        }
    };
    let bytes =
        tokio::task::spawn_blocking(work).await.map_err(Problem::internal)?.map_err(Problem::internal)?;
    let bytes = bytes.ok_or_else(missing)?;
    let digest = Sha256Hash::of(&bytes);
    let mut response = bytes.into_response();
    let out = response.headers_mut();
    out.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    out.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    out.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(value) = HeaderValue::from_str(&format!("\"{digest}\"")) {
        out.insert(header::ETAG, value);
    }
    Ok(response)
}
