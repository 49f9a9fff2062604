//! What was learned, in plain words first: which version is shown how often and why, live; experiments; adapting; templates.
//!
//! Every figure is the interface's ([`crate::http::learning`]); statistics are one click away. Refuses to act but by commands.

mod adapt;
mod experiment;
mod plots;
pub mod template;

use super::{BOOKS, SIGNED, act, action, form::Data, layout, page, ui};
use crate::{
    http::{AppState, Route, auth::Caller, learning::of_set},
    platform::learning::{ElementShown, SetShown, TemplateShown, VersionShown},
    t, th,
};
use axum::{
    extract::{Path, Query, State},
    http::{HeaderValue, header},
    response::Response,
    routing::{get, post},
};
use maud::{Markup, html};
use regie_model::{
    AdId, AdSetId, CampaignId, Faults, VersionId,
    booking::{AdSetSpec, Guardrail, LearningContext, LearningGoal, LearningSpec},
    command::Command,
    ticket::Billing,
};
use serde::Deserialize;

/// The module's routes.
pub fn routes() -> Vec<Route> {
    vec![
        page("/console/learning", SIGNED, get(overview)),
        page("/console/ad-sets/{id}/learning", SIGNED, get(show)),
        action("/console/ad-sets/{id}/learning", BOOKS, post(save)),
        page("/console/ad-sets/{id}/experiment", SIGNED, get(experiment::show)),
        action("/console/ad-sets/{id}/experiment", BOOKS, post(experiment::save)),
        page("/console/campaigns/{id}/adapting", SIGNED, get(adapt::show)),
        action("/console/campaigns/{id}/adapting", BOOKS, post(adapt::save)),
        action("/console/ads/{id}/proposals", BOOKS, post(adapt::approve)),
        page("/console/ads/{id}/template", SIGNED, get(template::show)),
        action("/console/ads/{id}/template", BOOKS, post(template::save)),
        page("/console/ads/{id}/template/{code}", SIGNED, get(template::frame)),
    ]
}

