//! HTML fragments of answers, and a page around them: self-contained, no scripts, prints well, follows
//! light and dark, readable by screen readers. Others may put the fragments into pages of their own
//! together with [`STYLE`].

use crate::amount::{money, thousands};
use crate::check::Reconciliation;
use crate::diff::{Change, Diff};
use crate::group::quality::{CurvePoint, Quality, interval};
use crate::methods;
use crate::plot::{self, Interval, Point};
use crate::rank::{Beside, PlacePoint, Ranking};
use crate::table::{bound, certainty, figure, ranks};
use maud::{DOCTYPE, Markup, PreEscaped, html};

/// The style the fragments expect, for pages of others too: everything in it is under the class `study`.
pub const STYLE: &str = include_str!("report.css");
/// What a page of its own needs besides.
const PAGE_STYLE: &str = include_str!("page.css");

/// A whole page.
pub fn page(title: &str, lead: &str, parts: &[Markup]) -> String {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                title { (title) }
                style { (PreEscaped(STYLE)) (PreEscaped(PAGE_STYLE)) }
            }
            body {
                main.study {
                    h1 { (title) }
                    p.lead { (lead) }
                    @for part in parts { (part) }
                    footer { "Made with Regie study. Figures are as the sources published them; nobody here has audited the platforms." }
                }
            }
        }
    }
    .into_string()
}

/// The name under which a part of that title can be linked to.
pub fn anchor(title: &str) -> String {
    crate::desk::Slug::of(title).to_string()
}

/// The sentence that answers a ranking's question.
pub fn headline(r: &Ranking) -> String {
    let Some(first) = r.ranked.first() else { return "Nobody fits the question.".into() };
    let unit = r.currency.map(|c| format!(" {c}")).unwrap_or_default();
    let sum = if first.upper == Some(first.lower) {
        format!("exactly {}{unit}", figure(r.measure, first.lower))
    } else {
        match first.upper {
            Some(upper) => {
                format!("between {} and {}{unit}", figure(r.measure, first.lower), figure(r.measure, upper))
            }
            None => format!("at least {}{unit}; no upper bound is known", figure(r.measure, first.lower)),
        }
    };
    let rank = match first.worst {
        Some(1) => "The first rank is certain in these sources.".to_owned(),
        Some(_) => {
            let others: Vec<&str> = first
                .undecided_with
                .iter()
                .filter_map(|w| r.ranked.get(*w as usize - 1))
                .map(|x| x.label.name.as_str())
                .collect();
            format!(
                "The first rank is undecided: the intervals of {} overlap with it.",
                if others.is_empty() { "others".into() } else { others.join(", ") }
            )
        }
        None => "The rank is not certain: somebody outside the source may have spent more.".to_owned(),
    };
    format!("{} leads with {sum}. {rank}", first.label.name)
}

/// A ranking: headline, plot, table, what stands beside, method and sources.
pub fn ranking(title: &str, r: &Ranking) -> Markup {
    let show = |v: i128| figure(r.measure, v);
    let unit = r.currency.map_or_else(|| "impressions".to_owned(), |c| c.to_string());
    let bars: Vec<Interval> = r
        .ranked
        .iter()
        .take(15)
        .map(|x| Interval { label: x.label.name.clone(), value: x.published, lower: x.lower, upper: x.upper })
        .collect();
    html! {
        section id=(anchor(title)) {
            h2 { (title) }
            p.answer { (headline(r)) }
            figure {
                figcaption { "The first " (bars.len()) " of " (thousands(i128::from(r.candidates_count))) ", in " (unit) }
                (plot::intervals(title, &bars, &show))
            }
            (rank_table(r, &unit))
            (besides(r))
            @if !r.notes.is_empty() {
                div.notes { h3 { "What a reader must know" } ul { @for note in &r.notes { li { (note) } } } }
            }
            @if let Some(split) = &r.split { (split_parts(r, split, &unit)) }
            h3 { "Method" }
            p { (methods::paragraph(r)) }
            h3 { "Sources" }
            ul.sources { @for line in methods::citations(&r.sources) { li { (line) } } }
        }
    }
}

