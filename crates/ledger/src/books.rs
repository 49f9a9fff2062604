//! The books: accounts, campaigns and ad sets as the ledger knows them, in the order of the journal.
//!
//! Refuses to judge bookings: a change in the journal was accepted. One that contradicts the books all the
//! same (an unknown parent, an ad set that moves to another campaign) is passed over, never a panic.

use crate::{
    budget::{Account, Budget},
    hash::FastMap,
    outcome::Outcome,
};
use regie_model::{
    AdSetId, AdvertiserId, CampaignId, Day, Micros,
    booking::{AdSetSpec, AdvertiserSpec, Bid, CampaignSpec, Flight, Status, Tier},
    command::{Change, EntityRef},
    ticket::Billing,
};
use serde::{Deserialize, Serialize};

/// What a charge is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChargeKind {
    /// Impressions.
    Impression,
    /// Clicks.
    Click,
    /// Conversions.
    Conversion,
    /// Days of a flat fee.
    FlatFee,
}
impl ChargeKind {
    /// All kinds, in the order of invoice lines.
    pub const ALL: [ChargeKind; 4] =
        [ChargeKind::Impression, ChargeKind::Click, ChargeKind::Conversion, ChargeKind::FlatFee];
    /// A stable word.
    pub fn word(self) -> &'static str {
        ["impression", "click", "conversion", "flat_fee"][self as usize]
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Campaign {
    pub id: CampaignId,
    pub account: u32,
    pub budget: Budget,
    pub flight: Flight,
    pub status: Status,
}

/// Events of an ad set, free ones included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Ads shown.
    pub impressions_count: u64,
    /// Ads seen.
    pub viewable_count: u64,
    /// Ads clicked.
    pub clicks_count: u64,
    /// Actions after clicks.
    pub conversions_count: u64,
}

/// Served and shown, for tickets whose impression can no longer come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// Ads handed out.
    pub served_count: u64,
    /// Impressions of them that arrived.
    pub impressions_count: u64,
}
impl Loss {
    /// Ads handed out of which no impression came; 0 when a crash lost counts of what was handed out.
    pub fn lost_count(&self) -> u64 {
        self.served_count.saturating_sub(self.impressions_count)
    }
    /// The lost share in parts per million, rounded down.
    pub fn lost_ppm(&self) -> u64 {
        let lost = u128::from(self.lost_count()) * 1_000_000;
        lost.checked_div(u128::from(self.served_count)).map_or(0, |ppm| ppm as u64)
    }
}

/// One charge kind of one month, for the invoice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MonthRow {
    pub quantity: u64,
    pub gross: i128,
    pub credited: i128,
}
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Month {
    pub month: (i16, i8),
    pub rows: [MonthRow; 4],
}

/// A flat fee: its whole price, what has accrued of it, up to which day.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct FlatFee {
    pub total: Option<i128>,
    pub accrued: i128,
    pub last_day: Option<Day>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct AdSet {
    pub id: AdSetId,
    pub campaign: u32,
    pub account: u32,
    pub budget: Budget,
    pub flight: Option<Flight>,
    pub status: Status,
    /// Nothing it does costs anything now.
    pub free: bool,
    /// Highest price ever booked, by [`Billing`]; below zero: never.
    pub highest: [i64; 4],
    /// The action of its last bid per conversion.
    pub action: Option<String>,
    pub goal_count: Option<u64>,
    pub flat: FlatFee,
    pub counts: Counts,
    pub loss: Loss,
    pub months: Vec<Month>,
}
impl AdSet {
    fn put(&mut self, spec: &AdSetSpec) {
        self.budget.put(spec.lifetime_budget_micros, spec.daily_budget_micros);
        self.flight = spec.flight;
        self.goal_count = match spec.tier {
            Tier::Guaranteed { impressions_count } => Some(impressions_count),
            _ => None,
        };
        self.free = spec.bid == Bid::Free;
        self.flat.total = None;
        match &spec.bid {
            Bid::Cpm { micros_per_mille } => self.raise(Billing::Impression, *micros_per_mille),
            Bid::Cpc { micros_per_click } => {
                self.raise(Billing::Click, micros_per_click.saturating_mul(1_000))
            }
            Bid::Cpa { micros_per_conversion, action } => {
                self.raise(Billing::Conversion, micros_per_conversion.saturating_mul(1_000));
                self.action = Some(action.clone());
            }
            Bid::FlatFee { total_micros: Micros(total) } => {
                self.flat.total = Some(i128::from((*total).max(0)) * 1_000);
            }
            Bid::Free => {}
        }
    }
    fn raise(&mut self, billing: Billing, nanos: i64) {
        let highest = &mut self.highest[billing as usize];
        *highest = nanos.max(*highest);
    }
    /// The row of a month and kind; months come in order.
    #[inline]
    pub(crate) fn month_row(&mut self, month: (i16, i8), kind: ChargeKind) -> &mut MonthRow {
        if self.months.last().is_none_or(|last| last.month != month) {
            self.months.push(Month { month, rows: [MonthRow::default(); 4] });
        }
        let last = self.months.len() - 1;
        &mut self.months[last].rows[kind as usize]
    }
}

