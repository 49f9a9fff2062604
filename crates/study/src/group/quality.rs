//! How good the automatic links are, measured pairwise on hand-made gold standards.
//!
//! Only names are compared: pairs with the same public identifier are left out (they are linked by it,
//! which proves nothing about names), and so are duplicates. The threshold is chosen on one half of the entities and
//! reported on the other, and the other way round (cross-fitting), so that every pair is judged by a threshold that did
//! not see it. Precision comes with its Wilson interval.

use super::similar::{Corpus, LinkKind, Name, candidate_pairs};
use super::{Grouping, Place, Status};
use crate::answers::Answer;
use crate::error::{Error, Result};
use crate::records::{Records, Step, sniff_delimiter};
use crate::store::Store;
use crate::text;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Read;
use std::path::Path;

/// One advertiser of a gold standard.
#[derive(Clone, Debug)]
pub struct GoldItem {
    /// Its name as published.
    pub name: String,
    /// Its public identifier, or empty.
    pub id: String,
    /// The entity people assigned.
    pub entity: String,
}

/// Precision at or above which links are made without asking, in thousandths.
pub const PRECISION_MIN_PERMILLE: u64 = 980;

/// Right and wrong pairs at and above a score.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct CurvePoint {
    /// Threshold in thousandths.
    pub score_permille: u32,
    /// Pairs linked rightly.
    pub right: u64,
    /// Pairs linked wrongly.
    pub wrong: u64,
    /// Pairs to be found.
    pub all: u64,
}

impl CurvePoint {
    /// Precision in thousandths, rounded down; 1000 when nothing is linked.
    pub fn precision_permille(&self) -> u64 {
        (self.right * 1000).checked_div(self.right + self.wrong).unwrap_or(1000)
    }
    /// Recall in thousandths, rounded down.
    pub fn recall_permille(&self) -> u64 {
        (self.right * 1000).checked_div(self.all).unwrap_or(0)
    }
    /// Wilson's 95% interval of the precision, in ten-thousandths.
    pub fn wilson(&self) -> (u64, u64) {
        wilson(self.right, self.right + self.wrong)
    }
}

/// Wilson's 95% score interval for `right` of `all`, in ten-thousandths (Wilson 1927). A statistic, not money.
pub fn wilson(right: u64, all: u64) -> (u64, u64) {
    if all == 0 {
        return (0, 10_000);
    }
    let (n, p, z) = (all as f64, right as f64 / all as f64, 1.959_964);
    let middle = p + z * z / (2.0 * n);
    let spread = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + z * z / n;
    // A hair more than rounding errors, so that a bound of exactly one is shown as one.
    let part = |v: f64| ((v / scale + 1e-9).clamp(0.0, 1.0) * 10_000.0).floor() as u64;
    (part(middle - spread), part(middle + spread))
}

/// What one half chose and how the other fared with it.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Fold {
    /// Threshold chosen on one half.
    pub threshold_permille: u32,
    /// That half at its own threshold.
    pub chosen_at: CurvePoint,
    /// The other half at that threshold.
    pub reported: CurvePoint,
}

/// A kind of link at the thresholds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct KindQuality {
    /// The kind.
    pub kind: LinkKind,
    /// Pairs linked rightly.
    pub right: u64,
    /// Pairs linked wrongly.
    pub wrong: u64,
    /// Pairs to be found, by any kind.
    pub all: u64,
}

impl KindQuality {
    /// As a point, for precision, recall and interval.
    pub fn point(&self) -> CurvePoint {
        CurvePoint { score_permille: 0, right: self.right, wrong: self.wrong, all: self.all }
    }
}

/// What was measured on one gold standard, by cross-fitting.
#[derive(Clone, Debug, Serialize)]
pub struct Quality {
    /// Its name.
    pub name: String,
    /// Advertisers after removing duplicates.
    pub items_count: usize,
    /// Chosen on the first half and reported on the second, and the other way round.
    pub folds: [Fold; 2],
    /// Both reports together. A pair across the halves is never right, and wrong when either threshold links it.
    pub pooled: CurvePoint,
    /// By kind of link, pooled.
    pub by_kind: Vec<KindQuality>,
    /// Pairs that no kind finds at any threshold.
    pub not_found: u64,
    /// The curve over all pairs, from the strictest threshold.
    pub curve: Vec<CurvePoint>,
    /// Links, at the thresholds, to advertisers of no entity; not judged in the precision.
    pub strict_wrong: u64,
}

struct Scored {
    kind: LinkKind,
    score: u32,
    is_right: bool,
    /// Half of both names; 2 when they are of different halves, and so never of one entity.
    half: u8,
}

