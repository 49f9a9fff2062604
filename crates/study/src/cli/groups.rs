//! Commands about groupings.

use super::run::{answer_text, existing, grouping, read, say, write};
use super::{GroupCommand, StudyArgs, Terminal};
use crate::error::{Error, Result};
use crate::group::auto::{self, ProposeOptions};
use crate::group::{self, Grouping, GroupingDiff, Link, Status, quality};
use crate::report;
use std::path::Path;

/// Runs one.
pub(super) fn run(args: &StudyArgs, command: &GroupCommand, terminal: &mut Terminal<'_>) -> Result<u8> {
    match command {
        GroupCommand::Convert { file, columns, platform, residual, author, out } => {
            let bytes = std::fs::read(file).map_err(|e| Error::file(file.display(), e))?;
            let pairs: Result<Vec<(String, String)>> = columns.iter().map(|c| pair(c)).collect();
            let name = file.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            let mut made = group::convert(&bytes, &name, &pairs?, platform, author, terminal.today)?;
            made.residual.clone_from(residual);
            made.resolver()?;
            write(out, made.write().as_bytes())?;
            said(args, terminal, &made, &format!("wrote {}: {}", out.display(), made.title))
        }
        GroupCommand::Auto { out, score_min } => {
            let made = auto::group(&existing(&args.store)?, terminal.today, *score_min)?;
            write(out, made.write().as_bytes())?;
            said(args, terminal, &made, &format!("wrote {}", out.display()))
        }
        GroupCommand::Propose { file, out, score_min } => {
            let known = grouping(file)?;
            let options =
                ProposeOptions { score_min_permille: *score_min, ..ProposeOptions::new(terminal.today) };
            let made = auto::propose(&existing(&args.store)?, &known, &options)?;
            if let Some(out) = out {
                write(out, made.write().as_bytes())?;
            }
            say(args, terminal, &made.links, || {
                made.links.iter().enumerate().map(|(i, l)| line(i, l)).collect()
            })
        }
        GroupCommand::Merge { file, proposals } => merge(args, file, proposals, terminal),
        GroupCommand::Decide { file, number, decision, author } => {
            decide(args, (file, *number), decision, author, terminal)
        }
        GroupCommand::Show { file, status } => {
            let known = Grouping::parse(&read(file)?, &file.display().to_string())?;
            let fits = |l: &&(usize, &Link)| status.as_ref().is_none_or(|s| l.1.status.code() == s);
            let links: Vec<(usize, &Link)> = known.links.iter().enumerate().collect();
            let links: Vec<&(usize, &Link)> = links.iter().filter(fits).collect();
            say(args, terminal, &links, || links.iter().map(|(i, l)| line(*i, l)).collect())
        }
        GroupCommand::Diff { first, second } => {
            let found = group::diff(&grouping(first)?, &grouping(second)?);
            say(args, terminal, &found, || diff_text(&found))
        }
        GroupCommand::Quality { data, out } => measure(args, data, out.as_deref(), terminal),
    }
}

fn merge(args: &StudyArgs, file: &Path, proposals: &Path, terminal: &mut Terminal<'_>) -> Result<u8> {
    let mut known = grouping(file)?;
    let mut added = 0;
    for link in grouping(proposals)?.links {
        let is_same = |l: &Link| l.by == link.by && l.value == link.value && l.entity == link.entity;
        if !known.links.iter().any(is_same) {
            known.links.push(link);
            added += 1;
        }
    }
    write(file, known.write().as_bytes())?;
    say(args, terminal, &added, || {
        format!("added {added} links to {}; decide with `group decide`\n", file.display())
    })
}

fn decide(
    args: &StudyArgs,
    (file, number): (&Path, usize),
    decision: &str,
    author: &str,
    terminal: &mut Terminal<'_>,
) -> Result<u8> {
    let mut known = grouping(file)?;
    let status = match decision {
        "accept" => Status::Accepted,
        "reject" => Status::Rejected,
        "undo" => Status::Undone,
        other => {
            return Err(Error::Question(format!("no decision {other:?}; write accept, reject or undo")));
        }
    };
    known.decide(number, status, author, terminal.today)?;
    known.resolver()?;
    write(file, known.write().as_bytes())?;
    say(args, terminal, &known.links[number - 1], || line(number - 1, &known.links[number - 1]))
}

fn diff_text(found: &GroupingDiff) -> String {
    let mut text = format!(
        "{} the same, {} added, {} removed, {} moved\n",
        found.same_count,
        found.added.len(),
        found.removed.len(),
        found.moved.len()
    );
    found.added.iter().for_each(|(w, e)| text += &format!("+ {} -> {e}\n", w.trim()));
    found.removed.iter().for_each(|(w, e)| text += &format!("- {} -> {e}\n", w.trim()));
    found.moved.iter().for_each(|(w, a, b)| text += &format!("~ {} -> {a}, now {b}\n", w.trim()));
    text
}

fn measure(args: &StudyArgs, data: &Path, out: Option<&Path>, terminal: &mut Terminal<'_>) -> Result<u8> {
    let archives = if data.join("archives").is_dir() { data.join("archives") } else { data.to_owned() };
    if let Some(out) = out {
        let parts: Vec<maud::Markup> = quality::both(&archives)?.iter().map(report::quality).collect();
        let lead = "Measured pairwise on hand-made gold standards.";
        write(out, report::page("How good are the automatic links?", lead, &parts).as_bytes())?;
    }
    let answer = crate::answers::answer(6, data)?;
    say(args, terminal, &answer, || answer_text(&answer))?;
    Ok(u8::from(!answer.is_right()))
}

fn pair(text: &str) -> Result<(String, String)> {
    let (key, column) = text
        .split_once('=')
        .ok_or_else(|| Error::Question(format!("{text:?}: write KEY=COLUMN, such as entity=party")))?;
    Ok((key.trim().to_owned(), column.trim().to_owned()))
}

fn said(args: &StudyArgs, terminal: &mut Terminal<'_>, made: &Grouping, text: &str) -> Result<u8> {
    let count = |status: Status| made.links.iter().filter(|l| l.status == status).count();
    let text =
        format!("{text}\n{} links accepted, {} proposed\n", count(Status::Accepted), count(Status::Proposed));
    say(args, terminal, made, || text)
}

fn line(index: usize, link: &Link) -> String {
    let score = link.score_permille.map(|s| format!(" score {s}")).unwrap_or_default();
    format!(
        "{:>5}  {} {} <- {} {}{score}: {} ({}, {})\n",
        index + 1,
        link.status.code(),
        link.entity,
        link.by.code(),
        link.value,
        link.evidence,
        link.author,
        link.date
    )
}
