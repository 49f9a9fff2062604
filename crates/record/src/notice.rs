//! The transparency notice of a political ad: items a to m of Art. 12(1) of Regulation (EU) 2024/900.
//!
//! Each item says where its values come from, and "not declared" where there is none. What stays the publisher's
//! duty is said too; software does not fulfil a law.

use crate::{Entry, HistoryLine, NOT_DECLARED, NoticeItem, NoticeValue, PublicParty};
use regie_model::booking::{Declaration, OtherProvider};

fn value(label: &str, text: impl Into<String>) -> NoticeValue {
    let text = text.into();
    let value = if text.trim().is_empty() { NOT_DECLARED.to_owned() } else { text };
    NoticeValue { label: label.into(), value }
}
fn item(letter: char, title: &str, source: &str, declared: bool, values: Vec<NoticeValue>) -> NoticeItem {
    NoticeItem { item: letter.into(), title: title.into(), values, source: source.into(), declared }
}

/// All thirteen items, in order.
pub(crate) fn items(entry: &Entry, declaration: &Declaration) -> Vec<NoticeItem> {
    const SPONSOR: &str = "declared by the sponsor";
    const LEDGER: &str = "counted by the publisher's ledger, exact";
    vec![
        item('a', "Sponsor, and who ultimately controls it", SPONSOR, true, party(&entry.sponsor)),
        item('b', "Who pays, if somebody else", SPONSOR, true, payer(entry)),
        item(
            'c',
            "Period of publication",
            "booking; days with impressions counted by the ledger",
            false,
            period(entry),
        ),
        item(
            'd',
            "Amounts and benefits received for the ad and the campaign, by all providers",
            "own part: ledger, exact; other providers: declared by the sponsor",
            false,
            amounts(entry, declaration),
        ),
        item('e', "Origin of the money", SPONSOR, true, origin(declaration)),
        item(
            'f',
            "How the amounts were calculated",
            "booking",
            false,
            vec![value("Price", &entry.price.words)],
        ),
        item('g', "Linked elections, referendums, legislative processes", SPONSOR, true, linked(declaration)),
        item('h', "Official information on how to take part", SPONSOR, true, official(declaration)),
        item('i', "European repository", "publisher", false, repository()),
        item('j', "How to report this ad as non-compliant", "publisher", false, reporting(entry)),
        item(
            'k',
            "Earlier suspension or discontinuation",
            "public record, approval and stop history",
            false,
            suspensions(&entry.history),
        ),
        item(
            'l',
            "Targeting and delivery techniques",
            "ad set as booked; delivery policy",
            false,
            techniques(entry, declaration),
        ),
        item('m', "Reach and engagement", LEDGER, false, reach(entry)),
    ]
}

fn repository() -> Vec<NoticeValue> {
    let text = "not available: the repository of Art. 13 is not reachable from here yet; this record stands in for it";
    vec![value("Link", text)]
}
fn reporting(entry: &Entry) -> Vec<NoticeValue> {
    vec![
        value(
            "Form",
            format!("/record/ads/{}/report, with a receipt and the day by which an answer is due", entry.id),
        ),
        value(
            "Contact",
            "or write to the publisher (its address stands at the foot of this record's pages), and name the ad's id",
        ),
    ]
}
fn reach(entry: &Entry) -> Vec<NoticeValue> {
    vec![
        value("Views (impressions)", entry.figures.impressions_count.to_string()),
        value("Engagements (clicks)", entry.figures.clicks_count.to_string()),
    ]
}

fn party(party: &PublicParty) -> Vec<NoticeValue> {
    let controller = if party.controller.is_empty() { "nobody else declared" } else { &party.controller };
    let contact = |text: &String| if party.withheld { party.name.clone() } else { text.clone() };
    vec![
        value("Name", &party.name),
        value("E-mail", contact(&party.email)),
        value("Postal address", contact(&party.postal_address)),
        value("Established in", &party.established_in),
        value("Register", contact(&party.register_id)),
        value("Controlled by", if party.withheld { &party.name } else { controller }),
    ]
}

fn payer(entry: &Entry) -> Vec<NoticeValue> {
    if entry.payer.id == entry.sponsor.id {
        return vec![value("Payer", "the sponsor pays itself")];
    }
    party(&entry.payer)
}

