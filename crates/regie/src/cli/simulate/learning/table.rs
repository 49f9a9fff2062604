//! What came out, as a table for people or one JSON line for scripts.

use super::scenario::{Bar, Scenario, Who};
use regie_sim::campaign::Captured;
use serde_json::json;

/// Mean and half width of its 95% interval over seeds (Student's t, by its expansion in 1/degrees of freedom:
/// Abramowitz and Stegun 26.7.5; exact to 0.01 from 4 seeds on).
pub fn mean(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count.max(1.0);
    if values.len() < 2 {
        return (mean, f64::INFINITY);
    }
    let freedom = count - 1.0;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / freedom;
    let z = 1.959_963_985f64;
    let t = z
        + (z.powi(3) + z) / (4.0 * freedom)
        + (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / (96.0 * freedom.powi(2))
        + (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z) / (384.0 * freedom.powi(3));
    (mean, t * (variance / count).sqrt())
}

/// Points of the last tenth's share by which the first policy is behind the second, seed by seed.
fn behind(rows: &[(Who, Vec<Captured>)]) -> Option<(f64, f64)> {
    let (first, second) = (rows.first()?, rows.get(1)?);
    let each = first.1.iter().zip(&second.1);
    let points: Vec<f64> =
        each.filter_map(|(a, b)| Some(100.0 * (b.last_tenth()? - a.last_tenth()?))).collect();
    (!points.is_empty()).then(|| mean(&points))
}

/// Prints a scenario's rows; false where the learner missed the bar, or did worse than an even draw by more than two standard
/// errors.
pub fn print(in_json: bool, scenario: &Scenario, rows: &[(Who, Vec<Captured>)]) -> bool {
    if !in_json {
        let seeds = rows.first().map_or(0, |row| row.1.len());
        println!(
            "\n{} ({} combinable versions, {seeds} seeds)",
            scenario.name,
            scenario.form.versions_count()
        );
        println!(
            "{:<16} {:>16} {:>16} {:>22}",
            "policy", "whole run %", "last tenth %", "rate over an even draw"
        );
    }
    let mut held = true;
    for (who, captured) in rows {
        let shares = |share: fn(&Captured) -> Option<f64>| {
            let values: Vec<f64> = captured.iter().filter_map(|c| share(c).map(|s| 100.0 * s)).collect();
            (!values.is_empty()).then(|| mean(&values))
        };
        let (whole, last) = (shares(Captured::whole), shares(Captured::last_tenth));
        let gains: Vec<f64> = captured
            .iter()
            .map(|c| {
                let (shown, even) = c.rates(scenario.requests_count);
                100.0 * (shown / even - 1.0)
            })
            .collect();
        let (gain, gain_width) = mean(&gains);
        if *who == Who::Learner {
            let enough = match scenario.bar {
                Bar::None => true,
                Bar::LastTenth(bar) => last.is_some_and(|(mean, _)| mean >= 100.0 * bar),
                Bar::Behind(points) => behind(rows).is_none_or(|(mean, _)| mean <= points),
            };
            let worse = gain + gain_width.max(1e-9) < 0.0;
            held = enough && !worse;
        }
        if in_json {
            let each: Vec<_> = captured.iter().map(|c| json!([c.whole(), c.last_tenth()])).collect();
            println!(
                "{}",
                json!({ "scenario": scenario.name, "policy": who.word(), "whole": whole, "last_tenth": last,
                    "gain_percent": [gain, gain_width], "seeds": each })
            );
            continue;
        }
        let show =
            |value: Option<(f64, f64)>| value.map_or("-".to_owned(), |(m, w)| format!("{m:.1} ± {w:.1}"));
        println!(
            "{:<16} {:>16} {:>16} {:>22}",
            who.word(),
            show(whole),
            show(last),
            format!("{gain:+.1}% ± {gain_width:.1}")
        );
    }
    let word = if held { "held" } else { "MISSED" };
    match scenario.bar {
        _ if in_json => {}
        Bar::LastTenth(bar) => println!("bar: last tenth at least {:.0}%: {word}", 100.0 * bar),
        Bar::Behind(points) => {
            if let Some((mean, width)) = behind(rows) {
                println!(
                    "behind the right prior by {mean:.1} ± {width:.1} points (bar: at most {points:.0}): {word}"
                );
            }
        }
        Bar::None => println!("bar: no worse than an even draw by more than two standard errors: {word}"),
    }
    held
}

#[cfg(test)]
mod tests {
    use super::mean;
    #[test]
    fn intervals_are_students() {
        // t(0.975, 29) = 2.04523; t(0.975, 4) = 2.77645.
        let values: Vec<f64> = (0..30).map(f64::from).collect();
        let (m, width) = mean(&values);
        assert!(
            (m - 14.5).abs() < 1e-9 && (width - 2.045_23 * (77.5f64 / 30.0).sqrt()).abs() < 1e-3,
            "{width}"
        );
        let (_, width) = mean(&[1.0, 2.0, 3.0, 4.0, 5.0]);
        assert!((width - 2.776_45 * (2.5f64 / 5.0).sqrt()).abs() < 0.01, "{width}");
    }
}
