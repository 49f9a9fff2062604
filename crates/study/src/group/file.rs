//! Grouping files: reading, writing, turning other people's maps into one, comparing two, deciding.

use super::{Grouping, Link, Match, Status, Unmapped, match_key};
use crate::day::Day;
use crate::error::{Error, Result};
use crate::records::{Records, Step, csv_line, sniff_delimiter};
use serde::Serialize;
use std::collections::BTreeMap;

const MARK: &str = "# regie-grouping 1";
const COLUMNS: [&str; 12] = [
    "entity", "match", "platform", "value", "from", "until", "kind", "status", "score", "evidence", "author",
    "date",
];
const LINKS_MAX: usize = 2_000_000;

impl Grouping {
    /// Reads a grouping file; `file` names it in messages.
    pub fn parse(text: &str, file: &str) -> Result<Grouping> {
        let wrong = |line: u64, reason: String| Error::Definition { file: file.into(), line, reason };
        let text = text.trim_start_matches('\u{feff}');
        if !text.starts_with(MARK) {
            return Err(wrong(
                1,
                format!(
                    "a grouping begins with {MARK:?}; turn another map into one with `study group convert`"
                ),
            ));
        }
        let mut grouping = Grouping::default();
        let mut head = 0;
        for line in text.split_inclusive('\n').take_while(|l| l.starts_with('#')) {
            head += line.len();
            let Some((key, value)) = line.trim_start_matches('#').split_once(':') else { continue };
            let value = value.trim().to_owned();
            match key.trim() {
                "title" => grouping.title = value,
                "cite" => grouping.cite = value,
                "residual" => grouping
                    .residual
                    .extend(value.split(';').map(|v| v.trim().to_owned()).filter(|v| !v.is_empty())),
                "unmapped" if value == "apart" => grouping.unmapped = Unmapped::Apart,
                "unmapped" if value == "alone" => grouping.unmapped = Unmapped::Alone,
                _ => {}
            }
        }
        let first_line = text[..head].matches('\n').count() as u64 + 1;
        let mut records = Records::new(&text.as_bytes()[head..], b',', 0, first_line);
        let mut is_header = true;
        loop {
            match records.step()? {
                Step::End => return Ok(grouping),
                Step::Bad { line, reason, .. } => return Err(wrong(line, reason.into())),
                Step::Record(record) => {
                    let fields: std::result::Result<Vec<&str>, _> =
                        (0..record.len()).map(|i| record.text(i)).collect();
                    let fields = fields.map_err(|e| wrong(record.line, e.into()))?;
                    if is_header {
                        is_header = false;
                        if fields != COLUMNS {
                            return Err(wrong(
                                record.line,
                                format!("the columns must be {}", COLUMNS.join(",")),
                            ));
                        }
                        continue;
                    }
                    let line = record.line;
                    grouping.links.push(link(&fields).map_err(|reason| wrong(line, reason))?);
                    if grouping.links.len() > LINKS_MAX {
                        return Err(Error::Limit {
                            what: "links",
                            limit: LINKS_MAX as u64,
                            hint: "split the grouping",
                        });
                    }
                }
            }
        }
    }

    /// Writes the file's text; reading it gives the same grouping.
    pub fn write(&self) -> String {
        let mut out = format!("{MARK}\n");
        let one_line = |text: &str| text.replace(['\n', '\r'], " ");
        for (key, value) in [("title", &self.title), ("cite", &self.cite)] {
            if !value.is_empty() {
                out.push_str(&format!("# {key}: {}\n", one_line(value)));
            }
        }
        if !self.residual.is_empty() {
            out.push_str(&format!("# residual: {}\n", one_line(&self.residual.join("; "))));
        }
        out.push_str(if self.unmapped == Unmapped::Apart {
            "# unmapped: apart\n"
        } else {
            "# unmapped: alone\n"
        });
        out.push_str(&csv_line(&COLUMNS));
        for link in &self.links {
            let day = |d: Option<Day>| d.map(|d| d.to_string()).unwrap_or_default();
            out.push_str(&csv_line(&[
                link.entity.clone(),
                link.by.code().into(),
                link.platform.clone(),
                link.value.clone(),
                day(link.from),
                day(link.until),
                link.kind.clone(),
                link.status.code().into(),
                link.score_permille.map(|s| s.to_string()).unwrap_or_default(),
                link.evidence.clone(),
                link.author.clone(),
                link.date.clone(),
            ]));
        }
        out
    }

