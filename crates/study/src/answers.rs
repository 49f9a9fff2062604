//! The six published questions this room was built to answer, each as one call.
//!
//! They read a folder of public archive files (never part of this project) and compare what comes out
//! with what was computed by hand. Every answer is a list of checks and a text.

use crate::amount::{UNIT, money};
use crate::check;
use crate::day::Day;
use crate::diff::{self, DiffQuestion};
use crate::error::{Error, Result};
use crate::group::{self, Grouping};
use crate::import::{ImportOptions, Importer, Mapping, NoProgress};
use crate::rank::{self, Question, Ranking};
use crate::select::Scope;
use crate::store::{Dataset, Store};
use serde::Serialize;
use std::path::Path;

/// One figure compared with its published or hand-computed value.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// What.
    pub what: String,
    /// The figure expected.
    pub expected: String,
    /// The figure found.
    pub found: String,
}

impl Check {
    /// Whether they are the same.
    pub fn is_right(&self) -> bool {
        self.expected == self.found
    }
}

/// One answer.
#[derive(Clone, Debug, Serialize)]
pub struct Answer {
    /// 1 to 6.
    pub number: u8,
    /// The question.
    pub title: String,
    /// The figures.
    pub checks: Vec<Check>,
    /// What a reader should take away.
    pub text: Vec<String>,
}

impl Answer {
    pub(crate) fn new(number: u8, title: &str) -> Answer {
        Answer { number, title: title.into(), checks: Vec::new(), text: Vec::new() }
    }
    pub(crate) fn check(&mut self, what: impl Into<String>, expected: impl ToString, found: impl ToString) {
        self.checks.push(Check {
            what: what.into(),
            expected: expected.to_string(),
            found: found.to_string(),
        });
    }
    /// Whether every figure is right.
    pub fn is_right(&self) -> bool {
        self.checks.iter().all(Check::is_right)
    }
}

/// The grouping of one candidate and his committees that the project carries.
pub const TRUMP_GROUPING: &str = include_str!("../demo/trump-2018.csv");
/// The grouping of Google advertisers with several ids.
pub const GOOGLE_GROUPING: &str = include_str!("../demo/google-2018.csv");
/// The mapping for the published sponsor table as a CSV with machine names.
pub const NYU_MAPPING: &str = include_str!("../demo/nyu-table.toml");
/// The published sponsor table, typed from the study.
pub const SPONSORS_TABLE: &str = include_str!("../demo/sponsors-2018.csv");
/// Its mapping.
pub const SPONSORS_MAPPING: &str = include_str!("../demo/sponsors-2018.toml");

/// Answers one question from the folder `data` (which holds the archives' folders).
///
/// # Errors
/// A missing file (named), or a number other than 1 to 6.
pub fn answer(number: u8, data: &Path) -> Result<Answer> {
    let archives = if data.join("archives").is_dir() { data.join("archives") } else { data.to_owned() };
    match number {
        1 => sponsors(Some(&archives)),
        2 => trump_google(&archives),
        3 => restatement(&archives),
        4 => dutch(&archives),
        5 => states(&archives),
        6 => group::quality::answer(&archives),
        _ => Err(Error::Question(format!("there is no answer {number}; choose 1 to 6"))),
    }
}

/// Imports files into a store in memory.
pub(crate) fn load(store: &Store, archives: &Path, files: &[&str], options: ImportOptions) -> Result<()> {
    let mut importer = Importer::new(store, options)?;
    for file in files {
        importer.path(&archives.join(file), &mut NoProgress)?;
    }
    Ok(())
}

/// Fills a store with the sponsor table: from the folder, or the one the project carries.
pub fn sponsor_store(archives: Option<&Path>) -> Result<Store> {
    let store = Store::in_memory()?;
    match archives {
        Some(archives) => {
            let mapping = Some(Mapping::parse(NYU_MAPPING, "nyu-table.toml")?);
            let options = ImportOptions { mapping, ..ImportOptions::default() };
            load(&store, archives, &["nyu-facebook-2018/published_top10_sponsors.csv"], options)?;
        }
        None => {
            let mapping = Some(Mapping::parse(SPONSORS_MAPPING, "sponsors-2018.toml")?);
            let options = ImportOptions { mapping, ..ImportOptions::default() };
            Importer::new(&store, options)?.bytes("sponsors-2018.csv", SPONSORS_TABLE.as_bytes())?;
        }
    }
    Ok(store)
}

