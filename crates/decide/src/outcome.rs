//! What came out: fills, no-fills with their reason, and why each candidate was not shown.
//!
//! Every reason has a stable code (counted, journalled) and numbers; the words are `explain`'s.

use regie_model::{
    AdId, AdSetId, AdvertiserId, CampaignId, Currency, PlacementId, SiteId, UtcMs, VersionId,
    booking::{CapPeriod, CapScope, Shape, Status, TierKind},
    creative::ObjectHash,
    ticket::Billing,
};
use serde::{Deserialize, Serialize};

/// The answer to one request: one slot for each placement asked for, in the same order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// The slots.
    pub slots: Vec<Slot>,
    /// How places were sold together, where they were.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub joint: Vec<JointAuction>,
}

/// Several places of a request that were sold together (VCG).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JointAuction {
    /// Which slots of the request, by number from 0.
    pub slots: Vec<u32>,
    /// It decided about political ads, and read nothing of the visitor (law P1).
    pub contextual: bool,
    /// How.
    pub method: JointMethod,
    /// Ad sets that could still win when the search began.
    pub finalists_count: u32,
    /// Steps of the search, payments included.
    pub steps_count: u32,
}

/// How places were sold together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JointMethod {
    /// By the best of all assignments.
    Exact,
    /// By the best assignment of the finalists of highest worth; there were more than may be searched.
    ExactAmongBest,
    /// Place by place, each at its second price: the search had taken all its steps.
    InOrder,
}
impl JointMethod {
    /// Stable machine word.
    pub fn code(self) -> &'static str {
        match self {
            JointMethod::Exact => "exact",
            JointMethod::ExactAmongBest => "exact_among_best",
            JointMethod::InOrder => "in_order",
        }
    }
}
impl Decision {
    /// The slots that got an ad.
    pub fn fills(&self) -> impl Iterator<Item = &Fill> {
        self.slots.iter().filter_map(|slot| match slot {
            Slot::Fill(fill) => Some(fill),
            Slot::NoFill { .. } => None,
        })
    }
}

/// One placement's answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Slot {
    /// An ad.
    Fill(Fill),
    /// None.
    NoFill {
        /// Where.
        placement: PlacementId,
        /// Why.
        reason: NoFill,
    },
}

/// An ad for a placement, with all that a ticket needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fill {
    /// Where.
    pub placement: PlacementId,
    /// Where.
    pub site: SiteId,
    /// Who is billed.
    pub advertiser: AdvertiserId,
    /// What is shown.
    pub campaign: CampaignId,
    /// What is shown.
    pub ad_set: AdSetId,
    /// What is shown.
    pub ad: AdId,
    /// What is shown.
    pub version: VersionId,
    /// Order of service it won in.
    pub tier: TierKind,
    /// Which event is charged.
    pub billing: Billing,
    /// Price of that event, nanos of `currency`; never above the bid.
    pub price_nanos: i64,
    /// The account's currency.
    pub currency: Currency,
    /// Rate to the auction currency, times 10^9.
    pub rate_nanos: i64,
    /// Exact probability of the version, given the ad set and the versions eligible here (law D2): in (0, 1].
    #[serde(with = "exact")]
    pub propensity: f64,
    /// Predicted rate of the charged event; 1 for impressions and for ads that are not charged.
    pub predicted_rate: f32,
    /// The approved creative.
    pub creative: ObjectHash,
    /// Its shape.
    pub shape: Shape,
    /// The ad is political.
    pub political: bool,
    /// What a budget holds for it until the ticket expires: the price for impressions, price x predicted rate
    /// (rounded up) for clicks and conversions, 0 otherwise. Nanos of `currency`.
    pub hold_nanos: i64,
}

/// Why a placement got no ad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoFill {
    /// The publisher's settings are missing.
    NotSetUp,
    /// More placements than one request may ask for.
    TooManyPlacements,
    /// There is no such placement.
    UnknownPlacement,
    /// The placement is on another site.
    OtherSite,
    /// The site is not active.
    SiteNotActive,
    /// The placement is not active.
    PlacementNotActive,
    /// No ad set that may deliver is targeted at this request.
    NothingMatches,
    /// Some matched, and all were eliminated; this is the reason of the one that came furthest.
    Eliminated(Stage),
}
impl NoFill {
    /// Stable machine word.
    pub fn code(self) -> &'static str {
        match self {
            NoFill::NotSetUp => "not_set_up",
            NoFill::TooManyPlacements => "too_many_placements",
            NoFill::UnknownPlacement => "unknown_placement",
            NoFill::OtherSite => "other_site",
            NoFill::SiteNotActive => "site_not_active",
            NoFill::PlacementNotActive => "placement_not_active",
            NoFill::NothingMatches => "nothing_matches",
            NoFill::Eliminated(stage) => stage.code(),
        }
    }
}

