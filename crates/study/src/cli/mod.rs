//! The command line of this room, to be mounted as `regie study ...`.
//!
//! Reads no clock, no environment and no terminal of its own: the caller hands over where to write,
//! whether progress is shown, and what day it is. With `--json` every command prints one JSON document.

mod groups;
mod run;

use crate::amount::Currency;
use crate::day::Day;
use crate::import::{OwnEntry, OwnSource};
use crate::rank::{Estimate, Measure, Partly, Question, Rate};
use crate::select::Scope;
use crate::store::Dataset;
use crate::targets::Unit;
use clap::{Args, Subcommand, ValueEnum};
use std::io::Write;
use std::path::PathBuf;

pub use run::run;

/// Where a command writes and what it knows of the world.
pub struct Terminal<'a> {
    /// Answers go here.
    pub out: &'a mut dyn Write,
    /// Whether a progress bar may be drawn on standard error.
    pub shows_progress: bool,
    /// Today, for decisions about groupings.
    pub today: Day,
    /// Reads the publisher's own record out of a data folder; the caller knows how, this room does not.
    pub own: Option<&'a OwnReader<'a>>,
}

/// What reads the record of a data folder; an empty path is the caller's own folder.
pub type OwnReader<'a> =
    dyn Fn(&std::path::Path) -> std::result::Result<(OwnSource, Vec<OwnEntry>), String> + 'a;

/// `study`: other platforms' advertising archives, ranked honestly.
#[derive(Args, Clone, Debug)]
pub struct StudyArgs {
    /// The study store; made when it does not exist
    #[arg(long, global = true, default_value = "study.db", value_name = "FILE")]
    pub store: PathBuf,
    /// Print one JSON document instead of text
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do
    #[command(subcommand)]
    pub command: StudyCommand,
}

