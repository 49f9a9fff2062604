//! The log as its publisher wrote it, and the file in which we remember the tickets we were given.

use anyhow::{Context, Result, bail};
use std::{
    collections::HashMap,
    fs::File,
    io::{BufRead, BufReader, Read, Write},
    path::Path,
};

/// One logged decision.
#[derive(Clone, Debug)]
pub struct LoggedRow {
    /// Running number in the file (its unnamed first column).
    pub index: u64,
    /// Logged time, as text.
    pub timestamp: String,
    /// Item that was shown.
    pub item: u32,
    /// Where: 1 to 3.
    pub position: u32,
    /// Whether it was clicked.
    pub clicked: bool,
    /// Hashed user features, in the file's order.
    pub features: Vec<(String, String)>,
}

/// Reads a log, gzipped or not.
///
/// # Errors
/// The line that is not of the format.
pub fn read(path: &Path) -> Result<Vec<LoggedRow>> {
    let file = File::open(path)?;
    let input: Box<dyn Read> = if path.extension().is_some_and(|e| e == "gz") {
        Box::new(flate2::read::GzDecoder::new(file))
    } else {
        Box::new(file)
    };
    read_from(input)
}

/// Reads a log that is not gzipped.
///
/// # Errors
/// As [`read`].
pub fn read_from(input: impl Read) -> Result<Vec<LoggedRow>> {
    let mut reader = csv::Reader::from_reader(input);
    let headers = reader.headers()?.clone();
    let column = |name: &str| {
        headers
            .iter()
            .position(|h| h == name)
            .with_context(|| format!("there is no column {name}; is this an Open Bandit log?"))
    };
    let (time, item, position, click) =
        (column("timestamp")?, column("item_id")?, column("position")?, column("click")?);
    let features: Vec<(usize, String)> = headers
        .iter()
        .enumerate()
        .filter(|(_, name)| name.starts_with("user_feature_"))
        .map(|(at, name)| (at, name.to_owned()))
        .collect();
    let mut rows = Vec::new();
    for (number, record) in reader.records().enumerate() {
        let record = record?;
        let whole = |at: usize| {
            let text = &record[at];
            text.parse::<u32>().with_context(|| format!("line {}: {text:?} is no whole number", number + 2))
        };
        rows.push(LoggedRow {
            index: record[0].parse().unwrap_or(number as u64),
            timestamp: record[time].to_owned(),
            item: whole(item)?,
            position: whole(position)?,
            clicked: whole(click)? != 0,
            features: features.iter().map(|(at, name)| (name.clone(), record[*at].to_owned())).collect(),
        });
    }
    if rows.is_empty() {
        bail!("the file has no rows");
    }
    Ok(rows)
}

/// Row number and ticket, a line each: so that sending again uses the same tickets.
pub struct TicketFile {
    file: File,
    known: HashMap<u64, String>,
}

impl TicketFile {
    /// Opens or makes it.
    ///
    /// # Errors
    /// The system's error.
    pub fn open(path: &Path) -> Result<TicketFile> {
        let mut known = HashMap::new();
        if path.exists() {
            for line in BufReader::new(File::open(path)?).lines() {
                let line = line?;
                if let Some((index, ticket)) = line.split_once('\t') {
                    known.insert(index.parse()?, ticket.to_owned());
                }
            }
        }
        let file = File::options().create(true).append(true).open(path)?;
        Ok(TicketFile { file, known })
    }
    /// The ticket of a row.
    pub fn get(&self, index: u64) -> Option<&str> {
        self.known.get(&index).map(String::as_str)
    }
    /// Remembers the ticket of a row.
    ///
    /// # Errors
    /// The system's error.
    pub fn put(&mut self, index: u64, ticket: &str) -> Result<()> {
        writeln!(self.file, "{index}\t{ticket}")?;
        self.known.insert(index, ticket.to_owned());
        Ok(())
    }
}