fn place(ranking: &Ranking, rank: usize) -> (String, String) {
    ranking.ranked.get(rank - 1).map_or_else(Default::default, |r| (r.label.name.clone(), money(r.published)))
}

/// Answer 1; without a folder from the table the project carries.
pub fn sponsors(archives: Option<&Path>) -> Result<Answer> {
    let store = sponsor_store(archives)?;
    let mut a = Answer::new(1, "Was one candidate the biggest political advertiser of early summer 2018?");
    let plain = rank::rank(&store, &Question::default(), None)?;
    a.check(
        "ungrouped, first",
        "Beto for Texas 194,400",
        format!("{} {}", place(&plain, 1).0, place(&plain, 1).1),
    );
    let grouping = Grouping::parse(TRUMP_GROUPING, "trump-2018.csv")?;
    let grouped = rank::rank(&store, &Question::default(), Some(&grouping))?;
    let Some(first) = grouped.ranked.first() else { return Ok(a) };
    a.check("grouped, first", "Donald J. Trump (committees)", &first.label.name);
    a.check("its ads", 9_523, first.ads_count);
    a.check("its impressions, at least", 37_665_000, first.views_published);
    a.check("its spending, at least", "274,100", money(first.lower));
    a.check("its upper bound", "unknown", first.upper.map_or("unknown".into(), money));
    let worst = first.worst.map_or("unknown".to_owned(), |w| w.to_string());
    a.check("its rank", "1 to unknown", format!("{} to {worst}", first.best));
    a.check("grouped, second", "Beto for Texas", place(&grouped, 2).0);
    let third = place(&grouped, 3);
    a.check(
        "grouped, third",
        "Planned Parenthood Federation of America 188,800",
        format!("{} {}", third.0, third.1),
    );
    a.check("ranked units", 9, grouped.candidates_count);
    a.text.push(
        "First among the ten published sponsors once the committees are joined; ungrouped somebody else is."
            .into(),
    );
    a.text.extend(grouped.notes);
    Ok(a)
}

/// Files of a Google bundle.
pub const GOOGLE_FILES: [&str; 4] = [
    "google-us-2018/2018-08-15_advertiser-stats.csv",
    "google-us-2018/2018-08-15_advertiser-weekly-spend.csv",
    "google-us-2018/2018-09-13_advertiser-stats.csv",
    "google-us-2018/2018-09-13_advertiser-weekly-spend.csv",
];

/// A store with both bundles.
pub fn google_store(archives: &Path) -> Result<Store> {
    let store = Store::in_memory()?;
    load(&store, archives, &GOOGLE_FILES, ImportOptions::default())?;
    Ok(store)
}

/// The question of answer 2 as known on a day.
pub fn google_question(known_on: Day) -> Question {
    let scope = Scope {
        platforms: vec!["google".into()],
        known_on: Some(known_on),
        from: Day::parse("2018-05-27"),
        to: Day::parse("2018-08-11"),
        ..Scope::default()
    };
    Question { scope, ..Question::default() }
}

pub(crate) fn day(text: &str) -> Day {
    Day::parse(text).unwrap_or_default()
}

