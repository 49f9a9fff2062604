//! Runs the commands.

use super::{StudyArgs, StudyCommand, Terminal, groups};
use crate::answers::Answer;
use crate::bench::{self, BenchOptions};
use crate::diff::{self, DiffQuestion};
use crate::encoding::Encoding;
use crate::error::{Error, Result};
use crate::group::Grouping;
use crate::import::layouts::LAYOUTS;
use crate::import::{ImportOptions, Importer, Mapping, NoProgress, Outcome, PartOutcome, Progress};
use crate::rank::{self, Question, Ranking};
use crate::store::{SnapshotId, Store};
use crate::{check, demo, export, report, select, table};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::io::Write;
use std::path::Path;

/// Runs a command; gives the exit code (0 done, 1 an answer that is wrong).
///
/// # Errors
/// Each says what to do next.
pub fn run(args: &StudyArgs, terminal: &mut Terminal<'_>) -> Result<u8> {
    match &args.command {
        StudyCommand::Import(import) => import_files(args, import, terminal),
        StudyCommand::List => list(args, terminal),
        StudyCommand::Layouts => layouts(args, terminal),
        StudyCommand::Bad { snapshot, raw, limit } => {
            bad(args, SnapshotId(*snapshot), *raw, *limit, terminal)
        }
        StudyCommand::Rank(rank) => {
            let ranking = ranked(args, rank, rank.question()?)?;
            say(args, terminal, &ranking, || table::ranking(&ranking))
        }
        StudyCommand::Diff(d) => {
            let question = DiffQuestion { scope: d.scope.scope()?, first: d.first, second: d.second };
            let found = diff::diff(&existing(&args.store)?, &question)?;
            if let Some(out) = &d.out {
                let lead = format!("Between what was known on {} and on {}.", d.first, d.second);
                let page =
                    report::page("What changed in the archive?", &lead, &[report::diff("Changes", &found)]);
                write(out, page.as_bytes())?;
            }
            say(args, terminal, &found, || table::diff(&found))
        }
        StudyCommand::Check { scope, out } => reconcile(args, scope, out.as_deref(), terminal),
        StudyCommand::Group { command } => groups::run(args, command, terminal),
        StudyCommand::Report { rank, out, title } => {
            let ranking = ranked(args, rank, Question { with_split: true, ..rank.question()? })?;
            let page =
                report::page(title, &report::headline(&ranking), &[report::ranking("Ranking", &ranking)]);
            write(out, page.as_bytes())?;
            say(args, terminal, &out.display().to_string(), || format!("wrote {}\n", out.display()))
        }
        StudyCommand::Export { rank, out, facts } => export_to(args, rank, out, *facts, terminal),
        StudyCommand::Answer { number, data } => {
            let answer = crate::answers::answer(*number, data)?;
            say(args, terminal, &answer, || answer_text(&answer))?;
            Ok(u8::from(!answer.is_right()))
        }
        StudyCommand::Demo { data, out } => {
            let walk = demo::demo(data.as_deref())?;
            write(out, walk.html.as_bytes())?;
            let text = || {
                let answers: String = walk.answers.iter().map(answer_text).collect();
                format!("{}\n\n{answers}\nThe report: {}\n", walk.steps.join("\n"), out.display())
            };
            say(args, terminal, &walk.answers, text)?;
            Ok(u8::from(!walk.answers.iter().all(Answer::is_right)))
        }
        StudyCommand::Bench { rows, rank_rows, folder, duckdb } => {
            let folder = folder.clone().unwrap_or_else(|| Path::new("study-bench").to_owned());
            let options = BenchOptions { rows: *rows, rank_rows: *rank_rows, folder, duckdb: duckdb.clone() };
            let measured = bench::bench(&options)?;
            say(args, terminal, &measured, || {
                measured.lines.iter().map(|(what, figure)| format!("{what}: {figure}\n")).collect()
            })
        }
    }
}

/// Prints JSON or text.
pub(super) fn say<T: Serialize + ?Sized>(
    args: &StudyArgs,
    terminal: &mut Terminal<'_>,
    value: &T,
    text: impl FnOnce() -> String,
) -> Result<u8> {
    if args.json {
        serde_json::to_writer_pretty(&mut *terminal.out, value)?;
        terminal.out.write_all(b"\n")?;
    } else {
        terminal.out.write_all(text().as_bytes())?;
    }
    Ok(0)
}

pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(path, bytes).map_err(|e| Error::file(path.display(), e))
}

pub(super) fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|e| Error::file(path.display(), e))
}

/// Opens a store that must be there: a question does not make an empty one.
pub(super) fn existing(path: &Path) -> Result<Store> {
    if !path.exists() {
        return Err(Error::Question(format!(
            "there is no study store {}; begin with `study import FILE`",
            path.display()
        )));
    }
    Store::open(path)
}

