//! Answers and facts as CSV, JSON and Parquet files.
//!
//! Parquet is written column by column with Snappy, one row group a chunk, and reads in DuckDB, Spark and
//! pandas as it is. Names that look like private contact data are replaced, as everywhere.

use crate::error::{Error, Result};
use crate::rank::Ranking;
use crate::records::csv_line;
use crate::select::Selection;
use crate::store::columns::Column;
use crate::store::{Chunk, OwnedSubject, SnapshotId, Store};
use crate::text::looks_private;
use parquet::basic::Compression;
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use std::collections::HashMap;
use std::io::Write;
use std::sync::Arc;

/// A column's values; `None` is a missing one.
enum Values {
    Text(Vec<String>),
    Whole(Vec<i64>),
    MaybeWhole(Vec<Option<i64>>),
    Day(Vec<Option<i32>>),
}

impl Values {
    fn schema(&self, name: &str) -> String {
        match self {
            Values::Text(_) => format!("required binary {name} (UTF8);"),
            Values::Whole(_) => format!("required int64 {name};"),
            Values::MaybeWhole(_) => format!("optional int64 {name};"),
            Values::Day(_) => format!("optional int32 {name} (DATE);"),
        }
    }
}

type Columns = Vec<(&'static str, Values)>;

fn open<W: Write + Send>(out: W, name: &str, columns: &Columns) -> Result<SerializedFileWriter<W>> {
    let fields: Vec<String> = columns.iter().map(|(n, v)| v.schema(n)).collect();
    let schema = Arc::new(parse_message_type(&format!("message {name} {{ {} }}", fields.join(" ")))?);
    let properties = Arc::new(WriterProperties::builder().set_compression(Compression::SNAPPY).build());
    Ok(SerializedFileWriter::new(out, schema, properties)?)
}

fn write_group<W: Write + Send>(file: &mut SerializedFileWriter<W>, columns: &Columns) -> Result<()> {
    let mut group = file.next_row_group()?;
    for (_, values) in columns {
        let Some(mut column) = group.next_column()? else { break };
        match (column.untyped(), values) {
            (ColumnWriter::ByteArrayColumnWriter(w), Values::Text(list)) => {
                let list: Vec<ByteArray> = list.iter().map(|t| ByteArray::from(t.as_str())).collect();
                w.write_batch(&list, None, None)?;
            }
            (ColumnWriter::Int64ColumnWriter(w), Values::Whole(list)) => {
                w.write_batch(list, None, None)?;
            }
            (ColumnWriter::Int64ColumnWriter(w), Values::MaybeWhole(list)) => {
                let levels: Vec<i16> = list.iter().map(|v| i16::from(v.is_some())).collect();
                w.write_batch(&list.iter().flatten().copied().collect::<Vec<_>>(), Some(&levels), None)?;
            }
            (ColumnWriter::Int32ColumnWriter(w), Values::Day(list)) => {
                let levels: Vec<i16> = list.iter().map(|v| i16::from(v.is_some())).collect();
                w.write_batch(&list.iter().flatten().copied().collect::<Vec<_>>(), Some(&levels), None)?;
            }
            _ => return Err(Error::Question("a column does not fit its schema".into())),
        }
        column.close()?;
    }
    group.close()?;
    Ok(())
}

/// Writes a ranking as Parquet; amounts in micros.
///
/// # Errors
/// Those of the writer; a sum beyond 64 bits.
pub fn ranking_parquet<W: Write + Send>(r: &Ranking, out: W) -> Result<()> {
    let small = |v: i128| i64::try_from(v).map_err(|_| Error::Range);
    let rows = &r.ranked;
    let text = |f: &dyn Fn(&crate::rank::Ranked) -> String| Values::Text(rows.iter().map(f).collect());
    let whole = |f: &dyn Fn(&crate::rank::Ranked) -> i128| -> Result<Values> {
        Ok(Values::Whole(rows.iter().map(|x| small(f(x))).collect::<Result<_>>()?))
    };
    let maybe = |f: &dyn Fn(&crate::rank::Ranked) -> Option<i128>| -> Result<Values> {
        Ok(Values::MaybeWhole(rows.iter().map(|x| f(x).map(small).transpose()).collect::<Result<_>>()?))
    };
    let columns: Columns = vec![
        ("rank", whole(&|x| i128::from(x.rank))?),
        ("best_rank", whole(&|x| i128::from(x.best))?),
        ("worst_rank", maybe(&|x| x.worst.map(i128::from))?),
        ("name", text(&|x| x.label.name.clone())),
        ("platform", text(&|x| x.label.platform.clone())),
        ("account", text(&|x| x.label.account.clone())),
        ("units_count", whole(&|x| i128::from(x.units_count))?),
        ("currency", text(&|_| r.currency.map(|c| c.to_string()).unwrap_or_default())),
        ("published_micros", whole(&|x| x.published)?),
        ("lower_micros", whole(&|x| x.lower)?),
        ("upper_micros", maybe(&|x| x.upper)?),
        ("ads_count", whole(&|x| i128::from(x.ads_count))?),
        ("impressions_lower", whole(&|x| x.views_published)?),
        ("impressions_upper", maybe(&|x| x.views_upper)?),
        ("certainty", text(&crate::table::certainty)),
    ];
    let mut file = open(out, "ranking", &columns)?;
    write_group(&mut file, &columns)?;
    file.close()?;
    Ok(())
}

fn facts(chunk: &Chunk, subjects: &HashMap<u32, OwnedSubject>, words: &[String]) -> Columns {
    let rows = 0..chunk.rows;
    let word = |column: Column, row: usize| {
        words.get(chunk.column(column)[row] as usize).cloned().unwrap_or_default()
    };
    let who = |f: &dyn Fn(&OwnedSubject) -> &str| {
        let one = |row: usize| {
            let text = subjects.get(&(chunk.column(Column::Subject)[row] as u32)).map_or("", f);
            if looks_private(text) { String::new() } else { text.to_owned() }
        };
        Values::Text(rows.clone().map(one).collect())
    };
    let day = |f: &dyn Fn(usize) -> crate::Day| {
        Values::Day(rows.clone().map(|r| Some(f(r)).filter(|d| d.is_stated()).map(|d| d.0)).collect())
    };
    vec![
        ("snapshot", Values::Whole(vec![chunk.snapshot.0; chunk.rows])),
        ("platform", who(&|s| &s.platform)),
        // Accounts are long numbers by nature, not private data.
        (
            "account",
            Values::Text(
                rows.clone()
                    .map(|r| {
                        subjects
                            .get(&(chunk.column(Column::Subject)[r] as u32))
                            .map_or(String::new(), |s| s.account.clone())
                    })
                    .collect(),
            ),
        ),
        ("name", who(&|s| &s.name)),
        ("payer", who(&|s| &s.payer)),
        ("place", Values::Text(rows.clone().map(|r| word(Column::Place, r)).collect())),
        ("election", Values::Text(rows.clone().map(|r| word(Column::Election, r)).collect())),
        ("currency", Values::Text(rows.clone().map(|r| word(Column::Currency, r)).collect())),
        ("period_from", day(&|r| chunk.period(r).0)),
        ("period_to", day(&|r| chunk.period(r).1)),
        ("spend_lower_micros", Values::Whole(rows.clone().map(|r| chunk.spend(r).lower).collect())),
        ("spend_upper_micros", Values::MaybeWhole(rows.clone().map(|r| chunk.spend(r).upper).collect())),
        ("impressions_lower", Values::Whole(rows.clone().map(|r| chunk.views(r).lower).collect())),
        ("impressions_upper", Values::MaybeWhole(rows.clone().map(|r| chunk.views(r).upper).collect())),
        ("ads_count", Values::Whole(rows.clone().map(|r| chunk.column(Column::Ads)[r]).collect())),
        (
            "item",
            Values::Text(rows.clone().map(|r| String::from_utf8_lossy(chunk.item(r)).into_owned()).collect()),
        ),
    ]
}

fn each_chunk(
    store: &Store,
    selection: &Selection,
    mut each: impl FnMut(&Columns) -> Result<()>,
) -> Result<u64> {
    let ids: Vec<SnapshotId> = selection.snapshots.iter().map(|s| s.id).collect();
    let words = store.words()?;
    let mut count = 0;
    store.scan(&ids, &Column::ALL)?.each(|chunk| {
        let mut wanted: Vec<u32> = chunk.column(Column::Subject).iter().map(|s| *s as u32).collect();
        wanted.sort_unstable();
        wanted.dedup();
        count += chunk.rows as u64;
        each(&facts(chunk, &store.subjects(&wanted)?, &words))
    })?;
    Ok(count)
}

/// Writes every fact of the chosen snapshots as Parquet; gives their number. Memory: one chunk.
///
/// # Errors
/// Those of the store and the writer.
pub fn facts_parquet<W: Write + Send>(store: &Store, selection: &Selection, out: W) -> Result<u64> {
    let empty: Columns = facts(&Chunk::empty(), &HashMap::new(), &[]);
    let mut file = open(out, "facts", &empty)?;
    let count = each_chunk(store, selection, |columns| write_group(&mut file, columns))?;
    file.close()?;
    Ok(count)
}

/// Writes every fact of the chosen snapshots as CSV; gives their number. Memory: one chunk.
///
/// # Errors
/// Those of the store and the writer.
pub fn facts_csv(store: &Store, selection: &Selection, out: &mut dyn Write) -> Result<u64> {
    let empty: Columns = facts(&Chunk::empty(), &HashMap::new(), &[]);
    out.write_all(csv_line(&empty.iter().map(|c| c.0).collect::<Vec<_>>()).as_bytes())?;
    each_chunk(store, selection, |columns| {
        let rows = match columns.first() {
            Some((_, Values::Whole(list))) => list.len(),
            _ => 0,
        };
        for row in 0..rows {
            let field = |(_, values): &(&str, Values)| match values {
                Values::Text(list) => list[row].clone(),
                Values::Whole(list) => list[row].to_string(),
                Values::MaybeWhole(list) => list[row].map(|v| v.to_string()).unwrap_or_default(),
                Values::Day(list) => list[row].map(|d| crate::Day(d).to_string()).unwrap_or_default(),
            };
            out.write_all(csv_line(&columns.iter().map(field).collect::<Vec<_>>()).as_bytes())?;
        }
        Ok(())
    })
}
