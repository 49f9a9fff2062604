//! "Why is it not delivering?": the eliminations that decisions really counted, in plain sentences with a remedy.

use maud::{Markup, html};
use std::collections::BTreeMap;

use super::ui::count;
use crate::i18n::rooms::say;

/// A reason, what it means, and what to do about it.
const REASONS: [(&str, &str, &str); 29] = [
    (
        "not_active",
        "It, its campaign or its account is paused, a draft, or archived.",
        "Set all of them to active.",
    ),
    (
        "incomplete",
        "Something it needs is missing: a campaign, an account, or an ad with a version.",
        "Add an ad with at least one version.",
    ),
    (
        "sponsor_incomplete",
        "Sponsor, payer or the political declaration is incomplete.",
        "Complete the sponsor, the payer and the declaration of the campaign.",
    ),
    (
        "stopped",
        "A stop switch holds it back: everything paid, its sponsor, or the ad.",
        "See the stops page for the reason; lift the stop there.",
    ),
    ("not_approved", "None of its ads is approved yet.", "Approve the ads in the review queue."),
    (
        "no_rate",
        "The account's currency has no dated rate to the auction currency.",
        "Add a rate in the publisher's settings.",
    ),
    (
        "blocked_everywhere",
        "The publisher blocks one of the advertiser's categories everywhere.",
        "Change the blocked categories in the settings, if that was not meant.",
    ),
    (
        "political_targeting",
        "It is political and targeted by something that political ads may not use.",
        "Remove that condition from its targeting.",
    ),
    ("targeting", "The request did not fit its targeting.", "Widen the targeting, if it should reach more."),
    ("flight_not_begun", "Its flight has not begun.", "Wait, or set an earlier start."),
    ("flight_ended", "Its flight is over.", "Set a later end, or book a new campaign."),
    (
        "sponsor_before_vote",
        "Its sponsor may not advertise in the three months before a linked vote.",
        "Wait until after the vote; see the sponsor's declaration.",
    ),
    (
        "political_placement",
        "The placement takes no political ads.",
        "Allow political ads there, or target other placements.",
    ),
    (
        "blocked_advertiser",
        "The placement blocks this advertiser.",
        "Change the placement's blocked advertisers.",
    ),
    (
        "blocked_category",
        "The placement blocks one of its categories.",
        "Change the placement's blocked categories.",
    ),
    (
        "wrong_format",
        "No approved version fits the placement's format or sizes.",
        "Add a version in one of the placement's sizes.",
    ),
    (
        "blocked_domain",
        "The placement blocks the domain of its landing page.",
        "Change the placement's blocked domains, or the landing page.",
    ),
    (
        "house_only",
        "Only house ads were allowed at that moment: paid ads stood still.",
        "See the note at the top of the page, or the stops page.",
    ),
    (
        "budget",
        "Its own, its campaign's or its account's budget is spent or held by tickets still open.",
        "Raise the budget or pay in; held amounts come free within an hour.",
    ),
    (
        "paced",
        "Pacing kept it back, so that the budget lasts until the end of the day or flight.",
        "Nothing, if even delivery is wanted; else choose \u{201c}as fast as possible\u{201d}.",
    ),
    (
        "frequency",
        "This page view had shown it as often as its cap allows.",
        "Raise the cap, if visitors should see it more often.",
    ),
    (
        "separation",
        "An ad of the same advertiser or category was already on the page.",
        "Nothing; competitors and repeats are kept apart on a page.",
    ),
    (
        "roadblock",
        "Its campaign takes all places of a page view or none, and could not have all.",
        "Give it an ad for every place of the page, or book it without taking all places.",
    ),
    (
        "floor",
        "Its bid was below the placement's floor.",
        "Raise the bid, or lower the floor of the placement.",
    ),
    (
        "political_first",
        "The place went to a political ad, which is decided before anything is known of the visitor.",
        "Widen the targeting to what describes the page, or target placements without political ads.",
    ),
    (
        "earlier_tier",
        "A sponsorship or guaranteed ad set took the place first.",
        "Nothing, or book another placement.",
    ),
    (
        "not_drawn",
        "Others had the turn: its share or its goal did not need this request.",
        "Nothing; shares are kept over many requests.",
    ),
    ("outbid", "Another ad was worth more in the auction.", "Raise the bid, or improve the ad's results."),
    (
        "held_out",
        "It won, and its experiment holds this hour or region out to measure lift.",
        "Nothing; end the experiment when its report says so.",
    ),
];

/// What a reason means, and what to do about it.
pub fn explain(code: &str) -> (&'static str, &'static str) {
    const OTHER: (&str, &str) =
        ("Another reason.", "Ask the operator to look at the decision with \u{201c}regie explain\u{201d}.");
    REASONS.iter().find(|(known, _, _)| *known == code).map_or(OTHER, |(_, means, remedy)| (means, remedy))
}

/// The list of reasons, most frequent first.
pub fn list(reasons: &BTreeMap<&str, u64>) -> Markup {
    let mut rows: Vec<(&str, u64)> = reasons.iter().map(|(code, n)| (*code, *n)).collect();
    rows.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    html! {
        ul class="why" {
            @for (code, times) in rows {
                @let (sentence, remedy) = explain(code);
                li {
                    b { (count(times)) "\u{d7}" }
                    div { (say(sentence)) div class="remedy" { (say(remedy)) } }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_of_a_decision_has_its_sentence() {
        for stage in regie_decide::Stage::ALL {
            assert_ne!(explain(stage.code()).0, explain("?").0, "{} has no sentence", stage.code());
        }
    }
}