    /// Decides about one link (counted from 1): accept, reject or undo, with who and when.
    pub fn decide(&mut self, number: usize, status: Status, author: &str, date: Day) -> Result<()> {
        let count = self.links.len();
        let link = number
            .checked_sub(1)
            .and_then(|i| self.links.get_mut(i))
            .ok_or_else(|| Error::Question(format!("no link {number}; the file has {count}")))?;
        let old = format!("{} by {} on {}", link.status.code(), link.author, link.date);
        link.status = status;
        link.evidence = format!("{} (before: {old})", link.evidence);
        (link.author, link.date) = (author.into(), date.to_string());
        Ok(())
    }
}

fn link(fields: &[&str]) -> std::result::Result<Link, String> {
    let &[entity, by, platform, value, from, until, kind, status, score, evidence, author, date] = fields
    else {
        return Err(format!("has {} fields, expected {}", fields.len(), COLUMNS.len()));
    };
    let day = |text: &str| match text.trim() {
        "" => Ok(None),
        text => Day::parse(text)
            .map(Some)
            .ok_or_else(|| format!("{text:?} is not a day; write YYYY-MM-DD or nothing")),
    };
    let by = Match::ALL
        .into_iter()
        .find(|m| m.code() == by)
        .ok_or_else(|| format!("match {by:?}; write account, id, payer or name"))?;
    let status = [Status::Accepted, Status::Proposed, Status::Rejected, Status::Undone]
        .into_iter()
        .find(|s| s.code() == status)
        .ok_or_else(|| format!("status {status:?}; write accepted, proposed, rejected or undone"))?;
    if entity.trim().is_empty() || value.trim().is_empty() {
        return Err("a link needs an entity and a value".into());
    }
    let score_permille = match score.trim() {
        "" => None,
        text => Some(
            text.parse().ok().filter(|s| *s <= 1000).ok_or("the score is a whole number from 0 to 1000")?,
        ),
    };
    let (from, until) = (day(from)?, day(until)?);
    Ok(Link {
        entity: entity.trim().into(),
        by,
        platform: platform.trim().into(),
        value: value.into(),
        from,
        until,
        kind: kind.into(),
        status,
        score_permille,
        evidence: evidence.into(),
        author: author.into(),
        date: date.into(),
    })
}

/// Turns another map (any CSV with an entity column and an id or name column) into a grouping.
///
/// `columns` names the columns: `entity=...`, and one of `account=...`, `name=...`, `payer=...`, `id=...`;
/// `platform` is a code such as `meta` that holds for all rows, or empty.
///
/// # Errors
/// A column that is not there; rows without entity or value are left out and counted in the title.
pub fn convert(
    bytes: &[u8],
    file: &str,
    columns: &[(String, String)],
    platform: &str,
    author: &str,
    date: Day,
) -> Result<Grouping> {
    let wrong = |line: u64, reason: String| Error::Definition { file: file.into(), line, reason };
    let mut records = Records::new(bytes, sniff_delimiter(bytes), 0, 1);
    records.skip_mark()?;
    let header: Vec<String> = match records.step()? {
        Step::Record(r) => {
            (0..r.len()).map(|i| String::from_utf8_lossy(r.bytes(i)).trim().to_owned()).collect()
        }
        _ => return Err(wrong(1, "no header line".into())),
    };
    let find = |key: &str| -> Result<Option<usize>> {
        let Some((_, name)) = columns.iter().find(|(k, _)| k == key) else { return Ok(None) };
        let at = header.iter().position(|h| h.eq_ignore_ascii_case(name.trim()));
        at.map(Some)
            .ok_or_else(|| wrong(1, format!("no column {name:?}; the file has: {}", header.join(", "))))
    };
    let entity =
        find("entity")?.ok_or_else(|| wrong(1, "say which column names the entity: entity=COLUMN".into()))?;
    let matches: Vec<(Match, usize)> = Match::ALL
        .into_iter()
        .filter_map(|by| find(by.code()).transpose().map(|column| column.map(|c| (by, c))))
        .collect::<Result<_>>()?;
    if matches.is_empty() {
        let reason = "say which column identifies: account=COLUMN, id=COLUMN, name=COLUMN or payer=COLUMN";
        return Err(wrong(1, reason.into()));
    }
    let mut grouping = Grouping { unmapped: Unmapped::Apart, cite: file.into(), ..Grouping::default() };
    let mut left_out = 0u64;
    loop {
        match records.step()? {
            Step::End => break,
            Step::Bad { .. } => left_out += 1,
            Step::Record(record) => {
                let text = |c: usize| record.text(c).unwrap_or("").trim().to_owned();
                let named = text(entity);
                let value =
                    matches.iter().map(|(by, c)| (*by, text(*c))).find(|(_, v)| !v.is_empty() && v != "NA");
                match value {
                    Some((by, value)) if !named.is_empty() && named != "NA" => grouping.links.push(Link {
                        entity: named,
                        by,
                        platform: platform.into(),
                        value,
                        from: None,
                        until: None,
                        kind: String::new(),
                        status: Status::Accepted,
                        score_permille: None,
                        evidence: format!("{file}, line {}", record.line),
                        author: author.into(),
                        date: date.to_string(),
                    }),
                    _ => left_out += 1,
                }
            }
        }
    }
    grouping.title = format!(
        "{file}: {} links; {left_out} rows without entity or identifier left out",
        grouping.links.len()
    );
    Ok(grouping)
}

