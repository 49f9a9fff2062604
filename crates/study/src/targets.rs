//! Who is ranked: the store's subjects gathered into units, and units into the entities of a grouping.
//!
//! Memory grows with the number of advertisers, never with the number of rows.

use crate::error::{Error, Result};
use crate::group::{Grouping, Place, Resolver, Unmapped};
use crate::kinds::{self, Kind};
use crate::store::{KeyMap, Store, StoredSubject};
use crate::subject::Subject;
use serde::Serialize;
use std::collections::{HashMap, HashSet};

/// What a unit is when no grouping speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// The platform's account (page, advertiser id); the payer or name where there is none.
    #[default]
    Account,
    /// The payer, disclaimer or byline; the name where there is none.
    Payer,
    /// The name, exactly as written.
    Name,
    /// Account and payer together: one row of a report.
    Pair,
}

/// Most units a question may touch (about 200 bytes each).
pub const UNITS_MAX: usize = 20_000_000;

/// Stands for "this subject needs its day looked up".
const DATED: u32 = u32::MAX;

/// One candidate of a ranking.
#[derive(Clone, Debug)]
pub struct Target {
    /// Index into the resolver's entities, when grouped.
    pub entity: Option<u32>,
    /// A subject that shows its name, when not grouped.
    pub subject: u32,
    /// Number of units joined in it.
    pub units_count: u32,
    /// Kind, when asked for.
    pub kind: Option<Kind>,
}

/// First day, last day, entity.
type DatedRules = Vec<(crate::Day, crate::Day, u32)>;

/// Subjects mapped to targets.
pub struct Targets {
    /// The candidates.
    pub list: Vec<Target>,
    /// The grouping, made ready.
    pub resolver: Option<Resolver>,
    /// What to do with the unmapped.
    pub unmapped: Unmapped,
    unit: Unit,
    by_subject: Vec<u32>,
    dated: HashMap<u32, (DatedRules, u32)>,
}

