//! Drafts of bookings: what somebody typed on the way from a goal to a launch, step by step, as it was typed.

use super::{Desk, DeskError};
use regie_model::{UserId, UtcMs, time::DAY_MS};
use rusqlite::{OptionalExtension, params};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Drafts of one person at most.
pub const DRAFTS_COUNT_MAX: usize = 20;
/// What one draft weighs at most.
const DRAFT_BYTES_MAX: usize = 1024 * 1024;
/// How long an untouched draft is kept, in milliseconds (90 days).
const DRAFT_MS: i64 = 90 * DAY_MS;

/// A draft of a booking.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// Its number.
    pub id: i64,
    /// Last change.
    pub changed_at: UtcMs,
    /// What it says.
    pub content: Content,
}

/// What a draft says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Content {
    /// Names and values as typed, by step.
    pub steps: BTreeMap<String, Vec<(String, String)>>,
    /// Ids of what a launch that stopped halfway has booked already, by what it is.
    #[serde(default)]
    pub made: BTreeMap<String, String>,
}

impl Desk {
    /// Begins a draft, and gives its number. Old ones go first.
    ///
    /// # Errors
    /// Too many drafts; SQLite's error.
    pub fn begin_draft(&self, user: UserId, content: &Content, now: UtcMs) -> Result<i64, DeskError> {
        let text = text(content)?;
        let db = self.lock();
        db.execute("DELETE FROM drafts WHERE changed_at < ?1", [now.0 - DRAFT_MS])?;
        let count: i64 =
            db.query_row("SELECT count(*) FROM drafts WHERE user = ?1", [user.0], |r| r.get(0))?;
        if count >= DRAFTS_COUNT_MAX as i64 {
            return Err(DeskError::Limit(format!("At most {DRAFTS_COUNT_MAX} drafts; discard one first.")));
        }
        db.execute(
            "INSERT INTO drafts (user, changed_at, content) VALUES (?1, ?2, ?3)",
            params![user.0, now.0, text],
        )?;
        Ok(db.last_insert_rowid())
    }
    /// A draft of a person; somebody else's is not there.
    ///
    /// # Errors
    /// SQLite's error; a draft that cannot be read.
    pub fn draft(&self, user: UserId, id: i64) -> Result<Option<Draft>, DeskError> {
        let found: Option<(i64, String)> = self
            .lock()
            .query_row(
                "SELECT changed_at, content FROM drafts WHERE user = ?1 AND id = ?2",
                params![user.0, id],
                |r| Ok((r.get(0)?, r.get(1)?)),
            )
            .optional()?;
        let Some((at, content)) = found else { return Ok(None) };
        Ok(Some(Draft { id, changed_at: UtcMs(at), content: serde_json::from_str(&content)? }))
    }
    /// A person's drafts, the latest first.
    ///
    /// # Errors
    /// SQLite's error; a draft that cannot be read.
    pub fn drafts(&self, user: UserId) -> Result<Vec<Draft>, DeskError> {
        let db = self.lock();
        let mut statement = db.prepare(
            "SELECT id, changed_at, content FROM drafts WHERE user = ?1 ORDER BY changed_at DESC, id DESC",
        )?;
        let rows = statement.query_map([user.0], |r| Ok((r.get(0)?, r.get(1)?, r.get::<_, String>(2)?)))?;
        rows.map(|row| {
            let (id, at, content) = row?;
            Ok(Draft { id, changed_at: UtcMs(at), content: serde_json::from_str(&content)? })
        })
        .collect()
    }
    /// Keeps what a draft says now.
    ///
    /// # Errors
    /// A draft that is too large; SQLite's error.
    pub fn keep_draft(&self, user: UserId, draft: &Draft, now: UtcMs) -> Result<(), DeskError> {
        let text = text(&draft.content)?;
        self.lock().execute(
            "UPDATE drafts SET changed_at = ?3, content = ?4 WHERE user = ?1 AND id = ?2",
            params![user.0, draft.id, now.0, text],
        )?;
        Ok(())
    }
    /// Throws a draft away.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn discard_draft(&self, user: UserId, id: i64) -> Result<(), DeskError> {
        self.lock().execute("DELETE FROM drafts WHERE user = ?1 AND id = ?2", params![user.0, id])?;
        Ok(())
    }
}

fn text(content: &Content) -> Result<String, DeskError> {
    let text = serde_json::to_string(content)?;
    if text.len() > DRAFT_BYTES_MAX {
        return Err(DeskError::Limit(format!(
            "A draft has at most {DRAFT_BYTES_MAX} bytes; this one has {}.",
            text.len()
        )));
    }
    Ok(text)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_is_its_persons_alone_and_old_ones_go() {
        let folder = tempfile::tempdir().unwrap();
        let desk = Desk::open(folder.path()).unwrap();
        let (kim, lee, now) = (UserId(1), UserId(2), UtcMs(1_800_000_000_000));
        let id = desk.begin_draft(kim, &Content::default(), now).unwrap();
        assert_eq!(desk.draft(lee, id).unwrap(), None);
        let mut draft = desk.draft(kim, id).unwrap().unwrap();
        draft.content.steps.insert("goal".into(), vec![("name".into(), "Spring".into())]);
        desk.keep_draft(lee, &draft, now).unwrap();
        assert!(
            desk.draft(kim, id).unwrap().unwrap().content.steps.is_empty(),
            "somebody else's words are not kept"
        );
        desk.keep_draft(kim, &draft, UtcMs(now.0 + 5)).unwrap();
        drop(desk);
        let desk = Desk::open(folder.path()).unwrap();
        let again = desk.draft(kim, id).unwrap().unwrap();
        assert_eq!((again.changed_at, &again.content), (UtcMs(now.0 + 5), &draft.content));
        let later = UtcMs(now.0 + DRAFT_MS + 6);
        let fresh = desk.begin_draft(kim, &Content::default(), later).unwrap();
        assert_eq!(desk.drafts(kim).unwrap().iter().map(|d| d.id).collect::<Vec<_>>(), [fresh]);
        for _ in 1..DRAFTS_COUNT_MAX {
            desk.begin_draft(kim, &Content::default(), later).unwrap();
        }
        assert!(matches!(desk.begin_draft(kim, &Content::default(), later), Err(DeskError::Limit(_))));
        desk.discard_draft(kim, fresh).unwrap();
        assert!(desk.begin_draft(kim, &Content::default(), later).is_ok());
    }
    #[test]
    fn a_backup_holds_the_drafts() {
        let (folder, kept) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let desk = Desk::open(folder.path()).unwrap();
        let id = desk.begin_draft(UserId(1), &Content::default(), UtcMs(7)).unwrap();
        desk.backup_to(&Desk::database(kept.path())).unwrap();
        assert!(Desk::open(kept.path()).unwrap().draft(UserId(1), id).unwrap().is_some());
    }
    #[test]
    fn a_draft_has_a_weight() {
        let folder = tempfile::tempdir().unwrap();
        let desk = Desk::open(folder.path()).unwrap();
        let mut content = Content::default();
        content.steps.insert("creative".into(), vec![("markup".into(), "x".repeat(DRAFT_BYTES_MAX))]);
        assert!(matches!(desk.begin_draft(UserId(1), &content, UtcMs(0)), Err(DeskError::Limit(_))));
    }
}
