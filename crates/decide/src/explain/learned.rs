//! Why this version, in words: its estimate, its share, and which draws it won; of a template, each element's part.

use crate::{
    learned::{LearnedSet, LearnedTemplate, TemplateFacts},
    outcome::Fill,
    rates::PPB,
};
use regie_model::{
    VersionId,
    booking::{ContextFacts, Element},
};

fn percent(part: f64) -> String {
    format!("{:.2}%", 100.0 * part)
}

/// The sentence about an ad set's own table; `None` where it has none here.
pub(super) fn of_set(learned: &LearnedSet, fill: &Fill, facts: &ContextFacts) -> Option<String> {
    let winners = learned.winners(facts);
    let draws: u32 = winners.iter().map(|w| u32::from(w.won)).sum();
    if draws == 0 {
        return None;
    }
    let explore = percent(f64::from(learned.explore_ppm) / 1e6);
    let shown = match fill.version.template_code() {
        Some(_) => VersionId::of_template(0),
        None => fill.version,
    };
    let what = if fill.version.template_code().is_some() { "Its template" } else { "It" };
    let own = winners.iter().find(|w| w.ad == fill.ad && w.version == shown);
    Some(match own {
        Some(own) => format!(
            "{what} won {} of {draws} draws of what is believed here (expected rate {} after {} impressions); {explore} of impressions explore by booked weight.",
            own.won,
            percent(f64::from(own.rate_ppb) / f64::from(PPB)),
            own.impressions_count
        ),
        None => format!(
            "{what} won none of {draws} draws of what is believed here: it was shown by the {explore} of impressions that explore by booked weight."
        ),
    })
}

/// The sentence about a template's combination.
pub(super) fn of_template(
    facts: &TemplateFacts,
    learned: Option<&LearnedTemplate>,
    code: u32,
    context: &ContextFacts,
) -> String {
    let assets = facts.spec().decode(code).unwrap_or_default();
    let element = |slot: usize| {
        let asset = assets.get(slot).copied().unwrap_or_default();
        facts.spec().words(Element { slot: slot as u8, asset })
    };
    let elements: Vec<String> = (0..assets.len()).map(element).collect();
    let Some(learned) = learned else {
        return format!(
            "It combines {}. Nothing is learned yet: combinations are drawn evenly.",
            elements.join(", ")
        );
    };
    let number = facts.spec().context.number(context);
    let entries = learned.record.contexts.get(number).map_or(&[][..], Vec::as_slice);
    let draws: u32 = entries.iter().map(|entry| entry.weight()).sum();
    let Some(at) = entries.iter().position(|entry| entry.code.0 == code) else {
        let explore = percent(f64::from(learned.record.explore_ppm) / 1e6);
        return format!(
            "It combines {}. It won none of {draws} draws here: one element was tried by the {explore} of showings that explore.",
            elements.join(", ")
        );
    };
    let entry = &entries[at];
    let parts = learned.parts_milli.get(number).and_then(|list| list.get(at));
    let told: Vec<String> = elements
        .iter()
        .enumerate()
        .map(|(slot, words)| match parts.and_then(|parts| parts.get(slot)) {
            // Odds are multiplied by e to the part.
            Some(part) => format!("{words} (x {:.2} to its odds)", (f64::from(*part) / 1e3).exp()),
            None => words.clone(),
        })
        .collect();
    let rate = learned.rates_ppb.get(number).and_then(|list| list.get(at)).copied().unwrap_or_default();
    format!(
        "It won {} of {draws} draws here{}; expected rate {}; it combines {}.",
        entry.won,
        if entry.kept > 0 {
            format!(", and stands for {} draws that would have cost too much", entry.kept)
        } else {
            String::new()
        },
        percent(f64::from(rate) / f64::from(PPB)),
        told.join(", ")
    )
}
