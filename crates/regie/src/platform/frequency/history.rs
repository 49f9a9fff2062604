//! What one visitor was shown, as far as some cap asks, and what caps there are.

use regie_decide::{Counted, Fill, VisitorCount};
use regie_model::{
    AdId, AdSetId, CampaignId, UtcMs,
    booking::{CapPeriod, CapScope, FrequencyCap},
    catalogue::Catalogue,
};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Impressions that one visitor's history tells apart; of more, the oldest of the same ad are added up, then forgotten.
pub const SEEN_COUNT_MAX: usize = 48;
/// How long something seen counts, in minutes: 90 days, and so does the longest cap.
const REMEMBERED_MINUTES: u32 = 90 * 24 * 60;
const WEEK_MINUTES: u32 = 7 * 24 * 60;

/// Impressions of one ad at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    campaign: CampaignId,
    ad_set: AdSetId,
    ad: AdId,
    /// Since 1970.
    minute: u32,
    count: u16,
}
impl Seen {
    /// One impression of a fill, at a time.
    pub fn of(fill: &Fill, at: UtcMs) -> Seen {
        let minute = u32::try_from(at.minute()).unwrap_or(0);
        Seen { campaign: fill.campaign, ad_set: fill.ad_set, ad: fill.ad, minute, count: 1 }
    }
    fn is(&self, what: Counted) -> bool {
        match what {
            Counted::Campaign(id) => self.campaign == id,
            Counted::AdSet(id) => self.ad_set == id,
            Counted::Ad(id) => self.ad == id,
        }
    }
    fn counted(&self, scope: CapScope) -> Counted {
        match scope {
            CapScope::Campaign => Counted::Campaign(self.campaign),
            CapScope::AdSet => Counted::AdSet(self.ad_set),
            CapScope::Ad => Counted::Ad(self.ad),
        }
    }
    fn same(&self, other: &Seen) -> bool {
        (self.campaign, self.ad_set, self.ad) == (other.campaign, other.ad_set, other.ad)
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
struct CampaignPlan {
    political: bool,
    /// Caps on the whole campaign, of any of its ad sets.
    caps: Vec<FrequencyCap>,
}

/// The caps over more than a page view.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    campaigns: HashMap<CampaignId, CampaignPlan>,
    /// Caps on the ad set and on its ads.
    ad_sets: HashMap<AdSetId, Vec<FrequencyCap>>,
}
impl Plan {
    /// Of everything booked.
    pub fn of(catalogue: &Catalogue) -> Plan {
        let mut plan = Plan::default();
        for (id, kept) in &catalogue.ad_sets {
            let caps = kept.spec.caps.iter().filter(|cap| cap.period != CapPeriod::PageView);
            for cap in caps {
                let campaign = plan.campaigns.entry(kept.spec.campaign).or_default();
                let booked = catalogue.campaigns.get(&kept.spec.campaign);
                campaign.political = booked.is_some_and(|c| c.spec.political.is_some());
                match cap.scope {
                    CapScope::Campaign => campaign.caps.push(*cap),
                    CapScope::AdSet | CapScope::Ad => plan.ad_sets.entry(*id).or_default().push(*cap),
                }
            }
        }
        plan
    }
    fn caps<'a>(&'a self, seen: &Seen) -> impl Iterator<Item = &'a FrequencyCap> {
        let of_campaign = self.campaigns.get(&seen.campaign).map(|c| c.caps.as_slice()).unwrap_or_default();
        let own = self.ad_sets.get(&seen.ad_set).map(Vec::as_slice).unwrap_or_default();
        of_campaign.iter().chain(own)
    }
}

/// The first minute that a period ending now covers. Periods slide: a day is the last 24 hours.
fn since(period: CapPeriod, now: u32) -> u32 {
    let minutes = match period {
        CapPeriod::PageView => 0,
        CapPeriod::Hour => 60,
        CapPeriod::Day => 24 * 60,
        CapPeriod::Week => WEEK_MINUTES,
        CapPeriod::Lifetime => REMEMBERED_MINUTES,
    };
    (now + 1).saturating_sub(minutes)
}