fn percent(part: f64) -> String {
    format!("{:.2}\u{a0}%", 100.0 * part)
}
fn goal_words(goal: LearningGoal) -> &'static str {
    match goal {
        LearningGoal::Clicks => t!("learning-goal-clicks"),
        LearningGoal::ViewableImpressions => t!("learning-goal-viewable"),
        LearningGoal::Conversions => t!("learning-goal-conversions"),
        LearningGoal::Value => t!("learning-goal-value"),
    }
}
fn context_words(context: LearningContext) -> &'static str {
    match context {
        LearningContext::None => t!("learning-context-none"),
        LearningContext::Device => t!("learning-context-device"),
        LearningContext::Placement => t!("learning-context-placement"),
        LearningContext::Hour => t!("learning-context-hour"),
        LearningContext::Country => t!("learning-context-country"),
    }
}
/// A version as people call it.
fn name_of(app: &AppState, ad: AdId, version: VersionId) -> String {
    if version.template_code().is_some() {
        return t!("learning-template-of", ad = ad);
    }
    let state = app.platform.catalogue().versions.get(&version);
    match state.map(|state| state.kept.spec.name).filter(|name| !name.is_empty()) {
        Some(name) => name,
        None => version.to_string(),
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Watching {
    live: String,
}
/// A page that comes again by itself while it is watched.
fn again(mut response: Response, watching: &Watching) -> Response {
    if !watching.live.is_empty() {
        response.headers_mut().insert(header::REFRESH, HeaderValue::from_static("4"));
    }
    response
}
fn watch(path: &str, watching: &Watching) -> Markup {
    html! {
        @if watching.live.is_empty() { a class="btn" href={ (path) "?live=1" } { (t!("learning-watch")) } }
        @else { a class="btn" href=(path) { (t!("learning-stop-watching")) } }
    }
}

async fn overview(
    State(app): State<AppState>,
    caller: Caller,
    Query(watching): Query<Watching>,
) -> layout::Html {
    let sets: Vec<(AdSetId, AdSetSpec)> = {
        let catalogue = app.platform.catalogue();
        let mine = catalogue.ad_sets.iter().filter(|(id, kept)| {
            let with = kept.spec.learning.is_some() || kept.spec.experiment.is_some();
            with && act::see_set(&catalogue, &caller, **id).is_ok()
        });
        mine.rev().take(100).map(|(id, kept)| (*id, kept.spec.clone())).collect()
    };
    let mut rows = Vec::new();
    for (id, spec) in sets {
        let shown = of_set(&app, id).await?;
        rows.push((id, spec, shown));
    }
    let body = html! {
        p { (t!("learning-about")) }
        div class="card flush" {
            @if rows.is_empty() { (ui::empty(t!("learning-nothing-learns"))) }
            @else {
                div class="scroll" { table {
                    thead { tr { th { (t!("learning-ad-set")) } th { (t!("learning-looks-for")) } th class="right" { (t!("learning-impressions")) } th class="right" { (t!("learning-brings-now")) } th class="right" { (t!("learning-best-would")) } th class="right" { (t!("learning-price")) } th { (t!("learning-leads")) } th {} } }
                    tbody { @for (id, spec, shown) in &rows { (row(&app, *id, spec, shown.as_ref())) } }
                } }
            }
        }
        @if caller.scope_filter().is_none() { (reliability(&app)) }
    };
    let frame = layout::Frame::new(t!("learning-title"), "/console/learning")
        .actions(watch("/console/learning", &watching));
    Ok(again(layout::console(&app, &caller, &frame, &body), &watching))
}
fn row(app: &AppState, id: AdSetId, spec: &AdSetSpec, shown: Option<&SetShown>) -> Markup {
    html! {
        tr {
            th scope="row" { a href={ "/console/ad-sets/" (id) "/learning" } { (spec.name) } " " span class="small muted" { (id) } }
            @match shown {
                Some(shown) => {
                    @let (expected, best, price) = worth(shown);
                    td { (goal_words(shown.spec.goal)) }
                    td class="right" { (ui::count(shown.total.impressions_count)) }
                    td class="right" { (percent(expected)) }
                    td class="right" { (percent(best)) }
                    td class="right" { (percent(price)) }
                    td { @if let Some((name, share)) = leader(app, shown) { (name) " " span class="small muted" { (percent(share)) } } }
                }
                None => { td colspan="6" class="muted" { (t!("learning-by-weights")) } }
            }
            td { @if spec.experiment.is_some() { a href={ "/console/ad-sets/" (id) "/experiment" } { (t!("learning-experiment")) } } }
        }
    }
}

/// How good predicted rates were.
fn reliability(app: &AppState) -> Markup {
    let calibration = app.platform.folds().served.calibration.clone();
    let summary = calibration.summary(Billing::Click);
    let bins = calibration.of(Billing::Click);
    html! {
        section class="card" {
            h2 { (t!("learning-predicted-rates")) }
            @match summary {
                None => p class="muted" { (t!("learning-no-predictions")) },
                Some(s) => {
                    p {
                        (t!("learning-predictions-say", predicted = percent(s.predicted), happened = percent(s.actions_count as f64 / s.impressions_count as f64), count = ui::count(s.impressions_count)))
                        " "
                        @if s.loss < s.constant_loss { (t!("learning-predictions-better", loss = format!("{:.5}", s.loss), constant = format!("{:.5}", s.constant_loss))) }
                        @else { (t!("learning-predictions-not-better", loss = format!("{:.5}", s.loss), constant = format!("{:.5}", s.constant_loss))) }
                    }
                    (plots::reliability(&bins))
                    details { summary { (t!("learning-as-table")) }
                        table { thead { tr { th class="right" { (t!("learning-predicted")) } th class="right" { (t!("learning-happened")) } th class="right" { (t!("learning-impressions")) } } }
                            tbody { @for bin in &bins { tr {
                                td class="right" { (percent(bin.predicted_sum / bin.impressions_count as f64)) }
                                td class="right" { (ui::percent(bin.actions_count, bin.impressions_count)) }
                                td class="right" { (ui::count(bin.impressions_count)) }
                            } } }
                        }
                    }
                }
            }
        }
    }
}

async fn show(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    Query(watching): Query<Watching>,
) -> layout::Html {
    let id: AdSetId = id.parse().map_err(|_| act::missing(&id))?;
    let (campaign, spec, revision) = current(&app, &caller, id)?;
    let shown = of_set(&app, id).await?;
    let mut data = Data::default();
    fill(&mut data, spec.learning.as_ref());
    data.set("revision", revision);
    Ok(again(
        whole(&app, &caller, (campaign, id), &spec, shown.as_ref(), &data, &Faults::new(), &watching),
        &watching,
    ))
}
fn current(
    app: &AppState,
    caller: &Caller,
    id: AdSetId,
) -> Result<(CampaignId, AdSetSpec, u32), layout::PageError> {
    let catalogue = app.platform.catalogue();
    let campaign = act::see_set(&catalogue, caller, id)?;
    let kept = catalogue.ad_sets.get(&id).ok_or_else(|| act::missing(id))?;
    Ok((campaign, kept.spec.clone(), kept.revision))
}

#[allow(clippy::too_many_arguments)]
fn whole(
    app: &AppState,
    caller: &Caller,
    (campaign, id): (CampaignId, AdSetId),
    spec: &AdSetSpec,
    shown: Option<&SetShown>,
    data: &Data,
    faults: &Faults,
    watching: &Watching,
) -> Response {
    let path = format!("/console/ad-sets/{id}/learning");
    let body = html! {
        @match shown {
            Some(shown) => (learned(app, shown)),
            None => div class="card" { (ui::empty(t!("learning-weights-explained"))) },
        }
        @if caller.may_book() { (booking(caller, &path, data, faults)) }
    };
    let actions = html! {
        a class="btn" href={ "/console/ad-sets/" (id) "/experiment" } { (t!("learning-experiment")) }
        a class="btn" href={ "/console/campaigns/" (campaign) "/adapting" } { (t!("learning-adapting")) }
        (watch(&path, watching))
    };
    let title = t!("learning-of", name = spec.name);
    let frame = layout::Frame::new(&title, "/console/learning")
        .crumb("/console/learning", t!("learning-title"))
        .crumb(format!("/console/campaigns/{campaign}"), campaign.to_string())
        .actions(actions);
    layout::console(app, caller, &frame, &body)
}

/// Plain words, the plot, versions, templates.
fn learned(app: &AppState, shown: &SetShown) -> Markup {
    let bands: Vec<&VersionShown> = shown
        .versions
        .iter()
        .filter(|v| v.counts.impressions_count > 0)
        .take(plots::BANDS_COUNT_MAX)
        .collect();
    let single = shown.versions.len() == 1 && !shown.templates.is_empty();
    let keys: Vec<(AdId, VersionId)> = match (single, shown.templates.first()) {
        (true, Some(template)) => {
            let codes = template.codes.iter().take(plots::BANDS_COUNT_MAX);
            codes.map(|code| (template.ad, VersionId::of_template(code.code))).collect()
        }
        _ => bands.iter().map(|v| (v.ad, v.version)).collect(),
    };
    let words = |key: &(AdId, VersionId)| match (key.1.template_code(), shown.templates.first()) {
        (Some(code), Some(template)) => {
            combination(template, &template.spec.decode(code).unwrap_or_default())
        }
        _ => name_of(app, key.0, key.1),
    };
    html! {
        (sentences(app, shown))
        section class="card" {
            h2 { (t!("learning-how-it-went")) }
            (plots::shares(&shown.progress, &keys, t!("learning-per-thousand")))
            p class="small" { @for (at, key) in keys.iter().enumerate() { span class={ "key k" (at) } { (words(key)) } br; } span class={ "key k" (plots::BANDS_COUNT_MAX) } { (t!("learning-others")) } }
            p class="small muted" { (t!("learning-plot-explained")) }
        }
        @if !single { (versions(app, shown)) }
        @for template in &shown.templates { (elements(template, shown)) }
    }
}

/// The set's one template, where that is all it shows.
fn alone(shown: &SetShown) -> Option<&TemplateShown> {
    shown.templates.first().filter(|_| shown.versions.len() == 1)
}
/// Who leads: a version, or of a template alone a combination; with its share.
fn leader(app: &AppState, shown: &SetShown) -> Option<(String, f64)> {
    match alone(shown) {
        Some(template) => {
            template.codes.first().map(|code| (combination(template, &code.assets), code.share))
        }
        None => shown.versions.first().map(|first| (name_of(app, first.ad, first.version), first.share)),
    }
}
/// Expected rate now, that of the best alone, and the price of exploring.
fn worth(shown: &SetShown) -> (f64, f64, f64) {
    match alone(shown) {
        Some(template) => (template.expected.0, template.expected.1, template.price),
        None => (shown.expected.0, shown.expected.1, shown.price),
    }
}

fn sentences(app: &AppState, shown: &SetShown) -> Markup {
    let goal = goal_words(shown.spec.goal);
    let (expected, best, price) = worth(shown);
    html! {
        section class="card" {
            p { strong {
                @match leader(app, shown).filter(|(_, share)| *share > 0.5) {
                    Some((name, share)) => (t!("learning-says-leads", name = name, share = percent(share))),
                    None if shown.total.impressions_count == 0 => (t!("learning-says-nothing-yet")),
                    None => (t!("learning-says-open")),
                }
            } }
            p { (t!("learning-says-rate", expected = percent(expected), best = percent(best), goal = goal)) }
            p { (t!("learning-says-price", price = percent(price), cap = percent(f64::from(shown.spec.explore_ppm) / 1e6), explore = percent(shown.explore))) }
            @if let Some(guardrail) = shown.spec.guardrail { p { (t!("learning-says-guardrail", control = guardrail.control, least = percent(f64::from(guardrail.least_ppm) / 1e6))) } }
            @if shown.untried_count > 0 && alone(shown).is_none() { p class="muted" { (t!("learning-says-untried", count = ui::count(shown.untried_count as u64))) } }
        }
    }
}

fn versions(app: &AppState, shown: &SetShown) -> Markup {
    let rated: Vec<(String, f64, f64, f64)> = shown
        .versions
        .iter()
        .take(16)
        .filter_map(|v| v.interval.map(|i| (name_of(app, v.ad, v.version), v.rate, i.low, i.high)))
        .collect();
    html! {
        section class="card" {
            h2 { (t!("learning-versions")) }
            @if !rated.is_empty() { (plots::ranges(t!("learning-plot-rates"), &rated, None, &percent)) }
            div class="scroll" { table {
                thead { tr { th { (t!("learning-version")) } th class="right" { (t!("learning-share")) } th class="right" { (t!("learning-impressions")) } th class="right" { (t!("learning-rate")) } th class="right" { (t!("learning-range")) } th class="right" { (t!("learning-best")) } th class="right" { (t!("learning-loss")) } th { (t!("learning-why")) } } }
                tbody { @for v in &shown.versions { tr {
                    th scope="row" { (name_of(app, v.ad, v.version)) " " @if v.discovered { (ui::badge("good", t!("learning-better"))) } @if !v.offered { (ui::badge("", t!("learning-not-shown"))) } }
                    td class="right" { (percent(v.share)) }
                    td class="right" { (ui::count(v.counts.impressions_count)) }
                    td class="right" { (percent(v.rate)) }
                    td class="right small" { @if let Some(range) = v.interval { (percent(range.low)) " \u{2013} " (percent(range.high)) } }
                    td class="right" { @if let Some(best) = v.best { (percent(best)) } }
                    td class="right" { @if let Some(loss) = v.loss { (percent(loss)) } }
                    td class="small" { (why(v)) }
                } } }
            } }
            p class="small muted" { (t!("learning-ranges-explained")) }
        }
    }
}
/// Why a version has its share, in the page's language.
fn why(v: &VersionShown) -> String {
    match v.expected {
        _ if !v.offered => t!("learning-why-not-shown").to_owned(),
        Some((rate, deviation)) => {
            t!(
                "learning-why-won",
                won = v.won.0,
                draws = v.won.1,
                rate = percent(rate),
                deviation = percent(deviation)
            )
        }
        None => t!("learning-why-explores", draws = v.won.1),
    }
}

/// What an element says.
fn text_of(template: &TemplateShown, element: &ElementShown) -> String {
    let slot = template.spec.slots.get(usize::from(element.element.slot));
    let asset = slot.and_then(|slot| slot.assets.get(usize::from(element.element.asset)));
    asset.map_or_else(String::new, |asset| asset.text.clone())
}

/// A combination in a few words.
fn combination(template: &TemplateShown, assets: &[u16]) -> String {
    let part = |(slot, asset): (usize, &u16)| {
        let text = template
            .spec
            .slots
            .get(slot)
            .and_then(|s| s.assets.get(usize::from(*asset)))
            .map(|a| a.text.as_str());
        text.unwrap_or_default().chars().take(24).collect::<String>()
    };
    assets.iter().enumerate().map(part).collect::<Vec<_>>().join(" + ")
}

fn elements(template: &TemplateShown, shown: &SetShown) -> Markup {
    html! {
        section class="card" {
            h2 { (t!("learning-elements")) " " a class="small" href={ "/console/ads/" (template.ad) "/template" } { (template.ad) } }
            p { (t!("learning-elements-explained", tried = ui::count(template.tried_count as u64), count = ui::count(template.combinations_count))) }
            @if template.changes_count > 0 { p { (t!("learning-changes", count = template.changes_count)) } }
            @for slot in 0..template.spec.slots.len() {
                @let own: Vec<_> = template.elements.iter().filter(|e| usize::from(e.element.slot) == slot).collect();
                @let rows: Vec<(String, f64, f64, f64)> = own.iter().map(|e| (text_of(template, e), e.odds.0, e.odds.1.max(0.05), e.odds.2.min(20.0))).collect();
                h3 { (template.spec.slots[slot].name) }
                (plots::ranges(t!("learning-plot-elements"), &rows, Some(1.0), &|v| format!("\u{d7}{v:.2}")))
                table {
                    thead { tr { th { (t!("learning-element")) } th class="right" { (t!("learning-share")) } th class="right" { (t!("learning-impressions")) } th class="right" { (t!("learning-rate")) } th class="right" { (t!("learning-odds")) } } }
                    tbody { @for e in own { tr {
                        th scope="row" { (text_of(template, e)) " " @if e.retired { (ui::badge("", t!("learning-not-shown"))) } }
                        td class="right" { (percent(e.share)) }
                        td class="right" { (ui::count(e.counts.impressions_count)) }
                        td class="right" { (percent(e.counts.reward(shown.spec.goal, 1) / f64::from(e.counts.impressions_count.max(1)))) }
                        td class="right nowrap" { (format!("\u{d7}{:.2}", e.odds.0)) " " span class="small muted" { (format!("{:.2} \u{2013} {:.2}", e.odds.1, e.odds.2)) } }
                    } } }
                }
            }
            h3 { (t!("learning-combinations")) }
            table {
                thead { tr { th { (t!("learning-combination")) } th class="right" { (t!("learning-share")) } th class="right" { (t!("learning-expected")) } th { (t!("learning-why")) } } }
                tbody { @for code in &template.codes { tr {
                    th scope="row" { a href={ "/console/ads/" (template.ad) "/template/" (code.code) } { (combination(template, &code.assets)) } }
                    td class="right" { (percent(code.share)) }
                    td class="right" { (percent(code.rate)) }
                    td class="small" { (t!("learning-won-draws", won = code.won.0, draws = code.won.1)) }
                } } }
            }
        }
    }
}

fn fill(data: &mut Data, learning: Option<&LearningSpec>) {
    let spec = learning.cloned().unwrap_or_default();
    data.tick("learns", learning.is_some());
    data.set("goal", spec.goal.word());
    data.set("context", spec.context.word());
    data.set("explore", format!("{}", f64::from(spec.explore_ppm) / 1e4));
    data.set_some("control", spec.guardrail.map(|g| g.control));
    data.set_some("least", spec.guardrail.map(|g| format!("{}", f64::from(g.least_ppm) / 1e4)));
}
fn booking(caller: &Caller, path: &str, data: &Data, faults: &Faults) -> Markup {
    let form = super::form::Form { data, faults, theirs: None };
    let fields = html! {
        fieldset {
            legend { (t!("learning-book")) }
            (form.field("learns", t!("learning-field-learns")).check().hint(t!("learning-field-learns-hint")))
            (form.field("goal", t!("learning-looks-for")).select(LearningGoal::ALL.map(|g| (g.word(), goal_words(g)))))
            (form.field("context", t!("learning-field-context")).select(LearningContext::ALL.map(|c| (c.word(), context_words(c)))))
            (form.field("explore", t!("learning-field-explore")).amount().hint(t!("learning-field-explore-hint")))
            details open[data.has("control")] {
                summary { (t!("learning-guardrail")) }
                (form.field("control", t!("learning-field-control")).hint(t!("learning-field-control-hint")))
                (form.field("least", t!("learning-field-least")).amount())
            }
        }
    };
    form.wrap(caller, path, &fields, t!("learning-save"), path)
}
/// A percentage as parts per million.
fn ppm(data: &Data, name: &str, faults: &mut Faults) -> u32 {
    u32::try_from(data.micros(name, faults) / 100).unwrap_or(u32::MAX)
}
fn read(data: &Data, faults: &mut Faults) -> Option<LearningSpec> {
    if !data.has("learns") {
        return None;
    }
    let guardrail = data
        .has("control")
        .then(|| Guardrail { control: data.id("control", faults), least_ppm: ppm(data, "least", faults) });
    Some(LearningSpec {
        goal: LearningGoal::from_word(data.get("goal")).unwrap_or_default(),
        context: LearningContext::from_word(data.get("context")).unwrap_or_default(),
        explore_ppm: ppm(data, "explore", faults),
        guardrail,
    })
}
async fn save(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    data: Data,
) -> layout::Html {
    let id: AdSetId = id.parse().map_err(|_| act::missing(&id))?;
    let (campaign, mut spec, revision) = current(&app, &caller, id)?;
    let mut faults = Faults::new();
    spec.learning = read(&data, &mut faults);
    let before = spec.clone();
    let revision = data.get("revision").parse().unwrap_or(revision);
    let command = Command::PutAdSet { id: Some(id), revision: Some(revision), spec };
    match act::submit(&app, &caller, command, faults).await? {
        act::Sent::Done(_) => Ok(layout::go(format!("/console/ad-sets/{id}/learning"))),
        act::Sent::Faults(faults) => {
            let mut named = Faults::new();
            for fault in faults.0 {
                let field = match fault.field.as_str() {
                    "learning.explore_ppm" => "explore",
                    "learning.guardrail.control" => "control",
                    "learning.guardrail.least_ppm" => "least",
                    "learning.context" => "context",
                    other => other,
                };
                named.add(field, &fault.code, fault.message);
            }
            let shown = of_set(&app, id).await?;
            Ok(whole(
                &app,
                &caller,
                (campaign, id),
                &before,
                shown.as_ref(),
                &data,
                &named,
                &Watching::default(),
            ))
        }
        act::Sent::Conflict => Ok(layout::go(format!("/console/ad-sets/{id}/learning"))),
    }
}

/// A card's own words with a link.
fn linked(words: &'static str, href: &str) -> Markup {
    html! { a href=(href) { (words) } }
}
/// Where statistics are explained.
fn footnote() -> Markup {
    html! { p class="small muted" { (th!("learning-statistics", link = linked(t!("learning-title"), "/console/learning"))) } }
}