fn rank_table(r: &Ranking, unit: &str) -> Markup {
    let has_views = r.ranked.iter().any(|x| x.views_published > 0);
    let has_ads = r.ranked.iter().any(|x| x.ads_count > 0);
    html! {
        div.scroll tabindex="0" role="region" aria-label="Ranking table" {
            table {
                caption { "Ranking in " (unit) "; a rank stands between its best and worst case" }
                thead { tr {
                    th scope="col" { "#" } th scope="col" { "Rank" } th scope="col" { "Who" }
                    th.n scope="col" { "Published" } th.n scope="col" { "At least" } th.n scope="col" { "At most" }
                    @if has_ads { th.n scope="col" { "Ads" } }
                    @if has_views { th.n scope="col" { "Impressions, at least" } }
                    th scope="col" { "Certainty" }
                } }
                tbody { @for x in &r.ranked {
                    tr {
                        td { (x.rank) } td.k { (ranks(x)) }
                        th scope="row" {
                            (x.label.name)
                            @if x.is_grouped { span.tag { (x.units_count) " joined" } }
                            @if let Some((kind, reason)) = &x.kind { span.tag title=(reason) { (kind.code()) } }
                            @if !x.label.payer.is_empty() && x.label.payer != x.label.name { span.sub { "paid for by " (x.label.payer) } }
                        }
                        td.n { (figure(r.measure, x.published)) } td.n { (figure(r.measure, x.lower)) } td.n { (bound(r.measure, x.upper)) }
                        @if has_ads { td.n { (thousands(i128::from(x.ads_count))) } }
                        @if has_views { td.n { (thousands(x.views_published)) } }
                        td { (certainty(x)) }
                    }
                } }
            }
        }
    }
}

fn besides(r: &Ranking) -> Markup {
    let mut rows: Vec<(&Beside, &str)> = vec![(&r.total, "")];
    rows.extend(r.unmapped.iter().map(|b| (b, "no link of the grouping speaks of them")));
    rows.extend(r.residual.iter().map(|b| (b, "a residual class, never ranked")));
    rows.extend(r.excluded.iter().map(|b| (b, "taken out by the filter")));
    let [one, four, ten] = r.concentration.top_permille;
    let percent = |p: u32| format!("{}.{}%", p / 10, p % 10);
    html! {
        h3 { "Beside the ranking" }
        div.scroll tabindex="0" role="region" aria-label="Totals" {
            table {
                caption { "Totals, and what is not ranked" }
                thead { tr { th scope="col" { "What" } th.n scope="col" { "Candidates" } th.n scope="col" { "Published" } th.n scope="col" { "At least" } th.n scope="col" { "At most" } } }
                tbody { @for (b, why) in &rows {
                    tr {
                        th scope="row" { (b.name) @if !why.is_empty() { span.sub { (why) } } }
                        td.n { (thousands(i128::from(b.count))) } td.n { (figure(r.measure, b.published)) }
                        td.n { (figure(r.measure, b.lower)) } td.n { (bound(r.measure, b.upper)) }
                    }
                } }
            }
        }
        @for (b, _) in rows.iter().skip(1).filter(|(b, _)| b.largest.len() > 1) {
            details { summary { "The largest: " (b.name) }
                ul { @for (label, sum, reason) in &b.largest {
                    li { (label.name) ": " (figure(r.measure, sum.parse().unwrap_or(0))) @if !reason.is_empty() { " (" (reason) ")" } }
                } }
            }
        }
        p { "Concentration: the first has " (percent(one)) ", the first four " (percent(four)) ", the first ten " (percent(ten)) " of the ranked total; Herfindahl-Hirschman index " (r.concentration.hhi) " of 10,000." }
        @if !r.other_currencies.is_empty() {
            p { "Kept apart: " @for (c, sum, rows) in &r.other_currencies { (c) " " (money(sum.parse().unwrap_or(0))) " in " (rows) " rows. " } }
        }
    }
}