/// Measures by cross-fitting. `threshold` is chosen when not given.
pub fn measure(name: &str, gold: &[GoldItem], distractors: &[GoldItem], threshold: Option<u32>) -> Quality {
    let items = unique(gold);
    let (scored, all) = scored(&items);
    let of_half = |half: u8| curve(scored.iter().filter(|s| s.half == half), all[usize::from(half)]);
    let curves = [of_half(0), of_half(1)];
    let thresholds = [0, 1].map(|half: usize| threshold.unwrap_or_else(|| choose(&curves[half])));
    let fold = |chooser: usize| {
        let at = |half: usize| at_threshold(&curves[half], all[half], thresholds[chooser]);
        Fold { threshold_permille: thresholds[chooser], chosen_at: at(chooser), reported: at(1 - chooser) }
    };
    // Each half is judged by what the other chose; across the halves the laxer one counts.
    let limit = |half: u8| match half {
        0 => thresholds[1],
        1 => thresholds[0],
        _ => thresholds[0].min(thresholds[1]),
    };
    let linked = |kind: Option<LinkKind>, right: bool| {
        let fits =
            |s: &&Scored| kind.is_none_or(|k| k == s.kind) && s.is_right == right && s.score >= limit(s.half);
        scored.iter().filter(fits).count() as u64
    };
    let total = all[0] + all[1];
    let by_kind = LinkKind::ALL.into_iter().map(|kind| KindQuality {
        kind,
        right: linked(Some(kind), true),
        wrong: linked(Some(kind), false),
        all: total,
    });
    let strictest = thresholds[0].min(thresholds[1]);
    Quality {
        name: name.into(),
        items_count: items.len(),
        folds: [fold(0), fold(1)],
        pooled: CurvePoint {
            score_permille: strictest,
            right: linked(None, true),
            wrong: linked(None, false),
            all: total,
        },
        by_kind: by_kind.collect(),
        not_found: total - scored.iter().filter(|s| s.is_right).count() as u64,
        strict_wrong: strict(&items, distractors, strictest),
        curve: curve(scored.iter(), total),
    }
}

fn at_threshold(points: &[CurvePoint], all: u64, threshold: u32) -> CurvePoint {
    let none = CurvePoint { score_permille: threshold, right: 0, wrong: 0, all };
    points.iter().rfind(|p| p.score_permille >= threshold).copied().unwrap_or(none)
}

/// Measures the program's links on what people decided in a grouping, over the advertisers of a store.
///
/// # Errors
/// Those of the store; too few decisions to say anything.
pub fn by_grouping(store: &Store, grouping: &Grouping) -> Result<Quality> {
    let mut decided = grouping.clone();
    decided.links.retain(|l| l.status == Status::Accepted && l.author != super::auto::AUTHOR);
    let resolver = decided.resolver()?;
    let mut gold = Vec::new();
    for advertiser in super::auto::advertisers(store)? {
        let (place, name, id) = advertiser.placed(&resolver);
        let Place::Always(entity) = place else { continue };
        if !resolver.is_residual[entity as usize] {
            gold.push(GoldItem { name, id, entity: resolver.entities[entity as usize].clone() });
        }
    }
    if gold.len() < DECIDED_MIN {
        return Err(Error::Question(format!(
            "{} advertisers of the store are in entities by links that people made; at least {DECIDED_MIN} are needed to say how good the program's own links are",
            gold.len()
        )));
    }
    let name = if grouping.title.is_empty() { "this grouping" } else { &grouping.title };
    Ok(measure(name, &gold, &[], None))
}

/// Fewest decided advertisers on which anything is measured.
const DECIDED_MIN: usize = 20;

/// Which half an entity falls into: by its own hash, so that all pairs of an entity stay together.
fn half_of(entity: &str) -> u8 {
    blake3::hash(entity.as_bytes()).as_bytes()[0] & 1
}

/// Without duplicates: the same normalised name with the same identifier and entity.
fn unique(gold: &[GoldItem]) -> Vec<&GoldItem> {
    let mut seen = HashSet::new();
    gold.iter().filter(|i| seen.insert((text::name_key(&i.name), i.id.clone(), i.entity.clone()))).collect()
}

fn has_same_id(a: &GoldItem, b: &GoldItem) -> bool {
    !a.id.is_empty() && a.id == b.id
}

