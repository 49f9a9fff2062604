//! Commands, and the changes that accepted commands make. Edits are commands; each change is an event.

use crate::{
    AdId, AdSetId, AdvertiserId, CampaignId, ElectionId, Faults, GroupingId, Micros, PartyId, PersonKeyId,
    PlacementId, ReportId, SegmentId, SiteId, TokenId, UserId, VersionId, booking::*, creative::ObjectHash,
};
use serde::{Deserialize, Serialize};

mod adapt;
mod plan;
pub use plan::{Planned, Sealer, plan};

/// Anything that has a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", content = "id", rename_all = "snake_case")]
pub enum EntityRef {
    /// A site.
    Site(SiteId),
    /// A placement.
    Placement(PlacementId),
    /// A segment.
    Segment(SegmentId),
    /// An advertiser.
    Advertiser(AdvertiserId),
    /// A sponsor or payer.
    Party(PartyId),
    /// A campaign.
    Campaign(CampaignId),
    /// An ad set.
    AdSet(AdSetId),
    /// An ad.
    Ad(AdId),
    /// A version.
    Version(VersionId),
}

/// One switch that stops paid delivery at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", content = "id", rename_all = "snake_case")]
pub enum Stop {
    /// Everything that is paid for; house ads go on.
    AllPaid,
    /// Everything on behalf of a sponsor.
    Sponsor(PartyId),
    /// One ad.
    Ad(AdId),
}

/// A reviewer's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// May be served.
    Approved,
    /// May not.
    Rejected,
}

/// What an accepted command changed. Journalled; the catalogue and the ledger fold it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Change {
    PublisherPut {
        spec: PublisherSpec,
    },
    SitePut {
        id: SiteId,
        spec: SiteSpec,
    },
    PlacementPut {
        id: PlacementId,
        spec: PlacementSpec,
    },
    SegmentPut {
        id: SegmentId,
        spec: SegmentSpec,
    },
    AdvertiserPut {
        id: AdvertiserId,
        spec: AdvertiserSpec,
    },
    PartyPut {
        id: PartyId,
        spec: SealedParty,
    },
    CampaignPut {
        id: CampaignId,
        spec: CampaignSpec,
    },
    AdSetPut {
        id: AdSetId,
        spec: AdSetSpec,
    },
    AdPut {
        id: AdId,
        spec: AdSpec,
    },
    VersionPut {
        id: VersionId,
        record: VersionRecord,
    },
    StatusSet {
        entity: EntityRef,
        status: Status,
    },
    /// Ads by revision and versions by creative hash, so that a review never covers a later edit.
    Reviewed {
        ads: Vec<(AdId, u32)>,
        versions: Vec<(VersionId, ObjectHash)>,
        verdict: Verdict,
        reason: String,
    },
    StopSet {
        what: Stop,
        on: bool,
        reason: String,
    },
    /// Money paid in (prepaid) or an invoice settled (credit).
    Deposited {
        advertiser: AdvertiserId,
        amount_micros: Micros,
        reference: String,
    },
    /// Invalidates the charge at a journal position, wholly or in part; never re-bills.
    Credited {
        advertiser: AdvertiserId,
        position: u64,
        amount_nanos: i64,
        reason: String,
    },
    UserPut {
        id: UserId,
        record: UserRecord,
    },
    TokenPut {
        id: TokenId,
        record: TokenRecord,
    },
    ElectionPut {
        id: ElectionId,
        spec: ElectionSpec,
    },
    /// Somebody reported an ad as possibly non-compliant.
    ReportFiled {
        id: ReportId,
        spec: ReportSpec,
    },
    /// The publisher decided on a report.
    ReportDecided {
        id: ReportId,
        decision: ReportDecision,
    },
    /// The publisher says which sponsors belong to one person, party or organisation, or withdraws it.
    GroupingPut {
        id: GroupingId,
        spec: GroupingSpec,
    },
    /// Regie changed something by itself, within the limits of the campaign; the change is an event beside this one.
    Adapted {
        campaign: CampaignId,
        step: AdaptStep,
    },
    /// The person's key was destroyed (law J1).
    PersonErased {
        key: PersonKeyId,
        reason: String,
    },
}

/// What a person or program asks for. `id` absent creates; `revision`, if given, must be the current one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
#[allow(missing_docs)]
pub enum Command {
    PutPublisher {
        #[serde(default)]
        revision: Option<u32>,
        spec: PublisherSpec,
    },
    PutSite {
        #[serde(default)]
        id: Option<SiteId>,
        #[serde(default)]
        revision: Option<u32>,
        spec: SiteSpec,
    },
    PutPlacement {
        #[serde(default)]
        id: Option<PlacementId>,
        #[serde(default)]
        revision: Option<u32>,
        spec: PlacementSpec,
    },
    PutSegment {
        #[serde(default)]
        id: Option<SegmentId>,
        #[serde(default)]
        revision: Option<u32>,
        spec: SegmentSpec,
    },
    PutAdvertiser {
        #[serde(default)]
        id: Option<AdvertiserId>,
        #[serde(default)]
        revision: Option<u32>,
        spec: AdvertiserSpec,
    },
    PutParty {
        #[serde(default)]
        id: Option<PartyId>,
        #[serde(default)]
        revision: Option<u32>,
        spec: PartySpec,
    },
    PutCampaign {
        #[serde(default)]
        id: Option<CampaignId>,
        #[serde(default)]
        revision: Option<u32>,
        spec: CampaignSpec,
    },
    PutAdSet {
        #[serde(default)]
        id: Option<AdSetId>,
        #[serde(default)]
        revision: Option<u32>,
        spec: AdSetSpec,
    },
    PutAd {
        #[serde(default)]
        id: Option<AdId>,
        #[serde(default)]
        revision: Option<u32>,
        spec: AdSpec,
    },
    PutVersion {
        #[serde(default)]
        id: Option<VersionId>,
        #[serde(default)]
        revision: Option<u32>,
        spec: VersionSpec,
    },
    SetStatus {
        entity: EntityRef,
        status: Status,
    },
    /// Reviews the current revision of the ads and all their versions that wait, or the versions named.
    Review {
        #[serde(default)]
        ads: Vec<AdId>,
        #[serde(default)]
        versions: Vec<VersionId>,
        verdict: Verdict,
        #[serde(default)]
        reason: String,
    },
    SetStop {
        what: Stop,
        on: bool,
        #[serde(default)]
        reason: String,
    },
    Deposit {
        advertiser: AdvertiserId,
        amount_micros: Micros,
        #[serde(default)]
        reference: String,
    },
    PutElection {
        #[serde(default)]
        id: Option<ElectionId>,
        #[serde(default)]
        revision: Option<u32>,
        spec: ElectionSpec,
    },
    DecideReport {
        report: ReportId,
        decision: ReportDecision,
    },
    /// One step of adapting: what it changes and why, in one batch.
    Adapt {
        campaign: CampaignId,
        step: AdaptStep,
    },
}

/// Why a command was refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// Fields are wrong: all of them are named.
    #[error("{0}")]
    Faults(Faults),
    /// There is no such thing.
    #[error("there is no {0}")]
    NotFound(String),
    /// Somebody else changed it: the current revision is given.
    #[error("somebody changed it meanwhile: it is at revision {current}, the edit was made on {given}")]
    Conflict {
        /// What it is at.
        current: u32,
        /// What the edit was made on.
        given: u32,
    },
}
