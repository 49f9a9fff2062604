//! Undo: a change of a booking is taken back by a new event that books what was there before.
//!
//! Only the latest change of a thing can be taken back, so that nobody's later work is lost. A party's earlier identity is
//! unsealed and sealed again, unless it was erased. Money, reviews and tokens are not undone: docs/UX.md says why. The
//! history keeps both events.

use super::{act, action, form::Data, layout};
use crate::http::{
    Access, App, AppState, Route,
    accounts::people,
    auth::Caller,
    booking::{kind::id_of, show},
    problem::Problem,
};
use axum::{extract::State, http::StatusCode, routing::post};
use regie_model::{
    UserId,
    booking::{PartySpec, Role, SealedParty, Status, UserRecord, VersionSpec},
    command::{Change, Command, EntityRef},
};
use std::sync::Arc;

/// Who takes things back: those who book.
const UNDOES: Access =
    Access::Signed { roles: &[Role::Owner, Role::AdOperations, Role::Advertiser], scope: None };
/// Changes of one thing that are looked through for the one before.
const LOOKED_AT: usize = 200;

/// The module's routes.
pub fn routes() -> Vec<Route> {
    vec![action("/console/history/undo", UNDOES, post(undo))]
}

/// The thing that a change is of, where it can be taken back.
pub fn subject(change: &Change) -> Option<String> {
    Some(match change {
        Change::PublisherPut { .. } => "publisher".into(),
        Change::SitePut { id, .. } => id.to_string(),
        Change::PlacementPut { id, .. } => id.to_string(),
        Change::SegmentPut { id, .. } => id.to_string(),
        Change::AdvertiserPut { id, .. } => id.to_string(),
        Change::CampaignPut { id, .. } => id.to_string(),
        Change::AdSetPut { id, .. } => id.to_string(),
        Change::AdPut { id, .. } => id.to_string(),
        Change::VersionPut { id, .. } => id.to_string(),
        Change::PartyPut { id, .. } => id.to_string(),
        Change::ElectionPut { id, .. } => id.to_string(),
        Change::UserPut { id, .. } => id.to_string(),
        Change::StatusSet { entity, .. } => id_of(*entity).1,
        Change::StopSet { .. } => "stop".into(),
        _ => return None,
    })
}

/// What brings back what was there before.
enum Reverse {
    /// A booking.
    Command(Box<Command>),
    /// A user's role, and whether they may sign in.
    User(UserId, UserRecord),
}

/// What books again what was there before a change. `before` are the earlier changes of the same thing, the latest
/// first. Nothing where there was nothing before: what was made is archived, not undone.
fn reverse(app: &App, change: &Change, before: &[Change]) -> Option<Reverse> {
    if let Change::UserPut { id, .. } = change {
        return before.iter().find_map(|c| match c {
            Change::UserPut { record, .. } => Some(Reverse::User(*id, record.clone())),
            _ => None,
        });
    }
    command(app, change, before).map(|command| Reverse::Command(Box::new(command)))
}
fn command(app: &App, change: &Change, before: &[Change]) -> Option<Command> {
    macro_rules! put {
        ($variant:ident, $command:ident, $id:expr) => {
            before.iter().find_map(|c| match c {
                Change::$variant { spec, .. } => {
                    Some(Command::$command { id: Some($id), revision: None, spec: spec.clone() })
                }
                _ => None,
            })
        };
    }
    match change {
        Change::PublisherPut { .. } => before.iter().find_map(|c| match c {
            Change::PublisherPut { spec } => {
                Some(Command::PutPublisher { revision: None, spec: spec.clone() })
            }
            _ => None,
        }),
        Change::SitePut { id, .. } => put!(SitePut, PutSite, *id),
        Change::PlacementPut { id, .. } => put!(PlacementPut, PutPlacement, *id),
        Change::SegmentPut { id, .. } => put!(SegmentPut, PutSegment, *id),
        Change::AdvertiserPut { id, .. } => put!(AdvertiserPut, PutAdvertiser, *id),
        Change::CampaignPut { id, .. } => put!(CampaignPut, PutCampaign, *id),
        Change::AdSetPut { id, .. } => put!(AdSetPut, PutAdSet, *id),
        Change::AdPut { id, .. } => put!(AdPut, PutAd, *id),
        Change::ElectionPut { id, .. } => put!(ElectionPut, PutElection, *id),
        Change::PartyPut { id, .. } => before.iter().find_map(|c| match c {
            Change::PartyPut { spec, .. } => {
                Some(Command::PutParty { id: Some(*id), revision: None, spec: unsealed(app, spec)? })
            }
            _ => None,
        }),
        Change::VersionPut { id, .. } => before.iter().find_map(|c| match c {
            Change::VersionPut { record, .. } => {
                let json = show::version_spec(app, record);
                let spec = serde_json::from_value::<VersionSpec>(json).ok()?;
                Some(Command::PutVersion { id: Some(*id), revision: None, spec })
            }
            _ => None,
        }),
        Change::StatusSet { entity, .. } => {
            let was = before.iter().find_map(|c| match c {
                Change::StatusSet { status, .. } => Some(*status),
                _ => None,
            });
            Some(Command::SetStatus { entity: *entity, status: was.unwrap_or(Status::Active) })
        }
        Change::StopSet { what, on, .. } => {
            let reason = before.iter().find_map(|c| match c {
                Change::StopSet { what: w, on: true, reason } if w == what => Some(reason.clone()),
                _ => None,
            });
            Some(Command::SetStop { what: *what, on: !on, reason: reason.unwrap_or_default() })
        }
        _ => None,
    }
}

