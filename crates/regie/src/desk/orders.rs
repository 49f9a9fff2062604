//! Reports made by the clock: what was ordered, which period is due, and the files that were made.
//!
//! A period is over before its file is made, so a file is exact for good. Periods are whole days of the account's zone.

use super::{Desk, DeskError};
use regie_model::{AdvertiserId, CampaignId, Day, UserId, UtcMs};
use rusqlite::{OptionalExtension, Row, params};
use std::path::PathBuf;

/// Orders of one advertiser at most.
pub const ORDERS_COUNT_MAX: usize = 100;
/// How many days a file is kept unless the order says otherwise.
pub const FILE_DAYS_DEFAULT: u32 = 90;
/// How many days a file is kept at most.
pub const FILE_DAYS_MAX: u32 = 400;

/// How often a report is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Every {
    /// Each day, of the day before.
    Day,
    /// Each Monday, of the week before.
    Week,
}
impl Every {
    /// Its word in forms and in the database.
    pub fn word(self) -> &'static str {
        match self {
            Every::Day => "day",
            Every::Week => "week",
        }
    }
    /// By its word.
    pub fn from_word(word: &str) -> Option<Every> {
        [Every::Day, Every::Week].into_iter().find(|every| every.word() == word)
    }
    /// Up to where an order placed today counts as made, so that the last whole period is made at once.
    pub fn begins(self, today: Day) -> Day {
        match self {
            Every::Day => Day(today.0 - 2),
            Every::Week => Day(monday(today).0 - 8),
        }
    }
    /// The first period that is over and not made: its first and last day.
    pub fn due(self, made_until: Day, today: Day) -> Option<(Day, Day)> {
        let first = Day(made_until.0 + 1);
        let last = match self {
            Every::Day => first,
            Every::Week => Day(first.0 + 6),
        };
        (last < today).then_some((first, last))
    }
}
/// The Monday of a day's week. Day 0 was a Thursday.
fn monday(day: Day) -> Day {
    Day(day.0 - (day.0 + 3).rem_euclid(7))
}

/// What is ordered.
#[derive(Clone, Debug, PartialEq)]
pub struct NewOrder {
    /// Whose.
    pub advertiser: AdvertiserId,
    /// Of which campaign.
    pub campaign: CampaignId,
    /// Who ordered it; nobody for a token.
    pub user: Option<UserId>,
    /// How often.
    pub every: Every,
    /// By what, as reports name it, separated by commas.
    pub by: String,
    /// How many days a file is kept.
    pub keep_days: u32,
    /// Mail a link when a file is made.
    pub has_mail: bool,
}
/// An order.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// Its number.
    pub id: i64,
    /// What is ordered.
    pub what: NewOrder,
    /// Last day that is made.
    pub made_until: Day,
    /// When it was ordered.
    pub created_at: UtcMs,
    /// Why the last try failed; empty when it did not.
    pub problem: String,
}
/// A file to keep.
#[derive(Clone, Debug, PartialEq)]
pub struct NewFile {
    /// First day.
    pub first: Day,
    /// Last day.
    pub last: Day,
    /// When it was made.
    pub made_at: UtcMs,
    /// The day on which it goes.
    pub keep_until: Day,
    /// Rows below the head.
    pub rows_count: usize,
    /// The CSV.
    pub text: String,
}
/// A file that was made.
#[derive(Clone, Debug, PartialEq)]
pub struct File {
    /// Its number.
    pub id: i64,
    /// Which order it is of.
    pub order: i64,
    /// Whose.
    pub advertiser: AdvertiserId,
    /// Of which campaign.
    pub campaign: CampaignId,
    /// First day.
    pub first: Day,
    /// Last day.
    pub last: Day,
    /// When it was made.
    pub made_at: UtcMs,
    /// The day on which it goes.
    pub keep_until: Day,
    /// Weight.
    pub size_bytes: u64,
    /// Rows below the head.
    pub rows_count: u64,
    /// Its name.
    pub name: String,
}

const ORDER: &str = "SELECT id, advertiser, campaign, user, every, dimensions, keep_days, mail, made_until, created_at, problem FROM orders";
const FILE: &str = "SELECT id, report_order, advertiser, campaign, first_day, last_day, made_at, keep_until, size_bytes, rows_count, name FROM files";