/// How two groupings differ.
#[derive(Clone, Debug, Default, Serialize)]
pub struct GroupingDiff {
    /// Accepted links only the second has: what and entity.
    pub added: Vec<(String, String)>,
    /// Accepted links only the first has.
    pub removed: Vec<(String, String)>,
    /// Matched by both, to different entities: what, first, second.
    pub moved: Vec<(String, String, String)>,
    /// Links that are the same.
    pub same_count: usize,
}

/// Compares the accepted links of two groupings.
pub fn diff(first: &Grouping, second: &Grouping) -> GroupingDiff {
    let index = |g: &Grouping| -> BTreeMap<String, String> {
        let accepted = g.links.iter().filter(|l| l.status == Status::Accepted);
        accepted
            .map(|l| {
                let days = match (l.from, l.until) {
                    (None, None) => String::new(),
                    (a, b) => format!(
                        " {}..{}",
                        a.map(|d| d.to_string()).unwrap_or_default(),
                        b.map(|d| d.to_string()).unwrap_or_default()
                    ),
                };
                (
                    format!("{} {} {}{days}", l.platform, l.by.code(), match_key(l.by, &l.value)),
                    l.entity.clone(),
                )
            })
            .collect()
    };
    let (a, b) = (index(first), index(second));
    let mut diff = GroupingDiff::default();
    for (what, entity) in &a {
        match b.get(what) {
            None => diff.removed.push((what.clone(), entity.clone())),
            Some(other) if other == entity => diff.same_count += 1,
            Some(other) => diff.moved.push((what.clone(), entity.clone(), other.clone())),
        }
    }
    diff.added = b.into_iter().filter(|(what, _)| !a.contains_key(what)).collect();
    diff
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::Place;
    use crate::subject::Subject;

    const FILE: &str = "# regie-grouping 1\n# title: Test\n# residual: Other\n# unmapped: apart\n\
        entity,match,platform,value,from,until,kind,status,score,evidence,author,date\n\
        A,account,meta,1,,,party,accepted,,seen,me,2023-01-01\n\
        B,name,,\"The Party, Inc.\",2020-01-01,2020-12-31,,accepted,,,me,2023-01-01\n\
        C,name,,The Party,2021-01-01,,,accepted,,,me,2023-01-01\n\
        Other,name,,Rest,,,,accepted,,,me,2023-01-01\n\
        D,name,,Maybe,,,,proposed,812,near,program,2023-01-01\n";

    #[test]
    fn reads_writes_resolves_and_decides() {
        let mut grouping = Grouping::parse(FILE, "f").unwrap();
        assert_eq!(Grouping::parse(&grouping.write(), "f").unwrap().write(), grouping.write());
        let resolver = grouping.resolver().unwrap();
        let named = |name: &'static str| Subject { platform: "x", name, ..Subject::default() };
        assert_eq!(
            resolver.place(&Subject { platform: "meta", account: "1", ..Subject::default() }),
            Place::Always(0)
        );
        assert_eq!(
            resolver.place(&Subject { platform: "google", account: "1", ..Subject::default() }),
            Place::Nowhere
        );
        assert!(matches!(resolver.place(&named("THE PARTY")), Place::Dated(d) if d.len() == 2));
        assert_eq!(resolver.place(&named("Maybe")), Place::Nowhere);
        grouping.decide(5, Status::Accepted, "me", Day(19_000)).unwrap();
        assert!(matches!(grouping.resolver().unwrap().place(&named("Maybe")), Place::Always(_)));
        assert!(grouping.links[4].evidence.contains("before: proposed by program"));
    }

    #[test]
    fn contradictions_and_wrong_lines_are_refused() {
        let clash = FILE.to_owned() + "E,account,meta,1,,,,accepted,,,me,2023-01-01\n";
        assert!(Grouping::parse(&clash, "f").unwrap().resolver().is_err());
        let wrong = FILE.to_owned() + "E,colour,meta,1,,,,accepted,,,me,2023-01-01\n";
        let error = Grouping::parse(&wrong, "f").unwrap_err().to_string();
        assert!(error.contains("line 11") && error.contains("colour"), "{error}");
    }
}
