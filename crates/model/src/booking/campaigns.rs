//! Campaigns and ad sets: objective, money, time, targeting, and the declaration of a political ad.

use super::{AdaptSpec, ExperimentSpec, LearningSpec, check_amount};
use crate::{
    AdvertiserId, CampaignId, Currency, Faults, Micros, PartyId, UtcMs,
    booking::{TierKind, check_https},
    limits::*,
    targeting::Targeting,
};
use serde::{Deserialize, Serialize};

/// What a campaign is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Objective {
    /// To be shown.
    Impressions,
    /// To be seen.
    ViewableImpressions,
    /// To be clicked.
    Clicks,
    /// To bring about an action.
    Conversions,
}

/// From when to when something runs. The end is not included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flight {
    /// First moment.
    pub starts_at: UtcMs,
    /// First moment after the end; absent runs until stopped.
    #[serde(default)]
    pub ends_at: Option<UtcMs>,
}
impl Flight {
    /// Whether it runs at a moment.
    pub fn contains(&self, at: UtcMs) -> bool {
        self.starts_at <= at && self.ends_at.is_none_or(|end| at < end)
    }
    /// Adds every fault found.
    pub fn check(&self, field: &str, faults: &mut Faults) {
        let backwards = self.ends_at.is_some_and(|end| end <= self.starts_at);
        faults.when(
            backwards,
            format!("{field}.ends_at"),
            "contradiction",
            "The end must be after the start.",
        );
    }
}

/// An amount or benefit that another provider of political advertising services received (Art. 12(1)d).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OtherProvider {
    /// Who received it.
    pub provider: String,
    /// How much; absent for a benefit in kind.
    #[serde(default)]
    pub amount_micros: Option<Micros>,
    /// In which currency; required with an amount.
    #[serde(default)]
    pub currency: Option<Currency>,
    /// A benefit in kind, in words.
    #[serde(default)]
    pub in_kind: String,
}

/// Where the money comes from (Art. 12(1)e).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// Public money.
    pub public: bool,
    /// Private money.
    pub private: bool,
    /// From inside the Union.
    pub inside_union: bool,
    /// From outside the Union.
    pub outside_union: bool,
}

/// What a vote or legislative process is linked to the ad (Art. 11(1)c, 12(1)g).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkedProcess {
    /// `election`, `referendum`, `legislative_process`, in words the reader knows: "Municipal election, Example Town".
    pub name: String,
    /// The publisher's own entry for it, where it keeps one: its day and periods are then that one's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub election: Option<crate::ElectionId>,
    /// Its day, where it has one: `YYYY-MM-DD`.
    #[serde(default)]
    pub held_on: Option<crate::Day>,
    /// Official information on how to take part (Art. 12(1)h).
    #[serde(default)]
    pub official_url: Option<String>,
}

