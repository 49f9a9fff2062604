//! A study's desk in a data folder: the store, groupings as files, and what was published.
//!
//! `study.db` is the store, `study/groupings/NAME.csv` the groupings, `study/reports/SLUG/` what was published. It
//! shares nothing with the product's journal. Files are written whole and renamed into place. What was published is
//! never changed: a withdrawal is a word beside it. Refuses names that are not plain words.

use crate::day::Day;
use crate::error::{Error, Result};
use crate::export;
use crate::group::Grouping;
use crate::rank::Ranking;
use crate::store::Store;
use crate::{methods, report, table};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Most groupings or reports of a desk.
const LIST_MAX: usize = 10_000;
/// Largest grouping file in bytes.
pub const GROUPING_BYTES_MAX: usize = 64 << 20;

/// The desk of a data folder.
#[derive(Clone, Debug)]
pub struct Desk {
    folder: PathBuf,
}

/// A name that may be part of a path: small letters, digits and hyphens, 1 to 80 of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slug(String);

impl Slug {
    /// Reads a name as it is.
    pub fn parse(text: &str) -> Option<Slug> {
        let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let fits = (1..=80).contains(&text.len()) && text.bytes().all(is_plain) && !text.starts_with('-');
        fits.then(|| Slug(text.to_owned()))
    }
    /// Makes a name of any title.
    pub fn of(title: &str) -> Slug {
        let plain: String = crate::text::plain(title)
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { ' ' })
            .collect();
        let mut slug = plain.split_whitespace().collect::<Vec<_>>().join("-");
        slug.truncate(60);
        let slug = slug.trim_matches('-');
        Slug(if slug.is_empty() { "untitled".into() } else { slug.to_owned() })
    }
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
impl std::fmt::Display for Slug {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What stands beside a published report.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Published {
    /// Its title.
    pub title: String,
    /// What the publisher says first.
    pub lead: String,
    /// The answer in one sentence.
    pub headline: String,
    /// The question's pairs.
    pub question: Vec<(String, String)>,
    /// When.
    pub published_on: Day,
    /// Who, as the house names them; not shown to the public.
    pub published_by: String,
    /// The methods paragraph.
    pub method: String,
    /// The sources, one line each.
    pub sources: Vec<String>,
    /// BLAKE3 of `ranking.json`, hexadecimal.
    pub content_hash: String,
    /// Why and when it was withdrawn.
    #[serde(default)]
    pub withdrawn: Option<(Day, String)>,
}

/// What is to be published.
pub struct Publication<'a> {
    /// Title.
    pub title: &'a str,
    /// What the publisher says first.
    pub lead: &'a str,
    /// The question's pairs.
    pub question: &'a [(String, String)],
    /// The answer.
    pub ranking: &'a Ranking,
    /// The grouping it used.
    pub grouping: Option<&'a Grouping>,
    /// Today.
    pub today: Day,
    /// Who publishes.
    pub author: &'a str,
}

/// Files of a published report: name, media type.
pub const FILES: [(&str, &str); 4] = [
    ("ranking.csv", "text/csv; charset=utf-8"),
    ("ranking.json", "application/json"),
    ("ranking.parquet", "application/vnd.apache.parquet"),
    ("grouping.csv", "text/csv; charset=utf-8"),
];

