//! What decisions and pages read: an immutable picture of the catalogue, swapped whole.
//!
//! It shows only what is durable: the builder holds new commands back for the moment it takes (R2). A change costs what
//! it touches: ad sets are compiled again one by one, and everything else in the picture is shared with the one before.

use super::{
    Platform,
    gate::{Budget, Draws},
    lock,
    sharded::Sharded,
};
use regie_decide::{Compiler, Merge, Merged, Request, Snapshot, Tables, Touched};
use regie_ledger::Ledger;
use regie_model::{
    AdId, AdSetId, AdvertiserId, CampaignId, PartyId, PlacementId, SiteId, UtcMs,
    booking::{PlacementSpec, PublisherSpec, SealedParty, SiteSpec, Status, TierKind},
    catalogue::Catalogue,
    targeting::Dimension,
};
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, atomic::Ordering},
};

/// What the tag, the label and the click need of an ad.
#[derive(Clone, Debug)]
pub struct AdView {
    /// The ad.
    pub id: AdId,
    /// Of which ad set.
    pub ad_set: AdSetId,
    /// Of which campaign.
    pub campaign: CampaignId,
    /// Who is billed.
    pub advertiser: AdvertiserId,
    /// Approved landing page; the only place a click goes to.
    pub landing_url: String,
    /// Approved third-party origins for its content security policy.
    pub third_party_origins: Vec<String>,
    /// Political advertisement.
    pub political: bool,
    /// On whose behalf.
    pub sponsor: PartyId,
    /// Who paid.
    pub payer: PartyId,
    /// Name of the sponsor; says that it is withheld once erased.
    pub sponsor_name: String,
    /// Name of the payer.
    pub payer_name: String,
    /// Who ultimately controls the sponsor, where declared.
    pub controller: String,
    /// Linked votes and processes, as declared.
    pub linked: Vec<String>,
    /// Its ad set is targeted (TTPA Art. 11(1)d).
    pub targeted: bool,
}

/// The picture. A copy costs next to nothing.
#[derive(Clone)]
pub struct View {
    /// Targeting index, prices, rates.
    pub snapshot: Snapshot,
    /// Settings.
    pub publisher: Option<PublisherSpec>,
    /// Sites.
    pub sites: Arc<HashMap<SiteId, SiteSpec>>,
    /// Placements by id.
    pub placements: Arc<HashMap<PlacementId, Arc<PlacementSpec>>>,
    /// Placements by site and name.
    pub by_name: Arc<HashMap<(SiteId, String), PlacementId>>,
    /// Ads that may be served.
    pub ads: Sharded<AdId, Arc<AdView>>,
    /// Names of parties, decrypted.
    pub parties: Arc<HashMap<PartyId, PartyView>>,
}

impl Default for View {
    fn default() -> View {
        View {
            snapshot: Snapshot::build(&Catalogue::new(), 0),
            publisher: None,
            sites: Arc::default(),
            placements: Arc::default(),
            by_name: Arc::default(),
            ads: Sharded::default(),
            parties: Arc::default(),
        }
    }
}

impl View {
    /// The request with its personal inputs reduced to the facts that a decision could use: a value that no targeting
    /// lists has no effect on any decision, and is dropped (law D1, for political decisions).
    pub fn reduce(&self, request: &Request) -> Request {
        let mut reduced = request.clone();
        let listed = |dimension: Dimension, value: &str| self.snapshot.lists(&dimension, value);
        reduced.location.city.take_if(|city| !listed(Dimension::City, city));
        reduced.location.region.take_if(|region| !listed(Dimension::Region, region));
        reduced.age_band.take_if(|band| !listed(Dimension::AgeBand, band));
        reduced.machine.os.take_if(|os| !listed(Dimension::Os, os));
        reduced.machine.browser.take_if(|browser| !listed(Dimension::Browser, browser));
        reduced.segments.retain(|segment| listed(Dimension::Segment, &segment.to_string()));
        reduced.page.key_values.retain(|(key, value)| listed(Dimension::Key(key.clone()), value));
        let country = reduced.location.country.map(|c| String::from_utf8_lossy(&c).into_owned());
        if country.is_some_and(|country| !listed(Dimension::Country, &country)) {
            reduced.location.country = None;
        }
        reduced
    }
}