pub(super) fn grouping(path: &Path) -> Result<Grouping> {
    Grouping::parse(&read(path)?, &path.display().to_string())
}

fn ranked(args: &StudyArgs, rank: &super::RankArgs, question: Question) -> Result<Ranking> {
    let store = existing(&args.store)?;
    let grouping = rank.group.as_ref().map(|g| grouping(g)).transpose()?;
    rank::rank(&store, &question, grouping.as_ref())
}

struct Bar {
    bar: Option<ProgressBar>,
}

impl Progress for Bar {
    fn begin(&mut self, name: &str, bytes: Option<u64>) {
        let template = match bytes {
            Some(_) => "{msg:40!} {bar:30} {percent:>3}% {binary_bytes_per_sec:>12} {eta:>5} left",
            None => "{msg:40!} {binary_bytes:>12} {binary_bytes_per_sec:>12}",
        };
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = bytes.map_or_else(ProgressBar::new_spinner, ProgressBar::new).with_style(style);
        bar.set_message(name.to_owned());
        self.bar = Some(bar);
    }
    fn at(&mut self, bytes: u64, _rows: u64) -> bool {
        if let Some(bar) = &self.bar {
            bar.set_position(bytes);
        }
        true
    }
    fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

fn import_files(args: &StudyArgs, import: &super::ImportArgs, terminal: &mut Terminal<'_>) -> Result<u8> {
    let encoding = import
        .encoding
        .as_ref()
        .map(|name| {
            Encoding::parse(name).ok_or_else(|| {
                Error::Question(format!(
                    "no encoding {name:?}; choose utf-8, utf-16le, utf-16be or windows-1252"
                ))
            })
        })
        .transpose()?;
    let mapping =
        import.mapping.as_ref().map(|m| Mapping::parse(&read(m)?, &m.display().to_string())).transpose()?;
    let options = ImportOptions {
        mapping,
        known_on: import.known_on,
        country: import.country.clone(),
        window: import.window.clone(),
        currency: import.currency,
        encoding,
    };
    let store = Store::open(&args.store)?;
    let mut importer = Importer::new(&store, options)?;
    let mut outcome = Outcome::default();
    let mut bar = Bar { bar: None };
    for path in &import.paths {
        let progress: &mut dyn Progress = if terminal.shows_progress { &mut bar } else { &mut NoProgress };
        outcome.parts.extend(importer.path(path, progress)?.parts);
    }
    if let Some(folder) = &import.own {
        let read = terminal.own.ok_or_else(|| {
            Error::Question("--own needs the whole program: `regie study import --own`".into())
        })?;
        let (source, entries) = read(folder.as_deref().unwrap_or(Path::new(""))).map_err(Error::Question)?;
        outcome.parts.extend(importer.own_record(&source, entries)?.parts);
    }
    say(args, terminal, &outcome, || outcome_text(&outcome))
}

fn outcome_text(outcome: &Outcome) -> String {
    let mut text = String::new();
    for part in &outcome.parts {
        text.push_str(&match part {
            PartOutcome::Imported { file, snapshot, rows_count, bad_rows_count, resumed_at_line } => {
                let bad = if *bad_rows_count > 0 {
                    format!(", {bad_rows_count} kept aside (study bad {})", snapshot.0)
                } else {
                    String::new()
                };
                let resumed = resumed_at_line.map(|l| format!(", went on at line {l}")).unwrap_or_default();
                format!("imported {file}: {rows_count} rows{bad}{resumed}\n")
            }
            PartOutcome::Known { file, snapshot } => {
                format!("known already {file}: nothing changed (snapshot {})\n", snapshot.0)
            }
            PartOutcome::Skipped { file, reason } => format!("not imported {file}: {reason}\n"),
        });
    }
    let (rows, bad) = outcome.rows_count();
    text + &format!("{} imported, {rows} rows, {bad} kept aside\n", outcome.imported_count())
}

fn list(args: &StudyArgs, terminal: &mut Terminal<'_>) -> Result<u8> {
    let snapshots = existing(&args.store)?.snapshots()?;
    say(args, terminal, &snapshots, || {
        let line = |s: &crate::store::Snapshot| {
            let state = if s.is_done { "" } else { " UNFINISHED: import again" };
            let bad = if s.bad_rows_count > 0 {
                format!(", {} kept aside", s.bad_rows_count)
            } else {
                String::new()
            };
            let basis = if s.known_basis == crate::store::KnownBasis::FileTime {
                " (known by the file's time; say it with --known-on)"
            } else {
                ""
            };
            format!("{:>4}  {}  {} rows{bad}{state}{basis}\n", s.id.0, s.title(), s.rows_count)
        };
        snapshots.iter().map(line).collect()
    })
}

fn layouts(args: &StudyArgs, terminal: &mut Terminal<'_>) -> Result<u8> {
    say(args, terminal, &LAYOUTS, || {
        LAYOUTS.iter().map(|(name, what)| format!("{name:26} {what}\n")).collect()
    })
}

fn bad(
    args: &StudyArgs,
    snapshot: SnapshotId,
    raw: bool,
    limit: usize,
    terminal: &mut Terminal<'_>,
) -> Result<u8> {
    let mut rows = existing(&args.store)?.bad_rows(snapshot, limit)?;
    if !raw {
        rows.iter_mut().for_each(|r| r.raw.clear());
    }
    say(args, terminal, &rows, || {
        if rows.is_empty() {
            return "no row of this snapshot was kept aside\n".into();
        }
        rows.iter()
            .map(|r| format!("line {}: {}{}{}\n", r.line, r.reason, if raw { "\n    " } else { "" }, r.raw))
            .collect()
    })
}

fn reconcile(
    args: &StudyArgs,
    scope: &super::ScopeArgs,
    out: Option<&Path>,
    terminal: &mut Terminal<'_>,
) -> Result<u8> {
    let found = check::reconcile(&existing(&args.store)?, &scope.scope()?)?;
    if let Some(out) = out {
        let parts: Vec<maud::Markup> = found.iter().map(report::reconciliation).collect();
        let lead = "Every figure is an interval; two disagree when they have no value in common.";
        write(out, report::page("Do the parts agree with the whole?", lead, &parts).as_bytes())?;
    }
    say(args, terminal, &found, || {
        let one = |r: &check::Reconciliation| {
            let mut text = format!(
                "{} {} to {}: {} of {} regional totals within the bounds of their file ({} more are only \"at most\")\n  {} of {} page and disclaimer totals disagree\n  {} pairs are in no regional file\n",
                r.country,
                r.window.name,
                r.window.to,
                r.regions_within,
                r.regions_count,
                r.regions_capped,
                r.disagreements.len(),
                r.pairs_count,
                r.only_whole_count
            );
            for d in &r.disagreements {
                let m = crate::amount::money;
                text += &format!(
                    "    {}: whole {}, parts {} to {}\n",
                    d.label.name,
                    m(d.whole_lower),
                    m(d.parts_lower),
                    d.parts_upper.map_or("unknown".into(), m)
                );
            }
            for (label, sum) in &r.only_whole {
                text += &format!(
                    "    in no regional file: {} {}\n",
                    label.name,
                    crate::amount::money(sum.parse().unwrap_or(0))
                );
            }
            text
        };
        if found.is_empty() {
            "no report in the store has both a national and regional files\n".into()
        } else {
            found.iter().map(one).collect()
        }
    })
}

fn export_to(
    args: &StudyArgs,
    rank: &super::RankArgs,
    out: &Path,
    facts: bool,
    terminal: &mut Terminal<'_>,
) -> Result<u8> {
    let ending = out.extension().and_then(|e| e.to_str()).unwrap_or("");
    let unknown = || {
        Error::Question(format!("{}: write to a file that ends in .csv, .json or .parquet", out.display()))
    };
    let create =
        || std::fs::File::create(out).map(std::io::BufWriter::new).map_err(|e| Error::file(out.display(), e));
    let count = if facts {
        let store = existing(&args.store)?;
        let selection = select::select(&store, &rank.scope.scope()?)?;
        match ending {
            "csv" => {
                let mut file = create()?;
                let count = export::facts_csv(&store, &selection, &mut file)?;
                file.flush()?;
                count
            }
            "parquet" => export::facts_parquet(&store, &selection, create()?)?,
            _ => return Err(unknown()),
        }
    } else {
        let ranking = ranked(args, rank, Question { with_split: true, ..rank.question()? })?;
        match ending {
            "csv" => write(out, table::ranking_csv(&ranking).as_bytes())?,
            "json" => write(out, &serde_json::to_vec_pretty(&ranking)?)?,
            "parquet" => export::ranking_parquet(&ranking, create()?)?,
            _ => return Err(unknown()),
        }
        ranking.ranked.len() as u64
    };
    say(args, terminal, &count, || format!("wrote {count} rows to {}\n", out.display()))
}

pub(super) fn answer_text(answer: &Answer) -> String {
    let mut text = format!("{}. {}\n", answer.number, answer.title);
    for c in &answer.checks {
        let mark = if c.is_right() { "ok   " } else { "WRONG" };
        let expected = if c.is_right() { String::new() } else { format!("   (expected {})", c.expected) };
        text += &format!("  {mark} {}: {}{expected}\n", c.what, c.found);
    }
    for line in &answer.text {
        text += &format!("  {line}\n");
    }
    text
}
