//! The form of a question, the same for asking, comparing and checking, filled with what was asked.

use crate::http::problem::Problem;
use maud::{Markup, html};
use regie_study::{
    desk::Slug,
    store::{Dataset, Snapshot},
};
use std::collections::BTreeSet;

/// A question's pairs as they came in an address.
pub(super) type Pairs = Vec<(String, String)>;

/// The pairs of a query; those of the page itself apart.
pub(super) fn pairs(raw: &str) -> Pairs {
    let all = url::form_urlencoded::parse(raw.as_bytes());
    let of_page = ["go", "csrf", "first", "second", "page", "status", "with"];
    all.filter(|(n, v)| !of_page.contains(&n.as_ref()) && !v.is_empty())
        .map(|(n, v)| (n.into_owned(), v.into_owned()))
        .collect()
}
/// One value of a query.
pub(super) fn one(raw: &str, name: &str) -> String {
    let mut all = url::form_urlencoded::parse(raw.as_bytes());
    all.find(|(n, _)| n == name).map(|(_, v)| v.into_owned()).unwrap_or_default()
}
/// Pairs as a query.
pub(super) fn query(pairs: &[(String, String)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}
/// The first value of a name.
pub(super) fn get<'p>(pairs: &'p [(String, String)], name: &str) -> &'p str {
    pairs.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v)
}
/// The grouping that pairs name.
///
/// # Errors
/// A name that is none.
pub(super) fn group(pairs: &[(String, String)]) -> Result<Option<Slug>, Problem> {
    let name = get(pairs, "group");
    if name.is_empty() { Ok(None) } else { super::slug(name, "grouping of this name").map(Some) }
}

fn text(pairs: &Pairs, name: &str, label: &str, hint: &str, kind: &str) -> Markup {
    html! {
        div class="field" {
            label for=(name) { (label) }
            @if !hint.is_empty() { p class="hint" id={ (name) "-hint" } { (hint) } }
            input id=(name) name=(name) type=(kind) value=(get(pairs, name)) aria-describedby=[(!hint.is_empty()).then(|| format!("{name}-hint"))];
        }
    }
}
fn choice(pairs: &Pairs, name: &str, label: &str, options: &[(&str, &str)]) -> Markup {
    let now = get(pairs, name);
    html! {
        div class="field" {
            label for=(name) { (label) }
            select id=(name) name=(name) { @for (value, words) in options { option value=(value) selected[now == *value] { (words) } } }
        }
    }
}

/// Which part of the store: sources, days, region.
pub(super) fn scope(pairs: &Pairs, snapshots: &[Snapshot]) -> Markup {
    let platforms: BTreeSet<&str> = snapshots.iter().map(|s| s.platform.as_str()).collect();
    let windows: BTreeSet<&str> = snapshots.iter().map(|s| s.window.name.as_str()).collect();
    let countries: BTreeSet<&str> =
        snapshots.iter().map(|s| s.country.as_str()).filter(|c| !c.is_empty()).collect();
    let kinds: BTreeSet<Dataset> = snapshots.iter().map(|s| s.dataset).collect();
    let all = |words: &'static str| vec![("", words)];
    let mut window_options = all("any");
    window_options.extend(windows.iter().map(|w| (*w, *w)));
    let mut country_options = all("all");
    country_options.extend(countries.iter().map(|c| (*c, *c)));
    let mut kind_options = all("chosen for you");
    kind_options.extend(kinds.iter().map(|d| (d.code(), d.code())));
    let chosen = |p: &str| pairs.iter().any(|(n, v)| n == "source" && v == p);
    html! {
        fieldset {
            legend { "What to count" }
            div class="field" {
                span class="label" { "Sources " span class="opt" { "none ticked: all" } }
                @for p in &platforms { label class="nowrap" { input type="checkbox" name="source" value=(p) checked[chosen(p)]; " " (p) } " " }
            }
            div class="row" {
                (text(pairs, "from", "From", "first day", "date"))
                (text(pairs, "to", "To", "last day", "date"))
                (text(pairs, "known-on", "As known on", "only what was published by then", "date"))
            }
            div class="row" {
                (choice(pairs, "country", "Country", &country_options))
                (text(pairs, "region", "Region", "as the source names it", "text"))
                (text(pairs, "election", "Election", "as the source names it", "text"))
                (choice(pairs, "window", "Window of reports", &window_options))
                (choice(pairs, "dataset", "Kind of rows", &kind_options))
            }
        }
    }
}

/// How to group, count and show.
pub(super) fn manner(pairs: &Pairs, groupings: &[Slug]) -> Markup {
    let mut groups = vec![("", "none: as published")];
    groups.extend(groupings.iter().map(|g| (g.as_str(), g.as_str())));
    let by = [("account", "accounts"), ("payer", "payers"), ("name", "names"), ("pair", "account and payer")];
    let excluded = |kind: &str| pairs.iter().any(|(n, v)| n == "exclude" && v == kind);
    html! {
        fieldset {
            legend { "How to count" }
            div class="row" {
                (choice(pairs, "group", "Grouping", &groups))
                (choice(pairs, "unmapped", "Those in no group", &[("", "as the grouping says"), ("alone", "each by itself"), ("apart", "beside the ranking")]))
                (choice(pairs, "by", "Otherwise one line for", &by))
            }
            div class="row" {
                (choice(pairs, "measure", "Measure", &[("spend", "money"), ("impressions", "impressions")]))
                (text(pairs, "currency", "Currency", "otherwise the one with most rows", "text"))
                (text(pairs, "rate", "Rates", "EUR=1.0835@2018-08-01; none: kept apart", "text"))
                (choice(pairs, "estimate", "Order by", &[("published", "what was published"), ("midpoint", "middle of the interval")]))
                (choice(pairs, "periods", "A period over the edge", &[("bounded", "between nothing and all of it"), ("start", "wholly, when it begins inside")]))
                (text(pairs, "top", "Lines", "1 to 1000", "number"))
            }
            div class="field" {
                span class="label" { "Leave out" }
                @for kind in ["government", "commercial"] { label class="nowrap" { input type="checkbox" name="exclude" value=(kind) checked[excluded(kind)]; " " (kind) } " " }
            }
        }
    }
}
