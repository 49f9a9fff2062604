//! A copy of a campaign with everything in it, as a draft: nothing of it is served until somebody starts it.
//!
//! Outside ids are not copied: they name the original. What was reviewed is reviewed again.

use super::{BOOKS, act, action, form::Data, layout};
use crate::http::{AppState, Route, auth::Caller, booking::show, problem::Problem};
use crate::t;
use axum::{
    extract::{Path, State},
    routing::post,
};
use regie_model::{
    AdId, AdSetId, CampaignId,
    booking::{AdSetSpec, AdSpec, CampaignSpec, Flight, Status, VersionSpec},
    catalogue::Catalogue,
    command::{Command, EntityRef},
};

/// Ads and versions that one copy takes; more are copied by table.
const COPIED_MAX: usize = 2_000;

/// The module's routes.
pub fn routes() -> Vec<Route> {
    vec![action("/console/campaigns/{id}/duplicate", BOOKS, post(duplicate))]
}

/// An ad with its versions.
type WholeAd = (AdSpec, Vec<VersionSpec>);

/// Everything of a campaign, taken at once.
struct Whole {
    campaign: CampaignSpec,
    sets: Vec<(AdSetSpec, Vec<WholeAd>)>,
}

fn whole(app: &AppState, catalogue: &Catalogue, id: CampaignId) -> Result<Whole, Problem> {
    let campaign = catalogue.campaigns.get(&id).ok_or_else(|| act::missing(id))?.spec.clone();
    let mut count = 0usize;
    let mut sets = Vec::new();
    let ids = |list: Option<&Vec<AdSetId>>| list.cloned().unwrap_or_default();
    for set in ids(catalogue.ad_sets_of.get(&id)) {
        let Some(kept) = catalogue.ad_sets.get(&set).filter(|s| s.status != Status::Archived) else {
            continue;
        };
        let mut ads = Vec::new();
        let of: Vec<AdId> = catalogue.ads_of.get(&set).cloned().unwrap_or_default();
        for ad in of {
            let Some(state) = catalogue.ads.get(&ad).filter(|a| a.kept.status != Status::Archived) else {
                continue;
            };
            let mut versions = Vec::new();
            for version in catalogue.versions.of(ad) {
                let Some(v) = catalogue.versions.get(version).filter(|v| v.kept.status != Status::Archived)
                else {
                    continue;
                };
                let json = show::version_spec(app, &v.kept.spec);
                versions.extend(serde_json::from_value::<VersionSpec>(json).ok());
            }
            count += 1 + versions.len();
            ads.push((state.kept.spec.clone(), versions));
        }
        sets.push((kept.spec.clone(), ads));
    }
    if count > COPIED_MAX {
        let detail =
            format!("It has {count} ads and versions; up to {COPIED_MAX} are copied here, more by table.");
        return Err(Problem::bad_request(detail));
    }
    Ok(Whole { campaign, sets })
}

/// Puts a thing and gives its id.
async fn put<T: std::str::FromStr>(app: &AppState, caller: &Caller, command: Command) -> Result<T, Problem> {
    let accepted = act::run(app, caller, vec![command]).await?;
    let id = accepted.first().and_then(|a| a.id.parse().ok());
    id.ok_or_else(|| Problem::internal("an id of another kind"))
}

async fn duplicate(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    _data: Data,
) -> layout::Html {
    let id: CampaignId = id.parse().map_err(|_| act::missing(&id))?;
    let mut all = {
        let catalogue = app.platform.catalogue();
        act::see_campaign(&catalogue, &caller, id)?;
        whole(&app, &catalogue, id)?
    };
    all.campaign.name = t!("booking-copy-of", name = all.campaign.name).chars().take(200).collect();
    all.campaign.external_id = None;
    all.campaign.flight = ahead(all.campaign.flight, app.platform.now());
    let copy: CampaignId =
        put(&app, &caller, Command::PutCampaign { id: None, revision: None, spec: all.campaign }).await?;
    // A draft before anything is in it: nothing can be served meanwhile.
    let entity = EntityRef::Campaign(copy);
    act::run(&app, &caller, vec![Command::SetStatus { entity, status: Status::Draft }]).await?;
    for (mut set, ads) in all.sets {
        set.campaign = copy;
        set.external_id = None;
        set.flight = None;
        // An experiment names ads of the original.
        set.experiment = None;
        let set: AdSetId =
            put(&app, &caller, Command::PutAdSet { id: None, revision: None, spec: set }).await?;
        for (mut ad, versions) in ads {
            ad.ad_set = set;
            ad.external_id = None;
            let ad: AdId = put(&app, &caller, Command::PutAd { id: None, revision: None, spec: ad }).await?;
            let commands: Vec<Command> = versions
                .into_iter()
                .map(|spec| Command::PutVersion {
                    id: None,
                    revision: None,
                    spec: VersionSpec { ad, external_id: None, ..spec },
                })
                .collect();
            if !commands.is_empty() {
                act::run(&app, &caller, commands).await?;
            }
        }
    }
    Ok(layout::go(format!("/console/campaigns/{copy}")))
}

/// A flight of the same length that lies ahead; one that has not ended stays.
fn ahead(flight: Flight, now: regie_model::UtcMs) -> Flight {
    match flight.ends_at {
        Some(end) if end <= now => {
            let length = end.0 - flight.starts_at.0;
            Flight { starts_at: now, ends_at: Some(regie_model::UtcMs(now.0 + length)) }
        }
        _ => flight,
    }
}
