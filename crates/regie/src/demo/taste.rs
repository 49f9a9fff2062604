//! What the demo's readers secretly like, and a page that shows it beside what Regie has found out: the truth is the simulation's
//! alone, and comes to the platform only as clicks.

use super::bookings::COURIER;
use crate::{
    http::AppState,
    platform::learning::{SetShown, TemplateShown},
};
use maud::{DOCTYPE, Markup, html};
use regie_model::{AdId, VersionId, booking::TemplateSpec};

/// How much better or worse than its ad a version does: 0.5 to 1.8, fixed by its id and hidden from the platform.
pub fn charm(version: &str) -> f64 {
    0.5 + even(version) * 1.3
}
/// What one element of a template multiplies a click's chance by: 0.45 to 2.1, most of them near 0.8.
pub fn element_charm(ad: &str, slot: usize, asset: u16) -> f64 {
    let drawn = even(&format!("{ad} {slot} {asset}"));
    0.45 + 1.65 * drawn * drawn
}
/// The same of a whole combination.
pub fn combination_charm(ad: &str, template: &TemplateSpec, code: u32) -> f64 {
    let assets = template.decode(code).unwrap_or_default();
    assets.iter().enumerate().map(|(slot, asset)| element_charm(ad, slot, *asset)).product()
}
/// Evenly in [0, 1), the same for the same text.
fn even(text: &str) -> f64 {
    let number = text.bytes().fold(7u64, |sum, b| sum.wrapping_mul(31).wrapping_add(u64::from(b)));
    regie_sim::Random::new(number).unit()
}

/// How much of what could be gained over an even draw is gained now, by the truth: of a template.
fn captured(template: &TemplateShown) -> Option<f64> {
    let ad = template.ad.to_string();
    let spec = &template.spec;
    let mean = |slot: usize| {
        let count = spec.slots[slot].assets.len();
        (0..count as u16).map(|asset| element_charm(&ad, slot, asset)).sum::<f64>() / count as f64
    };
    let even: f64 = (0..spec.slots.len()).map(mean).product();
    let best = (0..spec.slots.len()).map(|slot| {
        (0..spec.slots[slot].assets.len() as u16)
            .map(|asset| element_charm(&ad, slot, asset))
            .fold(0.0, f64::max)
    });
    let best: f64 = best.product();
    let (sum, shares) = template.codes.iter().fold((0.0, 0.0), |(sum, shares), code| {
        (sum + code.share * combination_charm(&ad, spec, code.code), shares + code.share)
    });
    // What is not among the listed is shown as if evenly.
    let now = sum + (1.0 - shares).max(0.0) * even;
    (best > even && shares > 0.0).then(|| ((now - even) / (best - even)).clamp(0.0, 1.0))
}

/// The page.
pub fn page(app: &AppState) -> Markup {
    let sets: Vec<SetShown> =
        app.platform.learning_sets().into_iter().filter_map(|id| app.platform.learning_of(id)).collect();
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "What readers secretly like \u{2013} " (COURIER) }
                link rel="icon" href="data:,";
                link rel="stylesheet" href="/demo/demo.css";
            }
            body class="taste" {
                header class="masthead" { a href="/demo" { (COURIER) } p { "Behind the curtain: only you can see this page" } }
                main {
                    h1 { "What readers secretly like, and what Regie has found out" }
                    p { "The readers of this demo have a hidden taste: some words and colours make a click more likely, others less. Regie is never told. It sees only who clicks, and shows more of what works. Grey bars are the truth; coloured bars are what Regie does or believes now. This page renews itself." }
                    @for set in &sets { (one(app, set)) }
                    @if sets.is_empty() { p { "Nothing has been shown yet. Wait a few seconds." } }
                }
            }
        }
    }
}

fn one(app: &AppState, set: &SetShown) -> Markup {
    let name = {
        let catalogue = app.platform.catalogue();
        catalogue
            .ad_sets
            .get(&set.ad_set)
            .and_then(|kept| Some(catalogue.campaigns.get(&kept.spec.campaign)?.spec.name.clone()))
    };
    html! {
        section {
            h2 { (name.unwrap_or_default()) " " a href={ "/console/ad-sets/" (set.ad_set) "/learning?live=1" } { "in the console" } }
            p { (set.total.impressions_count) " impressions, " (set.total.clicks_count) " clicks so far." }
            @if set.templates.is_empty() { (versions(app, set)) }
            @for template in &set.templates { (elements(template)) }
        }
    }
}

