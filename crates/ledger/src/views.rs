//! What the ledger says when asked: remaining amounts, budgets, accounts, ads, counts.
//!
//! Refuses to change anything: every view takes `&self` and, where a day matters, the moment.

use crate::{
    apply::Ledger,
    books::{AdSet, Counts, Loss},
    budget::{Budget, DayBounds, Smallest},
    cells::Cells,
    counters::Counters,
    outcome::{LawBroken, Limit},
    traffic::Traffic,
};
use regie_model::{AdId, AdSetId, AdvertiserId, CampaignId, Currency, Day, Nanos, UtcMs, Zone};

/// What an ad set may still spend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remaining {
    /// The smallest of what account, campaign and ad set have left; `None`: nothing it does costs anything.
    pub nanos: Option<Nanos>,
    /// Which budget is the smallest.
    pub limit: Option<Limit>,
    /// Impressions left of a guaranteed goal; `None`: it has no goal.
    pub impressions_count: Option<u64>,
    /// The account-zone day.
    pub day: Day,
    /// When that day ends (the first moment of the next), and daily budgets begin anew.
    pub day_ends_at: UtcMs,
}

/// Whose budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// A campaign's.
    Campaign(CampaignId),
    /// An ad set's.
    AdSet(AdSetId),
}

/// A lifetime and a daily budget, and what became of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetView {
    /// In all; `None`: no such limit.
    pub lifetime: Option<Nanos>,
    /// A day; `None`: no such limit.
    pub daily: Option<Nanos>,
    /// Charged in all, before credits (a credit does not re-open a budget).
    pub gross: Nanos,
    /// Given back in all.
    pub credited: Nanos,
    /// Delivered free because the lifetime budget had nothing left.
    pub free_lifetime: Nanos,
    /// Delivered free because a day's budget had nothing left.
    pub free_daily: Nanos,
    /// The account-zone day of the next two.
    pub day: Day,
    /// Charged today.
    pub gross_today: Nanos,
    /// Delivered free today because one of these two budgets had nothing left.
    pub free_today: Nanos,
}
impl BudgetView {
    /// What is left of the smaller of the two; `None`: no limit.
    pub fn remaining(&self) -> Option<Nanos> {
        let lifetime = self.lifetime.map(|limit| (limit.0 - self.gross.0).max(0));
        let daily = self.daily.map(|limit| (limit.0 - self.gross_today.0).max(0));
        lifetime.into_iter().chain(daily).min().map(Nanos)
    }
}

/// An account's money.
#[derive(Clone, Debug, PartialEq)]
pub struct AccountView {
    /// Whose.
    pub advertiser: AdvertiserId,
    /// Its currency.
    pub currency: Currency,
    /// Its zone.
    pub zone: Zone,
    /// Paid in, in all.
    pub deposits: Nanos,
    /// Most that may be unpaid; `None`: prepaid.
    pub credit_limit: Option<Nanos>,
    /// Charged in all, before credits.
    pub gross: Nanos,
    /// Given back in all.
    pub credited: Nanos,
    /// Delivered free because the account had nothing left.
    pub free: Nanos,
    /// What may still be charged.
    pub remaining: Nanos,
}

impl Ledger {
    fn day(&self, ad_set: &AdSet, at: UtcMs) -> DayBounds {
        let account = &self.state.books.accounts[ad_set.account as usize];
        let known = account.today.start <= at && at < account.today.end;
        if known { account.today } else { DayBounds::of(&account.zone, at) }
    }

