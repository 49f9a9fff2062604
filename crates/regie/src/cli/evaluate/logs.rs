//! Reading logs: the Open Bandit layout, columns that were prepared elsewhere, and Regie's own export.
//!
//! Which one it is follows from the file: a folder is an export; a CSV (gzipped or not) is known by its header. Refuses
//! a file without propensities.

use anyhow::{Context, Result, bail};
use parquet::{
    file::reader::{FileReader, SerializedFileReader},
    record::RowAccessor,
    schema::parser::parse_message_type,
};
use regie_learn::evaluate::{Log, model::Shown};
use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

/// What a log says, whatever its layout.
pub enum Logged {
    /// Which action was shown where: any policy can be evaluated.
    Actions(Actions),
    /// Prepared columns: the one policy that they are about.
    Columns(Log),
}

/// Actions, places, rewards, propensities.
#[derive(Default)]
pub struct Actions {
    /// One value a row.
    pub shown: Shown,
    /// Propensity, one a row.
    pub logged: Vec<f64>,
    /// Names of the actions, by number.
    pub names: Vec<String>,
    /// Every action was possible at every place, by what is known of the logging policy.
    pub everywhere: bool,
    /// What a reward counts.
    pub unit: String,
    /// What the log is, in words.
    pub about: String,
}

impl Actions {
    fn push(&mut self, action: usize, place: usize, reward: f64, logged: f64) {
        self.shown.action.push(action);
        self.shown.place.push(place);
        self.shown.reward.push(reward);
        self.logged.push(logged);
    }
    /// Places.
    pub fn places_count(&self) -> usize {
        self.shown.place.iter().max().map_or(1, |p| p + 1)
    }
}

/// What of an export is evaluated.
pub struct Selection {
    /// Which ad set; the one with most impressions unless given.
    pub ad_set: Option<i64>,
    /// Which event is the reward.
    pub reward: String,
}

/// Reads a log.
///
/// # Errors
/// What is wrong with the file, and where.
pub fn read(path: &Path, selection: &Selection) -> Result<Logged> {
    if path.is_dir() {
        return export(path, selection).map(Logged::Actions);
    }
    let text = text(path)?;
    let mut reader = csv::ReaderBuilder::new().from_reader(text.as_bytes());
    let header: Vec<String> = reader.headers()?.iter().map(str::to_owned).collect();
    let at = |name: &str| header.iter().position(|h| h == name);
    if let (Some(item), Some(click), Some(propensity)) =
        (at("item_id"), at("click"), at("propensity_score").or(at("action_prob")))
    {
        let columns = [item, at("position").unwrap_or(usize::MAX), click, propensity];
        return open_bandit(path, &mut reader, &header, columns).map(Logged::Actions);
    }
    let propensity = at("pscore").or(at("propensity"));
    if let (Some(reward), Some(logged), Some(target)) =
        (at("reward"), propensity, at("pi_e").or(at("target")))
    {
        let model = at("q_factual").or(at("predicted")).zip(at("dm_term").or(at("expected")));
        let mut log = Log::default();
        for (line, record) in reader.records().enumerate() {
            let record = record?;
            let number = |column: usize| parse(record.get(column), line, &header[column]);
            log.reward.push(number(reward)?);
            log.logged.push(number(logged)?);
            log.target.push(number(target)?);
            if let Some((predicted, expected)) = model {
                log.predicted.push(number(predicted)?);
                log.expected.push(number(expected)?);
            }
        }
        return Ok(Logged::Columns(log));
    }
    bail!(
        "{} is no log that can be evaluated: it needs item_id, position, click, propensity_score (Open Bandit), or \
         reward, pscore, pi_e (and q_factual, dm_term), or be a folder that regie export wrote",
        path.display()
    )
}

/// A file's text, gunzipped where its name says so.
///
/// # Errors
/// When it cannot be read.
pub fn text(path: &Path) -> Result<String> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut text = String::new();
    let zipped = path.extension().is_some_and(|e| e == "gz");
    let read = if zipped {
        flate2::read::MultiGzDecoder::new(file).read_to_string(&mut text)
    } else {
        { file }.read_to_string(&mut text)
    };
    read.with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text)
}

fn parse(cell: Option<&str>, line: usize, column: &str) -> Result<f64> {
    let cell = cell.unwrap_or_default();
    cell.trim().parse().with_context(|| format!("line {}: {column} is {cell:?}, not a number", line + 2))
}

