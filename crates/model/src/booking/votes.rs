//! Elections, referendums and legislative processes that the publisher keeps, with the periods before them; reports of
//! possibly non-compliant ads (Regulation (EU) 2024/900, Art. 5 and 15).

use super::check_https;
use crate::{AdId, Day, Faults, PartyId, UtcMs, limits::*, personal::Sealed};
use serde::{Deserialize, Serialize};

/// What is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VoteKind {
    /// Persons or lists are elected.
    Election,
    /// A question is put to the voters.
    Referendum,
    /// A law or regulation is made.
    LegislativeProcess,
}
impl VoteKind {
    /// For people.
    pub fn word(self) -> &'static str {
        match self {
            VoteKind::Election => "election",
            VoteKind::Referendum => "referendum",
            VoteKind::LegislativeProcess => "legislative process",
        }
    }
}

/// An election, referendum or legislative process. Days are those of the publisher's zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ElectionSpec {
    /// In words that a reader knows.
    pub name: String,
    /// What is decided.
    pub kind: VoteKind,
    /// Where: ISO 3166-1 alpha-2, or `EU`.
    pub country: String,
    /// The day of the vote; the last one if there are several.
    pub held_on: Day,
    /// From this day to the vote only sponsors that Art. 5 admits; three months before the vote when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restricted_from: Option<Day>,
    /// From this day to the vote no ad linked to it at all, where the country's law says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent_from: Option<Day>,
    /// Official information on how to take part (Art. 12(1)h).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub official_url: Option<String>,
}
/// Days before a vote in which only some sponsors may advertise, unless the election says otherwise: three months.
pub const RESTRICTED_DAYS: i32 = 92;
/// Days before a vote in which a report is answered within 48 hours: the last month.
pub const URGENT_DAYS: i32 = 31;
impl ElectionSpec {
    /// Adds every fault found.
    pub fn check(&self, faults: &mut Faults) {
        faults.text("name", &self.name, NAME_CHARS_MAX);
        let fits = self.country.len() == 2 && self.country.bytes().all(|b| b.is_ascii_uppercase());
        faults.when(!fits, "country", "malformed", "Two letters such as FR, or EU.");
        for (field, day) in [("restricted_from", self.restricted_from), ("silent_from", self.silent_from)] {
            let late = day.is_some_and(|day| day > self.held_on);
            faults.when(late, field, "contradiction", "A period before the vote begins before it.");
        }
        if let Some(url) = &self.official_url {
            check_https("official_url", url, faults);
        }
    }
    /// First day on which only some sponsors may advertise.
    pub fn restricted_from(&self) -> Day {
        self.restricted_from.unwrap_or(Day(self.held_on.0.saturating_sub(RESTRICTED_DAYS)))
    }
}

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The ad complies.
    Complies,
    /// It did not, and was corrected.
    Corrected,
    /// It did not, and was stopped.
    Stopped,
}
impl Outcome {
    /// For people.
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Complies => "the ad complies",
            Outcome::Corrected => "the ad was corrected",
            Outcome::Stopped => "the ad was stopped",
        }
    }
}

/// What a report is about, by stable word.
pub const REPORT_GROUNDS: [(&str, &str); 7] = [
    ("undeclared", "It is political, and not labelled as such"),
    ("notice", "The transparency notice is missing, incomplete or wrong"),
    ("sponsor", "The sponsor or payer is wrong, or may not advertise before this vote"),
    ("targeting", "It is targeted by personal data that may not be used"),
    ("silence", "It is shown in a period in which it may not be shown"),
    ("grouping", "It is grouped with a sponsor that it has nothing to do with"),
    ("other", "Something else"),
];

/// A report as it was filed. Who filed it, and in which words, is sealed (law J1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportSpec {
    /// The ad.
    pub ad: AdId,
    /// Of [`REPORT_GROUNDS`].
    pub grounds: Vec<String>,
    /// The reporter's address and words.
    pub reporter: Sealed,
    /// When an answer is due.
    pub due_at: UtcMs,
    /// Hash of the secret in the receipt, base 16: with it the reporter reads the answer.
    pub receipt_hash: String,
}

/// Sponsors of one grouping at most.
pub const GROUPING_SPONSORS_MAX: usize = 200;

/// Sponsors that belong to one person, party or organisation, as the publisher says. Whose they are, by what evidence and who says
/// so is sealed (law J1): it may name a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupingSpec {
    /// At least two, by number.
    pub sponsors: Vec<PartyId>,
    /// Name, evidence, author.
    pub said: Sealed,
    /// Why it holds no more; none while it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn: Option<String>,
}

/// What is sealed of a grouping.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupingWords {
    /// The person, party or organisation.
    pub name: String,
    /// By what it is known: a document, a register's entry, a declaration.
    pub evidence: String,
    /// Where that is read.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub evidence_url: String,
    /// Who says so.
    pub author: String,
}
impl GroupingWords {
    /// Adds every fault found.
    pub fn check(&self, faults: &mut Faults) {
        faults.text("name", &self.name, NAME_CHARS_MAX);
        faults.text("evidence", &self.evidence, TEXT_CHARS_MAX);
        faults.text("author", &self.author, NAME_CHARS_MAX);
        if !self.evidence_url.is_empty() {
            check_https("evidence_url", &self.evidence_url, faults);
        }
    }
}

/// Adds every fault of a grouping's sponsors. `known`: whether there is one of a number.
pub fn check_grouped(sponsors: &[PartyId], known: &dyn Fn(PartyId) -> bool, faults: &mut Faults) {
    let few = sponsors.len() < 2 || sponsors.len() > GROUPING_SPONSORS_MAX;
    let words = format!("A grouping has 2 to {GROUPING_SPONSORS_MAX} sponsors.");
    faults.when(few, "sponsors", "count", words);
    let twice = sponsors.iter().collect::<std::collections::BTreeSet<_>>().len() < sponsors.len();
    faults.when(twice, "sponsors", "twice", "A sponsor stands here twice.");
    for unknown in sponsors.iter().filter(|id| !known(**id)) {
        faults.add("sponsors", "unknown", format!("There is no sponsor {unknown}."));
    }
}

/// A decision on a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportDecision {
    /// What was found.
    pub outcome: Outcome,
    /// Why, for the reporter and the public: no personal data.
    pub reason: String,
}
