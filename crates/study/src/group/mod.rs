//! Groupings: who belongs to whom, as a file that people share, cite, compare and correct.
//!
//! A grouping is lines of CSV under a few `#` lines. Every link carries its evidence, author and date; a
//! link is never deleted but undone; links may be dated (a page that changed hands). Residual entities
//! ("other") are summed and never ranked. Refuses two accepted links that put one advertiser into two
//! entities on the same day.

pub mod auto;
mod file;
pub mod quality;
pub mod similar;

pub use file::{GroupingDiff, convert, diff};

use crate::day::Day;
use crate::error::{Error, Result};
use crate::subject::{Subject, public_ids};
use crate::text;
use serde::Serialize;
use std::collections::HashMap;

/// By what a link recognises an advertiser; in order of precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Match {
    /// The platform's own id.
    Account,
    /// A public identifier, `fec:C00618371` or `ein:271937961`.
    Id,
    /// The payer or disclaimer, normalised.
    Payer,
    /// The name, normalised.
    Name,
}

impl Match {
    /// All, in order of precedence.
    pub const ALL: [Match; 4] = [Match::Account, Match::Id, Match::Payer, Match::Name];
    /// The word in files.
    pub fn code(self) -> &'static str {
        match self {
            Match::Account => "account",
            Match::Id => "id",
            Match::Payer => "payer",
            Match::Name => "name",
        }
    }
}

/// What has been decided about a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It counts.
    Accepted,
    /// A program suggests it; it does not count until a person accepts it.
    Proposed,
    /// A person said no; it is not proposed again.
    Rejected,
    /// It counted once.
    Undone,
}

impl Status {
    /// The word in files.
    pub fn code(self) -> &'static str {
        match self {
            Status::Accepted => "accepted",
            Status::Proposed => "proposed",
            Status::Rejected => "rejected",
            Status::Undone => "undone",
        }
    }
}

/// One claim: what matches belongs to the entity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Link {
    /// The entity's name.
    pub entity: String,
    /// By what.
    pub by: Match,
    /// Platform code, or empty for every platform.
    pub platform: String,
    /// The id, or the name as written.
    pub value: String,
    /// First day it holds, or the beginning.
    pub from: Option<Day>,
    /// Last day it holds, or no end.
    pub until: Option<Day>,
    /// Kind of the entity: `party`, `candidate`, `government`, `commercial` or empty.
    pub kind: String,
    /// Whether it counts.
    pub status: Status,
    /// Similarity in thousandths, for proposals and automatic links.
    pub score_permille: Option<u32>,
    /// Why: a document, an identifier, a rule.
    pub evidence: String,
    /// Who says so.
    pub author: String,
    /// When it was said.
    pub date: String,
}

/// What to do with advertisers no link speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unmapped {
    /// Each stands in the ranking by itself.
    Alone,
    /// They stand beside the ranking, summed.
    Apart,
}

/// A grouping.
#[derive(Clone, Debug, Serialize)]
pub struct Grouping {
    /// What it is.
    pub title: String,
    /// Where it comes from.
    pub cite: String,
    /// Entities that are rests, never ranked.
    pub residual: Vec<String>,
    /// What to do with the unmapped.
    pub unmapped: Unmapped,
    /// The claims, in file order.
    pub links: Vec<Link>,
}

impl Default for Grouping {
    fn default() -> Grouping {
        Grouping {
            title: String::new(),
            cite: String::new(),
            residual: Vec::new(),
            unmapped: Unmapped::Alone,
            links: Vec::new(),
        }
    }
}

/// The key under which a value is looked up.
pub fn match_key(by: Match, value: &str) -> String {
    match by {
        Match::Account => value.trim().to_owned(),
        Match::Id => {
            let (scheme, rest) = value.split_once(':').unwrap_or(("fec", value));
            let clean: String = rest.chars().filter(char::is_ascii_alphanumeric).collect();
            format!("{}:{}", scheme.trim().to_ascii_lowercase(), clean.to_ascii_uppercase())
        }
        Match::Payer | Match::Name => text::name_key(value),
    }
}