macro_rules! stages {
    ($($(#[$doc:meta])* $name:ident $code:literal;)*) => {
        /// At which check an ad set fell out, in the order of the checks.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Stage { $($(#[$doc])* $name,)* }
        impl Stage {
            /// All, in order.
            pub const ALL: &'static [Stage] = &[$(Stage::$name),*];
            /// Stable machine word.
            pub fn code(self) -> &'static str {
                match self { $(Stage::$name => $code,)* }
            }
        }
    };
}
stages! {
    /// It, its campaign, advertiser or ads are drafts, paused or archived.
    NotActive "not_active";
    /// A reference leads nowhere.
    Incomplete "incomplete";
    /// Sponsor or payer are not what the label and the notice need.
    Sponsor "sponsor_incomplete";
    /// A switch stopped it.
    Stopped "stopped";
    /// No ad or version of it is approved.
    NotApproved "not_approved";
    /// No dated rate for its currency.
    NoRate "no_rate";
    /// The publisher shows no such category anywhere.
    BlockedEverywhere "blocked_everywhere";
    /// A political ad set names a fact that law P1 keeps from it.
    PoliticalTargeting "political_targeting";
    /// Its targeting does not fit.
    Targeting "targeting";
    /// Its flight has not begun.
    NotBegun "flight_not_begun";
    /// Its flight is over.
    Ended "flight_ended";
    /// Its sponsor may not advertise so shortly before a vote.
    BeforeVote "sponsor_before_vote";
    /// The placement shows no political ads.
    PoliticalPlacement "political_placement";
    /// The placement blocks its advertiser.
    BlockedAdvertiser "blocked_advertiser";
    /// The placement blocks its category.
    BlockedCategory "blocked_category";
    /// None of its versions fits the placement.
    Format "wrong_format";
    /// The placement blocks the domains it leads to.
    BlockedDomain "blocked_domain";
    /// Only house ads are shown at the moment.
    HouseOnly "house_only";
    /// A budget it draws on is spent or held.
    Budget "budget";
    /// It sat this request out to spread its budget.
    Paced "paced";
    /// The visitor, or this page view, has seen enough of it.
    Frequency "frequency";
    /// Its advertiser or one of its competitors is in this request already, or the same ad.
    Separation "separation";
    /// Its campaign takes all places of a request or none, and could not.
    Roadblock "roadblock";
    /// Its value is below the placement's floor.
    Floor "floor";
    /// A political ad took the place, which is decided without knowing the visitor.
    PoliticalFirst "political_first";
    /// An ad of an earlier tier took the place.
    EarlierTier "earlier_tier";
    /// Another one was drawn or needed it more.
    NotDrawn "not_drawn";
    /// Another one was worth more.
    Outbid "outbid";
    /// It won, and its experiment holds this unit out: a ghost impression. The runner-up was served.
    HeldOut "held_out";
}

/// Whose status or record is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whose {
    /// The ad set.
    AdSet,
    /// Its campaign.
    Campaign,
    /// Its advertiser.
    Advertiser,
    /// Its sponsor.
    Sponsor,
    /// Its payer.
    Payer,
    /// All of its ads or versions.
    Ads,
}

