//! A study for the demo: the published table of 2018 that the program carries, one candidate's committees joined, and
//! the answer published. Real figures, typed from the study that made the news; nothing invented.

use crate::http::App;
use anyhow::Result;
use regie_study::{
    Day, ImportOptions, Importer, answers,
    desk::{Publication, Slug},
    group::Grouping,
    import::Mapping,
    rank::{self, Question},
};

/// Imports, groups and publishes once; does nothing where a report was published before.
///
/// # Errors
/// Those of the study room.
pub fn fill(app: &App) -> Result<()> {
    let desk = &app.study.desk;
    if !desk.reports()?.is_empty() {
        return Ok(());
    }
    let store = desk.store()?;
    let mapping = Some(Mapping::parse(answers::SPONSORS_MAPPING, "sponsors-2018.toml")?);
    let options = ImportOptions { mapping, ..ImportOptions::default() };
    Importer::new(&store, options)?.bytes("sponsors-2018.csv", answers::SPONSORS_TABLE.as_bytes())?;
    let grouping = Grouping::parse(answers::TRUMP_GROUPING, "trump-2018.csv")?;
    let name = Slug::of("One candidate 2018");
    if !desk.groupings()?.contains(&name) {
        desk.save(&name, &grouping, None)?;
    }
    let ranking = rank::rank(&store, &Question::default(), Some(&grouping))?;
    let question = [("source", "meta"), ("group", name.as_str())].map(|(a, b)| (a.to_owned(), b.to_owned()));
    desk.publish(&Publication {
        title: "The biggest political advertiser of early summer 2018?",
        lead: "A headline of July 2018 said so of one candidate and his committee. The table behind it lists ten sponsors, with \
               lower bounds of what they spent. Here it is added up again, with what it leaves open: no upper bound is known, others \
               may have spent more, and \"37 million viewers\" are impressions.",
        question: &question,
        ranking: &ranking,
        grouping: Some(&grouping),
        today: Day::from_unix_seconds(app.platform.now().0 / 1_000).unwrap_or_default(),
        author: "the demo",
    })?;
    Ok(())
}