/// A grouping made ready for looking up.
pub struct Resolver {
    /// Entity names; a resolved number is an index.
    pub entities: Vec<String>,
    /// Kind words of the entities.
    pub kinds: Vec<String>,
    /// Which are residual.
    pub is_residual: Vec<bool>,
    index: HashMap<(Match, String), Vec<Rule>>,
    by_present: [bool; 4],
}

#[derive(Clone, Debug)]
struct Rule {
    platform: String,
    from: Day,
    until: Day,
    entity: u32,
}

/// Where a subject belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// No link speaks of it.
    Nowhere,
    /// The same entity on every day.
    Always(u32),
    /// It depends on the day: first day, last day, entity; in order of precedence.
    Dated(Vec<(Day, Day, u32)>),
}

impl Grouping {
    /// Makes the grouping ready.
    ///
    /// # Errors
    /// Two accepted links that contradict each other.
    pub fn resolver(&self) -> Result<Resolver> {
        let mut numbers: HashMap<&str, u32> = HashMap::new();
        let mut resolver = Resolver {
            entities: Vec::new(),
            kinds: Vec::new(),
            is_residual: Vec::new(),
            index: HashMap::new(),
            by_present: [false; 4],
        };
        for link in self.links.iter().filter(|l| l.status == Status::Accepted) {
            let entity = *numbers.entry(&link.entity).or_insert_with(|| {
                resolver.entities.push(link.entity.clone());
                resolver.kinds.push(String::new());
                resolver.is_residual.push(self.residual.contains(&link.entity));
                resolver.entities.len() as u32 - 1
            });
            if !link.kind.is_empty() {
                resolver.kinds[entity as usize].clone_from(&link.kind);
            }
            let rule = Rule {
                platform: link.platform.clone(),
                from: link.from.unwrap_or(Day::OPEN_START),
                until: link.until.unwrap_or(Day::OPEN_END),
                entity,
            };
            let key = match_key(link.by, &link.value);
            if key.is_empty() {
                continue;
            }
            let rules = resolver.index.entry((link.by, key)).or_default();
            let clash = rules.iter().find(|r| {
                r.entity != rule.entity
                    && (r.platform == rule.platform || r.platform.is_empty() || rule.platform.is_empty())
                    && r.from <= rule.until
                    && rule.from <= r.until
            });
            if let Some(clash) = clash {
                return Err(Error::Question(format!(
                    "the grouping puts {} {:?} into both {:?} and {:?} on the same days; undo one of the links or date them",
                    link.by.code(),
                    link.value,
                    resolver.entities[clash.entity as usize],
                    link.entity
                )));
            }
            rules.push(rule);
            resolver.by_present[link.by as usize] = true;
        }
        Ok(resolver)
    }
}

impl Resolver {
    /// Where a subject belongs. The first kind of match that says anything decides, in the order of
    /// [`Match::ALL`].
    pub fn place(&self, subject: &Subject<'_>) -> Place {
        let mut found: Vec<(Day, Day, u32)> = Vec::new();
        for by in Match::ALL {
            if !self.by_present[by as usize] {
                continue;
            }
            for key in keys_of(by, subject) {
                let rules = self.index.get(&(by, key)).map(Vec::as_slice).unwrap_or_default();
                let fitting =
                    rules.iter().filter(|r| r.platform.is_empty() || r.platform == subject.platform);
                found.extend(fitting.map(|r| (r.from, r.until, r.entity)));
            }
            if found.iter().any(|(from, until, _)| *from == Day::OPEN_START && *until == Day::OPEN_END) {
                break;
            }
        }
        match found.first() {
            None => Place::Nowhere,
            Some((Day::OPEN_START, Day::OPEN_END, entity)) => Place::Always(*entity),
            Some(_) => Place::Dated(found),
        }
    }
}

fn keys_of(by: Match, subject: &Subject<'_>) -> Vec<String> {
    let one = |text: &str| if text.is_empty() { Vec::new() } else { vec![match_key(by, text)] };
    match by {
        Match::Account => one(subject.account),
        Match::Payer => one(subject.payer),
        Match::Name => one(subject.name),
        Match::Id => {
            let ids = public_ids(subject.ids);
            // An advertiser with several identifiers is a joint one and belongs to none of them.
            if ids.len() == 1 {
                ids.iter().map(|i| format!("{}:{}", i.scheme, i.value)).collect()
            } else {
                Vec::new()
            }
        }
    }
}
