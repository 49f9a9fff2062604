//! Reasons in plain words, with their numbers. One sentence each; the codes are `outcome`'s.

use crate::{
    outcome::{Elimination, Fill, JointAuction, JointMethod, NoFill, Stage, Whose},
    rates::PPB,
    snapshot::AdSetFacts,
    tables::Row,
};
use regie_model::{
    AdSetId, Currency, Nanos,
    booking::{AuctionKind, CapPeriod, CapScope, Status, TierKind},
    ticket::Billing,
};

/// Nanos an impression as a price per thousand: `1.2500 EUR per thousand`.
fn per_mille(nanos: i64, currency: Currency) -> String {
    format!("{} {currency} per thousand", Nanos(i128::from(nanos) * 1_000).display(currency, 4))
}
fn percent(ppm: u32) -> String {
    format!("{}.{:02}%", ppm / 10_000, ppm % 10_000 / 100)
}
fn tier(tier: TierKind) -> &'static str {
    match tier {
        TierKind::Sponsorship => "sponsorship",
        TierKind::Guaranteed => "guaranteed",
        TierKind::Auction => "auction",
        TierKind::House => "house",
    }
}
fn whose(whose: Whose) -> &'static str {
    match whose {
        Whose::AdSet => "It",
        Whose::Campaign => "Its campaign",
        Whose::Advertiser => "Its advertiser",
        Whose::Sponsor => "Its sponsor",
        Whose::Payer => "Its payer",
        Whose::Ads => "Every approved ad or version of it",
    }
}
fn status(status: Status) -> &'static str {
    match status {
        Status::Draft => "a draft",
        Status::Active => "active",
        Status::Paused => "paused",
        Status::Archived => "archived",
    }
}

/// Why a placement got no ad.
pub(super) fn no_fill(reason: NoFill) -> &'static str {
    match reason {
        NoFill::NotSetUp => "The publisher's settings are missing.",
        NoFill::TooManyPlacements => "The request asks for more placements than one request may.",
        NoFill::UnknownPlacement => "There is no such placement.",
        NoFill::OtherSite => "The placement belongs to another site.",
        NoFill::SiteNotActive => "The site is not active.",
        NoFill::PlacementNotActive => "The placement is not active.",
        NoFill::NothingMatches => "No ad set that can deliver is targeted at this request.",
        NoFill::Eliminated(Stage::Floor) => "Nobody reached the floor.",
        NoFill::Eliminated(Stage::Budget) => "The budgets of all that matched are spent or held.",
        NoFill::Eliminated(Stage::Paced) => "All that matched sat this request out to spread their budgets.",
        NoFill::Eliminated(_) => "Every ad set that matched was eliminated.",
    }
}

fn cap(scope: CapScope, period: CapPeriod, shown_count: u32, cap_count: u32) -> String {
    let scope = match scope {
        CapScope::Campaign => "campaign",
        CapScope::AdSet => "ad set",
        CapScope::Ad => "ad",
    };
    let period = match period {
        CapPeriod::PageView => "page view",
        CapPeriod::Hour => "hour",
        CapPeriod::Day => "day",
        CapPeriod::Week => "week",
        CapPeriod::Lifetime => "flight",
    };
    format!("Capped: the {scope} was shown {shown_count} of at most {cap_count} times in this {period}.")
}

