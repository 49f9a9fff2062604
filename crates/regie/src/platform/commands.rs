//! Commands: planned against the catalogue, applied and queued in one order, acknowledged when durable.
//!
//! Only commands change the catalogue, and they pass here one by one; so a change may be applied to the working
//! catalogue as soon as it is queued. Decisions see it only after it is durable (see `view`).

use super::{Ack, Platform, SubmitError, lock};
use regie_model::{
    Faults, UtcMs,
    catalogue::Catalogue,
    command::{Change, Command, Planned, Refusal, plan},
    event::{Actor, Booked, Event},
    personal::Sealed,
};
use std::sync::{Arc, PoisonError, atomic::Ordering};

/// Commands on their way.
#[derive(Default)]
pub struct Pending {
    /// Changes queued since the start.
    queued_count: u64,
    last_at: UtcMs,
}
/// Commands that arrived.
#[derive(Default)]
pub struct Durable {
    settled_count: u64,
    /// Journal position of the last change.
    position: u64,
}

/// Why a command had no effect.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The command was refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The journal could not take it.
    #[error(transparent)]
    Journal(#[from] SubmitError),
    /// Something inside failed; the text is for the log.
    #[error("{0}")]
    Internal(String),
}

/// An accepted command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Id of what was created or changed.
    pub id: String,
    /// Journal position of the (last) change; 0 when it changed nothing.
    pub position: u64,
}

/// Whether the caller may send a command, judged against the catalogue that it is planned on.
pub type Permit<'a> = &'a dyn Fn(&Catalogue, &Command) -> Result<(), Refusal>;

/// Called once with what became of the commands.
pub type CommandAck = Box<dyn FnOnce(Result<Vec<Accepted>, CommandError>) + Send>;

impl Platform {
    /// Plans and queues commands that belong together: all are accepted, or none. `done` is called when they are durable.
    pub fn command(self: &Arc<Self>, by: Actor, commands: Vec<Command>, done: CommandAck) {
        self.command_if(by, commands, &|_, _| Ok(()), done);
    }
    /// As [`Platform::command`]; each command must also pass `permit`, judged on the catalogue with the commands before it.
    pub fn command_if(
        self: &Arc<Self>,
        by: Actor,
        commands: Vec<Command>,
        permit: Permit<'_>,
        done: CommandAck,
    ) {
        let mut pending = lock(&self.commands);
        match self.prepare(&commands, permit) {
            Err(error) => {
                drop(pending);
                done(Err(error));
            }
            Ok((changes, ids)) => self.queue(&mut pending, by, changes, ids, done),
        }
    }
    /// Queues changes that are not commands (users, tokens, credits, erasure): the caller has checked them.
    pub fn record_changes(self: &Arc<Self>, by: Actor, changes: Vec<Change>, done: CommandAck) {
        let mut pending = lock(&self.commands);
        self.queue(&mut pending, by, changes, Vec::new(), done);
    }
    /// As [`Platform::record_changes`], for changes that need a number only known under the commands' lock.
    pub fn record_with(
        self: &Arc<Self>,
        by: Actor,
        make: impl FnOnce(&Catalogue) -> Result<(Vec<Change>, String), CommandError>,
        done: CommandAck,
    ) {
        let mut pending = lock(&self.commands);
        let made = make(&self.catalogue());
        match made {
            Ok((changes, id)) => self.queue(&mut pending, by, changes, vec![id], done),
            Err(error) => {
                drop(pending);
                done(Err(error));
            }
        }
    }