fn split_parts(r: &Ranking, split: &crate::rank::Split, unit: &str) -> Markup {
    let show = |v: i128| figure(r.measure, v);
    let points: Vec<Point> = split
        .series
        .iter()
        .map(|p| Point { label: p.from.to_string(), value: p.published, lower: p.lower, upper: p.upper })
        .collect();
    let bars = |list: &[PlacePoint]| -> Vec<Interval> {
        let bar = |p: &PlacePoint| Interval {
            label: p.place.clone(),
            value: p.published,
            lower: p.lower,
            upper: p.upper,
        };
        list.iter().take(20).map(bar).collect()
    };
    let places = bars(&split.places);
    let names: Vec<&String> = split.names.iter().take(4).collect();
    html! {
        @if points.len() > 1 {
            h3 { "Over time" }
            figure { figcaption { "All that is counted, in " (unit) ", by first day of the period" } (plot::series("Over time", &points, &show)) }
            details { summary { "The same as a table" }
                div.scroll tabindex="0" role="region" aria-label="Series" { table {
                    thead { tr { th scope="col" { "From" } th.n scope="col" { "Published" } th.n scope="col" { "At least" } th.n scope="col" { "At most" } @for name in &names { th.n scope="col" { (name) } } } }
                    tbody { @for p in &split.series { tr {
                        th scope="row" { (p.from) } td.n { (show(p.published)) } td.n { (show(p.lower)) } td.n { (bound(r.measure, p.upper)) }
                        @for index in 0..names.len() { td.n { (p.top.get(index).map_or_else(String::new, |v| show(v.parse().unwrap_or(0)))) } }
                    } } }
                } }
            }
        }
        @if places.len() > 1 {
            h3 { "By region" }
            figure { figcaption { "Regions as the source names them, in " (unit) } (plot::intervals("By region", &places, &show)) }
            details { summary { "The same as a table" }
                (places_table(r, &split.places))
            }
            @if split.is_by_share { p.legend { (crate::import::SHARES_NOTE) "." } }
        }
        @if split.audience.len() > 1 {
            h3 { "By age and gender" }
            figure { figcaption { "Groups as the source names them, in " (unit) } (plot::intervals("By age and gender", &bars(&split.audience), &show)) }
            details { summary { "The same as a table" } (places_table(r, &split.audience)) }
            p.legend { (crate::import::SHARES_NOTE) "." }
        }
    }
}

fn places_table(r: &Ranking, list: &[PlacePoint]) -> Markup {
    let show = |v: i128| figure(r.measure, v);
    html! {
        div.scroll tabindex="0" role="region" aria-label="Table" { table {
            thead { tr { th scope="col" { "What" } th.n scope="col" { "Published" } th.n scope="col" { "At least" } th.n scope="col" { "At most" } } }
            tbody { @for p in list { tr { th scope="row" { (p.place) } td.n { (show(p.published)) } td.n { (show(p.lower)) } td.n { (bound(r.measure, p.upper)) } } } }
        } }
    }
}

/// A comparison of two states.
pub fn diff(title: &str, d: &Diff) -> Markup {
    let (a, j) = (&d.as_published, &d.joined);
    let row = |what: &str, x: String, y: String| html! { tr { th scope="row" { (what) } td.n { (x) } td.n { (y) } } };
    let list = |caption: &str, list: &[Change]| {
        html! {
            @if !list.is_empty() { details { summary { (caption) } table { tbody { @for c in list.iter().take(15) { tr {
                th scope="row" { (c.label.name) } td { (c.from) }
                td.n { (c.first.as_ref().map_or_else(|| "–".into(), |v| money(v.parse().unwrap_or(0)))) }
                td.n { (c.second.as_ref().map_or_else(|| "–".into(), |v| money(v.parse().unwrap_or(0)))) }
            } } } } } }
        }
    };
    html! {
        section id=(anchor(title)) {
            h2 { (title) }
            p.answer { (thousands(i128::from(j.changed))) " of " (thousands(i128::from(j.common))) " rows have another amount, "
                (j.vanished) " vanished (" (money(j.vanished_micros)) ") and " (j.appeared) " appeared (" (money(j.appeared_micros)) ", " (j.appeared_zero) " of them of nothing). The total went from "
                (money(j.first_micros)) " to " (money(j.second_micros)) "." }
            table {
                caption { "Counted with ids as published, and with re-identified advertisers joined" }
                thead { tr { th scope="col" { "Rows" } th.n scope="col" { "As published" } th.n scope="col" { "Joined" } } }
                tbody {
                    (row("in both", thousands(i128::from(a.common)), thousands(i128::from(j.common))))
                    (row("changed", a.changed.to_string(), j.changed.to_string()))
                    (row("of these up, down", format!("{}, {}", a.up, a.down), format!("{}, {}", j.up, j.down)))
                    (row("vanished", format!("{} ({})", a.vanished, money(a.vanished_micros)), format!("{} ({})", j.vanished, money(j.vanished_micros))))
                    (row("appeared", format!("{} ({})", a.appeared, money(a.appeared_micros)), format!("{} ({})", j.appeared, money(j.appeared_micros))))
                    (row("of these of nothing", a.appeared_zero.to_string(), j.appeared_zero.to_string()))
                }
            }
            @for r in &d.reidentified { p { "Re-identified: " strong { (r.old.name) } ", " code { (r.old.account) } " is now " code { (r.new.account) } ". " (r.evidence) "." } }
            (list("Largest changes: period, before, after", &d.largest))
            (list("Vanished", &d.vanished))
            (list("Appeared", &d.appeared))
            h3 { "Sources" }
            ul.sources { @for line in methods::citations(&d.first_sources).into_iter().chain(methods::citations(&d.second_sources)) { li { (line) } } }
        }
    }
}