/// A party as it may be shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartyView {
    /// Its name, or that it is withheld.
    pub name: String,
    /// Contact e-mail.
    pub email: String,
    /// Postal address.
    pub postal_address: String,
    /// Who controls it.
    pub controller: String,
    /// Register and number.
    pub register_id: String,
    /// Country of establishment.
    pub established_in: String,
    /// The identity was erased.
    pub withheld: bool,
}

/// What is shown in place of an erased name.
pub const WITHHELD: &str = "(withheld: identity erased on request)";

/// Which ads are in the record's log, and which may be served but are not.
#[derive(Default)]
pub struct Logged {
    ads: HashSet<AdId>,
    waiting: HashMap<AdId, AdSetId>,
}

/// Who follows the catalogue: the compiled ad sets and a merge on its way.
#[derive(Default)]
pub struct Following {
    compiler: Option<Compiler>,
    merge: MergeState,
    /// When the large stratum was last ordered, and at which predicted rates.
    ordered: Option<(UtcMs, Arc<Tables>)>,
}
/// Predicted rates move; the large stratum is ordered anew after so long at the earliest, for each 100,000 ad sets.
const ORDER_MS: i64 = 60_000;
/// A merge is asked for, at work elsewhere, or done.
#[derive(Default)]
enum MergeState {
    #[default]
    None,
    Running,
    Done(Merged),
}

impl Platform {
    /// Brings the picture up to the catalogue if that changed; true if it did. For a thread that may block.
    pub fn publish(&self) -> bool {
        let merged = self.adopt_merge();
        if !self.changed.swap(false, Ordering::SeqCst) {
            return merged;
        }
        let Some((held, changed_at)) = self.settle_commands(2_000) else {
            self.changed.store(true, Ordering::SeqCst);
            return merged;
        };
        let catalogue = self.catalogue();
        let touched = std::mem::take(&mut *lock(&self.touched));
        // The catalogue holds every durable change, and the folds may be behind it (D1).
        let position = lock(&self.folds).position().max(changed_at);
        let tables = self.tables.load_full();
        let mut following = lock(&self.following);
        let first = following.compiler.is_none();
        let snapshot = match &mut following.compiler {
            Some(compiler) => compiler.update(&catalogue, position, &touched, &tables),
            compiler => compiler.insert(Compiler::new(&catalogue, position, &tables)).snapshot(),
        };
        drop(following);
        let touched = if first { Touched::everything() } else { touched };
        let view = self.next_view(&catalogue, snapshot, &touched);
        self.hold_back_new(&catalogue, &view, &touched);
        self.update_draws(&catalogue, &touched);
        self.frequency.refresh(&catalogue);
        drop(catalogue);
        drop(held);
        match touched.everything {
            true => self.refresh_whole_gate(),
            false => self.refresh_budgets(&touched.ad_sets),
        }
        self.show(view);
        self.apply_halts();
        true
    }
    /// The next [`Platform::publish`] draws a picture, whether something was booked or not.
    pub fn catalogue_moved(&self) {
        self.changed.store(true, Ordering::SeqCst);
    }
    /// Puts a picture in force, with the tables in its order. The tables come first: a decision loads its picture first,
    /// so that it never meets tables that do not know it.
    fn show(&self, mut view: View) {
        view.snapshot = view.snapshot.with_exhausted(self.gate.spent());
        let tables = Tables::clone(&self.tables.load());
        self.tables.store(Arc::new(tables.align(&view.snapshot)));
        self.view.store(Arc::new(view));
    }
    /// Leaves out of the index, until the next time, the ad sets whose budgets the ledger says are spent.
    pub(super) fn mask_spent(&self) {
        let view = self.current_view();
        let spent = self.gate.spent();
        let known = view.snapshot.exhausted_count();
        if spent.len() != known || spent.iter().any(|id| !view.snapshot.is_exhausted(*id)) {
            self.show(View::clone(&view));
        }
    }
    /// The work of a merge when one is due: for a thread of the caller's choice, which hands the result to
    /// [`Platform::merged`].
    pub fn merge_due(&self) -> Option<Merge> {
        let mut following = lock(&self.following);
        if !matches!(following.merge, MergeState::None) {
            return None;
        }
        let (now, tables) = (self.now(), self.tables.load_full());
        let compiler = following.compiler.as_ref()?;
        let patience_ms = ORDER_MS * (1 + compiler.ad_sets_count() as i64 / 100_000);
        let stale = match &following.ordered {
            Some((at, ordered_for)) => now.0 - at.0 > patience_ms && **ordered_for != *tables,
            None => *tables != Tables::default(),
        };
        let due = || compiler.merge_due(false);
        let merge = if stale { Some(compiler.merge()) } else { due() }?;
        following.merge = MergeState::Running;
        following.ordered = Some((now, tables));
        Some(merge)
    }
    /// Takes the result of a merge; the next [`Platform::publish`] puts it in force.
    pub fn merged(&self, merged: Merged) {
        lock(&self.following).merge = MergeState::Done(merged);
    }
    fn adopt_merge(&self) -> bool {
        let mut following = lock(&self.following);
        if !matches!(following.merge, MergeState::Done(_)) {
            return false;
        }
        let MergeState::Done(merged) = std::mem::take(&mut following.merge) else { return false };
        let tables = self.tables.load_full();
        let snapshot = following.compiler.as_mut().and_then(|compiler| compiler.adopt(merged, &tables));
        drop(following);
        let Some(snapshot) = snapshot else { return false };
        self.show(View { snapshot, ..View::clone(&self.current_view()) });
        true
    }