/// Everything that has a budget. Vectors are in journal order; the maps find by id.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Books {
    pub accounts: Vec<Account>,
    pub campaigns: Vec<Campaign>,
    pub ad_sets: Vec<AdSet>,
    pub tax_rate_ppm: u32,
    #[serde(skip)]
    account_of: FastMap<AdvertiserId, u32>,
    #[serde(skip)]
    campaign_of: FastMap<CampaignId, u32>,
    #[serde(skip)]
    ad_set_of: FastMap<AdSetId, u32>,
}
impl Books {
    #[inline]
    pub(crate) fn ad_set_index(&self, id: AdSetId) -> Option<usize> {
        self.ad_set_of.get(&id).map(|i| *i as usize)
    }
    pub(crate) fn campaign_index(&self, id: CampaignId) -> Option<usize> {
        self.campaign_of.get(&id).map(|i| *i as usize)
    }
    pub(crate) fn account_index(&self, id: AdvertiserId) -> Option<usize> {
        self.account_of.get(&id).map(|i| *i as usize)
    }
    /// The flight of an ad set: its own, or its campaign's.
    pub(crate) fn flight_of(&self, ad_set: &AdSet) -> Flight {
        ad_set.flight.unwrap_or(self.campaigns[ad_set.campaign as usize].flight)
    }

    /// Takes a change over that concerns money.
    pub(crate) fn apply(&mut self, change: &Change) -> Outcome {
        match change {
            Change::PublisherPut { spec } => self.tax_rate_ppm = spec.tax_rate_ppm,
            Change::AdvertiserPut { id, spec } => self.put_account(*id, spec),
            Change::CampaignPut { id, spec } => self.put_campaign(*id, spec),
            Change::AdSetPut { id, spec } => self.put_ad_set(*id, spec),
            Change::StatusSet { entity: EntityRef::Campaign(id), status } => {
                if let Some(index) = self.campaign_index(*id) {
                    self.campaigns[index].status = *status;
                }
            }
            Change::StatusSet { entity: EntityRef::AdSet(id), status } => {
                if let Some(index) = self.ad_set_index(*id) {
                    self.ad_sets[index].status = *status;
                }
            }
            Change::Deposited { advertiser, amount_micros, .. } => {
                if let Some(index) = self.account_index(*advertiser) {
                    self.accounts[index].deposits += amount_micros.to_nanos().0;
                }
            }
            _ => {}
        }
        Outcome::Other
    }

    fn put_account(&mut self, id: AdvertiserId, spec: &AdvertiserSpec) {
        match self.account_index(id) {
            Some(index) => self.accounts[index].put(spec),
            None => {
                self.account_of.insert(id, self.accounts.len() as u32);
                self.accounts.push(Account::new(id, spec));
            }
        }
    }
    fn put_campaign(&mut self, id: CampaignId, spec: &CampaignSpec) {
        if let Some(index) = self.campaign_index(id) {
            let campaign = &mut self.campaigns[index];
            campaign.budget.put(spec.lifetime_budget_micros, spec.daily_budget_micros);
            campaign.flight = spec.flight;
        } else if let Some(account) = self.account_index(spec.advertiser) {
            self.campaign_of.insert(id, self.campaigns.len() as u32);
            self.campaigns.push(Campaign {
                id,
                account: account as u32,
                budget: Budget::new(spec.lifetime_budget_micros, spec.daily_budget_micros),
                flight: spec.flight,
                status: Status::Active,
            });
        }
    }
    fn put_ad_set(&mut self, id: AdSetId, spec: &AdSetSpec) {
        if let Some(index) = self.ad_set_index(id) {
            self.ad_sets[index].put(spec);
        } else if let Some(campaign) = self.campaign_index(spec.campaign) {
            let mut ad_set = AdSet {
                id,
                campaign: campaign as u32,
                account: self.campaigns[campaign].account,
                budget: Budget::new(None, None),
                flight: None,
                status: Status::Active,
                free: false,
                highest: [-1; 4],
                action: None,
                goal_count: None,
                flat: FlatFee::default(),
                counts: Counts::default(),
                loss: Loss::default(),
                months: Vec::new(),
            };
            ad_set.put(spec);
            self.ad_set_of.insert(id, self.ad_sets.len() as u32);
            self.ad_sets.push(ad_set);
        }
    }

    /// Makes the maps anew after reading a checkpoint.
    ///
    /// # Errors
    /// Names a reference that leads nowhere, or an id that stands twice.
    pub(crate) fn index(&mut self) -> Result<(), String> {
        self.account_of = self.accounts.iter().zip(0..).map(|(a, i)| (a.id, i)).collect();
        self.campaign_of = self.campaigns.iter().zip(0..).map(|(c, i)| (c.id, i)).collect();
        self.ad_set_of = self.ad_sets.iter().zip(0..).map(|(s, i)| (s.id, i)).collect();
        let twice = self.account_of.len() != self.accounts.len()
            || self.campaign_of.len() != self.campaigns.len()
            || self.ad_set_of.len() != self.ad_sets.len();
        if twice {
            return Err("an id stands twice in the books".into());
        }
        for campaign in &self.campaigns {
            if campaign.account as usize >= self.accounts.len() {
                return Err(format!("{} has no account", campaign.id));
            }
        }
        for ad_set in &self.ad_sets {
            let campaign = self.campaigns.get(ad_set.campaign as usize);
            if campaign.is_none_or(|c| c.account != ad_set.account) {
                return Err(format!("{} has no campaign of its account", ad_set.id));
            }
        }
        Ok(())
    }
}
