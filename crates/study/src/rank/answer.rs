//! Turns gathered sums into an answer: order, best and worst ranks, what stands beside, what to know.

use super::gather::{Account, Gathered};
use super::{Beside, Concentration, Estimate, Measure, Partly, Question, Ranked, Ranking};
use crate::amount::Sum;
use crate::error::Result;
use crate::group::{Grouping, Unmapped};
use crate::store::{Coverage, Snapshot, Store};
use crate::targets::{Label, Targets};

const BESIDE_SHOWN: usize = 10;

/// Candidates sorted into those ranked and those beside.
pub(super) struct Order {
    pub ranked: Vec<usize>,
    unmapped: Vec<usize>,
    residual: Vec<usize>,
    excluded: Vec<usize>,
}

pub(super) fn estimate(question: &Question, account: &Account) -> i128 {
    let sum = account.sum(question.measure);
    match (question.estimate, sum.upper()) {
        (Estimate::Midpoint, Some(upper)) => (sum.lower + upper) / 2,
        (Estimate::Midpoint, None) => sum.lower,
        (Estimate::Published, _) => sum.published,
    }
}

pub(super) fn order(question: &Question, targets: &Targets, gathered: &Gathered) -> Order {
    let mut order =
        Order { ranked: Vec::new(), unmapped: Vec::new(), residual: Vec::new(), excluded: Vec::new() };
    for (target, account) in gathered.accounts.iter().enumerate() {
        if account.spend.rows_count == 0 {
            continue;
        }
        let kind = targets.list[target].kind;
        if targets.is_residual(target) {
            order.residual.push(target);
        } else if kind.is_some_and(|k| question.exclude.contains(&k)) {
            order.excluded.push(target);
        } else if targets.resolver.is_some() && !targets.is_mapped(target) {
            order.unmapped.push(target);
        } else {
            order.ranked.push(target);
        }
    }
    if targets.unmapped == Unmapped::Alone {
        order.ranked.extend(&order.unmapped);
    }
    let key = |target: &usize| {
        let account = &gathered.accounts[*target];
        (
            std::cmp::Reverse(estimate(question, account)),
            std::cmp::Reverse(account.sum(question.measure).lower),
            *target,
        )
    };
    for list in [&mut order.ranked, &mut order.unmapped, &mut order.residual, &mut order.excluded] {
        list.sort_unstable_by_key(key);
    }
    order
}

pub(super) fn assemble(
    store: &Store,
    question: &Question,
    grouping: Option<&Grouping>,
    targets: &Targets,
    gathered: &Gathered,
) -> Result<Ranking> {
    let order = order(question, targets, gathered);
    let top = if question.top == 0 { 20 } else { question.top };
    let shown = &order.ranked[..order.ranked.len().min(top)];
    let mut wanted: Vec<usize> = shown.to_vec();
    for list in [&order.unmapped, &order.excluded, &order.residual] {
        wanted.extend(list.iter().take(BESIDE_SHOWN));
    }
    let labels = targets.labels_by(store, &wanted, |t| gathered.accounts[t].subject)?;
    let label = |target: usize| labels.get(&target).cloned().unwrap_or_default();
    let beside = |name: &str, list: &[usize]| beside(name, list, question, gathered, &label);
    let ranked = places(question, targets, gathered, &order.ranked, shown, &label);
    let is_partial = gathered.is_selection;
    let residual = order.residual.iter().map(|t| beside(&label(*t).name, &[*t])).collect();
    Ok(Ranking {
        currency: (question.measure == Measure::Spend).then_some(gathered.currency).flatten(),
        measure: question.measure,
        estimate: question.estimate,
        unit: question.unit,
        partly: question.partly,
        from: question.scope.from,
        to: question.scope.to,
        known_on: question.scope.known_on,
        region: question.scope.region.clone(),
        election: question.election.clone(),
        ranked,
        candidates_count: order.ranked.len() as u64,
        total: beside("all that is ranked", &order.ranked),
        unmapped: grouping.map(|_| beside("not in the grouping", &order.unmapped)),
        residual,
        excluded: (!question.exclude.is_empty()).then(|| beside("taken out by the filter", &order.excluded)),
        concentration: concentration(&order.ranked, question, gathered),
        other_currencies: gathered.others(),
        sources: Vec::new(),
        grouping: grouping.map(|g| (g.title.clone(), g.cite.clone())),
        rates: question.rates.clone(),
        notes: Vec::new(),
        split: None,
        is_complete: !is_partial,
    })
}

fn beside(
    name: &str,
    list: &[usize],
    question: &Question,
    gathered: &Gathered,
    label: &dyn Fn(usize) -> Label,
) -> Beside {
    let mut sum = Sum::default();
    for target in list {
        sum.merge(gathered.accounts[*target].sum(question.measure));
    }
    let largest = list.iter().take(BESIDE_SHOWN).map(|t| {
        let label = label(*t);
        let reason = crate::kinds::classify(&label.name).or_else(|| crate::kinds::classify(&label.payer));
        (
            label,
            gathered.accounts[*t].sum(question.measure).published.to_string(),
            reason.map(|r| r.1).unwrap_or_default(),
        )
    });
    Beside {
        name: name.to_owned(),
        count: list.len() as u64,
        published: sum.published,
        lower: sum.lower,
        upper: sum.upper(),
        largest: largest.collect(),
    }
}

