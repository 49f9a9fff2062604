//! Reading the policy to evaluate: uniform, the logged one, one action, a table, or Thompson sampling from a file of
//! posteriors or learned from another log.

use super::logs::{self, Actions, Logged, Selection};
use anyhow::{Context, Result, bail};
use regie_learn::{evaluate::policy::Table, infer::bayes::Beta};
use std::path::Path;

/// Rows that the mean rate of all actions is worth in a learned posterior.
const PRIOR_STRENGTH: f64 = 1_000.0;

/// A policy, or "what was logged".
pub enum Policy {
    /// What was logged: every weight is 1.
    Logged,
    /// Probabilities.
    Table(Table),
}

/// The forms that [`read`] knows, for help and errors.
pub const FORMS: &str =
    "uniform, logged, version:ID, table:FILE.csv, thompson:FILE.yaml#CAMPAIGN, learned:OTHER_LOG";

/// Reads a policy over the log's actions.
///
/// # Errors
/// An unknown form; a file that does not fit the log.
pub fn read(text: &str, actions: &Actions, log: &Path) -> Result<Policy> {
    let (count, places) = (actions.names.len(), actions.places_count());
    let (form, rest) = text.split_once(':').unwrap_or((text, ""));
    let table = match form {
        "logged" => return Ok(Policy::Logged),
        "uniform" => Table::uniform(count, places),
        "version" | "action" => {
            let at = actions.names.iter().position(|name| name == rest);
            let known = actions.names.join(", ");
            Table::fixed(
                at.with_context(|| format!("{rest:?} was never shown; known are {known}"))?,
                count,
                places,
            )
        }
        "table" => table(Path::new(rest), actions)?,
        "thompson" => {
            let (file, campaign) = rest.split_once('#').unwrap_or((rest, ""));
            let posteriors = posteriors(&logs::text(Path::new(file))?, campaign)?;
            if posteriors.len() != count {
                bail!("{file} has posteriors for {} actions, the log shows {count}", posteriors.len());
            }
            Table::thompson(&posteriors, places)
        }
        "learned" => learned(Path::new(rest), actions, log)?,
        _ => bail!("--policy {text}: known forms are {FORMS}"),
    };
    Ok(Policy::Table(table))
}

/// A table: `action,pos0,pos1,...`, or `action,probability` for every place alike, or `action,position,probability`.
fn table(path: &Path, actions: &Actions) -> Result<Table> {
    let text = logs::text(path)?;
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let header: Vec<String> = reader.headers()?.iter().map(str::to_owned).collect();
    let long = header.get(1).is_some_and(|h| h == "position");
    let columns = if long { actions.places_count() } else { header.len().saturating_sub(1) };
    if columns == 0 || long && header.len() != 3 {
        bail!(
            "{}: write action,probability or action,pos0,pos1,... or action,position,probability",
            path.display()
        );
    }
    let mut places = vec![vec![0.0; actions.names.len()]; columns];
    for (line, record) in reader.records().enumerate() {
        let record = record?;
        let name = record.get(0).unwrap_or_default();
        let number = |cell: Option<&str>| -> Result<f64> {
            cell.unwrap_or_default().parse().with_context(|| format!("{} line {}", path.display(), line + 2))
        };
        let Some(action) = actions.names.iter().position(|n| n == name) else {
            bail!(
                "{} line {}: action {name:?} is not in the log: nothing is known of it",
                path.display(),
                line + 2
            );
        };
        if long {
            let place = number(record.get(1))? as usize;
            let row = places.get_mut(place).with_context(|| format!("the log has no place {place}"))?;
            row[action] = number(record.get(2))?;
        } else {
            for (place, row) in places.iter_mut().enumerate() {
                row[action] = number(record.get(place + 1))?;
            }
        }
    }
    Ok(Table::new(places)?)
}

