//! How good the automatic links are, measured pairwise on hand-made gold standards.
//!
//! Only names are compared: pairs with the same public identifier are left out (they are linked by it,
//! which proves nothing about names), and so are duplicates. The threshold is chosen on one half of the
//! entities and everything is reported on the other. Precision comes with its Wilson interval.

use super::similar::{Corpus, LinkKind, Name, candidate_pairs};
use crate::answers::Answer;
use crate::error::{Error, Result};
use crate::records::{Records, Step, sniff_delimiter};
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
    let part = |v: f64| ((v / scale).clamp(0.0, 1.0) * 10_000.0).floor() as u64;
    (part(middle - spread), part(middle + spread))
}

/// What was measured on one gold standard.
#[derive(Clone, Debug, Serialize)]
pub struct Quality {
    /// Its name.
    pub name: String,
    /// Advertisers after removing duplicates.
    pub items_count: usize,
    /// Threshold chosen on the first half.
    pub threshold_permille: u32,
    /// The second half at that threshold.
    pub at_threshold: CurvePoint,
    /// By kind of link, the second half at that threshold: right, wrong.
    pub by_kind: Vec<(LinkKind, u64, u64)>,
    /// Pairs of the second half that no kind finds.
    pub not_found: u64,
    /// The second half's curve, from the strictest threshold.
    pub curve: Vec<CurvePoint>,
    /// The first half at the threshold it chose.
    pub chosen_at: CurvePoint,
    /// Links of the second half, at that threshold, to advertisers of no entity; counted as wrong in the strict precision.
    pub strict_wrong: u64,
}

struct Scored {
    kind: LinkKind,
    score: u32,
    is_right: bool,
}

/// Measures. `threshold` is chosen here when not given.
pub fn measure(name: &str, gold: &[GoldItem], distractors: &[GoldItem], threshold: Option<u32>) -> Quality {
    let items = unique(gold);
    let halves: [Vec<&GoldItem>; 2] =
        [0, 1].map(|half| items.iter().copied().filter(|i| half_of(&i.entity) == half).collect());
    let (first, first_all) = scored(&halves[0]);
    let (second, second_all) = scored(&halves[1]);
    let first_curve = curve(&first, first_all);
    let threshold_permille = threshold.unwrap_or_else(|| choose(&first_curve));
    let at = |points: &[CurvePoint], all| {
        let mut fitting = points.iter().filter(|p| p.score_permille >= threshold_permille);
        fitting.next_back().copied().unwrap_or(CurvePoint {
            score_permille: threshold_permille,
            right: 0,
            wrong: 0,
            all,
        })
    };
    let second_curve = curve(&second, second_all);
    let by_kind = LinkKind::ALL.into_iter().map(|kind| {
        let of_kind = |right: bool| {
            second
                .iter()
                .filter(|s| s.kind == kind && s.is_right == right && s.score >= threshold_permille)
                .count() as u64
        };
        (kind, of_kind(true), of_kind(false))
    });
    Quality {
        name: name.into(),
        items_count: items.len(),
        threshold_permille,
        at_threshold: at(&second_curve, second_all),
        by_kind: by_kind.collect(),
        not_found: second_all - second.iter().filter(|s| s.is_right).count() as u64,
        strict_wrong: strict(&halves[1], distractors, threshold_permille),
        chosen_at: at(&first_curve, first_all),
        curve: second_curve,
    }
}

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

/// Every compared pair with its score, and how many pairs are to be found.
fn scored(items: &[&GoldItem]) -> (Vec<Scored>, u64) {
    let names: Vec<Name> = items.iter().map(|i| Name::new(&i.name)).collect();
    let corpus = Corpus::new(names.iter());
    let mut found = Vec::new();
    for (a, b) in candidate_pairs(&names, &corpus, 2_000) {
        if has_same_id(items[a], items[b]) {
            continue;
        }
        if let Some((kind, score)) = corpus.compare(&names[a], &names[b]) {
            found.push(Scored { kind, score, is_right: items[a].entity == items[b].entity });
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
    let all = by_entity.values().map(pairs).sum();
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

fn curve(scored: &[Scored], all: u64) -> Vec<CurvePoint> {
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
    let strictest = found.iter().map(|q| q.threshold_permille).max();
    found.push(measure("both together, at the stricter threshold", &together, &without, strictest));
    Ok(found)
}

/// Answer 6.
pub(crate) fn answer(archives: &Path) -> Result<Answer> {
    let mut a = Answer::new(6, "How good are the automatic links?");
    for q in both(archives)? {
        let p = &q.at_threshold;
        let (low, high) = p.wilson();
        let holds = if p.precision_permille() >= PRECISION_MIN_PERMILLE { "yes" } else { "no" };
        a.check(format!("{}: precision at least 0.98 on the other half", q.name), "yes", holds);
        a.text.push(format!(
            "{}: {} advertisers; threshold {} chosen on one half ({} right, {} wrong); on the other {} right, {} wrong of {} pairs: \
             precision {}.{:03} (Wilson 95%: 0.{low:04} to {}), recall 0.{:03}.",
            q.name, q.items_count, q.threshold_permille, q.chosen_at.right, q.chosen_at.wrong, p.right, p.wrong, p.all,
            p.precision_permille() / 1000, p.precision_permille() % 1000,
            if high == 10_000 { "1".into() } else { format!("0.{high:04}") }, p.recall_permille()
        ));
        for (kind, right, wrong) in &q.by_kind {
            let share = right * 1000 / p.all.max(1);
            a.text.push(format!("  {}: {right} right, {wrong} wrong, recall 0.{share:03}", kind.words()));
        }
        if q.strict_wrong > 0 {
            a.text.push(format!(
                "  {} links to advertisers to whom people assigned no candidate (not judged above)",
                q.strict_wrong
            ));
        }
        for c in &q.curve {
            a.text.push(format!(
                "  from {:4}: {} right, {} wrong, precision {}.{:03}, recall 0.{:03}",
                c.score_permille,
                c.right,
                c.wrong,
                c.precision_permille() / 1000,
                c.precision_permille() % 1000,
                c.recall_permille()
            ));
        }
    }
    Ok(a)
}
