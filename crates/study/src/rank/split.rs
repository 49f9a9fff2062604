//! Time series and regional split of an answer: the same filter and arithmetic as the ranking itself.

use super::gather::{self, Filter, Gathered};
use super::{Question, as_text, as_text_or_none};
use crate::amount::Sum;
use crate::day::Day;
use crate::error::Result;
use crate::select;
use crate::store::columns::Column;
use crate::store::{Dataset, Snapshot, Store};
use crate::targets::Targets;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// Most points of a series and regions of a split that are kept.
const POINTS_MAX: usize = 5_000;

/// One period of a series.
#[derive(Clone, Debug, Serialize)]
pub struct SeriesPoint {
    /// First day of the period.
    pub from: Day,
    /// Sum of everybody, as published.
    #[serde(serialize_with = "as_text")]
    pub published: i128,
    /// Smallest possible.
    #[serde(serialize_with = "as_text")]
    pub lower: i128,
    /// Largest possible.
    #[serde(serialize_with = "as_text_or_none")]
    pub upper: Option<i128>,
    /// Published sums of the first candidates, in order of rank, as decimal text.
    pub top: Vec<String>,
}

/// One region.
#[derive(Clone, Debug, Serialize)]
pub struct PlacePoint {
    /// Region as written.
    pub place: String,
    /// As published.
    #[serde(serialize_with = "as_text")]
    pub published: i128,
    /// Smallest possible.
    #[serde(serialize_with = "as_text")]
    pub lower: i128,
    /// Largest possible.
    #[serde(serialize_with = "as_text_or_none")]
    pub upper: Option<i128>,
}

/// A split answer.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Split {
    /// By first day of the facts' periods.
    pub series: Vec<SeriesPoint>,
    /// By region, the largest first.
    pub places: Vec<PlacePoint>,
    /// By age and gender, the largest first, where shares of that kind are published.
    pub audience: Vec<PlacePoint>,
    /// Whether regions come from shares of reach, which is an assumption about money.
    pub is_by_share: bool,
    /// Names of the series' `top`, in order.
    pub names: Vec<String>,
}

/// Makes the second pass.
pub(super) fn split(
    store: &Store,
    snapshots: &[Snapshot],
    question: &Question,
    targets: &Targets,
    gathered: &Gathered,
    top: &[usize],
) -> Result<Split> {
    let mut filter = Filter::new(store, snapshots, question)?;
    let number: HashMap<usize, usize> = top.iter().enumerate().map(|(i, t)| (*t, i)).collect();
    let mut series: BTreeMap<Day, (Sum, Vec<i128>)> = BTreeMap::new();
    let mut places: HashMap<i64, Sum> = HashMap::new();
    let mut columns = filter.columns();
    if !columns.contains(&Column::Place) {
        columns.push(Column::Place);
    }
    store.scan(&gather::latest_first(snapshots), &columns)?.each(|chunk| {
        let slack = filter.slack(chunk.snapshot);
        for row in 0..chunk.rows {
            if !filter.passes(chunk, row) || filter.is_repeated(chunk, row)? {
                continue;
            }
            let Some(counted) = filter.count(chunk, row) else { continue };
            let (value, slack) = match question.measure {
                super::Measure::Spend => (counted.amount, slack),
                super::Measure::Impressions => (counted.views, (0, 0)),
            };
            let from = chunk.period(row).0;
            let target = targets.of(chunk.column(Column::Subject)[row], from);
            if series.len() < POINTS_MAX || series.contains_key(&from) {
                let point = series.entry(from).or_insert_with(|| (Sum::default(), vec![0; top.len()]));
                point.0.add(value, slack);
                if let Some(index) = number.get(&target) {
                    point.1[*index] += i128::from(value.lower);
                }
            }
            let place = chunk.column(Column::Place)[row];
            if place != 0 && (places.len() < POINTS_MAX || places.contains_key(&place)) {
                places.entry(place).or_default().add(value, slack);
            }
        }
        Ok(())
    })?;
    let words = store.words()?;
    let labels = targets.labels_by(store, top, |t| gathered.accounts[t].subject)?;
    let regions = select::shares(store, snapshots, Dataset::AdRegion)?;
    let is_by_share = !regions.is_empty();
    if is_by_share {
        places = by_place(store, &regions, question)?;
    }
    let audience = by_place(store, &select::shares(store, snapshots, Dataset::AdAudience)?, question)?;
    let series = series.into_iter().filter(|(from, _)| from.is_stated());
    let series = series.map(|(from, (sum, top))| SeriesPoint {
        from,
        published: sum.published,
        lower: sum.lower,
        upper: sum.upper(),
        top: top.iter().map(i128::to_string).collect(),
    });
    Ok(Split {
        series: series.collect(),
        places: points(places, &words),
        audience: points(audience, &words),
        is_by_share,
        names: top.iter().map(|t| labels.get(t).cloned().unwrap_or_default().name).collect(),
    })
}

/// Sums by the rows' own word for region or group.
fn by_place(store: &Store, snapshots: &[Snapshot], question: &Question) -> Result<HashMap<i64, Sum>> {
    let mut places: HashMap<i64, Sum> = HashMap::new();
    if snapshots.is_empty() {
        return Ok(places);
    }
    let mut filter = Filter::new(store, snapshots, question)?;
    let mut columns = filter.columns();
    if !columns.contains(&Column::Place) {
        columns.push(Column::Place);
    }
    store.scan(&gather::latest_first(snapshots), &columns)?.each(|chunk| {
        for row in 0..chunk.rows {
            if !filter.passes(chunk, row) || filter.is_repeated(chunk, row)? {
                continue;
            }
            let Some(counted) = filter.count(chunk, row) else { continue };
            let value = match question.measure {
                super::Measure::Spend => counted.amount,
                super::Measure::Impressions => counted.views,
            };
            let place = chunk.column(Column::Place)[row];
            if places.len() < POINTS_MAX || places.contains_key(&place) {
                places.entry(place).or_default().add(value, (0, 0));
            }
        }
        Ok(())
    })?;
    Ok(places)
}

fn points(places: HashMap<i64, Sum>, words: &[String]) -> Vec<PlacePoint> {
    let point = |(word, sum): (i64, Sum)| PlacePoint {
        place: words.get(word as usize).cloned().unwrap_or_default(),
        published: sum.published,
        lower: sum.lower,
        upper: sum.upper(),
    };
    let mut points: Vec<PlacePoint> = places.into_iter().map(point).collect();
    points.sort_by(|a, b| b.published.cmp(&a.published).then_with(|| a.place.cmp(&b.place)));
    points
}