fn unit_text<'a>(unit: Unit, s: &Subject<'a>) -> [&'a str; 3] {
    let first = |texts: [&'a str; 3]| texts.into_iter().find(|t| !t.is_empty()).unwrap_or("");
    match unit {
        Unit::Account if !s.account.is_empty() => [s.platform, "account", s.account],
        Unit::Account => [s.platform, "named", first([s.payer, s.name, s.ids])],
        Unit::Payer => [s.platform, "payer", first([s.payer, s.name, s.account])],
        Unit::Name => [s.platform, "name", first([s.name, s.payer, s.account])],
        Unit::Pair => [s.platform, s.account, s.payer],
    }
}

/// Units seen so far, by key.
struct Units {
    known: KeyMap<u32>,
    with_kinds: bool,
}

impl Units {
    /// The target of a unit that stands by itself.
    fn alone(&mut self, list: &mut Vec<Target>, key: u128, stored: &StoredSubject<'_>) -> Result<u32> {
        if let Some(at) = self.known.get(&key) {
            list[*at as usize].subject = stored.id;
            return Ok(*at);
        }
        if list.len() >= UNITS_MAX {
            return Err(Error::Limit {
                what: "advertisers in one question",
                limit: UNITS_MAX as u64,
                hint: "narrow the question by --source or use a smaller store",
            });
        }
        let kind = if self.with_kinds { kind_of(&stored.subject).map(|k| k.0) } else { None };
        list.push(Target { entity: None, subject: stored.id, units_count: 1, kind });
        self.known.insert(key, list.len() as u32 - 1);
        Ok(list.len() as u32 - 1)
    }
}

impl Targets {
    /// Gathers every subject of the store.
    pub fn build(
        store: &Store,
        unit: Unit,
        grouping: Option<&Grouping>,
        with_kinds: bool,
    ) -> Result<Targets> {
        let resolver = grouping.map(Grouping::resolver).transpose()?;
        let unmapped = grouping.map_or(Unmapped::Alone, |g| g.unmapped);
        let mut targets = Targets {
            list: Vec::new(),
            by_subject: vec![0; store.subjects_count()?],
            resolver,
            unmapped,
            unit,
            dated: HashMap::new(),
        };
        let entities = targets.resolver.as_ref().map_or(0, |r| r.entities.len()) as u32;
        for entity in 0..entities {
            let kind = targets.resolver.as_ref().and_then(|r| Kind::parse(&r.kinds[entity as usize]));
            targets.list.push(Target { entity: Some(entity), subject: 0, units_count: 0, kind });
        }
        let mut units = Units { known: KeyMap::default(), with_kinds };
        let mut grouped: HashSet<(u32, u128)> = HashSet::new();
        let mut key_text = Vec::new();
        store.each_subject(|stored| {
            key_text.clear();
            for part in unit_text(unit, &stored.subject) {
                key_text.extend_from_slice(part.as_bytes());
                key_text.push(0);
            }
            let key = Subject::key(&key_text);
            let mut join = |list: &mut Vec<Target>, entity: u32| {
                if grouped.insert((entity, key)) {
                    list[entity as usize].units_count += 1;
                }
            };
            let place = targets.resolver.as_ref().map_or(Place::Nowhere, |r| r.place(&stored.subject));
            let target = match place {
                Place::Always(entity) => {
                    join(&mut targets.list, entity);
                    entity
                }
                Place::Nowhere => units.alone(&mut targets.list, key, &stored)?,
                Place::Dated(rules) => {
                    let otherwise = units.alone(&mut targets.list, key, &stored)?;
                    rules.iter().for_each(|rule| join(&mut targets.list, rule.2));
                    targets.dated.insert(stored.id, (rules, otherwise));
                    DATED
                }
            };
            if let Some(slot) = targets.by_subject.get_mut(stored.id as usize) {
                *slot = target;
            }
            Ok(())
        })?;
        Ok(targets)
    }

    /// The target of a subject on a day.
    #[inline]
    pub fn of(&self, subject: i64, day: crate::Day) -> usize {
        let target = self.by_subject.get(subject as usize).copied().unwrap_or(0);
        if target != DATED {
            return target as usize;
        }
        let Some((rules, otherwise)) = self.dated.get(&(subject as u32)) else { return 0 };
        let fitting = rules.iter().find(|(from, until, _)| *from <= day && day <= *until);
        fitting.map_or(*otherwise, |(_, _, entity)| *entity) as usize
    }
    /// The name that shows a unit: the payer's where the payer is the unit.
    fn name_of<'a>(&self, s: &Subject<'a>) -> &'a str {
        let is_payer = self.unit == Unit::Payer || (self.unit == Unit::Account && s.account.is_empty());
        if is_payer && !s.payer.is_empty() { s.payer } else { s.label() }
    }
    /// Whether a target is an entity of the grouping.
    pub fn is_mapped(&self, target: usize) -> bool {
        self.list[target].entity.is_some()
    }
    /// Whether a target is a rest that is never ranked.
    pub fn is_residual(&self, target: usize) -> bool {
        match (&self.resolver, self.list[target].entity) {
            (Some(resolver), Some(entity)) => resolver.is_residual[entity as usize],
            _ => false,
        }
    }
    /// Names to show for some targets, with platform and account of the ungrouped.
    pub fn labels(&self, store: &Store, wanted: &[usize]) -> Result<HashMap<usize, Label>> {
        self.labels_by(store, wanted, |target| self.list[target].subject)
    }
    /// The same, with the subject that shows each ungrouped target.
    pub fn labels_by(
        &self,
        store: &Store,
        wanted: &[usize],
        shows: impl Fn(usize) -> u32,
    ) -> Result<HashMap<usize, Label>> {
        let mut by_subject: HashMap<u32, Vec<usize>> = HashMap::new();
        let mut labels = HashMap::new();
        for target in wanted {
            match (&self.resolver, self.list[*target].entity) {
                (Some(resolver), Some(entity)) => {
                    let name = resolver.entities[entity as usize].clone();
                    labels.insert(*target, Label { name, ..Label::default() });
                }
                _ => by_subject.entry(shows(*target)).or_default().push(*target),
            }
        }
        if by_subject.is_empty() {
            return Ok(labels);
        }
        store.each_subject(|stored| {
            if let Some(targets) = by_subject.get(&stored.id) {
                let s = &stored.subject;
                for target in targets {
                    let label = Label {
                        name: shown(self.name_of(s)),
                        platform: s.platform.to_owned(),
                        account: s.account.to_owned(),
                        payer: shown(s.payer),
                    };
                    labels.insert(*target, label);
                }
            }
            Ok(())
        })?;
        Ok(labels)
    }
}

fn shown(name: &str) -> String {
    if crate::text::looks_private(name) {
        "(a name that may hold private contact data)".to_owned()
    } else {
        name.to_owned()
    }
}

/// The kind of a subject: by its name, else by its payer.
pub fn kind_of(s: &Subject<'_>) -> Option<(Kind, String)> {
    kinds::classify(s.name).or_else(|| kinds::classify(s.payer))
}

/// How a target is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Label {
    /// Entity name, or what the archive wrote.
    pub name: String,
    /// Platform, when not grouped.
    pub platform: String,
    /// Platform's account id, when not grouped.
    pub account: String,
    /// Payer or disclaimer, when not grouped.
    pub payer: String,
}