fn order(r: &Row<'_>) -> rusqlite::Result<Order> {
    Ok(Order {
        id: r.get(0)?,
        what: NewOrder {
            advertiser: AdvertiserId(r.get(1)?),
            campaign: CampaignId(r.get(2)?),
            user: r.get::<_, Option<u32>>(3)?.map(UserId),
            every: Every::from_word(&r.get::<_, String>(4)?).unwrap_or(Every::Day),
            by: r.get(5)?,
            keep_days: r.get(6)?,
            has_mail: r.get(7)?,
        },
        made_until: Day(r.get(8)?),
        created_at: UtcMs(r.get(9)?),
        problem: r.get(10)?,
    })
}
fn file(r: &Row<'_>) -> rusqlite::Result<File> {
    Ok(File {
        id: r.get(0)?,
        order: r.get(1)?,
        advertiser: AdvertiserId(r.get(2)?),
        campaign: CampaignId(r.get(3)?),
        first: Day(r.get(4)?),
        last: Day(r.get(5)?),
        made_at: UtcMs(r.get(6)?),
        keep_until: Day(r.get(7)?),
        size_bytes: u64::try_from(r.get::<_, i64>(8)?).unwrap_or(0),
        rows_count: u64::try_from(r.get::<_, i64>(9)?).unwrap_or(0),
        name: r.get(10)?,
    })
}

