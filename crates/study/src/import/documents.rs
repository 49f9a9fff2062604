//! Sources that are no CSV: JSON of Meta's API and of Regie records, and the IRA database.
//!
//! As resumable as CSV: between two values of the stream, or two rows of the database, the place is committed with
//! the facts. An API answer with shares by region, age or gender becomes a snapshot of its own for each kind.

use super::json::{self, JsonRun, Pass};
use super::parts::{Part, Parts};
use super::plan::Plan;
use super::reading::{identity, unknown};
use super::{Importer, PartOutcome, Progress, ira, record, shares};
use crate::amount::Rule;
use crate::encoding::Encoding;
use crate::error::Result;
use crate::store::{Begun, Coverage, Dataset, Interner, KnownBasis, Resume, Snapshot, Writer};
use std::cell::Cell;

impl Importer<'_> {
    /// Every pass over a JSON file; the first one's outcome.
    pub(super) fn json(
        &mut self,
        parts: &mut Parts,
        part: &Part,
        head: &[u8],
        progress: &mut dyn Progress,
    ) -> Result<PartOutcome> {
        let head = String::from_utf8_lossy(head);
        let is_record = record::is_record(&head);
        let keys = ["page_id", "pageID", "pageId", "page_name", "\"data\"", "adArchiveID"];
        if !is_record && !keys.iter().any(|k| head.contains(k)) {
            return Err(json::not_json(&part.full_name()));
        }
        let (layout, platform, cite, rule) = if is_record {
            ("regie-record-json", "regie", "A publisher's advertising record (Regie)", Rule::Exact)
        } else if json::is_ajax(&head) {
            let cite = "Meta, Archive of Ads With Political Content, search answers";
            ("meta-ajax-2018", "meta", cite, Rule::Range)
        } else {
            ("meta-api-json", "meta", "Meta, Ad Library API", Rule::Range)
        };
        let mut plan = Plan::new(layout, platform, Dataset::Ad, rule);
        plan.cite = cite.into();
        plan.coverage = Coverage::Selection;
        plan.known_on = crate::day::find_in(&part.full_name()).map(|(_, day)| (day, KnownBasis::FileName));
        let snapshot = self.settle(&mut plan, part, parts.hash(part)?)?;
        let seen = [Cell::new(false), Cell::new(false)];
        let first = self.pass(parts, part, &snapshot, Pass::Ads, &seen, progress)?;
        // An import that went on has not seen the beginning again, and one already known has seen nothing.
        let is_unsure = !matches!(first, PartOutcome::Imported { resumed_at_line: None, .. });
        let others = [(Pass::Regions, Dataset::AdRegion), (Pass::Audience, Dataset::AdAudience)];
        for (index, (pass, dataset)) in others.into_iter().enumerate() {
            if seen[index].get() || (is_unsure && !is_record) {
                let notes = vec![shares::NOTE.to_owned()];
                let snapshot = Snapshot { dataset, notes, ..snapshot.clone() };
                self.pass(parts, part, &snapshot, pass, &seen, progress)?;
            }
        }
        Ok(first)
    }

    fn pass(
        &mut self,
        parts: &mut Parts,
        part: &Part,
        snapshot: &Snapshot,
        pass: Pass,
        seen: &[Cell<bool>; 2],
        progress: &mut dyn Progress,
    ) -> Result<PartOutcome> {
        let currency = self.options.currency;
        progress.begin(&part.full_name(), part.bytes);
        self.resumable(part, snapshot, |writer, resume| {
            let run = JsonRun {
                known_on: snapshot.known_on,
                currency: currency.as_ref().map(|c| c.code()),
                pass,
                resume,
                seen: seen.clone(),
            };
            let end = parts.read(part, Encoding::Utf8, |input| {
                json::run(input, &run, writer, |bytes, ads| progress.at(bytes, ads))
            });
            seen.iter().zip(&run.seen).for_each(|(all, now)| all.set(all.get() || now.get()));
            end
        })
    }

    /// The ads of the IRA database.
    pub(super) fn sqlite(
        &mut self,
        parts: &mut Parts,
        part: &Part,
        progress: &mut dyn Progress,
    ) -> Result<PartOutcome> {
        let path = part.path.clone();
        if part.is_packed || !ira::recognises(&path) {
            return Err(unknown(part, "is a database without the table of the IRA set"));
        }
        let mut plan = Plan::new("ira-sqlite", "ira", Dataset::Ad, Rule::Exact);
        plan.cite =
            "US House Permanent Select Committee on Intelligence, IRA Facebook advertisements (2018)".into();
        let snapshot = self.settle(&mut plan, part, parts.hash(part)?)?;
        progress.begin(&part.full_name(), None);
        self.resumable(part, &snapshot, |writer, resume| {
            ira::run(&path, writer, resume, |rows, ads| progress.at(rows, ads))
        })
    }

    /// Begins a snapshot, or goes on with it where it stopped.
    fn resumable(
        &mut self,
        part: &Part,
        snapshot: &Snapshot,
        write: impl FnOnce(&mut Writer<'_>, Option<Resume>) -> Result<Resume>,
    ) -> Result<PartOutcome> {
        let (id, resume) = match self.store.begin(&identity(snapshot), snapshot)? {
            Begun::Done(snapshot) => return Ok(PartOutcome::Known { file: part.full_name(), snapshot }),
            Begun::New(id) => (id, None),
            Begun::Partial(id, resume) => (id, Some(resume).filter(|r| r.offset > 0)),
        };
        let mut writer = Writer::new(self.store, &mut self.interner, id)?;
        match write(&mut writer, resume) {
            Ok(end) => writer.finish(end)?,
            Err(error) => {
                drop(writer);
                self.interner = Interner::load(self.store)?;
                return Err(error);
            }
        }
        let outcome = self.imported(part, id, resume)?;
        self.store.forget_if_empty(id, snapshot.dataset)?;
        Ok(outcome)
    }
}