    /// Holds back the touched ads whose facts are not in the record's log.
    fn hold_back_new(&self, catalogue: &Catalogue, view: &View, touched: &Touched) {
        let mut logged = lock(&self.logged);
        let Some(logged) = &mut *logged else { return };
        let ads: Box<dyn Iterator<Item = &AdId>> = match touched.everything {
            true => Box::new(catalogue.ads.keys()),
            false => Box::new(touched.ad_sets.iter().flat_map(|id| catalogue.ads_of.get(id)).flatten()),
        };
        for id in ads {
            match view.ads.get(id) {
                Some(ad) if !logged.ads.contains(id) => drop(logged.waiting.insert(*id, ad.ad_set)),
                _ => drop(logged.waiting.remove(id)),
            }
        }
        self.gate.hold_back(logged.waiting.values().copied().collect());
    }
    /// From now on only ads whose facts are in the record's log may be shown: these, and those of [`Platform::logged`].
    pub fn hold_back_unlogged(&self, ads: impl IntoIterator<Item = AdId>) {
        let ads: HashSet<AdId> = ads.into_iter().collect();
        let view = self.current_view();
        let unknown = view.ads.iter().filter(|(id, _)| !ads.contains(id));
        let waiting: HashMap<AdId, AdSetId> = unknown.map(|(id, ad)| (*id, ad.ad_set)).collect();
        self.gate.hold_back(waiting.values().copied().collect());
        *lock(&self.logged) = Some(Logged { ads, waiting });
    }
    /// How many ads that could be shown wait for their facts to be in the record's log.
    pub fn waiting_for_log_count(&self) -> usize {
        lock(&self.logged).as_ref().map_or(0, |logged| logged.waiting.len())
    }
    /// The facts of these ads are in the record's log.
    pub fn logged(&self, ads: &[AdId]) {
        let mut logged = lock(&self.logged);
        let Some(logged) = &mut *logged else { return };
        for ad in ads {
            logged.ads.insert(*ad);
            logged.waiting.remove(ad);
        }
        self.gate.hold_back(logged.waiting.values().copied().collect());
    }

