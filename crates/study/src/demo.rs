//! A walk through the first three questions for newcomers, ending with a report.
//!
//! With a folder of archives it answers all three; without, the first from the small table of published
//! figures that the program carries.

use crate::amount::thousands;
use crate::answers::{self, Answer};
use crate::diff;
use crate::error::Result;
use crate::group::Grouping;
use crate::rank::{self, Question};
use crate::report;
use maud::{Markup, html};
use std::path::Path;

/// What the walk shows.
pub struct Demo {
    /// Step by step.
    pub steps: Vec<String>,
    /// The checked answers.
    pub answers: Vec<Answer>,
    /// The report, a whole page.
    pub html: String,
}

/// Walks.
///
/// # Errors
/// Those of the answers.
pub fn demo(data: Option<&Path>) -> Result<Demo> {
    let archives = data.map(|d| if d.join("archives").is_dir() { d.join("archives") } else { d.to_owned() });
    let archives = archives.as_deref();
    let mut steps = vec![
        "In July 2018 a study made the news: one candidate and his committee were \"the biggest political advertiser\".".to_owned(),
        "It added the lower bounds of published ranges. Let us do the same, and say how certain that is.".to_owned(),
    ];
    let mut parts: Vec<Markup> = Vec::new();
    let first = answers::sponsors(archives)?;
    let store = answers::sponsor_store(archives)?;
    let plain = rank::rank(&store, &Question::default(), None)?;
    let grouping = Grouping::parse(answers::TRUMP_GROUPING, "trump-2018.csv")?;
    let grouped = rank::rank(&store, &Question::default(), Some(&grouping))?;
    steps.push(format!("1. The ten published sponsors as they are: {}", report::headline(&plain)));
    steps.push(format!("   Joined by a shared grouping file: {}", report::headline(&grouped)));
    steps.push(
        "   And \"37 million viewers\" are 37,665,000 impressions at least: times shown, not people.".into(),
    );
    let titles = ["The ten published sponsors, as published", "The same, one candidate's committees joined"];
    let mut findings = vec![
        finding(titles[0], &report::headline(&plain)),
        finding(
            titles[1],
            &format!(
                "{} The \"37 million viewers\" of the headline are impressions: times shown, not people.",
                report::headline(&grouped)
            ),
        ),
    ];
    parts.push(report::ranking(titles[0], &plain));
    parts.push(report::ranking(titles[1], &grouped));
    let mut answered = vec![first];
    match archives {
        Some(archives) => {
            let store = answers::google_store(archives)?;
            let grouping = Grouping::parse(answers::GOOGLE_GROUPING, "google-2018.csv")?;
            for known in ["2018-08-15", "2018-09-13"] {
                let question = Question { with_split: true, ..answers::google_question(answers::day(known)) };
                let ranking = rank::rank(&store, &question, Some(&grouping))?;
                let title = format!("Google, United States, as known on {known}");
                steps.push(format!("2. Google, as known on {known}: {}", report::headline(&ranking)));
                findings.push(finding(&title, &report::headline(&ranking)));
                parts.push(report::ranking(&title, &ranking));
            }
            let found = diff::diff(&store, &answers::restatement_question())?;
            steps.push(format!(
                "3. Between the two bundles {} of {} rows were restated, {} vanished, {} appeared; {} went on under another id.",
                found.joined.changed, found.joined.common, found.joined.vanished, found.joined.appeared, found.reidentified.len()
            ));
            let title = "What Google restated in four weeks, unannounced";
            findings.push(finding(title, &format!(
                "of {} figures for the same advertiser and week {} had changed, {} had vanished and {} had appeared; nothing in the archive says so.",
                thousands(i128::from(found.joined.common)),
                found.joined.changed,
                found.joined.vanished,
                found.joined.appeared
            )));
            parts.push(report::diff(title, &found));
            answered.push(answers::answer(2, archives)?);
            answered.push(answers::answer(3, archives)?);
        }
        None => steps.push("2 and 3 need a folder of public archives: study demo --data FOLDER".into()),
    }
    parts.insert(0, opening(&findings));
    let html = report::page(
        "The biggest political advertiser?",
        "What the archives of 2018 say, how far they can be trusted, and what changed in them afterwards.",
        &parts,
    );
    Ok(Demo { steps, answers: answered, html })
}

/// One finding, with where it is shown.
fn finding(title: &str, text: &str) -> Markup {
    html! { li { a href={ "#" (report::anchor(title)) } { (title) } ": " (text) } }
}

/// What a reader who reads no further should know.
fn opening(findings: &[Markup]) -> Markup {
    html! {
        section {
            p {
                "In July 2018 a headline said that one candidate and his committee were the biggest political advertiser on a large \
                 platform. The table behind it lists ten sponsors by impressions, with lower bounds of what they spent. Who is first in it \
                 depends on who is joined with whom; and because upper bounds and every other sponsor are missing, no rank in it is certain. \
                 This report adds the same figures again, says between which bounds the truth lies, and shows what another archive said \
                 later about the same weeks."
            }
            h2 { "In short" }
            ul { @for one in findings { (one) } }
            h2 { "How to read it" }
            p { "A bar is the sum of what was published. The line through it goes from the smallest to the largest possible sum; where it ends in \
                 an arrow, no upper bound is known. A rank is given with its best and its worst case, and is undecided where intervals overlap. \
                 Undeclared advertising is in no archive, and nobody here has audited the platforms." }
        }
    }
}