fn open_bandit(
    path: &Path,
    reader: &mut csv::Reader<&[u8]>,
    header: &[String],
    [item, position, click, propensity]: [usize; 4],
) -> Result<Actions> {
    let affinities = header.iter().filter(|h| h.starts_with("user-item_affinity")).count();
    // Both of the data set's policies, uniform and Bernoulli Thompson, show every item anywhere with some probability
    // (Saito et al., arXiv 2008.07146, 3).
    let mut actions = Actions { everywhere: true, unit: "clicks".into(), ..Actions::default() };
    let mut most = affinities;
    for (line, record) in reader.records().enumerate() {
        let record = record?;
        let whole = |column: usize, least: f64| -> Result<usize> {
            let number = parse(record.get(column), line, &header[column])?;
            if number.fract() != 0.0 || !(least..1e6).contains(&number) {
                bail!("line {}: {} is {number}, not a number from {least}", line + 2, header[column]);
            }
            Ok((number - least) as usize)
        };
        let action = whole(item, 0.0)?;
        let place = if position == usize::MAX { 0 } else { whole(position, 1.0)? };
        most = most.max(action + 1);
        let reward = parse(record.get(click), line, "click")?;
        actions.push(action, place, reward, parse(record.get(propensity), line, "propensity")?);
    }
    actions.names = (0..most).map(|a| a.to_string()).collect();
    actions.about = format!("{} rows of {} in the Open Bandit layout", actions.logged.len(), path.display());
    Ok(actions)
}

/// The impressions of one ad set in an export, each with what came of it.
fn export(root: &Path, selection: &Selection) -> Result<Actions> {
    struct Impression {
        ad_set: i64,
        version: i64,
        propensity: f64,
        reward: f64,
    }
    let event = match selection.reward.as_str() {
        "clicks" => "click",
        "viewable" => "viewable",
        "conversions" | "value" => "conversion",
        other => bail!("--reward {other}: known are clicks, viewable, conversions, value"),
    };
    let mut impressions: BTreeMap<(i64, i64), Impression> = BTreeMap::new();
    let mut rewards: HashMap<(i64, i64), f64> = HashMap::new();
    let projection = parse_message_type(
        "message event_v1 { REQUIRED BYTE_ARRAY kind (UTF8); REQUIRED INT64 epoch; REQUIRED INT64 sequence; REQUIRED INT64 \
         ad_set; REQUIRED INT64 version; REQUIRED DOUBLE propensity; REQUIRED INT64 value_micros; }",
    )?;
    for file in parquet_files(root)? {
        let reader = SerializedFileReader::new(File::open(&file)?)
            .with_context(|| format!("{} is no Parquet file", file.display()))?;
        for row in reader.get_row_iter(Some(projection.clone()))? {
            let row = row?;
            let ticket = (row.get_long(1)?, row.get_long(2)?);
            let kind = row.get_string(0)?;
            if kind == "impression" {
                let impression = Impression {
                    ad_set: row.get_long(3)?,
                    version: row.get_long(4)?,
                    propensity: row.get_double(5)?,
                    reward: 0.0,
                };
                impressions.entry(ticket).or_insert(impression);
            } else if kind == event {
                let value = if selection.reward == "value" { row.get_long(6)? as f64 / 1e6 } else { 1.0 };
                let reward = rewards.entry(ticket).or_default();
                // A ticket's click counts once, however often it is sent; values add up.
                *reward = if selection.reward == "value" { *reward + value } else { 1.0 };
            }
        }
    }
    for (ticket, impression) in &mut impressions {
        impression.reward = rewards.get(ticket).copied().unwrap_or(0.0);
    }
    let mut counts: BTreeMap<i64, usize> = BTreeMap::new();
    impressions.values().for_each(|i| *counts.entry(i.ad_set).or_default() += 1);
    let largest = counts.iter().max_by_key(|(_, count)| **count).map(|(ad_set, _)| *ad_set);
    let ad_set = selection.ad_set.or(largest).context("the export holds no impressions")?;
    let own: Vec<&Impression> = impressions.values().filter(|i| i.ad_set == ad_set).collect();
    if own.is_empty() {
        let known: Vec<String> = counts.keys().map(i64::to_string).collect();
        bail!("ad set {ad_set} has no impressions here; known are {}", known.join(", "));
    }
    let versions: BTreeMap<i64, usize> = own
        .iter()
        .map(|i| i.version)
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .enumerate()
        .map(|(number, version)| (version, number))
        .collect();
    let mut actions = Actions {
        names: versions.keys().map(i64::to_string).collect(),
        unit: selection.reward.clone(),
        about: format!("{} impressions of ad set {ad_set} in {}", own.len(), root.display()),
        ..Actions::default()
    };
    for impression in own {
        actions.push(versions[&impression.version], 0, impression.reward, impression.propensity);
    }
    Ok(actions)
}

fn parquet_files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in
            std::fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?
        {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "parquet") {
                files.push(path);
            }
        }
    }
    files.sort();
    if files.is_empty() {
        bail!("{} holds no Parquet file; write one with regie export", root.display());
    }
    Ok(files)
}
