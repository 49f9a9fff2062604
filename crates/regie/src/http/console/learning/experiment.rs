//! An experiment: what it says in plain words, what may make it doubtful, its figures; and its booking.

use super::{super::form::Form, act, footnote, goal_words, layout, percent, plots, ui};
use crate::{
    http::{
        AppState,
        auth::Caller,
        console::form::Data,
        learning::{Phase, goal_of, phases},
    },
    t,
};
use axum::{
    extract::{Path, State},
    response::Response,
};
use maud::{Markup, html};
use regie_learn::{
    experiment::report::{ArmReport, Report},
    infer::fixed::RATIO_MISMATCH_P,
};
use regie_model::{
    AdId, AdSetId, CampaignId, Faults, UtcMs,
    booking::{AdSetSpec, ArmSpec, ExperimentSpec, ExperimentUnit, LearningGoal},
    command::Command,
};

/// Ads that one form can put into arms.
const ADS_COUNT_MAX: usize = 12;

fn unit_words(unit: ExperimentUnit) -> &'static str {
    match unit {
        ExperimentUnit::Visitor => t!("learning-unit-visitor"),
        ExperimentUnit::PageView => t!("learning-unit-page-view"),
        ExperimentUnit::PlacementHour => t!("learning-unit-placement-hour"),
        ExperimentUnit::RegionDay => t!("learning-unit-region-day"),
    }
}

