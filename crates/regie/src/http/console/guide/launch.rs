//! The launch: what was tried is booked, as a draft of a campaign first, so that nothing is served half. A launch that stops
//! halfway remembers what is booked, and goes on there.

use super::{show, whole};
use crate::desk::Draft;
use crate::http::{
    AppState,
    auth::Caller,
    console::{act, layout},
    problem::Problem,
};
use regie_model::{
    CampaignId, Faults, UserId,
    booking::{Status, VersionSpec},
    command::{Command, EntityRef},
};

/// Books the whole and starts it, if it shall.
pub(super) async fn run(
    app: &AppState,
    caller: &Caller,
    user: UserId,
    mut draft: Draft,
    starts: bool,
) -> layout::Html {
    let whole = whole::take(app, caller, &draft).await?;
    if !whole.is_sound() {
        return Ok(show::step(app, caller, &draft, super::Step::Launch, &whole, &Faults::new()));
    }
    let is_new = !draft.content.made.contains_key("campaign");
    let spec = whole.campaign;
    let campaign: CampaignId = put(app, caller, user, &mut draft, "campaign", |id| Command::PutCampaign {
        id,
        revision: None,
        spec,
    })
    .await?;
    let entity = EntityRef::Campaign(campaign);
    if is_new {
        act::run(app, caller, vec![Command::SetStatus { entity, status: Status::Draft }]).await?;
    }
    let mut spec = whole.set;
    spec.campaign = campaign;
    let set =
        put(app, caller, user, &mut draft, "ad_set", |id| Command::PutAdSet { id, revision: None, spec })
            .await?;
    let mut spec = whole.ad;
    spec.ad_set = set;
    let ad =
        put(app, caller, user, &mut draft, "ad", |id| Command::PutAd { id, revision: None, spec }).await?;
    // All versions or none: they are one batch, and the last thing that can be refused.
    if !whole.versions.is_empty() && !draft.content.made.contains_key("versions") {
        let one = |spec: VersionSpec| Command::PutVersion {
            id: None,
            revision: None,
            spec: VersionSpec { ad, ..spec },
        };
        let accepted = act::run(app, caller, whole.versions.into_iter().map(one).collect()).await?;
        let ids: Vec<String> = accepted.into_iter().map(|a| a.id).collect();
        draft.content.made.insert("versions".into(), ids.join(","));
        app.desk.keep_draft(user, &draft, app.platform.now())?;
    }
    if starts {
        act::run(app, caller, vec![Command::SetStatus { entity, status: Status::Active }]).await?;
    }
    app.desk.discard_draft(user, draft.id)?;
    Ok(layout::go(format!("/console/campaigns/{campaign}")))
}

/// Books a thing, or edits the one that an earlier try booked; remembers it.
async fn put<T: std::str::FromStr + Copy>(
    app: &AppState,
    caller: &Caller,
    user: UserId,
    draft: &mut Draft,
    what: &str,
    command: impl FnOnce(Option<T>) -> Command,
) -> Result<T, Problem> {
    let before = draft.content.made.get(what).and_then(|id| id.parse().ok());
    let accepted = act::run(app, caller, vec![command(before)]).await?;
    let id = accepted.first().map(|a| a.id.clone()).unwrap_or_default();
    let parsed = id.parse().map_err(|_| Problem::internal("an id of another kind"))?;
    draft.content.made.insert(what.to_owned(), id);
    app.desk.keep_draft(user, draft, app.platform.now())?;
    Ok(parsed)
}
