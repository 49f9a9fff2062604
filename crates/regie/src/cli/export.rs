//! `regie export`: delivery events as Parquet, one file a day, in the documented schema (docs/EVENTS.md).
//!
//! Written with low-level column writers: one row group for each 100,000 events, Snappy pages. No viewer data: tickets
//! hold none.

use super::{Cli, progress};
use crate::platform::folder::Folder;
use anyhow::{Context, Result};
use clap::Args;
use parquet::{
    basic::Compression,
    data_type::{ByteArray, ByteArrayType, DoubleType, Int32Type, Int64Type},
    file::{
        properties::WriterProperties,
        writer::{SerializedFileWriter, SerializedRowGroupWriter},
    },
    schema::parser::parse_message_type,
};
use regie_journal::{JournalReader, Position};
use regie_model::{Day, UtcMs, Zone, event::Event, ticket::Ticket};
use std::{
    fs::File,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

/// Events in one row group.
const ROW_GROUP_ROWS: usize = 100_000;

/// The schema, version 1.
pub const SCHEMA: &str = "message event_v1 {
  REQUIRED INT64 position;
  REQUIRED INT64 at (TIMESTAMP(MILLIS,true));
  REQUIRED BYTE_ARRAY kind (UTF8);
  REQUIRED INT64 epoch;
  REQUIRED INT64 sequence;
  REQUIRED INT64 issued_at (TIMESTAMP(MILLIS,true));
  REQUIRED INT64 site;
  REQUIRED INT64 placement;
  REQUIRED INT64 advertiser;
  REQUIRED INT64 campaign;
  REQUIRED INT64 ad_set;
  REQUIRED INT64 ad;
  REQUIRED INT64 version;
  REQUIRED BYTE_ARRAY tier (UTF8);
  REQUIRED BYTE_ARRAY billing (UTF8);
  REQUIRED INT64 price_nanos;
  REQUIRED BYTE_ARRAY currency (UTF8);
  REQUIRED DOUBLE propensity;
  REQUIRED DOUBLE predicted_rate;
  REQUIRED BYTE_ARRAY country (UTF8);
  REQUIRED BYTE_ARRAY device (UTF8);
  REQUIRED INT32 political;
  REQUIRED INT64 value_micros;
}";

/// Arguments of `regie export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Folder to write to: `day=YYYY-MM-DD/events.parquet`.
    to: PathBuf,
    /// First UTC day, YYYY-MM-DD.
    #[arg(long)]
    from: Option<String>,
    /// Last UTC day, YYYY-MM-DD.
    #[arg(long)]
    until: Option<String>,
}