pub(super) async fn show(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> layout::Html {
    let id: AdSetId = id.parse().map_err(|_| act::missing(&id))?;
    let (campaign, spec, revision) = super::current(&app, &caller, id)?;
    let mut data = Data::default();
    fill(&app, id, &spec, &mut data);
    data.set("revision", revision);
    whole(&app, &caller, (campaign, id), &spec, &data, &Faults::new()).await
}

async fn whole(
    app: &AppState,
    caller: &Caller,
    (campaign, id): (CampaignId, AdSetId),
    spec: &AdSetSpec,
    data: &Data,
    faults: &Faults,
) -> Result<Response, layout::PageError> {
    let goal = goal_of(app, id);
    let phases = phases(app, id, goal).await?;
    let ads = ads(app, id);
    let body = html! {
        @if phases.is_empty() { div class="card" { (ui::empty(t!("learning-no-experiment"))) } }
        @for phase in &phases { (one(phase, goal)) }
        @if caller.may_book() { (booking(caller, id, &ads, data, faults)) }
        (footnote())
    };
    let title = t!("learning-experiment-of", name = spec.name);
    let actions = html! {
        a class="btn" href={ "/console/ad-sets/" (id) "/learning" } { (t!("learning-title")) }
        a class="btn" href={ "/v1/ad-sets/" (id) "/experiment" } { "JSON" }
    };
    let frame = layout::Frame::new(&title, "/console/learning")
        .crumb("/console/learning", t!("learning-title"))
        .crumb(format!("/console/campaigns/{campaign}"), campaign.to_string())
        .actions(actions);
    Ok(layout::console(app, caller, &frame, &body))
}

fn one(phase: &Phase, goal: LearningGoal) -> Markup {
    let trial = &phase.trial;
    let sums = trial.by_arm();
    let has_holdout = trial.spec.arms.iter().any(|arm| arm.holdout);
    html! {
        section class="card" {
            h2 { (trial.spec.name) " " @if phase.runs { (ui::badge("good", t!("learning-runs"))) } @else { (ui::badge("", t!("learning-over"))) } }
            p class="muted" { (t!("learning-unit-is", unit = unit_words(trial.spec.unit), goal = goal_words(goal), before = UtcMs(phase.closed_before * 3_600_000))) }
            @match &phase.report {
                Some(report) => (told(report, goal)),
                None => p { (t!("learning-one-arm")) },
            }
            @if has_holdout {
                div class="note" { p { (t!("learning-holdout", ghosts = ui::count(trial.ghosts_count(i64::MAX)))) } p class="small" { (t!("learning-holdout-limits")) } }
            }
            table {
                thead { tr { th { (t!("learning-arm")) } th class="right" { (t!("learning-share")) } th class="right" { (t!("learning-impressions")) } th class="right" { (t!("learning-goal-clicks")) } th class="right" { (t!("learning-goal-conversions")) } } }
                tbody { @for (arm, own) in trial.spec.arms.iter().zip(&sums) { tr {
                    th scope="row" { (arm.name) " " @if arm.holdout { (ui::badge("", t!("learning-holdout-arm"))) } }
                    td class="right" { (percent(f64::from(arm.share_ppm) / 1e6)) }
                    td class="right" { (ui::count(own.impressions_count)) }
                    td class="right" { (ui::count(own.clicks_count)) }
                    td class="right" { (ui::count(own.conversions_count)) }
                } } }
            }
            p class="small muted" { (t!("learning-counts-at-once")) }
            @if trial.untold_count > 0 { p class="small" { (t!("learning-untold", count = ui::count(trial.untold_count))) } }
        }
    }
}

/// The report, words first.
fn told(report: &Report, goal: LearningGoal) -> Markup {
    let control = report.arms.first().map(|arm| arm.name.clone()).unwrap_or_default();
    let units: u64 = report.arms.iter().map(|arm| arm.units).sum();
    if units == 0 {
        return html! { p { (t!("learning-no-closed-hour")) } };
    }
    let mismatch = report.sample_ratio.filter(|(_, p)| *p < RATIO_MISMATCH_P);
    let differences: Vec<(String, f64, f64, f64)> = report
        .arms
        .iter()
        .filter_map(|arm| {
            arm.against.as_ref().map(|a| (arm.name.clone(), a.difference, a.interval.low, a.interval.high))
        })
        .collect();
    let thousand = |value: f64| format!("{:+.2}", 1e3 * value);
    html! {
        @if let Some((_, p)) = mismatch { div class="note bad" { p { (t!("learning-mismatch", p = format!("{p:.1e}"))) } } }
        @for arm in &report.arms { @if let Some(sentence) = sentence(arm, &control, goal) { p { strong { (sentence) } } } }
        @if let Some(best) = report.arms.iter().max_by(|a, b| a.best.total_cmp(&b.best)) {
            p { (t!("learning-best-is", name = best.name, probability = percent(best.best), loss = percent(best.expected_loss))) }
        }
        p { (t!("learning-stopping-rule")) " " @if decided(report) { (t!("learning-decided")) } @else { (t!("learning-undecided")) } }
        @if let Some(outlook) = report.outlook {
            p class="muted" {
                (t!("learning-outlook", smallest = percent(outlook.smallest), days = outlook.days))
                " " @if let Some(days) = outlook.days_to_tenth { (t!("learning-outlook-days", days = format!("{:.0}", days.ceil()))) }
            }
        }
        div class="note warn" { p { (t!("learning-interference")) } }
        (plots::ranges(t!("learning-plot-differences"), &differences, Some(0.0), &thousand))
        (plots::days(report))
        details {
            summary { (t!("learning-as-table")) }
            div class="scroll" { table {
                thead { tr { th { (t!("learning-arm")) } th class="right" { (t!("learning-units")) } th class="right" { (t!("learning-rate")) } th class="right" { (t!("learning-range")) } th class="right" { (t!("learning-difference")) } th class="right" { (t!("learning-range")) } th class="right" { "e" } th class="right" { "p" } th class="right" { (t!("learning-best")) } th class="right" { (t!("learning-loss")) } } }
                tbody { @for arm in &report.arms { tr {
                    th scope="row" { (arm.name) " " @if arm.against.as_ref().is_some_and(|a| a.discovered) { (ui::badge("good", t!("learning-discovered"))) } }
                    td class="right" { (ui::count(arm.units)) }
                    td class="right" { (percent(arm.rate)) }
                    td class="right small" { (percent(arm.interval.low)) " \u{2013} " (percent(arm.interval.high)) }
                    @match &arm.against {
                        Some(a) => {
                            td class="right" { (percent(a.difference)) }
                            td class="right small" { (percent(a.interval.low)) " \u{2013} " (percent(a.interval.high)) }
                            td class="right" { (format!("{:.3}", a.e_value)) }
                            td class="right" { (format!("{:.3}", a.p)) }
                        }
                        None => td colspan="4" class="muted" { (t!("learning-control")) },
                    }
                    td class="right" { (percent(arm.best)) }
                    td class="right" { (percent(arm.expected_loss)) }
                } } }
            } }
            table {
                thead { tr { th { (t!("learning-exposed-on")) } @for arm in &report.arms { th class="right" { (arm.name) } } } }
                tbody { @for (day, arms) in &report.days { tr {
                    th scope="row" { (regie_model::Day(*day)) }
                    @for (units, rate) in arms { td class="right" { (percent(*rate)) " " span class="small muted" { (ui::count(*units)) } } }
                } } }
            }
            @if let Some((chi_square, p)) = report.sample_ratio { p class="small muted" { (t!("learning-sample-ratio", chi = format!("{chi_square:.2}"), p = format!("{p:.3}"))) } }
        }
    }
}
fn decided(report: &Report) -> bool {
    report
        .arms
        .iter()
        .filter_map(|arm| arm.against.as_ref())
        .any(|a| a.interval.low > 0.0 || a.interval.high < 0.0)
}
fn sentence(arm: &ArmReport, control: &str, goal: LearningGoal) -> Option<String> {
    let against = arm.against.as_ref()?;
    let low = format!("{:+.2}", 1e3 * against.interval.low);
    let high = format!("{:+.2}", 1e3 * against.interval.high);
    let goal = goal_words(goal);
    Some(if against.interval.low > 0.0 {
        t!("learning-arm-better", name = arm.name, control = control, low = low, high = high, goal = goal)
    } else if against.interval.high < 0.0 {
        t!("learning-arm-worse", name = arm.name, control = control, low = low, high = high, goal = goal)
    } else {
        t!("learning-arm-open", name = arm.name, control = control, low = low, high = high, goal = goal)
    })
}

fn ads(app: &AppState, id: AdSetId) -> Vec<(AdId, String)> {
    let catalogue = app.platform.catalogue();
    let ids = catalogue.ads_of.get(&id).cloned().unwrap_or_default();
    let named = ids.into_iter().filter_map(|id| Some((id, catalogue.ads.get(&id)?.kept.spec.name.clone())));
    named.take(ADS_COUNT_MAX).collect()
}
fn fill(app: &AppState, id: AdSetId, spec: &AdSetSpec, data: &mut Data) {
    let Some(experiment) = &spec.experiment else {
        data.set("unit", "page_view");
        return;
    };
    data.tick("runs", true);
    data.set("name", &experiment.name);
    data.set("unit", unit_word(experiment.unit));
    for (ad, _) in ads(app, id) {
        let arm = experiment.arms.iter().find(|arm| arm.ads.contains(&ad));
        data.set_some(format!("share.{ad}"), arm.map(|arm| format!("{}", f64::from(arm.share_ppm) / 1e4)));
    }
    let holdout = experiment.arms.iter().find(|arm| arm.holdout);
    data.set_some("holdout", holdout.map(|arm| format!("{}", f64::from(arm.share_ppm) / 1e4)));
}
fn unit_word(unit: ExperimentUnit) -> &'static str {
    match unit {
        ExperimentUnit::Visitor => "visitor",
        ExperimentUnit::PageView => "page_view",
        ExperimentUnit::PlacementHour => "placement_hour",
        ExperimentUnit::RegionDay => "region_day",
    }
}
fn booking(caller: &Caller, id: AdSetId, ads: &[(AdId, String)], data: &Data, faults: &Faults) -> Markup {
    let form = Form { data, faults, theirs: None };
    let units = [ExperimentUnit::PageView, ExperimentUnit::PlacementHour, ExperimentUnit::RegionDay];
    let fields = html! {
        fieldset {
            legend { (t!("learning-book-experiment")) }
            (form.field("runs", t!("learning-field-runs")).check())
            (form.field("name", t!("learning-field-name")).hint(t!("learning-field-name-hint")))
            (form.field("unit", t!("learning-field-unit")).select(units.map(|u| (unit_word(u), unit_words(u)))).hint(t!("learning-field-unit-hint")))
            @for (ad, name) in ads { (form.field(format!("share.{ad}"), &t!("learning-field-share", name = name)).amount()) }
            (form.field("holdout", t!("learning-field-holdout")).amount().hint(t!("learning-field-holdout-hint")))
            (form.faults_at("experiment.arms"))
        }
    };
    let path = format!("/console/ad-sets/{id}/experiment");
    form.wrap(caller, &path, &fields, t!("learning-save"), &path)
}
fn read(app: &AppState, id: AdSetId, data: &Data, faults: &mut Faults) -> Option<ExperimentSpec> {
    if !data.has("runs") {
        return None;
    }
    let unit = match data.get("unit") {
        "placement_hour" => ExperimentUnit::PlacementHour,
        "region_day" => ExperimentUnit::RegionDay,
        _ => ExperimentUnit::PageView,
    };
    let mut arms = Vec::new();
    for (ad, name) in ads(app, id) {
        let field = format!("share.{ad}");
        if data.has(&field) {
            let share_ppm = super::ppm(data, &field, faults);
            arms.push(ArmSpec { name, share_ppm, ads: vec![ad], versions: Vec::new(), holdout: false });
        }
    }
    if data.has("holdout") {
        let share_ppm = super::ppm(data, "holdout", faults);
        arms.push(ArmSpec {
            name: "holdout".into(),
            share_ppm,
            ads: Vec::new(),
            versions: Vec::new(),
            holdout: true,
        });
        let whole: u32 = arms.iter().map(|arm| arm.share_ppm).fold(0, u32::saturating_add);
        // Beside a holdout alone, everything else shows whatever the ad set has.
        if arms.len() == 1 && whole < 1_000_000 {
            let rest = ArmSpec {
                name: "shown".into(),
                share_ppm: 1_000_000 - whole,
                ads: Vec::new(),
                versions: Vec::new(),
                holdout: false,
            };
            arms.insert(0, rest);
        }
    }
    Some(ExperimentSpec { name: data.text("name"), unit, arms })
}
pub(super) async fn save(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    data: Data,
) -> layout::Html {
    let id: AdSetId = id.parse().map_err(|_| act::missing(&id))?;
    let (campaign, mut spec, revision) = super::current(&app, &caller, id)?;
    let mut faults = Faults::new();
    spec.experiment = read(&app, id, &data, &mut faults);
    let before = spec.clone();
    let revision = data.get("revision").parse().unwrap_or(revision);
    let command = Command::PutAdSet { id: Some(id), revision: Some(revision), spec };
    match act::submit(&app, &caller, command, faults).await? {
        act::Sent::Faults(faults) => {
            let mut named = Faults::new();
            for fault in faults.0 {
                let field = match fault.field.as_str() {
                    "experiment.name" => "name",
                    "experiment.unit" => "unit",
                    other => other,
                };
                named.add(field, &fault.code, fault.message);
            }
            whole(&app, &caller, (campaign, id), &before, &data, &named).await
        }
        act::Sent::Done(_) | act::Sent::Conflict => {
            Ok(layout::go(format!("/console/ad-sets/{id}/experiment")))
        }
    }
}