    /// The picture after what was touched.
    fn next_view(&self, catalogue: &Catalogue, snapshot: Snapshot, touched: &Touched) -> View {
        let mut view = View { snapshot, ..View::clone(&self.current_view()) };
        if touched.everything || !touched.parties.is_empty() {
            let parties = Arc::make_mut(&mut view.parties);
            let asked = |id: &PartyId| touched.everything || touched.parties.contains(id);
            for (id, kept) in catalogue.parties.iter().filter(|(id, _)| asked(id)) {
                parties.insert(*id, self.party_view(&kept.spec));
            }
        }
        if touched.everything || touched.shared {
            view.publisher = catalogue.publisher.as_ref().map(|p| p.spec.clone());
            view.sites = Arc::new(catalogue.sites.iter().map(|(id, s)| (*id, s.spec.clone())).collect());
            let placements = || catalogue.placements.iter().filter(|(_, p)| p.status != Status::Archived);
            let named = placements().map(|(id, p)| ((p.spec.site, p.spec.name.clone()), *id));
            view.by_name = Arc::new(named.collect());
            view.placements = Arc::new(placements().map(|(id, p)| (*id, Arc::new(p.spec.clone()))).collect());
        }
        let ads: Box<dyn Iterator<Item = &AdId>> = match touched.everything {
            true => Box::new(catalogue.ads.keys()),
            false => Box::new(touched.ad_sets.iter().flat_map(|id| catalogue.ads_of.get(id)).flatten()),
        };
        for id in ads {
            match ad_view(catalogue, *id, &view.parties) {
                Some(ad) => view.ads.insert(*id, Arc::new(ad)),
                None => view.ads.remove(id),
            }
        }
        view
    }
    /// A party as it may be shown; its identity is opened with its key, if that is still there.
    pub fn party_view(&self, party: &SealedParty) -> PartyView {
        let identity = match self.secrets.unseal(&party.identity) {
            Ok(identity) => identity,
            Err(error) => {
                tracing::error!(%error, key = %party.identity.key, "a party's identity cannot be opened");
                None
            }
        };
        let established_in = party.established_in.clone();
        match identity {
            Some(i) => PartyView {
                name: i.name,
                email: i.email,
                postal_address: i.postal_address,
                controller: i.controller,
                register_id: i.register_id,
                established_in,
                withheld: false,
            },
            None => {
                PartyView { name: WITHHELD.into(), established_in, withheld: true, ..PartyView::default() }
            }
        }
    }
    /// Tells the gate which budgets the touched ad sets draw on.
    fn update_draws(&self, catalogue: &Catalogue, touched: &Touched) {
        let mut draws = Sharded::clone(&self.gate.draws());
        let mut accounts = Sharded::clone(&self.gate.accounts());
        let mut campaigns = Sharded::clone(&self.gate.campaigns());
        let ids: Box<dyn Iterator<Item = &AdSetId>> = match touched.everything {
            true => Box::new(catalogue.ad_sets.keys()),
            false => Box::new(touched.ad_sets.iter()),
        };
        for id in ids {
            let Some(kept) = catalogue.ad_sets.get(id) else { continue };
            let Some(campaign) = catalogue.campaigns.get(&kept.spec.campaign) else { continue };
            let old: Option<&Draws> = draws.get(id);
            let own = old.map_or_else(Default::default, |d| Arc::clone(&d.budgets[2]));
            let guaranteed = kept.spec.tier.kind() == TierKind::Guaranteed;
            let goal =
                guaranteed.then(|| old.and_then(|d| d.goal.as_ref().map(Arc::clone)).unwrap_or_default());
            let house = kept.spec.tier.kind() == TierKind::House;
            let (advertiser, campaign) = (campaign.spec.advertiser, kept.spec.campaign);
            let budgets = [shared(&mut accounts, advertiser), shared(&mut campaigns, campaign), own];
            draws.insert(*id, Draws { budgets, goal, advertiser, campaign, house });
        }
        self.gate.publish(draws, accounts, campaigns);
    }
    /// Reads some ad sets' budgets from the ledger into the gate.
    fn refresh_budgets<'a>(&self, ad_sets: impl IntoIterator<Item = &'a AdSetId>) {
        let now = self.now();
        let folds = lock(&self.folds);
        ad_sets.into_iter().for_each(|id| self.refresh_gate(&folds.ledger, *id, now));
    }
    /// Reads one ad set's budgets from the ledger into the gate.
    pub(super) fn refresh_gate(&self, ledger: &Ledger, ad_set: AdSetId, at: UtcMs) {
        if let Some(draws) = self.gate.draws().get(&ad_set) {
            refresh(ledger, ad_set, draws, at);
        }
    }
    /// Reads every budget from the ledger into the gate.
    pub fn refresh_whole_gate(&self) {
        let now = self.now();
        let folds = lock(&self.folds);
        for (id, draws) in self.gate.draws().iter() {
            refresh(&folds.ledger, *id, draws, now);
        }
    }
}

