//! What a caller may see and do here, and the one way in which pages act: by commands.

use crate::{
    http::{App, AppState, auth::Caller, problem::Problem},
    platform::commands::{Accepted, CommandError},
};
use regie_model::{
    AdId, AdSetId, AdvertiserId, CampaignId, Faults, Zone,
    catalogue::Catalogue,
    command::{Change, Command},
};
use std::sync::Arc;
use tokio::sync::oneshot;

/// How long a page waits for the folds to see its own action, in milliseconds.
const FOLD_WAIT_MS: u64 = 2_000;

/// Sends commands the way the API does: permitted, checked, durable, folded, so that the next page shows them.
///
/// # Errors
/// The refusal, with every fault by field.
pub async fn run(app: &AppState, caller: &Caller, commands: Vec<Command>) -> Result<Vec<Accepted>, Problem> {
    crate::http::booking::send::send(app, caller, commands).await
}

/// What became of a form's command.
pub enum Sent {
    /// Done; the id of what was created or changed.
    Done(String),
    /// Refused: show the form again with these faults.
    Faults(Faults),
    /// Somebody else saved in between.
    Conflict,
}

/// Sends one command of a form. `faults` were found while reading the form; then nothing is sent, and what booking
/// would say besides is added, so that everything is named at once.
///
/// # Errors
/// What no field can mend.
pub async fn submit(
    app: &AppState,
    caller: &Caller,
    command: Command,
    faults: Faults,
) -> Result<Sent, Problem> {
    if !faults.is_empty() {
        let mut all = faults;
        for fault in crate::http::booking::send::dry_faults(&app.platform, caller, &command).0 {
            if !all.0.iter().any(|f| f.field == fault.field) {
                all.0.push(fault);
            }
        }
        return Ok(Sent::Faults(all));
    }
    match run(app, caller, vec![command]).await {
        Ok(accepted) => Ok(Sent::Done(accepted.into_iter().next().map(|a| a.id).unwrap_or_default())),
        Err(problem) if problem.code == "conflict" => Ok(Sent::Conflict),
        Err(problem) if !problem.faults.is_empty() => Ok(Sent::Faults(problem.faults)),
        Err(problem) => Err(problem),
    }
}

/// Sends changes that are no commands (users, tokens, credits), made under the commands' lock.
///
/// # Errors
/// As [`run`].
pub async fn record(
    app: &AppState,
    caller: &Caller,
    make: impl FnOnce(&Catalogue) -> Result<(Vec<Change>, String), CommandError> + Send + 'static,
) -> Result<Vec<Accepted>, CommandError> {
    let (done, wait) = oneshot::channel();
    let (platform, by) = (Arc::clone(&app.platform), caller.actor.clone());
    let sending = tokio::task::spawn_blocking(move || {
        platform.record_with(by, make, Box::new(move |result| drop(done.send(result))));
    });
    sending.await.map_err(|e| CommandError::Internal(e.to_string()))?;
    settle(app, wait).await
}

async fn settle(
    app: &AppState,
    wait: oneshot::Receiver<Result<Vec<Accepted>, CommandError>>,
) -> Result<Vec<Accepted>, CommandError> {
    let gone = || CommandError::Journal(crate::platform::SubmitError::Stopped);
    let accepted = wait.await.map_err(|_| gone())??;
    let position = accepted.iter().map(|a| a.position).max().unwrap_or(0);
    let platform = Arc::clone(&app.platform);
    let folded = tokio::task::spawn_blocking(move || platform.wait_applied(position, FOLD_WAIT_MS));
    if !folded.await.unwrap_or(false) {
        tracing::warn!(position, "the folds are behind; a page may show older figures");
    }
    Ok(accepted)
}

/// What is not there, or not the caller's: the answer is the same.
pub fn missing(what: impl std::fmt::Display) -> Problem {
    Problem::not_found(&what.to_string())
}

/// The advertiser of a campaign, if the caller may see it.
///
/// # Errors
/// Not found, also when it is somebody else's.
pub fn see_campaign(catalogue: &Catalogue, caller: &Caller, id: CampaignId) -> Result<AdvertiserId, Problem> {
    let owner = catalogue.campaigns.get(&id).map(|c| c.spec.advertiser);
    owner.filter(|a| caller.may_see(*a)).ok_or_else(|| missing(id))
}
/// The campaign of an ad set, if the caller may see it.
///
/// # Errors
/// Not found, also when it is somebody else's.
pub fn see_set(catalogue: &Catalogue, caller: &Caller, id: AdSetId) -> Result<CampaignId, Problem> {
    let campaign = catalogue.ad_sets.get(&id).map(|s| s.spec.campaign).ok_or_else(|| missing(id))?;
    see_campaign(catalogue, caller, campaign).map_err(|_| missing(id))?;
    Ok(campaign)
}
/// Campaign and ad set of an ad, if the caller may see it.
///
/// # Errors
/// Not found, also when it is somebody else's.
pub fn see_ad(catalogue: &Catalogue, caller: &Caller, id: AdId) -> Result<(CampaignId, AdSetId), Problem> {
    let parents = catalogue.parents_of(id).ok_or_else(|| missing(id))?;
    see_campaign(catalogue, caller, parents.0).map_err(|_| missing(id))?;
    Ok(parents)
}
/// Whether the caller may see an advertiser.
///
/// # Errors
/// Not found, also when it is somebody else's.
pub fn see_advertiser(catalogue: &Catalogue, caller: &Caller, id: AdvertiserId) -> Result<(), Problem> {
    let there = catalogue.advertisers.contains_key(&id) && caller.may_see(id);
    if there { Ok(()) } else { Err(missing(id)) }
}

/// The zone of pages: the publisher's.
pub fn zone(app: &App) -> Zone {
    app.platform.catalogue().publisher.as_ref().map_or_else(Zone::utc, |p| p.spec.zone.clone())
}
/// The zone of an advertiser's account.
pub fn account_zone(catalogue: &Catalogue, id: AdvertiserId) -> Zone {
    catalogue.advertisers.get(&id).map_or_else(Zone::utc, |a| a.spec.zone.clone())
}
/// The name of a party as it may be shown inside the house.
pub fn party_name(app: &App, id: regie_model::PartyId) -> String {
    let view = app.platform.current_view();
    view.parties.get(&id).map_or_else(|| id.to_string(), |p| p.name.clone())
}