    /// Plans each command on top of the ones before it.
    fn prepare(
        &self,
        commands: &[Command],
        permit: Permit<'_>,
    ) -> Result<(Vec<Change>, Vec<String>), CommandError> {
        let (mut changes, mut ids, mut objects) = (Vec::new(), Vec::new(), Vec::new());
        let mut ahead: Option<Catalogue> = None;
        for (index, command) in commands.iter().enumerate() {
            let planned = {
                let current = self.catalogue();
                let base = ahead.as_ref().unwrap_or(&current);
                let permitted = permit(base, command).map_err(CommandError::from);
                permitted
                    .and_then(|()| self.plan_one(base, command.clone()))
                    .map_err(|error| locate(error, index, commands.len()))?
            };
            objects.extend(planned.objects);
            if index + 1 < commands.len() {
                let next = ahead.get_or_insert_with(|| self.catalogue().clone());
                planned.changes.iter().for_each(|change| next.apply(self.now(), change));
            }
            changes.extend(planned.changes);
            ids.push(planned.id);
        }
        // Durable before the journal names them.
        let stored = self.objects.put_all(objects.iter().map(|(_, bytes)| bytes.as_slice()));
        stored.map_err(|e| CommandError::Internal(format!("storing objects: {e}")))?;
        Ok((changes, ids))
    }
    fn plan_one(&self, base: &Catalogue, command: Command) -> Result<Planned, CommandError> {
        let mut failure = None;
        let last = base.last_person_key;
        let mut sealer =
            |identity: &regie_model::personal::Identity, key| match self.secrets.seal(identity, key, last) {
                Ok(sealed) => sealed,
                Err(error) => {
                    failure = Some(error.to_string());
                    Sealed { key: Default::default(), ciphertext_hex: String::new() }
                }
            };
        let planned = plan(base, command, &mut sealer)?;
        match failure {
            Some(error) => Err(CommandError::Internal(error)),
            None => Ok(planned),
        }
    }
    fn queue(
        self: &Arc<Self>,
        pending: &mut Pending,
        by: Actor,
        changes: Vec<Change>,
        ids: Vec<String>,
        done: CommandAck,
    ) {
        if changes.is_empty() {
            return done(Ok(ids.into_iter().map(|id| Accepted { id, position: 0 }).collect()));
        }
        let at = self.now().max(pending.last_at);
        let events: Vec<Event> = changes
            .iter()
            .map(|change| Event::Booked(Box::new(Booked { by: by.clone(), at, change: change.clone() })))
            .collect();
        let count = changes.len() as u64;
        let platform = Arc::clone(self);
        let shared = Arc::new(std::sync::Mutex::new(Some(done)));
        let inner = Arc::clone(&shared);
        let ack: Ack = Box::new(move |result| {
            let mut durable = lock(&platform.durable.0);
            durable.settled_count += count;
            if let Ok(appended) = &result {
                durable.position = durable.position.max(appended.last.0);
            }
            drop(durable);
            platform.durable.1.notify_all();
            platform.changed.store(true, Ordering::SeqCst);
            let answer = match result {
                Ok(appended) => {
                    Ok(ids.into_iter().map(|id| Accepted { id, position: appended.last.0 }).collect())
                }
                Err(_) => Err(CommandError::Journal(SubmitError::Stopped)),
            };
            if let Some(done) = lock(&inner).take() {
                done(answer);
            }
        });
        match self.submit(&events, ack) {
            Ok(()) => {
                pending.last_at = at;
                pending.queued_count += count;
                let mut catalogue = self.catalogue.write().unwrap_or_else(PoisonError::into_inner);
                let mut touched = lock(&self.touched);
                for change in &changes {
                    catalogue.apply(at, change);
                    touched.note(&catalogue, change);
                }
                drop(touched);
                drop(catalogue);
                if changes.iter().any(|c| matches!(c, Change::StopSet { .. })) {
                    self.apply_halts();
                }
            }
            Err(error) => {
                if let Some(done) = lock(&shared).take() {
                    done(Err(error.into()));
                }
            }
        }
    }
    /// Journal position of the last change that is durable; 0 before the first of this process.
    pub fn last_change(&self) -> u64 {
        lock(&self.durable.0).position
    }
    /// Waits until every queued change is durable, holding new ones back, and gives the journal position of the last;
    /// `None` after `timeout_ms`.
    pub(super) fn settle_commands(
        &self,
        timeout_ms: u64,
    ) -> Option<(std::sync::MutexGuard<'_, Pending>, u64)> {
        let pending = lock(&self.commands);
        let timeout = std::time::Duration::from_millis(timeout_ms);
        let wanted = pending.queued_count;
        let guard = lock(&self.durable.0);
        let waited = self.durable.1.wait_timeout_while(guard, timeout, |d| d.settled_count < wanted);
        let (durable, _) = waited.ok()?;
        (durable.settled_count >= wanted).then_some((pending, durable.position))
    }
}

/// Says which of several commands a fault belongs to.
fn locate(error: CommandError, index: usize, count: usize) -> CommandError {
    match error {
        CommandError::Refused(Refusal::Faults(faults)) if count > 1 => {
            let located = faults.0.into_iter().map(|mut fault| {
                fault.field = format!("commands[{index}].{}", fault.field);
                fault
            });
            CommandError::Refused(Refusal::Faults(Faults(located.collect())))
        }
        other => other,
    }
}