fn trump_google(archives: &Path) -> Result<Answer> {
    let store = google_store(archives)?;
    let grouping = Grouping::parse(GOOGLE_GROUPING, "google-2018.csv")?;
    let mut a = Answer::new(
        2,
        "Google, United States, weeks from 27 May to 5 August 2018: who spent most, as known when?",
    );
    let early = google_question(day("2018-08-15"));
    let plain = rank::rank(&store, &early, None)?;
    let named = |ranking: &Ranking, name: &str| -> Vec<String> {
        let mut found: Vec<i128> =
            ranking.ranked.iter().filter(|r| r.label.name == name).map(|r| r.published).collect();
        found.sort_unstable();
        found.into_iter().map(money).collect()
    };
    let all = Question { top: 10_000, ..early.clone() };
    let everybody = rank::rank(&store, &all, None)?;
    a.check(
        "ungrouped, first",
        "TRUMP MAKE AMERICA GREAT AGAIN COMMITTEE 617,700",
        format!("{} {}", place(&plain, 1).0, place(&plain, 1).1),
    );
    a.check(
        "Donald J. Trump for President",
        "800",
        named(&everybody, "DONALD J. TRUMP FOR PRESIDENT, INC.").join(" + "),
    );
    a.check("ONE NATION under its ids", "114,400 + 415,700", named(&everybody, "ONE NATION").join(" + "));
    let grouped = rank::rank(&store, &early, Some(&grouping))?;
    let Some(first) = grouped.ranked.first() else { return Ok(a) };
    a.check(
        "grouped, first",
        "Donald J. Trump (committees) 618,500",
        format!("{} {}", first.label.name, money(first.published)),
    );
    a.check("ONE NATION joined", "530,100", named(&grouped, "ONE NATION").join(" + "));
    a.check("its rank is certain", "1 to 1", format!("{} to {}", first.best, first.worst.unwrap_or(0)));
    let late = rank::rank(&store, &google_question(day("2018-09-13")), Some(&grouping))?;
    a.check(
        "as known on 2018-09-13",
        "Donald J. Trump (committees) 698,700",
        format!("{} {}", place(&late, 1).0, place(&late, 1).1),
    );
    a.text.push(format!(
        "Published sum {}, between {} and {} because the rounding rule of the $100 steps is unknown.",
        money(first.published),
        money(first.lower),
        first.upper.map_or("unknown".into(), money)
    ));
    Ok(a)
}

/// The question of answer 3.
pub fn restatement_question() -> DiffQuestion {
    let scope = Scope {
        platforms: vec!["google".into()],
        dataset: Some(Dataset::Weekly),
        to: Day::parse("2018-07-29"),
        ..Scope::default()
    };
    DiffQuestion { scope, first: day("2018-08-15"), second: day("2018-09-13") }
}

fn restatement(archives: &Path) -> Result<Answer> {
    let store = google_store(archives)?;
    let found = diff::diff(&store, &restatement_question())?;
    let mut a =
        Answer::new(3, "What did Google restate between the bundles of 15 August and 13 September 2018?");
    let p = found.as_published;
    a.check("rows in common", 1_443, p.common);
    a.check("changed (up, down)", "267 (208, 59)", format!("{} ({}, {})", p.changed, p.up, p.down));
    a.check("vanished", 19, p.vanished);
    a.check("appeared (of these $0)", "230 (83)", format!("{} ({})", p.appeared, p.appeared_zero));
    let j = found.joined;
    a.check(
        "ids joined: changed (up, down)",
        "264 (203, 61)",
        format!("{} ({}, {})", j.changed, j.up, j.down),
    );
    a.check("ids joined: vanished", "10, 15,900", format!("{}, {}", j.vanished, money(j.vanished_micros)));
    a.check("ids joined: appeared", "230, 53,400", format!("{}, {}", j.appeared, money(j.appeared_micros)));
    a.check(
        "total",
        "4,976,200 to 5,182,200",
        format!("{} to {}", money(j.first_micros), money(j.second_micros)),
    );
    let names: Vec<&str> = found.reidentified.iter().map(|r| r.old.name.as_str()).collect();
    a.check("taken for one advertiser under two ids", "ONE NATION", names.join(", "));
    Ok(a)
}

/// Turns the Dutch map of 13 March 2023 into a grouping.
pub fn dutch_grouping(archives: &Path) -> Result<Grouping> {
    let name = "wtm-advertisers-nl-2023-03-13.csv";
    let path = archives.join("nl-provincial-2023").join(name);
    let bytes = std::fs::read(&path).map_err(|e| Error::file(path.display(), e))?;
    let column = |k: &str, c: &str| (k.to_owned(), c.to_owned());
    let columns = [
        column("entity", "entities.short_name"),
        column("account", "advertisers_platforms.advertiser_platform_ref"),
    ];
    let mut grouping = group::convert(&bytes, name, &columns, "meta", "Who Targets Me", day("2023-03-13"))?;
    grouping.residual = vec!["And".into()];
    Ok(grouping)
}