/// Why an ad set was not shown. `fill` is who was, `auction` the currency of values.
pub(super) fn eliminated(
    why: &Elimination,
    ad_set: &AdSetFacts,
    fill: Option<&Fill>,
    auction: Currency,
) -> String {
    let other = match fill {
        // Political ads were decided first, against rivals who may not be the ones that were shown in the end.
        Some(fill) if ad_set.political && !fill.political => {
            "another ad set, nothing being known of the visitor,".to_owned()
        }
        Some(fill) => fill.ad_set.to_string(),
        None => "another ad set".to_owned(),
    };
    match why {
        Elimination::NotBegun { starts_at } => format!("Its flight begins at {starts_at}."),
        Elimination::Ended { ended_at } => format!("Its flight ended at {ended_at}."),
        Elimination::BeforeVote { until } => format!(
            "Its sponsor may not advertise in the three months before a vote that the ad is linked to (Regulation (EU) 2024/900, Art. 5); this ends at {until}."
        ),
        Elimination::Paced { pass_ppm, drawn_ppm } => format!(
            "It takes part in {} of requests to spread its budget; this one drew {}.",
            percent(*pass_ppm),
            percent(*drawn_ppm)
        ),
        Elimination::Frequency { scope, period, shown_count, cap_count } => {
            cap(*scope, *period, *shown_count, *cap_count)
        }
        Elimination::Floor { value_nanos, floor_nanos } => format!(
            "Worth {}, below the placement's floor of {}.",
            per_mille(*value_nanos, ad_set.currency),
            per_mille(*floor_nanos, ad_set.currency)
        ),
        Elimination::EarlierTier { tier: earlier } => {
            format!("{other} took the place in an earlier tier ({}).", tier(*earlier))
        }
        Elimination::ShareNotDrawn { share_ppm, drawn_ppm } => format!(
            "Its share of voice is {}; this request's draw ({}) fell outside it.",
            percent(*share_ppm),
            percent(*drawn_ppm)
        ),
        Elimination::LessNeed { need_ppm, best_ppm } => format!(
            "{other} needs the impression as much or more for its goal: {} against {} behind.",
            percent(*best_ppm),
            percent(*need_ppm)
        ),
        Elimination::Outbid { value_nanos, best_nanos } => format!(
            "Lost the auction to {other} by value: {} against {}.",
            per_mille(*value_nanos, auction),
            per_mille(*best_nanos, auction)
        ),
        other => plain(other),
    }
}

/// Reasons without request numbers.
fn plain(why: &Elimination) -> String {
    let text = match why {
        Elimination::NotActive { whose: who, status: is } => {
            return format!("{} is {}.", whose(*who), status(*is));
        }
        Elimination::Incomplete { whose: who } => return format!("{} does not exist.", whose(*who)),
        Elimination::SponsorUnknown { whose: who } => return format!("{} is not registered.", whose(*who)),
        Elimination::SponsorErased { whose: who } => {
            return format!("{}'s identity was erased; an ad must name it.", whose(*who));
        }
        Elimination::SponsorGaps { whose: who } => {
            return format!("{} lacks facts that a political notice needs (Art. 12(1)).", whose(*who));
        }
        Elimination::NoRate { currency } => {
            return format!("The publisher has no dated rate for {currency}, so it cannot compete.");
        }
        Elimination::RightMissing => "It lacks a right to be shown; its declaration says which.",
        Elimination::DeclarationIncomplete => "Its political declaration is incomplete or not confirmed.",
        Elimination::StoppedAll => "All paid ads are stopped by the switch.",
        Elimination::StoppedSponsor => "Its sponsor is stopped by the switch.",
        Elimination::StoppedAd => "Its approved ads are stopped by the switch.",
        Elimination::NoAds => "It has no ad with a version.",
        Elimination::NotApproved => "None of its ads is approved together with a version.",
        Elimination::BlockedEverywhere => "The publisher shows no ads of its advertiser's category.",
        Elimination::PoliticalPlacement => "The placement shows no political ads.",
        Elimination::BlockedAdvertiser => "The placement blocks its advertiser.",
        Elimination::BlockedCategory => "The placement blocks its advertiser's category.",
        Elimination::Format => "None of its approved versions has a size or format that fits the placement.",
        Elimination::BlockedDomain => "The placement blocks the domain that its ads lead to.",
        Elimination::HouseOnly => "Only house ads are shown at the moment.",
        Elimination::Budget => "A budget that it draws on is spent, or held by ads already handed out.",
        Elimination::Roadblock { filled_count: 0, .. } => {
            "Its campaign takes all places of a request or none; it did not win the first, or one was taken."
        }
        Elimination::Roadblock { filled_count, places_count } => {
            return format!(
                "Its campaign takes all places of a request or none, and had ads for {filled_count} of {places_count}."
            );
        }
        Elimination::Roadblocked => "Another campaign took all places of this request.",
        Elimination::PoliticalFirst => {
            "The place went to a political ad, which is decided first and without knowing the visitor."
        }
        Elimination::SameAdvertiser => "This request already shows an ad of its advertiser.",
        Elimination::SameCategory => "This request already shows an ad of a competitor (same category).",
        Elimination::SameAd => "This request already shows all of its ads that fit.",
        Elimination::HouseNotDrawn => "Another house ad was drawn.",
        Elimination::HeldOut => "It won, and its experiment holds this one out; the runner-up was served.",
        _ => "Its targeting does not fit.",
    };
    text.to_owned()
}