/// What one visitor was shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History(Vec<Seen>);
impl History {
    /// Nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    /// Entries, at most [`SEEN_COUNT_MAX`].
    pub fn len(&self) -> usize {
        self.0.len()
    }
    /// Cuts a history that came from outside to its limit.
    pub(super) fn within_limits(mut self) -> History {
        self.0.truncate(SEEN_COUNT_MAX);
        self
    }
    fn shown(&self, what: Counted, period: CapPeriod, now: u32) -> u32 {
        let first = since(period, now);
        let hit = self.0.iter().filter(|seen| seen.minute >= first && seen.is(what));
        hit.map(|seen| u32::from(seen.count)).fold(0, u32::saturating_add)
    }
    /// Counts as the decision reads them: only of what some cap asks, and never more than the largest cap, so that a
    /// kept decision (law D1) holds the fact used and no more.
    pub fn counts(&self, plan: &Plan, political: bool, at: UtcMs) -> Vec<VisitorCount> {
        let now = u32::try_from(at.minute()).unwrap_or(0);
        let mut counts: Vec<(VisitorCount, u32)> = Vec::new();
        for seen in &self.0 {
            if plan.campaigns.get(&seen.campaign).is_none_or(|c| c.political != political) {
                continue;
            }
            for cap in plan.caps(seen) {
                let (what, period, most) = (seen.counted(cap.scope), cap.period, cap.impressions_count);
                match counts.iter_mut().find(|(c, _)| c.what == what && c.period == period) {
                    Some((_, largest)) => *largest = most.max(*largest),
                    None => {
                        let count = self.shown(what, period, now);
                        counts.push((VisitorCount { what, period, count }, most));
                    }
                }
            }
        }
        let cut = |(count, most): (VisitorCount, u32)| VisitorCount { count: count.count.min(most), ..count };
        counts.into_iter().map(cut).filter(|count| count.count > 0).collect()
    }
    /// Whether one more would pass a cap.
    pub fn is_over(&self, plan: &Plan, more: &Seen, at: UtcMs) -> bool {
        let now = u32::try_from(at.minute()).unwrap_or(0);
        plan.caps(more)
            .any(|cap| self.shown(more.counted(cap.scope), cap.period, now) >= cap.impressions_count)
    }
    /// Forgets what is too old, what no cap asks for any more, and what there is no consent to keep.
    pub fn keep(&mut self, plan: &Plan, at: UtcMs, allowed: impl Fn(bool) -> bool) {
        let first = since(CapPeriod::Lifetime, u32::try_from(at.minute()).unwrap_or(0));
        let asked = |seen: &Seen| plan.campaigns.get(&seen.campaign).is_some_and(|c| allowed(c.political));
        self.0.retain(|seen| seen.minute >= first && asked(seen));
    }
    /// Adds an impression, if some cap of its campaign asks for it.
    pub fn add(&mut self, plan: &Plan, seen: Seen) {
        if !plan.campaigns.contains_key(&seen.campaign) {
            return;
        }
        if let Some(known) = self.0.iter_mut().find(|k| k.same(&seen) && k.minute == seen.minute) {
            known.count = known.count.saturating_add(1);
            return;
        }
        if self.0.len() >= SEEN_COUNT_MAX {
            self.make_room(seen.minute);
        }
        self.0.push(seen);
    }
    /// Adds up two entries of one ad, the oldest that no shorter cap can ask about; forgets the oldest where there are
    /// none.
    fn make_room(&mut self, now: u32) {
        self.0.sort_by_key(|seen| seen.minute);
        let week = since(CapPeriod::Week, now);
        let pair = self.0.iter().enumerate().find_map(|(at, seen)| {
            let later = self.0.iter().enumerate().skip(at + 1);
            let mut later = later.filter(|(_, other)| other.minute < week && other.same(seen));
            later.next().map(|(other, _)| (at, other))
        });
        match pair {
            Some((first, second)) => {
                let older = self.0.remove(first);
                if let Some(newer) = self.0.get_mut(second - 1) {
                    newer.count = newer.count.saturating_add(older.count);
                }
            }
            None => drop(self.0.remove(0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cap(scope: CapScope, period: CapPeriod, impressions_count: u32) -> FrequencyCap {
        FrequencyCap { scope, period, impressions_count }
    }
    fn plan() -> Plan {
        let caps = vec![cap(CapScope::Campaign, CapPeriod::Week, 5)];
        let campaigns = HashMap::from([(CampaignId(1), CampaignPlan { political: false, caps })]);
        let own = vec![cap(CapScope::AdSet, CapPeriod::Hour, 2), cap(CapScope::Ad, CapPeriod::Day, 1)];
        Plan { campaigns, ad_sets: HashMap::from([(AdSetId(1), own)]) }
    }
    fn seen(ad_set: u32, ad: u32, minute: u32) -> Seen {
        Seen { campaign: CampaignId(1), ad_set: AdSetId(ad_set), ad: AdId(ad), minute, count: 1 }
    }
    fn at(minute: u32) -> UtcMs {
        UtcMs(i64::from(minute) * 60_000)
    }

    #[test]
    fn periods_slide_and_each_scope_counts_its_own() {
        let (plan, mut history) = (plan(), History::default());
        let start = 1_000_000;
        history.add(&plan, seen(1, 1, start));
        history.add(&plan, seen(2, 9, start + 30));
        let count = |history: &History, what, period, minute| {
            let counts = history.counts(&plan, false, at(minute));
            counts.iter().find(|c| c.what == what && c.period == period).map_or(0, |c| c.count)
        };
        let (set, campaign) = (Counted::AdSet(AdSetId(1)), Counted::Campaign(CampaignId(1)));
        assert_eq!(count(&history, set, CapPeriod::Hour, start + 59), 1);
        assert_eq!(count(&history, set, CapPeriod::Hour, start + 60), 0, "an hour is over");
        assert_eq!(count(&history, campaign, CapPeriod::Week, start + 60), 2, "also of the set without caps");
        assert!(history.is_over(&plan, &seen(1, 1, start + 60), at(start + 60)), "the ad's day is full");
        assert!(!history.is_over(&plan, &seen(1, 2, start + 60), at(start + 60)));
        assert!(!history.is_over(&plan, &seen(1, 1, start + 1440), at(start + 1440)));
        // A campaign without caps is not remembered at all.
        history.add(&plan, Seen { campaign: CampaignId(7), ..seen(3, 3, start) });
        assert_eq!(history.len(), 2);
    }
    #[test]
    fn a_full_history_adds_up_what_is_old_and_forgets_the_oldest() {
        let (plan, mut history) = (plan(), History::default());
        for minute in 0..40 {
            history.add(&plan, seen(1, 1, minute));
        }
        let now = 2 * WEEK_MINUTES;
        for ad in 0..20 {
            history.add(&plan, seen(1, 100 + ad, now));
        }
        assert_eq!(history.len(), SEEN_COUNT_MAX);
        let lifetime = history.shown(Counted::Ad(AdId(1)), CapPeriod::Lifetime, now);
        assert_eq!(lifetime, 40, "added up, none lost");
        for ad in 0..60 {
            history.add(&plan, seen(1, 200 + ad, now + ad));
        }
        assert_eq!(history.len(), SEEN_COUNT_MAX);
        assert_eq!(history.shown(Counted::Ad(AdId(259)), CapPeriod::Day, now + 60), 1);
    }
    #[test]
    fn what_has_no_consent_or_no_cap_is_dropped() {
        let (plan, mut history) = (plan(), History::default());
        history.add(&plan, seen(1, 1, 5));
        let mut other = history.clone();
        history.keep(&plan, at(6), |political| !political);
        assert_eq!(history.len(), 1);
        history.keep(&plan, at(6 + REMEMBERED_MINUTES), |_| true);
        assert!(history.is_empty(), "too old");
        other.keep(&plan, at(6), |political| political);
        assert!(other.is_empty(), "no consent");
    }
}
