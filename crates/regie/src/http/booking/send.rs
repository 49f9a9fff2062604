//! The one way of commands from HTTP (API and console alike) to the platform: permitted, checked, durable, applied.

use super::scope;
use crate::{
    http::{AppState, auth::Caller, problem::Problem},
    platform::{
        Platform, SubmitError,
        commands::{Accepted, CommandError},
    },
    uploads::image_type,
};
use regie_model::{
    Faults, PersonKeyId,
    catalogue::Catalogue,
    command::{Change, Command, Refusal, plan},
    creative::Asset,
    personal::Sealed,
};
use std::sync::Arc;

/// How long an answer waits for the folds, in milliseconds.
const APPLIED_MS: u64 = 5_000;

/// Sends commands of the API.
///
/// # Errors
/// 403 for commands the caller may not send; else as [`run`].
pub async fn send(app: &AppState, caller: &Caller, commands: Vec<Command>) -> Result<Vec<Accepted>, Problem> {
    for command in &commands {
        scope::may_send(caller, command)?;
    }
    Ok(run(app, caller, commands).await?)
}

/// Sends commands that belong together: all are accepted, durable and applied, or none. Pages of the console pass here too.
///
/// # Errors
/// As the platform refuses; what a caller may not send does not exist for them.
pub async fn run(
    app: &AppState,
    caller: &Caller,
    commands: Vec<Command>,
) -> Result<Vec<Accepted>, CommandError> {
    let (platform, judge) = (Arc::clone(&app.platform), caller.clone());
    let (done, wait) = tokio::sync::oneshot::channel();
    let sent = tokio::task::spawn_blocking(move || hand_over(&platform, &judge, commands, done));
    sent.await.map_err(|e| CommandError::Internal(e.to_string()))??;
    let accepted = wait.await.map_err(|_| CommandError::Journal(SubmitError::Stopped))??;
    let position = accepted.iter().map(|a| a.position).max().unwrap_or(0);
    let platform = Arc::clone(&app.platform);
    let applied = tokio::task::spawn_blocking(move || platform.wait_applied(position, APPLIED_MS));
    if !applied.await.unwrap_or(false) {
        tracing::warn!(position, "a command is durable, but the folds are far behind");
    }
    Ok(accepted)
}

/// Checks what booking itself cannot (permission by kind, uploaded files), then queues. For a thread that may block.
fn hand_over(
    platform: &Arc<Platform>,
    caller: &Caller,
    mut commands: Vec<Command>,
    done: tokio::sync::oneshot::Sender<Result<Vec<Accepted>, CommandError>>,
) -> Result<(), CommandError> {
    let count = commands.len();
    commands.iter_mut().for_each(|command| super::entities::own(caller, command));
    for (index, command) in commands.iter().enumerate() {
        if scope::may_send(caller, command).is_err() {
            return Err(Refusal::NotFound("such command for you".into()).into());
        }
        let mut faults = asset_faults(platform, command);
        if !faults.is_empty() {
            faults.0.append(&mut dry_faults(platform, caller, command).0);
            return Err(Refusal::Faults(located(faults, index, count)).into());
        }
    }
    let permit = |catalogue: &Catalogue, command: &Command| permitted(caller, catalogue, command);
    platform.command_if(
        caller.actor.clone(),
        commands,
        &permit,
        Box::new(move |result| drop(done.send(result))),
    );
    Ok(())
}

/// The caller's own refusals together with the booking's, so that every fault is named at once.
fn permitted(caller: &Caller, catalogue: &Catalogue, command: &Command) -> Result<(), Refusal> {
    match scope::permits(caller, catalogue, command) {
        Err(Refusal::Faults(mut faults)) => {
            if let Err(Refusal::Faults(more)) = plan(catalogue, command.clone(), &mut no_seal) {
                for fault in more.0 {
                    if !faults.0.iter().any(|f| f.field == fault.field && f.code == fault.code) {
                        faults.0.push(fault);
                    }
                }
            }
            Err(Refusal::Faults(faults))
        }
        other => other,
    }
}
fn no_seal(_: &regie_model::personal::Identity, _: Option<PersonKeyId>) -> Sealed {
    Sealed { key: PersonKeyId(0), ciphertext_hex: String::new() }
}