/// Runs it.
///
/// # Errors
/// A day that is none; a folder that cannot be written.
pub fn run(cli: &Cli, args: &ExportArgs) -> Result<ExitCode> {
    let day = |text: &Option<String>| match text {
        Some(text) => {
            Day::parse(text).map(Some).with_context(|| format!("{text:?} is no day; write YYYY-MM-DD"))
        }
        None => Ok(None),
    };
    let (from, until) = (day(&args.from)?, day(&args.until)?);
    let journal = Folder::existing(&cli.folder)?.journal();
    let mut reader = JournalReader::open(&journal, Position(0))?;
    let bar = progress::bar("exporting events", cli.json);
    let utc = Zone::utc();
    let mut out: Option<(Day, DayFile)> = None;
    let (mut count, mut files) = (0u64, 0u64);
    while let Some(batch) = reader.next_batch()? {
        for record in batch.records() {
            let at = UtcMs(record.at_ms);
            let day = utc.day(at);
            if from.is_some_and(|from| day < from) || until.is_some_and(|until| day > until) {
                continue;
            }
            let event = Event::decode(record.payload)?;
            if event.ticket().is_none() {
                continue;
            }
            if out.as_ref().is_none_or(|(open, _)| *open != day) {
                if let Some((_, file)) = out.take() {
                    file.close()?;
                }
                out = Some((day, DayFile::create(&args.to, day)?));
                files += 1;
            }
            if let Some((_, file)) = &mut out {
                file.push(record.position.0, at, &event)?;
            }
            count += 1;
        }
        bar.set_position(batch.last().0);
    }
    if let Some((_, file)) = out {
        file.close()?;
    }
    bar.finish_and_clear();
    if cli.json {
        println!("{}", serde_json::json!({ "events": count, "files": files, "to": args.to }));
    } else {
        println!("Wrote {count} events into {files} files under {}.", args.to.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// The columns of one row group.
#[derive(Default)]
struct Rows {
    numbers: [Vec<i64>; 14],
    words: [Vec<ByteArray>; 6],
    rates: [Vec<f64>; 2],
    political: Vec<i32>,
}

struct DayFile {
    writer: SerializedFileWriter<File>,
    rows: Rows,
}

impl DayFile {
    fn create(root: &Path, day: Day) -> Result<DayFile> {
        let dir = root.join(format!("day={day}"));
        std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let path = dir.join("events.parquet");
        let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        let schema = Arc::new(parse_message_type(SCHEMA)?);
        let properties = Arc::new(WriterProperties::builder().set_compression(Compression::SNAPPY).build());
        Ok(DayFile { writer: SerializedFileWriter::new(file, schema, properties)?, rows: Rows::default() })
    }
    fn push(&mut self, position: u64, at: UtcMs, event: &Event) -> Result<()> {
        let Some(ticket) = event.ticket() else { return Ok(()) };
        self.rows.push(position, at, event, ticket);
        if self.rows.political.len() >= ROW_GROUP_ROWS { self.flush() } else { Ok(()) }
    }
    fn flush(&mut self) -> Result<()> {
        let rows = std::mem::take(&mut self.rows);
        if rows.political.is_empty() {
            return Ok(());
        }
        let mut group = self.writer.next_row_group()?;
        rows.write(&mut group)?;
        group.close()?;
        Ok(())
    }
    fn close(mut self) -> Result<()> {
        self.flush()?;
        self.writer.close()?;
        Ok(())
    }
}

impl Rows {
    fn push(&mut self, position: u64, at: UtcMs, event: &Event, t: &Ticket) {
        let value = if let Event::Conversion(c) = event { c.value_micros } else { 0 };
        let numbers = [
            position as i64,
            at.0,
            i64::from(t.id.epoch),
            t.id.sequence as i64,
            t.issued_at.0,
            i64::from(t.site.0),
            i64::from(t.placement.0),
            i64::from(t.advertiser.0),
            i64::from(t.campaign.0),
            i64::from(t.ad_set.0),
            i64::from(t.ad.0),
            i64::from(t.version.0),
            t.price_nanos,
            value,
        ];
        self.numbers.iter_mut().zip(numbers).for_each(|(column, number)| column.push(number));
        let tier = format!("{:?}", t.tier).to_lowercase();
        let billing = format!("{:?}", t.billing).to_lowercase();
        let words = [event.kind(), &tier, &billing, t.currency.code(), t.country_text(), t.device.word()];
        self.words.iter_mut().zip(words).for_each(|(column, word)| column.push(word.into()));
        self.rates[0].push(t.propensity);
        self.rates[1].push(f64::from(t.predicted_rate));
        self.political.push(i32::from(t.political));
    }
    fn write(&self, group: &mut SerializedRowGroupWriter<'_, File>) -> Result<()> {
        /// Which column comes next.
        enum Next {
            Number(usize),
            Word(usize),
            Rate(usize),
            Political,
        }
        use Next::{Number, Political, Rate, Word};
        let order = [
            Number(0),
            Number(1),
            Word(0),
            Number(2),
            Number(3),
            Number(4),
            Number(5),
            Number(6),
            Number(7),
            Number(8),
            Number(9),
            Number(10),
            Number(11),
            Word(1),
            Word(2),
            Number(12),
            Word(3),
            Rate(0),
            Rate(1),
            Word(4),
            Word(5),
            Political,
            Number(13),
        ];
        for next in order {
            let mut column = group.next_column()?.context("the schema has fewer columns than are written")?;
            match next {
                Number(i) => column.typed::<Int64Type>().write_batch(&self.numbers[i], None, None)?,
                Word(i) => column.typed::<ByteArrayType>().write_batch(&self.words[i], None, None)?,
                Rate(i) => column.typed::<DoubleType>().write_batch(&self.rates[i], None, None)?,
                Political => column.typed::<Int32Type>().write_batch(&self.political, None, None)?,
            };
            column.close()?;
        }
        Ok(())
    }
}