/// The declaration of a political campaign: the sponsor's facts for label and notice (Art. 7, 9, 11, 12).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Declaration {
    /// Linked elections, referendums, legislative processes; empty with `no_linked_process`.
    #[serde(default)]
    pub linked: Vec<LinkedProcess>,
    /// Declares that there is none.
    #[serde(default)]
    pub no_linked_process: bool,
    /// Amounts and benefits that every other provider in the chain received; empty with `no_other_provider`.
    #[serde(default)]
    pub other_providers: Vec<OtherProvider>,
    /// Declares that there is none.
    #[serde(default)]
    pub no_other_provider: bool,
    /// Where the money comes from.
    pub origin: Origin,
    /// Whether AI was used to target or deliver (Art. 19), as far as the sponsor knows; Regie adds its own.
    #[serde(default)]
    pub ai_used: bool,
    /// A right that is missing, in words: an ad without the right to be shown is not. Empty: none is known to be.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub right_missing: String,
    /// The sponsor declares that the facts are complete and correct.
    pub confirmed: bool,
}
impl Declaration {
    /// Adds every fault found: an incomplete declaration cannot be booked as active.
    pub fn check(&self, field: &str, faults: &mut Faults) {
        let at = |name: &str| format!("{field}.{name}");
        let silent = self.linked.is_empty() && !self.no_linked_process;
        faults.when(
            silent,
            at("linked"),
            "missing",
            "Name the linked vote or legislative process, or declare that there is none.",
        );
        let both = !self.linked.is_empty() && self.no_linked_process;
        faults.when(
            both,
            at("no_linked_process"),
            "contradiction",
            "Processes are listed, yet declared not to exist.",
        );
        for (index, process) in self.linked.iter().enumerate() {
            faults.text(&at(&format!("linked[{index}].name")), &process.name, NAME_CHARS_MAX);
            if let Some(url) = &process.official_url {
                check_https(&at(&format!("linked[{index}].official_url")), url, faults);
            }
        }
        let silent = self.other_providers.is_empty() && !self.no_other_provider;
        faults.when(
            silent,
            at("other_providers"),
            "missing",
            "List what other providers received (amount with currency, or benefit in kind), or declare that there is none.",
        );
        let both = !self.other_providers.is_empty() && self.no_other_provider;
        faults.when(
            both,
            at("no_other_provider"),
            "contradiction",
            "Providers are listed, yet declared not to exist.",
        );
        for (index, other) in self.other_providers.iter().enumerate() {
            let at = at(&format!("other_providers[{index}]"));
            faults.text(&format!("{at}.provider"), &other.provider, NAME_CHARS_MAX);
            let empty = other.amount_micros.is_none() && other.in_kind.trim().is_empty();
            faults.when(
                empty,
                format!("{at}.amount_micros"),
                "missing",
                "Give the amount, or describe the benefit in kind.",
            );
            let bare = other.amount_micros.is_some() && other.currency.is_none();
            faults.when(bare, format!("{at}.currency"), "missing", "An amount needs its currency.");
        }
        let origin = self.origin;
        faults.when(
            !origin.public && !origin.private,
            at("origin"),
            "missing",
            "Say whether the money is public or private.",
        );
        let nowhere = !origin.inside_union && !origin.outside_union;
        faults.when(
            nowhere,
            at("origin"),
            "missing",
            "Say whether the money comes from inside or outside the Union.",
        );
        faults.optional_text(&at("right_missing"), &self.right_missing, TEXT_CHARS_MAX);
        faults.when(
            !self.confirmed,
            at("confirmed"),
            "missing",
            "The sponsor must confirm that the declaration is complete and correct.",
        );
    }
}

/// A campaign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CampaignSpec {
    /// Who is billed.
    pub advertiser: AdvertiserId,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub objective: Objective,
    /// When it runs.
    pub flight: Flight,
    /// Most it may cost in all, micros of the account's currency.
    #[serde(default)]
    pub lifetime_budget_micros: Option<Micros>,
    /// Most it may cost in one account-zone day.
    #[serde(default)]
    pub daily_budget_micros: Option<Micros>,
    /// On whose behalf.
    pub sponsor: PartyId,
    /// Who pays.
    pub payer: PartyId,
    /// The declaration; present exactly for political campaigns.
    #[serde(default)]
    pub political: Option<Declaration>,
    /// Takes all places of a request or none; its ad sets are sponsorships or guaranteed.
    #[serde(default, skip_serializing_if = "super::auction::is_false")]
    pub roadblock: bool,
    /// What Regie may change by itself, and within which limits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adapt: Option<AdaptSpec>,
    /// The caller's own id, for imports that can be repeated.
    #[serde(default)]
    pub external_id: Option<String>,
}
impl CampaignSpec {
    /// Adds every fault found (references are checked against the catalogue elsewhere).
    pub fn check(&self, faults: &mut Faults) {
        faults.text("name", &self.name, NAME_CHARS_MAX);
        self.flight.check("flight", faults);
        check_budgets(self.lifetime_budget_micros, self.daily_budget_micros, faults);
        if let Some(adapt) = &self.adapt {
            adapt.check("adapt", faults);
        }
        if let Some(declaration) = &self.political {
            declaration.check("political", faults);
            let open = self.flight.ends_at.is_none();
            faults.when(
                open,
                "flight.ends_at",
                "missing",
                "A political ad's notice states its period: give an end.",
            );
        }
    }
}