impl Desk {
    /// The desk of a data folder. Nothing is made yet.
    pub fn of(data_folder: &Path) -> Desk {
        Desk { folder: data_folder.to_owned() }
    }
    /// Where the store is.
    pub fn store_path(&self) -> PathBuf {
        self.folder.join("study.db")
    }
    /// Opens the store, making it when there is none.
    ///
    /// # Errors
    /// Those of the store.
    pub fn store(&self) -> Result<Store> {
        fs::create_dir_all(&self.folder).map_err(|e| Error::file(self.folder.display(), e))?;
        Store::open(&self.store_path())
    }
    /// Copies store, groupings and reports to the desk of another data folder, where there is none yet; uploads that
    /// wait are not copied.
    ///
    /// # Errors
    /// Those of the store and the file system.
    pub fn copy_to(&self, other: &Desk) -> Result<()> {
        if self.store_path().exists() {
            self.store()?.copy_to(&other.store_path())?;
        }
        for name in self.groupings()? {
            let (grouping, _) = self.grouping(&name)?;
            other.save(&name, &grouping, None)?;
        }
        for (slug, _) in self.reports()? {
            let (from, to) =
                (self.room("reports")?.join(slug.as_str()), other.room("reports")?.join(slug.as_str()));
            fs::create_dir_all(&to).map_err(|e| Error::file(to.display(), e))?;
            for entry in fs::read_dir(&from).map_err(|e| Error::file(from.display(), e))? {
                let entry = entry.map_err(|e| Error::file(from.display(), e))?;
                let bytes = fs::read(entry.path()).map_err(|e| Error::file(entry.path().display(), e))?;
                put(&to.join(entry.file_name()), &bytes)?;
            }
        }
        Ok(())
    }
    /// Whether anything was ever put on it.
    pub fn is_used(&self) -> bool {
        self.store_path().exists() || self.folder.join("study").exists()
    }
    /// A folder of the desk, made when there is none: `groupings`, `reports`, `uploads`.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn room(&self, name: &str) -> Result<PathBuf> {
        let path = self.folder.join("study").join(name);
        fs::create_dir_all(&path).map_err(|e| Error::file(path.display(), e))?;
        Ok(path)
    }
    fn names(&self, room: &str, ending: &str) -> Result<Vec<Slug>> {
        let folder = self.room(room)?;
        let mut names = Vec::new();
        for entry in fs::read_dir(&folder).map_err(|e| Error::file(folder.display(), e))? {
            let name = entry.map_err(|e| Error::file(folder.display(), e))?.file_name();
            let slug = name.to_str().and_then(|n| n.strip_suffix(ending)).and_then(Slug::parse);
            names.extend(slug);
            if names.len() > LIST_MAX {
                let hint = "put older ones aside";
                return Err(Error::Limit { what: "files on the desk", limit: LIST_MAX as u64, hint });
            }
        }
        names.sort();
        Ok(names)
    }
    /// Names of the groupings.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn groupings(&self) -> Result<Vec<Slug>> {
        self.names("groupings", ".csv")
    }
    fn grouping_path(&self, name: &Slug) -> Result<PathBuf> {
        Ok(self.room("groupings")?.join(format!("{name}.csv")))
    }
    /// A grouping and the mark of its text, to be handed back when it is changed.
    ///
    /// # Errors
    /// None of that name; a file that is no grouping.
    pub fn grouping(&self, name: &Slug) -> Result<(Grouping, String)> {
        let path = self.grouping_path(name)?;
        let text = fs::read_to_string(&path).map_err(|e| Error::file(path.display(), e))?;
        Ok((Grouping::parse(&text, &format!("{name}.csv"))?, mark(&text)))
    }
    /// Writes a grouping; `mark` is that of the text it was made from, or nothing for a new one.
    ///
    /// # Errors
    /// Somebody else changed it in between; accepted links that contradict each other.
    pub fn save(&self, name: &Slug, grouping: &Grouping, old: Option<&str>) -> Result<()> {
        grouping.resolver()?;
        let path = self.grouping_path(name)?;
        let there = fs::read_to_string(&path).ok().map(|text| mark(&text));
        if there.as_deref() != old {
            let what =
                if old.is_none() { "exists already" } else { "was changed by somebody else in between" };
            return Err(Error::Question(format!(
                "the grouping {name} {what}; load it again and repeat your edit"
            )));
        }
        let text = grouping.write();
        if text.len() > GROUPING_BYTES_MAX {
            let limit = GROUPING_BYTES_MAX as u64;
            return Err(Error::Limit { what: "bytes of a grouping", limit, hint: "split the grouping" });
        }
        put(&path, text.as_bytes())
    }
    /// What was published, the latest first, withdrawn ones included.
    ///
    /// # Errors
    /// Those of the file system; a report that cannot be read.
    pub fn reports(&self) -> Result<Vec<(Slug, Published)>> {
        let mut list = Vec::new();
        for slug in self.names("reports", "")? {
            list.extend(self.report(&slug)?.map(|report| (slug, report)));
        }
        list.sort_by(|a, b| b.1.published_on.cmp(&a.1.published_on).then_with(|| b.0.cmp(&a.0)));
        Ok(list)
    }
    /// One report, if there is one of that name.
    ///
    /// # Errors
    /// A report that cannot be read.
    pub fn report(&self, slug: &Slug) -> Result<Option<Published>> {
        let path = self.room("reports")?.join(slug.as_str()).join("report.json");
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::file(path.display(), error)),
        }
    }
    /// A file of a report: one of [`FILES`], or `page.html`, its body.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn report_file(&self, slug: &Slug, name: &str) -> Result<Option<Vec<u8>>> {
        if name != "page.html" && !FILES.iter().any(|f| f.0 == name) {
            return Ok(None);
        }
        let path = self.room("reports")?.join(slug.as_str()).join(name);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::file(path.display(), error)),
        }
    }
    /// Publishes an answer; its name, under which it stays as it is now.
    ///
    /// # Errors
    /// Those of the file system; a title that is empty.
    pub fn publish(&self, p: &Publication<'_>) -> Result<Slug> {
        if p.title.trim().is_empty() {
            return Err(Error::Question("a report needs a title".into()));
        }
        let json = serde_json::to_vec_pretty(p.ranking)?;
        let mut parquet = Vec::new();
        export::ranking_parquet(p.ranking, &mut parquet)?;
        let published = Published {
            title: p.title.trim().to_owned(),
            lead: p.lead.trim().to_owned(),
            headline: report::headline(p.ranking),
            question: p.question.to_vec(),
            published_on: p.today,
            published_by: p.author.to_owned(),
            method: methods::paragraph(p.ranking),
            sources: methods::citations(&p.ranking.sources),
            content_hash: blake3::hash(&json).to_hex().to_string(),
            withdrawn: None,
        };
        let page = report::ranking("Ranking", p.ranking).into_string();
        let reports = self.room("reports")?;
        let stem = format!("{}-{}", p.today, Slug::of(p.title));
        let name = |n: usize| if n == 1 { stem.clone() } else { format!("{stem}-{n}") };
        let slug = (1..1_000).map(name).find(|name| !reports.join(name).exists());
        let slug = slug.ok_or_else(|| Error::Question("too many reports of that title today".into()))?;
        // Made apart and moved into place as a whole: nobody sees half a report.
        let making = reports.join(format!(".{slug}.making"));
        let _ = fs::remove_dir_all(&making);
        fs::create_dir_all(&making).map_err(|e| Error::file(making.display(), e))?;
        let csv = table::ranking_csv(p.ranking).into_bytes();
        let mut files = vec![
            ("page.html", page.into_bytes()),
            ("ranking.csv", csv),
            ("ranking.json", json),
            ("ranking.parquet", parquet),
            ("report.json", serde_json::to_vec_pretty(&published)?),
        ];
        files.extend(p.grouping.map(|g| ("grouping.csv", g.write().into_bytes())));
        for (name, bytes) in &files {
            put(&making.join(name), bytes)?;
        }
        let path = reports.join(&slug);
        fs::rename(&making, &path).map_err(|e| Error::file(path.display(), e))?;
        sync_folder(&reports)?;
        Slug::parse(&slug).ok_or(Error::Range)
    }
    /// Withdraws a report: it is no longer shown, and its address says when and why.
    ///
    /// # Errors
    /// No such report; no reason.
    pub fn withdraw(&self, slug: &Slug, reason: &str, today: Day) -> Result<()> {
        let mut report =
            self.report(slug)?.ok_or_else(|| Error::Question(format!("there is no report {slug}")))?;
        if reason.trim().is_empty() {
            return Err(Error::Question("say why it is withdrawn; readers who cite it will see that".into()));
        }
        report.withdrawn = Some((today, reason.trim().to_owned()));
        let path = self.room("reports")?.join(slug.as_str()).join("report.json");
        put(&path, &serde_json::to_vec_pretty(&report)?)
    }
}