/// Best and worst ranks by counting bounds: one sort each, then a search per shown place.
fn places(
    question: &Question,
    targets: &Targets,
    gathered: &Gathered,
    all: &[usize],
    shown: &[usize],
    label: &dyn Fn(usize) -> Label,
) -> Vec<Ranked> {
    let sum = |t: usize| gathered.accounts[t].sum(question.measure);
    let upper_or_top = |t: usize| sum(t).upper().unwrap_or(i128::MAX);
    let mut lowers: Vec<i128> = all.iter().map(|t| sum(*t).lower).collect();
    let mut uppers: Vec<i128> = all.iter().map(|t| upper_or_top(*t)).collect();
    lowers.sort_unstable();
    uppers.sort_unstable();
    let count_above =
        |sorted: &[i128], bound: i128| (sorted.len() - sorted.partition_point(|v| *v <= bound)) as u64;
    let make = |(index, target): (usize, &usize)| {
        let account = &gathered.accounts[*target];
        let own = sum(*target);
        let (lower, upper) = (own.lower, upper_or_top(*target));
        let above_certain = count_above(&lowers, upper);
        // Everybody whose upper bound is above my lower bound may be above me; not counting myself.
        let above_possible = count_above(&uppers, lower) - u64::from(upper > lower);
        let overlaps = |other: &&usize| {
            **other != *target && sum(**other).lower < upper && lower < upper_or_top(**other)
        };
        let undecided_with: Vec<u64> = shown
            .iter()
            .enumerate()
            .filter(|(_, o)| overlaps(o))
            .map(|(i, _)| i as u64 + 1)
            .take(5)
            .collect();
        let label = label(*target);
        let kind = match targets.list[*target].kind {
            Some(kind) if targets.is_mapped(*target) => Some((kind, "the grouping says so".to_owned())),
            _ if targets.is_mapped(*target) => None,
            _ => crate::kinds::classify(&label.name).or_else(|| crate::kinds::classify(&label.payer)),
        };
        Ranked {
            rank: index as u64 + 1,
            best: above_certain + 1,
            worst: (!gathered.is_selection).then_some(above_possible + 1),
            is_grouped: targets.is_mapped(*target),
            units_count: targets.list[*target].units_count,
            kind,
            estimate: estimate(question, account),
            published: own.published,
            lower: own.lower,
            upper: own.upper(),
            ads_count: account.ads_count,
            views_published: account.views.published,
            views_upper: account.views.upper(),
            rows_count: account.spend.rows_count,
            undecided_with,
            undecided_count: above_possible.saturating_sub(above_certain),
            label,
        }
    };
    shown.iter().enumerate().map(make).collect()
}

fn concentration(list: &[usize], question: &Question, gathered: &Gathered) -> Concentration {
    let values: Vec<i128> = list.iter().map(|t| estimate(question, &gathered.accounts[*t]).max(0)).collect();
    let total: i128 = values.iter().sum();
    if total == 0 {
        return Concentration::default();
    }
    let share = |count: usize| (values.iter().take(count).sum::<i128>() * 1000 / total) as u32;
    // Shares in parts of a million keep the squares well inside 128 bits.
    let hhi: i128 = values.iter().map(|v| v.saturating_mul(1_000_000) / total).map(|s| s * s).sum();
    Concentration { top_permille: [share(1), share(4), share(10)], hhi: (hhi / 100_000_000) as u32 }
}

pub(super) fn notes(answer: &mut Ranking, gathered: &Gathered, snapshots: &[Snapshot]) {
    let mut add = |text: String| answer.notes.push(text);
    if snapshots.iter().any(|s| s.coverage == Coverage::Selection) {
        add(
            "The source is a selection: a sponsor outside it may have spent more, so no worst rank is known."
                .into(),
        );
    }
    if gathered.accounts.iter().any(|a| a.spend.unknown_count > 0) {
        add("Upper bounds are unknown for some rows; a sum with such a row has no upper bound.".into());
    }
    if gathered.has_views {
        add("Impressions count how often ads were shown, not people or viewers.".into());
    }
    if gathered.partial_count > 0 {
        add(match answer.partly {
            Partly::Bounded => format!(
                "{} rows lie only partly in the days asked for; each counts as the interval from 0 to its upper bound.",
                gathered.partial_count
            ),
            Partly::ByStart => format!(
                "{} rows reach over the edge of the days asked for; each counts wholly when it begins inside.",
                gathered.partial_count
            ),
        });
    }
    if gathered.repeated_count > 0 {
        add(format!(
            "{} rows repeat an ad that a later snapshot states; the later one counts.",
            gathered.repeated_count
        ));
    }
    if gathered.without_money_count > 0 {
        add(format!(
            "{} rows state no amount of money and are not in the sums.",
            gathered.without_money_count
        ));
    }
    let bad: u64 = snapshots.iter().map(|s| s.bad_rows_count).sum();
    if bad > 0 {
        add(format!(
            "{bad} malformed rows of these sources were kept aside, each with its line and reason, and are not in the sums."
        ));
    }
    for s in snapshots.iter().filter(|s| s.dataset.is_per_ad()) {
        s.notes.iter().for_each(|note| add(format!("{}: {note}.", s.file)));
    }
    if snapshots.iter().any(|s| s.parallel_currencies) {
        add("This source states amounts in several currency columns, which may be the same money; only one is read.".into());
    }
}