/// Why a candidate was not shown, with the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Elimination {
    NotActive {
        whose: Whose,
        status: Status,
    },
    Incomplete {
        whose: Whose,
    },
    SponsorUnknown {
        whose: Whose,
    },
    SponsorErased {
        whose: Whose,
    },
    SponsorGaps {
        whose: Whose,
    },
    DeclarationIncomplete,
    RightMissing,
    StoppedAll,
    StoppedSponsor,
    StoppedAd,
    NoAds,
    NotApproved,
    NoRate {
        currency: Currency,
    },
    BlockedEverywhere,
    PoliticalTargeting {
        clause: u32,
    },
    Targeting {
        clause: u32,
    },
    NotBegun {
        starts_at: UtcMs,
    },
    Ended {
        ended_at: UtcMs,
    },
    BeforeVote {
        until: UtcMs,
    },
    PoliticalPlacement,
    BlockedAdvertiser,
    BlockedCategory,
    Format,
    BlockedDomain,
    HouseOnly,
    Budget,
    Paced {
        pass_ppm: u32,
        drawn_ppm: u32,
    },
    Frequency {
        scope: CapScope,
        period: CapPeriod,
        shown_count: u32,
        cap_count: u32,
    },
    SameAdvertiser,
    SameCategory,
    SameAd,
    /// Its campaign takes all places or none.
    Roadblock {
        filled_count: u32,
        places_count: u32,
    },
    /// Another campaign took all places.
    Roadblocked,
    PoliticalFirst,
    /// Nanos an impression, account's currency.
    Floor {
        value_nanos: i64,
        floor_nanos: i64,
    },
    EarlierTier {
        tier: TierKind,
    },
    ShareNotDrawn {
        share_ppm: u32,
        drawn_ppm: u32,
    },
    LessNeed {
        need_ppm: u32,
        best_ppm: u32,
    },
    HouseNotDrawn,
    /// Nanos an impression, auction currency.
    Outbid {
        value_nanos: i64,
        best_nanos: i64,
    },
    /// It would have won: a ghost impression.
    HeldOut,
}
impl Elimination {
    /// At which check.
    pub fn stage(&self) -> Stage {
        match self {
            Elimination::NotActive { .. } => Stage::NotActive,
            Elimination::Incomplete { .. } | Elimination::NoAds => Stage::Incomplete,
            Elimination::SponsorUnknown { .. }
            | Elimination::SponsorErased { .. }
            | Elimination::SponsorGaps { .. }
            | Elimination::DeclarationIncomplete
            | Elimination::RightMissing => Stage::Sponsor,
            Elimination::StoppedAll | Elimination::StoppedSponsor | Elimination::StoppedAd => Stage::Stopped,
            Elimination::NotApproved => Stage::NotApproved,
            Elimination::NoRate { .. } => Stage::NoRate,
            Elimination::BlockedEverywhere => Stage::BlockedEverywhere,
            Elimination::PoliticalTargeting { .. } => Stage::PoliticalTargeting,
            Elimination::Targeting { .. } => Stage::Targeting,
            Elimination::NotBegun { .. } => Stage::NotBegun,
            Elimination::Ended { .. } => Stage::Ended,
            Elimination::BeforeVote { .. } => Stage::BeforeVote,
            Elimination::PoliticalPlacement => Stage::PoliticalPlacement,
            Elimination::BlockedAdvertiser => Stage::BlockedAdvertiser,
            Elimination::BlockedCategory => Stage::BlockedCategory,
            Elimination::Format => Stage::Format,
            Elimination::BlockedDomain => Stage::BlockedDomain,
            Elimination::HouseOnly => Stage::HouseOnly,
            Elimination::Budget => Stage::Budget,
            Elimination::Paced { .. } => Stage::Paced,
            Elimination::Frequency { .. } => Stage::Frequency,
            Elimination::SameAdvertiser | Elimination::SameCategory | Elimination::SameAd => {
                Stage::Separation
            }
            Elimination::Roadblock { .. } => Stage::Roadblock,
            Elimination::PoliticalFirst => Stage::PoliticalFirst,
            Elimination::Floor { .. } => Stage::Floor,
            Elimination::EarlierTier { .. } => Stage::EarlierTier,
            Elimination::ShareNotDrawn { .. }
            | Elimination::LessNeed { .. }
            | Elimination::HouseNotDrawn
            | Elimination::Roadblocked => Stage::NotDrawn,
            Elimination::Outbid { .. } => Stage::Outbid,
            Elimination::HeldOut => Stage::HeldOut,
        }
    }
    /// Stable machine word.
    pub fn code(&self) -> &'static str {
        self.stage().code()
    }
}

mod exact {
    //! A fraction in JSON is a text of its shortest digits: readers of JSON numbers may be off by the last bit, and a decision
    //! is kept byte for byte (law D1). A number is read too, as it was written before.
    use serde::{Deserializer, Serializer, de};
    use std::fmt;
    pub fn serialize<S: Serializer>(value: &f64, s: S) -> Result<S::Ok, S::Error> {
        if s.is_human_readable() { s.collect_str(value) } else { s.serialize_f64(*value) }
    }
    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<f64, D::Error> {
        if d.is_human_readable() { d.deserialize_any(Fraction) } else { d.deserialize_f64(Fraction) }
    }
    struct Fraction;
    impl de::Visitor<'_> for Fraction {
        type Value = f64;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a fraction")
        }
        fn visit_f64<E: de::Error>(self, value: f64) -> Result<f64, E> {
            Ok(value)
        }
        fn visit_u64<E: de::Error>(self, value: u64) -> Result<f64, E> {
            Ok(value as f64)
        }
        fn visit_i64<E: de::Error>(self, value: i64) -> Result<f64, E> {
            Ok(value as f64)
        }
        fn visit_str<E: de::Error>(self, text: &str) -> Result<f64, E> {
            text.parse().map_err(de::Error::custom)
        }
    }
}