fn event(billing: Billing) -> &'static str {
    match billing {
        Billing::None => "free of a price by event",
        Billing::Impression => "for the impression",
        Billing::Click => "for a click",
        Billing::Conversion => "for a conversion",
    }
}

/// How a place was sold.
#[derive(Clone, Copy)]
pub(super) struct Sale {
    pub(super) kind: AuctionKind,
    pub(super) weight_ppm: u32,
    /// So many places were sold together with it, itself included; 0 when it was sold by itself.
    pub(super) together_count: usize,
}

/// How places were sold together.
pub(super) fn together(joint: &JointAuction) -> String {
    let JointAuction { slots, finalists_count, steps_count, .. } = joint;
    let how = match joint.method {
        JointMethod::Exact => {
            format!("the best of all assignments of {finalists_count} finalists, in {steps_count} steps")
        }
        JointMethod::ExactAmongBest => format!(
            "the best assignment of the {finalists_count} finalists of highest worth (there were more), in {steps_count} steps"
        ),
        JointMethod::InOrder => {
            format!("one after another at the second price, since the search had taken {steps_count} steps")
        }
    };
    format!("{} places were sold together: {how}.", slots.len())
}

/// How the winner won and how its price came about. `floor` is the reserve in the account's currency and the
/// auction currency.
pub(super) fn won(
    fill: &Fill,
    ad_set: &AdSetFacts,
    row: Row,
    runner_up: Option<(AdSetId, i64)>,
    floor: (i64, Currency),
    sale: Sale,
    why: &str,
) -> String {
    let (floor_nanos, auction) = floor;
    let rate_ppb = match fill.billing {
        Billing::Click => row.click_ppb,
        Billing::Conversion => row.conversion_ppb,
        Billing::Impression | Billing::None => PPB,
    };
    let price = Nanos(i128::from(fill.price_nanos)).display(fill.currency, 9);
    let paid = match fill.billing {
        Billing::None => event(fill.billing).to_owned(),
        billing => format!("pays {price} {} {}", fill.currency, event(billing)),
    };
    let why = if why.is_empty() { String::new() } else { format!(" {why}") };
    let drawn = format!("{} was drawn with probability {:.6}.{why}", fill.version, fill.propensity);
    let how = match fill.tier {
        TierKind::Sponsorship => "Won: the request fell into its share of voice".to_owned(),
        TierKind::Guaranteed => {
            format!("Won: its goal needs the impression most ({} behind)", percent(row.need_ppm))
        }
        TierKind::House => "Won: no paid ad took the place, and it was drawn among the house ads".to_owned(),
        TierKind::Auction if sale.together_count > 0 => {
            let here = i128::from(ad_set.score_nanos(rate_ppb)) * i128::from(sale.weight_ppm) / 1_000_000;
            let worth = per_mille(i64::try_from(here).unwrap_or(i64::MAX), auction);
            let floor = per_mille(floor_nanos, fill.currency);
            format!(
                "Won one of {} places sold together: worth {worth} here; its price is what its presence costs the others, at least the floor of {floor}",
                sale.together_count
            )
        }
        TierKind::Auction if sale.kind == AuctionKind::FirstPrice => {
            let worth = per_mille(ad_set.score_nanos(rate_ppb), auction);
            format!("Won the auction at its own price: worth {worth}")
        }
        TierKind::Auction => {
            let worth = per_mille(ad_set.score_nanos(rate_ppb), auction);
            let by = match runner_up {
                Some((id, value)) => format!("the next was {id} with {}", per_mille(value, auction)),
                None => "nobody else of another advertiser took part".to_owned(),
            };
            let floor = per_mille(floor_nanos, fill.currency);
            format!("Won the auction: worth {worth}; {by}; the floor is {floor}")
        }
    };
    format!("{how}; {paid}; {drawn}")
}
