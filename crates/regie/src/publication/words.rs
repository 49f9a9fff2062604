//! By which words and filters search finds an ad: from its published facts, so that what was withheld is not found.

use super::db::Filters;
use regie_model::{Day, Zone};
use regie_record::Facts;

/// Assets of a template whose words are searched.
const ASSETS_MAX: usize = 1_000;
/// Months that the period filter keeps of one ad at most.
const MONTHS_MAX: usize = 60;

/// Everything that is searched in full text.
pub fn words(facts: &Facts) -> String {
    let mut words = format!(
        "{} {} {} {} {} {} ",
        facts.id,
        facts.sponsor.name,
        facts.sponsor.controller,
        facts.payer.name,
        facts.payer.controller,
        facts.content.landing_url
    );
    for version in &facts.content.versions {
        words.push_str(&version.texts.join(" "));
        words.push(' ');
    }
    let assets = facts.template.iter().flat_map(|t| &t.slots).flat_map(|slot| &slot.assets);
    for asset in assets.take(ASSETS_MAX) {
        words.push_str(&asset.text);
        words.push(' ');
    }
    for linked in facts.declaration.iter().flat_map(|d| &d.linked) {
        words.push_str(&format!("{} ", linked.name));
    }
    words.push_str(&facts.targeting.words);
    words
}

/// Everything that search is narrowed by.
pub fn filters(facts: &Facts) -> Filters {
    let mut filters = Filters::default();
    filters.add("sponsor", &facts.sponsor.id.to_string());
    filters.add("payer", &facts.payer.id.to_string());
    filters.add("campaign", &facts.campaign.to_string());
    filters.add("political", if facts.political { "1" } else { "0" });
    filters.add("country", &facts.sponsor.established_in);
    for clause in &facts.targeting.clauses {
        filters.add("targeted", &clause.dimension);
        clause
            .values
            .iter()
            .for_each(|value| filters.add("target", &format!("{} {value}", clause.dimension)));
    }
    for linked in facts.declaration.iter().flat_map(|d| &d.linked) {
        if let Some(day) = linked.held_on {
            filters.add("vote", &day.to_string());
        }
        filters.add("linked", &linked.name);
    }
    for month in months(facts) {
        filters.add("month", &month);
    }
    filters
}

/// The months of the intended period; an open one has its first only.
fn months(facts: &Facts) -> Vec<String> {
    let zone = Zone::parse(&facts.period.zone).unwrap_or_else(Zone::utc);
    let first = zone.day(facts.period.starts_at);
    let last = facts.period.ends_at.map_or(first, |end| zone.day(regie_model::UtcMs(end.0 - 1)));
    months_between(first, last)
}
/// Months from one day to another, as `2026-11`.
pub fn months_between(first: Day, last: Day) -> Vec<String> {
    let (mut year, mut month) = first.year_month();
    let end = last.year_month();
    let mut months = Vec::new();
    while (year, month) <= end && months.len() < MONTHS_MAX {
        months.push(format!("{year:04}-{month:02}"));
        (year, month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    }
    months
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn months_of_a_period() {
        let day = |text| Day::parse(text).unwrap();
        assert_eq!(months_between(day("2026-11-30"), day("2027-01-01")), ["2026-11", "2026-12", "2027-01"]);
        assert_eq!(months_between(day("2026-11-30"), day("2026-11-30")), ["2026-11"]);
        assert!(months_between(day("2026-11-30"), day("2026-10-30")).is_empty());
    }
}
