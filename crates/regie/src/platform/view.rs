//! What decisions and pages read: an immutable picture of the catalogue, swapped whole.
//!
//! It shows only what is durable: the builder holds new commands back for the moment it takes (R2).

use super::{Platform, gate::Draws, lock};
use regie_decide::{Request, Snapshot};
use regie_ledger::Ledger;
use regie_model::{
    AdId, AdSetId, AdvertiserId, CampaignId, PartyId, PlacementId, SiteId, UtcMs,
    booking::{PlacementSpec, PublisherSpec, SiteSpec, Status, TierKind},
    catalogue::Catalogue,
    targeting::{Dimension, Political},
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

/// The picture.
pub struct View {
    /// Targeting index, prices, rates.
    pub snapshot: Snapshot,
    /// Settings.
    pub publisher: Option<PublisherSpec>,
    /// Sites.
    pub sites: HashMap<SiteId, SiteSpec>,
    /// Placements by id.
    pub placements: HashMap<PlacementId, Arc<PlacementSpec>>,
    /// Placements by site and name.
    pub by_name: HashMap<(SiteId, String), PlacementId>,
    /// Ads that may be served.
    pub ads: HashMap<AdId, Arc<AdView>>,
    /// Names of parties, decrypted.
    pub parties: HashMap<PartyId, PartyView>,
    /// Every value of a personal dimension that some ad set's targeting lists.
    listed: HashSet<(Dimension, String)>,
}

impl Default for View {
    fn default() -> View {
        View {
            snapshot: Snapshot::build(&Catalogue::new(), 0),
            publisher: None,
            sites: HashMap::new(),
            placements: HashMap::new(),
            by_name: HashMap::new(),
            ads: HashMap::new(),
            parties: HashMap::new(),
            listed: HashSet::new(),
        }
    }
}

impl View {
    /// The request with its personal inputs reduced to the facts that a decision could use: a value that no targeting
    /// lists has no effect on any decision, and is dropped (law D1, for political decisions).
    pub fn reduce(&self, request: &Request) -> Request {
        let mut reduced = request.clone();
        let listed = |dimension: Dimension, value: &str| self.listed.contains(&(dimension, value.to_owned()));
        reduced.location.city.take_if(|city| !listed(Dimension::City, city));
        reduced.location.region.take_if(|region| !listed(Dimension::Region, region));
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

fn listed_values(catalogue: &Catalogue) -> HashSet<(Dimension, String)> {
    let clauses = catalogue.ad_sets.values().flat_map(|set| &set.spec.targeting.clauses);
    let personal = clauses.filter(|clause| clause.dimension.political() != Political::Allowed);
    personal
        .flat_map(|clause| clause.values.iter().map(|value| (clause.dimension.clone(), value.clone())))
        .collect()
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

impl Platform {
    /// Builds and swaps the picture if the catalogue changed; true if it did. For a thread that may block.
    pub fn publish(&self) -> bool {
        if !self.changed.swap(false, Ordering::SeqCst) {
            return false;
        }
        let Some((held, changed_at)) = self.settle_commands(2_000) else {
            self.changed.store(true, Ordering::SeqCst);
            return false;
        };
        let catalogue = self.catalogue();
        // The catalogue holds every durable change, and the folds may be behind it (D1).
        let position = lock(&self.folds).position().max(changed_at);
        let view = self.build_view(&catalogue, position);
        let draws = self.build_draws(&catalogue);
        drop(catalogue);
        drop(held);
        self.gate.publish(draws);
        self.refresh_whole_gate();
        self.view.store(Arc::new(view));
        self.realign_tables();
        self.apply_halts();
        true
    }

    fn build_view(&self, catalogue: &Catalogue, position: u64) -> View {
        let parties: HashMap<PartyId, PartyView> =
            catalogue.parties.iter().map(|(id, kept)| (*id, self.party_view(&kept.spec))).collect();
        let mut view = View {
            snapshot: Snapshot::build_for(catalogue, position, &self.tables.load()),
            publisher: catalogue.publisher.as_ref().map(|p| p.spec.clone()),
            sites: catalogue.sites.iter().map(|(id, s)| (*id, s.spec.clone())).collect(),
            parties,
            listed: listed_values(catalogue),
            ..View::default()
        };
        for (id, placement) in catalogue.placements.iter().filter(|(_, p)| p.status != Status::Archived) {
            view.by_name.insert((placement.spec.site, placement.spec.name.clone()), *id);
            view.placements.insert(*id, Arc::new(placement.spec.clone()));
        }
        for id in catalogue.ads.keys() {
            if let Some(ad) = ad_view(catalogue, *id, &view.parties) {
                view.ads.insert(*id, Arc::new(ad));
            }
        }
        view
    }
    fn party_view(&self, party: &regie_model::booking::SealedParty) -> PartyView {
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
    fn build_draws(&self, catalogue: &Catalogue) -> HashMap<AdSetId, Draws> {
        let before = self.gate.draws();
        let mut accounts = HashMap::new();
        let mut campaigns = HashMap::new();
        let mut draws = HashMap::with_capacity(catalogue.ad_sets.len());
        for (id, kept) in &catalogue.ad_sets {
            let Some(campaign) = catalogue.campaigns.get(&kept.spec.campaign) else { continue };
            let old = before.get(id);
            let keep = |index: usize| old.map(|d| d.budgets[index].clone()).unwrap_or_default();
            let account = accounts.entry(campaign.spec.advertiser).or_insert_with(|| keep(0)).clone();
            let shared = campaigns.entry(kept.spec.campaign).or_insert_with(|| keep(1)).clone();
            let budgets = [account, shared, keep(2)];
            let goal = old.map(|d| d.goal.clone()).unwrap_or_default();
            let house = kept.spec.tier.kind() == TierKind::House;
            let (advertiser, campaign) = (campaign.spec.advertiser, kept.spec.campaign);
            draws.insert(*id, Draws { budgets, goal, advertiser, campaign, house });
        }
        draws
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

fn refresh(ledger: &Ledger, ad_set: AdSetId, draws: &Draws, at: UtcMs) {
    if draws.house {
        return;
    }
    let account = ledger.account(draws.advertiser).map(|a| a.remaining.0);
    draws.budgets[0].set_remaining(Some(account.unwrap_or(0)));
    draws.budgets[1]
        .set_remaining(ledger.campaign_budget(draws.campaign, at).and_then(|b| b.remaining()).map(|n| n.0));
    draws.budgets[2].set_remaining(ledger.ad_set_budget(ad_set, at).and_then(|b| b.remaining()).map(|n| n.0));
    draws.goal.set_remaining(ledger.remaining(ad_set, at).impressions_count.map(i128::from));
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
