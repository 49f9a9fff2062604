//! Approvals and suspensions of an ad, from the booked changes that concern it.
//!
//! Says nothing of who in the publisher's house decided, and nothing of edits that were refused before they ran.

use crate::HistoryLine;
use regie_model::{
    AdId, AdSetId, CampaignId, PartyId, UtcMs, VersionId,
    booking::Status,
    command::{Change, EntityRef, Stop, Verdict},
};

/// Whom the history is about.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The ad.
    pub ad: AdId,
    /// Its versions.
    pub versions: Vec<VersionId>,
    /// Its ad set.
    pub ad_set: AdSetId,
    /// Its campaign.
    pub campaign: CampaignId,
    /// Its sponsor.
    pub sponsor: PartyId,
    /// When it was booked: nothing earlier concerns it.
    pub since: UtcMs,
}

/// The lines of an ad's history, from changes in journal order; those that do not concern it are passed over.
pub fn history_of<'a>(
    subject: &Subject,
    changes: impl IntoIterator<Item = (UtcMs, &'a Change)>,
) -> Vec<HistoryLine> {
    let mut lines: Vec<HistoryLine> = Vec::new();
    let mut approved = std::collections::BTreeSet::new();
    for (at, change) in changes.into_iter().filter(|(at, _)| *at >= subject.since) {
        let mut line = |event: &str, about: String, reason: &str| {
            lines.push(HistoryLine { at, event: event.into(), about, reason: reason.into() });
        };
        match change {
            Change::Reviewed { ads, versions, verdict, reason } => {
                let ad = ads.iter().any(|(id, _)| *id == subject.ad).then(|| "ad".to_owned());
                let of = versions.iter().filter(|(id, _)| subject.versions.contains(id));
                for about in ad.into_iter().chain(of.map(|(id, _)| id.to_string())) {
                    match verdict {
                        Verdict::Approved => {
                            approved.insert(about.clone());
                            line("approved", about, "");
                        }
                        Verdict::Rejected if approved.remove(&about) => line("withdrawn", about, reason),
                        Verdict::Rejected => {}
                    }
                }
            }
            Change::StopSet { what, on, reason } => {
                let event = if *on { "stopped" } else { "stop_lifted" };
                let about = match what {
                    Stop::AllPaid => Some("all_paid"),
                    Stop::Sponsor(id) if *id == subject.sponsor => Some("sponsor"),
                    Stop::Ad(id) if *id == subject.ad => Some("ad"),
                    Stop::Sponsor(_) | Stop::Ad(_) => None,
                };
                if let Some(about) = about {
                    line(event, about.into(), reason);
                }
            }
            Change::StatusSet { entity, status } => {
                let about = match entity {
                    EntityRef::Ad(id) if *id == subject.ad => Some("ad"),
                    EntityRef::AdSet(id) if *id == subject.ad_set => Some("ad_set"),
                    EntityRef::Campaign(id) if *id == subject.campaign => Some("campaign"),
                    _ => None,
                };
                let event = match status {
                    Status::Active => "resumed",
                    Status::Paused | Status::Draft => "paused",
                    Status::Archived => "archived",
                };
                if let Some(about) = about {
                    line(event, about.into(), "");
                }
            }
            _ => {}
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejection_is_public_only_after_an_approval() {
        let ad = AdId(1);
        let subject = Subject {
            ad,
            versions: vec![],
            ad_set: AdSetId(1),
            campaign: CampaignId(1),
            sponsor: PartyId(1),
            since: UtcMs(0),
        };
        let review = |verdict, reason: &str| Change::Reviewed {
            ads: vec![(ad, 1)],
            versions: vec![],
            verdict,
            reason: reason.into(),
        };
        let changes = [
            review(Verdict::Rejected, "typo"),
            review(Verdict::Approved, ""),
            review(Verdict::Rejected, "misleading"),
            Change::StopSet { what: Stop::Ad(AdId(2)), on: true, reason: "other".into() },
            Change::StopSet { what: Stop::Ad(ad), on: true, reason: "complaint upheld".into() },
        ];
        let lines = history_of(&subject, changes.iter().map(|c| (UtcMs(1), c)));
        let told: Vec<_> = lines.iter().map(|l| (l.event.as_str(), l.reason.as_str())).collect();
        assert_eq!(told, [("approved", ""), ("withdrawn", "misleading"), ("stopped", "complaint upheld")]);
    }
}
