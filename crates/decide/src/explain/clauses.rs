//! Clauses evaluated one by one from their text, without the index: the reason in the reader's own words.

use crate::{
    index::{Value, Values},
    snapshot::Cold,
};
use regie_model::{
    PlacementId, SegmentId, SiteId,
    targeting::{Clause, Dimension, Op, glob_matches},
    ticket::DeviceClass,
};

/// Listed values that a sentence repeats.
const LISTED_COUNT_MAX: usize = 5;

/// The request's values of a clause's dimension, in the form in which clauses list them.
fn request_values(clause: &Clause, values: &dyn Values) -> Vec<String> {
    let mut found = Vec::new();
    values.each(&clause.dimension, &mut |value| {
        found.push(match (value, &clause.dimension) {
            (Value::Text(text), _) => text.to_owned(),
            (Value::Number(n), Dimension::Device) => DeviceClass::from_u8(n as u8).word().to_owned(),
            (Value::Number(n), Dimension::Site) => SiteId(n).to_string(),
            (Value::Number(n), Dimension::Placement) => PlacementId(n).to_string(),
            (Value::Number(n), Dimension::Segment) => SegmentId(n).to_string(),
            (Value::Number(n), _) => n.to_string(),
        });
    });
    found
}

fn listed(clause: &Clause, cold: &Cold, values: &dyn Values) -> bool {
    match clause.dimension {
        Dimension::HourOfWeek => {
            let zone = clause.zone.as_ref().unwrap_or(&cold.zone);
            clause.hours()[usize::from(zone.hour_of_week(values.at()).0) % 168]
        }
        Dimension::PageUrl => clause.values.iter().any(|pattern| glob_matches(pattern, values.url())),
        _ => request_values(clause, values).iter().any(|value| clause.values.contains(value)),
    }
}

/// Number of the first clause that does not hold.
pub(super) fn first_failed(cold: &Cold, values: &dyn Values) -> Option<u32> {
    let holds = |clause: &Clause| listed(clause, cold, values) == (clause.op == Op::In);
    cold.clauses.iter().position(|clause| !holds(clause)).map(|at| at as u32)
}

fn some_of(list: &[String]) -> String {
    let mut text = list.iter().take(LISTED_COUNT_MAX).cloned().collect::<Vec<_>>().join(", ");
    if list.len() > LISTED_COUNT_MAX {
        text.push_str(&format!(" and {} more", list.len() - LISTED_COUNT_MAX));
    }
    text
}

/// What a clause wants and what the request says.
pub(super) fn sentence(cold: &Cold, clause: u32, values: &dyn Values, forbidden: bool) -> String {
    let Some(clause) = cold.clauses.get(clause as usize) else { return String::new() };
    let dimension = &clause.dimension;
    if forbidden {
        return format!(
            "Its targeting names {dimension}, which a political ad may not read here (law P1; Regulation (EU) 2024/900, Art. 18)."
        );
    }
    let want = match clause.op {
        Op::In => "be one of",
        Op::NotIn => "be none of",
    };
    let is = match dimension {
        Dimension::HourOfWeek => {
            let zone = clause.zone.as_ref().unwrap_or(&cold.zone);
            let hour = usize::from(zone.hour_of_week(values.at()).0) % 168;
            let day = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"][hour / 24];
            format!("it is {day} {:02}:00 in {}", hour % 24, zone.name())
        }
        Dimension::PageUrl if values.url().is_empty() => "the request names no page".to_owned(),
        Dimension::PageUrl => format!("the page is {}", values.url()),
        _ => match request_values(clause, values) {
            found if found.is_empty() => "the request has none that may be used".to_owned(),
            found => format!("the request has {}", some_of(&found)),
        },
    };
    format!("Its targeting wants {dimension} to {want} {}; {is}.", some_of(&clause.values))
}