impl Desk {
    /// Takes an order; one of the same campaign, rhythm and rows is that order again.
    ///
    /// # Errors
    /// Too many orders; SQLite's error.
    pub fn place_order(&self, what: &NewOrder, today: Day, now: UtcMs) -> Result<i64, DeskError> {
        let db = self.lock();
        let same =
            "SELECT id FROM orders WHERE campaign = ?1 AND every = ?2 AND dimensions = ?3 AND user IS ?4";
        let user = what.user.map(|u| u.0);
        let known = params![what.campaign.0, what.every.word(), what.by, user];
        if let Some(id) = db.query_row(same, known, |r| r.get(0)).optional()? {
            db.execute(
                "UPDATE orders SET keep_days = ?2, mail = ?3 WHERE id = ?1",
                params![id, what.keep_days, what.has_mail],
            )?;
            return Ok(id);
        }
        let count: i64 =
            db.query_row("SELECT count(*) FROM orders WHERE advertiser = ?1", [what.advertiser.0], |r| {
                r.get(0)
            })?;
        if count >= ORDERS_COUNT_MAX as i64 {
            return Err(DeskError::Limit(format!(
                "At most {ORDERS_COUNT_MAX} scheduled reports; end one first."
            )));
        }
        db.execute(
            "INSERT INTO orders (advertiser, campaign, user, every, dimensions, keep_days, mail, made_until, created_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            params![
                what.advertiser.0,
                what.campaign.0,
                user,
                what.every.word(),
                what.by,
                what.keep_days,
                what.has_mail,
                what.every.begins(today).0,
                now.0
            ],
        )?;
        Ok(db.last_insert_rowid())
    }
    /// All orders, or one advertiser's, in the order in which they were placed.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn orders(&self, of: Option<AdvertiserId>) -> Result<Vec<Order>, DeskError> {
        let db = self.lock();
        let mut statement =
            db.prepare(&format!("{ORDER} WHERE ?1 IS NULL OR advertiser = ?1 ORDER BY id"))?;
        let rows = statement.query_map([of.map(|a| a.0)], order)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
    /// Ends an order; its files stay as long as they were to be kept.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn end_order(&self, id: i64) -> Result<(), DeskError> {
        self.lock().execute("DELETE FROM orders WHERE id = ?1", [id])?;
        Ok(())
    }
    /// Says why an order could not be carried out.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn note_problem(&self, id: i64, problem: &str) -> Result<(), DeskError> {
        self.lock().execute("UPDATE orders SET problem = ?2 WHERE id = ?1", params![id, problem])?;
        Ok(())
    }
    /// Keeps a file that was made for an order: on the disk first, then in the list.
    ///
    /// # Errors
    /// The disk's error; SQLite's.
    pub fn keep_file(&self, order: &Order, made: &NewFile) -> Result<String, DeskError> {
        let name = if made.first == made.last {
            format!("{}_{}.csv", order.what.campaign, made.first)
        } else {
            format!("{}_{}_{}.csv", order.what.campaign, made.first, made.last)
        };
        let path = self.path(order.id, &name);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let partial = path.with_extension("partial");
        std::fs::write(&partial, &made.text)?;
        std::fs::File::open(&partial)?.sync_all()?;
        std::fs::rename(&partial, &path)?;
        let db = self.lock();
        db.execute(
            "INSERT OR REPLACE INTO files (report_order, advertiser, campaign, first_day, last_day, made_at, keep_until, size_bytes, \
             rows_count, name) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            params![
                order.id,
                order.what.advertiser.0,
                order.what.campaign.0,
                made.first.0,
                made.last.0,
                made.made_at.0,
                made.keep_until.0,
                made.text.len() as i64,
                made.rows_count as i64,
                name
            ],
        )?;
        db.execute(
            "UPDATE orders SET made_until = ?2, problem = '' WHERE id = ?1",
            params![order.id, made.last.0],
        )?;
        Ok(name)
    }
    /// Files, the latest first; all, or one advertiser's.
    ///
    /// # Errors
    /// SQLite's error.
    pub fn files(&self, of: Option<AdvertiserId>, limit: usize) -> Result<Vec<File>, DeskError> {
        let db = self.lock();
        let sql =
            format!("{FILE} WHERE ?1 IS NULL OR advertiser = ?1 ORDER BY made_at DESC, id DESC LIMIT ?2");
        let mut statement = db.prepare(&sql)?;
        let rows = statement.query_map(params![of.map(|a| a.0), limit as i64], file)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
    /// One file and its text; nothing when it is gone.
    ///
    /// # Errors
    /// SQLite's error, the disk's.
    pub fn file(&self, id: i64) -> Result<Option<(File, Vec<u8>)>, DeskError> {
        let found = self.lock().query_row(&format!("{FILE} WHERE id = ?1"), [id], file).optional()?;
        let Some(found) = found else { return Ok(None) };
        match std::fs::read(self.path(found.order, &found.name)) {
            Ok(text) => Ok(Some((found, text))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
    /// Lets files go whose time is over, and says how many.
    ///
    /// # Errors
    /// SQLite's error, the disk's.
    pub fn drop_old_files(&self, today: Day) -> Result<usize, DeskError> {
        let old: Vec<File> = {
            let db = self.lock();
            let mut statement = db.prepare(&format!("{FILE} WHERE keep_until < ?1"))?;
            let rows = statement.query_map([today.0], file)?;
            rows.collect::<Result<_, _>>()?
        };
        for file in &old {
            match std::fs::remove_file(self.path(file.order, &file.name)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
            self.lock().execute("DELETE FROM files WHERE id = ?1", [file.id])?;
        }
        Ok(old.len())
    }
    fn path(&self, order: i64, name: &str) -> PathBuf {
        self.downloads.join(order.to_string()).join(name)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_over_before_they_are_due() {
        // A Wednesday; its week began on the 23rd.
        let today = Day::parse("2026-11-25").unwrap();
        let day = |text: &str| Day::parse(text).unwrap();
        assert_eq!(monday(today), day("2026-11-23"));
        assert_eq!(monday(day("2026-11-23")), day("2026-11-23"));
        assert_eq!(
            Every::Day.due(Every::Day.begins(today), today),
            Some((day("2026-11-24"), day("2026-11-24")))
        );
        assert_eq!(Every::Day.due(day("2026-11-24"), today), None, "today is not over");
        assert_eq!(
            Every::Week.due(Every::Week.begins(today), today),
            Some((day("2026-11-16"), day("2026-11-22")))
        );
        assert_eq!(Every::Week.due(day("2026-11-22"), day("2026-11-29")), None, "Sunday belongs to the week");
        assert_eq!(
            Every::Week.due(day("2026-11-22"), day("2026-11-30")),
            Some((day("2026-11-23"), day("2026-11-29")))
        );
    }
    #[test]
    fn files_are_kept_for_their_time_and_one_order_makes_a_period_once() {
        let folder = tempfile::tempdir().unwrap();
        let desk = Desk::open(folder.path()).unwrap();
        let what = NewOrder {
            advertiser: AdvertiserId(3),
            campaign: CampaignId(7),
            user: None,
            every: Every::Day,
            by: "day,version".into(),
            keep_days: 2,
            has_mail: false,
        };
        let today = Day::parse("2026-11-25").unwrap();
        let id = desk.place_order(&what, today, UtcMs(1)).unwrap();
        assert_eq!(desk.place_order(&what, today, UtcMs(2)).unwrap(), id, "the same order again");
        let order = desk.orders(Some(AdvertiserId(3))).unwrap().remove(0);
        assert!(desk.orders(Some(AdvertiserId(4))).unwrap().is_empty());
        let (first, last) = order.what.every.due(order.made_until, today).unwrap();
        let made = NewFile {
            first,
            last,
            made_at: UtcMs(5),
            keep_until: Day(today.0 + 2),
            rows_count: 1,
            text: "a\n1\n".into(),
        };
        let name = desk.keep_file(&order, &made).unwrap();
        desk.keep_file(&order, &made).unwrap();
        assert_eq!(name, "cam_7_2026-11-24.csv");
        let files = desk.files(Some(AdvertiserId(3)), 10).unwrap();
        assert_eq!(files.len(), 1, "made twice, kept once");
        assert_eq!(desk.file(files[0].id).unwrap().unwrap().1, b"a\n1\n");
        let order = desk.orders(None).unwrap().remove(0);
        assert_eq!(order.what.every.due(order.made_until, today), None);
        assert_eq!(desk.drop_old_files(Day(today.0 + 2)).unwrap(), 0);
        assert_eq!(desk.drop_old_files(Day(today.0 + 3)).unwrap(), 1);
        assert_eq!(desk.file(files[0].id).unwrap(), None);
        assert!(!folder.path().join("downloads").join(id.to_string()).join(name).exists());
    }
}