fn period(entry: &Entry) -> Vec<NoticeValue> {
    let period = &entry.period;
    let day = |day: Option<regie_model::Day>| day.map_or(String::new(), |d| format!("{d} ({})", period.zone));
    vec![
        value("Intended start", period.starts_at.to_string()),
        value("Intended end", period.ends_at.map(|t| t.to_string()).unwrap_or_default()),
        value("First shown", day(period.first_day)),
        value("Last shown so far", day(period.last_day)),
    ]
}

fn amounts(entry: &Entry, declaration: &Declaration) -> Vec<NoticeValue> {
    let own = |text: &str, currency| format!("{text} {currency}");
    let mut values = vec![
        value("This publisher, for this ad", own(&entry.figures.spend, entry.figures.currency)),
        value(
            "This publisher, for the whole campaign",
            own(&entry.campaign_figures.spend, entry.campaign_figures.currency),
        ),
    ];
    if declaration.no_other_provider {
        values.push(value("Other providers", "declared: none received anything"));
    } else if declaration.other_providers.is_empty() {
        values.push(value("Other providers", ""));
    }
    for other in &declaration.other_providers {
        values.push(value(&format!("{} (declared)", other.provider), other_amount(other)));
    }
    values
}
fn other_amount(other: &OtherProvider) -> String {
    let money = other.amount_micros.zip(other.currency).map(|(a, c)| format!("{} {c}", a.display(c)));
    let kind = (!other.in_kind.trim().is_empty()).then(|| format!("in kind: {}", other.in_kind));
    money.into_iter().chain(kind).collect::<Vec<_>>().join("; ")
}

fn origin(declaration: &Declaration) -> Vec<NoticeValue> {
    let origin = declaration.origin;
    let list = |pairs: [(bool, &str); 2]| {
        pairs.iter().filter(|(on, _)| *on).map(|(_, word)| *word).collect::<Vec<_>>().join(" and ")
    };
    vec![
        value("Money is", list([(origin.public, "public"), (origin.private, "private")])),
        value(
            "It comes from",
            list([(origin.inside_union, "inside the Union"), (origin.outside_union, "outside the Union")]),
        ),
    ]
}

fn linked(declaration: &Declaration) -> Vec<NoticeValue> {
    if declaration.linked.is_empty() {
        let text = if declaration.no_linked_process { "declared: none" } else { "" };
        return vec![value("Linked process", text)];
    }
    let line = |p: &regie_model::booking::LinkedProcess| {
        let day = p.held_on.map(|d| format!(", {d}")).unwrap_or_default();
        value("Linked process", format!("{}{day}", p.name))
    };
    declaration.linked.iter().map(line).collect()
}
fn official(declaration: &Declaration) -> Vec<NoticeValue> {
    let links: Vec<_> = declaration
        .linked
        .iter()
        .filter_map(|p| p.official_url.as_ref().map(|url| value(&p.name, url)))
        .collect();
    if links.is_empty() { vec![value("Link", "")] } else { links }
}

fn suspensions(history: &[HistoryLine]) -> Vec<NoticeValue> {
    let relevant =
        history.iter().filter(|l| ["stopped", "stop_lifted", "withdrawn"].contains(&l.event.as_str()));
    let lines: Vec<_> = relevant
        .map(|l| {
            let reason = if l.reason.is_empty() { "no reason given" } else { &l.reason };
            value(
                &format!("{} ({})", l.event.replace('_', " "), l.at),
                format!("{}: {reason}", l.about.replace('_', " ")),
            )
        })
        .collect();
    if lines.is_empty() { vec![value("Suspensions", "none")] } else { lines }
}

fn techniques(entry: &Entry, declaration: &Declaration) -> Vec<NoticeValue> {
    let exclusions: Vec<_> =
        entry.targeting.clauses.iter().filter(|c| c.op == "not_in").map(|c| c.words.clone()).collect();
    let learned = if entry.targeting.learned {
        "several versions; their shares are set by the booking and may follow measured results by context, never by person"
    } else {
        "one version; no learned choice"
    };
    let ai = if declaration.ai_used {
        "yes, as declared by the sponsor"
    } else {
        "no, as declared by the sponsor"
    };
    vec![
        value("Targeting", &entry.targeting.words),
        value("Exclusions", if exclusions.is_empty() { "none".into() } else { exclusions.join("; ") }),
        value(
            "Personal data",
            "none: page, placement, language, time and device class only, and location where the publisher has switched it on",
        ),
        value(
            "Caps",
            if entry.targeting.caps.is_empty() { "none".into() } else { entry.targeting.caps.join("; ") },
        ),
        value("Delivery", learned),
        value("AI used to target or deliver", ai),
    ]
}
