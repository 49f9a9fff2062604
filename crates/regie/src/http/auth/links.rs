//! One-time links by which people set their password: the first owner's, a new user's, a reset.
//!
//! The secret is shown once; only its hash is kept. A link is good for 24 hours and once.

use crate::{
    config::Config,
    platform::{Platform, commands::Accepted, secrets::LINK_MS},
};
use anyhow::{Context, Result, anyhow};
use regie_model::{
    UserId,
    booking::{Role, UserRecord},
    command::Change,
    event::Actor,
};
use std::sync::{Arc, mpsc};

/// Sign-in name of the first owner until they choose their own.
pub const FIRST_OWNER: &str = "owner";

/// Hours that a link is good for.
pub const LINK_HOURS: i64 = LINK_MS / 3_600_000;

/// The address of a link.
pub fn address(config: &Config, secret: &str) -> String {
    format!("{}/console/link/{secret}", config.public_url)
}

/// Makes a link for a user.
///
/// # Errors
/// SQLite's error.
pub fn make(platform: &Platform, config: &Config, user: UserId, purpose: &str) -> Result<String> {
    let secret = platform.secrets.make_link(user, purpose, platform.now())?;
    Ok(address(config, &secret))
}

/// The set-up link of the first owner, as long as nobody can sign in; makes that user if there is none. Blocks until
/// durable: not for an async worker.
///
/// # Errors
/// The journal's or SQLite's error.
pub fn first_owner_link(platform: &Arc<Platform>, config: &Config) -> Result<Option<String>> {
    let people = platform.secrets.users()?;
    if people.iter().any(|p| p.password.is_some()) {
        return Ok(None);
    }
    let owner =
        platform.catalogue().users.iter().find(|(_, u)| u.role == Role::Owner && u.active).map(|(id, _)| *id);
    let owner = match owner {
        Some(id) => id,
        None => add_user(
            platform,
            Actor::Operator,
            UserRecord { role: Role::Owner, advertiser: None, active: true },
        )?,
    };
    if platform.secrets.user(owner)?.is_none() {
        platform.secrets.add_user(owner, FIRST_OWNER, "", platform.now())?;
    }
    make(platform, config, owner, "setup").map(Some)
}

/// Journals a new user's record and gives their number. Blocks until durable.
///
/// # Errors
/// The journal's error.
pub fn add_user(platform: &Arc<Platform>, by: Actor, record: UserRecord) -> Result<UserId> {
    // Numbers are never used again, not even one whose secrets were written before the journal could take the user.
    let last = platform.secrets.users()?.last().map_or(0, |u| u.id.0);
    let (done, wait) = mpsc::sync_channel(1);
    platform.record_with(
        by,
        move |catalogue| {
            let id = UserId(catalogue.users.keys().last().map_or(0, |u| u.0).max(last) + 1);
            Ok((vec![Change::UserPut { id, record }], id.to_string()))
        },
        Box::new(move |result| drop(done.send(result))),
    );
    first(wait.recv().context("the journal stopped")?)?.parse().map_err(|e| anyhow!("{e}"))
}

/// Journals changes and waits until they are durable.
///
/// # Errors
/// The journal's error.
pub fn record(platform: &Arc<Platform>, by: Actor, changes: Vec<Change>) -> Result<()> {
    let (done, wait) = mpsc::sync_channel(1);
    platform.record_changes(by, changes, Box::new(move |result| drop(done.send(result))));
    wait.recv().context("the journal stopped")?.map_err(|e| anyhow!("{e}"))?;
    Ok(())
}

/// The id of the one thing that was accepted.
pub(crate) fn first(
    result: Result<Vec<Accepted>, crate::platform::commands::CommandError>,
) -> Result<String> {
    let accepted = result.map_err(|e| anyhow!("{e}"))?;
    accepted.into_iter().next().map(|a| a.id).ok_or_else(|| anyhow!("nothing was recorded"))
}