fn bar(value: f64, most: f64, class: &str) -> Markup {
    let width = 220.0 * (value / most).clamp(0.0, 1.0);
    html! { svg width="224" height="12" aria-hidden="true" { rect class=(class) width=(format!("{width:.0}")) height="12" rx="2" {} } }
}

fn versions(app: &AppState, set: &SetShown) -> Markup {
    let rows: Vec<(String, f64, f64, f64)> = set
        .versions
        .iter()
        .map(|v| (name(app, v.ad, v.version), charm(&v.version.to_string()), v.share, v.rate))
        .collect();
    html! {
        table {
            thead { tr { th { "Version" } th { "Truth: how much it is liked" } th { "Share of impressions now" } th { "Clicks per 1,000" } } }
            tbody { @for (name, truth, share, rate) in &rows { tr {
                td { (name) }
                td { (bar(*truth, 1.8, "truth")) " " (format!("{truth:.2}")) }
                td { (bar(*share, 0.5, "found")) " " (format!("{:.0}%", 100.0 * share)) }
                td { (format!("{:.1}", 1e3 * rate)) }
            } } }
        }
        p class="note" { "Leaderboards compete with leaderboards and rectangles with rectangles: each size has a winner of its own." }
    }
}
fn name(app: &AppState, ad: AdId, version: VersionId) -> String {
    let state = app.platform.catalogue().versions.get(&version);
    state.map(|s| s.kept.spec.name).filter(|n| !n.is_empty()).unwrap_or_else(|| format!("{ad} {version}"))
}

fn elements(template: &TemplateShown) -> Markup {
    let ad = template.ad.to_string();
    html! {
        @if let Some(captured) = captured(template) {
            p { b { (format!("{:.0}%", 100.0 * captured)) } " of what could be gained over showing all " (template.combinations_count) " combinations evenly is being gained now, after trying " (template.tried_count) " of them." }
            (bar(captured, 1.0, "found"))
        }
        @for slot in 0..template.spec.slots.len() {
            @let own: Vec<_> = template.elements.iter().filter(|e| usize::from(e.element.slot) == slot).collect();
            @let believed = own.iter().map(|e| e.odds.0).sum::<f64>() / own.len().max(1) as f64;
            @let mean = own.iter().map(|e| element_charm(&ad, slot, e.element.asset)).sum::<f64>() / own.len().max(1) as f64;
            h3 { (template.spec.slots[slot].name) }
            table {
                thead { tr { th { "Element" } th { "Truth: times the chance" } th { "Regie believes" } th { "Share now" } } }
                tbody { @for e in own { tr {
                    td { (template.spec.slots[slot].assets[usize::from(e.element.asset)].text) }
                    @let truth = element_charm(&ad, slot, e.element.asset) / mean;
                    td { (bar(truth, 2.5, "truth")) " \u{d7}" (format!("{truth:.2}")) }
                    td { (bar(e.odds.0 / believed, 2.5, "found")) " \u{d7}" (format!("{:.2}", e.odds.0 / believed)) }
                    td { (format!("{:.0}%", 100.0 * e.share)) }
                } } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{charm, element_charm};
    #[test]
    fn versions_differ_and_stay_as_they_are() {
        let charms: Vec<f64> = (1..50).map(|n| charm(&format!("ver_{n}"))).collect();
        assert!(charms.iter().all(|c| (0.5..1.8).contains(c)));
        assert!(charms.iter().copied().fold(0.0, f64::max) > 1.5);
        assert_eq!(charm("ver_3"), charms[2]);
        let elements: Vec<f64> = (0..6).map(|asset| element_charm("ad_3", 0, asset)).collect();
        assert!(elements.iter().all(|c| (0.45..2.1).contains(c)) && elements[0] != elements[1]);
    }
}