/// A party as it was typed; nothing when its identity was erased, or cannot be read.
fn unsealed(app: &App, sealed: &SealedParty) -> Option<PartySpec> {
    let identity = app.platform.secrets.unseal(&sealed.identity).ok().flatten()?;
    Some(PartySpec {
        kind: sealed.kind,
        identity,
        established_in: sealed.established_in.clone(),
        may_sponsor_before_votes: sealed.may_sponsor_before_votes,
        advertiser: sealed.advertiser,
    })
}

/// Whether two changes are of the same sort, so that one follows the other.
fn alike(a: &Change, b: &Change) -> bool {
    std::mem::discriminant(a) == std::mem::discriminant(b)
        && match (a, b) {
            (Change::StopSet { what: x, .. }, Change::StopSet { what: y, .. }) => x == y,
            _ => true,
        }
}

async fn undo(State(app): State<AppState>, caller: Caller, data: Data) -> layout::Html {
    let position: u64 =
        data.get("position").parse().map_err(|_| Problem::bad_request("There is no such thing."))?;
    let entity = data.text("entity");
    let reader = Arc::clone(&app);
    let asked = entity.clone();
    let read = move || super::history::changes(&reader, Some(&asked), u64::MAX, LOOKED_AT);
    let all =
        tokio::task::spawn_blocking(read).await.map_err(Problem::internal)?.map_err(Problem::internal)?;
    let at = all.iter().position(|(p, _)| *p == position).ok_or_else(|| act::missing(position))?;
    let change = &all[at].1.change;
    if all[..at].iter().any(|(_, later)| alike(&later.change, change)) {
        let title = "It was changed again since; take the later change back first.";
        return Err(Problem::new(StatusCode::CONFLICT, "conflict", title).into());
    }
    let before: Vec<Change> =
        all[at + 1..].iter().map(|(_, b)| b.change.clone()).filter(|c| alike(c, change)).collect();
    let reverse = reverse(&app, change, &before).ok_or_else(|| {
        Problem::new(StatusCode::CONFLICT, "nothing_before", "There was nothing before; archive it instead.")
    })?;
    match reverse {
        Reverse::Command(command) => drop(act::run(&app, &caller, vec![*command]).await?),
        Reverse::User(..) if !caller.is_one_of(&[Role::Owner], None) => {
            return Err(act::missing(&entity).into());
        }
        Reverse::User(id, record) => people::put_record(&app, &caller, id, record).await?,
    }
    Ok(layout::go(format!("/console/history?entity={entity}")))
}

/// Whether this caller may take a change back: cheap, the real check is the command's.
pub fn is_offered(caller: &Caller, change: &Change) -> bool {
    let booked = matches!(
        change,
        Change::CampaignPut { .. }
            | Change::AdSetPut { .. }
            | Change::AdPut { .. }
            | Change::VersionPut { .. }
            | Change::PartyPut { .. }
            | Change::StatusSet {
                entity: EntityRef::Campaign(_)
                    | EntityRef::AdSet(_)
                    | EntityRef::Ad(_)
                    | EntityRef::Version(_),
                ..
            }
    );
    if matches!(change, Change::UserPut { .. }) {
        return caller.is_one_of(&[Role::Owner], None);
    }
    subject(change).is_some() && if booked { caller.may_book() } else { caller.may_operate() }
}