/// Whether parts agree with their whole.
pub fn reconciliation(r: &Reconciliation) -> Markup {
    html! {
        section {
            h2 { "Do the regions agree with the whole? " (r.country) " " (r.window.name) ", to " (r.window.to) }
            p.answer { (r.regions_within) " of " (r.regions_count) " regional totals lie within the bounds of their file; "
                (r.disagreements.len()) " of " (thousands(r.pairs_count as i128)) " page and disclaimer totals disagree; "
                (r.only_whole_count) " are in no regional file (" (money(r.only_whole_published)) ")." }
            table {
                caption { "Totals that disagree: their intervals have no value in common" }
                thead { tr { th scope="col" { "Who" } th.n scope="col" { "Whole" } th.n scope="col" { "Sum of the parts" } } }
                tbody { @for d in &r.disagreements { tr {
                    th scope="row" { (d.label.name) span.sub { (d.label.payer) } }
                    td.n { (money(d.whole_lower)) } td.n { (money(d.parts_lower)) " to " (d.parts_upper.map_or_else(|| "unknown".into(), money)) }
                } } }
            }
            details { summary { "In no regional file (" (r.only_whole_count) ")" } ul { @for (label, sum) in &r.only_whole {
                li { (label.name) ": " (money(sum.parse().unwrap_or(0))) }
            } } }
        }
    }
}

/// How good the automatic links are.
pub fn quality(q: &Quality) -> Markup {
    let points: Vec<(u64, u64)> =
        q.curve.iter().map(|c| (c.recall_permille(), c.precision_permille())).collect();
    let permille = |v: u64| format!("{}.{:03}", v / 1000, v % 1000);
    let p = &q.pooled;
    let row = |what: &str, p: &CurvePoint| html! { tr { th scope="row" { (what) } td.n { (p.right) } td.n { (p.wrong) } td.n { (permille(p.precision_permille())) span.sub { (interval(p)) } } td.n { (permille(p.recall_permille())) } } };
    let head = |what: &str| html! { thead { tr { th scope="col" { (what) } th.n scope="col" { "Right" } th.n scope="col" { "Wrong" } th.n scope="col" { "Precision" } th.n scope="col" { "Recall" } } } };
    html! {
        section {
            h2 { (q.name) }
            p.answer { "Every pair judged by a threshold that did not see it: precision " (permille(p.precision_permille()))
                " (" (interval(p)) "), recall " (permille(p.recall_permille())) " of " (thousands(i128::from(p.all))) " pairs of " (q.items_count) " advertisers." }
            div.scroll tabindex="0" role="region" aria-label="Cross-fitting" { table { caption { "Chosen on one half of the entities, reported on the other, both ways round" } (head("Report")) tbody {
                @for f in &q.folds { (row(&format!("from {}, chosen on the other half", f.threshold_permille), &f.reported)) }
                (row("both, and pairs across the halves", p))
            } } }
            figure { figcaption { "Precision and recall over all pairs" } (plot::curve(&q.name, &points)) }
            details { summary { "The curve as a table" } table { (head("Threshold")) tbody { @for c in &q.curve { (row(&c.score_permille.to_string(), c)) } } } }
            div.scroll tabindex="0" role="region" aria-label="Kinds of link" { table { caption { "By kind of link, both reports" } (head("Kind")) tbody { @for kind in &q.by_kind { (row(kind.kind.words(), &kind.point())) } } } }
            @if q.strict_wrong > 0 { p.legend { (q.strict_wrong) " further links go to advertisers whom people assigned to no entity; they are not judged." } }
        }
    }
}