/// What booking would say of a command, without sending it.
pub fn dry_faults(platform: &Platform, caller: &Caller, command: &Command) -> Faults {
    let mut command = command.clone();
    super::entities::own(caller, &mut command);
    let catalogue = platform.catalogue();
    let refused = permitted(caller, &catalogue, &command)
        .and_then(|()| plan(&catalogue, command, &mut no_seal).map(|_| ()));
    match refused {
        Err(Refusal::Faults(faults)) => faults,
        _ => Faults::new(),
    }
}

/// Commands tried one after the other on a copy of the catalogue: what would be refused is said, and nothing is booked.
pub struct Rehearsal<'a> {
    platform: &'a Platform,
    caller: &'a Caller,
    /// As it would be.
    pub catalogue: Catalogue,
}
impl<'a> Rehearsal<'a> {
    /// From how things are booked now.
    pub fn new(platform: &'a Platform, caller: &'a Caller) -> Rehearsal<'a> {
        let catalogue = platform.catalogue().clone();
        Rehearsal { platform, caller, catalogue }
    }
    /// Tries a command; the id of what it would make.
    ///
    /// # Errors
    /// As booking would refuse it.
    pub fn play(&mut self, mut command: Command) -> Result<String, Refusal> {
        super::entities::own(self.caller, &mut command);
        let mut faults = asset_faults(self.platform, &command);
        let planned = permitted(self.caller, &self.catalogue, &command)
            .and_then(|()| plan(&self.catalogue, command, &mut no_seal));
        match planned {
            Ok(planned) if faults.is_empty() => {
                planned.changes.iter().for_each(|change| self.apply(change));
                Ok(planned.id)
            }
            Ok(_) => Err(Refusal::Faults(faults)),
            Err(Refusal::Faults(more)) => {
                faults.0.extend(more.0);
                Err(Refusal::Faults(faults))
            }
            Err(other) => Err(other),
        }
    }
    /// Books something faulty all the same, so that what stands in it can be tried too.
    pub fn apply(&mut self, change: &Change) {
        self.catalogue.apply(self.platform.now(), change);
    }
}

/// Assets that a creative names must have been uploaded, and be what it says they are.
pub fn asset_faults(platform: &Platform, command: &Command) -> Faults {
    let mut faults = Faults::new();
    if let Command::PutVersion { spec, .. } = command {
        for asset in spec.creative.assets() {
            check_asset(platform, asset, &mut faults);
        }
    }
    faults
}
fn check_asset(platform: &Platform, asset: &Asset, faults: &mut Faults) {
    let Some(bytes) = platform.objects.get(&asset.hash) else {
        return faults.add("creative.asset.hash", "unknown", "Upload the picture first (POST /v1/assets).");
    };
    let Some(found) = image_type(&bytes) else {
        return faults.add("creative.asset.hash", "no_picture", "This object is no picture.");
    };
    let media = asset.media_type == found.media_type;
    faults.when(
        !media,
        "creative.asset.media_type",
        "contradiction",
        format!("The picture is {}.", found.media_type),
    );
    let pixels = format!("The picture is {} x {} pixels.", found.size.width, found.size.height);
    faults.when(asset.size != found.size, "creative.asset.size", "contradiction", pixels);
    let weight = format!("The picture has {} bytes.", bytes.len());
    faults.when(
        asset.size_bytes as usize != bytes.len(),
        "creative.asset.size_bytes",
        "contradiction",
        weight,
    );
}

/// Says which of several commands faults belong to.
pub fn located(faults: Faults, index: usize, count: usize) -> Faults {
    if count == 1 {
        return faults;
    }
    Faults(
        faults
            .0
            .into_iter()
            .map(|mut fault| {
                fault.field = format!("commands[{index}].{}", fault.field);
                fault
            })
            .collect(),
    )
}
