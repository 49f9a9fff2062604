//! A walk through the first three questions for newcomers, ending with a report.
//!
//! With a folder of archives it answers all three; without, the first from the small table of published
//! figures that the program carries.

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
    parts.push(html! { section { p {
        "A headline said that one candidate was the biggest political advertiser of early summer 2018. The table behind it lists ten sponsors by \
         impressions, with lower bounds of spending. Who is first depends on who is joined with whom; and because upper bounds and all other \
         sponsors are missing, no rank in it is certain."
    } } });
    parts.push(report::ranking("The ten published sponsors, as published", &plain));
    parts.push(report::ranking("The same, one candidate's committees joined", &grouped));
    let mut answered = vec![first];
    match archives {
        Some(archives) => {
            let store = answers::google_store(archives)?;
            let grouping = Grouping::parse(answers::GOOGLE_GROUPING, "google-2018.csv")?;
            for known in ["2018-08-15", "2018-09-13"] {
                let question = Question { with_split: true, ..answers::google_question(answers::day(known)) };
                let ranking = rank::rank(&store, &question, Some(&grouping))?;
                steps.push(format!("2. Google, as known on {known}: {}", report::headline(&ranking)));
                parts.push(report::ranking(&format!("Google, United States, as known on {known}"), &ranking));
            }
            let found = diff::diff(&store, &answers::restatement_question())?;
            steps.push(format!(
                "3. Between the two bundles {} of {} rows were restated, {} vanished, {} appeared; {} went on under another id.",
                found.joined.changed, found.joined.common, found.joined.vanished, found.joined.appeared, found.reidentified.len()
            ));
            parts.push(report::diff("What Google restated in four weeks, unannounced", &found));
            answered.push(answers::answer(2, archives)?);
            answered.push(answers::answer(3, archives)?);
        }
        None => steps.push("2 and 3 need a folder of public archives: study demo --data FOLDER".into()),
    }
    let html = report::page(
        "The biggest political advertiser?",
        "What the archives of 2018 say, how far they can be trusted, and what changed in them afterwards.",
        &parts,
    );
    Ok(Demo { steps, answers: answered, html })
}
