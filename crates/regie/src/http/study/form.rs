//! The form of a question, the same for asking, comparing and checking, filled with what was asked.

use crate::http::problem::Problem;
use crate::t;
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
    fn all(words: &str) -> Vec<(&str, &str)> {
        vec![("", words)]
    }
    let mut window_options = all(t!("study-any"));
    window_options.extend(windows.iter().map(|w| (*w, *w)));
    let mut country_options = all(t!("study-all"));
    country_options.extend(countries.iter().map(|c| (*c, *c)));
    let mut kind_options = all(t!("study-chosen-for-you"));
    let said: Vec<(&str, String)> =
        kinds.iter().map(|d| (d.code(), crate::i18n::answers::say(d.code()))).collect();
    kind_options.extend(said.iter().map(|(code, words)| (*code, words.as_str())));
    let chosen = |p: &str| pairs.iter().any(|(n, v)| n == "source" && v == p);
    html! {
        fieldset {
            legend { (t!("study-what-to-count")) }
            div class="field" {
                span class="label" { (t!("study-sources")) " " span class="opt" { (t!("study-none-ticked-all")) } }
                @for p in &platforms { label class="nowrap" { input type="checkbox" name="source" value=(p) checked[chosen(p)]; " " (p) } " " }
            }
            div class="row" {
                (text(pairs, "from", t!("study-from"), t!("study-first-day"), "date"))
                (text(pairs, "to", t!("study-to-3"), t!("study-last-day"), "date"))
                (text(pairs, "known-on", t!("study-as-known-on"), t!("study-only-what-was-published-by-then"), "date"))
            }
            div class="row" {
                (choice(pairs, "country", t!("study-country"), &country_options))
                (text(pairs, "region", t!("study-region"), t!("study-as-the-source-names-it"), "text"))
                (text(pairs, "election", t!("study-election"), t!("study-as-the-source-names-it"), "text"))
                (choice(pairs, "window", t!("study-window-of-reports"), &window_options))
                (choice(pairs, "dataset", t!("study-kind-of-rows"), &kind_options))
            }
        }
    }
}

/// How to group, count and show.
pub(super) fn manner(pairs: &Pairs, groupings: &[Slug]) -> Markup {
    let mut groups = vec![("", t!("study-none-as-published"))];
    groups.extend(groupings.iter().map(|g| (g.as_str(), g.as_str())));
    let by = [
        ("account", t!("study-accounts")),
        ("payer", t!("study-payers")),
        ("name", t!("study-names")),
        ("pair", t!("study-account-and-payer")),
    ];
    let excluded = |kind: &str| pairs.iter().any(|(n, v)| n == "exclude" && v == kind);
    html! {
        fieldset {
            legend { (t!("study-how-to-count")) }
            div class="row" {
                (choice(pairs, "group", t!("study-grouping"), &groups))
                (choice(pairs, "unmapped", t!("study-those-in-no-group"), &[("", t!("study-as-the-grouping-says")), ("alone", t!("study-each-by-itself")), ("apart", t!("study-beside-the-ranking"))]))
                (choice(pairs, "by", t!("study-otherwise-one-line-for"), &by))
            }
            div class="row" {
                (choice(pairs, "measure", t!("study-measure"), &[("spend", t!("study-money")), (t!("study-impressions"), t!("study-impressions"))]))
                (text(pairs, "currency", t!("study-currency"), t!("study-otherwise-the-one-with-most-rows"), "text"))
                (text(pairs, "rate", t!("study-rates"), t!("study-eur-1-0835-2018-08-01"), "text"))
                (choice(pairs, "estimate", t!("study-order-by"), &[("published", t!("study-what-was-published")), ("midpoint", t!("study-middle-of-the-interval"))]))
                (choice(pairs, "periods", t!("study-a-period-over-the-edge"), &[("bounded", t!("study-between-nothing-and-all-of-it")), ("start", t!("study-wholly-when-it-begins-inside"))]))
                (text(pairs, "top", t!("study-lines"), t!("study-1-to-1000"), "number"))
            }
            div class="field" {
                span class="label" { (t!("study-leave-out")) }
                @for kind in ["government", "commercial"] { label class="nowrap" { input type="checkbox" name="exclude" value=(kind) checked[excluded(kind)]; " " (crate::i18n::answers::say(kind)) } " " }
            }
        }
    }
}