    /// What an ad set may still spend at `at`. One that is not booked, or any while billing stands still, may
    /// spend nothing; one with a free bid costs nothing (`nanos` is `None`).
    pub fn remaining(&self, ad_set: AdSetId, at: UtcMs) -> Remaining {
        let books = &self.state.books;
        let Some(index) = books.ad_set_index(ad_set) else {
            let day = DayBounds::of(&Zone::utc(), at);
            return Remaining {
                nanos: Some(Nanos::ZERO),
                limit: Some(Limit::NotBooked),
                impressions_count: None,
                day: day.day,
                day_ends_at: day.end,
            };
        };
        let ad_set = &books.ad_sets[index];
        let day = self.day(ad_set, at);
        let campaign = &books.campaigns[ad_set.campaign as usize].budget;
        let mut smallest = Smallest::default();
        if !ad_set.free {
            let stopped = self.state.stopped.is_some() || self.state.broken.is_some();
            let account = books.accounts[ad_set.account as usize].remaining();
            smallest.take(Some(if stopped { 0 } else { account }), Limit::Account);
            smallest.take(campaign.lifetime_left(), Limit::CampaignLifetime);
            smallest.take(campaign.daily_left(day.day), Limit::CampaignDaily);
            smallest.take(ad_set.budget.lifetime_left(), Limit::AdSetLifetime);
            smallest.take(ad_set.budget.daily_left(day.day), Limit::AdSetDaily);
        }
        Remaining {
            nanos: smallest.0.map(|(left, _)| Nanos(left)),
            limit: smallest.0.map(|(_, limit)| limit),
            impressions_count: ad_set.goal_count.map(|g| g.saturating_sub(ad_set.counts.impressions_count)),
            day: day.day,
            day_ends_at: day.end,
        }
    }

    /// A campaign's budgets at `at`.
    pub fn campaign_budget(&self, campaign: CampaignId, at: UtcMs) -> Option<BudgetView> {
        let campaign = &self.state.books.campaigns[self.state.books.campaign_index(campaign)?];
        let account = &self.state.books.accounts[campaign.account as usize];
        Some(view(&campaign.budget, DayBounds::of(&account.zone, at).day))
    }
    /// An ad set's budgets at `at`.
    pub fn ad_set_budget(&self, ad_set: AdSetId, at: UtcMs) -> Option<BudgetView> {
        let ad_set = &self.state.books.ad_sets[self.state.books.ad_set_index(ad_set)?];
        Some(view(&ad_set.budget, self.day(ad_set, at).day))
    }
    /// All budgets at `at`: campaigns, then ad sets, each in booking order.
    pub fn budgets(&self, at: UtcMs) -> Vec<(Scope, BudgetView)> {
        let books = &self.state.books;
        let days: Vec<Day> = books.accounts.iter().map(|a| DayBounds::of(&a.zone, at).day).collect();
        let campaigns = books
            .campaigns
            .iter()
            .map(|c| (Scope::Campaign(c.id), view(&c.budget, days[c.account as usize])));
        let ad_sets =
            books.ad_sets.iter().map(|s| (Scope::AdSet(s.id), view(&s.budget, days[s.account as usize])));
        campaigns.chain(ad_sets).collect()
    }
    /// The newest ticket epoch that was opened, 0 before the first.
    pub fn last_epoch(&self) -> u32 {
        self.state.epochs.last_key_value().map_or(0, |(epoch, _)| *epoch)
    }
    /// An account's money.
    pub fn account(&self, advertiser: AdvertiserId) -> Option<AccountView> {
        let account = &self.state.books.accounts[self.state.books.account_index(advertiser)?];
        Some(AccountView {
            advertiser,
            currency: account.currency,
            zone: account.zone.clone(),
            deposits: Nanos(account.deposits),
            credit_limit: account.credit_limit.map(Nanos),
            gross: Nanos(account.spent),
            credited: Nanos(account.credited),
            free: Nanos(account.free),
            remaining: Nanos(account.remaining()),
        })
    }
    /// All accounts, in booking order.
    pub fn accounts(&self) -> impl Iterator<Item = AccountView> {
        self.state.books.accounts.iter().filter_map(|account| self.account(account.id))
    }

