//! The record's log beside the simulated platform: laws R1 to R4 and J1 as an outsider finds them, and figures equal to the ledger's.

use crate::world::Violation;
use regie::{
    config::Config,
    platform::{
        Platform,
        folder::Folder,
        log::{Door, RecordLog, files::FolderFiles, files_of, schema::Entries},
    },
    publication::Publication,
};
use regie_model::UtcMs;
use regie_record::{
    known::as_known,
    log::{
        Policy,
        verify::{Verdict, Wanted, verify},
    },
};
use std::{path::Path, sync::Arc};

pub struct Record {
    log: Arc<RecordLog>,
    publication: Arc<Publication>,
    folder: Folder,
    /// The checkpoint that an outsider saw last.
    pub seen: Option<String>,
}

pub fn configured(published: &[String]) -> Config {
    Config {
        public_url: "https://ads.example".into(),
        log_published: published.to_vec(),
        ..Config::default()
    }
}

fn told(error: anyhow::Error) -> Violation {
    format!("{error:#}")
}

impl Record {
    pub fn open(dir: &Path, platform: &Arc<Platform>, seen: Option<String>) -> Result<Record, Violation> {
        Record::open_beside(dir, platform, seen, &[])
    }
    /// With places where the log is published besides.
    pub fn open_beside(
        dir: &Path,
        platform: &Arc<Platform>,
        seen: Option<String>,
        published: &[String],
    ) -> Result<Record, Violation> {
        let folder = Folder::open(dir).map_err(told)?;
        let config = configured(published);
        let log = RecordLog::open(&folder, &platform.secrets, &config, platform.now()).map_err(told)?;
        let door = Box::new(Door(Arc::clone(&log)));
        // The journal is on the simulated disk: credits, which would be looked up there, are none of this scenario.
        let none = dir.join("no-journal");
        let publication =
            Publication::open(Arc::clone(platform), &folder.record_db(), none, door, true).map_err(told)?;
        let record = Record { log, publication, folder, seen };
        record.is_of_durable_bookings(platform)?;
        Ok(record)
    }
    /// R2: nothing stands in the log that the recovered journal does not have.
    fn is_of_durable_bookings(&self, platform: &Platform) -> Result<(), Violation> {
        let logged = self.publication.db().ads_with_facts().map_err(told)?;
        let catalogue = platform.catalogue();
        match logged.iter().find(|ad| !catalogue.ads.contains_key(ad)) {
            Some(ad) => Err(format!("law R2: {ad} is published, and its booking is lost")),
            None => Ok(()),
        }
    }
    /// Publishes what there is to publish.
    pub fn publish(&self) -> Result<(), Violation> {
        for _ in 0..100 {
            if !self.publication.step().map_err(told)? {
                return Ok(());
            }
        }
        Err("publishing does not come to an end".into())
    }
    pub fn settle(&self, now: UtcMs) -> Result<(), Violation> {
        self.publish()?;
        self.publication.settle_at(now).map_err(told)
    }
    pub fn log(&self) -> &RecordLog {
        &self.log
    }
    pub fn size(&self) -> u64 {
        self.log.head().head.size
    }
    /// As an outsider: everything fits, and goes on from what was seen (R1, R3, R4 by the entries' schema); as an auditor: what
    /// was published is what was counted, and nothing was shown that is not in the log.
    pub fn check(&mut self, platform: &Platform) -> Result<(), Violation> {
        let policy = Policy::of_log(self.log.verifiers().remove(0));
        let mut files = FolderFiles::new(&files_of(&self.folder)).map_err(told)?;
        let wanted = Wanted { policy: &policy, seen: self.seen.clone(), objects: true };
        let report = verify(&mut files, &wanted, &mut Entries::default(), &mut |_, _| {});
        if report.verdict() == Verdict::Broken {
            let findings: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
            return Err(format!("laws R1 to R4: {}", findings.join("; ")));
        }
        self.seen = report.note.map(|note| note.to_string());
        let shown: Vec<_> = {
            let folds = platform.folds();
            folds.ledger.ads().filter(|(_, c)| c.impressions_count > 0).map(|(id, _)| id).collect()
        };
        for ad in shown {
            let days = self.publication.day_amounts(ad).map_err(told)?;
            let versions = self.publication.db().versions(ad, None).map_err(told)?;
            let known = as_known(&versions, UtcMs(i64::MAX));
            let known = known.ok_or_else(|| format!("{ad} was shown and is not in the log"))?;
            for (day, figures) in &known.days {
                if days.get(day) != Some(&figures.amounts) && !self.is_open(day.0, platform) {
                    return Err(format!(
                        "{ad}, {day}: published are {:?}, counted {:?}",
                        figures.amounts,
                        days.get(day)
                    ));
                }
            }
        }
        self.is_personal_free()
    }
    /// A day that is not over, or whose correction is due with the next round, may still differ.
    fn is_open(&self, day: i32, platform: &Platform) -> bool {
        i64::from(day) * 86_400_000 + 2 * 86_400_000 > platform.now().0
    }
    /// J1, R4: neither a name of a party nor a contact stands in any leaf: they are objects.
    fn is_personal_free(&self) -> Result<(), Violation> {
        let db = self.publication.db();
        for index in 0..db.size().map_err(told)? {
            let Some(bytes) = db.leaf_bytes(index).map_err(told)? else { continue };
            let text = String::from_utf8_lossy(&bytes);
            if text.contains('@') || text.contains("Shop") {
                return Err(format!("law R4: entry {index} names somebody: {text}"));
            }
        }
        Ok(())
    }
}