fn dutch(archives: &Path) -> Result<Answer> {
    let store = Store::in_memory()?;
    load(&store, archives, &["nl-provincial-2023/reports"], ImportOptions::default())?;
    let grouping = dutch_grouping(archives)?;
    let answer = rank::rank(&store, &Question::default(), Some(&grouping))?;
    let mut a = Answer::new(4, "Dutch provincial elections 2023, 13 daily reports: which party spent most?");
    let row = |name: &str| {
        let row = answer.ranked.iter().find(|r| r.label.name == name);
        row.map_or_else(String::new, |r| {
            format!("[{}; {}]", money(r.lower), r.upper.map_or("unknown".into(), money))
        })
    };
    a.check("pages mapped", 707, grouping.links.len());
    for (name, expected) in [
        ("PvdA", "[122,608; 146,508]"),
        ("GL", "[117,385; 128,485]"),
        ("CDA", "[94,086; 109,886]"),
        ("VVD", "[80,746; 111,546]"),
    ] {
        a.check(name, expected, row(name));
    }
    let ranks: Vec<String> = answer
        .ranked
        .iter()
        .take(2)
        .map(|r| format!("{} {}-{}", r.label.name, r.best, r.worst.unwrap_or(0)))
        .collect();
    a.check("undecided for first", "PvdA 1-2, GL 1-2", ranks.join(", "));
    let residual = &answer.residual;
    a.check(
        "residual, never ranked",
        "And",
        residual.iter().map(|b| b.name.as_str()).collect::<Vec<_>>().join(", "),
    );
    let mapped = answer.total.lower + residual.iter().map(|b| b.lower).sum::<i128>();
    a.check("mapped, lower bound", "801,144", money(mapped));
    let unmapped = answer.unmapped.clone().unwrap_or_default();
    a.check("unmapped, lower bound", "426,515", money(unmapped.lower));
    let proposals =
        group::auto::propose(&store, &grouping, &group::auto::ProposeOptions::new(day("2023-03-15")))?;
    let bbb = proposals.links.iter().find(|l| l.entity == "BBB" && l.value == "338750440106782");
    let spent = rank::rank(
        &store,
        &Question { top: 10_000, unmapped: Some(group::Unmapped::Alone), ..Question::default() },
        Some(&grouping),
    )?;
    let page = spent.ranked.iter().find(|r| r.label.account == "338750440106782");
    a.check(
        "proposed: the national BBB page",
        "14,712",
        bbb.and(page).map_or("none".into(), |r| money(r.lower)),
    );
    if let Some(link) = bbb {
        a.text.push(format!(
            "Proposed for BBB, score {}: {}",
            link.score_permille.unwrap_or(0),
            link.evidence
        ));
    }
    Ok(a)
}

fn states(archives: &Path) -> Result<Answer> {
    let store = Store::in_memory()?;
    let zips = [
        "meta-report-us-2023-06/FacebookAdLibraryReport_2023-06-01_US_last_7_days.zip",
        "meta-report-us-2023-06/FacebookAdLibraryReport_2023-06-01_US_yesterday.zip",
    ];
    load(&store, archives, &zips, ImportOptions::default())?;
    let found = check::reconcile(&store, &Scope::default())?;
    let mut a =
        Answer::new(5, "Meta, United States, June 2023: do the state files agree with the national one?");
    for (name, regions, pairs, apart, only) in
        [("last_7_days", 53, 5_168, 14, 135), ("yesterday", 51, 3_138, 2, 36)]
    {
        let Some(r) = found.iter().find(|r| r.window.name == name) else {
            a.check(name, "checked", "missing");
            continue;
        };
        a.check(
            format!("{name}: state totals within their file's bounds"),
            format!("{regions} of {regions}"),
            format!("{} of {}", r.regions_within, r.regions_count),
        );
        a.check(
            format!("{name}: page and disclaimer totals that disagree"),
            format!("{apart} of {pairs}"),
            format!("{} of {}", r.disagreements.len(), r.pairs_count),
        );
        a.check(format!("{name}: national keys in no state file"), only, r.only_whole_count);
        for d in
            r.disagreements.iter().filter(|d| (d.whole_lower - d.parts_lower).abs() > i128::from(10 * UNIT))
        {
            a.text.push(format!(
                "{name}: {} nationally {} to {}, in the states {} to {}",
                d.label.name,
                money(d.whole_lower),
                d.whole_upper.map_or("unknown".into(), money),
                money(d.parts_lower),
                d.parts_upper.map_or("unknown".into(), money)
            ));
        }
    }
    Ok(a)
}