/// A mark by which a changed text is noticed.
pub fn mark(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex()[..16].to_owned()
}

/// Writes a file whole: beside it, durable, then renamed.
fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    let beside = path.with_extension("part");
    let fault = |e| Error::file(path.display(), e);
    let mut file = fs::File::create(&beside).map_err(fault)?;
    file.write_all(bytes).map_err(fault)?;
    file.sync_all().map_err(fault)?;
    fs::rename(&beside, path).map_err(fault)?;
    path.parent().map_or(Ok(()), sync_folder)
}

fn sync_folder(folder: &Path) -> Result<()> {
    fs::File::open(folder).and_then(|f| f.sync_all()).map_err(|e| Error::file(folder.display(), e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_words() {
        for (title, slug) in
            [("Who paid? Été 2024!", "who-paid-ete-2024"), ("../../etc", "etc"), ("¿?", "untitled")]
        {
            assert_eq!(Slug::of(title).as_str(), slug);
        }
        for wrong in ["", "..", "a/b", "A", "-a", "a.b", &"x".repeat(81)] {
            assert_eq!(Slug::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_grouping_changed_in_between_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let desk = Desk::of(folder.path());
        let name = Slug::of("Parties");
        let grouping = Grouping { title: "One".into(), ..Grouping::default() };
        desk.save(&name, &grouping, None).unwrap();
        let (_, old) = desk.grouping(&name).unwrap();
        desk.save(&name, &Grouping { title: "Two".into(), ..Grouping::default() }, Some(&old)).unwrap();
        let error = desk.save(&name, &grouping, Some(&old)).unwrap_err().to_string();
        assert!(error.contains("somebody else"), "{error}");
        assert!(desk.save(&name, &grouping, None).is_err());
        assert_eq!(desk.grouping(&name).unwrap().0.title, "Two");
        assert_eq!(desk.groupings().unwrap(), std::slice::from_ref(&name));
        // A copy has it too, and the store.
        desk.store().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let copy = Desk::of(elsewhere.path());
        desk.copy_to(&copy).unwrap();
        assert_eq!(copy.grouping(&name).unwrap().0.title, "Two");
        assert!(copy.store().unwrap().snapshots().unwrap().is_empty() && copy.is_used());
    }
}