fn check_budgets(lifetime: Option<Micros>, daily: Option<Micros>, faults: &mut Faults) {
    for (field, amount) in [("lifetime_budget_micros", lifetime), ("daily_budget_micros", daily)] {
        if let Some(amount) = amount {
            check_amount(field, amount.0, 0, faults);
        }
    }
    let contrary = matches!((lifetime, daily), (Some(life), Some(day)) if day > life);
    faults.when(
        contrary,
        "daily_budget_micros",
        "contradiction",
        "The daily budget is larger than the whole budget.",
    );
}

/// What is paid for, and how much. Micros of the account's currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Bid {
    /// Per thousand impressions.
    Cpm {
        /// Micros per mille.
        micros_per_mille: i64,
    },
    /// Per click.
    Cpc {
        /// Micros per click.
        micros_per_click: i64,
    },
    /// Per conversion of one action.
    Cpa {
        /// Micros per conversion.
        micros_per_conversion: i64,
        /// Which action counts (`order`, `signup` ...).
        action: String,
    },
    /// A fixed price for the flight, accrued evenly by account-zone day.
    FlatFee {
        /// Micros for the whole flight.
        total_micros: Micros,
    },
    /// House ads.
    Free,
}

/// Where an ad set stands in the order of service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Tier {
    /// A share of the matching requests.
    Sponsorship {
        /// Parts per million (250000 is 25%).
        share_ppm: u32,
    },
    /// An impression goal to be met by the end of the flight.
    Guaranteed {
        /// Impressions.
        impressions_count: u64,
    },
    /// Competes by value.
    Auction,
    /// The publisher's own.
    House,
}
impl Tier {
    /// The tier without its numbers.
    pub fn kind(&self) -> TierKind {
        match self {
            Tier::Sponsorship { .. } => TierKind::Sponsorship,
            Tier::Guaranteed { .. } => TierKind::Guaranteed,
            Tier::Auction => TierKind::Auction,
            Tier::House => TierKind::House,
        }
    }
}

/// How money is spread over time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pacing {
    /// Along the site's own traffic over the day.
    #[default]
    Even,
    /// As fast as possible.
    Asap,
}

/// What a cap counts over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CapPeriod {
    /// One page view: needs no token and no consent.
    PageView,
    /// One hour.
    Hour,
    /// 24 hours.
    Day,
    /// Seven days.
    Week,
    /// The flight.
    Lifetime,
}
/// What a cap counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CapScope {
    /// All ads of the campaign together.
    Campaign,
    /// All ads of the ad set together.
    AdSet,
    /// Each ad.
    Ad,
}
/// At most so many impressions for one visitor. Without a consented token it counts by page view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrequencyCap {
    /// What is counted.
    pub scope: CapScope,
    /// Over which time.
    pub period: CapPeriod,
    /// At most so many; above zero.
    pub impressions_count: u32,
}