/// The budget that all who name this key share.
fn shared<K: super::sharded::Numbered>(budgets: &mut Sharded<K, Arc<Budget>>, key: K) -> Arc<Budget> {
    match budgets.get(&key) {
        Some(budget) => Arc::clone(budget),
        None => {
            let budget = Arc::<Budget>::default();
            budgets.insert(key, Arc::clone(&budget));
            budget
        }
    }
}

fn refresh(ledger: &Ledger, ad_set: AdSetId, draws: &Draws, at: UtcMs) {
    if draws.house {
        return;
    }
    refresh_account(ledger, draws.advertiser, &draws.budgets[0]);
    refresh_campaign(ledger, draws.campaign, &draws.budgets[1], at);
    draws.budgets[2].set_remaining(ledger.ad_set_budget(ad_set, at).and_then(|b| b.remaining()).map(|n| n.0));
    if let Some(goal) = &draws.goal {
        goal.set_remaining(ledger.remaining(ad_set, at).impressions_count.map(i128::from));
    }
}
/// Reads an account's budget from the ledger.
pub(super) fn refresh_account(ledger: &Ledger, advertiser: AdvertiserId, budget: &Budget) {
    let account = ledger.account(advertiser).map(|a| a.remaining.0);
    budget.set_remaining(Some(account.unwrap_or(0)));
}
/// Reads a campaign's budget from the ledger.
pub(super) fn refresh_campaign(ledger: &Ledger, campaign: CampaignId, budget: &Budget, at: UtcMs) {
    budget.set_remaining(ledger.campaign_budget(campaign, at).and_then(|b| b.remaining()).map(|n| n.0));
}

fn ad_view(catalogue: &Catalogue, id: AdId, parties: &HashMap<PartyId, PartyView>) -> Option<AdView> {
    let ad = catalogue.ads.get(&id)?;
    let approved = ad.approved.as_ref()?;
    let ad_set = ad.kept.spec.ad_set;
    let set = catalogue.ad_sets.get(&ad_set)?;
    let campaign = catalogue.campaigns.get(&set.spec.campaign)?;
    let (sponsor, payer) = (campaign.spec.sponsor, campaign.spec.payer);
    let party = |id: PartyId| parties.get(&id).cloned().unwrap_or_default();
    let declared = campaign.spec.political.as_ref();
    Some(AdView {
        id,
        ad_set,
        campaign: set.spec.campaign,
        advertiser: campaign.spec.advertiser,
        landing_url: approved.landing_url.clone(),
        third_party_origins: approved.third_party_origins.clone(),
        political: declared.is_some(),
        sponsor,
        payer,
        sponsor_name: party(sponsor).name,
        payer_name: party(payer).name,
        controller: party(sponsor).controller,
        linked: declared.map(|d| d.linked.iter().map(|l| l.name.clone()).collect()).unwrap_or_default(),
        targeted: !set.spec.targeting.clauses.is_empty(),
    })
}
