//! A row as a picture: the share captured over the run, a line for each policy, as SVG that needs nothing else. Refuses scripts and colours
//! that only colour tells apart: every line carries its name.

use super::scenario::{Bar, Scenario, Who};
use regie_sim::campaign::{Captured, PARTS_COUNT};
use std::fmt::Write;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 150.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 48.0;
/// Least distance of two names, pixels.
const BETWEEN_NAMES: f64 = 15.0;
const COLOURS: [&str; 7] = ["#0b5cad", "#b3541e", "#3f7d3a", "#7a4fa3", "#8a6d00", "#a32d4a", "#666666"];

fn x(part: f64) -> f64 {
    LEFT + part / PARTS_COUNT as f64 * (WIDTH - LEFT - RIGHT)
}
fn y(share: f64) -> f64 {
    TOP + (1.0 - share.clamp(-0.05, 1.0)) * (HEIGHT - TOP - BOTTOM)
}

/// The mean over seeds of the share captured in each two hundredths of the run.
fn line(captured: &[Captured]) -> Vec<(f64, f64)> {
    (0..PARTS_COUNT)
        .step_by(2)
        .filter_map(|part| {
            let shares: Vec<f64> = captured.iter().filter_map(|c| c.share(part..part + 2)).collect();
            let mean = shares.iter().sum::<f64>() / shares.len() as f64;
            (!shares.is_empty()).then_some((part as f64 + 1.0, mean))
        })
        .collect()
}

/// The picture of a row.
pub fn svg(scenario: &Scenario, rows: &[(Who, Vec<Captured>)]) -> String {
    let seeds_count = rows.first().map_or(0, |row| row.1.len());
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" font-family=\"sans-serif\" \
         font-size=\"12\"><title>{}</title><rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>\
         <text x=\"{LEFT}\" y=\"22\" font-size=\"14\" font-weight=\"bold\">{}</text>",
        scenario.name, scenario.name
    );
    for percent in [0, 25, 50, 75, 100] {
        let at = y(f64::from(percent) / 100.0);
        let _ = write!(
            text,
            "<line x1=\"{LEFT}\" x2=\"{:.0}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"#dddddd\"/>\
             <text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{percent}%</text>",
            WIDTH - RIGHT,
            LEFT - 6.0,
            at + 4.0
        );
    }
    for fifth in 0..=5 {
        let count = scenario.requests_count as f64 * f64::from(fifth) / 5e6;
        let at = x(f64::from(fifth) * PARTS_COUNT as f64 / 5.0);
        let _ = write!(
            text,
            "<text x=\"{at:.1}\" y=\"{:.0}\" text-anchor=\"middle\">{count}</text>",
            HEIGHT - BOTTOM + 18.0
        );
    }
    let _ = write!(
        text,
        "<text x=\"{LEFT}\" y=\"{:.0}\" fill=\"#444444\">million impressions; share of the gap between an even draw and the best, mean of \
         {seeds_count} seeds</text>",
        HEIGHT - 8.0
    );
    if let Bar::LastTenth(bar) = scenario.bar {
        let (from, to, at) = (x(0.9 * PARTS_COUNT as f64), x(PARTS_COUNT as f64), y(bar));
        let _ = write!(
            text,
            "<line x1=\"{from:.1}\" x2=\"{to:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"#000000\" stroke-dasharray=\"4 2\"/>"
        );
    }
    let mut names: Vec<(f64, usize)> = Vec::new();
    for (number, (_, captured)) in rows.iter().enumerate() {
        let points = line(captured);
        let path: Vec<String> =
            points.iter().map(|(part, share)| format!("{:.1},{:.1}", x(*part), y(*share))).collect();
        let width = if number == 0 { 2.5 } else { 1.5 };
        let colour = COLOURS[number % COLOURS.len()];
        let _ = write!(
            text,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\" points=\"{}\"/>",
            path.join(" ")
        );
        names.extend(points.last().map(|(_, share)| (y(*share), number)));
    }
    // Names stand at the ends of their lines, apart from each other, from the lowest up.
    names.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut free = HEIGHT - BOTTOM + BETWEEN_NAMES;
    for (at, number) in names {
        free = at.min(free - BETWEEN_NAMES);
        let _ = write!(
            text,
            "<text x=\"{:.0}\" y=\"{:.1}\" fill=\"{}\">{}</text>",
            WIDTH - RIGHT + 8.0,
            free + 4.0,
            COLOURS[number % COLOURS.len()],
            rows[number].0.word()
        );
    }
    text.push_str("</svg>\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use regie_sim::campaign::{Family, Form};
    #[test]
    fn every_policy_has_its_line_and_its_name() {
        let captured =
            |share: f64| vec![Captured { parts: vec![[share, 0.0, 1.0]; PARTS_COUNT], successes: 0.0 }; 2];
        let rows =
            [(Who::Learner, captured(0.9)), (Who::Thompson, captured(0.05)), (Who::Uniform, captured(0.0))];
        let picture = svg(&Scenario::plain(Family::Sparse, Form::Large, 2_000_000), &rows);
        assert_eq!(picture.matches("<polyline").count(), 3);
        assert!(["regie", "thompson", "uniform", "2 seeds"].iter().all(|word| picture.contains(word)));
        assert!(picture.contains(&format!("{:.1}", y(0.9))));
        let none = svg(&Scenario::plain(Family::Null, Form::Large, 10), &[(Who::Learner, Vec::new())]);
        assert!(!none.contains("NaN"));
    }
}