/// Beta posteriors from a small YAML file: `campaign: { alpha: [..], beta: [..] }`, lists in either style. Without a
/// campaign the first is taken.
fn posteriors(text: &str, campaign: &str) -> Result<Vec<Beta>> {
    let mut inside = campaign.is_empty();
    let mut list = None;
    let mut lists: [Vec<f64>; 2] = [Vec::new(), Vec::new()];
    for line in text.lines().map(|l| l.split('#').next().unwrap_or_default()) {
        let indented = line.starts_with([' ', '\t', '-']);
        let mut rest = line.trim();
        if let Some((key, after)) = rest.split_once(':') {
            match key.trim() {
                "alpha" => list = Some(0),
                "beta" => list = Some(1),
                name if !indented => {
                    if inside && !lists[1].is_empty() {
                        break;
                    }
                    inside = campaign.is_empty() || name == campaign;
                    list = None;
                }
                _ => list = None,
            }
            rest = after;
        }
        let Some(list) = list.filter(|_| inside) else { continue };
        for word in rest.split(['[', ']', ',', ' ', '-']).filter(|w| !w.is_empty()) {
            lists[list].push(word.parse().with_context(|| format!("{word:?} is not a number"))?);
        }
    }
    let [alpha, beta] = lists;
    if alpha.is_empty()
        || alpha.len() != beta.len()
        || alpha.iter().chain(&beta).any(|v| v.is_nan() || *v <= 0.0)
    {
        bail!(
            "found {} alpha and {} beta for campaign {campaign:?}; every one must be above 0",
            alpha.len(),
            beta.len()
        );
    }
    Ok(alpha.into_iter().zip(beta).map(|(a, b)| Beta { a, b }).collect())
}

/// Thompson sampling as Regie would have learned it from another log: each action's rate shrunk to the mean of all.
fn learned(other: &Path, actions: &Actions, log: &Path) -> Result<Table> {
    if std::fs::canonicalize(other)? == std::fs::canonicalize(log)? {
        bail!(
            "a policy that was learned from the same rows that judge it looks better than it is: give another log"
        );
    }
    let selection = Selection { ad_set: None, reward: actions.unit.clone() };
    let Logged::Actions(from) = logs::read(other, &selection)? else {
        bail!("{} does not say which action was shown", other.display());
    };
    if from.names != actions.names {
        bail!(
            "{} shows {} actions and this log {}: a policy is learned over the same list of actions that it is tried on",
            other.display(),
            from.names.len(),
            actions.names.len()
        );
    }
    let mut counts = vec![(0.0, 0.0); actions.names.len()];
    for (action, reward) in from.shown.action.iter().zip(&from.shown.reward) {
        counts[*action].0 += reward.clamp(0.0, 1.0);
        counts[*action].1 += 1.0;
    }
    let (sum, rows) = counts.iter().fold((0.0, 0.0), |all, one| (all.0 + one.0, all.1 + one.1));
    let mean = ((sum + 0.5) / (rows + 1.0)).clamp(1e-6, 1.0 - 1e-6);
    let posterior = |(sum, rows): &(f64, f64)| Beta {
        a: PRIOR_STRENGTH * mean + sum,
        b: PRIOR_STRENGTH * (1.0 - mean) + rows - sum,
    };
    Ok(Table::thompson(&counts.iter().map(posterior).collect::<Vec<_>>(), actions.places_count()))
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn posteriors_are_read_in_both_styles_of_list() {
        let flow =
            "all:\n  alpha: [1.0, 2.5,\n    3]\n  beta: [10, 20, 30]\nmen:\n  alpha: [7]\n  beta: [70]\n";
        let block = "all:\n  alpha:\n  - 1.0\n  - 2.5\n  - 3\n  beta:\n  - 10\n  - 20\n  - 30\nmen:\n  alpha:\n    - 7\n  beta:\n    - 70\n";
        for text in [flow, block] {
            let all = posteriors(text, "all").unwrap();
            assert_eq!(
                all.iter().map(|b| (b.a, b.b)).collect::<Vec<_>>(),
                [(1.0, 10.0), (2.5, 20.0), (3.0, 30.0)]
            );
            assert_eq!(posteriors(text, "men").unwrap(), [Beta { a: 7.0, b: 70.0 }]);
            assert_eq!(posteriors(text, "").unwrap().len(), 3);
            assert!(posteriors(text, "women").is_err());
        }
    }
}