/// Commands.
#[derive(Subcommand, Clone, Debug)]
pub enum StudyCommand {
    /// Import files, archives (zip, gz) or folders; the same file twice changes nothing
    Import(ImportArgs),
    /// List what the store holds
    List,
    /// List the layouts that are read without a mapping file
    Layouts,
    /// Show rows kept aside, with line and reason
    Bad {
        /// Number of the snapshot, as `list` shows it
        snapshot: i64,
        /// Show the rows themselves (they may hold private data)
        #[arg(long)]
        raw: bool,
        /// At most this many
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Rank spenders, each with its best and worst rank
    Rank(RankArgs),
    /// What changed between two days' knowledge: changed, vanished, appeared
    Diff(DiffArgs),
    /// Whether regional files agree with the national one
    Check {
        /// Which part of the store
        #[command(flatten)]
        scope: ScopeArgs,
        /// Also write an HTML report that lists everything
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Group pages, payers and advertisers into entities
    Group {
        /// What to do
        #[command(subcommand)]
        command: GroupCommand,
    },
    /// Write a self-contained HTML report of a ranking
    Report {
        /// The question
        #[command(flatten)]
        rank: RankArgs,
        /// File to write
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Title of the report
        #[arg(long, default_value = "Who paid for political advertising?")]
        title: String,
    },
    /// Write a ranking, or every fact, as CSV, JSON or Parquet (by the file's ending)
    Export {
        /// The question
        #[command(flatten)]
        rank: RankArgs,
        /// File to write: .csv, .json or .parquet
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Every fact of the chosen snapshots instead of the ranking (.csv or .parquet)
        #[arg(long)]
        facts: bool,
    },
    /// Answer one of the six published questions from a folder of archives
    Answer {
        /// 1 to 6
        number: u8,
        /// The folder
        #[arg(long, value_name = "FOLDER")]
        data: PathBuf,
    },
    /// Walk through the first three questions, ending with a report
    Demo {
        /// A folder of archives; without it the table the program carries
        #[arg(long, value_name = "FOLDER")]
        data: Option<PathBuf>,
        /// Report to write
        #[arg(long, default_value = "study-demo.html", value_name = "FILE")]
        out: PathBuf,
    },
    /// Measure import and ranking on generated rows
    Bench {
        /// Rows of the generated report
        #[arg(long, default_value_t = 1_000_000)]
        rows: u64,
        /// Rows of the generated store that is ranked
        #[arg(long, default_value_t = 10_000_000)]
        rank_rows: u64,
        /// Folder for generated files; removed afterwards
        #[arg(long, value_name = "FOLDER")]
        folder: Option<PathBuf>,
        /// A Python with the duckdb package, to read the same file in the same run
        #[arg(long, value_name = "PYTHON")]
        duckdb: Option<PathBuf>,
    },
}

/// What to import and what its files do not say.
#[derive(Args, Clone, Debug)]
pub struct ImportArgs {
    /// Files or folders
    #[arg(required_unless_present = "own")]
    pub paths: Vec<PathBuf>,
    /// Also this publisher's own record, exact, out of its data folder (the one given with --folder unless named here)
    #[arg(long, value_name = "FOLDER", num_args = 0..=1, require_equals = true)]
    pub own: Option<Option<PathBuf>>,
    /// A mapping file (TOML) for a CSV of another layout
    #[arg(long, value_name = "FILE")]
    pub mapping: Option<PathBuf>,
    /// The day the file was published or fetched
    #[arg(long, value_name = "DAY")]
    pub known_on: Option<Day>,
    /// Country code
    #[arg(long)]
    pub country: Option<String>,
    /// Window family of a report: yesterday, last_7_days, last_30_days, last_90_days, lifelong
    #[arg(long)]
    pub window: Option<String>,
    /// Currency, where the file states none
    #[arg(long)]
    pub currency: Option<Currency>,
    /// Encoding: utf-8, utf-16le, utf-16be, windows-1252
    #[arg(long)]
    pub encoding: Option<String>,
}

/// Which part of the store.
#[derive(Args, Clone, Debug, Default)]
pub struct ScopeArgs {
    /// Only this platform (repeat for several): meta, google, snap, ira, regie ...
    #[arg(long = "source", value_name = "PLATFORM")]
    pub sources: Vec<String>,
    /// Only reports of this country
    #[arg(long)]
    pub country: Option<String>,
    /// Only this kind of rows: weekly, advertiser, ad, totals, region, location, geo, keyword
    #[arg(long)]
    pub dataset: Option<String>,
    /// Only this window family
    #[arg(long)]
    pub window: Option<String>,
    /// As known on this day
    #[arg(long, value_name = "DAY")]
    pub known_on: Option<Day>,
    /// First day
    #[arg(long, value_name = "DAY")]
    pub from: Option<Day>,
    /// Last day
    #[arg(long, value_name = "DAY")]
    pub to: Option<Day>,
    /// Only this region
    #[arg(long)]
    pub region: Option<String>,
}

impl ScopeArgs {
    /// The scope.
    ///
    /// # Errors
    /// An unknown kind of rows.
    pub fn scope(&self) -> crate::Result<Scope> {
        let dataset = self.dataset.as_ref().map(|code| {
            Dataset::parse(code).ok_or_else(|| {
                let all: Vec<&str> = Dataset::ALL.iter().map(|d| d.code()).collect();
                crate::Error::Question(format!("no kind of rows {code:?}; choose one of {}", all.join(", ")))
            })
        });
        Ok(Scope {
            platforms: self.sources.clone(),
            country: self.country.clone(),
            dataset: dataset.transpose()?,
            window: self.window.clone(),
            known_on: self.known_on,
            from: self.from,
            to: self.to,
            region: self.region.clone(),
        })
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum UnitArg {
    Account,
    Payer,
    Name,
    Pair,
}
#[derive(Clone, Copy, Debug, ValueEnum)]
enum EstimateArg {
    Published,
    Midpoint,
}
#[derive(Clone, Copy, Debug, ValueEnum)]
enum MeasureArg {
    Spend,
    Impressions,
}
#[derive(Clone, Copy, Debug, ValueEnum)]
enum PartlyArg {
    Bounded,
    Start,
}
#[derive(Clone, Copy, Debug, ValueEnum)]
enum UnmappedArg {
    Alone,
    Apart,
}
#[derive(Clone, Copy, Debug, ValueEnum)]
enum KindArg {
    Government,
    Commercial,
}

/// A question.
#[derive(Args, Clone, Debug)]
pub struct RankArgs {
    /// Which part of the store
    #[command(flatten)]
    pub scope: ScopeArgs,
    /// Only this election or cycle, as the source names it
    #[arg(long)]
    election: Option<String>,
    /// A grouping file
    #[arg(long, value_name = "FILE")]
    group: Option<PathBuf>,
    /// What is ranked where no grouping joins
    #[arg(long, value_enum, default_value = "account")]
    by: UnitArg,
    /// Currency; otherwise the one with most rows
    #[arg(long)]
    currency: Option<Currency>,
    /// Dated rate into --currency: EUR=1.0835@2018-08-01 (repeat for several)
    #[arg(long = "rate", value_name = "RATE")]
    rates: Vec<Rate>,
    /// What orders
    #[arg(long, value_enum, default_value = "published")]
    estimate: EstimateArg,
    /// What is summed
    #[arg(long, value_enum, default_value = "spend")]
    measure: MeasureArg,
    /// How a period over the edge counts: between nothing and all, or wholly when it begins inside
    #[arg(long, value_enum, default_value = "bounded")]
    periods: PartlyArg,
    /// Take a kind of advertiser out (repeat for several)
    #[arg(long, value_enum)]
    exclude: Vec<KindArg>,
    /// Whether the unmapped rank each by itself or stand apart; otherwise as the grouping says
    #[arg(long, value_enum)]
    unmapped: Option<UnmappedArg>,
    /// Also over time and by region
    #[arg(long)]
    split: bool,
    /// How many to show
    #[arg(long, default_value_t = 20)]
    top: usize,
}

impl RankArgs {
    /// The question.
    ///
    /// # Errors
    /// As [`ScopeArgs::scope`].
    pub fn question(&self) -> crate::Result<Question> {
        use crate::group::Unmapped;
        use crate::kinds::Kind;
        Ok(Question {
            scope: self.scope.scope()?,
            election: self.election.clone(),
            unit: match self.by {
                UnitArg::Account => Unit::Account,
                UnitArg::Payer => Unit::Payer,
                UnitArg::Name => Unit::Name,
                UnitArg::Pair => Unit::Pair,
            },
            currency: self.currency,
            rates: self.rates.clone(),
            estimate: match self.estimate {
                EstimateArg::Published => Estimate::Published,
                EstimateArg::Midpoint => Estimate::Midpoint,
            },
            measure: match self.measure {
                MeasureArg::Spend => Measure::Spend,
                MeasureArg::Impressions => Measure::Impressions,
            },
            partly: match self.periods {
                PartlyArg::Bounded => Partly::Bounded,
                PartlyArg::Start => Partly::ByStart,
            },
            exclude: self
                .exclude
                .iter()
                .map(|k| match k {
                    KindArg::Government => Kind::Government,
                    KindArg::Commercial => Kind::Commercial,
                })
                .collect(),
            unmapped: self.unmapped.map(|u| match u {
                UnmappedArg::Alone => Unmapped::Alone,
                UnmappedArg::Apart => Unmapped::Apart,
            }),
            top: self.top,
            with_split: self.split,
        })
    }
}

/// Two days to compare.
#[derive(Args, Clone, Debug)]
pub struct DiffArgs {
    /// As known on this day
    pub first: Day,
    /// As known on that day
    pub second: Day,
    /// Also write an HTML report
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Which part of the store
    #[command(flatten)]
    pub scope: ScopeArgs,
}

/// Commands about groupings.
#[derive(Subcommand, Clone, Debug)]
pub enum GroupCommand {
    /// Turn another map (any CSV) into a grouping file
    Convert {
        /// The map
        file: PathBuf,
        /// Its columns: entity=COLUMN and one of account=, id=, name=, payer=
        #[arg(long = "column", value_name = "KEY=COLUMN", required = true)]
        columns: Vec<String>,
        /// Platform all its rows are about
        #[arg(long, default_value = "")]
        platform: String,
        /// Entities that are rests and never ranked
        #[arg(long)]
        residual: Vec<String>,
        /// Who made the map
        #[arg(long, default_value = "unknown")]
        author: String,
        /// Grouping file to write
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Group the store by identifiers and names; weaker likeness becomes proposals
    Auto {
        /// Grouping file to write
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Least score of a proposal, in thousandths
        #[arg(long, default_value_t = 600)]
        score_min: u32,
    },
    /// Propose unmapped advertisers for the entities of a grouping
    Propose {
        /// The grouping
        file: PathBuf,
        /// File for the proposals
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Least score, in thousandths
        #[arg(long, default_value_t = 600)]
        score_min: u32,
    },
    /// Add the proposals of one file to a grouping, still undecided
    Merge {
        /// The grouping, which is rewritten
        file: PathBuf,
        /// The proposals
        proposals: PathBuf,
    },
    /// Accept, reject or undo a link by its number
    Decide {
        /// The grouping, which is rewritten
        file: PathBuf,
        /// Number of the link, counted from 1
        number: usize,
        /// accept, reject or undo
        decision: String,
        /// Who decides
        #[arg(long)]
        author: String,
    },
    /// Show a grouping's links with their numbers
    Show {
        /// The grouping
        file: PathBuf,
        /// Only links of this status
        #[arg(long)]
        status: Option<String>,
    },
    /// Compare two groupings
    Diff {
        /// First
        first: PathBuf,
        /// Second
        second: PathBuf,
    },
    /// Measure the automatic links on the gold standards of a folder of archives
    Quality {
        /// The folder
        #[arg(long, value_name = "FOLDER")]
        data: PathBuf,
        /// Also write a report with the curves
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}