/// An ad set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdSetSpec {
    /// Of which campaign.
    pub campaign: CampaignId,
    /// Its name.
    pub name: String,
    /// Which requests it may serve.
    #[serde(default)]
    pub targeting: Targeting,
    /// What is paid.
    pub bid: Bid,
    /// Place in the order of service.
    pub tier: Tier,
    /// How money is spread.
    #[serde(default)]
    pub pacing: Pacing,
    /// Caps.
    #[serde(default)]
    pub caps: Vec<FrequencyCap>,
    /// A narrower flight than the campaign's.
    #[serde(default)]
    pub flight: Option<Flight>,
    /// Most it may cost in all.
    #[serde(default)]
    pub lifetime_budget_micros: Option<Micros>,
    /// Most it may cost in one account-zone day.
    #[serde(default)]
    pub daily_budget_micros: Option<Micros>,
    /// The caller's own id, for imports that can be repeated.
    #[serde(default)]
    pub external_id: Option<String>,
    /// An experiment over what it shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experiment: Option<ExperimentSpec>,
    /// How it learns which of its versions to show; without it they are drawn by their booked weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learning: Option<LearningSpec>,
}
impl AdSetSpec {
    /// Normalises the targeting and adds every fault found.
    pub fn check(&mut self, faults: &mut Faults) {
        faults.text("name", &self.name, NAME_CHARS_MAX);
        self.targeting.check("targeting", faults);
        check_budgets(self.lifetime_budget_micros, self.daily_budget_micros, faults);
        if let Some(flight) = &self.flight {
            flight.check("flight", faults);
        }
        self.check_bid(faults);
        if let Some(experiment) = &self.experiment {
            experiment.check("experiment", faults);
        }
        if let Some(learning) = &self.learning {
            learning.check("learning", faults);
        }
        faults.when(
            self.caps.len() > CAPS_COUNT_MAX,
            "caps",
            "too_many",
            format!("At most {CAPS_COUNT_MAX} caps."),
        );
        for (index, cap) in self.caps.iter().enumerate() {
            faults.when(
                cap.impressions_count == 0,
                format!("caps[{index}].impressions_count"),
                "too_small",
                "At least 1.",
            );
        }
    }
    fn check_bid(&self, faults: &mut Faults) {
        let (field, price) = match &self.bid {
            Bid::Cpm { micros_per_mille } => ("bid.micros_per_mille", *micros_per_mille),
            Bid::Cpc { micros_per_click } => ("bid.micros_per_click", *micros_per_click),
            Bid::Cpa { micros_per_conversion, action } => {
                faults.text("bid.action", action, 64);
                ("bid.micros_per_conversion", *micros_per_conversion)
            }
            Bid::FlatFee { total_micros } => ("bid.total_micros", total_micros.0),
            Bid::Free => ("bid", 1),
        };
        faults.when(
            price <= 0,
            field,
            "too_small",
            "A price is above zero; for a free ad use bid kind \"free\" in tier \"house\".",
        );
        faults.when(
            price > AMOUNT_MICROS_MAX,
            field,
            "too_large",
            format!("At most {AMOUNT_MICROS_MAX} micros."),
        );
        let per_event = !matches!(self.bid, Bid::FlatFee { .. } | Bid::Free);
        faults.when(
            per_event && price > PRICE_MICROS_MAX,
            field,
            "too_large",
            format!("At most {PRICE_MICROS_MAX} micros."),
        );
        let house = matches!(self.tier, Tier::House);
        let free = matches!(self.bid, Bid::Free);
        faults.when(house != free, "bid", "contradiction", "House ads are free, and only house ads are.");
        let flat = matches!(self.bid, Bid::FlatFee { .. });
        let flat_in_auction = flat && matches!(self.tier, Tier::Auction);
        faults.when(
            flat_in_auction,
            "bid",
            "contradiction",
            "A flat fee cannot compete in an auction; choose sponsorship or guaranteed.",
        );
        if let Tier::Sponsorship { share_ppm } = self.tier {
            faults.when(
                !(1..=1_000_000).contains(&share_ppm),
                "tier.share_ppm",
                "out_of_range",
                "1 to 1000000 (100%).",
            );
        }
        if let Tier::Guaranteed { impressions_count } = self.tier {
            faults.when(
                impressions_count == 0,
                "tier.impressions_count",
                "too_small",
                "A goal of at least one impression.",
            );
        }
    }
    /// When it runs: its own flight, or the campaign's.
    pub fn flight_in(&self, campaign: &CampaignSpec) -> Flight {
        self.flight.unwrap_or(campaign.flight)
    }
}