/// Every compared pair with its score, and how many pairs of each half are to be found.
fn scored(items: &[&GoldItem]) -> (Vec<Scored>, [u64; 2]) {
    let names: Vec<Name> = items.iter().map(|i| Name::new(&i.name)).collect();
    let halves: Vec<u8> = items.iter().map(|i| half_of(&i.entity)).collect();
    let corpus = Corpus::new(names.iter());
    let mut found = Vec::new();
    for (a, b) in candidate_pairs(&names, &corpus, 2_000) {
        if has_same_id(items[a], items[b]) {
            continue;
        }
        if let Some((kind, score)) = corpus.compare(&names[a], &names[b]) {
            let half = if halves[a] == halves[b] { halves[a] } else { 2 };
            found.push(Scored { kind, score, is_right: items[a].entity == items[b].entity, half });
        }
    }
    let mut by_entity: HashMap<&str, Vec<&GoldItem>> = HashMap::new();
    items.iter().for_each(|i| by_entity.entry(&i.entity).or_default().push(i));
    let pairs = |list: &Vec<&GoldItem>| -> u64 {
        let of = |(at, a): (usize, &&GoldItem)| {
            list[at + 1..].iter().filter(|b| !has_same_id(a, b)).count() as u64
        };
        list.iter().enumerate().map(of).sum()
    };
    let mut all = [0; 2];
    by_entity.iter().for_each(|(entity, list)| all[usize::from(half_of(entity))] += pairs(list));
    (found, all)
}

/// Links from items to advertisers that people assigned to no entity.
fn strict(items: &[&GoldItem], distractors: &[GoldItem], threshold: u32) -> u64 {
    if distractors.is_empty() {
        return 0;
    }
    let all: Vec<&GoldItem> = items.iter().copied().chain(unique(distractors)).collect();
    let names: Vec<Name> = all.iter().map(|i| Name::new(&i.name)).collect();
    let corpus = Corpus::new(names.iter());
    let crossing = candidate_pairs(&names, &corpus, 2_000)
        .into_iter()
        .filter(|(a, b)| (*a < items.len()) != (*b < items.len()));
    let linked = crossing.filter(|(a, b)| {
        !has_same_id(all[*a], all[*b])
            && corpus.compare(&names[*a], &names[*b]).is_some_and(|(_, score)| score >= threshold)
    });
    linked.count() as u64
}

fn curve<'s>(scored: impl Iterator<Item = &'s Scored>, all: u64) -> Vec<CurvePoint> {
    let mut by_score: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
    for s in scored {
        let point = by_score.entry(s.score).or_default();
        *(if s.is_right { &mut point.0 } else { &mut point.1 }) += 1;
    }
    let (mut right, mut wrong) = (0, 0);
    let points = by_score.into_iter().rev().map(|(score_permille, (r, w))| {
        right += r;
        wrong += w;
        CurvePoint { score_permille, right, wrong, all }
    });
    points.collect()
}

/// The lowest score at which, and above which at every point, precision holds.
fn choose(curve: &[CurvePoint]) -> u32 {
    let good = curve.iter().take_while(|p| p.precision_permille() >= PRECISION_MIN_PERMILLE);
    good.last().map_or(1001, |p| p.score_permille)
}

/// Reads columns of a CSV (gzip or not) by name.
pub fn columns(path: &Path, names: &[&str]) -> Result<Vec<Vec<String>>> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|e| Error::file(path.display(), e))?;
    if path.extension().is_some_and(|e| e == "gz") {
        flate2::read::MultiGzDecoder::new(file)
            .read_to_end(&mut bytes)
            .map_err(|e| Error::file(path.display(), e))?;
    } else {
        std::io::BufReader::new(file).read_to_end(&mut bytes).map_err(|e| Error::file(path.display(), e))?;
    }
    let mut records = Records::new(&bytes[..], sniff_delimiter(&bytes), 0, 1);
    records.skip_mark()?;
    let mut at: Vec<usize> = Vec::new();
    let mut rows = Vec::new();
    loop {
        match records.step()? {
            Step::End => return Ok(rows),
            Step::Bad { .. } => {}
            Step::Record(record) => {
                let text = |c: usize| String::from_utf8_lossy(record.bytes(c)).into_owned();
                if at.is_empty() {
                    let header: Vec<String> = (0..record.len()).map(text).collect();
                    for name in names {
                        let found = header.iter().position(|h| h == name);
                        at.push(found.ok_or_else(|| {
                            Error::Question(format!("{}: no column {name:?}", path.display()))
                        })?);
                    }
                } else {
                    rows.push(at.iter().map(|c| text(*c)).collect());
                }
            }
        }
    }
}