    /// Everything counted for an ad; zeros when nothing happened to it.
    pub fn totals(&self, ad: AdId) -> Counters {
        self.state.ads.get(ad).map(|row| row.total).unwrap_or_default()
    }
    /// The same by account-zone day, oldest first; a credit stands on its own day.
    pub fn ad_days(&self, ad: AdId) -> &[(Day, Counters)] {
        self.state.ads.get(ad).map_or(&[], |row| &row.days)
    }
    /// Every ad that anything happened to, with its totals.
    pub fn ads(&self) -> impl Iterator<Item = (AdId, &Counters)> {
        self.state.ads.iter().map(|row| (row.id, &row.total))
    }
    /// Events of an ad set, free ones included.
    pub fn counts(&self, ad_set: AdSetId) -> Counts {
        self.ad_set(ad_set).map(|s| s.counts).unwrap_or_default()
    }
    /// Served and shown for tickets whose impression can no longer come: the estimate of lost beacons.
    pub fn loss(&self, ad_set: AdSetId) -> Loss {
        self.ad_set(ad_set).map(|s| s.loss).unwrap_or_default()
    }
    fn ad_set(&self, ad_set: AdSetId) -> Option<&AdSet> {
        self.state.books.ad_set_index(ad_set).map(|index| &self.state.books.ad_sets[index])
    }
    /// Requests by site and hour; reasons of the last hour.
    pub fn traffic(&self) -> &Traffic {
        &self.state.traffic
    }
    /// Requests by placement, hour, country and device.
    pub fn cells(&self) -> &Cells {
        &self.cells
    }
    /// Memory of duplicates: chunks of 512 tickets for impressions, for clicks, and conversions.
    pub fn uses_held(&self) -> (usize, usize, usize) {
        self.state.uses.sizes()
    }

    /// Checks the balances against each other: ad sets add up to campaigns, campaigns to accounts, months to
    /// ad sets, and no credit passes its charge.
    ///
    /// # Errors
    /// The law that a sum breaks.
    pub fn verify(&self) -> Result<(), LawBroken> {
        let books = &self.state.books;
        let differs = |what: String, left: i128, right: i128| {
            if left == right {
                return Ok(());
            }
            Err(LawBroken::new("B2", format!("{what}: {left} is not {right}")))
        };
        let (mut campaigns, mut accounts) =
            (vec![(0, 0); books.campaigns.len()], vec![(0, 0); books.accounts.len()]);
        for ad_set in &books.ad_sets {
            let rows = || ad_set.months.iter().flat_map(|m| &m.rows);
            let (gross, credited) = (rows().map(|r| r.gross).sum(), rows().map(|r| r.credited).sum());
            differs(format!("spent of {}", ad_set.id), ad_set.budget.spent, gross)?;
            differs(format!("credits of {}", ad_set.id), ad_set.budget.credited, credited)?;
            if credited > gross {
                return Err(LawBroken::new("B1", format!("{}: credits {credited} of {gross}", ad_set.id)));
            }
            let sum: &mut (i128, i128) = &mut campaigns[ad_set.campaign as usize];
            *sum = (sum.0 + gross, sum.1 + credited);
        }
        for (campaign, (gross, credited)) in books.campaigns.iter().zip(&campaigns) {
            differs(format!("spent of {}", campaign.id), campaign.budget.spent, *gross)?;
            differs(format!("credits of {}", campaign.id), campaign.budget.credited, *credited)?;
            let sum: &mut (i128, i128) = &mut accounts[campaign.account as usize];
            *sum = (sum.0 + gross, sum.1 + credited);
        }
        for (account, (gross, credited)) in books.accounts.iter().zip(&accounts) {
            differs(format!("spent of {}", account.id), account.spent, *gross)?;
            differs(format!("credits of {}", account.id), account.credited, *credited)?;
        }
        Ok(())
    }
}

fn view(budget: &Budget, day: Day) -> BudgetView {
    let today = budget.day == day;
    BudgetView {
        lifetime: budget.lifetime.map(Nanos),
        daily: budget.daily.map(Nanos),
        gross: Nanos(budget.spent),
        credited: Nanos(budget.credited),
        free_lifetime: Nanos(budget.free_lifetime),
        free_daily: Nanos(budget.free_daily),
        day,
        gross_today: Nanos(if today { budget.spent_today } else { 0 }),
        free_today: Nanos(if today { budget.free_today } else { 0 }),
    }
}