/// The candidates of the Wesleyan set, and advertisers without a candidate.
pub fn wesleyan(archives: &Path) -> Result<(Vec<GoldItem>, Vec<GoldItem>)> {
    let path = archives.join("wesleyan-entities/2022_google_entities_20240303.csv.gz");
    let rows = columns(&path, &["advertiser_name", "public_ids_list", "wmpid"])?;
    let item = |r: &Vec<String>| {
        let id = if r[1].trim() == "NA" { String::new() } else { r[1].trim().to_owned() };
        GoldItem { name: r[0].clone(), id, entity: r[2].clone() }
    };
    let (with, without): (Vec<GoldItem>, Vec<GoldItem>) =
        rows.iter().map(item).partition(|i| i.entity.starts_with("WMPID"));
    Ok((with, without))
}

/// The pages of the Dutch map without its rest.
pub fn dutch(archives: &Path) -> Result<Vec<GoldItem>> {
    let path = archives.join("nl-provincial-2023/wtm-advertisers-nl-2023-03-13.csv");
    let names = ["name", "entities.short_name", "advertisers_platforms.advertiser_platform_name"];
    let rows = columns(&path, &names)?;
    let named = rows.iter().map(|r| {
        let name = if r[0].trim().is_empty() { &r[2] } else { &r[0] };
        GoldItem { name: name.clone(), id: String::new(), entity: r[1].clone() }
    });
    Ok(named.filter(|i| i.entity != "And").collect())
}

/// Measures both gold standards, and both together at one threshold.
pub fn both(archives: &Path) -> Result<Vec<Quality>> {
    let (wesleyan, without) = wesleyan(archives)?;
    let dutch = dutch(archives)?;
    let together: Vec<GoldItem> = wesleyan.iter().chain(&dutch).cloned().collect();
    let mut found = vec![
        measure("Wesleyan candidates, Google advertisers 2022", &wesleyan, &without, None),
        measure("Dutch parties, Facebook pages 2023", &dutch, &[], None),
    ];
    // Many easy pairs of one set must not buy wrong links in the other: the stricter threshold holds for both.
    let strictest = found.iter().flat_map(|q| q.folds).map(|f| f.threshold_permille).max();
    found.push(measure("both together, at the stricter threshold", &together, &without, strictest));
    Ok(found)
}

/// Answer 6.
pub(crate) fn answer(archives: &Path) -> Result<Answer> {
    let mut a = Answer::new(6, "How good are the automatic links?");
    let three = |permille: u64| format!("{}.{:03}", permille / 1000, permille % 1000);
    for q in both(archives)? {
        let p = &q.pooled;
        let holds =
            |p: &CurvePoint| if p.precision_permille() >= PRECISION_MIN_PERMILLE { "yes" } else { "no" };
        for (way, fold) in ["first", "second"].iter().zip(&q.folds) {
            let what = format!(
                "{}: precision at least 0.98 where the {way} half chose and the other reports",
                q.name
            );
            a.check(what, "yes", holds(&fold.reported));
        }
        a.check(format!("{}: precision at least 0.98, both reports together", q.name), "yes", holds(p));
        a.text.push(format!("{}: {} advertisers.", q.name, q.items_count));
        for f in &q.folds {
            a.text.push(format!(
                "  chosen on one half: {} ({} right, {} wrong); reported on the other: {} right, {} wrong of {} pairs, precision {} ({})",
                f.threshold_permille, f.chosen_at.right, f.chosen_at.wrong, f.reported.right, f.reported.wrong,
                f.reported.all, three(f.reported.precision_permille()), interval(&f.reported)
            ));
        }
        a.text.push(format!(
            "  both reports: {} right, {} wrong of {} pairs, precision {} ({}), recall {}",
            p.right,
            p.wrong,
            p.all,
            three(p.precision_permille()),
            interval(p),
            three(p.recall_permille())
        ));
        for kind in &q.by_kind {
            let p = kind.point();
            a.text.push(format!(
                "  {}: {} right, {} wrong, precision {} ({}), recall {}",
                kind.kind.words(),
                p.right,
                p.wrong,
                three(p.precision_permille()),
                interval(&p),
                three(p.recall_permille())
            ));
        }
        if q.strict_wrong > 0 {
            a.text.push(format!(
                "  {} links to advertisers to whom people assigned no candidate (not judged above)",
                q.strict_wrong
            ));
        }
        for c in &q.curve {
            a.text.push(format!(
                "  from {:4}: {} right, {} wrong, precision {}, recall {}",
                c.score_permille,
                c.right,
                c.wrong,
                three(c.precision_permille()),
                three(c.recall_permille())
            ));
        }
    }
    Ok(a)
}

/// Wilson's interval in words.
pub fn interval(p: &CurvePoint) -> String {
    if p.right + p.wrong == 0 {
        return "no such link".into();
    }
    let (low, high) = p.wilson();
    let high = if high == 10_000 { "1".into() } else { format!("0.{high:04}") };
    format!("Wilson 95%: 0.{low:04} to {high}")
}
